"""What holds for every answer and every tool, given to each that does not say otherwise.

The idea: defaults are read once, as entries of their own, and laid under the entries of answers and tools before
anything judges these, so a rule or a report sees no difference between what was written and what was given. The
constraint: a default never contradicts: what does not go with an answer's verb, or excludes what a tool says itself,
is not given to it. Laying them under the text of the file was refused: one mistake in a default would be told once
for each answer.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from simkit.language.entry import Entry
from simkit.language.spec import ANSWER, TOOL


def with_defaults(scenario: Entry) -> Entry:
    """Return the entry of a scenario with its defaults in every answer and every tool."""
    given = scenario.inner("defaults")
    for_answers, for_tools = given.inner("provider"), given.inner("tools")
    values = dict(scenario.values)
    if "provider" in values:
        values["provider"] = tuple(_laid_under(e, for_answers, _beside(e.verb)) for e in scenario.entries("provider"))
    if "tools" in values:
        tools = scenario.inner("tools")
        named = {name: tools.inner(name) for name in tools.values}
        values["tools"] = replace(tools, values={n: _laid_under(e, for_tools, _open(e)) for n, e in named.items()})
    return replace(scenario, values=values)


def _laid_under(entry: Entry, given: Entry, fits: Container[str]) -> Entry:
    # A default that was wrong is given too, as a place without a value: as if it stood there itself.
    names = [name for name in given.places if name in fits and name not in entry.places]
    values = {name: given.values[name] for name in names if name in given.values}
    places = {name: given.places[name] for name in names}
    return replace(entry, values={**entry.values, **values}, places={**entry.places, **places})


def _beside(verb: str) -> set[str]:
    """Return what can stand beside a verb in an answer."""
    extras = [extra.name for one in ANSWER.verbs if one.key.name == verb for extra in one.extras]
    return {*(key.name for key in ANSWER.keys), *extras}


def _open(tool: Entry) -> set[str]:
    """Return what a tool can still be given: nothing that excludes what it says itself."""
    taken = {name for group in TOOL.either if not tool.places.keys().isdisjoint(group) for name in group}
    return {key.name for key in TOOL.keys} - taken

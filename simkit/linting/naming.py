"""Which names a scenario speaks of: every text that its answers, its laws and its expectations hold.

The idea: whether a tool is needed is asked of the whole scenario as a value, and a name counts as needed wherever it
stands, also inside raw bytes or a pattern. The constraint: a tool that anything could mean is never called unused.
Listing the fields that can name a tool was refused: the list would be short of one after every new key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass

from simkit.model.scenario import Scenario
from simkit.model.timeline import Call, Name, Place


def is_named(name: str, case: Scenario) -> bool:
    """Say whether the scenario speaks of a name outside the table that declares it."""
    hosts = tuple(case.hosts.values())
    spoken = (case.provider, hosts, case.settings, case.expect, case.always, case.sometimes)
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return any(word.search(text) for text in _texts(spoken))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case bytes():
            yield value.decode("latin-1")
        case Place() | None:
            return
        case Mapping():
            for key, item in value.items():
                yield str(key)
                yield from _texts(item)
        case tuple() | list():
            yield from _whole_names(value)
            for item in value:
                yield from _texts(item)
        case _ if is_dataclass(value):
            for field in fields(value):
                yield from _texts(getattr(value, field.name))


def _whole_names(steps: Sequence[object]) -> Iterator[str]:
    """Return the names of calls that are sent in pieces, each put together; a piece goes to the call that it names."""
    calls: dict[int | None, str] = {}
    last: int | None = None
    for step in steps:
        if isinstance(step, Call):
            last = len(calls) if step.index is None else step.index
            calls[last] = step.name
        elif isinstance(step, Name):
            at = last if step.index is None else step.index
            calls[at] = calls.get(at, "") + step.text
    yield from calls.values()

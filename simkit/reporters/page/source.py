"""The text that a page shows beside a run: the scenario's files, and lines of the user's code; both without secrets.

The idea: a scenario carries its own text, and a reader that is handed in knows the code, so a page can be made from a
stored result anywhere. The constraint: a value that stands under a telling key is masked here too, since YAML writes
``api_key: abc`` without the quotes that mark it in JSON. Opening files from here was refused: a report reads nothing by
itself, and what lies at a path today need not be what ran.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from simkit.model.redact import redact_source
from simkit.model.scenario import LINE_BREAK, Scenario
from simkit.model.trace import Event

# Gives the text of the line of code that ``file:line`` names; empty where nobody knows it.
SourceReader = Callable[[str], str]

_LINES_BESIDE: Final = 2
# A page with more places than this has code that nobody reads.
_PLACES_MAX: Final = 200
_PLACE: Final = re.compile(r"([^\s:]+\.py):([1-9]\d{0,6})\b")


def no_source(place: str) -> str:
    """Know no line of anybody's code."""
    return ""


def files(scenario: Scenario) -> dict[str, list[str]]:
    """Return the lines of the scenario's file and of those that it extends, by their names."""
    texts = {scenario.file: scenario.source, **scenario.bases}
    return {name: [redact_source(line) for line in LINE_BREAK.split(text)] for name, text in texts.items() if text}


def code_places(event: Event) -> list[str]:
    """Return the lines of code that an event names, the innermost first, each as ``file:line``."""
    frames = event.get("frames")
    named = [event.get("where"), event.get("created"), event.get("waits")]
    texts = [*named, *(reversed(frames) if isinstance(frames, list | tuple) else ())]
    return list(dict.fromkeys(_places_in(texts)))


def _places_in(texts: Iterable[object]) -> Iterator[str]:
    for text in texts:
        found = _PLACE.search(text) if isinstance(text, str) else None
        if found:
            yield found[0]


def code(places: Iterable[str], reader: SourceReader) -> dict[str, dict[str, object]]:
    """Return five lines around each place that the reader knows: the number of the first, and their texts."""
    known = {}
    for place in list(dict.fromkeys(places))[:_PLACES_MAX]:
        file, _, number = place.rpartition(":")
        lines = {n: reader(f"{file}:{n}").rstrip() for n in _around(int(number))}
        if lines[int(number)]:
            known[place] = {"first": min(lines), "lines": _block(list(lines.values()))}
    return known


def _block(lines: list[str]) -> list[str]:
    """Return lines without secrets, without what they are all indented by, and without what lies behind the file."""
    text = textwrap.dedent("\n".join(redact_source(line) for line in lines))
    return text.rstrip().split("\n")


def _around(number: int) -> range:
    return range(max(1, number - _LINES_BESIDE), number + _LINES_BESIDE + 1)

"""Durations that are right as the language goes and look like a slip: a wrong unit, or longer than the run itself.

The idea: a duration is held against those that it meets in the same scenario - a silence against the deadline that it
is there to test, a timeout against the limit of the run. The constraint: only what hardly anybody writes on purpose is
told, which is a thousandth of a deadline, hundreds of minutes in one word, and what cannot come about before the run
is stopped. Bounds of what is usual were refused: a simulated year is as good as a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.contracts import Setting
from simkit.language.nodes import Map
from simkit.language.shapes import Span
from simkit.linting.rules import Remark, remark
from simkit.linting.slots import Path, slots
from simkit.linting.trees import filled_trees
from simkit.model.duration import FOREVER, NS_PER_S, format_duration, parse_duration
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place

_RULE: Final = "suspicious-duration"

# How long the silence of a request may be is what most silences of a script are there for.
_IDLE: Final = "stale_after"
# A shorter deadline has a thousandth that people write on purpose.
_DEADLINE_MIN_NS: Final = 30 * NS_PER_S
# Below this, minutes in one word are how people say it: 90m.
_MINUTES_MAX: Final = 100
_MINUTES: Final = re.compile(r"(\d{3,})m")
# A silence is written a little longer than the deadline that it is to exceed, or a little shorter.
_ABOUT: Final = (0.9, 1.2)

_WAITS: Final = ("wait", "stall", "after", "takes", "at", "queued", "in_progress", "cancel_takes", "hold", "pace")


@dataclass(frozen=True, slots=True)
class _Written:
    """A duration as it stands in a row: the way to it, how it is written, what it is, and where."""

    path: Path
    text: str
    ns: int
    place: Place

    @property
    def key(self) -> str:
        """The key that it is the value of."""
        return next((part for part in reversed(self.path) if isinstance(part, str)), "")

    @property
    def is_setting(self) -> bool:
        """Whether it goes to the subject."""
        return self.path[0] == "settings"


def suspicious(case: Scenario, table: Mapping[str, Setting] | None) -> Iterator[Remark]:
    """Yield what looks like a slip, in all rows of the case's file."""
    for root in filled_trees(case.source, case.file):
        yield from _suspicious(case, table, list(_written(root, table)))


def _written(root: Map, table: Mapping[str, Setting] | None) -> Iterator[_Written]:
    for slot in slots(root, {}, table):
        if isinstance(slot.shape, Span):
            try:
                yield _Written(slot.path, slot.scalar.text, parse_duration(slot.scalar.text), slot.scalar.place)
            except ValueError:
                # A word that an event may hold in the place of a duration.
                continue


def _suspicious(case: Scenario, table: Mapping[str, Setting] | None, written: Sequence[_Written]) -> Iterator[Remark]:
    deadlines = _deadlines(case, table, written)
    for one in written:
        found = _thousandth(one, deadlines) or _minutes(one) or _too_long(one, case.limits.time_ns)
        if found is not None:
            yield remark(_RULE, case, one.place, *found)


_Found = tuple[str, str]


def _deadlines(
    case: Scenario, table: Mapping[str, Setting] | None, written: Sequence[_Written]
) -> list[tuple[str, int]]:
    """Return the deadlines that the scenario sets, and how long its subject bears a silence."""
    found = [(one.key, one.ns) for one in written if one.is_setting]
    if table is not None and _IDLE in table and _IDLE not in case.settings:
        found.append((_IDLE, parse_duration(str(table[_IDLE].default))))
    return [(name, ns) for name, ns in found if _DEADLINE_MIN_NS <= ns < FOREVER]


def _thousandth(one: _Written, deadlines: Sequence[tuple[str, int]]) -> _Found | None:
    for name, ns in deadlines:
        low, high = _ABOUT if one.key == "stall" else (1, 1)
        if not one.is_setting and low * ns <= one.ns * 1000 <= high * ns:
            text = f"{one.text!r} is about a thousandth of {name!r}, which is {format_duration(ns)}"
            return text, f"did you mean {format_duration(one.ns * 1000)!r}?"
    return None


def _minutes(one: _Written) -> _Found | None:
    found = _MINUTES.fullmatch(one.text)
    if found is None or int(found[1]) < _MINUTES_MAX:
        return None
    text = f"{one.text!r} is {format_duration(one.ns)}"
    return text, f"write it so, or {found[1]}s or {found[1]}ms if that was meant"


def _too_long(one: _Written, limit_ns: int) -> _Found | None:
    if one.ns == FOREVER or one.ns <= limit_ns:
        return None
    if one.path[0] == "limits" or not (one.is_setting or one.key in (*_WAITS, "ends_within")):
        return None
    text = f"{one.key!r} is {one.text!r}, and the run is stopped after {format_duration(limit_ns)}"
    return text, "write a longer limits: time, or a shorter duration, or forever for one that never ends"

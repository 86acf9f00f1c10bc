"""What of a long run a page holds: the beginning, the end, and the surroundings of whatever decided the verdict.

The idea: a person looks at the few events that contradict each other and at what led up to them, so a page of a run of
any length is one of a bounded number of events and bytes. The constraint: a deciding event is never left out, and what
is left out is counted and said. A page that loads more when asked was refused: it is one file, and works offline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.model.trace import Event, Trace
from simkit.reporters.jsonl import event_line

# More events than this are neither drawn in time nor looked at.
EVENTS_MAX: Final = 1_500
BYTES_MAX: Final = 5_000_000
# Of so many deciding events the first and the last ones keep their surroundings.
_ANCHORS_MAX: Final = 40
# An event with more text than this is shortened: one body must not take the room of all others.
_LINE_MAX: Final = 200_000
_TEXT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Window:
    """The events that are kept, in order, each as its line of JSON; and what a person must know of the rest."""

    events: tuple[Event, ...]
    lines: tuple[str, ...]
    total: int
    shortened: bool = False

    @property
    def said(self) -> str:
        """What is left out, as a sentence; empty where nothing is."""
        parts = []
        if len(self.events) < self.total:
            parts.append(
                f"This page holds {len(self.events):,} of the {self.total:,} events of the run: its beginning, its "
                "end, and what happened around the events that decided the verdict."
            )
        if self.shortened:
            parts.append("Very long texts are shortened.")
        return " ".join([*parts, "simkit run with --trace writes all of it."]) if parts else ""


def window(trace: Trace, deciding: Iterable[int]) -> Window:
    """Return what a page shows of a trace."""
    anchors = _anchors(sorted(set(deciding)), len(trace))
    radius = len(trace) if len(trace) <= EVENTS_MAX else EVENTS_MAX // (2 * len(anchors))
    while True:
        kept = _around(anchors, radius, len(trace))
        lines = [_line(trace.events[n]) for n in kept]
        if radius == 0 or sum(len(line) for line, _ in lines) <= BYTES_MAX:
            break
        radius = min(radius, len(kept)) // 2
    return Window(
        events=tuple(trace.events[n] for n in kept),
        lines=tuple(line for line, _ in lines),
        total=len(trace),
        shortened=any(was_cut for _, was_cut in lines),
    )


def _anchors(deciding: Sequence[int], total: int) -> list[int]:
    half = _ANCHORS_MAX // 2
    shown = deciding if len(deciding) <= _ANCHORS_MAX else [*deciding[:half], *deciding[-half:]]
    return sorted({0, total - 1, *(n for n in shown if 0 <= n < total)}) if total else []


def _around(anchors: Sequence[int], radius: int, total: int) -> list[int]:
    return sorted({n for anchor in anchors for n in range(max(0, anchor - radius), min(total, anchor + radius + 1))})


def _line(event: Event) -> tuple[str, bool]:
    """Return an event as a line of JSON, and whether it had to be shortened for that."""
    line = event_line(event)
    if len(line) <= _LINE_MAX:
        return line, False
    return event_line(event._replace(values=_cut_texts(event.values))), True


def _cut_texts(values: Mapping[str, object]) -> dict[str, object]:
    return {key: _cut(value) for key, value in values.items()}


def _cut(value: object) -> object:
    """Return a value with bounded texts and bounded lists, each saying how much is missing."""
    if isinstance(value, str):
        return (
            value if len(value) <= _TEXT_MAX else f"{value[:_TEXT_MAX]}... {len(value) - _TEXT_MAX:,} more characters"
        )
    if isinstance(value, Mapping):
        return _cut_texts({str(key): one for key, one in value.items()})
    if isinstance(value, list | tuple):
        few = [_cut(one) for one in (value if len(value) <= _ITEMS_MAX else value[-_ITEMS_MAX:])]
        return few if len(few) == len(value) else [f"... {len(value) - len(few):,} earlier items", *few]
    return value


# Of a history of messages, the last ones say most.
_ITEMS_MAX: Final = 20

"""The normal run beside the failing one: the same events in one row, and where the two part for the first time.

The idea: two runs of one scenario are lists of events, and what a person wants to see is the first event that one has
and the other has not, or has at another instant. The constraint: rows are equal only when every value of their events
is; and long stretches of one sort are folded, so that the difference is what one sees. Comparing drawings of both was
refused: the eye finds a missing row in a list and not in a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from simkit.model.trace import Event, Trace
from simkit.reporters.jsonl import event_line

Sort = Literal["same", "moved", "changed", "only normal", "only failing", "folded"]

# Of a stretch of rows of one sort, so many are shown at either end: few where both runs are the same.
_CONTEXT: Final[dict[Sort, int]] = {"same": 3}
_CONTEXT_OF_OTHERS: Final = 10
# Behind the first divergence, so many events of each run are aligned: more are of no help, and take long.
_ALIGNED_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the comparison: an event of the normal run, one of the failing run, or both; or a number of rows."""

    sort: Sort
    normal: Event | None = None
    failing: Event | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """The rows of both runs, the index of the first one that differs, and how many events are left out at the end."""

    rows: tuple[Row, ...]
    first: int | None
    left: int = 0


def difference(normal: Trace, failing: Trace) -> Difference:
    """Compare two runs."""
    one, other = list(normal), list(failing)
    alike = _alike(one, other)
    aligned = list(_aligned(one[alike : alike + _ALIGNED_MAX], other[alike : alike + _ALIGNED_MAX]))
    before = [Row("same", a, b) for a, b in zip(one[:alike], other[:alike], strict=True)]
    rows = tuple(_folded([*before, *aligned]))
    left = max(len(one), len(other)) - alike - _ALIGNED_MAX
    return Difference(
        rows, next((i for i, r in enumerate(rows) if r.sort not in ("same", "folded")), None), max(left, 0)
    )


def _alike(one: Sequence[Event], other: Sequence[Event]) -> int:
    """Return how many events the two have in common from their beginning."""
    # Their numbers are the same as long as the events are.
    same = (a == b for a, b in zip(one, other, strict=False))
    return next((i for i, alike in enumerate(same) if not alike), min(len(one), len(other)))


def _meaning(event: Event) -> str:
    """Return all that an event says, but not when."""
    return event_line(event._replace(at_ns=0))


def _aligned(one: Sequence[Event], other: Sequence[Event]) -> Iterator[Row]:
    matcher = SequenceMatcher(None, [_meaning(e) for e in one], [_meaning(e) for e in other], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            for a, b in zip(one[i1:i2], other[j1:j2], strict=True):
                yield Row("same" if a.at_ns == b.at_ns else "moved", a, b)
        else:
            yield from _replaced(one[i1:i2], other[j1:j2])


def _replaced(one: Sequence[Event], other: Sequence[Event]) -> Iterator[Row]:
    """Put events of one kind beside each other, in order; what has no counterpart stands alone."""
    matcher = SequenceMatcher(None, [_sort(e) for e in one], [_sort(e) for e in other], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            yield from (Row("changed", a, b) for a, b in zip(one[i1:i2], other[j1:j2], strict=True))
        else:
            yield from (Row("only normal", a, None) for a in one[i1:i2])
            yield from (Row("only failing", None, b) for b in other[j1:j2])


def _sort(event: Event) -> tuple[str, ...]:
    return event.kind, *(str(event.get(name)) for name in ("name", "is", "tool"))


def _folded(rows: Sequence[Row]) -> Iterator[Row]:
    start = 0
    while start < len(rows):
        end = next((i for i in range(start, len(rows)) if rows[i].sort != rows[start].sort), len(rows))
        shown = _CONTEXT.get(rows[start].sort, _CONTEXT_OF_OTHERS)
        hidden = end - start - 2 * shown
        if hidden > 1:
            yield from rows[start : start + shown]
            yield Row("folded", count=hidden)
            yield from rows[end - shown : end]
        else:
            yield from rows[start:end]
        start = end

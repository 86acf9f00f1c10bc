"""Steps in time: which step of a recorded stream came when.

The idea: a dialect hears a whole body, and hearing the beginnings of it tells by which piece each step was there. The
constraint: an instant is rounded once, on the recording's own clock, so that the waits between steps add up to it.
Hearing piece by piece was refused: dialects are pure, and understand a frame only by what came before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from simkit.contracts import Dialect
from simkit.model.duration import NS_PER_MS
from simkit.model.timeline import Disconnect, Done, Finish, KeepAlive, Stall, Step, Usage, Wait
from simkit.provider.frames import cut_frames, is_ping, words
from simkit.provider.vcrfiles import Interaction, Piece


def rounded(ns: int) -> int:
    """Return the instant in whole milliseconds."""
    return (ns + NS_PER_MS // 2) // NS_PER_MS * NS_PER_MS


def until(now_ns: int, at_ns: int) -> Iterator[Step]:
    """Yield the wait from now to this instant; none where it is now."""
    if rounded(at_ns) > now_ns:
        yield Wait(ns=rounded(at_ns) - now_ns)


def in_time(
    one: Interaction, pieces: Sequence[Piece], dialect: Dialect, steps: Sequence[Step]
) -> tuple[list[Step], int]:
    """Return the steps with the time between them, and by how much the frames before the first one have moved."""
    bursts = by_instant(pieces)
    ends = [step for step in steps if isinstance(step, Disconnect | Stall)]
    placed = place_steps(bursts, dialect, [step for step in steps if not isinstance(step, Disconnect | Stall)])
    timeline, now_ns, moved_ns = list[Step](), 0, 0
    for burst, own in zip(bursts, placed, strict=True):
        gap_ns = burst.at_ns - now_ns
        if own:
            moved_ns = burst.at_ns - bursts[0].at_ns if not timeline else moved_ns
            timeline += [*until(now_ns, burst.at_ns), *own]
            now_ns = burst.at_ns
        elif gap_ns > 0 and all(map(is_ping, cut_frames(burst.data))):
            timeline.append(KeepAlive(every_ns=gap_ns, for_ns=gap_ns))
            now_ns = burst.at_ns
    if ends and one.end != "open":
        timeline += until(now_ns, one.end_ns)
    if not ends and [type(step) for step in timeline[-2:]] in ([Finish, Done], [Usage, Done]):
        # It follows these by itself, and at once.
        timeline.pop()
    return [*timeline, *ends], moved_ns


def by_instant(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces by their rounded instants, those of one instant joined."""
    joined = dict[int, bytearray]()
    for piece in pieces:
        joined.setdefault(rounded(piece.at_ns), bytearray()).extend(piece.data)
    return [Piece(at_ns, bytes(data)) for at_ns, data in joined.items()]


def place_steps(bursts: Sequence[Piece], dialect: Dialect, steps: Sequence[Step]) -> list[list[Step]]:
    """Return the steps of each burst: those by which hearing it as well makes the difference."""
    # Some wires tell the counts with every frame, so that they are heard in every beginning of a body.
    for apart in ((), (Usage, Done)):
        counts = _Counting(bursts, dialect, steps, apart).counts()
        if counts is not None:
            return _dealt(steps, apart, counts)
    # Heard in another order than sent: everything comes when all of it is there.
    return [[] for _ in bursts[:-1]] + [list(steps)]


def _dealt(steps: Sequence[Step], apart: tuple[type[Step], ...], counts: Sequence[int]) -> list[list[Step]]:
    """Deal the steps out by how many each burst ends with; those that were not counted go with the one before."""
    dealt = [list[Step]() for _ in counts]
    burst = taken = 0
    for step in steps:
        if not isinstance(step, apart):
            while taken >= counts[burst]:
                burst += 1
            taken += 1
        dealt[burst].append(step)
    return dealt


class _Counting:
    """How many steps are heard by the end of each burst.

    Hearing every beginning of a body would take time that grows with the square of its length. So a stretch of bursts
    is heard at its ends alone, and halved until it is one burst or all its bursts are of the same kinds of frames:
    these give the same number of steps each.
    """

    def __init__(
        self, bursts: Sequence[Piece], dialect: Dialect, steps: Sequence[Step], apart: tuple[type[Step], ...]
    ) -> None:
        self._bursts = bursts
        self._dialect = dialect
        self._apart: tuple[type[Step], ...] = (Disconnect, *apart)
        self._types = [type(step) for step in steps if not isinstance(step, self._apart)]
        self._kinds = [tuple(frozenset(words(frame)) for frame in cut_frames(burst.data)) for burst in bursts]

    def counts(self) -> list[int] | None:
        """Return the counts; None where what is heard of a beginning is no beginning of the steps."""
        counts = [0] * len(self._bursts)
        try:
            self._count(counts, -1, len(self._bursts) - 1, 0, self._heard(len(self._bursts) - 1))
        except ValueError:
            return None
        return counts

    def _heard(self, last: int) -> int:
        body = b"".join(burst.data for burst in self._bursts[: last + 1])
        heard = [type(s) for s in self._dialect.hear(body, streamed=True) if not isinstance(s, self._apart)]
        # By their types alone: the last one may grow, as a thought does that gets its signature.
        if heard != self._types[: len(heard)]:
            raise ValueError("no beginning of the steps")
        return len(heard)

    def _count(self, counts: list[int], first: int, last: int, before: int, after: int) -> None:
        """Fill in the counts of the bursts behind ``first`` up to ``last``."""
        if first >= last:
            return
        count, middle = last - first, (first + last) // 2
        if count == 1 or before == after:
            counts[first + 1 : last + 1] = [after] * count
            return
        there = self._heard(middle)
        each, rest = divmod(after - before, count)
        alike = all(kinds == self._kinds[last] for kinds in self._kinds[first + 1 : last])
        if alike and not rest and there == before + each * (middle - first):
            counts[first + 1 : last + 1] = range(before + each, after + 1, each)
            return
        self._count(counts, first, middle, before, there)
        self._count(counts, middle, last, there, after)

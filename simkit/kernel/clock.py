"""The clock of a world: integer nanoseconds inside, one float for asyncio's door.

The idea: everything that waits is a client of this clock, and only the world moves it. The constraint: a timer
never fires early and fires at its exact instant. Floats cannot keep both (``0.1 + 0.2`` is later than ``0.3``),
so the clock keeps the whole nanosecond and, beside it, the largest float deadline that this nanosecond stands
for; ``loop.time()`` shows the latter. A float clock was refused: sums drift, and an epoch in it makes
``asyncio.sleep`` spin.
"""

from __future__ import annotations

from simkit.model.duration import FOREVER, NS_PER_S


class Clock:
    """Virtual time since the start of the world."""

    __slots__ = ("now_ns", "seconds")

    def __init__(self) -> None:
        self.now_ns = 0
        self.seconds = 0.0

    def advance(self, to_ns: int) -> None:
        """Move to a later instant (or stay)."""
        assert to_ns >= self.now_ns, f"time would go back from {self.now_ns} to {to_ns} ns"
        if to_ns != self.now_ns:
            self.now_ns = to_ns
            self.seconds = to_ns / NS_PER_S

    def show(self, deadline: float) -> None:
        """Let a float deadline of this very nanosecond be reached: ``seconds`` never reads less than it."""
        if deadline > self.seconds:
            self.seconds = deadline


def to_ns(seconds: float) -> int:
    """Return the nanosecond that a float instant or span stands for; too late to ever come is ``FOREVER``."""
    # Nine thousand million seconds are 285 years: beyond it the product no longer fits the horizon of FOREVER.
    if seconds >= 9e9:
        return FOREVER
    return round(seconds * NS_PER_S)

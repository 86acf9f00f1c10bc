"""How fast a script passes where the clock is a real one: at a speed, or without waiting at all.

The idea: a script's nanoseconds are virtual ones; a tempo says how many of them a real second holds. The constraint:
whatever the tempo, two pauses that end at different instants end in that order, so a script means the same at every
speed. A sleep of no length for each pause was refused for the fastest tempo: a pause of an hour would then be over
before one of a second that began earlier.

``Instant`` waits for nothing: each pause takes one turn of the loop, in which clients are heard too, and the clock
stands at the instant of the last one that ended. A silence without end stays one; a script that never ends by itself
(keep-alives for ever) is sent as fast as its client reads.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Final, Protocol

from simkit.model.duration import FOREVER, NS_PER_S
from simkit.provider.stage import Timer

# The speed at which nothing is waited for.
MAX: Final = 0.0


class Tempo(Protocol):
    """A clock of virtual nanoseconds, and who waits for them."""

    @property
    def now_ns(self) -> int:
        """Virtual nanoseconds since the start."""
        ...

    def call_later_ns(self, delay_ns: int, action: Callable[[], object]) -> Timer:
        """Call ``action`` when so many virtual nanoseconds have passed."""
        ...


def tempo(loop: asyncio.AbstractEventLoop, speed: float) -> Tempo:
    """Return the tempo of a speed: 1 is real time, 10 is ten times as fast, ``MAX`` waits for nothing."""
    return Instant(loop) if speed == MAX else Paced(loop, speed)


class Paced:
    """The loop's own clock, faster or slower."""

    __slots__ = ("_loop", "_speed", "_start_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, speed: float) -> None:
        self._loop = loop
        self._speed = speed
        self._start_s = loop.time()

    @property
    def now_ns(self) -> int:
        """What has passed on the loop's clock, times the speed."""
        return round((self._loop.time() - self._start_s) * self._speed * NS_PER_S)

    def call_later_ns(self, delay_ns: int, action: Callable[[], object]) -> Timer:
        """Let the loop wait."""
        return self._loop.call_later(delay_ns / NS_PER_S / self._speed, action)


class Instant:
    """A clock that stands still, and jumps to the next instant as soon as the loop has looked around."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now_ns = 0
        self._loop = loop
        self._agenda: list[_Due] = []
        self._count = 0
        self._runs = False

    def call_later_ns(self, delay_ns: int, action: Callable[[], object]) -> Timer:
        """Put it on the agenda; what lies beyond every clock is never done."""
        self._count += 1
        due = _Due(min(self.now_ns + delay_ns, FOREVER), self._count, action)
        if due.at_ns < FOREVER:
            heapq.heappush(self._agenda, due)
            self._go_on()
        return due

    def _go_on(self) -> None:
        if self._agenda and not self._runs:
            self._runs = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        """Let the next instant come: one in each turn of the loop."""
        self._runs = False
        while self._agenda:
            due = heapq.heappop(self._agenda)
            if not due.cancelled:
                self.now_ns = due.at_ns
                due.action()
                break
        self._go_on()


class _Due:
    """Something on the agenda."""

    __slots__ = ("action", "at_ns", "cancelled", "number")

    def __init__(self, at_ns: int, number: int, action: Callable[[], object]) -> None:
        self.at_ns = at_ns
        self.number = number
        self.action = action
        self.cancelled = False

    def __lt__(self, other: _Due) -> bool:
        return (self.at_ns, self.number) < (other.at_ns, other.number)

    def cancel(self) -> None:
        """Let it not happen."""
        self.cancelled = True

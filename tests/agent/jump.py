"""A stock event loop whose clock jumps: a timer costs no time and fires at its exact instant.

The idea: the selector does not wait, it moves the clock on by as long as it was asked to. The constraint: the
agent's tests need exact times, and must not test one room with another. Real timers of some milliseconds
were refused: they fail on a busy machine.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class JumpSelector(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing can ever happen again")
        self.now += 0 if ready else timeout or 0
        return ready


class JumpLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = JumpSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run like ``asyncio.run``, in no time."""
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Return the running loop's time, rounded to the millisecond."""
    return round(asyncio.get_running_loop().time(), 3)

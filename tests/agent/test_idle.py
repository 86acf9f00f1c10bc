from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest

from simkit.agent.idle import IdleDeadline
from tests.agent.jump import now, run

Moves = Callable[[IdleDeadline], None]


async def fires_at(after_s: float, *moves: tuple[float, Moves]) -> float | None:
    """Make each move at its time, then wait; the time at which the deadline fires."""
    try:
        async with IdleDeadline(after_s) as idle:
            for at, move in moves:
                await asyncio.sleep(at - now())
                move(idle)
            await asyncio.sleep(10_000)
    except TimeoutError:
        return now()
    return None


@pytest.mark.parametrize(
    ("after_s", "moves", "at"),
    [
        (180, [], 180.0),
        (180, [(170, IdleDeadline.progress)], 350.0),
        (180, [(170, IdleDeadline.progress), (340, IdleDeadline.progress)], 520.0),
        (180, [(100, IdleDeadline.sent)], 280.0),
        (180, [(1, lambda idle: idle.answered(200))], 180.0),
        (180, [(1, lambda idle: idle.answered(429))], None),
        (180, [(1, lambda idle: idle.answered(429)), (500, IdleDeadline.sent)], 680.0),
        (math.inf, [(5, IdleDeadline.progress)], None),
    ],
)
def test_the_deadline_counts_from_the_last_progress(
    after_s: float, moves: list[tuple[float, Moves]], at: float | None
) -> None:
    assert run(fires_at(after_s, *moves)) == at


def test_progress_that_comes_while_it_fires_changes_nothing() -> None:
    async def main() -> str:
        try:
            async with IdleDeadline(1) as idle:
                try:
                    await asyncio.sleep(5)
                finally:
                    idle.progress()
        except TimeoutError:
            return "fired"
        return "did not fire"

    assert run(main()) == "fired"

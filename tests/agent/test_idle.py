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
        (180, [(1, lambda idle: idle.sent(whole=True)), (200, lambda idle: idle.sent())], 380.0),
        (180, [(1, lambda idle: idle.end_by(100))], 100.0),
        (180, [(1, lambda idle: idle.end_by(300)), (170, IdleDeadline.progress)], 300.0),
        (math.inf, [(1, lambda idle: idle.end_by(300))], 300.0),
    ],
)
def test_the_deadline_counts_from_the_last_progress(
    after_s: float, moves: list[tuple[float, Moves]], at: float | None
) -> None:
    assert run(fires_at(after_s, *moves)) == at


@pytest.mark.parametrize(
    ("moves", "at"),
    [
        ([], 60.0),
        ([(50, IdleDeadline.progress)], 230.0),
        ([(50, IdleDeadline.sent)], 110.0),
        ([(1, lambda idle: idle.sent(whole=True))], 601.0),
    ],
)
def test_the_first_event_and_an_answer_in_one_piece_have_limits_of_their_own(
    moves: list[tuple[float, Moves]], at: float
) -> None:
    async def main() -> tuple[float, bool]:
        try:
            async with IdleDeadline(180, 60, 600) as idle:
                for when, move in moves:
                    await asyncio.sleep(when - now())
                    move(idle)
                await asyncio.sleep(10_000)
        except TimeoutError:
            pass
        return now(), idle.overdue

    assert run(main()) == (at, False)


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

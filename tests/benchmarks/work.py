"""The programs that are measured: each is small, does one thing, and knows nothing of what it is measured on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

SLEEPS: Final = 10_000
TASKS: Final = 1_000
SLEEPS_EACH: Final = 100


def delays(seed: int) -> Iterator[float]:
    """Yield pseudo-random delays up to ten seconds, the same ones everywhere."""
    state = seed * 2654435761 % 2**32
    while True:
        state = (1103515245 * state + 12345) % 2**31
        yield 0.001 + (state % 10_000) / 1000.0


async def trivial() -> int:
    return 1


async def one_task() -> None:
    for _ in range(SLEEPS):
        await asyncio.sleep(1)


async def one_task_without_time() -> None:
    for _ in range(SLEEPS):
        await asyncio.sleep(0)


async def many_tasks() -> None:
    async def worker(number: int) -> None:
        each = delays(number + 1)
        for _ in range(SLEEPS_EACH):
            await asyncio.sleep(next(each))

    await asyncio.gather(*(worker(number) for number in range(TASKS)))


async def many_tasks_without_time() -> None:
    async def worker(number: int) -> None:
        each = delays(number + 1)
        for _ in range(SLEEPS_EACH):
            next(each)
            await asyncio.sleep(0)

    await asyncio.gather(*(worker(number) for number in range(TASKS)))


async def timeouts() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(SLEEPS):
        try:
            await asyncio.wait_for(loop.create_future(), 5)
        except TimeoutError:
            pass


async def three_tasks() -> None:
    """The correct program of the schedule explorers' comparison: three read-modify-writes under a lock."""
    value, lock = 0, asyncio.Lock()

    async def add_one(pauses: int) -> None:
        nonlocal value
        for _ in range(pauses):
            await asyncio.sleep(0)
        async with lock:
            seen = value
            await asyncio.sleep(0)
            value = seen + 1

    await asyncio.gather(add_one(0), add_one(2), add_one(4))
    assert value == 3, "an update was lost"

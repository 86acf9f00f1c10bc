"""Programs of three tasks whose orders decide whether they hold: two with a bug, and one without.

The idea: they are the measure by which explorers are compared, so what is tested is what is measured. The constraint:
each has one bug that one kind of search finds at once and others find late: an update that is lost after a single
preemption, and an order that comes about only where nobody is preempted at all.
"""

from __future__ import annotations

import asyncio
import contextlib


async def lost_update() -> None:
    """Three read-modify-writes that do not hold a lock; in the order of asyncio nothing is lost."""
    await _three_updates(None)


async def locked_updates() -> None:
    """The same with a lock: no order breaks it."""
    await _three_updates(asyncio.Lock())


async def _three_updates(lock: asyncio.Lock | None) -> None:
    value = 0

    async def add_one(pauses: int) -> None:
        nonlocal value
        for _ in range(pauses):
            await asyncio.sleep(0)
        async with lock or contextlib.nullcontext():
            seen = value
            await asyncio.sleep(0)
            value = seen + 1

    await asyncio.gather(add_one(0), add_one(2), add_one(4))
    assert value == 3, "an update was lost"


async def starved() -> None:
    """Breaks when each of three tasks does all of its steps before the next one does its first."""
    steps: list[str] = []

    async def step(name: str) -> None:
        for _ in range(4):
            steps.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(step(name) for name in "ABC"))
    assert "".join(steps) != "AAAABBBBCCCC", "the last one starved"


async def alone() -> None:
    """One task, which has nobody to meet."""
    await asyncio.sleep(1)

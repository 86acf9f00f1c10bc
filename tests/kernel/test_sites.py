"""What a world notes of waits that are written in the wrong way: how long, how much, and at which line."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine

import pytest

from simkit.errors import RunEndedError
from simkit.kernel.world import World
from simkit.model.duration import NS_PER_MS, NS_PER_S

HERE = "tests/kernel/test_sites.py"


def line_of(function: Callable[..., object], behind: int) -> str:
    return f"{HERE}:{function.__code__.co_firstlineno + behind}"


def told(main: Callable[[], object], kind: str) -> list[dict[str, object]]:
    world = World()
    world.run(main)
    return [dict(event.values) for event in world.trace.of(kind)]


# -- loop.blocked ---------------------------------------------------------------------------------------
async def sleeps() -> None:
    await asyncio.sleep(1)
    time.sleep(2)


async def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(2, lock.release).start()
    with lock:
        pass


async def waits_for_its_own_thread() -> None:
    thread = threading.Thread(target=time.sleep, args=(2,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("main", "behind", "waits"),
    [(sleeps, 2, "time.sleep(2)"), (waits_for_a_lock, 4, "a lock"), (waits_for_its_own_thread, 3, "a lock")],
)
def test_a_callback_that_blocks_its_loop_is_noted_with_its_line(
    main: Callable[[], Coroutine[object, object, None]], behind: int, waits: str
) -> None:
    assert told(main, "loop.blocked") == [{"ns": 2 * NS_PER_S, "where": line_of(main, behind), "waits": waits}]


async def waits_well() -> None:
    await asyncio.sleep(1)
    await asyncio.to_thread(time.sleep, 2)
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 2)
    time.sleep(0)
    with threading.Lock():
        pass


def blocks_without_a_loop() -> None:
    time.sleep(2)
    asyncio.run(asyncio.sleep(1))
    time.sleep(2)


def runs_its_loop_in_a_thread() -> None:
    thread = threading.Thread(target=lambda: asyncio.run(asyncio.sleep(5)))
    thread.start()
    time.sleep(1)
    thread.join()


@pytest.mark.parametrize("main", [waits_well, blocks_without_a_loop, runs_its_loop_in_a_thread])
def test_a_thread_that_blocks_beside_a_loop_is_no_note_worth(main: Callable[[], object]) -> None:
    assert told(main, "loop.blocked") == []


def test_a_callback_that_never_comes_back_is_noted_before_the_run_ends() -> None:
    async def main() -> None:
        threading.Lock().acquire()
        await asyncio.sleep(0)
        time.sleep(100)

    world = World(horizon_ns=10 * NS_PER_S)
    with pytest.raises(RunEndedError):
        world.run(main)
    kinds = [event.kind for event in world.trace]
    assert kinds == ["loop.blocked", "run.end"]


# -- spin -----------------------------------------------------------------------------------------------
async def looks_at_the_clock() -> None:
    until = time.monotonic() + 0.011
    while time.monotonic() < until:
        pass


async def yields_without_end() -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.011
    while loop.time() < until:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("main", "where"),
    [(looks_at_the_clock, line_of(looks_at_the_clock, 2)), (yields_without_end, "")],
)
def test_very_much_at_one_instant_is_noted_now_and_then(
    main: Callable[[], Coroutine[object, object, None]], where: str
) -> None:
    alive = "alive: the main function only"
    assert told(main, "spin") == [{"steps": steps, "where": where, "alive": alive} for steps in (11_000, 21_000)]


def test_a_busy_program_whose_time_moves_on_is_no_spin() -> None:
    async def main() -> None:
        for _ in range(30_000):
            await asyncio.sleep(0.000_001)

    assert told(main, "spin") == []


def test_a_spin_in_a_task_names_who_is_alive() -> None:
    async def main() -> None:
        task = asyncio.create_task(yields_without_end(), name="poll")
        await task

    (first, *_) = told(main, "spin")
    assert (first["where"], first["alive"]) == ("", "alive: poll (yields_without_end)")


def test_the_time_that_a_spin_costs_is_what_it_was() -> None:
    world = World()
    world.run(looks_at_the_clock)
    assert world.clock.now_ns == 11 * NS_PER_MS

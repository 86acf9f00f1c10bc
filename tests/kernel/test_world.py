"""The world: how a run ends, what is recorded of it, and that nothing of it stays."""

from __future__ import annotations

import _thread
import asyncio
import datetime
import gc
import os
import queue
import random
import select
import signal
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from simkit.errors import RunEndedError, UsageError
from simkit.kernel.world import World
from simkit.model.plan import Plan
from simkit.model.trace import Trace
from tests.kernel.wire import serve_peer, steps

# Everything that a world replaces lives in one of these, or in a class of theirs.
OWNERS: tuple[Any, ...] = (
    *(asyncio, asyncio.events, datetime, gc, os, queue, random, select, socket, ssl, subprocess, threading, time, uuid),
    *(random.Random, socket.socket, ssl.SSLContext, asyncio.BaseEventLoop, asyncio.DefaultEventLoopPolicy),
)


@pytest.fixture(autouse=True, scope="module")
def clocks() -> None:
    """No clocks held over the tests of this file: what a run alone leaves behind is its subject."""


def attributes() -> dict[str, dict[str, object]]:
    return {
        getattr(owner, "__name__", ""): {
            k: v for k, v in vars(owner).items() if k not in ("__warningregistry__", "_inst")
        }
        for owner in OWNERS
    }


def ends(trace: Trace) -> list[tuple[int, object]]:
    return [(e.at_ns, e.get("reason")) for e in trace.of("run.end")]


def run_to_the_end(world: World, main: Callable[[], object]) -> str:
    with pytest.raises(RunEndedError) as caught:
        world.run(main)
    return caught.value.reason


async def orphans() -> str:
    async def server() -> None:
        await asyncio.get_running_loop().create_future()

    asyncio.create_task(server(), name="server")  # noqa: RUF006  # an orphan is what is wanted
    asyncio.create_task(asyncio.sleep(1000), name="sleeper")  # noqa: RUF006  # an orphan is what is wanted
    await asyncio.sleep(2)
    return "done"


def test_the_result_of_a_coroutine_function_and_of_a_blocking_one_comes_back() -> None:
    async def coroutine() -> float:
        await asyncio.sleep(1.5)
        return world.now

    def blocking() -> float:
        time.sleep(2.5)
        return world.now

    world = World()
    assert [world.run(coroutine), world.run(blocking)] == [1.5, 2.5]


def test_an_exception_comes_back_and_is_in_the_trace() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise KeyError("missing")

    world = World()
    with pytest.raises(KeyError, match="missing"):
        world.run(main)
    assert [(e.at_ns, e.get("reason"), e.get("text")) for e in world.trace.of("run.end")] == [
        (1_000_000_000, "raised", "KeyError: 'missing'")
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["task", "main", "callback", "blocking"])
def test_an_interrupt_passes_through_and_cleans_up(error: type[BaseException], where: str) -> None:
    async def stop() -> None:
        await asyncio.sleep(1)
        raise error

    async def in_task() -> None:
        task = asyncio.create_task(stop())  # an orphan is what is wanted
        await asyncio.sleep(5)
        await task

    async def in_callback() -> None:
        def stop_now() -> None:
            raise error

        asyncio.get_running_loop().call_later(1, stop_now)
        await asyncio.sleep(5)

    def in_blocking() -> None:
        threading.Thread(target=time.sleep, args=(9,)).start()
        time.sleep(1)
        raise error

    mains: dict[str, Callable[[], object]] = {"task": in_task, "main": stop, "callback": in_callback}
    before, threads, world = attributes(), threading.enumerate(), World()
    with pytest.raises(error):
        world.run(mains.get(where, in_blocking))
    assert (ends(world.trace), threading.enumerate()) == ([(1_000_000_000, "raised")], threads)
    assert attributes() == before


def test_control_c_in_an_idle_moment_passes_through() -> None:
    def main() -> None:
        threading.Thread(
            target=steps(lambda: time.sleep(1), lambda: signal.raise_signal(signal.SIGINT), lambda: time.sleep(1))
        ).start()
        time.sleep(10)

    before, world = threading.enumerate(), World()
    with pytest.raises(KeyboardInterrupt):
        world.run(main)
    assert (threading.enumerate(), world.run(lambda: "next")) == (before, "next")


def test_a_run_in_which_nothing_can_happen_any_more_is_a_deadlock() -> None:
    async def waits_for_ever() -> None:
        asyncio.create_task(asyncio.Event().wait(), name="helper")  # noqa: RUF006  # an orphan is what is wanted
        await asyncio.sleep(3)
        await asyncio.get_running_loop().create_future()

    world = World()
    with pytest.raises(RunEndedError, match="nothing can ever happen again") as caught:
        world.run(waits_for_ever)
    named = [part in caught.value.text for part in ("Task-1 (", "waits_for_ever", "helper (Event.wait)", "at 3.000s")]
    assert (caught.value.reason, named, ends(world.trace)) == ("deadlock", [True] * 4, [(3_000_000_000, "deadlock")])


def test_a_blocking_program_can_deadlock_too() -> None:
    assert run_to_the_end(World(), lambda: threading.Lock().acquire() and threading.Event().wait()) == "deadlock"


def test_a_run_past_the_horizon_is_ended_each_time_at_the_same_instant() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(7)

    world = World(horizon_ns=10**12)
    reasons = [(run_to_the_end(world, main), world.clock.now_ns >= 10**12, ends(world.trace)) for _ in range(3)]
    assert reasons == [("horizon", True, [(10**12, "horizon")])] * 3


def test_a_spin_that_reaches_the_horizon_is_a_livelock() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    world = World(horizon_ns=20_000_000)
    assert (run_to_the_end(world, main), ends(world.trace)) == ("livelock", [(20_000_000, "livelock")])


def test_a_run_of_too_many_steps_is_a_livelock() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(1)

    world = World(steps_max=1_000)
    assert run_to_the_end(world, main) == "livelock"


def test_an_end_that_the_main_function_swallows_is_still_the_end() -> None:
    async def main() -> str:
        try:
            await asyncio.open_connection("nowhere.example.com", 80)
        except BaseException:  # noqa: BLE001  # the worst that an agent can do
            pass
        return "fine"

    assert run_to_the_end(World(), main) == "undeclared_host"


def test_an_ended_run_tells_nobody_of_errors_that_it_made_itself(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        await asyncio.open_connection("nowhere.example.com", 80)

    gc.collect()
    caplog.clear()
    world = World()
    reason = run_to_the_end(world, main)
    gc.collect()
    assert (reason, [r.message for r in caplog.records], world.trace.of("lost.error")) == ("undeclared_host", [], [])


def test_orphans_are_recorded_before_teardown_in_the_order_of_their_making() -> None:
    world = World()
    assert world.run(orphans) == "done"
    assert [(e.at_ns, e.get("what"), e.get("name")) for e in world.trace.of("orphan")] == [
        (2_000_000_000, "task", "server (orphans.<locals>.server)"),
        (2_000_000_000, "task", "sleeper (sleep)"),
    ]


def test_what_teardown_does_is_not_in_the_trace() -> None:
    log = list[str]()

    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                log.append("no")
        log.append("well then")

    async def main() -> None:
        asyncio.create_task(stubborn(), name="stubborn")  # noqa: RUF006  # an orphan is what is wanted
        await asyncio.sleep(1)

    world = World()
    world.run(main)
    assert log == ["no", "no", "no", "well then"]
    assert [(e.at_ns, e.kind) for e in world.trace] == [(10**9, "run.end"), (10**9, "orphan")]


def test_a_task_that_ignores_every_cancellation_does_not_hang_and_ends_inside() -> None:
    log = list[object]()

    async def immortal() -> None:
        try:
            while True:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    pass
        finally:
            log.append(datetime.datetime.now().year)

    async def main() -> None:
        asyncio.create_task(immortal(), name="immortal")  # noqa: RUF006  # an orphan is what is wanted
        await asyncio.sleep(1)

    world = World()
    world.run(main)
    assert (log, [e.get("name") for e in world.trace.of("orphan")]) == (
        [2026],
        ["immortal (" + immortal.__qualname__ + ")"],
    )


def test_two_runs_of_one_world_are_the_same_run() -> None:
    async def main() -> None:
        reader, writer = await asyncio.open_connection("peer.example.com", 80)
        await asyncio.gather(asyncio.to_thread(time.sleep, random.random()), asyncio.sleep(1))
        assert await reader.read(100) == b"hello"
        writer.close()
        await orphans()

    world = World(seed=3)
    serve_peer(world, first=b"hello", latency_ns=5_000_000)
    traces = list[Trace]()
    for _ in range(3):
        world.run(main)
        traces.append(world.trace)
    assert traces == [traces[0]] * 3


def test_a_plan_overrides_the_seed() -> None:
    def draw() -> float:
        return random.random()

    assert World(seed=1, plan=Plan(seed=2)).run(draw) == World(seed=2).run(draw)


def test_a_run_inside_a_run_is_refused_and_the_outer_one_goes_on() -> None:
    world = World()

    def main() -> list[str]:
        said = list[str]()
        for inner in (world, World()):
            try:
                inner.run(lambda: None)
            except UsageError as error:
                said.append(str(error))
        time.sleep(5)
        return [*said, str(world.now)]

    before = attributes()
    assert world.run(main) == [
        "this world is running already - one world runs one main at a time",
        "a world cannot be entered from inside another - end the outer one first",
        "5.0",
    ]
    assert attributes() == before


def test_a_run_beside_a_run_has_a_clock_of_its_own() -> None:
    def outsider() -> None:
        with gate:
            seen.append(World().run(steps(lambda: time.sleep(5), lambda: time.monotonic())))
        done.release()

    # Locks from outside: the world's main thread waits in real time, while the other thread has a run of its own.
    seen, gate, done = list[float](), _thread.allocate_lock(), _thread.allocate_lock()
    gate.acquire()
    done.acquire()
    thread = threading.Thread(target=outsider)
    thread.start()
    own = World().run(steps(lambda: time.sleep(2), gate.release, done.acquire, lambda: time.monotonic()))
    thread.join()
    assert ([*seen, own], vars(time)["sleep"].__module__) == ([5.0, 2.0], "time")


@pytest.mark.parametrize("main", [orphans, lambda: time.sleep(1), lambda: dict[str, str]()["no"]])
def test_everything_that_was_replaced_is_given_back(main: Callable[[], object]) -> None:
    World().run(lambda: None)
    before = attributes()
    try:
        World().run(main)
    except KeyError:
        pass
    assert {
        owner: [name for name in {**was, **now} if was.get(name, "absent") is not now.get(name, "absent")]
        for (owner, was), now in zip(before.items(), attributes().values(), strict=True)
    } == {owner: [] for owner in before}


def test_the_state_of_chance_and_of_the_collector_is_restored() -> None:
    random.seed(5)
    state, collecting = random.getstate(), gc.isenabled()
    inside = World().run(lambda: (random.random(), gc.isenabled()))
    assert (inside[1], random.getstate() == state, gc.isenabled()) == (False, True, collecting)
    gc.disable()
    try:
        World().run(lambda: None)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_no_thread_stays_after_a_run() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 1) for _ in range(5)))
        loop.run_in_executor(None, threading.Event().wait)

    before = threading.enumerate()
    World().run(main)
    assert threading.enumerate() == before


def test_threads_that_can_go_on_when_the_main_function_ends_do_so_first() -> None:
    world = World()

    def main() -> None:
        event = threading.Event()
        threading.Thread(target=event.wait).start()
        time.sleep(1)
        event.set()

    world.run(main)
    assert [e.kind for e in world.trace] == ["thread.start", "thread.end", "run.end"]


def test_now_is_readable_before_during_and_after_a_run() -> None:
    world = World()
    seen = [world.now]
    world.run(steps(lambda: time.sleep(3), lambda: seen.append(world.now)))
    assert [*seen, world.now] == [0.0, 3.0, 3.0]


def test_the_steps_of_a_run_are_the_same_whatever_ran_before_it() -> None:
    def traces() -> list[Trace]:
        world = World()
        world.run(orphans)
        return [world.trace]

    first = traces()
    World(seed=9).run(lambda: [random.random() for _ in range(10)])
    assert traces() == first

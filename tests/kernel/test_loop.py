"""The loop: asyncio's own promises, in virtual time."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from simkit.kernel.loop import SimEventLoop
from simkit.kernel.world import World
from tests.kernel.wire import Diary, serve_peer, steps

Log = list[tuple[float, object]]


def losses(world: World) -> list[tuple[object, object]]:
    return [(e.get("error"), e.get("text")) for e in world.trace.of("lost.error")]


def test_a_thousand_equal_sleeps_end_in_the_order_of_their_start() -> None:
    async def main() -> list[int]:
        ended = list[int]()

        async def sleeper(number: int) -> None:
            await asyncio.sleep(0.1 + 0.2)
            ended.append(number)

        await asyncio.gather(*(sleeper(n) for n in range(1_000)))
        return ended

    assert World().run(main) == list(range(1_000))


def test_sleeps_take_virtual_time_and_no_more() -> None:
    async def main() -> Log:
        log: Log = []

        async def sleeper(name: str, *spans: float) -> None:
            for span in spans:
                await asyncio.sleep(span)
                log.append((asyncio.get_running_loop().time(), name))

        await asyncio.gather(sleeper("a", 1, 2), sleeper("b", 2, 2), sleeper("c", 3600))
        return log

    assert World().run(main) == [(1, "a"), (2, "b"), (3, "a"), (4, "b"), (3600, "c")]


def test_a_timer_for_an_instant_that_is_over_fires_at_once() -> None:
    async def main() -> Log:
        loop, log = asyncio.get_running_loop(), Log()
        await asyncio.sleep(1)
        loop.call_later(-5, lambda: log.append((loop.time(), "later")))
        loop.call_at(0.5, lambda: log.append((loop.time(), "at")))
        await asyncio.sleep(0.25)
        return log

    assert World().run(main) == [(1.0, "later"), (1.0, "at")]


def test_wait_for_and_timeout_strike_at_their_exact_instant() -> None:
    async def main() -> Log:
        loop, log = asyncio.get_running_loop(), Log()
        for name, span in (("wait_for", 0.1), ("again", 0.2)):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.create_future(), span)
            log.append((loop.time(), name))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(5.000000001)
        log.append((loop.time(), "timeout"))
        return log

    assert World().run(main) == [(0.1, "wait_for"), (0.1 + 0.2, "again"), (0.1 + 0.2 + 5, "timeout")]


def test_bytes_of_an_instant_come_before_timers_of_it() -> None:
    world = World()
    peers = serve_peer(world)

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        transport, diary = await loop.create_connection(Diary, "peer.example.com", 80)
        loop.call_later(1, diary.calls.append, "timer armed before")
        client = peers[0].endpoint.peer
        world.call_later_ns(1_000_000_000, lambda: client.receiver.received(b"bytes"))
        loop.call_later(1, diary.calls.append, "timer armed after")
        await asyncio.sleep(2)
        transport.close()
        return list(diary.calls)

    assert world.run(main) == ["made", b"bytes", "timer armed before", "timer armed after"]


def test_call_soon_threadsafe_wakes_an_idle_loop() -> None:
    async def main() -> Log:
        loop, log, done = asyncio.get_running_loop(), Log(), asyncio.Event()

        def worker() -> None:
            time.sleep(2.5)
            loop.call_soon_threadsafe(steps(lambda: log.append((loop.time(), "called")), done.set))

        threading.Thread(target=worker).start()
        await asyncio.wait_for(done.wait(), 100)
        return log

    assert World().run(main) == [(2.5, "called")]


def test_a_loop_thread_that_sleeps_is_not_woken_by_bytes_or_callbacks() -> None:
    world = World()
    serve_peer(world, first=b"hello", latency_ns=1_000_000_000)

    async def main() -> Log:
        loop, log = asyncio.get_running_loop(), Log()
        transport, diary = await loop.create_connection(Diary, "peer.example.com", 80)
        threading.Timer(0.5, loop.call_soon_threadsafe, (log.append, (0, "called"))).start()
        time.sleep(5)
        log.append((loop.time(), list(diary.calls)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        transport.close()
        return [*log, (loop.time(), list(diary.calls))]

    assert world.run(main) == [(7.0, ["made"]), (0, "called"), (7.0, ["made", b"hello"])]


def test_a_lock_that_the_loop_thread_waits_for_is_held_when_it_goes_on() -> None:
    async def main() -> tuple[float, bool]:
        loop, lock = asyncio.get_running_loop(), threading.Lock()

        def worker() -> None:
            with lock:
                time.sleep(1)
                loop.call_soon_threadsafe(print)
                time.sleep(1)

        future = loop.run_in_executor(None, worker)
        await asyncio.sleep(0.5)
        taken = lock.acquire()
        when = loop.time()
        lock.release()
        await future
        return when, taken

    assert World().run(main) == (2.0, True)


def test_a_busy_loop_until_an_instant_ends_there_because_spinning_costs_time() -> None:
    async def main() -> tuple[float, bool]:
        loop = asyncio.get_running_loop()
        end, rounds = loop.time() + 0.05, 0
        while loop.time() < end:
            await asyncio.sleep(0)
            rounds += 1
        return loop.time(), rounds > 10_000

    when, spun = World().run(main)
    assert (round(when, 9), spun) == (0.05, True)


def test_spinning_past_an_event_lets_it_happen_and_time_goes_on() -> None:
    world = World()

    async def main() -> Log:
        loop, log = asyncio.get_running_loop(), Log()
        # Due while the spin's millisecond is charged, and noticed only when the spin is over.
        world.call_at_ns(500_000, lambda: log.append((world.clock.now_ns, "event")))
        while loop.time() < 0.001:
            await asyncio.sleep(0)
        await asyncio.sleep(1)
        return log

    assert world.run(main) == [(1_000_000, "event")]


def test_cancelled_timers_are_swept() -> None:
    async def main() -> tuple[int, int]:
        loop: Any = asyncio.get_running_loop()
        for _ in range(1_000):
            loop.call_later(1e6, print).cancel()
        kept = loop.call_later(1e6, print)
        before = len(loop._timers)
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        after = len(loop._timers)
        kept.cancel()
        return before, after

    assert World().run(main) == (1_001, 1)


def test_events_that_were_cancelled_do_not_pile_up_on_the_agenda() -> None:
    world = World()

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        # Each of these waits has a distant deadline and is woken by a thread before it.
        loop.call_later(1e4, print)
        for _ in range(5_000):
            world.call_later_ns(10**15, lambda: None).cancel()
        return len(world._agenda) < 2_000

    assert world.run(main)


def test_task_names_are_counted_for_each_run() -> None:
    world = World()

    async def main() -> list[str]:
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(2)]
        tasks.append(asyncio.create_task(asyncio.sleep(0), name="mine"))
        await asyncio.gather(*tasks)
        current = asyncio.current_task()
        assert current is not None
        return [current.get_name(), *(t.get_name() for t in tasks)]

    assert [world.run(main) for _ in range(2)] == [["Task-1", "Task-2", "Task-3", "mine"]] * 2


def test_an_exhausted_generator_is_closed_and_a_dropped_one_is_finalized_at_the_end() -> None:
    log = list[str]()

    async def numbers(name: str) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            log.append(name)

    async def main() -> None:
        async for _ in numbers("exhausted"):
            pass
        kept.append(numbers("kept"))
        async for _ in kept[0]:
            break
        log.append("main ends")

    kept = list[AsyncIterator[int]]()
    World().run(main)
    assert log == ["exhausted", "main ends", "kept"]


def test_debug_mode_works_and_finds_a_call_from_the_wrong_thread() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        await asyncio.sleep(1)
        await asyncio.gather(*(asyncio.create_task(asyncio.sleep(n)) for n in range(3)))
        try:
            await asyncio.to_thread(loop.call_soon, print)
        except RuntimeError as error:
            return f"{loop.time()}: {error}"
        return "nothing"

    assert World().run(main).startswith("3.0: Non-thread-safe operation")


def test_a_task_made_in_debug_mode_knows_who_made_it() -> None:
    async def main() -> str:
        asyncio.get_running_loop().set_debug(True)
        task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
        await task
        last: Any = task._source_traceback[-1]  # type: ignore[attr-defined]
        return str(last.name)

    assert World().run(main) == "main"


if sys.version_info >= (3, 12):  # eager tasks came with it

    def test_eager_tasks_run_at_once_and_keep_their_hash() -> None:
        async def main() -> list[object]:
            loop, log, seen = asyncio.get_running_loop(), list[object](), set[object]()
            loop.set_task_factory(asyncio.eager_task_factory)

            async def eager(name: str) -> None:
                task = asyncio.current_task()
                seen.add(task)
                log.append(name)
                await asyncio.sleep(1)
                log.append(task in seen)

            tasks = [asyncio.create_task(eager(n)) for n in "ab"]
            log.append("made")
            await asyncio.gather(*tasks)
            return [*log, *(t.get_name() for t in tasks)]

        assert World().run(main) == ["a", "b", "made", True, True, "Task-2", "Task-3"]


def test_a_users_own_task_factory_is_used_and_its_orphans_are_recorded() -> None:
    world = World()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro, **more: asyncio.Task(coro, loop=loop))
        loop.call_soon(print)
        orphans.append(asyncio.create_task(asyncio.sleep(9)))

    orphans = list[asyncio.Task[None]]()
    world.run(main)
    assert [str(e.get("name")).split("(")[1] for e in world.trace.of("orphan")] == ["sleep)"]


def test_contexts_belong_to_tasks_and_callbacks() -> None:
    who = contextvars.ContextVar("who", default="nobody")

    async def main() -> list[str]:
        loop, log = asyncio.get_running_loop(), list[str]()

        async def child(name: str) -> None:
            log.append(who.get())
            who.set(name)
            await asyncio.sleep(1)
            log.append(who.get())

        who.set("main")
        other = contextvars.copy_context()
        other.run(who.set, "other")
        loop.call_soon(lambda: log.append(who.get()), context=other)
        await asyncio.gather(child("a"), child("b"))
        return [*log, who.get(), await asyncio.to_thread(who.get)]

    assert World().run(main) == ["other", "main", "main", "a", "b", "main", "main"]


def test_what_arrives_is_handed_over_in_the_context_that_opened_the_connection() -> None:
    world = World()
    peers = serve_peer(world)
    who = contextvars.ContextVar("who", default="nobody")

    class Asking(Diary):
        def data_received(self, data: bytes) -> None:
            self.calls.append(who.get())

    async def client(name: str) -> list[object]:
        who.set(name)
        transport, diary = await asyncio.get_running_loop().create_connection(Asking, "peer.example.com", 80)
        await asyncio.sleep(2)
        transport.close()
        return list(diary.calls)

    async def main() -> list[list[object]]:
        world.call_later_ns(10**9, lambda: steps(*(partial(p.endpoint.send, b"x") for p in peers))())
        return list(await asyncio.gather(client("a"), client("b")))

    assert world.run(main) == [["made", "a"], ["made", "b"]]


def test_an_exception_that_reaches_the_handler_is_a_lost_error() -> None:
    world = World()

    async def main() -> list[object]:
        loop, told = asyncio.get_running_loop(), list[object]()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"].args[0]))
        loop.call_soon(lambda: [][1])
        await asyncio.sleep(0)
        return told

    assert world.run(main) == ["list index out of range"]
    assert [(e, str(t).endswith("IndexError: list index out of range")) for e, t in losses(world)] == [
        ("IndexError", True)
    ]


def test_an_exception_that_nobody_retrieved_is_a_lost_error(caplog: pytest.LogCaptureFixture) -> None:
    world = World()

    async def fail() -> None:
        raise ValueError("nobody asks")

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(1)
        del task

    with caplog.at_level(logging.CRITICAL, "asyncio"):
        world.run(main)
    assert [(e.at_ns, e.get("error"), str(e.get("where")).split(":")[0]) for e in world.trace.of("lost.error")] == [
        (1_000_000_000, "ValueError", "tests/kernel/test_loop.py")
    ]


def test_many_tasks_cost_no_more_each_than_few() -> None:
    async def main() -> int:
        tasks = {asyncio.create_task(asyncio.sleep(1)) for _ in range(500)}
        # asyncio keeps every task in a set of weak references: equal hashes would make that a list.
        return len({hash(task) for task in tasks})

    assert World().run(main) == 500


def test_a_hash_does_not_change_while_a_task_lives() -> None:
    async def main() -> list[bool]:
        gc.collect()
        task = asyncio.create_task(asyncio.sleep(1))
        known = {task: "known"}
        await asyncio.sleep(0.5)
        before = known.get(task) == "known"
        await task
        return [before, known.get(task) == "known", task in asyncio.all_tasks()]

    assert World().run(main) == [True, True, False]


def test_stop_ends_run_forever_after_the_present_round() -> None:
    def main() -> list[str]:
        log = list[str]()
        loop = SimEventLoop(world)
        loop.call_soon(log.append, "first")
        loop.call_soon(loop.stop)
        loop.call_soon(log.append, "same round")
        loop.call_later(0.5, log.append, "later")
        loop.run_forever()
        log.append("stopped")
        loop.call_later(1, loop.stop)
        loop.run_forever()
        loop.close()
        return log

    world = World()
    assert world.run(main) == ["first", "same round", "stopped", "later"]


def test_what_no_callback_could_do_is_warned_about_as_in_asyncio() -> None:
    async def never() -> None: ...

    async def main() -> None:
        never()  # type: ignore[unused-coroutine]
        gc.collect(0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        World().run(main)
    assert [str(w.message) for w in caught if "never awaited" in str(w.message)] != []

"""Simulated threads: real ones, of which one runs at a time, in virtual time."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import functools
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import NotSimulatedError, RunEndedError
from simkit.kernel.threads import SimLock
from simkit.kernel.world import World
from simkit.model.trace import Trace
from tests.kernel.wire import steps

Log = list[tuple[float, object]]


def run(program: Callable[[Callable[[object], None]], object]) -> Log:
    """Run a blocking program that writes who was where at which second."""
    log: Log = []
    World().run(lambda: program(lambda who: log.append((time.monotonic(), who))))
    return log


def start(*targets: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def facts(trace: Trace, *kinds: str) -> list[tuple[str, object]]:
    return [(e.kind, e.get("name")) for e in trace.of(*kinds)]


def test_sleeping_threads_wake_in_the_order_of_their_instants() -> None:
    def program(note: Callable[[object], None]) -> None:
        def sleeper(name: str, *spans: float) -> None:
            for span in spans:
                time.sleep(span)
                note(name)

        a = functools.partial(sleeper, "a", 0.1, 0.2, 0.3)
        for thread in start(a, functools.partial(sleeper, "b", 0.25, 3600)):
            thread.join()
        note("joined")

    assert [(round(when, 9), who) for when, who in run(program)] == [
        (0.1, "a"),
        (0.25, "b"),
        (0.3, "a"),
        (0.6, "a"),
        (3600.25, "b"),
        (3600.25, "joined"),
    ]


def test_to_thread_with_a_sleep_takes_virtual_time_beside_the_loop() -> None:
    async def main() -> Log:
        log: Log = []

        async def job(name: str, span: float) -> None:
            await asyncio.to_thread(time.sleep, span)
            log.append((asyncio.get_running_loop().time(), name))

        async with asyncio.TaskGroup() as group:
            for name, span in (("slow", 3), ("fast", 1), ("middle", 2)):
                group.create_task(job(name, span))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 60), 4.5)
        log.append((asyncio.get_running_loop().time(), "gave up"))
        return log

    assert World().run(main) == [(1, "fast"), (2, "middle"), (3, "slow"), (7.5, "gave up")]


def test_a_queue_gives_in_order_and_times_out_at_the_exact_instant() -> None:
    def program(note: Callable[[object], None]) -> None:
        box = queue.Queue[str](maxsize=1)

        def producer() -> None:
            for item in "abc":
                box.put(item)
                note(f"put {item}")

        start(producer)
        time.sleep(0.1)
        for _ in range(3):
            note(f"got {box.get()}")
            time.sleep(0.1)
        try:
            box.get(timeout=0.2)
        except queue.Empty:
            note("empty")

    log = run(program)
    assert [(round(when, 9), who) for when, who in log] == [
        (0.0, "put a"),
        (0.1, "got a"),
        (0.1, "put b"),
        (0.2, "got b"),
        (0.2, "put c"),
        (0.3, "got c"),
        (0.6, "empty"),
    ]


@given(st.floats(0, 1e4), st.lists(st.floats(0, 1e4), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_timed_wait_takes_its_nanoseconds_and_does_not_spin(before: float, spans: list[float]) -> None:
    world = World(horizon_ns=10**15)

    def main() -> int:
        time.sleep(before)
        start_ns = time.monotonic_ns()
        for span in spans:
            with pytest.raises(queue.Empty):
                queue.Queue[None]().get(timeout=span)
            condition = threading.Condition()
            with condition:
                condition.wait_for(lambda: False, timeout=span)
        return abs(time.monotonic_ns() - start_ns - sum(round(span * 1e9) for span in spans) * 2)

    # A nanosecond each is what a float of this size can lose on the way through the standard library.
    assert world.run(main) <= 4 * len(spans)
    assert world._steps < 20 * len(spans)


def test_an_event_is_waited_for_no_longer_than_its_timeout() -> None:
    def program(note: Callable[[object], None]) -> None:
        event = threading.Event()
        note(event.wait(0.1))
        note(event.wait(0.2))
        threading.Timer(5, event.set).start()
        note(event.wait(60))
        note(event.wait())

    assert run(program) == [(0.1, False), (0.1 + 0.2, False), (0.1 + 0.2 + 5, True), (0.1 + 0.2 + 5, True)]


def test_a_condition_wakes_one_waiter_or_all() -> None:
    def program(note: Callable[[object], None]) -> None:
        condition = threading.Condition()

        def waiter(name: str) -> None:
            with condition:
                condition.wait()
                note(name)

        threads = start(*(functools.partial(waiter, n) for n in "abc"))
        time.sleep(1)
        with condition:
            condition.notify()
        time.sleep(1)
        with condition:
            condition.notify_all()
        for thread in threads:
            thread.join()

    assert run(program) == [(1, "a"), (2, "b"), (2, "c")]


def test_a_semaphore_a_barrier_and_a_reentrant_lock_hold_in_virtual_time() -> None:
    def program(note: Callable[[object], None]) -> None:
        semaphore, barrier, lock = threading.Semaphore(2), threading.Barrier(3), threading.RLock()

        def worker(name: str, span: float) -> None:
            with semaphore:
                time.sleep(span)
            note(name)
            barrier.wait()
            with lock, lock:
                time.sleep(1)
            note(name)

        for thread in start(*(functools.partial(worker, n, s) for n, s in (("a", 1), ("b", 2), ("c", 3)))):
            thread.join()

    assert run(program) == [(1, "a"), (2, "b"), (4, "c"), (5, "c"), (6, "a"), (7, "b")]


def test_join_waits_no_longer_than_its_timeout() -> None:
    def program(note: Callable[[object], None]) -> None:
        (thread,) = start(lambda: time.sleep(1))
        thread.join(0.3)
        note(thread.is_alive())
        thread.join()
        note(thread.is_alive())
        thread.join(5)
        note("joined again")

    assert run(program) == [(0.3, True), (1, False), (1, "joined again")]


def test_a_pool_runs_jobs_side_by_side_and_a_future_times_out() -> None:
    def program(note: Callable[[object], None]) -> None:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            slow, fast = pool.submit(time.sleep, 10), pool.submit(time.sleep, 2)
            try:
                slow.result(timeout=0.5)
            except concurrent.futures.TimeoutError:
                note("not yet")
            done, _ = concurrent.futures.wait([slow, fast], return_when=concurrent.futures.FIRST_COMPLETED)
            note(done == {fast})
            note(list(pool.map(lambda n: steps(lambda: time.sleep(n), lambda: n)(), [3, 1])))
        note("shut down")

    assert run(program) == [(0.5, "not yet"), (2, True), (6, [3, 1]), (10, "shut down")]


def test_a_coroutine_is_run_from_a_worker() -> None:
    async def main() -> tuple[float, str]:
        loop = asyncio.get_running_loop()

        async def answer() -> str:
            await asyncio.sleep(2)
            return "42"

        def worker() -> str:
            with pytest.raises(concurrent.futures.TimeoutError):
                asyncio.run_coroutine_threadsafe(asyncio.sleep(100), loop).result(timeout=1)
            return asyncio.run_coroutine_threadsafe(answer(), loop).result(timeout=5)

        result = await asyncio.to_thread(worker)
        return loop.time(), result

    assert World().run(main) == (3.0, "42")


def test_anyio_goes_to_threads_and_back() -> None:
    world = World()

    async def main() -> Log:
        log: Log = []

        async def back(name: str) -> None:
            await anyio.sleep(1)
            log.append((anyio.current_time(), name))

        def job(name: str) -> None:
            time.sleep(0.5)
            anyio.from_thread.run(back, name)

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, job, "a")
            group.start_soon(anyio.to_thread.run_sync, job, "b")
        with anyio.move_on_after(3):
            await anyio.sleep_forever()
        log.append((anyio.current_time(), "moved on"))
        return log

    assert world.run(main) == [(1.5, "a"), (1.5, "b"), (4.5, "moved on")]
    # Its idle workers end with the task that started them, so they are nobody's orphans.
    assert world.trace.of("orphan") == []


def test_an_exception_in_a_job_comes_back_and_one_in_a_thread_is_a_lost_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, told = World(), list[str]()
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))

    def fail(text: str) -> None:
        time.sleep(1)
        raise ValueError(text)

    async def main() -> str:
        threading.Thread(target=fail, args=("nobody hears",), name="loner").start()
        try:
            await asyncio.to_thread(fail, "comes back")
        except ValueError as error:
            return str(error)
        return ""

    assert world.run(main) == "comes back"
    assert told == ["nobody hears"]
    assert [(e.at_ns, e.get("text")) for e in world.trace.of("lost.error")] == [
        (1_000_000_000, "exception in thread loner: ValueError: nobody hears")
    ]


def test_a_thread_that_exits_has_lost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    # The runner's own hook, unlike Python's, takes an exit for an error.
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    world.run(lambda: join(start(sys.exit)))
    assert world.trace.of("lost.error") == []


def test_names_are_the_same_in_every_run() -> None:
    def names() -> list[str]:
        threads = start(lambda: None, lambda: time.sleep(1))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            inside = pool.submit(lambda: threading.current_thread().name).result()
        for thread in threads:
            thread.join()
        return [*(t.name for t in threads), inside, threading.current_thread().name]

    main = threading.current_thread().name
    expected = ["Thread-1 (<lambda>)", "Thread-2 (<lambda>)", "ThreadPoolExecutor-0_0", main]
    assert [World().run(names) for _ in range(2)] == [expected] * 2


def test_a_deadlock_of_two_threads_is_told_with_both() -> None:
    def main() -> None:
        one, two = threading.Lock(), threading.Lock()

        def worker(first: threading.Lock, second: threading.Lock) -> None:
            with first:
                time.sleep(1)
                with second:
                    pass

        threads = start(functools.partial(worker, one, two), functools.partial(worker, two, one))
        threads[0].join()

    with pytest.raises(RunEndedError) as caught:
        World().run(main)
    assert (caught.value.reason, caught.value.text) == (
        "deadlock",
        "nothing can ever happen again: thread Thread-1 waits for a lock; thread Thread-2 waits for a lock (at 1.000s)",
    )


def test_threads_that_are_left_are_orphans_and_ended() -> None:
    world, before, log = World(), threading.enumerate(), list[object]()

    def stay() -> None:
        try:
            time.sleep(1e5)
        finally:
            log.append(time.monotonic())

    def main() -> None:
        start(stay, threading.Event().wait, lambda: queue.Queue[None]().get())
        time.sleep(1)

    world.run(main)
    assert (threading.enumerate(), log) == (before, [1.0])
    assert [(e.get("what"), e.get("name"), e.get("waits")) for e in world.trace.of("orphan")] == [
        ("thread", "Thread-1 (stay)", "time.sleep(100000.0)"),
        ("thread", "Thread-2 (wait)", "a lock"),
        ("thread", "Thread-3 (<lambda>)", "a lock"),
    ]


def test_the_end_of_a_thread_is_no_error_that_anybody_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.run(lambda: start(lambda: time.sleep(9)))
    assert (capfd.readouterr().err, world.trace.of("lost.error")) == ("", [])


def test_a_thread_that_ends_by_starting_another_leaves_none() -> None:
    before = threading.enumerate()

    def last_words() -> None:
        try:
            time.sleep(1e5)
        finally:
            threading.Thread(target=time.sleep, args=(1e5,)).start()

    World().run(lambda: start(last_words))
    assert threading.enumerate() == before


# In a process of its own, since the thread stays.
STUBBORN = """
import threading, time
from simkit.kernel.world import World

def stubborn():
    while True:
        try:
            time.sleep(1)
        except BaseException:
            pass

world = World()
world.run(lambda: threading.Thread(target=stubborn, name="stubborn").start())
print([e.get("name") for e in world.trace.of("orphan")], World().run(lambda: time.sleep(1) or "next"))
"""


def test_a_thread_that_will_not_end_is_left_behind_and_holds_up_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("['stubborn'] next\n", "", 0)


def test_a_busy_worker_of_the_loops_pool_is_an_orphan_and_an_idle_one_is_none() -> None:
    world = World()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(asyncio.to_thread(time.sleep, 1), asyncio.to_thread(time.sleep, 1))
        loop.run_in_executor(None, time.sleep, 1000)

    world.run(main)
    assert [(e.get("name"), e.get("waits")) for e in world.trace.of("orphan")] == [("asyncio_0", "time.sleep(1000)")]


def test_a_thread_made_outside_is_refused_by_name() -> None:
    thread = threading.Thread(target=print)
    with pytest.raises(NotSimulatedError, match="a Thread that was made outside the world"):
        World().run(thread.start)
    assert thread not in threading.enumerate()


def test_starts_and_ends_are_in_the_trace() -> None:
    world = World()
    world.run(lambda: join(start(lambda: time.sleep(2), lambda: time.sleep(1))))
    assert facts(world.trace, "thread.start", "thread.end") == [
        ("thread.start", "Thread-1 (<lambda>)"),
        ("thread.start", "Thread-2 (<lambda>)"),
        ("thread.end", "Thread-2 (<lambda>)"),
        ("thread.end", "Thread-1 (<lambda>)"),
    ]


def test_thread_locals_are_each_threads_own() -> None:
    def main() -> list[str]:
        local, seen = threading.local(), list[str]()

        def worker(name: str) -> None:
            local.name = name
            time.sleep(1)
            seen.append(local.name)

        for thread in start(*(functools.partial(worker, n) for n in "ab")):
            thread.join()
        return [*seen, getattr(local, "name", "none")]

    assert World().run(main) == ["a", "b", "none"]


# -- the lock ---------------------------------------------------------------------------------------------------------
def test_a_lock_refuses_what_the_real_one_refuses() -> None:
    def main() -> list[str]:
        lock, said = threading.Lock(), list[str]()
        calls: list[Callable[[], object]] = [
            lambda: lock.acquire(False, 1),
            lambda: lock.acquire(True, -2),
            lock.release,
            lambda: time.sleep(-1),
        ]
        for call in calls:
            with pytest.raises((ValueError, RuntimeError)) as caught:
                call()
            said.append(str(caught.value))
        return said

    assert World().run(main) == [
        "can't specify a timeout for a non-blocking call",
        "timeout value must be a non-negative number",
        "release unlocked lock",
        "sleep length must be non-negative",
    ]


def test_a_lock_that_is_not_given_in_time_is_not_taken() -> None:
    def program(note: Callable[[object], None]) -> None:
        lock = threading.Lock()
        lock.acquire()
        threading.Timer(2, lock.release).start()
        note(lock.acquire(blocking=False))
        note(lock.acquire(timeout=1.5))
        note(lock.acquire(timeout=1.5))
        note(lock.locked())

    assert run(program) == [(0, False), (1.5, False), (2, True), (2, True)]


def test_a_lock_that_outlives_its_world_serves_outside_and_in_the_next() -> None:
    kept = list[Any]()

    def first() -> None:
        kept.append(threading.Lock())
        # Still held when the world ends.
        kept[0].acquire()

    World().run(first)
    lock = kept[0]
    assert isinstance(lock, SimLock)
    outside = [lock.acquire(timeout=0.01), lock.acquire(blocking=False)]
    lock.release()
    outside.append(lock.acquire(timeout=0.01))
    lock.release()
    assert (outside, World().run(lambda: lock.acquire(timeout=1))) == ([True, False, True], True)


def test_threads_from_outside_keep_the_real_primitives() -> None:
    def outsider() -> None:
        began = time.perf_counter()
        time.sleep(0.001)
        seen.append((time.perf_counter() - began > 0.0005, isinstance(threading.Lock(), SimLock)))
        ready.release()

    # Locks from outside: waiting for one blocks the world's thread for real, while the outsider runs.
    seen, ready, go = list[tuple[bool, bool]](), _thread.allocate_lock(), _thread.allocate_lock()
    ready.acquire()
    go.acquire()
    thread = threading.Thread(target=steps(go.acquire, outsider))
    thread.start()

    def main() -> None:
        go.release()
        ready.acquire()

    World().run(main)
    thread.join()
    assert seen == [(True, False)]

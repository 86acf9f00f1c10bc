"""Code that never comes back to the world is named and ended, whoever it is."""

import itertools
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from simkit.errors import RunEndedError
from simkit.kernel import watchdog
from simkit.kernel.world import World

# Made outside every world: to wait for it is to wait in real time.
OUTSIDE = threading.Lock()


# A thread that comes back after its world has ended gets SystemExit, which Python says nothing about; pytest does.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def watched() -> World:
    world = World()
    world.patience_s = 0.3
    return world


def spins() -> None:
    while True:
        pass


def waits_for_a_real_lock() -> None:
    OUTSIDE.acquire()
    OUTSIDE.acquire()


async def spins_in_a_coroutine() -> None:
    spins()


def in_a_thread(blocks: Callable[[], None]) -> Callable[[], None]:
    def main() -> None:
        thread = threading.Thread(target=blocks, name="worker")
        thread.start()
        thread.join()

    return main


def others_at_work_here() -> list[int]:
    """Return the threads, other than this one, that stand in a function of this file."""
    stacks = {ident: list(traceback.walk_stack(frame)) for ident, frame in sys._current_frames().items()}
    here = {ident for ident, stack in stacks.items() if any(f.f_code.co_filename == __file__ for f, _ in stack)}
    return sorted(here - {threading.get_ident()})


@pytest.fixture(autouse=True)
def nobody_stays_behind() -> Any:
    """A thread that is told to end does so at its next line, and must not do it in somebody else's test."""
    yield
    if OUTSIDE.locked():
        OUTSIDE.release()
    for _ in range(1000):
        if not others_at_work_here():
            break
        time.sleep(0.01)
    # Out of its function it still has to tell whoever asks how it ended.
    time.sleep(0.05)


@pytest.mark.parametrize(
    ("main", "thread", "line"),
    [
        (spins, "MainThread", "in spins"),
        (spins_in_a_coroutine, "MainThread", "in spins"),
        (waits_for_a_real_lock, "MainThread", "in waits_for_a_real_lock"),
        (in_a_thread(spins), "worker", "in spins"),
        (in_a_thread(waits_for_a_real_lock), "worker", "in waits_for_a_real_lock"),
    ],
)
def test_who_does_not_come_back_is_named_and_the_run_ends(main: Any, thread: str, line: str) -> None:
    with pytest.raises(RunEndedError) as ended:
        watched().run(main)
    told = (ended.value.reason, f"thread {thread} " in ended.value.text, line in ended.value.text)
    assert told == ("stuck", True, True)


def test_a_long_computation_that_comes_back_in_time_is_left_alone() -> None:
    def main() -> float:
        # The operating system's own count: the one clock that no world replaces.
        until = os.times().elapsed + 0.1
        while os.times().elapsed < until:
            pass
        time.sleep(5)
        return time.monotonic()

    assert watched().run(main) == 5.0


def test_the_next_run_after_a_stuck_one_is_clean() -> None:
    with pytest.raises(RunEndedError):
        watched().run(spins)

    def main() -> float:
        time.sleep(1)
        return time.monotonic()

    assert watched().run(main) == 1.0


def test_a_machine_that_was_suspended_is_not_taken_for_code_that_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real clock jumps by an hour between any two looks, as after a suspended machine wakes up."""
    jumps = itertools.count(0, 3600)
    monkeypatch.setattr(watchdog, "_real_clock", lambda: float(next(jumps)))
    fresh = watchdog.Watchdog()
    monkeypatch.setattr(watchdog, "WATCHDOG", fresh)
    world, reason = World(), "returned"
    world.patience_s = 30.0

    def computes() -> None:
        fresh.watch(world)
        until = time.thread_time() + 1.2
        while time.thread_time() < until:
            pass
        fresh.leave(world)

    try:
        world.run(computes)
    except RunEndedError as error:
        reason = error.reason
    assert reason == "returned"

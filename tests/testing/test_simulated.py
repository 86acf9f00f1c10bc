"""``@simkit.simulated``: what a test sees of its world, under which plans it runs, and how it tells what it found."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import simkit
from simkit.errors import RunEndedError, UsageError
from simkit.explore.store import Store
from simkit.testing.items import Budget
from simkit.testing.simulated import ALONE, SUITE, Suite, UnsteadyError


@contextmanager
def run_by(suite: Suite) -> Iterator[None]:
    """Be the suite that runs what is called inside."""
    token = SUITE.set(suite)
    try:
        yield
    finally:
        SUITE.reset(token)


def notes(test: Callable[[], object], kind: type[BaseException] = AssertionError, suite: Suite = ALONE) -> list[str]:
    """Return what is noted on the error of a test, line by line."""
    with run_by(suite), pytest.raises(kind) as caught:
        test()
    return [line for note in getattr(caught.value, "__notes__", []) for line in note.splitlines()]


async def first_of(count: int) -> int:
    """Return who of several tasks came first."""
    came: list[int] = []

    async def comes(number: int) -> None:
        await asyncio.sleep(0)
        came.append(number)

    await asyncio.gather(*(comes(number) for number in range(count)))
    return came[0]


# -- one run --
@simkit.simulated
async def test_an_hour_passes_in_no_time() -> None:
    before = asyncio.get_running_loop().time(), time.time()
    await asyncio.sleep(3600)
    after = asyncio.get_running_loop().time(), time.time()
    assert (after[0] - before[0], after[1] - before[1]) == (3600, 3600)


@simkit.simulated
def test_a_test_that_blocks_runs_in_a_world_as_well() -> None:
    thread = threading.Thread(target=time.sleep, args=(60,))
    before = time.monotonic()
    thread.start()
    thread.join()
    assert time.monotonic() - before == 60


class TestInAClass:
    @pytest.mark.parametrize("seconds", [1, 2])
    @simkit.simulated
    async def test_fixtures_parameters_and_self_are_handed_on(self, seconds: int, tmp_path: Path) -> None:
        await asyncio.sleep(seconds)
        assert (type(self), tmp_path.is_dir(), asyncio.get_running_loop().time()) == (TestInAClass, True, seconds)


class TestOfUnittest(unittest.TestCase):
    @simkit.simulated
    async def test_a_method_of_a_test_case_runs_in_a_world(self) -> None:
        await asyncio.sleep(5)
        assert asyncio.get_running_loop().time() == 5


def test_nobody_takes_a_simulated_test_for_a_coroutine_function() -> None:
    @simkit.simulated
    async def test() -> None: ...

    assert (inspect.iscoroutinefunction(test), test.__name__) == (False, "test")


def test_what_a_test_returns_is_handed_on_so_that_a_forgotten_assert_is_seen() -> None:
    @simkit.simulated(runs=3)
    async def test() -> bool:
        return False

    assert test() is False


def test_an_error_of_the_default_run_is_the_tests_own() -> None:
    @simkit.simulated
    async def test() -> None:
        raise AssertionError("mine")

    assert notes(test) == []


def test_a_test_that_can_never_go_on_is_told_without_the_insides_of_the_world() -> None:
    @simkit.simulated
    async def test() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RunEndedError, match="nothing can ever happen again") as caught:
        test()
    assert [entry.path for entry in caught.traceback if "kernel" in Path(entry.path).parts] == []


# -- choices --
@pytest.mark.parametrize("way", [{"strategy": "uniform"}, {"plan": "seed=0,order=any,order@0:1"}])
def test_a_failure_of_a_run_that_is_not_the_default_one_says_which_plan_it_was(way: dict[str, Any]) -> None:
    seed = 0 if "plan" in way else next(seed for seed in range(20) if _first(seed) != 0)

    @simkit.simulated(**{"order": "any", "seed": seed, **way})
    async def test() -> None:
        assert await first_of(2) == 0

    (plan,) = [line.partition("the plan ")[2] for line in notes(test) if line.startswith("simkit: ")]

    @simkit.simulated(plan=plan)
    async def again() -> None:
        assert await first_of(2) == 0

    assert notes(again)[0] == f"simkit: under the plan {plan}"


def _first(seed: int) -> int:
    test = simkit.simulated(seed=seed, strategy="uniform", order="any")(first_of)
    found = test(2)
    assert isinstance(found, int)
    return found


def test_a_test_that_passes_by_default_fails_under_the_smallest_plan_that_was_found() -> None:
    @simkit.simulated(runs=50, order="any")
    async def test() -> None:
        assert await first_of(3) != 2

    assert notes(test)[:3] == [
        "simkit: under the plan seed=0,order=any,order@0:2",
        "  order=any: callbacks run in orders that asyncio itself does not produce",
        "  order@0:2: at 0.000s, of the callbacks that are ready, that of Task-4 goes first",
    ]


def test_the_number_of_runs_counts_the_default_one() -> None:
    runs = []

    @simkit.simulated(runs=7)
    async def test() -> None:
        runs.append(1)

    test()
    # The first is made before anything is explored, and is the first of the exploration too.
    assert len(runs) == 1 + 7


def test_a_near_miss_is_found_where_events_may_shift() -> None:
    def near_miss(jitter: float) -> Callable[[], object]:
        @simkit.simulated(runs=20, jitter=jitter)
        async def test() -> None:
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 4.999), 5)

        return test

    near_miss(0)()
    assert notes(near_miss(0.005), TimeoutError)[0].startswith("simkit: under the plan seed=0,jitter=1ms,timing@0:")


def test_a_failure_that_does_not_come_again_is_told_as_that() -> None:
    runs = []

    @simkit.simulated(runs=5)
    async def test() -> None:
        runs.append(1)
        assert len(runs) != 4

    with run_by(ALONE), pytest.raises(UnsteadyError, match="such as a fixture that all runs share"):
        test()


def test_a_run_that_leaves_itself_out_is_no_failure() -> None:
    @simkit.simulated(runs=50, order="any")
    async def test() -> None:
        if await first_of(2) == 1:
            raise unittest.SkipTest("nothing to see in this order")

    assert test() is None


# -- a suite around it --
def always_second() -> Callable[[], object]:
    @simkit.simulated(runs=50, order="any")
    async def test() -> None:
        assert await first_of(2) == 0

    return test


def test_what_was_found_is_kept_and_is_run_first_the_next_time(tmp_path: Path) -> None:
    suite = Suite(case="test_a.py::test", budget=Budget(store=Store(tmp_path)))
    told = [notes(always_second(), suite=suite)[-1] for _ in range(2)]
    (stored,) = Store(tmp_path).known("test_a.py::test")
    assert [line.partition(" further plans")[2] or line for line in told] == [
        " fail like this",
        f"  it was found before ({stored.failure.id}), and was run first",
    ]


def test_what_was_found_once_and_is_mended_is_passed_over(tmp_path: Path) -> None:
    @simkit.simulated(runs=5, order="any")
    async def mended() -> None:
        assert await first_of(2) in (0, 1)

    suite = Suite(case="a", budget=Budget(store=Store(tmp_path)))
    notes(always_second(), suite=suite)
    with run_by(suite):
        mended()


def test_a_suite_can_say_how_many_plans_are_tried_and_which_one_alone() -> None:
    with run_by(Suite(budget=Budget(runs=0))):
        always_second()()
    alone = Suite(budget=Budget(plan="seed=0,order=any,order@0:1"))
    assert notes(always_second(), suite=alone)[0] == "simkit: under the plan seed=0,order=any,order@0:1"


def test_how_a_plan_is_run_again_is_said_in_the_words_of_the_suite() -> None:
    suite = Suite(again=lambda plan: f"press the button for {plan.seed}")
    assert "  run it again: press the button for 0" in notes(always_second(), suite=suite)


# -- what cannot be --
async def _yields() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: simkit.simulated(runs=0), "runs is 0, expected a whole number of 1 or more"),
        (lambda: simkit.simulated(order="none"), "order is 'none', expected 'timing' or 'any'"),
        (lambda: simkit.simulated(jitter=-1), "jitter is -1, expected seconds of 0 or more"),
        (lambda: simkit.simulated(strategy="unifrom"), "did you mean 'uniform'"),
        (lambda: simkit.simulated(runs=2, strategy="unifrom"), "did you mean 'uniform'"),
        (lambda: simkit.simulated(plan="seed"), "'seed' is not a plan"),
        (lambda: simkit.simulated(_yields), "_yields has a yield in it, expected a test that returns"),
        (lambda: simkit.simulated(TestInAClass), "simulated is for test functions, got <class"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(make: Callable[[], object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert text in str(caught.value)

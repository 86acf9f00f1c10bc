"""The search: what it finds in how many runs, what it says of its space, and what it refuses."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import simkit
from simkit.errors import UsageError
from simkit.explore.attempts import Space
from simkit.explore.outcome import Attempt, Choice, Outcome
from simkit.explore.running import MainRunner
from simkit.explore.search import Explored, Walk, explore
from simkit.kernel.threads import running_world
from simkit.model.plan import Plan
from tests.explore.cases import case_of, text_of
from tests.explore.programs import alone, locked_updates, lost_update, starved
from tests.kernel.wire import serve_http


def texts(explored: Explored) -> list[str]:
    return [failure.broken.text for failure in explored.failures]


# -- what is found ----------------------------------------------------------------------------------------------------
def test_a_lost_update_is_found_by_the_third_run() -> None:
    explored = explore(lost_update, runs=3, order="any")
    assert (texts(explored), explored.failures[0].number) == (["AssertionError: an update was lost"], 2)


def test_a_starved_task_is_found_by_the_second_run() -> None:
    explored = explore(starved, runs=2, order="any")
    assert (texts(explored), explored.failures[0].number) == (["AssertionError: the last one starved"], 1)


def test_what_asyncio_promises_is_not_broken_unless_that_is_asked_for() -> None:
    assert [explore(main, runs=40).failures for main in (lost_update, starved)] == [(), ()]


@pytest.mark.parametrize("strategy", ["mix", "systematic", "uniform", "pct", "sequential"])
def test_a_strategy_finds_the_lost_update(strategy: str) -> None:
    explored = explore(lost_update, runs=60, strategy=strategy, order="any")
    assert texts(explored) == ["AssertionError: an update was lost"]


def test_the_default_order_alone_does_not_find_it() -> None:
    assert texts(explore(lost_update, runs=60, strategy="fifo", order="any")) == []


def test_every_plan_that_is_returned_fails_again() -> None:
    found = [(main, explore(main, runs=20, order="any").failures) for main in (lost_update, starved)]
    again = [MainRunner(main).run(Attempt(number=0, plan=f.plan)) for main, failures in found for f in failures]
    assert [[broken.text for broken in outcome.broken] for outcome in again] == [
        ["AssertionError: an update was lost"],
        ["AssertionError: the last one starved"],
    ]


def test_failures_at_two_lines_are_two_failures_and_each_is_counted() -> None:
    async def main() -> None:
        went: list[int] = []

        async def step(number: int) -> None:
            went.append(number)

        await asyncio.gather(*map(step, range(3)))
        assert went[0] != 1
        assert went[0] != 2

    explored = explore(main, runs=60, strategy="uniform", order="any")
    lines = [failure.broken.place.line for failure in explored.failures if failure.broken.place]
    assert sorted(lines) == sorted(set(lines))
    assert sum(failure.count for failure in explored.failures) > 20
    assert len(lines) == 2


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(3), asyncio.CancelledError()], ids=repr)
def test_whatever_a_program_raises_is_a_failure(error: BaseException) -> None:
    async def main() -> None:
        raise error

    explored = explore(main, runs=2)
    assert [(f.broken.law, f.count) for f in explored.failures] == [("raised", 2)]


def test_an_interrupt_ends_the_search() -> None:
    async def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(main, runs=2)


def test_a_callback_that_was_cancelled_while_it_was_ready_is_one_of_those_that_may_come_next() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ready = [loop.call_soon(list) for _ in range(3)]
        ready[1].cancel()
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

    assert explore(main, runs=30, order="any").failures == ()


@pytest.mark.parametrize("strategy", ["mix", "pct"])
def test_a_task_that_goes_round_in_circles_starves_nobody_for_ever(strategy: str) -> None:
    async def main() -> None:
        done = asyncio.Event()

        async def spin() -> None:
            while not done.is_set():
                await asyncio.sleep(0)

        async def end() -> None:
            done.set()

        await asyncio.gather(spin(), spin(), end())

    assert explore(main, runs=30, strategy=strategy, order="any").failures == ()


def test_connections_hold_in_any_order_of_tasks() -> None:
    async def main() -> None:
        lost: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
        world = running_world()
        assert world is not None
        serve_http(world, "api.example.com", lambda http, request: http.say("hello"))

        async def ask() -> bytes:
            reader, writer = await asyncio.open_connection("api.example.com", 80)
            writer.write(b"GET / HTTP/1.1\r\nhost: api.example.com\r\n\r\n")
            line = await reader.readline()
            writer.close()
            return line

        assert ([*await asyncio.gather(ask(), ask())], lost) == ([b"HTTP/1.1 200 OK\r\n"] * 2, [])

    assert texts(explore(main, runs=60, order="any")) == []


def test_a_program_that_never_ends_fails_by_its_deadlock() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    (text,) = texts(explore(main, runs=2))
    assert text.startswith("RunEndedError: deadlock: nothing can ever happen again: task Task-1 (")


def test_a_plan_that_does_not_fail_again_is_told_as_unsteady() -> None:
    runs: list[int] = []

    async def main() -> None:
        runs.append(1)
        if len(runs) == 2:
            raise RuntimeError("only the second time")

    explored = explore(main, runs=3, strategy="fifo")
    assert [f.broken.text for f in explored.unsteady] == ["RuntimeError: only the second time"]
    assert "(it did not fail again)" in str(explored)


# -- what is exhausted ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("strategy", "runs"), [("systematic", 1_000), ("mix", 700)])
def test_a_correct_program_is_exhausted_at_two_deviations(strategy: str, runs: int) -> None:
    explored = explore(locked_updates, runs=runs, strategy=strategy, order="any")
    assert (explored.failures, explored.exhausted, explored.statement) == (
        (),
        True,
        "exhausted: all plans with up to 2 deviations of 12 choices (190 of them), under seed 0",
    )


def test_a_systematic_search_ends_where_its_space_does() -> None:
    assert explore(locked_updates, runs=1_000, strategy="systematic", order="any").runs == 190


@pytest.mark.parametrize(
    ("runs", "statement"),
    [
        (12, "not exhausted: 8 of the plans with 1 deviation of 12 choices were not run, under seed 0"),
        (
            189,
            "not exhausted: all plans with 1 deviation of 12 choices were run, "
            "but not all plans with up to 2 deviations of 12 choices, under seed 0",
        ),
    ],
)
def test_a_budget_that_ends_first_exhausts_nothing(runs: int, statement: str) -> None:
    explored = explore(locked_updates, runs=runs, strategy="systematic", order="any")
    assert (explored.exhausted, explored.statement) == (False, statement)


def test_a_program_without_choices_is_exhausted_by_one_run() -> None:
    explored = explore(alone, runs=5, strategy="systematic")
    assert (explored.runs, explored.exhausted, list(map(str, explored.missing))) == (
        1,
        True,
        ["no run had a choice to make: nothing varied but the seed"],
    )


class Tree:
    """A runner whose runs choose among two at each of five places, and remembers what it was asked to run."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
        """Choose what the plan says."""
        self.plans.append(attempt.plan)
        return Outcome(plan=attempt.plan, choices=(Choice("order", 2, 0),) * 5)


def test_at_depth_three_every_plan_is_run_once() -> None:
    runner = Tree()
    walk = Walk(runner, Space(strategy="systematic", depth=3))
    count = len(list(walk.outcomes()))
    assert (count, len(set(runner.plans)), walk.is_exhausted) == (1 + 5 + 10 + 10, 26, True)


# -- scenarios --------------------------------------------------------------------------------------------------------
def test_a_scenario_is_explored_in_the_order_that_its_author_asks_for() -> None:
    explored = explore(case_of("racing"), runs=4)
    (failure,) = explored.failures
    assert (failure.case, failure.plan.text()) == ("a.sim.yaml::run", "seed=0,tie@0:1")


def test_a_sweep_of_a_scenario_strikes_every_fault_there_is() -> None:
    explored = explore(case_of("fragile", "explore: {sweep: single, faults: [tool_raises]}"), runs=20)
    assert explored.statement == (
        "exhausted: all plans with up to 2 deviations of 2 choices (4 of them), under seed 0; "
        "4 of 4 single faults struck"
    )
    assert [f.plan.text() for f in explored.failures] == ["seed=0,tool_raises@tool1.start"]


def test_pairs_of_faults_come_behind_the_single_ones() -> None:
    explored = explore(case_of("fragile", "explore: {sweep: pairs, faults: [cancel], where: [user]}"), runs=50)
    assert explored.exhausted


def test_a_path_is_explored_as_its_only_row(tmp_path: Path) -> None:
    file = tmp_path / "racing.sim.yaml"
    file.write_text(text_of("racing"))
    assert explore(file, runs=4).failures[0].plan == explore(str(file), runs=4).failures[0].plan


def test_a_path_with_several_rows_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "racing.sim.yaml"
    file.write_text(text_of("racing", 'matrix: {n: ["1", "2"]}\nabout: ${n}\n'))
    with pytest.raises(UsageError, match=r"racing\.sim\.yaml has 2 rows - give one of them, such as simkit\.load\("):
        explore(file, runs=4)


# -- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"runs": 0}, "runs is 0, expected a whole number of 1 or more"),
        ({"runs": 2.5}, "runs is 2.5, expected a whole number of 1 or more"),
        ({"runs": 1, "order": "all"}, "order is 'all', expected 'timing' or 'any'"),
        ({"runs": 1, "jitter": -1}, "jitter is -1, expected seconds of 0 or more"),
        ({"runs": 1, "strategy": "mixed"}, "no strategy is called 'mixed' - did you mean 'mix'?"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(how: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        explore(alone, **how)
    assert str(refused.value) == said


def test_what_is_no_target_is_refused() -> None:
    with pytest.raises(UsageError, match="target is 3, expected a scenario, a path or a coroutine function"):
        explore(3, runs=1)  # type: ignore[arg-type]  # that is the point


# -- the front door ---------------------------------------------------------------------------------------------------
def test_the_front_door_explores_whatever_was_imported_before() -> None:
    program = (
        "import simkit.explore.attempts, simkit\n"
        "async def main(): pass\n"
        "print(simkit.explore(main, runs=1).runs)\n"
        "import simkit.explore.search as room\n"
        "print(room.__name__)"
    )
    folder = Path(simkit.__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=True)
    assert ran.stdout.split() == ["1", "simkit.explore.search"]


def test_what_came_of_it_is_told_in_a_few_lines() -> None:
    (first, law, plan) = str(simkit.explore(lost_update, runs=3, order="any")).splitlines()
    assert first.startswith("3 runs, not exhausted: 19 of the plans with 1 deviation of 12 choices were not run")
    assert law.startswith("raised: AssertionError: an update was lost (tests/explore/programs.py:")
    assert plan.startswith("  plan: seed=0,order=any,order@")

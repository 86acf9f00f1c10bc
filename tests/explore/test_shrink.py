"""Plans become smaller without failing for another reason, within a budget, the same way every time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.explore.outcome import Attempt, Broken, Choice, Outcome
from simkit.explore.running import MainRunner, ScenarioRunner
from simkit.explore.shrink import Shrunk, fewer, shrink
from simkit.kernel.world import World
from simkit.model.plan import Plan, Strike
from tests.explore.cases import case_of

BAD = Broken(law="bad", text="it is bad", key="bad")
OTHER = Broken(law="other", text="it is otherwise", key="other")
UNFIT = Broken(law="ends", text="the plan does not fit", key="plan")
# Every choice is one of two things, and there is a fault to be had at each of ten frames.
THREADS = tuple(Choice("thread", 4, 0) for _ in range(100))
SITES = tuple(f"answer1.frame{frame}" for frame in range(10))


@dataclass
class Fake:
    """A program that makes a hundred choices and meets ten sites, and fails as ``fails`` says of the plan it took."""

    fails: Callable[[Plan], Broken | None]
    choices: Callable[[Plan], tuple[Choice, ...]] = lambda plan: THREADS
    runs: list[tuple[str, bool]] = field(default_factory=list)

    def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
        self.runs.append((attempt.plan.text(), lenient))
        choices = self.choices(attempt.plan)
        fitting = tuple(d for d in attempt.plan.deviations if d.pick and d.kind == _kind(choices, d.number))
        struck = tuple(s for s in attempt.plan.strikes if s.site in SITES)
        taken = replace(attempt.plan, deviations=fitting, strikes=struck)
        if taken != attempt.plan and not lenient:
            return Outcome(plan=taken, broken=(UNFIT,), choices=choices, sites=SITES)
        bad = self.fails(taken)
        return Outcome(plan=taken, broken=(bad,) if bad else (), choices=choices, sites=SITES)


def _kind(choices: tuple[Choice, ...], number: int) -> str:
    return choices[number].kind if number < len(choices) else ""


def where(condition: Callable[[Plan], bool]) -> Fake:
    return Fake(lambda plan: BAD if condition(plan) else None)


def picks(plan: Plan) -> dict[int, int]:
    return {d.number: d.pick for d in plan.deviations}


def sites(plan: Plan) -> set[str]:
    return {strike.site for strike in plan.strikes}


def shrunk(runner: Fake, plan: str, budget: int = 500) -> Shrunk:
    return shrink(runner, Plan.parse(plan), BAD, budget=budget)


def threads(numbers: range) -> str:
    return ",".join(f"thread@{number}:1" for number in numbers)


def test_what_the_failure_does_not_need_goes_faults_and_choices_alike() -> None:
    runner = where(lambda plan: {3, 71} <= set(picks(plan)) and "answer1.frame7" in sites(plan))
    faults = ",".join(f"cut@answer1.frame{frame}" for frame in range(10))
    assert shrunk(runner, f"seed=0,{faults},{threads(range(100))}").plan.text() == (
        "seed=0,cut@answer1.frame7,thread@3:1,thread@71:1"
    )


@settings(max_examples=60, deadline=None, database=None)
@given(st.sets(st.integers(0, 39), max_size=6), st.integers(0, 3))
def test_exactly_the_choices_stay_that_the_failure_needs(needed: set[int], extra: int) -> None:
    runner = where(lambda plan: needed <= set(picks(plan)))
    done = shrunk(runner, f"seed={extra},{threads(range(40))}", budget=2_000)
    assert (set(picks(done.plan)), done.plan.seed, done.whole) == (needed, 0, True)


def test_a_failure_of_the_default_run_has_the_empty_plan() -> None:
    done = shrunk(where(lambda plan: True), f"seed=7,order=any,jitter=5ms,cut@answer1.frame1,{threads(range(9))}")
    assert (done.plan, done.runs, done.whole) == (Plan(), 3, True)


def test_values_become_smaller_and_rounder() -> None:
    runner = where(lambda plan: picks(plan).get(5, 0) >= 2 and plan.jitter_ns >= 137_000_000)
    assert shrunk(runner, "seed=12,jitter=737ms,thread@5:3").plan.text() == "seed=0,jitter=200ms,thread@5:2"


def test_a_seed_that_matters_stays() -> None:
    assert shrunk(where(lambda plan: plan.seed == 12), "seed=12,thread@5:3").plan.text() == "seed=12"


def test_a_fault_moves_to_the_earliest_place_and_becomes_the_simplest_kind_that_fails_alike() -> None:
    runner = where(lambda plan: any(int(site[-1]) >= 4 for site in sites(plan)))
    assert shrunk(runner, "seed=0,garble@answer1.frame9").plan.text() == "seed=0,cut@answer1.frame4"


def test_two_faults_never_come_to_strike_at_one_site() -> None:
    runner = where(lambda plan: len(plan.strikes) == 2)
    done = shrunk(runner, "seed=0,stall@answer1.frame3,cut@answer1.frame9").plan
    assert (sites(done), Plan.parse(done.text())) == ({"answer1.frame0", "answer1.frame1"}, done)


def test_without_the_stronger_adversary_the_choices_keep_their_meaning_under_their_new_numbers() -> None:
    asked = (Choice("order", 2, 0), Choice("thread", 2, 0)) * 20

    def choices(plan: Plan) -> tuple[Choice, ...]:
        return asked if plan.order == "any" else asked[1::2]

    def fails(plan: Plan) -> Broken | None:
        step = 2 if plan.order == "any" else 1
        return BAD if {d.number // step for d in plan.deviations if d.kind == "thread"} >= {4, 9} else None

    done = shrunk(Fake(fails, choices), "seed=0,order=any,order@2:1,thread@9:1,thread@19:1")
    assert done.plan.text() == "seed=0,thread@4:1,thread@9:1"


def test_what_fails_for_another_reason_is_no_smaller_case_of_it() -> None:
    runner = Fake(lambda plan: BAD if 3 in picks(plan) and 4 in picks(plan) else OTHER)
    assert shrunk(runner, f"seed=0,{threads(range(9))}").plan.text() == "seed=0,thread@3:1,thread@4:1"


def test_a_failure_that_comes_with_others_is_still_the_same() -> None:
    outcome = Outcome(plan=Plan(seed=1), broken=(OTHER, BAD))

    class Both:
        def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
            return replace(outcome, plan=attempt.plan)

    assert shrink(Both(), Plan(seed=1), BAD).plan == Plan()


def test_every_plan_that_was_kept_was_run_strictly_after_it_was_found() -> None:
    runner = where(lambda plan: 3 in picks(plan))
    done = shrunk(runner, f"seed=4,{threads(range(20))}")
    strict = [text for text, lenient in runner.runs if not lenient]
    assert (strict[0], strict[-1], done.outcome.plan, done.runs) == (
        f"seed=4,{threads(range(20))}",
        "seed=0,thread@3:1",
        done.plan,
        len(runner.runs),
    )


def test_a_step_that_fails_leniently_alone_is_not_taken() -> None:
    class Fickle(Fake):
        def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
            outcome = super().run(attempt, lenient=lenient)
            return outcome if lenient or attempt.plan.seed == 4 else replace(outcome, broken=())

    assert shrunk(Fickle(lambda plan: BAD), "seed=4,thread@3:1").plan.text() == "seed=4"


def test_a_run_that_took_more_than_it_was_given_is_no_step_forward() -> None:
    class Growing(Fake):
        def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
            more = f"{attempt.plan.text()},thread@99:1" if lenient else attempt.plan.text()
            return replace(super().run(attempt, lenient=lenient), plan=Plan.parse(more))

    assert shrunk(Growing(lambda plan: BAD), "seed=0,thread@3:1").plan.text() == "seed=0,thread@3:1"


def test_no_plan_is_run_twice_in_the_same_way() -> None:
    runner = where(lambda plan: len(plan.deviations) >= 5)
    shrunk(runner, f"seed=0,{threads(range(30))}")
    assert len(runner.runs) == len(set(runner.runs))


def test_a_plan_that_does_not_fail_again_is_told_as_that_after_one_run() -> None:
    done = shrunk(where(lambda plan: False), "seed=4,thread@3:1")
    assert (done.plan.text(), done.runs, done.replays) == ("seed=4,thread@3:1", 1, False)


def test_a_plan_of_which_a_part_never_happened_does_not_replay_even_if_the_same_law_breaks() -> None:
    class Half(Fake):
        def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
            return replace(super().run(attempt, lenient=lenient), broken=(BAD,))

    assert shrunk(Half(lambda plan: BAD), "seed=0,cut@answer9.frame1").replays is False


def test_the_budget_is_kept_and_what_is_left_undone_is_said() -> None:
    runner = where(lambda plan: len(plan.deviations) >= 20)
    told = []
    for budget in (1, 2, 3, 10, 25):
        runner.runs.clear()
        done = shrunk(runner, f"seed=0,{threads(range(90))}", budget)
        told.append((len(runner.runs) <= budget, done.runs == len(runner.runs), done.whole, done.replays))
    assert told == [(True, True, False, True)] * 5


def test_the_same_plan_shrinks_by_the_same_runs() -> None:
    runners = [where(lambda plan: {3, 17} <= set(picks(plan))) for _ in range(2)]
    plans = [shrunk(runner, f"seed=9,jitter=7ms,{threads(range(50))}").plan for runner in runners]
    assert (plans[0], runners[0].runs) == (plans[1], runners[1].runs)


def test_items_that_are_not_needed_go_in_large_pieces_first() -> None:
    tried: list[int] = []

    def keeps(left: tuple[int, ...]) -> tuple[int, ...] | None:
        tried.append(len(left))
        return left if 6 in left else None

    assert (fewer(range(64), keeps), len(tried) < 20) == ((6,), True)


# -- real programs -----------------------------------------------------------------------------------------------------
async def bank() -> None:
    """Loses a deposit when the thread of the last one overtakes the others, which sleep for as long as it does."""
    came: list[int] = []

    def deposit(amount: int) -> None:
        time.sleep(0.1)
        came.append(amount)

    await asyncio.gather(*(asyncio.to_thread(deposit, amount) for amount in (1, 2, 3)))
    assert came[0] != 3, "a deposit is lost"


def test_the_shrunk_plan_of_a_real_race_replays_in_a_world_of_its_own() -> None:
    runner = MainRunner(bank)
    outcomes = (runner.run(Attempt(number=n, plan=Plan(seed=n), strategy="uniform")) for n in range(50))
    found = next(outcome for outcome in outcomes if outcome.broken)
    done = shrink(runner, found.plan, found.broken[0])
    with pytest.raises(AssertionError, match="a deposit is lost"):
        World(plan=done.plan).run(bank)
    assert (len(done.plan.deviations), done.plan.seed, done.whole) == (1, 0, True)


def test_a_race_of_two_tools_comes_down_to_the_one_choice_that_decides_it() -> None:
    runner = ScenarioRunner(case_of("racing"))
    plans = (Plan(seed=n, jitter_ns=3_000_000) for n in range(50))
    outcomes = (runner.run(Attempt(number=n, plan=plan, strategy="uniform")) for n, plan in enumerate(plans))
    found = next(outcome for outcome in outcomes if outcome.broken)
    assert shrink(runner, found.plan, found.broken[0]).plan.text() == "seed=0,tie@0:1"


def test_a_fault_of_a_real_run_comes_to_the_earliest_place_where_it_does_the_same() -> None:
    runner, plan = ScenarioRunner(case_of("fragile")), Plan(seed=2, strikes=(Strike("tool2.end", "tool_raises"),))
    (broken,) = runner.run(Attempt(number=0, plan=plan)).broken
    assert shrink(runner, plan, broken).plan.text() == "seed=0,tool_raises@tool1.end"

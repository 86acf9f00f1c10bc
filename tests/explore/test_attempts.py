"""Which plans are tried: the mix, its lanes, and that an attempt follows from the space and the default run alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest

from simkit.errors import UsageError
from simkit.explore.attempts import Space, attempts, children, space_of
from simkit.explore.outcome import Attempt, Choice, Outcome
from simkit.model.plan import Deviation, Plan, Strike
from simkit.model.scenario import Exploring, Scenario

ORDER = Choice("order", 3, 0)
TIE = Choice("tie", 2, 0)
MET = Outcome(plan=Plan(), choices=(ORDER, TIE, ORDER), sites=("answer1", "answer1.frame0", "tool1.start"))
SPACE = Space(order="any", runs=0)


def names(space: Space, first: Outcome = MET, count: int = 12) -> list[str]:
    """The plan and the strategy of each of the first attempts."""
    return [f"{a.plan.text()} {a.strategy}" for a in islice(attempts(space, first), count)]


# -- the mix ----------------------------------------------------------------------------------------------------------
def test_the_mix_begins_with_nobody_preempted_and_takes_fair_turns_from_there() -> None:
    assert names(SPACE) == [
        "seed=0,order=any sequential",
        "seed=0,order=any sequential:1",
        "seed=0,order=any,order@0:1 fifo",
        "seed=1,order=any uniform",
        "seed=1,order=any pct:2:3",
        "seed=0,order=any sequential:2",
        "seed=0,order=any,order@0:2 fifo",
        "seed=2,order=any uniform",
        "seed=2,order=any pct:3:3",
        "seed=0,order=any,order@2:1 fifo",
        "seed=3,order=any uniform",
        "seed=3,order=any pct:1:3",
    ]


def test_attempts_are_numbered_from_one() -> None:
    assert [attempt.number for attempt in islice(attempts(SPACE, MET), 4)] == [1, 2, 3, 4]


def test_the_mix_ends_with_the_runs_of_the_space_of_which_the_default_run_is_one() -> None:
    assert len(list(attempts(replace(SPACE, runs=10), MET))) == 9


def test_a_sweep_has_every_second_turn_until_it_is_over() -> None:
    plans = [a.plan for a in islice(attempts(replace(SPACE, sweep="single", faults=("cut", "tool_hangs")), MET), 6)]
    assert [", ".join(s.text() for s in plan.strikes) for plan in plans] == [
        "cut@answer1.frame0",
        "",
        "tool_hangs@tool1.start",
        "",
        "",
        "",
    ]


def test_every_systematic_plan_comes_once() -> None:
    tried = [a.plan.deviations for a in islice(attempts(SPACE, MET), 100) if a.plan.deviations]
    wanted = [Deviation(0, "order", 1), Deviation(0, "order", 2), Deviation(1, "tie", 1)]
    wanted += [Deviation(2, "order", 1), Deviation(2, "order", 2)]
    assert sorted(tried) == [(deviation,) for deviation in wanted]


def test_the_mix_never_tries_the_same_twice() -> None:
    tried = Counter((a.plan, a.strategy) for a in islice(attempts(SPACE, MET), 300))
    assert {attempt for attempt, count in tried.items() if count > 1} == set()


def test_attempts_are_a_function_of_the_space_and_the_default_run() -> None:
    assert list(islice(attempts(SPACE, MET), 200)) == list(islice(attempts(SPACE, MET), 200))


def test_seeds_are_counted_up_from_that_of_the_space() -> None:
    assert names(replace(SPACE, seed=40, strategy="uniform"), count=2) == [
        "seed=41,order=any uniform",
        "seed=42,order=any uniform",
    ]


def test_where_actors_never_meet_none_is_held_back_and_none_has_a_priority() -> None:
    met = Outcome(plan=Plan(), choices=(TIE,))
    assert names(Space(jitter_ns=5_000_000), met, 4) == [
        "seed=0,jitter=5ms,tie@0:1 fifo",
        "seed=1,jitter=5ms uniform",
        "seed=2,jitter=5ms uniform",
        "seed=3,jitter=5ms uniform",
    ]


# -- one strategy alone -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("strategy", "count"), [("sequential", 3), ("systematic", 5)])
def test_a_strategy_that_draws_nothing_comes_to_its_end(strategy: str, count: int) -> None:
    assert len(list(attempts(replace(SPACE, strategy=strategy), MET))) == count


@pytest.mark.parametrize("strategy", ["fifo", "uniform", "pct"])
def test_a_strategy_alone_has_all_turns(strategy: str) -> None:
    tried = {a.strategy.split(":")[0] for a in islice(attempts(replace(SPACE, strategy=strategy), MET), 20)}
    assert tried == {strategy}


def test_a_strategy_that_there_is_none_of_is_told_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="no strategy is called 'sistematic' - did you mean 'systematic'"):
        Space(strategy="sistematic")


# -- children ---------------------------------------------------------------------------------------------------------
ONE = Attempt(number=7, plan=Plan(deviations=(Deviation(1, "tie", 1),)))


def test_the_children_of_a_plan_deviate_once_more_behind_it() -> None:
    assert [(child.number, child.plan.text()) for child in children(ONE, MET)] == [
        (7, "seed=0,tie@1:1,order@2:1"),
        (7, "seed=0,tie@1:1,order@2:2"),
    ]


@pytest.mark.parametrize(
    "attempt",
    [
        replace(ONE, strategy="uniform"),
        replace(ONE, plan=replace(ONE.plan, strikes=(Strike("answer1", "timeout"),))),
        Attempt(number=0, plan=Plan()),
        replace(ONE, plan=Plan(deviations=(Deviation(0, "order", 1), Deviation(1, "tie", 1)))),
    ],
    ids=["another strategy", "a fault", "the default run", "at the depth"],
)
def test_other_attempts_have_no_children(attempt: Attempt) -> None:
    assert list(children(attempt, MET)) == []


def test_a_deeper_search_has_grandchildren() -> None:
    (child, _) = children(ONE, replace(MET, choices=(ORDER, TIE, ORDER)))
    assert len(list(children(child, replace(MET, choices=(ORDER, TIE, ORDER, ORDER)), depth=3))) == 2


# -- from a scenario --------------------------------------------------------------------------------------------------
def test_a_space_has_what_the_scenario_asks_for_and_what_is_asked_for_beyond_it() -> None:
    exploring = Exploring(sweep="pairs", faults=("cut",), where=("frames",), shift_ns=3, jitter_ns=5, order="any")
    scenario = Scenario(title="a case", provider=(), explore=exploring)
    assert space_of(scenario, runs=9, seed=2, jitter_ns=4) == Space(
        order="any",
        jitter_ns=5,
        sweep="pairs",
        faults=("cut",),
        where=("frames",),
        shift_ns=3,
        seed=2,
        runs=9,
    )

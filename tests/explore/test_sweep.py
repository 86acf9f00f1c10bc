from __future__ import annotations

import pytest

from simkit.explore.attempts import Space
from simkit.explore.outcome import Attempt, Outcome
from simkit.explore.running import ScenarioRunner
from simkit.explore.sweep import pairs_of, place_of, strikes, sweep
from simkit.model.plan import FAULT_KINDS, Plan, Strike, strikes_at
from tests.explore.cases import case_of

SITES = ("user1", "answer1", "answer1.frame0", "tool1.start", "job2.frame0", "poll1", "tool1.end")
SINGLE = Space(sweep="single")


def outcome(*sites: str, plan: Plan | None = None) -> Outcome:
    return Outcome(plan=plan or Plan(), sites=sites)


def texts(space: Space, *sites: str) -> list[str]:
    return [plan.text() for plan in sweep(space, outcome(*sites))]


def test_every_kind_strikes_at_every_site_that_it_can_strike_at_once() -> None:
    swept = [strike.text() for strike in strikes(SITES)]
    assert (sorted(swept), len(swept)) == (
        sorted(f"{kind}@{site}" for site in SITES for kind in strikes_at(site)),
        len(set(swept)),
    )


def test_each_round_is_everywhere_once_with_different_kinds() -> None:
    frames = [f"answer1.frame{n}" for n in range(4)]
    assert [strike.text() for strike in strikes(frames)][:8] == [
        "stall@answer1.frame0",
        "slow@answer1.frame1",
        "cut@answer1.frame2",
        "eof@answer1.frame3",
        "slow@answer1.frame0",
        "cut@answer1.frame1",
        "eof@answer1.frame2",
        "reset@answer1.frame3",
    ]


@pytest.mark.parametrize(
    ("space", "swept"),
    [
        (Space(), []),
        (Space(faults=("cut",)), ["seed=0,cut@answer1.frame0", "seed=0,cut@job2.frame0"]),
        (Space(sweep="single", faults=("tool_hangs",)), [
            "seed=0,tool_hangs@tool1.start", "seed=0,tool_hangs@tool1.end"
        ]),
        (Space(sweep="single", where=("user",)), ["seed=0,cancel@user1"]),
        (Space(sweep="single", faults=("cancel",), where=("user", "tools")), [
            "seed=0,cancel@user1", "seed=0,cancel@tool1.start", "seed=0,cancel@tool1.end"
        ]),
        (Space(sweep="single", faults=("cut",), where=("tools",)), []),
        (Space(faults=("status_500",), seed=4, order="any", jitter_ns=5_000_000), [
            "seed=4,order=any,jitter=5ms,status_500@answer1", "seed=4,order=any,jitter=5ms,status_500@poll1"
        ]),
    ],
)  # fmt: skip
def test_a_sweep_is_cut_down_to_the_faults_and_places_that_are_asked_for(space: Space, swept: list[str]) -> None:
    assert texts(space, *SITES) == swept


def test_a_site_that_a_run_tells_of_twice_is_swept_once() -> None:
    assert texts(SINGLE, "user1", "user1") == ["seed=0,cancel@user1"]


def test_every_kind_of_fault_has_a_place() -> None:
    assert {kind for site in SITES for kind in strikes_at(site)} == set(FAULT_KINDS)


def test_places_are_what_a_scenario_calls_them() -> None:
    assert [place_of(site) for site in SITES] == ["user", "frames", "frames", "tools", "frames", "frames", "tools"]


# -- pairs --
PAIRS = Space(sweep="pairs", faults=("tool_raises",))
ONE = Attempt(number=3, plan=Plan(strikes=(Strike("tool1.start", "tool_raises"),)))


def test_a_second_fault_strikes_behind_the_first_one_in_the_run_that_had_it() -> None:
    came = outcome("user1", "tool1.start", "tool2.start", "tool2.end", plan=ONE.plan)
    assert [(a.number, a.plan.text()) for a in pairs_of(PAIRS, ONE, came)] == [
        (3, "seed=0,tool_raises@tool1.start,tool_raises@tool2.start"),
        (3, "seed=0,tool_raises@tool1.start,tool_raises@tool2.end"),
    ]


@pytest.mark.parametrize(
    ("space", "attempt"),
    [
        (SINGLE, ONE),
        (PAIRS, Attempt(number=0, plan=Plan())),
        (PAIRS, Attempt(number=1, plan=ONE.plan, strategy="uniform")),
        (PAIRS, Attempt(number=1, plan=Plan(strikes=(*ONE.plan.strikes, Strike("user1", "cancel"))))),
    ],
)
def test_there_are_no_pairs_behind_any_other_run(space: Space, attempt: Attempt) -> None:
    assert [*pairs_of(space, attempt, outcome(*SITES, "tool2.start"))] == []


def test_every_plan_of_a_sweep_and_of_its_pairs_strikes_where_it_says() -> None:
    """Strictly: a fault whose site does not come would end the run."""
    runner = ScenarioRunner(case_of("fragile", "tools: {first: {takes: 1s}, second: {takes: 1s}}\n"))
    space = Space(sweep="pairs", faults=("cancel", "tool_raises"))
    singles = [Attempt(number=n, plan=plan) for n, plan in enumerate(sweep(space, runner.run(space.default)))]
    outcomes = [(attempt, runner.run(attempt)) for attempt in singles]
    pairs = [pair for attempt, came in outcomes for pair in pairs_of(space, attempt, came)]
    outcomes += [(pair, runner.run(pair)) for pair in pairs]
    assert (len(singles), len(pairs) > 0, [a.plan for a, came in outcomes if came.plan.strikes != a.plan.strikes]) == (
        9,
        True,
        [],
    )

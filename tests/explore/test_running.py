"""One run of an exploration: what it says of its choices, of what it reached, and of how it healed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from simkit.contracts import Sim
from simkit.errors import UsageError
from simkit.explore.outcome import Attempt, Outcome
from simkit.explore.running import HEAL, MainRunner, ScenarioRunner, chooser_of
from simkit.model.duration import NS_PER_S
from simkit.model.plan import Plan, Strike
from simkit.model.scenario import UserSays
from tests.explore.cases import case_of
from tests.explore.programs import lost_update, starved

ANY = Plan(order="any")


def test_every_choice_is_told_also_those_that_the_plan_names() -> None:
    first = MainRunner(starved).run(Attempt(number=0, plan=ANY, strategy="uniform"))
    again = MainRunner(starved).run(Attempt(number=1, plan=first.plan))
    assert (again.choices, again.plan) == (first.choices, first.plan)
    assert [(n, c.kind, c.pick) for n, c in enumerate(again.choices) if c.pick] == [
        (d.number, d.kind, d.pick) for d in again.plan.deviations
    ]


def test_a_run_that_finds_nothing_has_nothing_broken() -> None:
    assert MainRunner(lost_update).run(Attempt(number=0, plan=ANY)).broken == ()


def test_what_is_raised_is_known_by_its_words_and_its_line() -> None:
    outcome = MainRunner(lost_update).run(Attempt(number=0, plan=ANY, strategy="sequential:1"))
    (broken,) = outcome.broken
    assert broken.place is not None
    assert (broken.key, broken.unknown) == (
        f"raised AssertionError: an update was lost at {broken.place.file}:{broken.place.line}",
        False,
    )


def test_a_plan_that_does_not_fit_says_nothing_about_the_program() -> None:
    (broken,) = MainRunner(lost_update).run(Attempt(number=0, plan=Plan.parse("seed=0,order=any,tie@0:1"))).broken
    assert (broken.unknown, broken.place) == (True, None)


@pytest.mark.parametrize(
    ("strategy", "said"),
    [("uniform:3", "strategy 'uniform' takes no numbers, got [3]"), ("unknown", "no strategies extension is called")],
)
def test_a_strategy_that_there_is_none_of_is_refused(strategy: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        chooser_of(Attempt(number=0, plan=Plan(), strategy=strategy))
    assert str(refused.value).startswith(said)


# -- what the user does -----------------------------------------------------------------------------------------------
TWO_ACTS = "tools: {work: {takes: 1s}}\nexplore: {shift: 2s}\n"


def acted_at(seed: int, strategy: str = "uniform") -> tuple[float, ...]:
    """The instants at which the user spoke, in seconds; in the script they are 5 and 6."""
    acts = tuple(UserSays(at_ns=at * NS_PER_S, text="go") for at in (5, 6))
    runner = ScenarioRunner(replace(case_of("sleepy", TWO_ACTS), user=acts))
    result, _ = runner.result(Attempt(number=seed, plan=Plan(seed=seed), strategy=strategy))
    return tuple(event.at_ns / NS_PER_S for event in result.trace.of("user.says"))


def test_what_the_user_does_stays_where_it_is_in_the_default_run() -> None:
    assert acted_at(0, "fifo") == (5.0, 6.0)


def test_what_the_user_does_moves_as_far_as_the_scenario_allows_and_in_its_order() -> None:
    instants = {acted_at(seed) for seed in range(40)}
    assert [one for one in instants if not 3 <= one[0] <= one[1] <= 8] == []
    assert len(instants) > 20


# -- healing ----------------------------------------------------------------------------------------------------------
async def patient(sim: Sim) -> None:
    """Waits for half a minute when its tool fails, and then goes on."""
    await _waits(sim, 30)


async def slow(sim: Sim) -> None:
    """Waits for ten minutes."""
    await _waits(sim, 600)


async def _waits(sim: Sim, seconds: float) -> None:
    async for _ in sim.user:
        try:
            await sim.tools["first"]()
        except RuntimeError:
            await asyncio.sleep(seconds)


def healed(subject: Callable[[Sim], object], *strikes: Strike) -> Outcome:
    runner = ScenarioRunner(case_of("fragile"), subject=subject, heal_ns=60 * NS_PER_S)
    return runner.run(Attempt(number=0, plan=Plan(strikes=strikes)))


RAISES = Strike("tool1.start", "tool_raises")


def test_a_run_that_ends_too_late_after_its_fault_is_told_so() -> None:
    assert [(broken.law, broken.text) for broken in healed(slow, RAISES).broken] == [
        (HEAL, "expected the run to end within 1m after its last fault (tool_raises at tool1.start), but it took 10m")
    ]


def test_a_run_that_ends_in_time_after_its_fault_has_healed() -> None:
    assert healed(patient, RAISES).broken == ()


def test_a_run_without_a_fault_has_nothing_to_heal() -> None:
    assert healed(slow).broken == ()

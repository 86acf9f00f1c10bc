"""What property tests draw from: it can be played, it holds on the sound agent, and a flaw is found and made small."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.strategies import SearchStrategy

import simkit
from simkit.checks.judge import laws
from simkit.explore.outcome import Attempt
from simkit.explore.running import ScenarioRunner
from simkit.language.reader import loads
from simkit.language.writer import write
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, Call, Disconnect, Finish, StreamReply
from simkit.model.verdict import Result
from simkit.run import run_once
from simkit.strategies import answers, faults, plans, scenarios

T = TypeVar("T")
# No database: what is drawn is the same on every machine.
FEW = settings(
    max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
AGENT = {"stale_after": "60s", "max_own_retries": 2}


def drawn(what: SearchStrategy[T], count: int = 40) -> list[T]:
    """Return what is drawn in so many turns."""
    found: list[T] = []

    @settings(FEW, max_examples=count)
    @given(what)
    def draw(one: T) -> None:
        found.append(one)

    draw()
    return found


def smallest(what: SearchStrategy[T], is_wanted: Callable[[T], bool]) -> T:
    return find(what, is_wanted, settings=settings(FEW, max_examples=300, phases=[Phase.generate, Phase.shrink]))


def told(result: Result) -> list[str]:
    return [finding.text for finding in result.findings]


# -- what is drawn --
def test_an_answer_calls_tools_that_there_are_and_finishes_as_it_should() -> None:
    streams = [answer.reply for answer in drawn(answers(tools=["a", "b"])) if isinstance(answer.reply, StreamReply)]
    calls = [[step.name for step in stream.steps if isinstance(step, Call)] for stream in streams]
    finishes = [stream.steps[-1] for stream in streams]
    assert {name for names in calls for name in names} == {"a", "b"}
    assert finishes == [Finish(reason="tool_calls" if names else "stop") for names in calls]


def test_an_answer_breaks_off_only_where_that_is_asked_for() -> None:
    def breaks(answer: Answer) -> bool:
        return not isinstance(answer.reply, StreamReply) or isinstance(answer.reply.steps[-1], Disconnect)

    assert [any(map(breaks, drawn(answers(broken=broken)))) for broken in (False, True)] == [False, True]


def test_a_plan_reads_back_from_its_text() -> None:
    some = drawn(plans(sites=["answer1", "tool1.start", "user1"], choices=[("tie", 2, 0)], faults_max=2))
    assert [Plan.parse(plan.text()) for plan in some] == some


def test_a_plan_without_sites_and_choices_is_a_seed() -> None:
    assert {(plan.strikes, plan.deviations) for plan in drawn(plans(sites=[]))} == {((), ())}


@FEW
@given(scenarios(broken=True))
def test_a_scenario_can_be_written_to_a_file_and_read_back(scenario: Scenario) -> None:
    (back,) = loads(write(scenario, laws=laws()), "drawn.sim.yaml", laws=laws())
    assert (back.provider, back.user, back.tools) == (scenario.provider, scenario.user, scenario.tools)


# -- what holds of it --
@FEW
@given(scenarios(settings=AGENT, broken=True), plans())
def test_the_sound_agent_keeps_every_law_in_whatever_is_drawn(scenario: Scenario, plan: Plan) -> None:
    assert told(run_once(scenario, plan)) == []


@pytest.mark.parametrize(
    ("flaw", "law", "size"),
    [("stub_finish_stop", "partial_is_not_success", 2), ("run_tools_twice", "tools_run_once", 2)],
)
def test_a_flaw_is_found_and_its_conversation_becomes_small(flaw: str, law: str, size: int) -> None:
    def shows(scenario: Scenario) -> bool:
        return law in {finding.law for finding in run_once(scenario, Plan()).findings}

    found = smallest(scenarios(settings={**AGENT, "flaw": flaw}, broken=True), shows)
    assert (len(found.user), len(found.provider)) == (1, size)


def test_any_fault_that_is_drawn_at_a_site_of_the_default_run_fits() -> None:
    scenario = drawn(scenarios(settings=AGENT, turns_max=1), count=5)[-1]
    runner = ScenarioRunner(scenario)
    met = runner.run(Attempt(number=0, plan=Plan()))

    @FEW
    @given(faults(met.sites))
    def fits(strike: Any) -> None:
        plan = Plan(strikes=(strike,))
        assert runner.run(Attempt(number=0, plan=plan)).plan == plan

    fits()


@FEW
@given(plan=plans(sites=[]))  # type: ignore[arg-type]  # what it wraps is no coroutine function
@simkit.simulated
async def test_a_simulated_test_can_be_a_property_test(plan: Plan) -> None:
    assert plan.strikes == ()


# -- without hypothesis --
def test_nothing_needs_hypothesis_until_it_is_asked_for_and_then_it_is_named() -> None:
    code = (
        "import sys\n"
        "sys.modules['hypothesis'] = None\n"
        "import simkit.strategies, simkit.strategies.uniform, simkit.explore.shrink\n"
        "try:\n    from simkit.strategies import answers\n"
        "except simkit.UsageError as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == (
        "simkit.strategies.answers needs hypothesis - install it, such as: pip install 'pytest-simkit[hypothesis]'\n"
    )

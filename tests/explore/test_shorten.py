"""A scenario loses what its failure does not need, and nothing else goes wrong in what is left of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from simkit.errors import UsageError
from simkit.explore.outcome import Attempt, Broken, Outcome
from simkit.explore.running import ScenarioRunner
from simkit.explore.shorten import Shortened, shorten
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario, UserSays
from simkit.model.timeline import Say, StreamReply
from simkit.run import load
from tests.explore.cases import case_of

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def run(scenario: Scenario, plan: str = "seed=0") -> Outcome:
    return ScenarioRunner(scenario).run(Attempt(number=0, plan=Plan.parse(plan)))


def shortened(scenario: Scenario, plan: str = "seed=0", budget: int = 300) -> Shortened:
    return shorten(scenario, Plan.parse(plan), run(scenario, plan).broken[0], budget=budget)


def stream(scenario: Scenario, at: int) -> StreamReply:
    reply = scenario.provider[at].reply
    assert isinstance(reply, StreamReply)
    return reply


def test_acts_tools_hosts_links_settings_and_facts_that_do_not_matter_go() -> None:
    scenario = case_of(
        "fragile",
        """
        tools: {first: {takes: 1s}, bad: {raises: broken}, third: {}}
        hosts: {a.example: {status: 503}}
        network: {a.example: {latency: 5ms}}
        settings: {mode: fast, depth: 3}
        expect: {messages: 1, ends_within: 3s}
        always: [ends, {bounded_requests: 5}]
        sometimes: [said]
        limits: {time: 1h}
        starts: 2026-03-29T00:59:00Z
        """,
    )
    user = tuple(replace(scenario.user[0], at_ns=n * 10**9) for n in range(4))
    assert shortened(replace(scenario, user=user)).text == dedent(
        """\
        simkit: 1
        scenario: Is it done?
        subject: tests.explore.cases:fragile
        user:
          - at: 0s
            says: go
        provider: []
        tools:
          bad: {raises: broken}
        """
    )


def test_times_become_as_round_as_the_failure_lets_them() -> None:
    scenario = case_of("sleepy", "tools: {work: {takes: 1s337ms, cancel_takes: 17ms}}")
    done = shortened(replace(scenario, user=(UserSays(at_ns=123_456_789, text="please"),)))
    (tool,) = done.scenario.tools.values()
    assert (tool.takes_ns, tool.cancel_takes_ns, done.scenario.user[0].at_ns) == (10**9, 0, 0)


def test_the_plan_stands_in_the_text_and_the_text_fails_by_itself(tmp_path: Path) -> None:
    done = shortened(case_of("fragile"), "seed=0,tool_raises@tool2.end")
    path = tmp_path / "a.sim.yaml"
    path.write_text(done.text, encoding="utf-8")
    (case,) = load(path)
    assert (case.plan, list(case.tools), run(case, case.plan).broken == ()) == (
        "seed=0,tool_raises@tool2.end",
        ["first", "second"],
        False,
    )


def test_a_fault_in_a_stream_follows_its_place_when_steps_before_it_go() -> None:
    (case,) = load(SCENARIOS / "basics" / "payment_runs_once.sim.yaml")
    case = replace(case, settings={**case.settings, "flaw": "run_partial_calls"})
    first = replace(stream(case, 0), steps=(Say(text="One moment."), *stream(case, 0).steps))
    case = replace(case, provider=(replace(case.provider[0], reply=first), *case.provider[1:]))
    before = run(case, "seed=0,cut@answer1.frame3")
    done = shortened(case, "seed=0,cut@answer1.frame3")
    after = run(done.scenario, done.plan.text())
    assert (
        done.plan.text(),
        [len(stream(done.scenario, at).steps) for at in range(len(done.scenario.provider))],
        {broken.key for broken in after.broken} <= {broken.key for broken in before.broken},
    ) == ("seed=0,cut@answer1.frame2", [1], True)


def test_a_script_that_ends_too_soon_does_not_pass_for_the_failure() -> None:
    (case,) = load(SCENARIOS / "basics" / "parallel_tools.sim.yaml")
    case = replace(case, settings={**case.settings, "flaw": "leave_reader_running"})
    done = shortened(case, "seed=0,timeout@answer1")
    assert ([b.law for b in run(done.scenario, "seed=0,timeout@answer1").broken], len(done.scenario.provider)) == (
        ["no_orphans"],
        1,
    )


def test_the_budget_is_kept_and_what_is_left_undone_is_said() -> None:
    scenario = case_of("fragile", "tools: {" + ", ".join(f"t{n}: {{takes: {n}ms}}" for n in range(9)) + "}")
    done = [shortened(scenario, "seed=0,tool_raises@tool5.end", budget) for budget in (1, 4, 300)]
    assert [(one.runs <= budget, one.whole) for one, budget in zip(done, (1, 4, 300), strict=True)] == [
        (True, False),
        (True, False),
        (True, True),
    ]


def test_the_same_scenario_is_shortened_in_the_same_way() -> None:
    texts = {shortened(case_of("racing", "limits: {time: 1h}"), "seed=0,tie@0:1").text for _ in range(2)}
    assert len(texts) == 1


def test_a_scenario_that_does_not_fail_in_this_way_comes_back_as_it_is() -> None:
    scenario = case_of("fragile")
    done = shorten(scenario, Plan(), Broken(law="a", text="a", key="a"))
    assert (done.scenario, done.runs, done.replays) == (scenario, 1, False)


def test_a_scenario_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be written in the language"):
        shortened(replace(case_of("fragile"), title="\ud800"), "seed=0,tool_raises@tool1.end")

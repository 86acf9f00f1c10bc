"""A pinned failure is a scenario that fails as the failure did, says what its plan does, and is nowhere half done."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from simkit.errors import UsageError
from simkit.explore.failures import Failure, failures_of
from simkit.explore.outcome import Attempt, Broken
from simkit.explore.pin import pin
from simkit.explore.running import HEAL, ScenarioRunner
from simkit.model.plan import Plan
from simkit.model.scenario import Exploring, Scenario
from simkit.model.trace import Event, Trace
from simkit.reporters.plans import in_words
from simkit.run import load, run_case
from tests.explore.cases import case_of

RAISES = "seed=0,tool_raises@tool1.end"
TIE = "seed=0,tie@0:1"


def found(scenario: Scenario, plan: str) -> Failure:
    outcome = ScenarioRunner(scenario).run(Attempt(number=0, plan=Plan.parse(plan)))
    return failures_of(scenario.name, outcome)[0]


def pinned(folder: Path, agent: str = "fragile", plan: str = RAISES, keys: str = "") -> Path:
    scenario = case_of(agent, keys)
    return pin(scenario, found(scenario, plan), folder)


@pytest.mark.parametrize(("agent", "plan"), [("fragile", RAISES), ("racing", TIE)])
def test_a_pinned_file_fails_by_itself_as_the_failure_did(agent: str, plan: str, tmp_path: Path) -> None:
    failure = found(case_of(agent), plan)
    (case,) = load(pin(case_of(agent), failure, tmp_path))
    result = run_case(case)
    assert ([(f.law, f.text) for f in result.findings], result.plan) == (
        [(failure.broken.law, failure.broken.text)],
        failure.plan,
    )


def test_a_pinned_file_reads_as_somebody_would_have_written_it(tmp_path: Path) -> None:
    keys = """
        refs: [failure-modes/1]
        tools: {first: {takes: 1s}, second: {takes: 1s}}
        expect: {messages: 1}
        skip: it fails too often
        explore: {runs: 50, sweep: single}
        sometimes: [said]
        catches: [leak]
    """
    text = pinned(tmp_path, "racing", TIE, keys).read_text()
    assert re.sub(r"cases\.py:\d+", "cases.py", text) == (
        "# ends: the subject raised RuntimeError at tests/explore/cases.py at 1.000s: RuntimeError: the second was "
        "first\n"
        "# Found by an exploration of a.sim.yaml::run\n"
        "simkit: 1\n"
        "scenario: Is it done? (pinned)\n"
        "refs: [failure-modes/1]\n"
        "subject: tests.explore.cases:racing\n"
        "user:\n"
        "  - at: 0s\n"
        "    says: go\n"
        "provider: []\n"
        "tools:\n"
        "  first: {takes: 1s}\n"
        "  second: {takes: 1s}\n"
        "expect:\n"
        "  messages: 1\n"
        "# tie@0:1: at 1.000s, of all that is due at this instant, run 2 of second comes first\n"
        "plan: seed=0,tie@0:1\n"
    )


def test_a_failure_of_the_default_run_needs_no_plan_in_its_file(tmp_path: Path) -> None:
    scenario = case_of("fragile", "tools: {first: {raises: no}}")
    assert "plan:" not in pin(scenario, found(scenario, "seed=0"), tmp_path).read_text()


def test_who_was_tested_and_what_was_set_from_outside_is_in_the_file(tmp_path: Path) -> None:
    scenario = replace(case_of("sleepy"), settings={"mode": "fast"})
    failure = found(replace(scenario, subject="tests.explore.cases:fragile"), RAISES)
    (case,) = load(pin(scenario, failure, tmp_path, subject="tests.explore.cases:fragile"))
    assert (case.subject, case.settings) == ("tests.explore.cases:fragile", {"mode": "fast"})


def test_a_title_is_called_pinned_once(tmp_path: Path) -> None:
    scenario = replace(case_of("fragile"), title="Is it done? (pinned)")
    (case,) = load(pin(scenario, found(scenario, RAISES), tmp_path))
    assert case.title == "Is it done? (pinned)"


def test_its_name_says_what_failed_and_its_folder_is_made(tmp_path: Path) -> None:
    path = pinned(tmp_path / "scenarios" / "regressions")
    failure = found(case_of("fragile"), RAISES)
    assert path.relative_to(tmp_path).as_posix() == f"scenarios/regressions/a_ends-{failure.id}.sim.yaml"


# -- nothing is left behind --------------------------------------------------------------------------------------------
def test_nothing_is_written_over_a_file_that_is_there(tmp_path: Path) -> None:
    path = pinned(tmp_path)
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already, and nothing is written over it"):
        pinned(tmp_path)
    assert path.read_text() == "mine"


REFUSED = [
    ("it passes", "seed=0", {}, "does not break 'ends' in the same way, it passes - replay"),
    ("its plan does not fit", "seed=0,cut@answer7.frame1", {}, "it breaks 'ends': the plan does not fit this run"),
    ("its title is half a character", RAISES, {"title": "\ud800"}, "cannot be written in the language"),
]


@pytest.mark.parametrize(("plan", "keys", "error"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_does_not_fail_alike_by_itself_leaves_no_file(
    plan: str, keys: dict[str, str], error: str, tmp_path: Path
) -> None:
    scenario = case_of("fragile")
    failure = replace(found(scenario, RAISES), plan=Plan.parse(plan))
    with pytest.raises(UsageError, match=re.escape(error)):
        pin(replace(scenario, **keys), failure, tmp_path / "new")  # type: ignore[arg-type]  # texts only
    assert list(tmp_path.iterdir()) == []


def test_what_only_an_exploration_asks_is_refused_by_name(tmp_path: Path) -> None:
    scenario = replace(case_of("fragile"), explore=Exploring(heal_ns=1))
    failure = Failure(case="a", broken=Broken(law=HEAL, text="", key=""), plan=Plan.parse(RAISES))
    with pytest.raises(UsageError, match=r"explore\.heal is asked by an exploration alone"):
        pin(scenario, failure, tmp_path)


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"a_ends-\w+\.sim\.yaml' cannot be written: "):
        pinned(tmp_path / "file")


# -- a plan in words ---------------------------------------------------------------------------------------------------
def events(*told: tuple[str, dict[str, object]]) -> Trace:
    return Trace(tuple(Event(n, 1_500_000_000, "world", kind, values) for n, (kind, values) in enumerate(told)))


def choice(number: int, kind: str, picked: str) -> tuple[str, dict[str, object]]:
    return "choice", {"number": number, "choice": kind, "picked": picked}


def fault(site: str, kind: str) -> tuple[str, dict[str, object]]:
    return "fault", {"site": site, "fault": kind}


def test_every_kind_of_choice_is_told_with_its_instant_and_what_was_picked() -> None:
    kinds = ("tie", "deadline", "timing", "thread", "suspend", "order", "newer")
    plan = Plan.parse("seed=0," + ",".join(f"{kind}@{number}:1" for number, kind in enumerate(kinds)))
    trace = events(*(choice(number, kind, f"X{number}") for number, kind in enumerate(kinds)))
    assert in_words(plan, trace).splitlines() == [
        "tie@0:1: at 1.500s, of all that is due at this instant, X0 comes first",
        "deadline@1:1: at 1.500s, what is due at a deadline waits: X1",
        "timing@2:1: at 1.500s, X2",
        "thread@3:1: at 1.500s, of the threads that could go on, X3 does",
        "suspend@4:1: at 1.500s, X4",
        "order@5:1: at 1.500s, of the callbacks that are ready, that of X5 goes first",
        "newer@6:1: at 1.500s, newer: X6",
    ]


def test_every_place_where_a_fault_can_strike_is_told_in_words() -> None:
    parts = "status_429@answer2 cut@answer2.frame3 stall@job1.frame0 timeout@poll4 tool_hangs@tool2.start cancel@user1"
    plan = Plan.parse("seed=0," + parts.replace(" ", ","))
    struck = (fault(strike.site, strike.kind) for strike in plan.strikes)
    trace = events(("tool.start", {"run": 2, "tool": "write_file"}), *struck)
    assert in_words(plan, trace).splitlines() == [
        "status_429@answer2: at 1.500s, the answer to request 2: the request is turned away: too many of them",
        "cut@answer2.frame3: at 1.500s, before frame 3 (from 0) of the answer to request 2: the connection ends "
        "inside the body",
        "stall@job1.frame0: at 1.500s, before frame 0 (from 0) of a stream of the job of request 1: the stream falls "
        "silent here, and stays open",
        "timeout@poll4: at 1.500s, request 4 about a job: no answer ever comes",
        "tool_hangs@tool2.start: at 1.500s, the start of run 2 of a tool, write_file: the tool never comes back",
        "cancel@user1: at 1.500s, what the user does, act 1: the user cancels at this instant",
    ]


def test_what_else_varies_is_told_and_what_never_happened_is_told_without_an_instant() -> None:
    plan = Plan.parse("seed=7,order=any,jitter=5ms,cut@answer1.frame2,thread@4:1")
    assert in_words(plan, Trace()).splitlines() == [
        "seed=7: the stream of chance for ids, retry delays and the order of sets",
        "order=any: callbacks run in orders that asyncio itself does not produce",
        "jitter=5ms: what comes from outside may shift by 5ms around a deadline",
        "cut@answer1.frame2: before frame 2 (from 0) of the answer to request 1: the connection ends inside the body",
        "thread@4:1: a choice of thread",
    ]

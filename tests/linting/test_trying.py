"""What the runs of a scenario show: which flaws fail it, and what no run needed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from simkit.extensions import BUILT_IN
from simkit.linting.linter import lint
from simkit.linting.order import ORDER
from simkit.linting.rules import RULES
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.verdict import Result
from simkit.run import run_once
from tests.linting.linted import ANSWER, HEAD, PLAIN, broken, remarks, said

BASICS: Final = Path(__file__).parents[2] / "scenarios" / "basics"


@pytest.fixture(autouse=True)
def shy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subject called ``shy`` with four flaws, one of which harms nobody."""
    monkeypatch.setitem(BUILT_IN["subjects"], "shy", "tests.linting.agents:SHY")


def greeting(expect: str = "{last_message: hello}", **keys: str) -> str:
    """A scenario of the shy subject, one key on each line, in order."""
    lines = {
        "simkit": "1",
        "scenario": "Is the user greeted?",
        "subject": "shy",
        "user": "[{at: 0s, says: Hello}]",
        "provider": "[]",
        "expect": expect,
        **keys,
    }
    return "".join(f"{key}: {lines[key]}\n" for key in sorted(lines, key=ORDER.index))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The flaws of the runs that were made, in order; of a run that was cut short with its steps."""
    made: list[str] = []

    def counted(case: Scenario, plan: Plan) -> Result:
        short = f" in {case.limits.steps} steps" if case.limits.steps < 2_000_000 else ""
        made.append(f"{case.row} {case.settings.get('flaw', '')}{short}".strip())
        return run_once(case, plan)

    monkeypatch.setattr("simkit.linting.trying.run_once", counted)
    return made


def test_nothing_is_doubted_in_scenarios_that_each_catch_something() -> None:
    checked = list(lint([str(BASICS)], RULES))
    assert ([one.render() for each in checked for one in each.remarks], len(checked) > 5) == ([], True)


# -- flaws ---------------------------------------------------------------------------------------
# What the laws that hold by themselves see of the flaws.
LENIENT: Final = "[{off: ends, because: any end will do}, {off: no_lost_errors, because: as above}]"


def test_a_scenario_that_no_flaw_fails_tests_nothing(tmp_path: Path) -> None:
    assert said(tmp_path, greeting("{requests: 0}", always=LENIENT)) == [
        (2, "no flaw of subject 'shy' makes this scenario fail, so it tests nothing")
    ]


def test_a_scenario_that_explores_is_not_doubted_for_what_a_single_run_does_not_show(tmp_path: Path) -> None:
    text = greeting("{requests: 0}", always=LENIENT)
    explores = "explore: {runs: 5, jitter: 5ms}\n"
    assert [bool(said(tmp_path, text + more)) for more in ("", explores)] == [True, False]


def test_the_search_ends_with_the_first_flaw_that_fails_the_scenario(tmp_path: Path, runs: list[str]) -> None:
    assert (said(tmp_path, greeting()), runs) == ([], ["", "harmless in 5000 steps", "rude in 5000 steps"])


def test_a_flaw_that_is_caught_is_the_only_one_that_is_run(tmp_path: Path, runs: list[str]) -> None:
    assert (said(tmp_path, greeting(catches="[raises]")), runs) == ([], ["", "raises"])


def test_a_flaw_that_spins_is_asked_again_when_no_other_fails(tmp_path: Path, runs: list[str]) -> None:
    assert said(tmp_path, greeting("{ends_within: 5s}", always=LENIENT)) == []
    assert runs == ["", *(f"{flaw} in 5000 steps" for flaw in ("harmless", "rude", "spins", "raises")), "spins"]


def test_a_flaw_that_the_second_row_catches_is_caught(tmp_path: Path, runs: list[str]) -> None:
    expect = "{last_message: {one_of: [hello, '${word}']}}"
    text = greeting(expect, matrix="{word: [bye, hello, hallo]}", catches="[rude]")
    assert (said(tmp_path, text), runs) == ([], ["bye", "bye rude", "hello", "hello rude"])


def test_a_flaw_that_is_not_caught_is_wrong_and_told_where_it_stands(tmp_path: Path) -> None:
    (one,) = remarks(tmp_path, greeting(catches="[rude, harmless]"))
    assert (one.severity, one.rule, one.line, one.column, one.text) == (
        "error",
        "catches-nothing",
        7,
        17,
        "the scenario passes with the flaw 'harmless'",
    )


def test_a_subject_without_a_table_is_tried_with_the_flaws_that_the_scenario_names(tmp_path: Path) -> None:
    text = greeting(subject="tests.linting.agents:free", catches="[rude, gruff]")
    assert said(tmp_path, text) == [(7, "the scenario passes with the flaw 'gruff'")]


def test_a_flaw_that_the_subject_refuses_while_it_runs_is_not_taken_for_caught(tmp_path: Path) -> None:
    text = f"{PLAIN}subject: agent-sync\ncatches: [stub_finish_stop]\n"
    (one,) = remarks(tmp_path, text, "catches-nothing", "no-flaw-fails")
    assert (one.rule, one.text.split(": ")[0]) == (
        "catches-nothing",
        "the flaw 'stub_finish_stop' cannot be tried here",
    )


def test_a_search_that_was_broken_off_says_how_far_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simkit.linting.trying.RUNS_MAX", 3)
    assert said(tmp_path, greeting("{requests: 0}", always=LENIENT)) == [
        (2, "no flaw of subject 'shy' made this scenario fail in 2 runs")
    ]


# -- cases that do not pass ----------------------------------------------------------------------
def test_a_case_that_fails_says_nothing_of_flaws(tmp_path: Path) -> None:
    assert said(tmp_path, greeting("{last_message: bye}", catches="[harmless]")) == [
        (2, 'the case \'run\' does not pass: expected last_message to be "bye", but it was "hello"')
    ]


def test_what_a_failing_run_did_not_come_to_is_not_called_waste(tmp_path: Path) -> None:
    text = greeting("{last_message: bye}", provider="[{status: 500}]", tools="{t: {}}")
    assert broken(tmp_path, text) == ["does-not-pass"]


def test_a_case_that_has_to_fail_is_not_told(tmp_path: Path) -> None:
    assert broken(tmp_path, greeting("{last_message: bye}", xfail="not yet")) == []


def test_a_case_that_is_left_out_is_not_run(tmp_path: Path, runs: list[str]) -> None:
    assert (broken(tmp_path, greeting("{last_message: bye}", skip="not yet")), runs) == ([], [])


def test_without_runs_nothing_is_run(tmp_path: Path, runs: list[str]) -> None:
    assert (said(tmp_path, greeting("{requests: 0}", catches="[harmless]"), run=False), runs) == ([], [])


def test_rules_that_are_switched_off_cost_no_run(tmp_path: Path, runs: list[str]) -> None:
    assert (said(tmp_path, greeting(), "key-order", "suspicious-duration"), runs) == ([], [])


# -- what no run needed --------------------------------------------------------------------------
ONCE: Final = "provider:\n  - stream: [{say: Hi}, {finish: stop}]\n"


def test_an_answer_that_no_run_used_is_told_with_the_way_out(tmp_path: Path) -> None:
    (one,) = remarks(tmp_path, f"{HEAD}{ONCE}  - {{status: 500}}\n", "unused-answer")
    assert (one.line, one.text, one.remedy) == (
        7,
        "after the run, this answer was never used",
        "take it out, or name under `catches` the flaw that it waits for",
    )


def test_an_answer_that_was_used_less_often_than_it_may_be_is_told(tmp_path: Path) -> None:
    text = f"{HEAD}{ONCE.replace('- stream', '- times: 3' + chr(10) + '    stream')}"
    assert said(tmp_path, text, "unused-answer") == [(6, "after the run, this answer was used 1 of 3 times at most")]


def test_an_answer_for_every_request_is_used_when_one_came(tmp_path: Path) -> None:
    assert said(tmp_path, f"{HEAD}{ONCE}    times: any\n", "unused-answer") == []


def test_an_answer_that_waits_for_a_flaw_is_needed(tmp_path: Path) -> None:
    cut = "provider:\n  - stream: [{say: Hi}, {disconnect: eof}]\n  - stream: [{say: there}, {finish: stop}]\n"
    text = f"{HEAD}{cut}settings: {{max_continuations: 0, flaw: ''}}\n"
    waits = text + "catches: [unbounded_continuations]\n"
    # Without the line the same flaw is found to fail the scenario, which does not make its answer a wanted one.
    rules = ("unused-answer", "no-flaw-fails")
    assert (said(tmp_path, text, *rules), said(tmp_path, waits, *rules)) == (
        [(7, "after the run, this answer was never used")],
        [],
    )


def test_an_answer_that_another_row_uses_is_needed(tmp_path: Path) -> None:
    script = "provider:\n  - stream: [{say: Hi}, {finish: '${end}'}]\n  - stream: [{say: Ho}, {finish: stop}]\n"
    rows = "matrix: {end: [stop, length]}\n"
    assert (said(tmp_path, HEAD + script + rows, "unused-answer")) == []


def test_a_poll_that_never_comes_is_told_where_its_answer_stands(tmp_path: Path) -> None:
    job = "provider:\n  - background:\n      in_progress: 5s\n      polls:\n"
    job += "        2: {status: 502}\n        9: {status: 502}\n"
    job += "      stream: [{say: Hi}, {finish: stop}]\n"
    text = f"{HEAD}{job}settings: {{dialect: openai-responses, background: true, stream: false}}\n"
    (one,) = remarks(tmp_path, text, "unused-answer")
    assert (one.line, one.text.startswith("after the run, poll 9 of this job never came: ")) == (10, True)


def test_a_law_that_has_nothing_to_judge_is_told_with_its_reason(tmp_path: Path) -> None:
    text = f"{PLAIN}always: [no_orphans, nothing_after_cancel]\n"
    (one,) = remarks(tmp_path, text, "law-cannot-apply")
    assert (one.line, one.column, one.text.split(": ")[0]) == (
        8,
        22,
        "after the run, the law 'nothing_after_cancel' had nothing to judge",
    )


def test_a_tool_that_the_subject_runs_by_itself_is_needed(tmp_path: Path) -> None:
    tools = "{look_up: {returns: found}, spare: {}}"
    text = greeting("{last_message: found}", subject="tests.linting.agents:uses_a_tool", tools=tools)
    assert said(tmp_path, text) == [(6, "after the run, nothing called the tool 'spare'")]


def test_a_host_that_nobody_dialled_is_told(tmp_path: Path) -> None:
    text = greeting(hosts="{docs.example: {status: 404}}", catches="[rude]")
    assert said(tmp_path, text) == [(6, "after 2 runs, nobody dialled the host 'docs.example'")]


def test_what_was_dead_by_itself_is_told_once(tmp_path: Path) -> None:
    text = f"{HEAD}provider:\n  - {{when: {{dialect: anthropic}}, status: 500}}\n{ANSWER.split(chr(10), 1)[1]}"
    assert said(tmp_path, text, "unused-answer") == [(6, "no request fits this: subject 'agent' speaks 'openai-chat'")]

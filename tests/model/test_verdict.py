from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement

from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import XFAIL, Finding, Judgement, Result, Verdict

ORDER = [Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN]


def result(*verdicts: Verdict, wall_s: float = 0.0) -> Result:
    findings = tuple(Finding(law="a_law", text="it broke", verdict=v) for v in verdicts)
    judgement = Judgement(findings=findings)
    scenario = Scenario(title="does it?", provider=())
    return Result(scenario=scenario, plan=Plan(), trace=Trace(), judgement=judgement, wall_s=wall_s)


def test_a_result_without_findings_passes() -> None:
    assert result().verdict is Verdict.PASS


def test_the_worst_verdict_wins() -> None:
    pairs = list(combinations_with_replacement(ORDER, 2))
    assert [result(*pair).verdict for pair in pairs] == [worst for _, worst in pairs]


def as_its_author_says(one: Result, **reasons: str) -> Result:
    return replace(one, scenario=replace(one.scenario, **reasons))  # type: ignore[arg-type]  # both reasons are texts


def test_an_expected_failure_is_one_only_where_something_really_failed() -> None:
    found = [as_its_author_says(result(*v), xfail="a known bug") for v in ((), (Verdict.FAIL,), (Verdict.UNKNOWN,))]
    assert [(r.outcome, r.reason, r.is_bad) for r in found] == [
        ("PASS", "", False),
        ("XFAILED", "a known bug", False),
        ("UNKNOWN", "", True),
    ]


def test_what_passed_though_it_was_expected_to_fail_is_a_failure() -> None:
    finding = Finding(law=XFAIL, text="expected to fail (a known bug), and it passed")
    strict = replace(result(), judgement=Judgement(findings=(finding,)))
    assert as_its_author_says(strict, xfail="a known bug").outcome == "FAIL"


def test_what_was_never_run_neither_passes_nor_counts_against_anybody() -> None:
    skipped = as_its_author_says(result(), skip="later", xfail="and a known bug")
    assert (skipped.verdict, skipped.outcome, skipped.reason, skipped.is_bad) == (
        Verdict.UNKNOWN,
        "SKIPPED",
        "later",
        False,
    )


def test_a_case_that_is_run_in_spite_of_being_skipped_has_the_outcome_of_its_run() -> None:
    ran = replace(result(Verdict.FAIL), trace=Trace((Event(0, 0, "world", "run.start", {}),)))
    assert as_its_author_says(ran, skip="later").outcome == "FAIL"


def test_not_knowing_is_worse_than_failing() -> None:
    assert sorted(Verdict) == ORDER


def test_a_finding_is_a_failure_unless_it_says_otherwise() -> None:
    assert Finding(law="a_law", text="it broke").verdict is Verdict.FAIL


def test_wall_time_is_no_part_of_what_a_result_is() -> None:
    assert result(Verdict.FAIL, wall_s=1.0) == result(Verdict.FAIL, wall_s=2.0)

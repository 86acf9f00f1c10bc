from __future__ import annotations

from itertools import combinations_with_replacement

from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.trace import Trace
from simkit.model.verdict import Finding, Judgement, Result, Verdict

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


def test_not_knowing_is_worse_than_failing() -> None:
    assert sorted(Verdict) == ORDER


def test_a_finding_is_a_failure_unless_it_says_otherwise() -> None:
    assert Finding(law="a_law", text="it broke").verdict is Verdict.FAIL


def test_wall_time_is_no_part_of_what_a_result_is() -> None:
    assert result(Verdict.FAIL, wall_s=1.0) == result(Verdict.FAIL, wall_s=2.0)

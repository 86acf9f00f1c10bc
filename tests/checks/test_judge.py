from __future__ import annotations

from dataclasses import replace

import pytest

from simkit import extensions
from simkit.checks.judge import judge, laws
from simkit.contracts import Law
from simkit.model.scenario import Expectation, LawUse, Matcher, Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Trace
from simkit.model.verdict import Finding, Verdict
from tests.checks.traces import FILE, SCENARIO, USER, Story

PLACE = Place(FILE, 40)


def always(*uses: LawUse, expect: tuple[Expectation, ...] = ()) -> Scenario:
    return replace(SCENARIO, always=uses, expect=expect)


def busy(requests: int = 21) -> Trace:
    story = Story().turn()
    for number in range(1, requests + 1):
        story.request(number, USER, number).answer(number)
    return story.turn_ends().returns().trace


def test_a_run_in_good_order_is_judged_by_every_default_law() -> None:
    judgement = judge(SCENARIO, busy(2))

    said = [*judgement.held, *(missing.law for missing in judgement.not_applicable)]
    assert (judgement.findings, sorted(said)) == ((), sorted(laws()))


def test_a_default_law_is_asked_with_its_default() -> None:
    assert [f.law for f in judge(SCENARIO, busy()).findings] == ["bounded_requests"]


def test_a_law_that_is_named_too_is_asked_once_with_the_scenarios_parameter() -> None:
    findings = judge(always(LawUse(law="bounded_requests", value=5, place=PLACE)), busy()).findings

    assert [(f.law, f.place, "at most 5" in f.text) for f in findings] == [("bounded_requests", PLACE, True)]


def test_a_law_that_is_switched_off_is_not_asked() -> None:
    judgement = judge(always(LawUse(law="bounded_requests", off=True, because="a long job")), busy())

    assert (judgement.findings, "bounded_requests" in judgement.held) == ((), False)


def test_expectations_are_asked_after_the_laws() -> None:
    expect = tuple(
        Expectation(fact=fact, matchers=(Matcher(op="exactly", value=value),), place=PLACE)
        for fact, value in [("requests", 20), ("outcome", "finished")]
    )
    judgement = judge(always(expect=expect), busy())

    assert [f.law for f in judgement.findings] == ["bounded_requests", "expect.requests"]
    assert judgement.held[-1] == "expect.outcome"


def test_a_law_that_crashes_is_unknown_and_stops_no_other() -> None:
    findings = judge(always(LawUse(law="bounded_silence", value="soon")), busy()).findings

    assert [(f.law, f.verdict, f.text) for f in findings] == [
        ("bounded_requests", Verdict.FAIL, findings[0].text),
        (
            "bounded_silence",
            Verdict.UNKNOWN,
            "bounded_silence could not be judged: TypeError: the law's parameter is 'soon', expected a whole number",
        ),
    ]


@pytest.mark.parametrize(
    ("scenario", "law"),
    [
        (always(LawUse(law="bounded_request")), "bounded_request"),
        (always(expect=(Expectation(fact="moods", matchers=()),)), "expect.moods"),
    ],
)
def test_what_nobody_knows_is_unknown_and_never_a_pass(scenario: Scenario, law: str) -> None:
    assert [(f.law, f.verdict) for f in judge(scenario, busy(1)).findings] == [(law, Verdict.UNKNOWN)]


def test_an_event_that_breaks_the_traces_table_is_unknown() -> None:
    trace = Story().event("provider", "request", request="one").trace

    assert Verdict.UNKNOWN in {f.verdict for f in judge(SCENARIO, trace).findings}


@pytest.mark.parametrize("name", extensions.BUILT_IN["checks"])
def test_every_built_in_law_is_registered_under_its_own_name(name: str) -> None:
    law = extensions.find("checks", name)

    assert isinstance(law, Law)
    assert (law.name, law.parameter is None) == (name, law.default is None)


def test_a_law_asked_of_an_empty_trace_finds_nothing_and_is_never_held_for_requests() -> None:
    judgement = judge(SCENARIO, Trace())

    assert (judgement.findings, judgement.held) == ((), ())


def test_a_law_keeps_the_place_that_it_knows_better() -> None:
    story = Story().turn().request(1, USER).stalled(1).turn_ends().returns()
    use = LawUse(law="partial_is_not_success", place=PLACE)

    found: list[Finding] = [f for f in judge(always(use), story.trace).findings if f.law == use.law]
    assert [f.place for f in found] == [Place(FILE, 10)]

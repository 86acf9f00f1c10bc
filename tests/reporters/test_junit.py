"""JUnit: what a CI system counts, shows and stores of a run."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from simkit.model.verdict import Finding, Judgement
from simkit.reporters.junit import JUNIT, JUnitReporter
from simkit.reporters.layout import ReportOptions
from tests.reporters.results import expected_failure, failing, passing, skipped, unknown


def test_every_outcome_is_counted_and_told_as_its_readers_expect() -> None:
    root = ElementTree.fromstring(JUNIT.render([passing(), failing(), unknown(), skipped(), expected_failure()]))
    (suite,) = root
    told = [(case.get("name"), [(e.tag, e.get("type")) for e in case if e.tag != "properties"]) for case in suite]
    assert (told, {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}) == (
        [
            ("run", []),
            ("quiet=20m", [("failure", "partial_is_not_success")]),
            ("quiet=20m", [("error", "bounded_requests")]),
            ("run", [("skipped", "simkit.skip")]),
            ("quiet=20m", [("skipped", "simkit.xfail")]),
        ],
        {"tests": "5", "failures": "1", "errors": "1", "skipped": "2", "time": "1.000"},
    )


def test_a_file_is_a_suite() -> None:
    other = replace(passing(), scenario=replace(passing().scenario, file="other.sim.yaml"))
    root = ElementTree.fromstring(JUNIT.render([passing(), other, failing()]))
    assert [(suite.get("name"), len(suite)) for suite in root] == [("stall.sim.yaml", 2), ("other.sim.yaml", 1)]


def test_a_case_names_its_line_and_carries_what_a_replay_needs() -> None:
    case = ElementTree.fromstring(JUNIT.render([failing()]))[0][0]
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert (case.get("file"), case.get("line"), properties) == (
        "stall.sim.yaml",
        "10",
        {
            "simkit_title": "The stream stalls in the middle of a tool call",
            "simkit_verdict": "FAIL",
            "simkit_plan": "seed=0",
            "simkit_virtual_seconds": str(failing().trace.end_ns / 1e9),
            "simkit_requests": "1",
        },
    )


def test_a_failure_holds_the_report_with_the_settings_of_the_run() -> None:
    text = JUnitReporter(options=ReportOptions(overrides={"flaw": "stub_finish_stop"})).render([failing()])
    (told,) = ElementTree.fromstring(text).iter("failure")
    assert "--set flaw=stub_finish_stop" in (told.text or "")


def test_what_xml_cannot_hold_is_escaped() -> None:
    odd = Finding(law="ends", text="a\x00b\x1b[31m\ud800 <&> \ufffe")
    text = JUNIT.render([replace(failing(), judgement=Judgement(findings=(odd,)))])
    (told,) = ElementTree.fromstring(text).iter("failure")
    assert told.get("message") == "ends: a\\x00b\\x1b[31m\\ud800 <&> \\ufffe"


def test_no_results_are_an_empty_document() -> None:
    assert ElementTree.fromstring(JUNIT.render([])).get("tests") == "0"

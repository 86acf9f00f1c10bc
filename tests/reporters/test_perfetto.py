from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from simkit.model.verdict import Result
from simkit.reporters.perfetto import PERFETTO, perfetto
from tests.checks.traces import USER, Story
from tests.reporters.results import failing, judged, long_run, passing, skipped
from tests.reporters.runs import all_kinds, hostile, leaking, whole
from tests.reporters.trace_event_format import faults_of


def overlapping() -> Result:
    """Two requests at once, of which neither lies within the other."""
    story = Story().request(1, USER).response(1).at("1s").request(2, USER).response(2).at("2s").stream_ends(1)
    return judged(story.at("3s").stream_ends(2).returns())


def events(*results: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(PERFETTO.render(results))["traceEvents"]
    return found


@pytest.mark.parametrize("make", [failing, passing, skipped, whole, hostile, leaking, overlapping, long_run])
def test_a_run_is_a_document_of_the_trace_event_format(make: Callable[[], Result]) -> None:
    assert faults_of(perfetto([make()])) == []


def test_several_cases_are_processes_of_one_document() -> None:
    assert faults_of(PERFETTO.render([failing(), passing()])) == []
    names = [e["args"]["name"] for e in events(failing(), passing()) if e["name"] == "process_name"]
    assert names == ["stall.sim.yaml::quiet=20m", "stall.sim.yaml::run"]


def test_spans_are_slices_in_microseconds_on_tracks_that_are_named_after_their_lane() -> None:
    found = events(whole())
    lanes = {e["tid"]: e["args"]["name"] for e in found if e["name"] == "thread_name"}
    slices = [(lanes[e["tid"]], e["name"], e["ts"], e["dur"]) for e in found if e["ph"] == "X"]
    assert (slices[0], slices[-1]) == (
        ("agent", "turn 1", 0, 182_000_000),
        ("tools", "write_file (run 1)", 180_000_000, 2_000_000),
    )


def test_spans_that_overlap_without_nesting_are_on_tracks_of_their_own() -> None:
    tracks = {e["name"]: e["tid"] for e in events(overlapping()) if e["ph"] == "X"}
    assert tracks["request 1"] != tracks["request 2"]


def test_every_event_is_an_instant_with_all_its_values() -> None:
    result = whole()
    instants = [e for e in events(result) if e["ph"] == "i"]
    assert [e["cat"] for e in instants] == [event.kind for event in result.trace]
    assert instants[0]["args"] == {"n": 0, "at": 0.0, "who": "user", "what": "user.says", "line": 5, "text": "Write it"}


def test_nanoseconds_are_kept_as_decimals() -> None:
    story = Story().event("subject", "note", name="a")
    story.at("1500ns").event("subject", "note", name="b")
    assert [e["ts"] for e in events(judged(story)) if e["ph"] == "i"] == [0, 1.5]


def test_only_the_events_that_are_asked_for_are_written() -> None:
    found = json.loads(perfetto([long_run()], [0, 1, 2]))["traceEvents"]
    assert [e["args"]["n"] for e in found if e["ph"] == "i"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"ph": "Q"}, "event 0: 'Q' is no phase"),
        ({"ts": "soon"}, "event 0: ts is 'soon', expected microseconds"),
        ({"dur": -1}, "event 0: dur is -1, expected microseconds"),
        ({"pid": "one"}, "event 0: pid is 'one', expected a whole number"),
        ({"name": 7}, "event 0: its name and category are not text"),
        ({"args": []}, "event 0: its args are no object"),
    ],
)
def test_the_judge_of_the_format_finds_a_planted_fault(change: dict[str, object], fault: str) -> None:
    slice_ = {"ph": "X", "name": "a", "ts": 0, "dur": 1, "pid": 1, "tid": 1, **change}
    assert faults_of(json.dumps({"traceEvents": [slice_]})) == [fault]


def test_the_judge_of_the_format_finds_slices_that_cross_and_a_document_without_events() -> None:
    one = {"ph": "X", "name": "a", "ts": 0, "dur": 5, "pid": 1, "tid": 1}
    crossing = faults_of(json.dumps({"traceEvents": [one, {**one, "ts": 3}]}))
    assert crossing == ["track (1, 1): (0, 5) crosses (3, 8)"]
    assert faults_of(json.dumps({"traceEvents": []})) == ["there are no events"]


def test_an_event_of_every_kind_can_be_written() -> None:
    story = Story()
    for event in all_kinds():
        story.event(event.actor, event.kind)
    assert faults_of(perfetto([judged(story)])) == []

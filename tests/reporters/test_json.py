from __future__ import annotations

import json
from dataclasses import replace

from simkit.model.trace import Event
from simkit.model.verdict import Finding, Judgement
from simkit.reporters.json import JSON, JsonReporter
from tests.reporters.results import expected_failure, failing, passing, skipped


def told(event: Event) -> dict[str, object]:
    return {"n": event.n, "at": event.at_ns / 1e9, "actor": event.actor, "kind": event.kind}


def test_the_document_holds_exactly_what_was_promised() -> None:
    first, second = failing().findings
    trace = failing().trace

    stored = JsonReporter(ids={"stall.sim.yaml::quiet=20m": "3fa9c2d1"})
    assert json.loads(stored.render([passing(), failing()])) == {
        "results": [
            {
                "file": "stall.sim.yaml",
                "case": "run",
                "verdict": "PASS",
                "end": 0.0,
                "requests": 1,
                "plan": "seed=0",
                "findings": [],
            },
            {
                "file": "stall.sim.yaml",
                "case": "quiet=20m",
                "verdict": "FAIL",
                "end": 180.0,
                "requests": 1,
                "plan": "seed=0",
                "id": "3fa9c2d1",
                "findings": [
                    {
                        "law": "partial_is_not_success",
                        "text": first.text,
                        "place": "stall.sim.yaml:10",
                        "events": [told(trace.events[n]) for n in first.events],
                    },
                    {
                        "law": "expect.requests",
                        "text": second.text,
                        "place": "stall.sim.yaml:14",
                        "expected": "requests to be 2",
                        "actual": "1",
                        "events": [told(trace.events[n]) for n in second.events],
                    },
                ],
            },
        ]
    }


def test_what_is_skipped_and_what_is_expected_to_fail_say_why() -> None:
    results = json.loads(JSON.render([skipped(), expected_failure()]))["results"]

    assert [(r["verdict"], r["reason"], [f["law"] for f in r["findings"]]) for r in results] == [
        ("SKIPPED", "waits for the store", []),
        ("XFAILED", "the stub is\nnot mended yet", ["partial_is_not_success", "expect.requests"]),
    ]


def test_no_results_are_an_empty_list() -> None:
    assert json.loads(JSON.render([])) == {"results": []}


def test_a_finding_keeps_no_secret() -> None:
    finding = Finding(law="ends", text="refused the key " + "sk-" + "abcdef123456")
    result = replace(failing(), judgement=Judgement(findings=(finding,)))

    assert json.loads(JSON.render([result]))["results"][0]["findings"][0]["text"] == "refused the key ***"

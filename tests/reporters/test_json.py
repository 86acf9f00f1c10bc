from __future__ import annotations

import json
from dataclasses import replace

from simkit.model.verdict import Finding, Judgement
from simkit.reporters.json import JSON
from tests.reporters.results import expected_failure, failing, passing, skipped


def test_the_document_holds_exactly_what_was_promised() -> None:
    texts = [finding.text for finding in failing().findings]

    assert json.loads(JSON.render([passing(), failing()])) == {
        "results": [
            {"file": "stall.sim.yaml", "case": "run", "verdict": "PASS", "findings": []},
            {
                "file": "stall.sim.yaml",
                "case": "quiet=20m",
                "verdict": "FAIL",
                "findings": [
                    {"law": "partial_is_not_success", "text": texts[0]},
                    {"law": "expect.requests", "text": texts[1]},
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

"""The verdicts as one JSON document, for a program that decides what to do next.

The idea: file, case, verdict and findings, and nothing that changes between equal runs. A case whose author skips it or
expects it to fail has the verdict SKIPPED or XFAILED and a ``reason``. The constraint: the
form is a promise of its own, so it is spelled out here key by key. Dumping the result value as it is was
refused: then every change of a field would break somebody's pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simkit.model.redact import redact
from simkit.model.verdict import Finding, Result


@dataclass(frozen=True, slots=True)
class JsonReporter:
    """Renders ``{"results": [{"file", "case", "verdict", "findings": [{"law", "text"}]}]}``."""

    name: str = "json"

    def render(self, results: Sequence[Result]) -> str:
        """Return the document, ASCII only, with a final newline."""
        return json.dumps({"results": [_result(result) for result in results]}, indent=2) + "\n"


def _result(result: Result) -> dict[str, object]:
    return {
        "file": result.scenario.file,
        "case": result.scenario.case,
        "verdict": result.outcome,
        "findings": [_finding(finding) for finding in result.findings],
        **({"reason": redact(result.reason)} if result.reason else {}),
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {"law": finding.law, "text": redact(finding.text)}


JSON: Final = JsonReporter()

"""The verdicts as one JSON document, for a program that decides what to do next.

The idea: file, case, verdict and findings, the virtual seconds until its end and the completion requests that it made,
and nothing that changes between equal runs. A case whose author skips it or expects it to fail has the verdict SKIPPED
or XFAILED and a ``reason``. The constraint: the form is a promise of its own, so it is spelled out here key by key.
Dumping the result value as it is was refused: then every change of a field would break somebody's pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from simkit.model.duration import NS_PER_S
from simkit.model.redact import redact
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, Result


@dataclass(frozen=True, slots=True)
class JsonReporter:
    """Renders ``{"results": [{"file", "case", "verdict", "end", "requests", "plan", "findings": [...]}]}``.

    A finding has ``law``, ``text``, ``place`` (file:line or null) and ``events``, each with its number ``n`` in the
    trace, ``at`` in virtual seconds, ``actor`` and ``kind``; that of an expectation also ``expected`` and ``actual``.
    ``ids`` are those under which failures were stored, by the names of their cases.
    """

    name: str = "json"
    ids: Mapping[str, str] = field(default_factory=dict)

    def render(self, results: Sequence[Result]) -> str:
        """Return the document, ASCII only, with a final newline."""
        return json.dumps({"results": [self._of(result) for result in results]}, indent=2) + "\n"

    def _of(self, result: Result) -> dict[str, object]:
        return _result(result, self.ids.get(result.scenario.name, ""))


def _result(result: Result, stored: str) -> dict[str, object]:
    return {
        "file": result.scenario.file,
        "case": result.scenario.case,
        "verdict": result.outcome,
        # What a comparison of two files needs; of a case that was left out there is neither.
        "end": None if result.is_skipped else result.trace.end_ns / NS_PER_S,
        "requests": None if result.is_skipped else len(result.trace.of("request")),
        "plan": result.plan.text(),
        **({"id": stored} if stored else {}),
        "findings": [_finding(finding, result.trace) for finding in result.findings],
        **({"reason": redact(result.reason)} if result.reason else {}),
    }


def _finding(finding: Finding, trace: Trace) -> dict[str, object]:
    place = finding.place
    pair = {"expected": redact(finding.expected), "actual": redact(finding.actual)} if finding.expected else {}
    return {
        "law": finding.law,
        "text": redact(finding.text),
        "place": None if place is None else str(place),
        **pair,
        "events": [_event(trace.events[n]) for n in finding.events if n < len(trace)],
    }


def _event(event: Event) -> dict[str, object]:
    return {"n": event.n, "at": event.at_ns / NS_PER_S, "actor": event.actor, "kind": event.kind}


JSON: Final = JsonReporter()

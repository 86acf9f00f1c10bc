"""The verdicts as JUnit XML, which every CI system shows as a table of tests.

The idea: a file is a test suite and a row of its matrix a test, with the words of the terminal report inside a failure
and the plan, the virtual time and the requests as properties, so that a failure can be replayed from the CI's page
alone. The constraint: what XML cannot hold (control characters, halves of surrogate pairs) is escaped, so one odd byte
of a provider never makes the document unreadable. Writing it through pytest was refused: a job that runs ``simkit run``
has no pytest session.

``time`` is real seconds, as the format's readers expect; what was simulated stands in the properties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from simkit.model.duration import NS_PER_S
from simkit.model.redact import redact
from simkit.model.verdict import Outcome, Result
from simkit.reporters.layout import PLAIN, ReportOptions
from simkit.reporters.text import failure

# What a reader of JUnit calls a case that did not simply pass.
_ELEMENTS: Final[Mapping[Outcome, str]] = {
    "FAIL": "failure",
    "UNKNOWN": "error",
    "SKIPPED": "skipped",
    "XFAILED": "skipped",
}
# The types that pytest gives to the same outcomes.
_TYPES: Final[Mapping[Outcome, str]] = {"SKIPPED": "simkit.skip", "XFAILED": "simkit.xfail"}


@dataclass(frozen=True, slots=True)
class JUnitReporter:
    """Renders a ``testsuites`` document. ``options`` are those of the report inside a failure."""

    name: str = "junit"
    options: ReportOptions = PLAIN

    def render(self, results: Sequence[Result]) -> str:
        """Return the document with its declaration and a final newline."""
        root = ElementTree.Element("testsuites", {"name": "simkit", **_counts(results)})
        for file, cases in _by_file(results).items():
            suite = ElementTree.SubElement(root, "testsuite", {"name": _clean(file), **_counts(cases)})
            for case in cases:
                self._case(suite, case)
        ElementTree.indent(root)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'

    def _case(self, suite: ElementTree.Element, result: Result) -> None:
        scenario = result.scenario
        names = {"classname": scenario.file, "name": scenario.case, "file": scenario.file, "line": str(_line(result))}
        case = ElementTree.SubElement(suite, "testcase", {**_cleaned(names), "time": _seconds(result.wall_s)})
        properties = ElementTree.SubElement(case, "properties")
        for name, value in _properties(result):
            ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
        element = _ELEMENTS.get(result.outcome)
        if element is not None:
            told = ElementTree.SubElement(case, element, _cleaned(dict(_told(result))))
            told.text = _clean(failure(result, self.options)) if result.is_bad else None


def _by_file(results: Sequence[Result]) -> dict[str, list[Result]]:
    suites: dict[str, list[Result]] = {}
    for result in results:
        suites.setdefault(result.scenario.file, []).append(result)
    return suites


def _counts(results: Sequence[Result]) -> dict[str, str]:
    elements = [_ELEMENTS.get(result.outcome) for result in results]
    counts = {f"{element}s": elements.count(element) for element in ("failure", "error")}
    counts |= {"tests": len(results), "skipped": elements.count("skipped")}
    return {**{name: str(n) for name, n in counts.items()}, "time": _seconds(sum(r.wall_s for r in results))}


def _line(result: Result) -> int:
    """Return the line of what broke first, or of the title."""
    places = (finding.place for finding in result.findings if finding.place is not None)
    broken = next((place.line for place in places if place.file == result.scenario.file), None)
    lines = enumerate(result.scenario.source.splitlines(), 1)
    return broken or next((n for n, line in lines if line.startswith("scenario:")), 1)


def _properties(result: Result) -> Iterator[tuple[str, str]]:
    yield "simkit_title", result.scenario.title
    yield "simkit_verdict", result.outcome
    if not result.is_skipped:
        yield "simkit_plan", result.plan.text()
        yield "simkit_virtual_seconds", str(result.trace.end_ns / NS_PER_S)
        yield "simkit_requests", str(len(result.trace.of("request")))


def _told(result: Result) -> Iterator[tuple[str, str]]:
    """Yield what the element of a case that did not pass says of it in short."""
    if result.is_bad:
        first = result.findings[0]
        yield "message", f"{first.law}: {first.text}"
        yield "type", first.law
    else:
        yield "message", result.reason
        yield "type", _TYPES[result.outcome]


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"


def _cleaned(values: Mapping[str, str]) -> dict[str, str]:
    return {name: _clean(value) for name, value in values.items()}


def _clean(text: str) -> str:
    """Return a text without secrets, and with what no XML document may hold escaped."""
    return "".join(c if _is_xml(ord(c)) else c.encode("unicode_escape").decode() for c in str(redact(text)))


def _is_xml(code: int) -> bool:
    if code in (0x9, 0xA, 0xD):
        return True
    return 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


JUNIT: Final = JUnitReporter()

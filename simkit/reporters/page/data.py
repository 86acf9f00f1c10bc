"""What a page knows: one value of plain data made from a judged run, which the page's script only draws.

The idea: everything that has to be worked out is worked out here, in Python, where a test reads it as a value; the
script in the page decides nothing about the run. The constraint: the whole value passes redaction once more before it
is written, whatever its parts did. A value for each view was refused: the same event would be told in several forms.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from simkit.contracts import Law
from simkit.errors import UsageError
from simkit.extensions import find
from simkit.model.duration import NS_PER_MS, format_duration, format_instant
from simkit.model.plan import Plan
from simkit.model.redact import redact
from simkit.model.scenario import EventPattern, Expectation, Matcher, Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, Result, Verdict
from simkit.reporters.jsonl import case_line
from simkit.reporters.lanes import numbered, printable
from simkit.reporters.layout import PLAIN, UNKNOWN_TO_ALL, Known, ReportOptions
from simkit.reporters.page.conversation import conversation
from simkit.reporters.page.difference import Row, difference
from simkit.reporters.page.places import places
from simkit.reporters.page.source import SourceReader, code, code_places, files, no_source
from simkit.reporters.page.window import Window
from simkit.reporters.plans import in_words
from simkit.reporters.sentences import LANES, tell
from simkit.reporters.spans import arrows, spans
from simkit.reporters.text import replay_command

# Raised whenever the script of the page would misread what is written here.
FORMAT: Final = 1
_PINNED_IN: Final = "scenarios/regressions/"
# The facts that are spans of time.
_SPANS: Final = ("ends_within", "waits")
# A longer message is read in the trace.
_MESSAGE_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a page is told beside the run: the normal run, who knows the code, what is stored, how it was called."""

    normal: Result | None = None
    source_reader: SourceReader = no_source
    known: Known = UNKNOWN_TO_ALL
    options: ReportOptions = PLAIN


ALONE: Final = Beside()


def deciding(result: Result) -> list[int]:
    """Return the events that decided the verdict, in order."""
    return sorted({n for finding in result.findings for n in finding.events if 0 <= n < len(result.trace)})


def data(result: Result, shown: Window, beside: Beside = ALONE) -> Mapping[str, object]:
    """Return the value of a page, without secrets."""
    value = {
        "format": FORMAT,
        **_head(result, beside),
        "lanes": LANES,
        "cut": shown.said,
        "total": shown.total,
        **_events(result, shown, beside.source_reader),
        "files": files(result.scenario),
        "difference": _difference(result, beside.normal),
        "conversation": list(_conversation(shown.events)),
        "laws": list(_laws(result)),
    }
    safe = redact(value)
    assert isinstance(safe, Mapping), "redaction keeps the form of a value"
    return safe


# -- the verdict -------------------------------------------------------------------------------------------------------
def _head(result: Result, beside: Beside) -> dict[str, object]:
    scenario, trace = result.scenario, result.trace
    marks = numbered(deciding(result))
    return {
        "title": printable(scenario.title),
        "name": printable(scenario.name),
        "case": printable(scenario.row),
        "file": scenario.file,
        "about": scenario.about,
        "refs": list(scenario.refs),
        "tags": list(scenario.tags),
        "outcome": result.outcome,
        "reason": result.reason,
        "subject": beside.options.subject or scenario.subject,
        "requests": len(trace.of("request")),
        "virtual": format_instant(trace.end_ns - trace.end_ns % NS_PER_MS),
        "findings": [_finding(finding, marks) for finding in result.findings],
        "marks": {str(n): number for n, number in marks.items()},
        "plan": {"text": result.plan.text(), "words": _plan(result)},
        "commands": [list(command) for command in _commands(result, beside)],
    }


def _finding(finding: Finding, marks: Mapping[int, int]) -> dict[str, object]:
    return {
        "law": finding.law,
        "text": finding.text,
        "events": [n for n in sorted(set(finding.events)) if n in marks],
        "place": _place(finding.place),
        "expected": finding.expected,
        "actual": finding.actual,
        "unknown": finding.verdict is Verdict.UNKNOWN,
    }


def _place(place: Place | None) -> list[object] | None:
    return None if place is None else [place.file, place.line]


def _plan(result: Result) -> list[str]:
    return [] if result.plan == Plan() else in_words(result.plan, result.trace).splitlines()


def _commands(result: Result, beside: Beside) -> Iterator[tuple[str, str]]:
    if not result.scenario.file:
        # A trace alone, or a function: no command runs it.
        return
    yield "Replay", replay_command(result, beside.options)
    if beside.known.id:
        yield "Look", f"simkit show {beside.known.id}"
        if beside.known.pins:
            yield "Keep", f"simkit pin {beside.known.id} {_PINNED_IN}"


# -- the events --------------------------------------------------------------------------------------------------------
def _events(result: Result, shown: Window, reader: SourceReader) -> dict[str, object]:
    index = {event.n: i for i, event in enumerate(shown.events)}
    at = places(result.scenario, result.trace, shown.events)
    codes = {event.n: code_places(event) for event in shown.events}
    return {
        "events": [_event(event) for event in shown.events],
        "gaps": [[i, event.n - before.n - 1] for i, before, event in _gaps(shown.events)],
        "places": {str(n): _place(place) for n, place in at.items()},
        "spans": list(_spans(result.trace, shown.events)),
        "arrows": [[index[a], index[b]] for a, b in arrows(result.trace) if a in index and b in index],
        "code": code([place for found in codes.values() for place in found], reader),
        "codes": {str(n): found for n, found in codes.items() if found},
    }


def _event(event: Event) -> list[object]:
    told = tell(event)
    return [event.n, event.at_ns, told.lane, told.text, told.sign]


def _gaps(events: Sequence[Event]) -> Iterator[tuple[int, Event, Event]]:
    for i, (before, event) in enumerate(pairwise(events), 1):
        if event.n > before.n + 1:
            yield i, before, event


def _spans(trace: Trace, events: Sequence[Event]) -> Iterator[list[object]]:
    """Give each span that touches an event of the page, between the nearest events that the page has."""
    numbers = [event.n for event in events]
    for span in spans(trace):
        inside = [i for i in (_first_from(numbers, span.first), _last_until(numbers, span.last)) if i is not None]
        if len(inside) == 2 and inside[0] <= inside[1]:
            yield [span.lane, span.name, span.sort, *inside, span.to_ns - span.from_ns, span.is_open]


def _first_from(numbers: Sequence[int], n: int) -> int | None:
    i = bisect_left(numbers, n)
    return i if i < len(numbers) else None


def _last_until(numbers: Sequence[int], n: int) -> int | None:
    i = bisect_right(numbers, n) - 1
    return i if i >= 0 else None


# -- the other views ---------------------------------------------------------------------------------------------------
def _difference(result: Result, normal: Result | None) -> dict[str, object] | None:
    if normal is None:
        return None
    found = difference(normal.trace, result.trace)
    return {
        "outcome": normal.outcome,
        "first": found.first,
        "left": found.left,
        "rows": [_row(row) for row in found.rows],
    }


def _row(row: Row) -> list[object]:
    return [row.sort, *(None if e is None else _event(e) for e in (row.normal, row.failing)), row.count]


def _conversation(events: Sequence[Event]) -> Iterator[list[object]]:
    for message in conversation(events):
        long = len(message.text) - _MESSAGE_MAX
        text = message.text if long <= 0 else f"{message.text[:_MESSAGE_MAX]}... {long:,} more characters"
        yield [message.event, message.who, text, message.about]


def _laws(result: Result) -> Iterator[list[str]]:
    """Give every law and expectation that was asked, and those that were switched off: state, name, words."""
    scenario, judgement = result.scenario, result.judgement
    for finding in judgement.findings:
        state = "unknown" if finding.verdict is Verdict.UNKNOWN else "broken"
        yield [state, finding.law, finding.text]
    for name in judgement.held:
        yield ["held", name, _expected(name, scenario) or _says(name, scenario.file)]
    for use in scenario.always:
        if use.off:
            yield ["off", use.law, use.because]
    for missing in judgement.not_applicable:
        yield ["not applicable", missing.law, missing.because]


def _expected(name: str, scenario: Scenario) -> str:
    """Return what an expectation of this name demands; nothing for a law."""
    demands = [demand for demand in scenario.expect if name == f"expect.{demand.fact}"]
    return "; ".join(f"{one.key}: {_demand(one)}" if one.key else _demand(one) for one in demands)


def _demand(expectation: Expectation) -> str:
    return ", ".join(_compared(expectation.fact, matcher) for matcher in expectation.matchers)


def _compared(fact: str, matcher: Matcher) -> str:
    value = _value(fact, matcher.value)
    return value if matcher.op == "exactly" else f"{matcher.op.replace('_', ' ')} {value}"


def _value(fact: str, value: object) -> str:
    """Return what a fact is compared with, as the scenario writes it."""
    if isinstance(value, EventPattern):
        return value.kind
    if isinstance(value, Matcher):
        return _compared(fact, value)
    if isinstance(value, list | tuple):
        return " and ".join(_value(fact, one) for one in value)
    return format_duration(value) if fact in _SPANS and isinstance(value, int) else str(value)


def _says(name: str, file: str) -> str:
    """Return a law's own sentence; nothing for an expectation, whose name says it all."""
    if name.startswith("expect."):
        return ""
    try:
        law = find("checks", name, near=file)
    except UsageError:
        # A result may be older than the installation that reports it.
        return ""
    return law.says if isinstance(law, Law) else ""


def trace_lines(result: Result, shown: Window) -> Iterator[str]:
    """Yield the lines of the embedded trace: the case's name, then its events, as ``--trace`` writes them."""
    yield case_line(result)
    yield from shown.lines

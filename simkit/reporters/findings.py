"""One finding as people read it: which line of which law, the sentence, the pair, and the numbers of its events.

The idea: what is wrong is said in the scenario's words and beside the scenario's own lines; an expectation is the pair
of what was demanded and what there was, a deadlock the list of who waits for what. The constraint: a long text of an
agent never hides the rest, so rows are bounded, and what is left out is counted. One form for every finding was
refused: a pair said as a sentence has to be read twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simkit.contracts import Law
from simkit.errors import UsageError
from simkit.extensions import find
from simkit.model.redact import redact_source
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Trace
from simkit.model.verdict import Finding, Verdict
from simkit.reporters.lanes import cut, printable
from simkit.reporters.layout import INDENT, ReportOptions, sentence, wrapped

_SENTENCE_ROWS_MAX: Final = 8
_WAITERS_MAX: Final = 8
_INNER: Final = 2 * INDENT


def told(
    finding: Finding, scenario: Scenario, trace: Trace, marks: Mapping[int, int], options: ReportOptions
) -> list[str]:
    """Return the rows about one finding; ``marks`` are the numbers of the events in the timeline."""
    seen = _seen(finding, marks)
    head = f"{finding.place or scenario.file}   {_role(finding, scenario)}{finding.law}"
    head += "  UNKNOWN" if finding.verdict is Verdict.UNKNOWN else ""
    if finding.expected:
        return [head, *_pair(finding, seen, options)]
    if options.verbosity < 0:
        return [head, *_said(finding, trace, "", options)]
    words = wrapped(_law_in_words(finding.law, scenario.file), options)
    return [head, "", *_said(finding, trace, seen, options), *words, *_source(finding, scenario, options)]


def again(finding: Finding, trace: Trace, marks: Mapping[int, int], options: ReportOptions) -> list[str]:
    """Return the rows about a finding whose law was told of at the same line already: its sentence only."""
    if finding.expected:
        return _pair(finding, _seen(finding, marks), options)
    return _said(finding, trace, _seen(finding, marks), options)


def _seen(finding: Finding, marks: Mapping[int, int]) -> str:
    """Say by which numbers the events of a finding are marked."""
    numbers = [f"{marks[n]}>" for n in sorted(set(finding.events)) if n in marks]
    return f"  (see {', '.join(numbers)})" if numbers else ""


def _role(finding: Finding, scenario: Scenario) -> str:
    return "always: " if any(use.law == finding.law for use in scenario.always) else ""


# -- what it says ------------------------------------------------------------------------------------------------------
def _pair(finding: Finding, seen: str, options: ReportOptions) -> list[str]:
    rows = []
    for name, text in (("expected", finding.expected), ("actual", finding.actual + seen)):
        first = f"{_INNER}{name:<10}"
        rows += _bounded(wrapped(text, options, first, " " * len(first)), options)
    return rows


def _said(finding: Finding, trace: Trace, seen: str, options: ReportOptions) -> list[str]:
    if _is_deadlock(finding, trace):
        return _waiters(finding.text, seen, options)
    return _bounded(wrapped(sentence(finding.text) + seen, options), options)


def _is_deadlock(finding: Finding, trace: Trace) -> bool:
    ends = (trace.events[n] for n in finding.events if n < len(trace))
    return finding.law == "ends" and any(e.kind == "run.end" and e.get("reason") == "deadlock" for e in ends)


def _waiters(text: str, seen: str, options: ReportOptions) -> list[str]:
    """Give everybody who waits a row; the kernel tells them in one sentence, which a trace holds as one line."""
    head, _, listed = text.partition(": ")
    waiters = listed.split("; ") if listed else []
    rows = wrapped(f"{head}{seen}:" if waiters else f"{sentence(head)}{seen}", options)
    for waiter in waiters[:_WAITERS_MAX]:
        rows += wrapped(waiter, options, _INNER, f"{_INNER}  ")
    more = len(waiters) - _WAITERS_MAX
    return [*rows, f"{_INNER}... and {more} more"] if more > 0 else rows


def _bounded(rows: list[str], options: ReportOptions) -> list[str]:
    """Keep a sentence that an agent made very long from hiding the rest; ``-v`` shows it whole."""
    if len(rows) <= _SENTENCE_ROWS_MAX or options.verbosity > 0:
        return rows
    return [*rows[:_SENTENCE_ROWS_MAX], f"  ... {len(rows) - _SENTENCE_ROWS_MAX} more rows, see -v"]


def _law_in_words(name: str, file: str) -> str:
    """Return the law's own sentence; nothing for an expectation, whose text says it all."""
    if name.startswith("expect."):
        return ""
    try:
        law = find("checks", name, near=file)
    except UsageError:
        # A result may be older than the installation that reports it.
        return ""
    return law.says if isinstance(law, Law) else ""


# -- where the scenario says so ----------------------------------------------------------------------------------------
def _source(finding: Finding, scenario: Scenario, options: ReportOptions) -> Iterator[str]:
    """Give the lines of the scenario that a finding is about, each with the line above it."""
    lines = scenario.source.splitlines()
    marked = {place.line for place in _places(finding, scenario) if 0 < place.line <= len(lines)}
    shown = sorted(marked | {line - 1 for line in marked if line > 1})
    if shown:
        yield ""
    for line in shown:
        mark = ">" if line in marked else " "
        yield cut(f"  {mark}{line:4d} | {printable(redact_source(lines[line - 1]))}".rstrip(), options.columns)


def _places(finding: Finding, scenario: Scenario) -> Sequence[Place]:
    """Return where the scenario caused it and where it forbids it, as far as both are in its own file."""
    uses = [use.place for use in scenario.always if use.law == finding.law and not use.off]
    return [place for place in (finding.place, *uses) if place is not None and place.file == scenario.file]

"""The report for people: a line for each case, a section for each failure, a line at the end.

The idea: a failure is told from the outside in: which case, which line of the scenario, which law in its
words, what contradicted it, the time around it, and the command that does it again. The constraint: what is
printed is bounded, at most about forty rows a failure, holds no secret and no control character of the
agent's, and its own marks are plain ASCII. A stack trace as the centre of it was refused: it says where code
was, and not which promise broke.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.model.duration import NS_PER_MS, format_instant
from simkit.model.plan import Plan
from simkit.model.redact import redact
from simkit.model.verdict import Finding, Outcome, Result
from simkit.reporters.findings import again, told
from simkit.reporters.lanes import NOTHING_COUNTED, Counted, about, cut, numbered, printable, timeline
from simkit.reporters.layout import (
    INDENT,
    PLAIN,
    UNKNOWN_TO_ALL,
    Known,
    ReportOptions,
    encodable,
    painted,
    shell,
    wrapped,
)
from simkit.reporters.plans import changes, in_words
from simkit.reporters.sites import in_your_code

# What others need to print a report stands behind one door.
__all__ = [
    "PLAIN",
    "TEXT",
    "UNKNOWN_TO_ALL",
    "Known",
    "ReportOptions",
    "TextReporter",
    "case_line",
    "failure",
    "painted",
    "replay_command",
    "summary",
]

# With these a whole failure stays near forty rows; what is left out is counted.
_FINDINGS_MAX: Final = 5
_FINDING_ROWS_MAX: Final = 16
_PLAN_ROWS_MAX: Final = 6
# Of what happened forty times, the first few are enough to find one's way.
_EVENTS_MAX: Final = 3
_ROWS_MAX: Final = 40
_TIMELINE_ROWS_MIN: Final = 6
_PINNED_IN: Final = "scenarios/regressions/"

_OUTCOME_COLOURS: Final[Mapping[Outcome, str]] = {
    "PASS": "green",
    "FAIL": "red",
    "UNKNOWN": "yellow",
    "SKIPPED": "yellow",
    "XFAILED": "yellow",
}
# In this order they are counted in the last line.
_OUTCOME_WORDS: Final[Mapping[Outcome, str]] = {
    "PASS": "passed",
    "FAIL": "failed",
    "UNKNOWN": "unknown",
    "SKIPPED": "skipped",
    "XFAILED": "xfailed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReporter:
    """Renders the whole report for a terminal."""

    name: str = "text"
    options: ReportOptions = PLAIN

    def render(self, results: Sequence[Result]) -> str:
        """Return a line for each case, then the failures, then the summary."""
        lines = [case_line(result, self.options) for result in results]
        failures = [failure(r, self.options) for r in results if r.is_bad]
        return "\n".join([*lines, "", *failures, summary(results, self.options)]) + "\n"


def case_line(result: Result, options: ReportOptions = PLAIN) -> str:
    """Return outcome, name, virtual time and wall time of one case, as one line; and why, where its author says it."""
    times = f"{_virtual(result.trace.end_ns)} virtual  {result.wall_s:.2f}s wall"
    # A long name moves the times to the right and is never cut: people paste it.
    name = f"{printable(result.scenario.name):<{options.columns - len(times) - 10}}"
    outcome = painted(f"{result.outcome:<7}", _OUTCOME_COLOURS[result.outcome], options)
    reason = [printable(result.reason)] if result.reason else []
    said = reason if result.is_skipped else [painted(times, "dim", options), *reason]
    return encodable("  ".join([f"{outcome} {name}", *said]), options)


def failure(result: Result, options: ReportOptions = PLAIN, known: Known = UNKNOWN_TO_ALL) -> str:
    """Return the section about one result that did not pass, without a newline at its end."""
    shown = _shown(result, options)
    # In short there is no timeline in which anything could be marked.
    marked = shown if options.verbosity >= 0 else ()
    marks = numbered(n for finding in marked for n in finding.events[:_EVENTS_MAX])
    top = [*_title(result, options), *_findings(result, shown, marks, options)]
    bottom = [*_behind_an_empty_row([*_ways_on(result, options, known)]), ""]
    if options.verbosity < 0:
        return encodable("\n".join([*top, *bottom]), options)
    top += _plan(result, options, known)
    bottom = [*_behind_an_empty_row(in_your_code(result.trace, marks, options)), *bottom]
    room = max(_TIMELINE_ROWS_MIN, _ROWS_MAX - len(top) - len(bottom) - 3)
    rows = timeline(
        result.trace,
        marks,
        width=options.columns,
        rows_max=None if options.verbosity > 0 else room,
        counted=_counted(shown),
    )
    middle = ["", *(painted(row, "red", options) if _is_marked(row) else row for row in rows)]
    return encodable("\n".join([*top, *middle, *bottom]), options)


def summary(results: Sequence[Result], options: ReportOptions = PLAIN) -> str:
    """Return one line: how many cases, how they went, and how much time passed in both worlds."""
    if not results:
        return "no cases"
    counts = Counter(result.outcome for result in results)
    parts = ", ".join(f"{counts[outcome]} {word}" for outcome, word in _OUTCOME_WORDS.items() if counts[outcome])
    cases = "1 case" if len(results) == 1 else f"{len(results)} cases"
    virtual = about(sum(r.trace.end_ns for r in results))
    wall = sum(r.wall_s for r in results)
    worst = max((r for r in results if r.is_bad), key=lambda r: r.verdict, default=None)
    line = f"{cases}: {parts}; {virtual} of virtual time in {wall:.2f}s"
    return painted(line, _OUTCOME_COLOURS[worst.outcome if worst else "PASS"], options)


# -- the pieces of a failure ----------------------------------------------------------------------------
def _title(result: Result, options: ReportOptions) -> Iterator[str]:
    scenario = result.scenario
    row = f"  [{scenario.row}]" if scenario.row else ""
    title = cut(f"____ {printable(scenario.title + row)} ", options.columns - 2)
    yield painted(f"{title:_<{options.columns}}", _OUTCOME_COLOURS[result.outcome], options)


def _shown(result: Result, options: ReportOptions) -> Sequence[Finding]:
    """Return the findings that there is room for, in the order in which the laws were asked: at least the first."""
    if options.verbosity < 0:
        return result.findings[:1]
    shown: list[Finding] = []
    rows = 0
    for finding in result.findings[:_FINDINGS_MAX]:
        rows += len(_section(finding, shown, result, {}, options)) + 1
        if shown and rows > _FINDING_ROWS_MAX and options.verbosity == 0:
            break
        shown.append(finding)
    return shown


def _findings(
    result: Result, shown: Sequence[Finding], marks: Mapping[int, int], options: ReportOptions
) -> Iterator[str]:
    for index, finding in enumerate(shown):
        yield from [""] if index else []
        yield from _section(finding, shown[:index], result, marks, options)
    more = result.findings[len(shown) :]
    if more:
        laws = ", ".join(dict.fromkeys(finding.law for finding in more))
        yield from ("", *wrapped(f"and {len(more)} more: {laws}", options))
    if options.verbosity > 0 and result.judgement.not_applicable:
        yield ""
        reasons: dict[str, list[str]] = {}
        for missing in result.judgement.not_applicable:
            reasons.setdefault(missing.because, []).append(missing.law)
        for because, names in reasons.items():
            yield from wrapped(f"not applicable: {', '.join(names)} ({because})", options)


def _section(
    finding: Finding, before: Sequence[Finding], result: Result, marks: Mapping[int, int], options: ReportOptions
) -> list[str]:
    """Return the rows about a finding: of a law that is told of already at the same line, the sentence only."""
    if any((one.law, one.place) == (finding.law, finding.place) for one in before):
        return again(finding, result.trace, marks, options)
    return told(finding, result.scenario, result.trace, marks, options)


def _counted(shown: Sequence[Finding]) -> Counted:
    """Return what the first finding counts that counts anything."""
    counts = (Counted(events=one.counted, limit=one.limit) for one in shown if one.limit is not None)
    return next(counts, NOTHING_COUNTED)


def _plan(result: Result, options: ReportOptions, known: Known) -> list[str]:
    """Say in words by what the run differs from the default one, where it does."""
    if result.plan == Plan():
        return []
    case = "Smallest failing case" if known.shrunk else "Failing case"
    what = changes(result.plan)
    head = f"{case}: {what} from the normal order" if what else f"{case}: the normal order, under another seed"
    lines = in_words(result.plan, result.trace).splitlines()
    rows = [row for line in lines for row in wrapped(line, options, INDENT * 2, INDENT * 3)]
    if len(rows) > _PLAN_ROWS_MAX and options.verbosity == 0:
        rows = [*rows[:_PLAN_ROWS_MAX], f"{INDENT * 2}... {len(rows) - _PLAN_ROWS_MAX} more rows, see -v"]
    return ["", *wrapped(f"{head} ({known.shrunk})" if known.shrunk else head, options), *rows]


def _behind_an_empty_row(rows: list[str]) -> list[str]:
    return ["", *rows] if rows else []


def replay_command(result: Result, options: ReportOptions = PLAIN) -> str:
    """Return the command that runs a case once more under the same plan, to be pasted into a shell."""
    safe = redact(dict(options.overrides))
    settings = safe if isinstance(safe, Mapping) else {}
    sets = "".join(f" --set {shell(f'{key}={value}')}" for key, value in settings.items())
    named = f" --subject {shell(options.subject)}" if options.subject else ""
    name = shell(result.scenario.name, always=True)
    return f"simkit run {name} --plan {shell(result.plan.text())}{named}{sets}"


def _ways_on(result: Result, options: ReportOptions, known: Known) -> Iterator[str]:
    """Give the commands that replay a failure, show it whole, and keep it; no row of them is ever cut."""
    replay = replay_command(result, options) if known.replay is None else known.replay
    if replay:
        yield f"{INDENT}Replay   {replay}"
    if known.id and options.verbosity >= 0:
        yield f"{INDENT}Look     simkit show {known.id}"
        if known.pins:
            yield f"{INDENT}Keep     simkit pin {known.id} {_PINNED_IN}"


# -- text -----------------------------------------------------------------------------------------------
def _virtual(ns: int) -> str:
    return format_instant(ns - ns % NS_PER_MS)


def _is_marked(row: str) -> bool:
    return re.match(r"\d+>", row) is not None


TEXT: Final = TextReporter()

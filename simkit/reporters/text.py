"""The report for people: a line for each case, a section for each failure, a line at the end.

The idea: a failure is told from the outside in: which case, which line of the scenario, which law in its
words, what contradicted it, the time around it, and the command that does it again. The constraint: what is
printed is bounded, at most about forty rows a failure, holds no secret and no control character of the
agent's, and its own marks are plain ASCII. A stack trace as the centre of it was refused: it says where code
was, and not which promise broke.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from simkit.contracts import Law
from simkit.errors import UsageError
from simkit.extensions import find
from simkit.model.duration import NS_PER_MS, format_instant
from simkit.model.redact import redact
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place
from simkit.model.verdict import Finding, Outcome, Result, Verdict
from simkit.reporters.lanes import about, cut, printable, timeline

WIDTH_MIN: Final = 60
WIDTH_MAX: Final = 120

# With these a whole failure stays near forty rows; what is left out is counted.
_FINDINGS_MAX: Final = 3
_SENTENCE_ROWS_MAX: Final = 8
_ROWS_MAX: Final = 40
_TIMELINE_ROWS_MIN: Final = 12

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "dim": "2"}
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
class ReportOptions:
    """How to report: what the command line decides, in one value.

    ``verbosity`` -1 keeps the sentence and the command, 1 shows the whole timeline. ``overrides`` are the settings
    given on the command line, and ``subject`` who was named there: the command to run it again repeats both. What
    ``encoding`` cannot express is escaped.
    """

    width: int = 80
    colour: bool = False
    verbosity: int = 0
    overrides: Mapping[str, str] = field(default_factory=dict)
    subject: str | None = None
    encoding: str = "utf-8"

    @property
    def columns(self) -> int:
        """The width, kept within what the report can use."""
        return max(WIDTH_MIN, min(WIDTH_MAX, self.width))


PLAIN: Final = ReportOptions()


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
    outcome = _painted(f"{result.outcome:<7}", _OUTCOME_COLOURS[result.outcome], options)
    reason = [printable(result.reason)] if result.reason else []
    said = reason if result.is_skipped else [_painted(times, "dim", options), *reason]
    return _encodable("  ".join([f"{outcome} {name}", *said]), options)


def failure(result: Result, options: ReportOptions = PLAIN) -> str:
    """Return the section about one result that did not pass, without a newline at its end."""
    top = list(_title_and_findings(result, options))
    bottom = ["", *_run_again(result, options), ""]
    middle: list[str] = []
    if options.verbosity >= 0:
        room = max(_TIMELINE_ROWS_MIN, _ROWS_MAX - len(top) - len(bottom) - 3)
        deciding = [n for finding in result.findings[:_FINDINGS_MAX] for n in finding.events]
        rows = timeline(result.trace, deciding, width=options.columns, rows_max=None if options.verbosity > 0 else room)
        middle = ["", *(_painted(row, "red", options) if _is_marked(row) else row for row in rows)]
    return _encodable("\n".join([*top, *middle, *bottom]), options)


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
    return _painted(line, _OUTCOME_COLOURS[worst.outcome if worst else "PASS"], options)


# -- the pieces of a failure ----------------------------------------------------------------------------
def _title_and_findings(result: Result, options: ReportOptions) -> Iterator[str]:
    scenario = result.scenario
    row = f"  [{scenario.row}]" if scenario.row else ""
    title = cut(f"____ {printable(scenario.title + row)} ", options.columns - 2)
    yield _painted(f"{title:_<{options.columns}}", _OUTCOME_COLOURS[result.outcome], options)
    shown = result.findings[: 1 if options.verbosity < 0 else _FINDINGS_MAX]
    told: set[tuple[str, Place | None]] = set()
    for finding in shown:
        if told:
            yield ""
        # The same law broken again at the same line needs its sentence only.
        again = (finding.law, finding.place) in told
        yield from _wrapped(_sentence(finding.text), options) if again else _finding(finding, scenario, options)
        told.add((finding.law, finding.place))
    more = result.findings[len(shown) :]
    if more:
        laws = ", ".join(dict.fromkeys(finding.law for finding in more))
        yield from ("", *_wrapped(f"and {len(more)} more: {laws}", options))
    if options.verbosity > 0 and result.judgement.not_applicable:
        yield ""
        for missing in result.judgement.not_applicable:
            yield from _wrapped(f"not applicable: {missing.law} ({missing.because})", options)


def _finding(finding: Finding, scenario: Scenario, options: ReportOptions) -> Iterator[str]:
    unknown = "  UNKNOWN" if finding.verdict is Verdict.UNKNOWN else ""
    yield f"{finding.place or scenario.file}   {_role(finding, scenario)}{finding.law}{unknown}"
    if options.verbosity < 0:
        yield from _wrapped(_sentence(finding.text), options)
        return
    yield ""
    yield from _bounded(_wrapped(_sentence(finding.text), options), options)
    yield from _wrapped(_law_in_words(finding.law, scenario.file), options)
    yield from _source(_places(finding, scenario), scenario, options)


def _bounded(rows: list[str], options: ReportOptions) -> list[str]:
    """Keep a sentence that an agent made very long from hiding the rest; ``-v`` shows it whole."""
    if len(rows) <= _SENTENCE_ROWS_MAX or options.verbosity > 0:
        return rows
    return [*rows[:_SENTENCE_ROWS_MAX], f"  ... {len(rows) - _SENTENCE_ROWS_MAX} more rows, see -v"]


def _role(finding: Finding, scenario: Scenario) -> str:
    return "always: " if any(use.law == finding.law for use in scenario.always) else ""


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


def _places(finding: Finding, scenario: Scenario) -> list[Place]:
    """Return where the scenario caused it and where it forbids it, as far as both are in its own file."""
    uses = [use.place for use in scenario.always if use.law == finding.law and not use.off]
    return [place for place in (finding.place, *uses) if place is not None and place.file == scenario.file]


def _source(places: Sequence[Place], scenario: Scenario, options: ReportOptions) -> Iterator[str]:
    """Give the marked lines of the scenario, each with the line above it."""
    lines = scenario.source.splitlines()
    marked = {place.line for place in places if 0 < place.line <= len(lines)}
    shown = sorted(marked | {line - 1 for line in marked if line > 1})
    if shown:
        yield ""
    for line in shown:
        mark = ">" if line in marked else " "
        yield cut(f"  {mark}{line:4d} | {printable(lines[line - 1])}".rstrip(), options.columns)


def _run_again(result: Result, options: ReportOptions) -> Iterator[str]:
    safe = redact(dict(options.overrides))
    settings = safe if isinstance(safe, Mapping) else {}
    sets = "".join(f" --set {_shell(f'{key}={value}')}" for key, value in settings.items())
    named = f" --subject {_shell(options.subject)}" if options.subject else ""
    name = _shell(result.scenario.name, always=True)
    yield f"Run it again   simkit run {name} --plan {_shell(result.plan.text())}{named}{sets}"


def _shell(word: str, *, always: bool = False) -> str:
    """Return a word as a POSIX shell takes it; in double quotes where that is enough."""
    if not always and re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII):
        return word
    if not re.search(r'["$`\\!]', word):
        return f'"{word}"'
    quote = "'"
    return quote + word.replace(quote, "'\"'\"'") + quote


# -- text
# ---------------------------------------------------------------------------------------------------
def _wrapped(text: str, options: ReportOptions) -> list[str]:
    lines = [printable(line) for line in text.splitlines()]
    indent = "  "
    width = options.columns
    return [
        row for line in lines for row in textwrap.wrap(line, width, initial_indent=indent, subsequent_indent=indent)
    ]


def _sentence(text: str) -> str:
    """Return a finding's text with a full stop. No capital: the first word is often a tool's own name."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _virtual(ns: int) -> str:
    return format_instant(ns - ns % NS_PER_MS)


def _is_marked(row: str) -> bool:
    return re.match(r"\d+>", row) is not None


def _painted(text: str, colour: str, options: ReportOptions) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if options.colour else text


def _encodable(text: str, options: ReportOptions) -> str:
    return text.encode(options.encoding, "backslashreplace").decode(options.encoding)


TEXT: Final = TextReporter()

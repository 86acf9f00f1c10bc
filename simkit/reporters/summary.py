"""The page that GitHub shows of a job: a table of the verdicts, and the first failure as words and as a diagram.

The idea: whoever looks at a red job reads one screen and knows what broke, where, and how to see it at home. The
constraint: at most sixty lines whatever failed, with what is left out counted, since a summary that needs scrolling is
not read; and nothing of a scenario or a provider is taken for Markdown or HTML. A line for every case was refused: the
passes of a suite are one number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.model.redact import redact
from simkit.model.verdict import Outcome, Result
from simkit.reporters.lanes import about, printable
from simkit.reporters.layout import PLAIN, ReportOptions, shell
from simkit.reporters.mermaid import mermaid

LINES_MAX: Final = 60
# More failures than this are read in the log; the diagram needs the room.
_ROWS_MAX: Final = 12
_CELL_MAX: Final = 160
_WORDS: Final[Mapping[Outcome, str]] = {
    "FAIL": "failed",
    "UNKNOWN": "unknown",
    "XFAILED": "xfailed",
    "SKIPPED": "skipped",
    "PASS": "passed",
}
# What Markdown or HTML would take for its own.
_MARKS: Final = re.compile(r"([\\`*_{}\[\]()#+!|~$@])")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class SummaryReporter:
    """Renders Markdown as ``GITHUB_STEP_SUMMARY`` takes it; ``options`` say what the command repeats."""

    name: str = "summary"
    options: ReportOptions = PLAIN

    def render(self, results: Sequence[Result]) -> str:
        """Return at most sixty lines, the last one ended."""
        lines = [*_head(results), *_table(results)]
        first = next((result for result in results if result.is_bad), None)
        if first is not None:
            lines += _first(first, self.options)
            lines += _diagram(first, LINES_MAX - len(lines))
        return "\n".join(lines) + "\n"


def _head(results: Sequence[Result]) -> Iterator[str]:
    counts = Counter(result.outcome for result in results)
    told = ", ".join(f"{counts[outcome]} {word}" for outcome, word in _WORDS.items() if counts[outcome])
    virtual = about(sum(result.trace.end_ns for result in results))
    yield f"### simkit: {told or 'no cases'}"
    yield ""
    yield f"{len(results)} case{'' if len(results) == 1 else 's'}, {virtual} of virtual time."
    yield ""


def _table(results: Sequence[Result]) -> Iterator[str]:
    """Yield a row for each case that did not simply pass, the failures first."""
    order = list(_WORDS)
    told = sorted((r for r in results if r.outcome != "PASS"), key=lambda r: order.index(r.outcome))
    if not told:
        return
    yield "| verdict | case | what is wrong |"
    yield "|---|---|---|"
    for result in told[:_ROWS_MAX]:
        yield f"| {result.outcome} | {cell(result.scenario.name)} | {cell(_why(result))} |"
    yield ""
    if told[_ROWS_MAX:]:
        yield f"... and {len(told) - _ROWS_MAX} more."
        yield ""


def _why(result: Result) -> str:
    if not result.is_bad:
        return result.reason
    first, more = result.findings[0], len(result.findings) - 1
    return f"{first.law}: {first.text}" + (f" (and {more} more)" if more else "")


def _first(result: Result, options: ReportOptions) -> Iterator[str]:
    scenario, broken = result.scenario, result.findings[0]
    place = f" at {_plain(str(broken.place))}" if broken.place is not None else ""
    yield f"#### {cell(scenario.title)}"
    yield ""
    yield f"**{_plain(broken.law)}**{place}: {cell(broken.text)}"
    yield ""
    yield from _fenced("console", [printable(_command(result, options))])


def _command(result: Result, options: ReportOptions) -> str:
    """Return what runs the case again, masked before it is quoted: a shell would take the mask for a pattern."""
    subject = [f"--subject={options.subject}"] if options.subject else []
    # By its name a setting may be a secret, whatever its value looks like.
    safe = redact(dict(options.overrides))
    sets = [f"--set={key}={value}" for key, value in safe.items()] if isinstance(safe, Mapping) else []
    words = ["simkit", "run", result.scenario.name, f"--plan={result.plan.text()}", *subject, *sets]
    return " ".join(shell(str(redact(word))) for word in words)


def _diagram(result: Result, room: int) -> Iterator[str]:
    lines = mermaid(result, lines_max=room - 3).splitlines()
    yield ""
    yield from _fenced("mermaid", lines)


def _fenced(kind: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield a block that none of its lines can end."""
    fence = "`" * (1 + max((len(run) for line in lines for run in re.findall("`{3,}", line)), default=2))
    yield f"{fence}{kind}"
    yield from lines
    yield fence


def cell(text: str) -> str:
    """Return a text as it can stand in a table of Markdown: one line, bounded, and nothing but text."""
    line = printable(" ".join(text.split()))
    return _plain(line if len(line) <= _CELL_MAX else f"{line[: _CELL_MAX - 3]}...")


def _plain(text: str) -> str:
    return _MARKS.sub(r"\\\1", "".join(_ENTITIES.get(c, c) for c in printable(text)))


SUMMARY: Final = SummaryReporter()

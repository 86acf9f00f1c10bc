"""The index of a run: every case with its verdict, what makes a pass worth less first, and what took longest.

The idea: whoever opens a report asks what failed and whether the rest means anything, so failures come first in the
table, and above it stands what was never reached. The constraint: a case without a page is in the table too; a list of
failures alone looks the same for ten cases and for none. A chart of verdicts was refused: there are two numbers in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simkit.model.duration import NS_PER_MS, format_instant
from simkit.model.redact import redact
from simkit.model.verdict import Outcome, Result
from simkit.reporters.lanes import about, printable
from simkit.reporters.page.document import as_json, document

_ORDER: Final[tuple[Outcome, ...]] = ("UNKNOWN", "FAIL", "PASS", "XFAILED", "SKIPPED")
_SLOWEST_MAX: Final = 5
_NO_PAGES: Final[Mapping[int, str]] = {}


def index(results: Sequence[Result], *, pages: Mapping[int, str] = _NO_PAGES) -> str:
    """Return the index as one HTML file; ``pages`` names the page of a result by its position, where it has one."""
    value = overview(results, pages)
    counts = ", ".join(f"{number} {word}" for word, number in Counter(r.outcome for r in results).items()) or "no cases"
    return document(
        "index.html",
        "index.js",
        title=f"simkit: {counts}",
        summary="\n".join(f"{r.outcome} {printable(r.scenario.name)}" for r in results),
        blocks={"data": as_json(value)},
    )


def overview(results: Sequence[Result], pages: Mapping[int, str]) -> Mapping[str, object]:
    """Return the value of an index, without secrets: the worst cases first, else in the order in which they ran."""
    order = sorted(range(len(results)), key=lambda i: _ORDER.index(results[i].outcome))
    counts = Counter(result.outcome for result in results)
    value = {
        "counts": [[outcome, counts[outcome]] for outcome in _ORDER if counts[outcome]],
        "virtual": about(sum(result.trace.end_ns for result in results)),
        "wall": f"{sum(result.wall_s for result in results):.2f}s",
        "warnings": [[printable(r.scenario.name), text] for r in results for text in _warnings(r)],
        "slowest": [[printable(r.scenario.name), f"{r.wall_s:.2f}s"] for r in _slowest(results)],
        "tags": sorted({tag for result in results for tag in result.scenario.tags}),
        "cases": [_case(results[i], pages.get(i, "")) for i in order],
    }
    safe = redact(value)
    assert isinstance(safe, Mapping), "redaction keeps the form of a value"
    return safe


def _case(result: Result, page: str) -> dict[str, object]:
    scenario, end_ns = result.scenario, result.trace.end_ns
    return {
        "outcome": result.outcome,
        "name": printable(scenario.name),
        "title": printable(scenario.title),
        "page": page,
        "tags": list(scenario.tags),
        "why": _why(result),
        "ns": end_ns,
        "virtual": format_instant(end_ns - end_ns % NS_PER_MS),
        "requests": len(result.trace.of("request")),
        "wall": round(result.wall_s, 3),
    }


def _why(result: Result) -> str:
    """Say in one line why a case did not pass: its first finding, or its author's reason."""
    if not result.is_bad or not result.findings:
        return printable(result.reason)
    first, more = result.findings[0], len(result.findings) - 1
    return printable(f"{first.law}: {first.text}" + (f" (and {more} more)" if more else ""))


def _warnings(result: Result) -> Iterator[str]:
    """Say what of a passing case was never reached, so that its pass says less than it seems to."""
    if result.outcome != "PASS":
        return
    unused = len(result.trace.of("answer.unused"))
    if unused:
        yield (
            "1 answer of the script was not used up"
            if unused == 1
            else f"{unused} answers of the script were not used up"
        )
    for event in result.trace.of("link.unused"):
        yield printable(f"the fault {event.get('fault')} on the link to {event.get('host')} struck nothing")
    if not result.trace.of("request"):
        yield "no request ever reached the provider"
    if not result.judgement.held:
        yield "no law and no expectation had anything to look at"


def _slowest(results: Sequence[Result]) -> list[Result]:
    """Return what took the most real time, where that says anything."""
    ran = sorted((r for r in results if not r.is_skipped), key=lambda r: -r.wall_s)
    return ran[:_SLOWEST_MAX] if len(ran) > 1 else []

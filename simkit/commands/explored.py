"""What ``simkit explore`` says: of each case and each failure for people, of all of it for machines.

The idea: a failure is run once more under its plan, here and strictly, so that its report is the one that everybody
knows, with the commands below it that replay it and keep it. The constraint: what was never reached is told with the
case and before its verdict counts, since an exploration that was nowhere has nothing to say; and the document for
machines holds no wall time, so two equal explorations give the same one. Printing the plan alone was refused: nobody
can read what it does.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from simkit.commands.terminal import BROKEN, FAILED, PASSED, counted
from simkit.explore.campaign import CaseExplored
from simkit.explore.failures import Failure, same_failure
from simkit.explore.outcome import Attempt
from simkit.explore.running import HEAL, as_broken
from simkit.kernel.machine import MACHINE
from simkit.model.redact import redact
from simkit.model.scenario import Scenario
from simkit.model.verdict import Result
from simkit.reporters.lanes import about, printable
from simkit.reporters.layout import INDENT
from simkit.reporters.text import Known, ReportOptions, failure, painted

_INDENT: Final = " " * 8
_COLOURS: Final = {"PASS": "green", "FAIL": "red"}
# As ``run`` counts them, and in its order.
_WORDS: Final = {
    "PASS": "passed",
    "FAIL": "failed",
    "UNKNOWN": "unknown",
    "STOPPED": "stopped",
    "SKIPPED": "skipped",
}
_CODES: Final = {"PASS": PASSED, "FAIL": FAILED, "UNKNOWN": BROKEN, "STOPPED": PASSED, "SKIPPED": PASSED}
# Nobody reads more reports of one case; what is left is told in short.
_REPORTS_MAX: Final = 10
# A traceback says most at its end.
_UNKNOWN_ROWS_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is to be told at the end: every case that was explored, and those that were not, each with the reason."""

    explored: tuple[CaseExplored, ...]
    skipped: tuple[tuple[Scenario, str], ...] = ()
    wall_s: float = 0.0
    again: int = 0
    interrupted: bool = False
    campaign: str = ""

    @property
    def verdicts(self) -> list[str]:
        """The verdict of each case, those left out last."""
        return [*map(self.verdict, self.explored), *("SKIPPED" for _ in self.skipped)]

    def verdict(self, one: CaseExplored) -> str:
        """Return the verdict of a case; one that somebody stopped before its end has not passed."""
        if self.interrupted and not (one.whole or one.failures or one.unknown):
            return "STOPPED"
        if one.unknown or not one.runs or any(failure.broken.unknown for failure in one.failures):
            return "UNKNOWN"
        return "FAIL" if one.failures else "PASS"

    @property
    def exit_code(self) -> int:
        """What all of it comes to, when nobody broke it off."""
        return max((_CODES[word] for word in self.verdicts), default=PASSED)


# -- for people --------------------------------------------------------------------------------------------------------
def found_line(failure: Failure) -> str:
    """Return the line that tells of a failure when it is found."""
    text = printable(f"{failure.case}: {failure.broken.law}: {failure.broken.text}")
    return f"found   {text} (plan {failure.number})"


def case_text(one: CaseExplored, word: str, options: ReportOptions) -> str:
    """Return what is told of one case: its line, what was never reached, what could not be done, and its failures."""
    rows = [
        f"{painted(f'{word:<7}', _COLOURS.get(word, 'yellow'), options)} {printable(one.case.name)}  {_figures(one)}"
    ]
    if one.statement and options.verbosity >= 0:
        rows.append(f"{_INDENT}{one.statement}")
    if word != "STOPPED":
        rows += [f"{_INDENT}never reached: {printable(str(missing))}" for missing in one.missing]
    rows += [f"{_INDENT}{row}" for text in one.unknown for row in _bounded(text)]
    groups = _by_plan(one.failures)
    rows += [_failures_text(one, found, options) for found in groups[:_REPORTS_MAX]]
    return "\n".join([*rows, *(row for found in groups[_REPORTS_MAX:] for each in found for row in in_short(each))])


def _by_plan(failures: Sequence[Failure]) -> list[list[Failure]]:
    """Return the failures with those together that one and the same run shows."""
    groups: dict[str, list[Failure]] = {}
    for found in failures:
        groups.setdefault(found.plan.text(), []).append(found)
    return list(groups.values())


def _figures(one: CaseExplored) -> str:
    if not one.runs:
        return "never begun"
    found = f", {counted(len(one.failures), 'distinct failure')}" if one.failures else ""
    return f"{counted(one.runs, 'run')}, {about(one.virtual_ns)} of virtual time{found}"


def _bounded(text: str) -> list[str]:
    rows = [printable(row) for row in text.splitlines()]
    return rows if len(rows) <= _UNKNOWN_ROWS_MAX else [rows[0], "...", *rows[2 - _UNKNOWN_ROWS_MAX :]]


def _failures_text(one: CaseExplored, found: Sequence[Failure], options: ReportOptions) -> str:
    """Return the report of what one run shows, and what can be done with each failure in it."""
    result, first = _once_more(one, found[0]), found[0]
    shrunk = "" if first.id in one.raw | one.unsteady else f"shrunk from plan {first.number}"
    known = Known(id=first.id, pins=first.broken.law != HEAL, shrunk=shrunk)
    if one.fails_alone:
        return f"{failure(result, options)}{INDENT}It fails in its default run, so nothing else was tried.\n"
    # A failure that is not there any more has no report; what it said is all that is known of it.
    said = [f"{INDENT}{printable(each.broken.text)}" for each in found]
    told = [failure(result, options, known).rstrip("\n")] if result.is_bad else said
    return "\n".join([*told, *(row for each in found for row in _failure_rows(one, each)), ""])


def _failure_rows(one: CaseExplored, found: Failure) -> Iterator[str]:
    yield ""
    times = f"found {counted(found.count, 'time')} in {counted(one.runs, 'run')}, first at plan {found.number}"
    yield f"{INDENT}{found.broken.law}: {times}"
    if found.id in one.unsteady:
        yield f"{INDENT}its plan did not fail again: something outside the world has a hand in it"
    elif found.id in one.raw:
        yield f"{INDENT}nobody has looked for a smaller plan yet"
    yield _replay_row(found)
    if found.broken.law != HEAL:
        yield f"{INDENT}Keep     simkit pin {found.id} scenarios/regressions/"


def _replay_row(found: Failure) -> str:
    return f"{INDENT}Replay   simkit replay {found.id}"


def _once_more(one: CaseExplored, found: Failure) -> Result:
    """Run a failure again for its trace; what is told of first is the failure itself."""
    with MACHINE.held(), _silence():
        result, _ = one.case.runner.result(Attempt(number=0, plan=found.plan))
    findings = sorted(result.findings, key=lambda finding: not same_failure(as_broken(finding), found.broken))
    return replace(result, judgement=replace(result.judgement, findings=tuple(findings)))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Let nothing that an agent prints get between the lines."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def in_short(found: Failure) -> list[str]:
    """Return what is told of a failure that is not run again."""
    return [found_line(found), _replay_row(found)]


def skipped_line(scenario: Scenario, why: str, options: ReportOptions) -> str:
    """Return the line of a case that is not explored."""
    return f"{painted('SKIPPED', 'yellow', options)} {printable(scenario.name)}  {printable(why)}"


def summary(told: Told, options: ReportOptions) -> str:
    """Return the last line."""
    counts = Counter(told.verdicts)
    if not counts:
        return "no cases"
    parts = ", ".join(f"{counts[word]} {said}" for word, said in _WORDS.items() if counts[word])
    runs, virtual = sum(one.runs for one in told.explored), about(sum(one.virtual_ns for one in told.explored))
    before = f", {told.again} of them before" if told.again else ""
    rate = f", {(runs - told.again) / told.wall_s:,.0f} a second" if told.wall_s > 0 else ""
    times = f"{counted(runs, 'run')}{before}{rate}, {virtual} of virtual time in {told.wall_s:.2f}s"
    failures = counted(sum(len(one.failures) for one in told.explored), "distinct failure")
    line = f"{counted(counts.total(), 'case')}: {parts}; {times}; {failures}"
    worst = max(told.verdicts, key=_CODES.__getitem__)
    return painted(line, _COLOURS.get(worst, "yellow" if worst == "UNKNOWN" else "green"), options)


# -- for machines ------------------------------------------------------------------------------------------------------
def document(told: Told) -> str:
    """Return everything as one JSON document."""
    results = [
        *(_case(one, told.verdict(one)) for one in told.explored),
        *(_skipped(scenario, why) for scenario, why in told.skipped),
    ]
    whole = {"campaign": told.campaign, "interrupted": told.interrupted, "results": results}
    return json.dumps(redact(whole), indent=2)


def _case(one: CaseExplored, word: str) -> Mapping[str, Any]:
    return {
        "file": one.case.scenario.file,
        "case": one.case.scenario.case,
        "verdict": word,
        "runs": one.runs,
        "virtual_ns": one.virtual_ns,
        "exhausted": one.exhausted,
        "statement": one.statement,
        "never_reached": [str(missing) for missing in one.missing],
        "unknown": list(one.unknown),
        "fails_alone": one.fails_alone,
        "failures": [_failure(one, found) for found in one.failures],
    }


def _failure(one: CaseExplored, found: Failure) -> Mapping[str, Any]:
    return {
        "id": found.id,
        "law": found.broken.law,
        "text": found.broken.text,
        "plan": found.plan.text(),
        "count": found.count,
        "first": found.number,
        "replays": found.id not in one.unsteady,
        "shrunk": found.id not in one.raw and found.id not in one.unsteady,
    }


def _skipped(scenario: Scenario, why: str) -> Mapping[str, Any]:
    return {"file": scenario.file, "case": scenario.case, "verdict": "SKIPPED", "reason": why}


def failures_of(told: Sequence[CaseExplored]) -> Iterator[tuple[CaseExplored, Failure]]:
    """Yield every failure that is worth keeping, with its case; what the default run shows is seen by everybody."""
    return ((one, found) for one in told if not one.fails_alone for found in one.failures)

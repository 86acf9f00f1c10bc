"""A scenario tried out: its runs, those of agents with a flaw, and whether any of these fails.

The idea: a scenario is worth what it would catch, so agents with known flaws are run against it until one fails. The
constraint: it takes as few runs as the answer needs - a row that has shown everything is the last one, the first
failure ends the search, and a flaw that makes an agent spin is cut short and asked again only when nothing else
failed. Running every flaw in every row was refused: a folder of scenarios would take minutes.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from simkit.contracts import Subject
from simkit.errors import SimkitError
from simkit.linting.evidence import Evidence
from simkit.model.scenario import Scenario
from simkit.model.verdict import Result, Verdict
from simkit.run import plan_of, run_once

# The setting whose choices are the flaws of a subject.
FLAW: Final = "flaw"

# Twenty times what the longest runs of a usual scenario take: whoever needs more spins, or asks without a pause.
_STEPS_FIRST: Final = 5_000

# More runs than this are no check before a commit any more.
RUNS_MAX: Final = 400


def flaws_of(subject: Subject) -> tuple[str, ...] | None:
    """Return the flaws that a subject publishes; None for one that publishes no settings at all."""
    if subject.settings is None:
        return None
    setting = subject.settings.get(FLAW)
    return tuple(filter(None, setting.choices)) if setting is not None else ()


class Trial:
    """The runs of one scenario file.

    ``evidence`` is what they show, ``catches`` the flaws to be caught, and ``caught`` those under which a row fails.
    ``failed`` says why rows do not pass that should, ``refused`` what the subject says of a flaw that it does not take,
    and ``survived`` how many runs with other flaws the scenario let pass, if it let all of them pass.
    """

    def __init__(self, cases: Sequence[Scenario], dead: Collection[int], catches: Sequence[str]) -> None:
        self._cases = [case for case in cases if not case.skip]
        self._passing: dict[str, bool] = {}
        self.evidence = Evidence(self._cases or cases, dead)
        self.catches = tuple(catches)
        self.failed: dict[str, str] = {}
        self.caught: set[str] = set()
        self.refused: dict[str, str] = {}
        self.survived = 0
        self._runs = 0

    def run(self, flaws: Sequence[str], often: Counter[str]) -> None:
        """Run what has to be run; ``often`` says which flaws fail scenarios most often, and is told of one more."""
        for flaw in self.catches:
            self._catch(flaw)
        self._settle()
        often.update(self.caught)
        if not self.caught:
            self._search(sorted((f for f in flaws if f not in self.catches), key=lambda f: -often[f]), often)

    @property
    def tested(self) -> list[str]:
        """The rows that were run and pass, so that a flaw could fail them."""
        return [row for row, passes in self._passing.items() if passes]

    @property
    def shows_waste(self) -> bool:
        """Whether what no run needed was not wanted: what a run did not come to because it failed may well be."""
        return all(self._passing.values()) and not self.is_full

    @property
    def is_full(self) -> bool:
        """Whether so many runs were made that no more are, whatever is still open."""
        return self._runs >= RUNS_MAX

    # -- the scenario as it stands -----------------------------------------------------------------------------------
    def _passes(self, case: Scenario) -> bool:
        """Say whether a row passes, running it for the first who asks."""
        if case.case not in self._passing:
            self._passing[case.case] = self._first_run(case)
        return self._passing[case.case]

    def _first_run(self, case: Scenario) -> bool:
        try:
            result = self._run(case)
        except SimkitError as error:
            self.failed[case.case] = str(error)
            return False
        self.evidence.add(result)
        if result.verdict is Verdict.PASS:
            return True
        if not case.xfail:
            self.failed[case.case] = result.findings[0].text
        return False

    def _run(self, case: Scenario) -> Result:
        self._runs += 1
        # What an agent prints or logs, above all one with a flaw, is for those who run it.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return run_once(case, plan_of(case))

    # -- with flaws --------------------------------------------------------------------------------------------------
    def _catch(self, flaw: str) -> None:
        for case in self._cases:
            if self._passes(case) and self._fails(case, flaw):
                self.caught.add(flaw)
                return

    def _fails(self, case: Scenario, flaw: str) -> bool:
        """Say whether a row fails under a flaw that it is there to catch: then what it used was wanted."""
        result = self._run_flawed(case, flaw)
        if result is not None:
            self.evidence.add(result)
        return result is not None and result.verdict is Verdict.FAIL

    def _run_flawed(self, case: Scenario, flaw: str, steps: int | None = None) -> Result | None:
        """Run a row with a flaw; None where the subject does not take it."""
        limits = replace(case.limits, steps=min(case.limits.steps, steps or case.limits.steps))
        try:
            result = self._run(replace(case, settings={**case.settings, FLAW: flaw}, limits=limits))
        except SimkitError as error:
            self.refused[flaw] = str(error)
            return None
        if refusal := _refusal(result):
            self.refused[flaw] = refusal
            return None
        return result

    def _settle(self) -> None:
        """Run what is left until every question is answered: the rows, and in each of them the flaws to be caught."""
        flawed = ((case, flaw) for case in self._cases[1:] for flaw in self.catches)
        for case, flaw in (*((case, "") for case in self._cases), *flawed):
            if self._passing and (self.evidence.is_settled or self.is_full):
                return
            if flaw:
                self._fails(case, flaw)
            else:
                self._passes(case)

    def _search(self, flaws: Sequence[str], often: Counter[str]) -> None:
        """Look for any flaw that fails a row: first among those that end soon, then among the others."""
        cut_short: list[tuple[Scenario, str]] = []
        tried = 0
        # What fails a scenario mostly fails its first row.
        for case, flaw in ((case, flaw) for case in self._cases if self._passes(case) for flaw in flaws):
            if self.is_full:
                break
            result = self._run_flawed(case, flaw, _STEPS_FIRST)
            tried += result is not None
            if result is not None and _is_cut_short(result, case):
                cut_short.append((case, flaw))
            elif result is not None and result.verdict is Verdict.FAIL:
                often[flaw] += 1
                return
        self.survived = 0 if any(self._fails_at_length(*one) for one in cut_short) else tried

    def _fails_at_length(self, case: Scenario, flaw: str) -> bool:
        result = self._run_flawed(case, flaw)
        return result is not None and result.verdict is Verdict.FAIL


def _refusal(result: Result) -> str:
    """Return what a subject says of a setting that it does not take; empty for one that began to work."""
    raised = [event for event in result.trace.of("subject.raised") if event.get("error") == "UsageError"]
    return str(raised[0].get("text")) if raised and not result.trace.of("request") else ""


def _is_cut_short(result: Result, case: Scenario) -> bool:
    """Say whether a run was ended by the smaller limit of a first try, and by nothing that the scenario says."""
    ends = result.trace.of("run.end")
    short = result.scenario.limits.steps < case.limits.steps
    return short and bool(ends) and ends[-1].get("reason") == "livelock"

"""Verdicts: what was found in a trace, and the result that a run comes to.

The idea: a verdict is one of three words with a fixed order, and the worst wins when they meet. The constraint:
a law that could not look (its facts are missing, or it crashed) never counts as a pass; it says ``not
applicable`` or makes the run ``UNKNOWN``. A boolean was refused: it has no word for "I could not tell".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal

from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Trace


class Verdict(IntEnum):
    """From best to worst; ``max`` of several is the verdict of all of them."""

    PASS = 0
    FAIL = 1
    UNKNOWN = 2


# How a case of a suite came out: its verdict, unless its author said something else of it.
Outcome = Literal["PASS", "FAIL", "UNKNOWN", "SKIPPED", "XFAILED"]
# The law of the finding that a case passed which was expected to fail.
XFAIL: Final = "xfail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: the law (or ``expect.<fact>``), the sentence, and the events that decided it.

    An expectation says in two further texts what it demands and what there was. Whatever happened too often names in
    ``counted`` all events that were counted, in order, and how many of them are allowed.
    """

    law: str
    text: str
    events: tuple[int, ...] = ()
    place: Place | None = None
    verdict: Verdict = Verdict.FAIL
    expected: str = ""
    actual: str = ""
    counted: tuple[int, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplicable:
    """A law that the trace holds no facts for, and the reason."""

    law: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What all laws together said of one trace."""

    findings: tuple[Finding, ...] = ()
    not_applicable: tuple[NotApplicable, ...] = ()
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A judged run: alone enough to report, replay and shrink it. ``wall_s`` is real seconds and never in the trace."""

    scenario: Scenario
    plan: Plan
    trace: Trace
    judgement: Judgement
    wall_s: float = field(default=0.0, compare=False)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, in the order in which the laws were asked."""
        return self.judgement.findings

    @property
    def verdict(self) -> Verdict:
        """The worst of all findings; a run without findings passes, and nobody knows it of one that never was."""
        if self.is_skipped:
            return Verdict.UNKNOWN
        return max((f.verdict for f in self.findings), default=Verdict.PASS)

    @property
    def is_skipped(self) -> bool:
        """Say whether the case was left out, as its author wished."""
        return bool(self.scenario.skip) and not self.trace.events

    @property
    def outcome(self) -> Outcome:
        """How the case came out in a suite; what nobody could tell is no expected failure."""
        if self.is_skipped:
            return "SKIPPED"
        if self.scenario.xfail and self.verdict is Verdict.FAIL and not self._passed_after_all:
            return "XFAILED"
        words: tuple[Outcome, ...] = ("PASS", "FAIL", "UNKNOWN")
        return words[self.verdict]

    @property
    def reason(self) -> str:
        """Why the outcome is not the verdict, in the author's words; empty where it is."""
        return {"SKIPPED": self.scenario.skip, "XFAILED": self.scenario.xfail}.get(self.outcome, "")

    @property
    def is_bad(self) -> bool:
        """Say whether the case has to be told of, and a suite with it does not pass."""
        return self.outcome in ("FAIL", "UNKNOWN")

    @property
    def _passed_after_all(self) -> bool:
        return any(finding.law == XFAIL for finding in self.findings)

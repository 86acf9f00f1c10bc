"""The rules that a scenario is held against, each with its sentence, and what is told where one is broken.

The idea: one table says which rules there are, what each means and how grave it is, so the options, the help and the
reports read the same list. The constraint: a remark is a plain value with everything that a terminal, an editor or a
review wants to know, so nothing is looked up again when it is printed. A number for each rule was refused: nobody
remembers what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from simkit.errors import Problem, UsageError
from simkit.extensions import nearest
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place

Severity = Literal["error", "warning"]

# Of what the language or a subject refuses, and of a path or an option that cannot be used: these are not in the
# table, since nobody can switch them off.
REFUSED: Final = "scenario"
UNUSABLE: Final = "usage"

# A longer line would push the caret off every screen, so it is told by its place alone.
_SOURCE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its sentence, how grave it is to break it, and whether runs can tell of it."""

    says: str
    severity: Severity = "warning"
    asks_runs: bool = False


RULES: Final[dict[str, Rule]] = {
    "unused-answer": Rule(
        "An answer, or the answer to a poll, that no request can get, or none got in any run.", asks_runs=True
    ),
    "unused-tool": Rule("A tool that no answer calls and no run started.", asks_runs=True),
    "unused-host": Rule("A host that no run dialled.", asks_runs=True),
    "law-cannot-apply": Rule("A law under `always` that finds nothing to judge in any run.", asks_runs=True),
    "no-flaw-fails": Rule("A scenario that no flaw of its subject can fail, so it tests nothing.", asks_runs=True),
    "catches-nothing": Rule("A flaw under `catches` that the scenario does not fail under.", "error", asks_runs=True),
    "does-not-pass": Rule("A case that fails as it stands, so its runs say nothing.", asks_runs=True),
    "suspicious-duration": Rule("A duration that looks like a slip in its unit, or is longer than the run."),
    "key-order": Rule("Keys of the scenario in another order than that of the reference."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing to be told: by which rule, how grave, where (without a file: of an option or a path), and the way out.

    ``source`` is the line that it stands on, where it is worth showing.
    """

    rule: str
    severity: Severity
    text: str
    remedy: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    source: str = ""

    def render(self) -> str:
        """Return the remark as people read it; what cannot be used at all is told as every command tells it."""
        if not self.file:
            return f"simkit: {self.text}"
        text = self.text if self.rule == REFUSED else f"{self.text} [{self.rule}]"
        text = f"warning: {text}" if self.severity == "warning" else text
        return Problem(self.file, self.line, self.column, text, self.source, self.remedy).render()


def refused(problem: Problem) -> Remark:
    """Return what the language or a subject refuses."""
    return Remark(
        rule=REFUSED,
        severity="error",
        text=problem.text,
        remedy=problem.help,
        file=problem.file,
        line=problem.line,
        column=problem.column,
        source=problem.source,
    )


def unusable(text: str) -> Remark:
    """Return a mistake that has no place in a file."""
    return Remark(rule=UNUSABLE, severity="error", text=text)


def remark(rule: str, case: Scenario, place: Place | None, text: str, remedy: str) -> Remark:
    """Return what is told where a rule is broken; without a place it is told of the file as a whole."""
    at = place or Place(case.file, 1)
    source = case.line(at)
    return Remark(
        rule=rule,
        severity=RULES[rule].severity,
        text=text,
        remedy=remedy,
        file=at.file,
        line=at.line,
        column=at.column,
        source=source if len(source) <= _SOURCE_MAX else "",
    )


def without(names: Iterable[str]) -> Collection[str]:
    """Return the rules that are left when these are switched off. Raises ``UsageError`` for one that is none."""
    off = list(names)
    for name in off:
        if name not in RULES:
            raise UsageError(f"--off: no rule is called {name!r}{nearest(name, RULES)}")
    return [name for name in RULES if name not in off]


def in_order(remarks: Iterable[Remark]) -> list[Remark]:
    """Return remarks in the order of the file, each once: the rows of a matrix share their lines."""
    return sorted(dict.fromkeys(remarks), key=lambda one: (one.file, one.line, one.column))

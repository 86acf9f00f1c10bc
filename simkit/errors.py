"""Every exception of simkit, under one root, sorted by whose fault it is.

The idea: a reader of an error must know at once whether to mend the scenario, the agent under test, or simkit
itself, so the class carries that and the command line turns it into an exit code. The constraint it protects: a
mistake of the user never looks like a crash of ours, and a crash of ours never looks like a failed scenario. One
class per raising room was refused: it says where the code stands, which nobody outside needs to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# How a command tells a shell whose fault it was: 141 is 128 and SIGPIPE, as other tools of a pipe say it.
EXIT_CODES: Final[Mapping[int, str]] = {
    0: "pass",
    1: "a scenario failed",
    2: "a scenario or an option is wrong",
    3: "simkit itself failed or a verdict is UNKNOWN",
    130: "Ctrl-C",
    141: "the reader of the output went away",
}


class SimkitError(Exception):
    """The root: everything simkit raises on purpose, except what must get past an SDK's ``except Exception``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where it stands, what is wrong, and the way out."""

    file: str
    line: int
    column: int
    text: str
    source: str = ""
    help: str = ""

    def render(self) -> str:
        """Return the problem as ``file:line:column: text``, the offending line and a caret below it."""
        head = f"{self.file}:{self.line}:{self.column}: {self.text}"
        if self.help:
            head += f" - {self.help}"
        if not self.source.strip():
            return head
        margin = f"{self.line:5d} | "
        # A tab keeps its width in the caret line, so the caret stands below the character it means.
        lead = "".join("\t" if c == "\t" else " " for c in self.source[: self.column - 1])
        return f"{head}\n{margin}{self.source}\n{' ' * (len(margin) - 2)}| {lead}^"


class ScenarioError(SimkitError):
    """The scenario's fault: the file cannot be read as a scenario. Carries every problem found, not the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(p.render() for p in self.problems))


class UsageError(SimkitError):
    """The caller's fault: an option, a path, a name or a setting that cannot be used."""


class SubjectError(SimkitError):
    """The subject cannot be found, imported or built. (What it raises while it runs is a finding, not this.)"""


class UnplayableError(SimkitError):
    """The scenario's fault: a step that the wire of this request cannot carry. The text says which and why.

    ``step`` is its index in the timeline.
    """

    def __init__(self, step: int, text: str) -> None:
        self.step = step
        super().__init__(text)


class ConformanceError(SimkitError, AssertionError):
    """An extension does not do what its contract asks. Carries every fault found, not the first.

    An ``AssertionError`` too, so that a test runner calls it a failure and not an error.
    """

    def __init__(self, name: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{name} does not pass:" + "".join(f"\n  - {fault}" for fault in self.faults))


class NotSimulatedError(SimkitError):
    """Something that simkit does not simulate was asked for inside a world; the text names the way round."""


class WorldEndedError(BaseException):
    """Raised inside simulated code while its world is being torn down.

    A ``BaseException``, so that agent code which swallows every ``Exception`` cannot keep a finished world alive.
    """


class RunEndedError(BaseException):
    """The run is over for a reason that no SDK may swallow: deadlock, horizon, unmatched request, undeclared host.

    A ``BaseException`` because SDKs catch ``Exception`` and retry. ``reason`` is the short name that the trace holds,
    ``text`` says it for people.
    """

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        self.text = text
        super().__init__(f"{reason}: {text}")

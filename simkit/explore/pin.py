"""Pinning: a failure that was found becomes a scenario of its own, which fails the same way without any exploration.

The idea: the scenario is written out with the plan in it, and above the plan stands in words what each of its choices
and faults does, told from the trace of the very run. The constraint: the file that is written was run as ``simkit run``
runs it and failed for the same reason, or there is no file; and nothing is ever written over. A file that names its
origin and a plan was refused: whoever mends the scenario that it came from would change what was pinned.

What only an exploration asks is left out of it (``explore``, ``sometimes``), and so is what would hide the failure
(``skip``, ``xfail``) or claim more than is known (``catches``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from simkit.checks.judge import laws
from simkit.errors import ScenarioError, UsageError
from simkit.explore.failures import Failure, same_failure
from simkit.explore.running import HEAL, as_broken
from simkit.language.reader import loads, shown_path
from simkit.language.writer import write
from simkit.model.plan import Plan
from simkit.model.redact import redact
from simkit.model.scenario import Exploring, Scenario
from simkit.model.verdict import Result
from simkit.reporters.plans import in_words
from simkit.run import run_case, run_once

_SUFFIX: Final = ".sim.yaml"
_PINNED: Final = " (pinned)"


def pin(scenario: Scenario, failure: Failure, folder: Path | str, *, subject: str | None = None) -> Path:
    """Write a scenario that fails as this one does under the plan of the failure, and return its file.

    ``subject`` is who was under test, where that is not the scenario's own. Raises ``UsageError`` where it does not
    fail in the same way without an exploration, where it cannot be written, and where the file is there already.
    """
    path = Path(folder) / f"{failure.slug}{_SUFFIX}"
    if os.path.lexists(path):
        raise UsageError(f"{str(path)!r} is there already, and nothing is written over it: this failure is pinned")
    if failure.broken.law == HEAL:
        raise UsageError(f"{HEAL} is asked by an exploration alone, so no scenario fails by it - replay it instead")
    pinned = _pinned(scenario, failure, path, subject)
    text = _written(pinned, scenario, failure)
    _check(text, pinned, failure)
    _write(path, text)
    return path


def _pinned(scenario: Scenario, failure: Failure, path: Path, subject: str | None) -> Scenario:
    """Return the scenario as it will stand in its file."""
    return replace(
        scenario,
        title=scenario.title.removesuffix(_PINNED) + _PINNED,
        file=shown_path(path),
        row="",
        subject=subject or scenario.subject,
        plan="" if failure.plan == Plan() else failure.plan.text(),
        skip="",
        xfail="",
        sometimes=(),
        explore=Exploring(),
        catches=(),
    )


def _written(pinned: Scenario, origin: Scenario, failure: Failure) -> str:
    trace = run_once(pinned, failure.plan).trace
    head = f"{failure.broken.law}: {redact(failure.broken.text)}\nFound by an exploration of {origin.name}"
    return write(pinned, laws=laws(pinned.file), head=head, plan_note=in_words(failure.plan, trace))


def _check(text: str, pinned: Scenario, failure: Failure) -> None:
    """Raise ``UsageError`` where the text, read and run as a file would be, does not fail in the same way."""
    try:
        (case,) = loads(text, pinned.file, laws=laws(pinned.file))
    except ScenarioError as error:
        raise UsageError(f"the pinned scenario could not be read in {pinned.file!r}: {error}") from error
    result = run_case(case)
    if not any(same_failure(failure.broken, as_broken(finding)) for finding in result.findings):
        raise UsageError(
            f"nothing is pinned: run alone, the scenario does not break {failure.broken.law!r} in the same way, "
            f"it {_came_out(result)} - replay the failure to see whether it is still there"
        )


def _came_out(result: Result) -> str:
    if not result.findings:
        return "passes"
    first = result.findings[0]
    return f"breaks {first.law!r}: {first.text}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Exclusively: what has come to stand there meanwhile is somebody's.
        with open(path, "x", encoding="utf-8", newline="\n") as file, _gone_if_broken(path):
            file.write(text)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _gone_if_broken(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink()
        raise

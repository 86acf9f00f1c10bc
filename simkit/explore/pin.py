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
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from simkit.checks.judge import laws
from simkit.errors import ScenarioError, UsageError
from simkit.explore.failures import Failure, same_failure
from simkit.explore.running import HEAL, as_broken
from simkit.language.reader import loads, shown_path
from simkit.language.writer import write
from simkit.model.duration import format_duration, format_instant
from simkit.model.plan import FAULT_KINDS, Deviation, Plan, Strike
from simkit.model.redact import redact
from simkit.model.scenario import Exploring, Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Result
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


# -- a plan in words ---------------------------------------------------------------------------------------------------
_CHOICES: Final[Mapping[str, str]] = {
    "tie": "of all that is due at this instant, {} comes first",
    "deadline": "what is due at a deadline waits: {}",
    "timing": "{}",
    "thread": "of the threads that could go on, {} does",
    "suspend": "{}",
    "order": "of the callbacks that are ready, that of {} goes first",
}
_SITE: Final = re.compile(r"(?P<what>[a-z]+)(?P<number>\d+)(?:\.(?:frame(?P<frame>\d+)|(?P<when>start|end)))?")
_PLACES: Final[Mapping[str, str]] = {
    "answer": "the answer to request {number}",
    "job": "a stream of the job of request {number}",
    "poll": "request {number} about a job",
    "tool": "the {when} of run {number} of a tool",
    "user": "what the user does, act {number}",
}


def in_words(plan: Plan, trace: Trace) -> str:
    """Return what a plan does in the run that this trace tells of, a line for each part of the plan."""
    struck = {event.get("site"): event for event in trace.of("fault")}
    picked = {event.get("number"): event for event in trace.of("choice")}
    strikes = (_strike_in_words(strike, struck.get(strike.site), trace) for strike in plan.strikes)
    choices = (_choice_in_words(one, picked.get(one.number)) for one in plan.deviations)
    return "\n".join([*_base_in_words(plan), *strikes, *choices])


def _base_in_words(plan: Plan) -> Iterator[str]:
    if plan.seed:
        yield f"seed={plan.seed}: the stream of chance for ids, retry delays and the order of sets"
    if plan.order == "any":
        yield "order=any: callbacks run in orders that asyncio itself does not produce"
    if plan.jitter_ns:
        jitter = format_duration(plan.jitter_ns)
        yield f"jitter={jitter}: what comes from outside may shift by {jitter} around a deadline"


def _strike_in_words(strike: Strike, event: Event | None, trace: Trace) -> str:
    fault = FAULT_KINDS[strike.kind].rstrip(".")
    return f"{strike.text()}: {_at(event)}{_site_in_words(strike.site, trace)}: {fault[0].lower()}{fault[1:]}"


def _choice_in_words(deviation: Deviation, event: Event | None) -> str:
    if event is None:
        return f"{deviation.text()}: a choice of {deviation.kind}"
    sentence = _CHOICES.get(deviation.kind, f"{deviation.kind}: {{}}")
    return f"{deviation.text()}: {_at(event)}{sentence.format(event.get('picked'))}"


def _at(event: Event | None) -> str:
    return "" if event is None else f"at {format_instant(event.at_ns)}, "


def _site_in_words(site: str, trace: Trace) -> str:
    found = _SITE.fullmatch(site)
    if found is None or found["what"] not in _PLACES:
        return site
    where = _PLACES[found["what"]].format(**found.groupdict())
    if found["what"] == "tool":
        runs = (event for event in trace.of("tool.start") if event.get("run") == int(found["number"]))
        where += "".join(f", {event.get('tool')}" for event in runs)
    return where if found["frame"] is None else f"before frame {found['frame']} (from 0) of {where}"

"""Conformance: the exams that an extension passes before anybody relies on it.

The idea: who writes a law gives it two kinds of runs, such in which somebody does what it forbids and such in which
nobody does, and the exam asks what a reader of its findings takes for granted: that it finds the fault, is silent
elsewhere, points at what happened, and looks without touching. The constraint: everything that is wrong is told at
once, and simkit's own laws pass the same exam. A base class with tests to inherit was refused: it ties a law to one
test runner, and says nothing in a script.

In a test of one's own::

    def test_my_law() -> None:
        examine_law(MY_LAW, broken=["sims/rude.sim.yaml"], clean=["sims/polite.sim.yaml"])
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simkit.checks.judge import laws
from simkit.contracts import Law
from simkit.errors import ConformanceError
from simkit.extensions import BUILT_IN, find
from simkit.language import reader
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.trace import Trace
from simkit.model.verdict import XFAIL, Finding, NotApplicable
from simkit.run import run_once

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PARAMETERS: Final = (None, "count", "duration")
_EMPTY: Final = Scenario(title="a run in which nothing happened", provider=())

# What a law may be examined on: a file, all of whose rows count, or one case.
Case = Path | str | Scenario
Said = list[Finding | NotApplicable]


def examine_law(law: Law, *, broken: Iterable[Case], clean: Iterable[Case]) -> None:
    """Raise ``ConformanceError`` with everything that is wrong with a law.

    In each ``broken`` case somebody does what the law forbids, in each ``clean`` one nobody does, though it is about
    that. A case that names the law under ``always`` is judged with the parameter that it gives there.
    """
    faults = list(_of_the_law_itself(law))
    seen = {"broken": list(_runs(law, broken)), "clean": list(_runs(law, clean))}
    faults += [
        f"no {kind} case was given, so nobody knows what it does in one" for kind, runs in seen.items() if not runs
    ]
    for kind, runs in seen.items():
        for run in runs:
            faults += _of_a_run(law, run, fault_is_there=kind == "broken")
    faults += _of_nothing(law, [run.parameter for runs in seen.values() for run in runs])
    if faults:
        raise ConformanceError(law.name, faults)


# -- the law itself --------------------------------------------------------------------------------------------------
def _of_the_law_itself(law: Law) -> Iterator[str]:
    if not _NAME.fullmatch(law.name):
        yield f"its name is {law.name!r}, expected words in small letters with underscores, such as no_double_charge"
    elif law.name == XFAIL or (law.name in BUILT_IN["checks"] and find("checks", law.name) is not law):
        yield f"its name {law.name!r} is taken by simkit itself - give it another name"
    if not law.says.strip().endswith(".") or law.says != law.says.strip() or not law.says[:1].isupper():
        yield f"it says {law.says!r}, expected a sentence of what must hold, from its capital letter to its full stop"
    if law.parameter not in _PARAMETERS:
        yield f"its parameter is {law.parameter!r}, expected 'count', 'duration' or None"
    else:
        yield from _of_the_default(law)


def _of_the_default(law: Law) -> Iterator[str]:
    if law.parameter is None:
        if law.default is not None:
            yield f"its default is {law.default!r}, but it takes no parameter"
    elif law.default is None:
        if law.on_by_default:
            yield f"it is on by default and needs a {law.parameter}, but has no default"
    elif not isinstance(law.default, int) or isinstance(law.default, bool) or law.default < 0:
        unit = "nanoseconds" if law.parameter == "duration" else "0 or more"
        yield f"its default is {law.default!r}, expected a whole number ({unit}) for a {law.parameter}"


# -- runs ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Run:
    """What happened in one case, and the parameter that the law has there."""

    scenario: Scenario
    trace: Trace
    parameter: object

    @property
    def name(self) -> str:
        return self.scenario.name if self.scenario.file else repr(self.scenario.title)


def _runs(law: Law, cases: Iterable[Case]) -> Iterator[_Run]:
    for case in cases:
        for scenario in (case,) if isinstance(case, Scenario) else _load(law, case):
            use = next((use for use in scenario.always if use.law == law.name and not use.off), None)
            parameter = law.default if use is None or use.value is None else use.value
            yield _Run(scenario, run_once(scenario, Plan()).trace, parameter)


def _load(law: Law, path: Path | str) -> tuple[Scenario, ...]:
    """Read a file that may name the law, which need not be installed for its exam."""
    return reader.load(path, laws={**laws(path), law.name: law.parameter})


def _of_a_run(law: Law, run: _Run, *, fault_is_there: bool) -> Iterator[str]:
    before = copy.deepcopy((run.scenario, run.trace))
    try:
        said, again = _ask(law, run), _ask(law, run)
    except Exception as error:  # noqa: BLE001  # somebody's code; what it raises is what the exam is about
        yield f"it raised {type(error).__name__}: {error} on {run.name}, so the verdict there would be UNKNOWN"
        return
    if (run.scenario, run.trace) != before:
        yield f"it changed what it judged on {run.name}: a law only looks"
    if said != again:
        yield f"asked twice about {run.name} it said two things: {_told(said)}, then {_told(again)}"
    yield from _of_what_it_said(law, run, said)
    found = [one for one in said if isinstance(one, Finding)]
    if fault_is_there and not found:
        yield f"it did not find the fault in {run.name}: {_told(said)}"
    if not fault_is_there and said:
        yield f"it was not silent on {run.name}, where nothing is wrong: {_told(said)}"


def _of_what_it_said(law: Law, run: _Run, said: Said) -> Iterator[str]:
    missing = [one for one in said if isinstance(one, NotApplicable)]
    if missing and len(said) > 1:
        yield f"on {run.name} it said more than that it is not applicable: {_told(said)}"
    for one in said:
        text = one.text if isinstance(one, Finding) else one.because
        if one.law != law.name:
            yield f"what it said of {run.name} is in the name of {one.law!r}: {text!r}"
        if not text.strip():
            yield f"on {run.name} it said something without a text"
        if isinstance(one, Finding):
            yield from _of_its_events(run, one)


def _of_its_events(run: _Run, finding: Finding) -> Iterator[str]:
    wrong = [n for n in finding.events if not 0 <= n < len(run.trace)]
    if wrong:
        yield f"a finding on {run.name} points at events that are not there: {wrong}"
    if not finding.events:
        yield f"a finding on {run.name} points at no event, so no report can show what decided it: {finding.text!r}"


def _of_nothing(law: Law, parameters: list[object]) -> Iterator[str]:
    """A law that holds where there is nothing to see would make every run look judged."""
    parameter = next((one for one in parameters if one is not None), law.default)
    try:
        said = _ask(law, _Run(_EMPTY, Trace(), parameter))
    except Exception as error:  # noqa: BLE001  # as above
        yield f"it raised {type(error).__name__}: {error} on an empty trace, expected that it is not applicable"
        return
    if len(said) != 1 or not isinstance(said[0], NotApplicable):
        yield f"of an empty trace it said: {_told(said)}; expected that it is not applicable, and why"


def _ask(law: Law, run: _Run) -> Said:
    return list(law.judge(run.scenario, run.trace, run.parameter))


def _told(said: Said) -> str:
    """Return what a law said, in one line."""
    texts = [one.text if isinstance(one, Finding) else f"not applicable, {one.because}" for one in said]
    return "; ".join(map(repr, texts)) or "nothing"

"""The judge: asks every law and every expectation about one trace, and writes down what they said.

The idea: default laws, then those that the scenario names, then its expectations, each asked once, each on
its own. The constraint: a law that crashes is a verdict of UNKNOWN with its name, and never stops the others
or passes. Letting the exception out was refused: one faulty law would hide what all the others found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from simkit.checks.expectations import met
from simkit.contracts import Law
from simkit.errors import UsageError
from simkit.extensions import find, names, nearest
from simkit.model.scenario import LawUse, Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Trace
from simkit.model.verdict import Finding, Judgement, NotApplicable, Verdict


def judge(scenario: Scenario, trace: Trace) -> Judgement:
    """Return what all laws and expectations of the scenario say of this trace."""
    findings: list[Finding] = []
    missing: list[NotApplicable] = []
    held: list[str] = []
    for name, place, asked in _questions(scenario, trace):
        said = list(_guarded(name, place, asked))
        findings += [one for one in said if isinstance(one, Finding)]
        missing += [one for one in said if isinstance(one, NotApplicable)]
        if not said:
            held.append(name)
    return Judgement(findings=tuple(findings), not_applicable=tuple(missing), held=tuple(held))


def laws() -> Mapping[str, str | None]:
    """Return every known law and the kind of its parameter: ``count``, ``duration``, or None."""
    return {name: law.parameter for name, law in _laws().items()}


@cache
def _laws() -> Mapping[str, Law]:
    """Load every law, once: looking for installed packages costs more than judging a small run."""
    found = {name: find("checks", name) for name in names("checks")}
    for name, law in found.items():
        if not isinstance(law, Law):
            raise UsageError(f"checks {name!r} is {law!r}, expected a simkit.contracts.Law")
    return {name: law for name, law in found.items() if isinstance(law, Law)}


@cache
def _defaults() -> Mapping[str, LawUse]:
    return {law.name: LawUse(law=law.name) for law in _laws().values() if law.on_by_default}


# Everything asked is a generator, so nothing of it runs before it stands inside the guard of ``_guarded``.
_Said = Iterator[Finding | NotApplicable]


def _questions(scenario: Scenario, trace: Trace) -> Iterator[tuple[str, Place | None, _Said]]:
    for use in _in_force(scenario):
        yield use.law, use.place, _judged(use, scenario, trace)
    for expectation in scenario.expect:
        yield f"expect.{expectation.fact}", expectation.place, met(expectation, trace)


def _in_force(scenario: Scenario) -> Iterator[LawUse]:
    """Give the defaults, then the scenario's own laws; each once, and one switched off never."""
    uses = dict(_defaults())
    uses.update((use.law, use) for use in scenario.always if not use.off)
    off = {use.law for use in scenario.always if use.off}
    return (use for use in uses.values() if use.law not in off)


def _judged(use: LawUse, scenario: Scenario, trace: Trace) -> _Said:
    law = _laws().get(use.law)
    if law is None:
        raise UsageError(f"no law is called {use.law!r}{nearest(use.law, _laws())}")
    for said in law.judge(scenario, trace, law.default if use.value is None else use.value):
        # A law that knows no better place points to where the scenario demands it.
        yield replace(said, place=use.place) if isinstance(said, Finding) and said.place is None else said


def _guarded(name: str, place: Place | None, asked: _Said) -> _Said:
    try:
        yield from asked
    except Exception as error:  # noqa: BLE001  # a law may be anybody's code; what it raises is its answer
        text = f"{name} could not be judged: {type(error).__name__}: {error}"
        yield Finding(law=name, text=text, place=place, verdict=Verdict.UNKNOWN)

"""The judge: asks every law and every expectation about one trace, and writes down what they said.

The idea: default laws, then those that the scenario names, then its expectations, each asked once, each on
its own. The constraint: a law that crashes is a verdict of UNKNOWN with its name, and never stops the others
or passes. Letting the exception out was refused: one faulty law would hide what all the others found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from os import PathLike, fspath

from simkit.checks.expectations import met
from simkit.contracts import Law
from simkit.errors import UsageError
from simkit.extensions import find, names, nearby, nearest
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


def laws(file: str | PathLike[str] = "") -> Mapping[str, str | None]:
    """Return every law for a scenario of this file, and the kind of its parameter: ``count``, ``duration``, or None.

    Raises ``UsageError`` when one of them cannot be loaded or is none.
    """
    return {name: law.parameter for name, law in _laws(fspath(file)).items()}


def _laws(file: str) -> Mapping[str, Law]:
    """Return those that are installed, and those that a ``conftest.py`` gives to this file."""
    own = nearby("checks", file)
    return {**_installed(), **_all_laws(own)} if own else _installed()


@cache
def _installed() -> Mapping[str, Law]:
    """Load every law, once: looking for installed packages costs more than judging a small run."""
    return _all_laws({name: find("checks", name) for name in names("checks")})


def _all_laws(found: Mapping[str, object]) -> Mapping[str, Law]:
    for name, law in found.items():
        if not isinstance(law, Law):
            raise UsageError(f"checks {name!r} is {law!r}, expected a simkit.contracts.Law")
    return {name: law for name, law in found.items() if isinstance(law, Law)}


@cache
def _installed_defaults() -> Mapping[str, LawUse]:
    return _defaults(_installed().values())


def _defaults(known: Iterable[Law]) -> Mapping[str, LawUse]:
    return {law.name: LawUse(law=law.name) for law in known if law.on_by_default}


# Everything asked is a generator, so nothing of it runs before it stands inside the guard of ``_guarded``.
_Said = Iterator[Finding | NotApplicable]


def _questions(scenario: Scenario, trace: Trace) -> Iterator[tuple[str, Place | None, _Said]]:
    known = _laws(scenario.file)
    for use in _in_force(scenario, known):
        yield use.law, use.place, _judged(use, known, scenario, trace)
    if _struck(trace):
        # What a scenario expects, it expects of the run that its script describes; the laws hold in every run.
        return
    for expectation in scenario.expect:
        yield f"expect.{expectation.fact}", expectation.place, met(expectation, trace)


def _struck(trace: Trace) -> bool:
    return any(event.kind == "fault" for event in trace)


def _in_force(scenario: Scenario, known: Mapping[str, Law]) -> Iterator[LawUse]:
    """Give the defaults, then the scenario's own laws; each once, and one switched off never."""
    uses = dict(_installed_defaults() if known is _installed() else _defaults(known.values()))
    uses.update((use.law, use) for use in scenario.always if not use.off)
    off = {use.law for use in scenario.always if use.off}
    return (use for use in uses.values() if use.law not in off)


def _judged(use: LawUse, known: Mapping[str, Law], scenario: Scenario, trace: Trace) -> _Said:
    law = known.get(use.law)
    if law is None:
        raise UsageError(f"no law is called {use.law!r}{nearest(use.law, known)}")
    for said in law.judge(scenario, trace, law.default if use.value is None else use.value):
        # A law that knows no better place points to where the scenario demands it.
        yield replace(said, place=use.place) if isinstance(said, Finding) and said.place is None else said


def _guarded(name: str, place: Place | None, asked: _Said) -> _Said:
    try:
        yield from asked
    except Exception as error:  # noqa: BLE001  # a law may be anybody's code; what it raises is its answer
        text = f"{name} could not be judged: {type(error).__name__}: {error}"
        yield Finding(law=name, text=text, place=place, verdict=Verdict.UNKNOWN)

"""The simulated machine: one case, one client, one run; what the client saw, and when it tried again.

The idea: the attempts and the pauses between them are read from the run's own trace, in virtual time, so a client that
would sleep for months is measured in milliseconds. The constraint: every run is an ordinary ``run_once`` with an
ordinary function as its subject.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from itertools import pairwise

from simkit.checks.judge import laws
from simkit.contracts import Sim
from simkit.language.reader import loads
from simkit.model.duration import NS_PER_S
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.trace import Trace
from simkit.run import run_once
from tests.reactions.cases import IN_7_S, Case, scenario_text
from tests.reactions.cells import Reaction
from tests.reactions.faces import Asked, Face, Seen, Way

# The first second of every run.
_START_S = 1_767_225_600


def scenario_of(case: Case, dialect: str, start_s: float) -> Scenario:
    """Return the scenario of a case for one wire, which begins at this second since 1970."""
    date = formatdate(start_s + 7, usegmt=True)
    (only,) = loads(scenario_text(case.answers[dialect]).replace(IN_7_S, date), "case.sim.yaml", laws=laws())
    return only


def in_world(case: Case, face: Face, way: Way) -> Reaction:
    """Play a case to one client in a world."""
    seen = Seen()
    scenario = scenario_of(case, face.dialect, _START_S)
    trace = run_once(scenario, Plan(), subject=_subject(case, face, seen, way)).trace
    end = trace.of("run.end")[-1]
    assert end.get("reason") == "returned", f"{case.title}, {face.name}: {end.get('reason')}: {end.get('text')}"
    attempts = _attempts_s(trace)
    spent_s = case.timeout_s if case.late else 0
    waits = tuple(after - before - spent_s for before, after in pairwise(attempts))
    return Reaction(seen, waits, face.random_waits)


def _subject(case: Case, face: Face, seen: Seen, way: Way) -> Callable[[Sim], object]:
    async def asking(sim: Sim) -> None:
        await face.ask_async(Asked(sim.base_url(face.dialect), case.timeout_s), seen)

    def blocking(sim: Sim) -> None:
        face.ask(Asked(sim.base_url(face.dialect), case.timeout_s), seen)

    return asking if way == "async" else blocking


def _attempts_s(trace: Trace) -> list[float]:
    """Return when each attempt began: a request, or a connection that could not be made for one."""
    requests = trace.of("request")
    return [e.at_ns / NS_PER_S for e in requests or trace.of("connection.refused")]

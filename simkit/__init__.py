"""simkit: a deterministic simulation test kit for LLM-agent loops.

The idea: real, unmodified agent code runs inside a simulated machine (one virtual clock, one network in memory,
one scripted provider), so ninety seconds of stall cost no wall time and the same plan gives the same run. The
constraint of this file: importing it imports nothing else, since a pytest plugin loads it in repositories that
may never use it; every name below is fetched from its room when it is first asked for. A front door that
imports the house was refused for that.

The map of the house, upper floors first; imports go down only::

    cli, pytest_plugin      the faces
    conformance             the exams of strangers' laws
    testing                 what a test suite is given: tests in a world, cases that explore
    explore                 many plans: search, sweep, shrink, campaign
    run                     the only place where a world is built for a scenario and torn down
    provider, subjects      the scripted provider; who is under test
    kernel                  the machine: clock, world, loop, threads, network, TLS, wall clock, chance, fence
    checks, strategies, reporters, dialects, language
                            pure rooms: laws, choices, reports, wire formats, YAML
    extensions, contracts   how rooms and strangers' packages find each other
    model, errors           the nouns, and every exception
    agent                   a real agent loop, on nothing of the above
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from simkit.errors import (
        NotSimulatedError,
        RunEndedError,
        ScenarioError,
        SimkitError,
        SubjectError,
        UsageError,
    )
    from simkit.explore.failures import Failure
    from simkit.explore.search import Explored, explore
    from simkit.kernel.world import World, new_event_loop
    from simkit.model.plan import Plan
    from simkit.model.scenario import Scenario
    from simkit.model.trace import Event, Trace
    from simkit.model.verdict import Finding, Result, Verdict
    from simkit.run import load, run_scenario
    from simkit.testing.simulated import simulated

__version__: Final = "0.1.0"

# Public name -> its one home.
_HOMES: Final[dict[str, str]] = {
    "Event": "simkit.model.trace",
    "Explored": "simkit.explore.search",
    "Failure": "simkit.explore.failures",
    "Finding": "simkit.model.verdict",
    "NotSimulatedError": "simkit.errors",
    "Plan": "simkit.model.plan",
    "Result": "simkit.model.verdict",
    "RunEndedError": "simkit.errors",
    "Scenario": "simkit.model.scenario",
    "ScenarioError": "simkit.errors",
    "SimkitError": "simkit.errors",
    "SubjectError": "simkit.errors",
    "Trace": "simkit.model.trace",
    "UsageError": "simkit.errors",
    "Verdict": "simkit.model.verdict",
    "World": "simkit.kernel.world",
    # A room that can be called: once anybody has imported one of its files, its name here is the room.
    "explore": "simkit.explore",
    "load": "simkit.run",
    "new_event_loop": "simkit.kernel.world",
    "run_scenario": "simkit.run",
    "simulated": "simkit.testing.simulated",
}

__all__ = [  # the order of the table above
    "Event",
    "Explored",
    "Failure",
    "Finding",
    "NotSimulatedError",
    "Plan",
    "Result",
    "RunEndedError",
    "Scenario",
    "ScenarioError",
    "SimkitError",
    "SubjectError",
    "Trace",
    "UsageError",
    "Verdict",
    "World",
    "explore",
    "load",
    "new_event_loop",
    "run_scenario",
    "simulated",
]


def __getattr__(name: str) -> Any:
    """Fetch a public name from its room. Raises ``AttributeError`` for any other."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'simkit' has no attribute {name!r}")
    room = importlib.import_module(home)
    value = room if home == f"{__name__}.{name}" else getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""A world in a test of one's own, and a scenario that is played in it.

The idea: who calls his agent himself, with his own arguments and fixtures, gets from ``play`` the ``sim`` that the
subject of a scenario file gets, so the user, the provider, the tools and the hosts are those of the file. The
constraint: the script's times count from the beginning of a run, so it is played there or not at all; and what is
played is judged as if the file had been run, or its laws would pass because nobody asked. A fixture that patches the
user's client was refused: the network of a world lies below every client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from os import PathLike, fspath
from typing import Any

from simkit.checks.judge import judge
from simkit.errors import SimkitError, UsageError
from simkit.kernel.network import Network
from simkit.kernel.world import World
from simkit.model.duration import format_instant
from simkit.model.plan import Plan
from simkit.model.scenario import Limits, Scenario
from simkit.model.trace import Trace
from simkit.model.verdict import Result, Verdict
from simkit.reporters.text import failure
from simkit.run import load, pick, set_up
from simkit.subjects.sim import ScenarioSim


class PlayedError(SimkitError, AssertionError):
    """A scenario that was played in a test does not hold; carries the judged result. An ``AssertionError`` too."""

    def __init__(self, result: Result) -> None:
        self.result = result
        first = result.findings[0]
        # How it is run again is for the test to say: the file names another subject.
        report = failure(result).partition("\n")[2].rpartition("\n  Replay ")[0].rstrip()
        super().__init__(f"{first.law}: {first.text}\n\n{report}")


class PlayWorld:
    """The world of one test: of ``@simkit.simulated``, or one that the test runs itself.

    ``now``, ``trace`` and ``network`` are those of the world.
    """

    def __init__(self, world: World | None = None) -> None:
        self._world = World() if world is None else world
        self._scenario: Scenario | None = None

    @property
    def world(self) -> World:
        """The world itself."""
        return self._world

    @property
    def now(self) -> float:
        """Virtual seconds since the start of the run."""
        return self._world.now

    @property
    def trace(self) -> Trace:
        """What happened so far; after a run, the whole of it."""
        return self._world.trace

    @property
    def network(self) -> Network:
        """The network of the world."""
        return self._world.network

    @property
    def plan(self) -> Plan:
        """The plan that the run follows."""
        return self._world.taken

    def run(self, main: Callable[[], Any]) -> Any:
        """Run a coroutine function, or a function that may block, and return its result; then judge what was played.

        Raises what ``main`` raises, and ``PlayedError`` where a scenario that was played does not hold.
        """
        __tracebackhide__ = True
        return self.run_in(self._world, main)

    def run_in(self, world: World, main: Callable[[], Any]) -> Any:
        """Run it in another world, which is that of the test from now on."""
        __tracebackhide__ = True
        if self._world.running:
            raise UsageError("the world of this test is running already - call what is to run in it")
        self._world, self._scenario = world, None
        result = world.run(main)
        self._judge()
        return result

    def play(self, scenario: str | PathLike[str] | Scenario, row: str | None = None) -> ScenarioSim:
        """Play a scenario in the run that has just begun, and return what its subject would be given.

        ``row`` picks a row of its matrix. Settings are given as they stand there, since nobody says what they mean.
        """
        case = scenario if isinstance(scenario, Scenario) else pick(load(fspath(scenario)), row)
        world = self._world
        self._check(case)
        if case.limits != Limits():
            world.bound(horizon_ns=case.limits.time_ns, steps_max=case.limits.steps)
        sim = set_up(world, case, dict(case.settings))
        self._scenario = case
        # Outside a loop there is no task that a cancellation by the user could reach.
        with contextlib.suppress(RuntimeError):
            sim.user.attend(asyncio.current_task())
        return sim

    def _check(self, case: Scenario) -> None:
        if not self._world.running:
            raise UsageError(f"{case.name} cannot be played yet: call play in what runs in the world")
        if self._world.clock.now_ns:
            now = format_instant(self._world.clock.now_ns)
            raise UsageError(
                f"{case.name} cannot be played at {now}: its times count from the beginning - play it there"
            )
        if self._scenario is not None:
            raise UsageError(f"{case.name} cannot be played beside {self._scenario.name}: one run plays one scenario")
        if case.starts_ns != self._world.starts_ns:
            raise UsageError(f"{case.name} has `starts:`, and this clock shows another time already - leave it out")

    def _judge(self) -> None:
        __tracebackhide__ = True
        if self._scenario is None:
            return
        world, scenario = self._world, self._scenario
        result = Result(scenario=scenario, plan=world.taken, trace=world.trace, judgement=judge(scenario, world.trace))
        if result.verdict is not Verdict.PASS:
            raise PlayedError(result)

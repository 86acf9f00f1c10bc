"""What a subject is given: the user's messages, the scenario's tools, its settings, and where the provider is.

The idea: everything a subject touches is either the real thing on the simulated machine or an object of this
room. The constraint: tools and users suspend at least once before they answer, because a world of zero latency
hides the races that production has. Fixtures that return at once were refused for that reason.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from simkit.kernel.loop import settle
from simkit.model.duration import FOREVER

if TYPE_CHECKING:
    from simkit.contracts import SimTool
    from simkit.kernel.loop import SimEventLoop
    from simkit.kernel.world import World
    from simkit.model.scenario import Scenario, ToolSpec, UserSays

_ANY_OBJECT: Mapping[str, object] = MappingProxyType({"type": "object", "properties": {}, "additionalProperties": True})


class ScenarioSim:
    """The ``sim`` of one run; see ``simkit.contracts.Sim``."""

    def __init__(
        self, world: World, scenario: Scenario, settings: Mapping[str, object], base_url: Callable[[str], str]
    ) -> None:
        self._record = world.recorder.record
        self._turns = 0
        self.settings = settings
        self.user = ScenarioUser(world, scenario.user)
        self.tools: Mapping[str, SimTool] = {
            name: ScenarioTool(world, spec, self._next_run) for name, spec in scenario.tools.items()
        }
        self.base_url = base_url
        self._runs = 0
        # What the subject reported; a plain function that only returns a text has this done for it.
        self.spoke = False

    def _next_run(self) -> int:
        self._runs += 1
        return self._runs

    def turn_started(self, text: str) -> None:
        """Record that the subject took up a message."""
        self._turns += 1
        self._record("subject", "turn.start", turn=self._turns, text=text)

    def said(self, text: str) -> None:
        """Record what the subject showed to the user."""
        self.spoke = True
        self._record("subject", "said", text=text)

    def turn_ended(self, outcome: str, text: str = "") -> None:
        """Record how the turn ended."""
        self.spoke = True
        self._record("subject", "turn.end", turn=self._turns, outcome=outcome, text=text)

    def note(self, name: str, **values: object) -> None:
        """Record a fact that only the subject knows."""
        self._record("subject", "note", **{**values, "name": name})


class ScenarioUser:
    """The user: speaks at the scenario's instants whether or not the subject is listening."""

    def __init__(self, world: World, says: tuple[UserSays, ...]) -> None:
        self._world = world
        self._to_come = len(says)
        self._spoken: deque[str] = deque()
        self._wake: Callable[[], object] | None = None
        for message in says:
            world.call_at_ns(
                message.at_ns,
                lambda m=message: self._speak(m),  # type: ignore[misc]  # bound now
                # What one user says keeps its order.
                lane=self,
                label="the user's message",
            )

    def _speak(self, message: UserSays) -> None:
        line = message.place.line if message.place else None
        self._world.recorder.record("user", "user.says", text=message.text, line=line)
        self._to_come -= 1
        self._spoken.append(message.text)
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake()

    # Iterators and not generators: a subject that stops listening leaves nothing behind that has to be closed.
    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if not self._spoken and not self._to_come:
            raise StopAsyncIteration
        if not self._spoken:
            await self._message_in_loop()
        return self._spoken.popleft()

    async def _message_in_loop(self) -> None:
        loop = asyncio.get_running_loop()
        spoken = loop.create_future()
        self._wake = lambda: loop.call_soon_threadsafe(settle, spoken)
        await spoken

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._spoken and not self._to_come:
            raise StopIteration
        if not self._spoken:
            self._message_in_thread()
        return self._spoken.popleft()

    def _message_in_thread(self) -> None:
        threads = self._world.threads
        me = threads.here()
        assert me is not None, "sim.user is read in a thread from outside the world"
        self._wake = lambda: threads.wake(me)
        threads.block(me, None, "the user's next message")


class ScenarioTool:
    """A tool of the scenario: takes its virtual time, then returns or raises what the scenario says."""

    def __init__(self, world: World, spec: ToolSpec, next_run: Callable[[], int]) -> None:
        self.name = spec.name
        self.description = f"The tool {spec.name} of the scenario."
        self.schema = _ANY_OBJECT
        self._world = world
        self._record = world.recorder.record
        self._spec = spec
        self._next_run = next_run

    async def __call__(self, **arguments: object) -> object:
        """Run in virtual time. Raises ``RuntimeError`` with the scenario's text where it says that the tool raises."""
        run, spec = self._next_run(), self._spec
        self._record("tool", "tool.start", run=run, tool=spec.name, args=copy.deepcopy(arguments))
        try:
            await self._work(f"run {run} of {spec.name}")
        except asyncio.CancelledError:
            self._record("tool", "tool.end", run=run, tool=spec.name, outcome="cancelled", result=None)
            raise
        if spec.raises is not None:
            self._record("tool", "tool.end", run=run, tool=spec.name, outcome="error", result=spec.raises)
            raise RuntimeError(spec.raises)
        self._record("tool", "tool.end", run=run, tool=spec.name, outcome="ok", result=spec.returns)
        # A copy: what the subject does to it must reach neither the trace nor the next run.
        return copy.deepcopy(spec.returns)

    async def _work(self, label: str) -> None:
        """Let the tool's time pass, suspending at least once.

        Its end is an event from outside and no timer of the loop: production's tools end in a process or on a host.
        """
        world, loop = self._world, cast("SimEventLoop", asyncio.get_running_loop())
        takes_ns = self._spec.takes_ns
        if takes_ns == 0:
            await asyncio.sleep(0)
        elif takes_ns >= FOREVER:
            await loop.create_future()
        else:
            done = loop.create_future()
            event = world.call_later_ns(takes_ns, lambda: loop.deliver(settle, done), label=label)
            try:
                await done
            finally:
                event.cancel()
        if world.choices.choose("suspend", 2, lambda _: f"{label} suspends once more"):
            await asyncio.sleep(0)

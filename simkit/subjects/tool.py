"""A tool of the scenario: takes its virtual time, then returns, fails or raises what the scenario says.

The idea: one tool serves coroutines and blocking code, and its end is an event from outside in both. The constraint:
it suspends at least once before it answers, because a world of zero latency hides the races that production has; and
a cancellation is met as the scenario says - at once, late, or not at all. A ready-made result was refused for the
first reason, and a mock of the agent's own tool class because every framework has another one.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from simkit.kernel.loop import settle
from simkit.model.duration import FOREVER

if TYPE_CHECKING:
    from simkit.kernel.loop import SimEventLoop
    from simkit.kernel.world import World
    from simkit.model.scenario import RaisedType, ToolSpec

_ANY_OBJECT: Mapping[str, object] = MappingProxyType({"type": "object", "properties": {}, "additionalProperties": True})


# What a tool raises that a plan lets fail.
_FAULT: Final = "the tool failed (a fault of the plan)"

_RAISED: Mapping[RaisedType, type[BaseException]] = MappingProxyType(
    {
        "RuntimeError": RuntimeError,
        "TimeoutError": TimeoutError,
        "CancelledError": asyncio.CancelledError,
        "SystemExit": SystemExit,
    }
)


def _raised(spec: ToolSpec) -> BaseException:
    # Without a text also without an argument, as production raises a cancellation.
    return _RAISED[spec.raises_as or "RuntimeError"](*(() if spec.raises is None else (spec.raises,)))


class ScenarioTool:
    """See ``simkit.contracts.SimTool``."""

    def __init__(self, world: World, spec: ToolSpec, next_run: Callable[[], int]) -> None:
        self.name = spec.name
        self.description = f"The tool {spec.name} of the scenario."
        self.schema = _ANY_OBJECT
        self._world = world
        self._record = world.recorder.record
        self._spec = spec
        self._next_run = next_run

    def __call__(self, **arguments: object) -> object:
        """Run in virtual time: a coroutine where a loop is running, and the result itself where none is.

        Raises the scenario's error where it says that the tool raises: a ``RuntimeError``, or the type that it names.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._run_blocking(arguments)
        return self._run(arguments)

    async def _run(self, arguments: Mapping[str, object]) -> object:
        if self._spec.blocks:
            return self._run_blocking(arguments)
        run = self._begin(arguments)
        try:
            await self._fail(run, "start")
            await self._work(f"run {run} of {self.name}")
            await self._fail(run, "end")
        except asyncio.CancelledError:
            self._end(run, "cancelled", None)
            raise
        return self._conclude(run)

    def _run_blocking(self, arguments: Mapping[str, object]) -> object:
        run = self._begin(arguments)
        self._fail_blocking(run, "start")
        self._sleep(f"run {run} of {self.name}")
        self._fail_blocking(run, "end")
        return self._conclude(run)

    # -- faults of the plan ------------------------------------------------------------------------------------------
    def _fault(self, run: int, when: str) -> str:
        strikes = self._world.strikes
        fault = strikes.at(f"tool{run}.{when}") if strikes.asked else ""
        if fault == "tool_raises":
            self._end(run, "error", _FAULT)
            raise RuntimeError(_FAULT)
        return fault

    async def _fail(self, run: int, when: str) -> None:
        if self._fault(run, when) == "tool_hangs":
            await asyncio.get_running_loop().create_future()

    def _fail_blocking(self, run: int, when: str) -> None:
        if self._fault(run, when) == "tool_hangs":
            threads = self._world.threads
            me = threads.here()
            assert me is not None, "a tool runs in a thread from outside the world"
            threads.block(me, None, f"run {run} of {self.name}, which hangs")

    # -- what stands in the trace ------------------------------------------------------------------------------------
    def _begin(self, arguments: Mapping[str, object]) -> int:
        run = self._next_run()
        self._record("tool", "tool.start", run=run, tool=self.name, args=copy.deepcopy(arguments))
        return run

    def _conclude(self, run: int) -> object:
        spec = self._spec
        if spec.side_effect is not None:
            self._record("tool", "tool.effect", run=run, tool=self.name, text=spec.side_effect)
        if spec.raises is not None or spec.raises_as is not None:
            self._end(run, "error", spec.raises if spec.raises is not None else spec.raises_as)
            raise _raised(spec)
        result = spec.returns if spec.fails is None else {"success": False, "error": spec.fails}
        self._end(run, "ok", result)
        # A copy: what the subject does to it must reach neither the trace nor the next run.
        return copy.deepcopy(result)

    def _end(self, run: int, outcome: str, result: object) -> None:
        self._record("tool", "tool.end", run=run, tool=self.name, outcome=outcome, result=result)

    # -- time ----------------------------------------------------------------------------------------------------------
    async def _work(self, label: str) -> None:
        until_ns = self._world.clock.now_ns + self._spec.takes_ns
        await self._bear(self._pass(self._spec.takes_ns, label), until_ns, label)
        if self._world.choices.choose("suspend", 2, lambda _: f"{label} suspends once more"):
            await self._bear(asyncio.sleep(0), until_ns, label)

    async def _bear(self, work: Coroutine[object, object, None], until_ns: int, label: str) -> None:
        """Do a piece of work; a cancellation is ignored, or obeyed after a while, as the scenario says."""
        try:
            await work
        except asyncio.CancelledError:
            if self._spec.ignores_cancel:
                # However often it comes: what is left of the time still passes.
                left_ns = max(0, until_ns - self._world.clock.now_ns)
                await self._bear(self._pass(left_ns, label), until_ns, label)
                return
            if self._spec.cancel_takes_ns:
                await self._pass(self._spec.cancel_takes_ns, f"the cleaning up of {label}")
            raise

    async def _pass(self, ns: int, label: str) -> None:
        """Let time pass, suspending at least once.

        Its end is an event from outside and no timer of the loop: production's tools end in a process or on a host.
        """
        world, loop = self._world, cast("SimEventLoop", asyncio.get_running_loop())
        if ns == 0:
            await asyncio.sleep(0)
        elif ns >= FOREVER:
            await loop.create_future()
        else:
            done = loop.create_future()
            event = world.call_later_ns(ns, lambda: loop.deliver(settle, done), label=label)
            try:
                await done
            finally:
                event.cancel()

    def _sleep(self, label: str) -> None:
        """Let the tool's time pass in a thread, or in the loop that it blocks."""
        threads, ns = self._world.threads, self._spec.takes_ns
        me = threads.here()
        assert me is not None, f"{label} is called in a thread from outside the world"
        if ns == 0:
            threads.offer(me)
        elif ns >= FOREVER:
            threads.block(me, None, label)
        else:
            self._world.call_later_ns(ns, lambda: threads.wake(me), label=label)
            threads.block(me, None, label)

"""Tools, and the round in which the calls of one answer run side by side.

The idea: a round has one slot for each call, and however it ends - results, exceptions, unknown names, bad
arguments, cancellation - every slot holds exactly one result, in the order of the calls. The constraint it
protects: a call without a result makes the history invalid for ever, so no path may leave one out.
``asyncio.TaskGroup`` was refused: the first failure cancels the siblings, whose side effects have begun.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from simkit.agent.facts import Observe
from simkit.agent.history import Call, ToolResult


class Tool(Protocol):
    """Something that the model may call. ``schema`` is the JSON schema of its arguments, an object."""

    @property
    def name(self) -> str:
        """The name that the model calls it by."""
        ...

    @property
    def description(self) -> str:
        """What it does, for the model."""
        ...

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON schema of its arguments."""
        ...

    def __call__(self, **arguments: object) -> Awaitable[object]:
        """Run it. A result that is not text must be JSON; what it raises becomes an error result."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A coroutine function as a tool."""

    name: str
    description: str
    schema: Mapping[str, object]
    run: Callable[..., Awaitable[object]]

    def __call__(self, **arguments: object) -> Awaitable[object]:
        """Call the function."""
        return self.run(**arguments)


class Round:
    """The calls of one answer, each run once."""

    def __init__(self, calls: Sequence[Call], tools: Mapping[str, Tool], observe: Observe) -> None:
        self.calls = tuple(calls)
        self.tools = tools
        self.observe = observe
        self._settled: dict[int, ToolResult] = {}

    async def run(self) -> None:
        """Run all calls at once and wait until each has ended, also when the round itself is cancelled."""
        tasks = [
            asyncio.create_task(self._fill(slot, call), name=f"tool {call.name} {call.id}")
            for slot, call in enumerate(self.calls)
        ]
        # Gathered with exceptions, it comes back only when every task has ended, also after a cancellation.
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            # Tools' exceptions are results by now: what is left is meant to end the program, not the call.
            if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError):
                raise end

    def results(self) -> tuple[ToolResult, ...]:
        """Return one result for each call, in order; a call that did not come to an end was cancelled."""
        return tuple(
            self._settled.get(slot) or _error(call, "cancelled before it ended") for slot, call in enumerate(self.calls)
        )

    async def settle(self, call: Call) -> ToolResult:
        """Return the one result of this call; never raises an ``Exception``."""
        refusal = self._refusal(call)
        if refusal:
            self.observe("tool_refused", tool=call.name, call=call.id, why=refusal)
            return _error(call, refusal)
        try:
            value = await self.tools[call.name](**call.arguments)
            return ToolResult(call.id, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        except Exception as error:  # noqa: BLE001  # whatever a tool raises, the model is told and the turn goes on
            text = f"{type(error).__name__}: {error}"
            self.observe("tool_failed", tool=call.name, call=call.id, error=text)
            return _error(call, text)

    async def _fill(self, slot: int, call: Call) -> None:
        self._settled[slot] = await self.settle(call)

    def _refusal(self, call: Call) -> str:
        if call.name not in self.tools:
            return f"there is no tool {call.name!r}, only: {', '.join(self.tools) or 'none'}"
        return call.fault


def _error(call: Call, text: str) -> ToolResult:
    return ToolResult(call.id, json.dumps({"error": text}, ensure_ascii=False), is_error=True)

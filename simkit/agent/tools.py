"""Tools, and the round in which the calls of one answer run side by side.

The idea: a round has one slot for each call, and however it ends - results, exceptions, unknown names, bad
arguments, cancellation - every slot holds exactly one result, in the order of the calls. The constraint it
protects: a call without a result makes the history invalid for ever, so no path may leave one out.
``asyncio.TaskGroup`` was refused: the first failure cancels the siblings, whose side effects have begun.

The calls themselves run in the session's registry, which parks those that use up their budget: then the slot holds
the news of that.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from simkit.agent.budgets import DEFAULT, Budget, budget_of, error_reply
from simkit.agent.decisions import Limits
from simkit.agent.facts import Observe
from simkit.agent.history import Call, ToolResult
from simkit.agent.registry import Registry

# A round of its own parks nothing: nobody would come back for it.
_NOTHING_PARKED: Final = Limits(background_cap=0)


class Tool(Protocol):
    """Something that the model may call. ``schema`` is the JSON schema of its arguments, an object.

    It may also say what it may take; see ``budgets.budget_of``.
    """

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
        """Run it. A result that is no text and no ``Reply`` must be JSON; what it raises becomes an error result."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A coroutine function as a tool, with a budget in seconds, none, or the session's."""

    name: str
    description: str
    schema: Mapping[str, object]
    run: Callable[..., Awaitable[object]]
    timeout_s: Budget = DEFAULT
    manages_itself: bool = False

    def __call__(self, **arguments: object) -> Awaitable[object]:
        """Call the function."""
        return self.run(**arguments)


class Round:
    """The calls of one answer, each run once; without a ``registry``, each runs to its end."""

    def __init__(
        self, calls: Sequence[Call], tools: Mapping[str, Tool], observe: Observe, registry: Registry | None = None
    ) -> None:
        self.calls = tuple(calls)
        self.tools = tools
        self.observe = observe
        self.registry = registry or Registry(_NOTHING_PARKED, observe)
        self._settled: dict[int, ToolResult] = {}

    async def run(self) -> None:
        """Run all calls at once and wait until each has a result, also when the round itself is cancelled."""
        works = [(f"call {call.name} {call.id}", self._fill(slot, call)) for slot, call in enumerate(self.calls)]
        for end in await self.registry.driver.side_by_side(works):
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
        tool = self.tools[call.name]
        budget_s = budget_of(tool, self.registry.limits.tool_budget_s)
        reply = await self.registry.run(call, functools.partial(tool, **call.arguments), budget_s)
        return ToolResult(call.id, reply.text, reply.is_error)

    async def _fill(self, slot: int, call: Call) -> None:
        self._settled[slot] = await self.settle(call)

    def _refusal(self, call: Call) -> str:
        if call.name not in self.tools:
            return f"there is no tool {call.name!r}, only: {', '.join(self.tools) or 'none'}"
        return call.fault


def _error(call: Call, text: str) -> ToolResult:
    reply = error_reply(text)
    return ToolResult(call.id, reply.text, reply.is_error)

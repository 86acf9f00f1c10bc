"""A session: one conversation with one client, from the first message to the closing of its connections.

The idea: ``send`` plays a turn and tells how it ended; the session owns what outlives a turn: the client, the
history, and the registry with the tool calls that went to the background. The constraint it protects: one turn at
a time, because two would write into one history, and after ``aclose`` nothing is left open and no tool runs.
Opening a client for each turn was refused: it throws the connection pool away. So was ending parked calls with
their turn: the model holds their ids, and asks for them in the next one.

    async with Session(client, tools=[read_file]) as session:
        turn = await session.send("What does the readme say?")
        print(turn.outcome, turn.text)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from types import TracebackType

from simkit.agent.budgets import budget_of
from simkit.agent.check import CHECK_TOOL, CheckTool
from simkit.agent.clients import Client
from simkit.agent.decisions import Limits
from simkit.agent.facts import Observe, unobserved
from simkit.agent.history import Item
from simkit.agent.loop import Loop, Turn
from simkit.agent.registry import Registry
from simkit.agent.tools import Tool

# The defaults of a session: frozen, so one value serves all.
_LIMITS = Limits()


class Session:
    """A conversation. Use it as an async context manager, or call ``aclose``; it closes its clients too.

    ``fallback`` is asked in the rest of a turn in which ``client`` gave no answer: usually another model.
    Each session has a registry of its own, also that of a sub-agent that runs inside a tool. ``loop_class`` and
    ``registry_class`` are the doors for a loop or a registry with another seam (see ``loop`` and ``registry``).
    """

    def __init__(
        self,
        client: Client,
        *,
        tools: Iterable[Tool] = (),
        limits: Limits = _LIMITS,
        system: str = "",
        observe: Observe = unobserved,
        dry_run: bool = False,
        fallback: Client | None = None,
        loop_class: type[Loop] = Loop,
        registry_class: Callable[..., Registry] = Registry,
    ) -> None:
        self.registry = registry_class(limits, observe, dry_run=dry_run)
        self._clients = [client] if fallback is None else [client, fallback]
        self._observe = observe
        self._loop = loop_class(
            client,
            tools=_named(tools, self.registry),
            registry=self.registry,
            limits=limits,
            system=system,
            observe=observe,
            fallback=fallback,
        )
        self._busy = False
        self._closed = False

    @property
    def history(self) -> tuple[Item, ...]:
        """The conversation so far: at every moment one that a provider accepts."""
        return self._loop.history.items

    async def send(self, text: str) -> Turn:
        """Play one turn. Raises ``RuntimeError`` while another one runs and after ``aclose``.

        A cancelled turn leaves the history as it was when it stopped, and the next one goes on from there.
        """
        if self._closed or self._busy:
            state = "closed" if self._closed else "still busy with another turn"
            raise RuntimeError(f"the session is {state}, so {text!r} cannot be sent")
        self._busy = True
        self._observe("turn_started", text=text)
        try:
            turn = await self._loop.play(text)
        except asyncio.CancelledError:
            self._observe("turn_ended", outcome="cancelled", text="", reason="")
            raise
        finally:
            self._busy = False
        self._observe("turn_ended", outcome=turn.outcome, text=turn.text, reason=turn.reason)
        return turn

    async def aclose(self) -> None:
        """End every tool call, also of a turn that is being played, and close the client.

        What would not stop is told as the fact ``unstoppable``. Further calls only ask that again.
        """
        first, self._closed = not self._closed, True
        try:
            await self.registry.aclose()
        finally:
            if first:
                await self._close_clients()

    async def _close_clients(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for client in self._clients:
                stack.push_async_callback(client.aclose)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _named(tools: Iterable[Tool], registry: Registry) -> dict[str, Tool]:
    """Return the tools by name, with the one that asks for parked calls where a call may be parked."""
    named = {tool.name: tool for tool in tools}
    if CHECK_TOOL in named:
        raise ValueError(f"a tool is called {CHECK_TOOL!r}, which is the session's own - give yours another name")
    limits = registry.limits
    if limits.background_cap and any(budget_of(tool, limits.tool_budget_s) is not None for tool in named.values()):
        named[CHECK_TOOL] = CheckTool(registry)
    return named

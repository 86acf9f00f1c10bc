"""A session: one conversation with one client, from the first message to the closing of its connections.

The idea: ``send`` plays a turn and tells how it ended; the session owns what outlives a turn. The constraint
it protects: one turn at a time, because two would write into one history, and after ``aclose`` nothing is
left open. Opening a client for each turn was refused: it throws the connection pool away.

    async with Session(client, tools=[read_file]) as session:
        turn = await session.send("What does the readme say?")
        print(turn.outcome, turn.text)
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType

from simkit.agent.clients import Client
from simkit.agent.decisions import Limits
from simkit.agent.facts import Observe, unobserved
from simkit.agent.history import Item
from simkit.agent.loop import Loop, Turn
from simkit.agent.tools import Tool

# The defaults of a session: frozen, so one value serves all.
_LIMITS = Limits()


class Session:
    """A conversation. Use it as an async context manager, or call ``aclose``; it closes its client too.

    ``loop_class`` is the door for a loop with another seam (see ``loop``).
    """

    def __init__(
        self,
        client: Client,
        *,
        tools: Iterable[Tool] = (),
        limits: Limits = _LIMITS,
        system: str = "",
        observe: Observe = unobserved,
        loop_class: type[Loop] = Loop,
    ) -> None:
        named = {tool.name: tool for tool in tools}
        self._client = client
        self._observe = observe
        self._loop = loop_class(client, tools=named, limits=limits, system=system, observe=observe)
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
        """Close the client. Further calls do nothing."""
        if not self._closed:
            self._closed = True
            await self._client.aclose()

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

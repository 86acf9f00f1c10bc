"""simkit's own agent as a web server runs it: many conversations in one process, each streamed by a generator.

The idea: every message of the user opens a conversation of its own, whose answer comes out of an async generator that
holds the session open, for the reader may ask for more. A user who cancels hangs up on the conversation that has been
open the longest: its generator is dropped where it stands, as frameworks do it, and asyncio closes it in a task of its
own. The constraint it protects: who hangs up on one conversation ends that one and no other, and a session may be
closed by a task that did not open it. Several conversations as a setting of ``agent`` were refused: a cancellation
means another thing here, and one subject should not have two meanings of it.

It is no built-in: a scenario names it ``simkit.subjects.agent_streamed:AGENT_STREAMED``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from simkit.agent.session import Session
from simkit.contracts import Sim, Subject
from simkit.subjects.agent import AGENT, session_of

Stream = AsyncGenerator[str, None]


async def run(sim: Sim) -> None:
    """Answer every message in a conversation of its own; those that nobody hung up on are closed at the end."""
    readers = _Readers()
    sim.on_cancel(readers.hang_up)
    async for text in sim.user:
        await readers.answer(_stream(session_of(sim), text))
    await readers.close()


class _Readers:
    """Those who read: conversations that stay open, and the one that is just being answered."""

    def __init__(self) -> None:
        self._open: deque[Stream] = deque()
        self._answering: asyncio.Task[str] | None = None

    async def answer(self, stream: Stream) -> None:
        """Have the answer come; a conversation that was hung up on meanwhile is over."""
        self._answering = asyncio.create_task(anext(stream), name="answer")
        await asyncio.wait([self._answering])
        answered, self._answering = self._answering, None
        if not answered.cancelled():
            answered.result()
            self._open.append(stream)

    def hang_up(self) -> None:
        """Drop the conversation that has been open the longest."""
        if self._open:
            self._open.popleft()
        elif self._answering is not None:
            self._answering.cancel()

    async def close(self) -> None:
        """End all that nobody hung up on."""
        while self._open:
            await self._open.popleft().aclose()


async def _stream(session: Session, text: str) -> Stream:
    """Yield the answer, and keep the session for as long as somebody may read on."""
    async with session:
        yield (await session.send(text)).text


AGENT_STREAMED: Final = Subject(name="agent-streamed", start=run, settings=AGENT.settings, imports=AGENT.imports)

"""Faults of a turn's course: what is sent again or slept through, whom a tool takes down, and what is left behind.

The idea: as in ``flawed_loop`` and ``flawed_client``, each class takes back one thing that the sound agent does, as a
published agent did it. The constraint: the fault is in how a turn goes on, so its answers are read, and its requests
written, by the sound parts. Faults that only a scripted client could show were refused: the provider has to see them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from simkit.agent.clients import Client, ClientOptions, RefusedError, Request, UnavailableError, Watch
from simkit.agent.continuation import is_cut
from simkit.agent.history import Call, Opaque, ToolResult
from simkit.agent.loop import Loop, Turn
from simkit.agent.stream import Answer, Assembly, Finish, Piece
from simkit.agent.tools import Round
from simkit.subjects.flawed_client import WrappedClient

# Hardly a wait at all, and yet one: an answer in the simulation takes no time, so without any no time would pass.
_HASTY_S: Final = 0.01


# -- what is sent again ----------------------------------------------------------------------------------------------
class StartOverAfterCut(Loop):
    """A cut answer is asked for anew from its start, behind what the user has been shown of it."""

    async def read(self) -> Answer:
        """Send the same request until an answer comes whole, and join all that came."""
        answer = await super().read()
        while is_cut(answer):
            again = await super().read()
            answer = replace(again, text=answer.text + again.text)
        return answer


class SleepThroughAnyWait(WrappedClient):
    """Waits for as long as the provider asks, be it an hour."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Try twice, and sleep in between."""
        try:
            async with aclosing(self.sound.stream(request, watch)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        except UnavailableError as error:
            await asyncio.sleep(error.wait_s or 0.0)
        async with aclosing(self.sound.stream(request, watch)) as pieces:
            async for piece in pieces:
                yield piece


class RepeatRefused(WrappedClient):
    """Sends a request that the provider will not have again, and again."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Try until the provider gives in."""
        refused = True
        while refused:
            try:
                async with aclosing(self.sound.stream(request, watch)) as pieces:
                    async for piece in pieces:
                        yield piece
                refused = False
            except RefusedError:
                await asyncio.sleep(_HASTY_S)


class SwallowFirstError(Loop):
    """Where another model was asked too, only its error is told."""

    async def play(self, text: str) -> Turn:
        """Play the turn, and forget how it began."""
        turn = await super().play(text)
        return replace(turn, reason=turn.reason.partition(" - from the other model")[0])


# -- what does not go back -------------------------------------------------------------------------------------------
class PauseIsStop(Assembly):
    """An answer that the provider has paused counts as one that is over."""

    def add(self, piece: Piece) -> bool:
        """Take a piece in; a pause as a stop."""
        return super().add(Finish("stop") if piece == Finish("pause") else piece)


class DropSignatures(Assembly):
    """What only its own wire understands is no part of the answer."""

    def add(self, piece: Piece) -> bool:
        """Take a piece in, unless nobody can read it."""
        return isinstance(piece, Opaque) or super().add(piece)


class LeaveCancelledUnanswered(WrappedClient):
    """A call that was cancelled stands in the history without a result."""

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request without the results that say so."""
        kept = tuple(i for i in request.items if not (isinstance(i, ToolResult) and "cancelled before" in i.text))
        return self.sound.stream(replace(request, items=kept), watch)


# -- whom a tool takes down ------------------------------------------------------------------------------------------
class UnknownToolRaises(Loop):
    """A call of a tool that does not exist is an error of the program."""

    def round(self, calls: Sequence[Call]) -> Round:
        """Return a round that looks tools up, and no further."""
        return RoundOfKnownTools(calls, self.tools, self.observe, self.registry)


class RoundOfKnownTools(Round):
    """Takes it that the model calls tools by their names."""

    async def settle(self, call: Call) -> ToolResult:
        """Return the result. Raises ``KeyError`` where there is no such tool."""
        return await super().settle(replace(call, name=self.tools[call.name].name))


# -- what is left behind ---------------------------------------------------------------------------------------------
class NewClientEachRequest(WrappedClient):
    """Makes a client for every request, and keeps them all until the session ends."""

    def __init__(self, connect: Callable[[ClientOptions], Client], options: ClientOptions) -> None:
        super().__init__(connect(options))
        self.connect = connect
        self.options = options
        self.made = [self.sound]

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Ask by a new client, on a connection of its own."""
        self.sound = self.connect(self.options)
        self.made.append(self.sound)
        return self.sound.stream(request, watch)

    async def aclose(self) -> None:
        """Close every one of them."""
        for client in self.made:
            await client.aclose()

"""Faults of the client: of what is sent, how often, and of who still reads when nobody listens any more.

The idea: a faulty client wraps a sound one and changes one of its methods, so every wire has the fault. The
constraint: the real SDK is underneath, and what the provider sees are its requests. A faulty adapter for each wire was
refused: it would have to be kept in step with the sound one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from simkit.agent.clients import (
    BrokenStreamError,
    Client,
    LostAnswerError,
    NoResumeError,
    ProviderError,
    Request,
    UnavailableError,
    Watch,
)
from simkit.agent.history import ToolResult
from simkit.agent.stream import Piece, Token


class WrappedClient:
    """A client that passes everything on to a sound one; the faults below change one of its methods."""

    def __init__(self, sound: Client) -> None:
        self.sound = sound

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Pass the request on."""
        return self.sound.stream(request, watch)

    async def cancel(self, token: Token) -> None:
        """Pass the cancellation on."""
        await self.sound.cancel(token)

    async def aclose(self) -> None:
        """Close the sound client."""
        await self.sound.aclose()


class LoseParallelResult(WrappedClient):
    """When several calls ran side by side, the last result is not sent back."""

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request without every result that directly follows another one."""
        items = request.items
        kept = tuple(
            item
            for before, item in zip((None, *items), items, strict=False)
            if not (isinstance(before, ToolResult) and isinstance(item, ToolResult))
        )
        return self.sound.stream(replace(request, items=kept), watch)


class OwnRetries(WrappedClient):
    """Tries again by itself, instead of leaving that to the SDK; how it waits is the fault."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Try three times."""
        for left in (2, 1, 0):
            try:
                async with aclosing(self.sound.stream(request, watch)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except UnavailableError as error:
                if not left:
                    raise
                self.pause(error)

    def pause(self, error: UnavailableError) -> None:
        """Wait before the next attempt."""


class IgnoreRetryAfter(OwnRetries):
    """Retries at once, whatever the provider asked for."""


class BlockWhileWaiting(OwnRetries):
    """Waits as long as the provider asked for, in a sleep that is for code without an event loop."""

    def pause(self, error: UnavailableError) -> None:
        """Put the thread of the event loop to sleep."""
        time.sleep(error.wait_s or 1.0)


class LeaveReaderRunning(WrappedClient):
    """A task of its own reads each stream, and nobody ends it when its reader has gone."""

    def __init__(self, sound: Client) -> None:
        super().__init__(sound)
        self.readers: list[asyncio.Task[None]] = []

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Yield what the reading task puts into a queue."""
        queue: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()
        reading = self._read(request, watch, queue)
        self.readers.append(asyncio.create_task(reading, name="stream reader"))
        while (piece := await queue.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        """Leave the connections open where a reader still uses them."""
        if all(reader.done() for reader in self.readers):
            await self.sound.aclose()

    async def _read(self, request: Request, watch: Watch, queue: asyncio.Queue[Piece | Exception | None]) -> None:
        try:
            async with aclosing(self.sound.stream(request, watch)) as pieces:
                async for piece in pieces:
                    queue.put_nowait(piece)
            queue.put_nowait(None)
        except Exception as error:  # noqa: BLE001  # whatever it is, the consumer's side raises it
            queue.put_nowait(error)


class LeakStreamErrors(WrappedClient):
    """What the HTTP library raises within a stream is passed on as it is."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Yield what comes, and raise what the loop knows nothing of."""
        try:
            async with aclosing(self.sound.stream(request, watch)) as pieces:
                async for piece in pieces:
                    yield piece
        except BrokenStreamError as error:
            raise (error.__cause__ or error) from None


# -- answers that run on at the provider -----------------------------------------------------------------------------
class ResumeFromStart(WrappedClient):
    """Takes a broken stream up without a cursor."""

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Ask for the answer by its id alone."""
        token = request.token
        without = None if token is None else {name: token[name] for name in token if name != "sequence_number"}
        return self.sound.stream(replace(request, token=without), watch)


class AskAnewWhenWindowClosed(WrappedClient):
    """Sends the request once more when the stream of its answer cannot be resumed."""

    gone: type[ProviderError] = NoResumeError

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Yield what comes of this answer, or else of a new one."""
        try:
            async with aclosing(self.sound.stream(request, watch)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        except self.gone:
            anew = replace(request, token=None)
        async with aclosing(self.sound.stream(anew, watch)) as pieces:
            async for piece in pieces:
                yield piece


class AskAnewWhenExpired(AskAnewWhenWindowClosed):
    """Sends the request once more when nothing is known of its answer any more."""

    gone = LostAnswerError


class LeaveAnswerRunning(WrappedClient):
    """Gives an answer up without a word to the provider."""

    async def cancel(self, token: Token) -> None:
        """Tell nobody."""

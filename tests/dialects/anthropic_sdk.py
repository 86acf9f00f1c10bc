"""The official anthropic SDK over bytes that a test gives: the judge of what the dialect sends.

One client of each kind for all tests of a file, because making one costs more than a whole test; what it is answered
is a plain field.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final

import anthropic
import httpx2
from anthropic.types import Message, MessageParam, RawMessageStreamEvent

from simkit.contracts import CompletionRequest
from simkit.dialects.anthropic_messages import ANTHROPIC
from simkit.model.timeline import Step, StreamReply

MODEL: Final = "claude-test"
HELLO: Final[list[MessageParam]] = [{"role": "user", "content": "hello"}]


def ask(**options: object) -> CompletionRequest:
    body = {"model": MODEL, "max_tokens": 64, "messages": HELLO, **options}
    return CompletionRequest(model=MODEL, stream=True, body=body)


def bodies(*steps: Step, request: CompletionRequest | None = None) -> list[bytes]:
    frames = ANTHROPIC.stream(StreamReply(steps=steps), request or ask(), number=1, created=0)
    return [data for frame in frames for data in [frame.data] * frame.times]


def whole_body(*steps: Step, request: CompletionRequest | None = None) -> bytes:
    return ANTHROPIC.whole(StreamReply(steps=steps), request or ask(), number=1, created=0)


class Sdk:
    """Both clients, answering every request with ``pieces``, each piece read by itself."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.status = 200
        self.headers: Mapping[str, str] = {"content-type": "text/event-stream; charset=utf-8"}
        self.asked: list[httpx2.Request] = []
        transport = httpx2.MockTransport(self._answer)
        self.sync = anthropic.Anthropic(
            api_key="none",
            base_url="http://sim",
            max_retries=0,
            http_client=httpx2.Client(transport=transport),
        )
        self.asynchronous = anthropic.AsyncAnthropic(
            api_key="none",
            base_url="http://sim",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=transport),
        )

    def raw(self, pieces: list[bytes]) -> list[RawMessageStreamEvent]:
        self.pieces = pieces
        return list(self.sync.messages.create(model=MODEL, max_tokens=64, messages=HELLO, stream=True))

    def raw_async(self, pieces: list[bytes]) -> list[RawMessageStreamEvent]:
        self.pieces = pieces

        async def read() -> list[RawMessageStreamEvent]:
            create = self.asynchronous.messages.create
            return [e async for e in await create(model=MODEL, max_tokens=64, messages=HELLO, stream=True)]

        return asyncio.run(read())

    def helper(self, pieces: list[bytes]) -> Message:
        self.pieces = pieces
        with self.sync.messages.stream(model=MODEL, max_tokens=64, messages=HELLO) as stream:
            return stream.get_final_message()

    def helper_async(self, pieces: list[bytes]) -> Message:
        self.pieces = pieces

        async def read() -> Message:
            async with self.asynchronous.messages.stream(model=MODEL, max_tokens=64, messages=HELLO) as stream:
                return await stream.get_final_message()

        return asyncio.run(read())

    def whole(self, body: bytes) -> Message:
        return self._create(200, {"content-type": "application/json"}, body)

    def whole_async(self, body: bytes) -> Message:
        self.pieces, before = [body], self.headers
        self.headers = {"content-type": "application/json"}

        async def read() -> Message:
            return await self.asynchronous.messages.create(model=MODEL, max_tokens=64, messages=HELLO)

        try:
            return asyncio.run(read())
        finally:
            self.headers = before

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Ask, and let the SDK raise what it makes of this answer."""
        self._create(status, headers, body)

    def request_of(self, messages: list[MessageParam]) -> httpx2.Request:
        """Return the request that the SDK makes of these messages."""
        self.pieces = bodies()
        list(self.sync.messages.create(model=MODEL, max_tokens=64, messages=messages, stream=True))
        return self.asked[-1]

    def _create(self, status: int, headers: Mapping[str, str], body: bytes) -> Message:
        self.pieces, before = [body], (self.status, self.headers)
        self.status, self.headers = status, headers
        try:
            return self.sync.messages.create(model=MODEL, max_tokens=64, messages=HELLO)
        finally:
            self.status, self.headers = before

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return httpx2.Response(self.status, headers=dict(self.headers), stream=_Pieces(self.pieces))


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

"""The official openai SDK over bytes that a test gives: the judge of what the dialect sends.

One client of each kind for all tests, because making one costs more than a whole test; what it is answered
is a plain field.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx2
import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam

from simkit.contracts import CompletionRequest
from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.model.timeline import Step, StreamReply

_NO_HEADERS: Final[Mapping[str, str]] = {}
HELLO: Final[list[ChatCompletionMessageParam]] = [{"role": "user", "content": "hello"}]


def ask(**options: object) -> CompletionRequest:
    return CompletionRequest(
        model="gpt-test",
        stream=True,
        body={"model": "gpt-test", "messages": HELLO, **options},
        include_usage=options.get("stream_options") == {"include_usage": True},
    )


def bodies(*steps: Step, request: CompletionRequest | None = None) -> list[bytes]:
    reply = StreamReply(steps=steps)
    return [f.data for f in OPENAI_CHAT.stream(reply, request or ask(), number=1, created=1_767_225_600)]


def whole_body(*steps: Step, request: CompletionRequest | None = None) -> bytes:
    return OPENAI_CHAT.whole(StreamReply(steps=steps), request or ask(), number=1, created=1_767_225_600)


class Sdk:
    """Both clients, answering every request with ``pieces``, each piece read by itself."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.status = 200
        self.headers: Mapping[str, str] = {"content-type": "text/event-stream; charset=utf-8"}
        transport = httpx2.MockTransport(self._answer)
        self.sync = openai.OpenAI(
            api_key="none",
            base_url="http://sim/v1",
            max_retries=0,
            http_client=httpx2.Client(transport=transport),
        )
        self.asynchronous = openai.AsyncOpenAI(
            api_key="none",
            base_url="http://sim/v1",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=transport),
        )

    def raw(self, pieces: list[bytes]) -> list[ChatCompletionChunk]:
        self.pieces = pieces
        return list(self.sync.chat.completions.create(model="gpt-test", messages=HELLO, stream=True))

    def raw_async(self, pieces: list[bytes]) -> list[ChatCompletionChunk]:
        self.pieces = pieces

        async def read() -> list[ChatCompletionChunk]:
            client = self.asynchronous.chat.completions
            return [c async for c in await client.create(model="gpt-test", messages=HELLO, stream=True)]

        return asyncio.run(read())

    def helper(self, pieces: list[bytes]) -> ChatCompletion:
        self.pieces = pieces
        with self.sync.chat.completions.stream(model="gpt-test", messages=HELLO) as stream:
            return stream.get_final_completion()

    def helper_async(self, pieces: list[bytes]) -> ChatCompletion:
        self.pieces = pieces

        async def read() -> ChatCompletion:
            client = self.asynchronous.chat.completions
            async with client.stream(model="gpt-test", messages=HELLO) as stream:
                return await stream.get_final_completion()

        return asyncio.run(read())

    def whole(self, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> ChatCompletion:
        return self._create(200, {"content-type": "application/json", **headers}, body)

    def whole_async(self, body: bytes) -> ChatCompletion:
        client, answer = self.asynchronous.chat.completions, (200, {"content-type": "application/json"}, body)
        with self._answering(*answer):
            return asyncio.run(client.create(model="gpt-test", messages=HELLO))

    def raw_response(self, body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers that the SDK hands on."""
        with self._answering(200, {"content-type": "application/json", **headers}, body):
            client = self.sync.chat.completions.with_raw_response
            return client.create(model="gpt-test", messages=HELLO).headers

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Ask, and let the SDK raise what it makes of this answer."""
        self._create(status, headers, body)

    def _create(self, status: int, headers: Mapping[str, str], body: bytes) -> ChatCompletion:
        with self._answering(status, headers, body):
            return self.sync.chat.completions.create(model="gpt-test", messages=HELLO)

    @contextmanager
    def _answering(self, status: int, headers: Mapping[str, str], body: bytes) -> Iterator[None]:
        self.pieces, before = [body], (self.status, self.headers)
        self.status, self.headers = status, headers
        try:
            yield
        finally:
            self.status, self.headers = before

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(self.status, headers=dict(self.headers), stream=_Pieces(self.pieces))


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

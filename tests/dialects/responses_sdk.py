"""The official openai SDK over bytes of the Responses API that a test gives: the judge of what the dialect sends.

One client of each kind for all tests of a module, because making one costs more than a whole test. What it is answered
is a plain field, or a function of the request where a test is about several.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final

import httpx2
import openai
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from simkit.contracts import CompletionRequest, Frame
from simkit.dialects.openai_responses import OPENAI_RESPONSES
from simkit.dialects.sse import decode
from simkit.model.timeline import Step, StreamReply

CREATED: Final = 1_767_225_600
ENCRYPTED: Final = {"include": ["reasoning.encrypted_content"]}
EVENT: Final[TypeAdapter[ResponseStreamEvent]] = TypeAdapter(ResponseStreamEvent)


def ask(**options: object) -> CompletionRequest:
    body = {"model": "gpt-test", "input": "hello", **options}
    background = options.get("background") is True
    return CompletionRequest(model="gpt-test", stream=True, body=body, background=background)


def frames(*steps: Step, request: CompletionRequest | None = None) -> list[Frame]:
    reply = StreamReply(steps=steps)
    return list(OPENAI_RESPONSES.stream(reply, request or ask(), number=1, created=CREATED))


def bodies(*steps: Step, request: CompletionRequest | None = None) -> list[bytes]:
    return [frame.data for frame in frames(*steps, request=request)]


def whole_body(*steps: Step, request: CompletionRequest | None = None) -> bytes:
    return OPENAI_RESPONSES.whole(StreamReply(steps=steps), request or ask(), number=1, created=CREATED)


def events(pieces: list[bytes]) -> list[dict[str, object]]:
    """The data of every event."""
    return [json.loads(message.data) for message in decode(b"".join(pieces))]


def strangers(model: object) -> list[str]:
    """The fields of a parsed value that the SDK's types do not know, at any depth."""
    if isinstance(model, BaseModel):
        here = [f"{type(model).__name__}.{name}" for name in model.model_extra or ()]
        return here + [s for name in type(model).model_fields for s in strangers(getattr(model, name))]
    if isinstance(model, list):
        return [s for one in model for s in strangers(one)]
    return []


def told(response: Response) -> dict[str, object]:
    """What an answer says, in the SDK's own final object."""
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    thoughts = [s.text for item in response.output if item.type == "reasoning" for s in item.summary]
    return {
        "text": response.output_text,
        "refusal": "".join(part.refusal for part in parts if part.type == "refusal"),
        "thoughts": "".join(thoughts),
        "calls": [(i.call_id, i.name, i.arguments) for i in response.output if i.type == "function_call"],
        "status": response.status,
    }


Answering = Callable[[httpx2.Request], httpx2.Response]


class ResponsesSdk:
    """Both clients, answering every request with ``pieces``, each piece read by itself, or as ``answer`` says."""

    def __init__(self, answer: Answering | None = None) -> None:
        self.pieces: list[bytes] = []
        self.media = "text/event-stream; charset=utf-8"
        transport = httpx2.MockTransport(answer or self._answer)
        options = {"api_key": "none", "base_url": "http://sim/v1", "max_retries": 0}
        self.sync = openai.OpenAI(http_client=httpx2.Client(transport=transport), **options)  # type: ignore[arg-type]  # one table for both clients
        self.asynchronous = openai.AsyncOpenAI(http_client=httpx2.AsyncClient(transport=transport), **options)  # type: ignore[arg-type]  # one table for both clients

    def raw(self, pieces: list[bytes]) -> list[ResponseStreamEvent]:
        self.pieces = pieces
        return list(self.sync.responses.create(model="gpt-test", input="hello", stream=True))

    def raw_async(self, pieces: list[bytes]) -> list[ResponseStreamEvent]:
        self.pieces = pieces

        async def read() -> list[ResponseStreamEvent]:
            client = self.asynchronous.responses
            return [e async for e in await client.create(model="gpt-test", input="hello", stream=True)]

        return asyncio.run(read())

    def helper(self, pieces: list[bytes]) -> Response:
        self.pieces = pieces
        with self.sync.responses.stream(model="gpt-test", input="hello") as stream:
            return stream.get_final_response()

    def helper_async(self, pieces: list[bytes]) -> Response:
        self.pieces = pieces

        async def read() -> Response:
            async with self.asynchronous.responses.stream(model="gpt-test", input="hello") as stream:
                return await stream.get_final_response()

        return asyncio.run(read())

    def whole(self, body: bytes) -> Response:
        self.pieces, before, self.media = [body], self.media, "application/json"
        try:
            return self.sync.responses.create(model="gpt-test", input="hello")
        finally:
            self.media = before

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        return streamed(self.pieces, self.media)


def streamed(pieces: list[bytes], media: str = "text/event-stream") -> httpx2.Response:
    return httpx2.Response(200, headers={"content-type": media}, stream=_Pieces(pieces))


def answered(status: int, headers: Mapping[str, str], body: bytes) -> httpx2.Response:
    return httpx2.Response(status, headers=dict(headers), content=body)


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

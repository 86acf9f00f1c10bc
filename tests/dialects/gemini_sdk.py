"""The official google-genai SDK over a provider that a test scripts: the judge of what the dialect sends.

The idea: the mock transport understands each request with the dialect and answers with the next script, so the SDK
judges both ways: what it is sent, and that what it sends is not refused. One pair of clients for all tests, because
making one costs more than a whole test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import httpx2
from google import genai
from google.genai import types

from simkit.contracts import CompletionRequest, HttpRequest, Refusal
from simkit.dialects.gemini import GEMINI
from simkit.dialects.gemini_requests import ARRAY, SSE
from simkit.model.timeline import Finish, StatusReply, Step, StreamReply

MODEL = "gemini-test"
HELLO: dict[str, object] = {"contents": [{"parts": [{"text": "hello"}], "role": "user"}]}
Script = Sequence[Step] | StatusReply
# What a client understood: text, thoughts, calls as name and arguments, the word of the finish.
Told = tuple[str, str, list[tuple[str | None, dict[str, Any] | None]], str | None]


def ask(detail: str = SSE) -> CompletionRequest:
    return CompletionRequest(model=MODEL, stream=bool(detail), body=HELLO, include_usage=True, detail=detail)


def bodies(*steps: Step, detail: str = SSE) -> list[bytes]:
    return [f.data for f in GEMINI.stream(StreamReply(steps=steps), ask(detail), number=1, created=0)]


def array(*steps: Step) -> bytes:
    return b"".join(bodies(*steps, detail=ARRAY))


def whole_body(*steps: Step) -> bytes:
    return GEMINI.whole(StreamReply(steps=steps), ask(""), number=1, created=0)


def told(responses: Sequence[types.GenerateContentResponse]) -> Told:
    """Put the chunks of one answer together, as a user of the SDK does."""
    candidates = [c for response in responses for c in response.candidates or ()]
    parts = [part for c in candidates if c.content for part in c.content.parts or ()]
    calls = [part.function_call for part in parts if part.function_call]
    words = [c.finish_reason.value for c in candidates if c.finish_reason]
    return (
        "".join(part.text or "" for part in parts if not part.thought),
        "".join(part.text or "" for part in parts if part.thought),
        [(call.name, call.args) for call in calls],
        words[-1] if words else None,
    )


class GeminiSdk:
    """Both clients, answered by the scripts in ``answers``, one for each request."""

    def __init__(self) -> None:
        self.answers: list[Script] = []
        self.asked: list[CompletionRequest | Refusal] = []
        self.cut: Callable[[bytes], list[bytes]] = lambda body: [body]
        transport = httpx2.MockTransport(self._answer)
        self.client = genai.Client(
            api_key="none",
            http_options=types.HttpOptions(
                client_args={"transport": transport}, async_client_args={"transport": transport}
            ),
        )

    def script(self, *answers: Script, cut: Callable[[bytes], list[bytes]] | None = None) -> None:
        """Forget what was, and answer the next requests so."""
        self.answers, self.asked, self.cut = list(answers), [], cut or (lambda body: [body])

    def stream(self, *steps: Step, cut: Callable[[bytes], list[bytes]] | None = None) -> Told:
        self.script(steps, cut=cut)
        return told(list(self.client.models.generate_content_stream(model=MODEL, contents="hello")))

    def stream_async(self, *steps: Step, cut: Callable[[bytes], list[bytes]] | None = None) -> Told:
        self.script(steps, cut=cut)

        async def read() -> Told:
            stream = await self.client.aio.models.generate_content_stream(model=MODEL, contents="hello")
            return told([chunk async for chunk in stream])

        return asyncio.run(read())

    def whole(self, *steps: Step) -> Told:
        self.script(steps)
        return told([self.client.models.generate_content(model=MODEL, contents="hello")])

    def whole_async(self, *steps: Step) -> Told:
        self.script(steps)
        return told([asyncio.run(self.client.aio.models.generate_content(model=MODEL, contents="hello"))])

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        asked = HttpRequest(request.method, request.url.raw_path.decode(), headers, request.content)
        assert GEMINI.claims(asked.method, asked.path)
        read = GEMINI.read(asked)
        self.asked.append(read)
        if isinstance(read, Refusal):
            return httpx2.Response(read.status, content=read.body)
        return self._play(read, self.answers.pop(0))

    def _play(self, request: CompletionRequest, answer: Script) -> httpx2.Response:
        number = len(self.asked)
        if isinstance(answer, StatusReply):
            headers, body = GEMINI.error(answer, number=number)
            return httpx2.Response(answer.status, headers=dict(headers), content=body)
        reply = StreamReply(steps=(*answer,))
        if not request.stream:
            return httpx2.Response(200, content=GEMINI.whole(reply, request, number=number, created=0))
        body = b"".join(f.data * f.times for f in GEMINI.stream(reply, request, number=number, created=0))
        media = {"content-type": GEMINI.media_type(request)}
        return httpx2.Response(200, headers=media, stream=_Pieces(self.cut(body)))


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


STOP, TOOL_CALLS = Finish(reason="stop"), Finish(reason="tool_calls")

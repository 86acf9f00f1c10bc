"""The twin: one client, one script, two machines - the simulated one and this one's own loopback.

The idea: what the SDK sees of the provider in a world must be what it sees of the same bytes on real sockets, piece by
piece, by exception and by number of requests and connections. The constraint: the bytes of both sides come from the
same dialect and the same framing, and the real server hangs up with the operating system's own calls, so a difference
is one of the network or of the player.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest

from simkit.contracts import CompletionRequest, HttpRequest, Sim
from simkit.dialects.http import HttpConnection
from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, Disconnect, StatusReply, StreamReply, Wait
from tests.provider.played import HELLO, play, scenario

# Long enough that each piece is read by itself, short enough for a fast suite.
PAUSE_S = 0.01
# SO_LINGER on, for no time: the close of such a socket is a reset.
RESET = struct.pack("ii", 1, 0)


@dataclass
class Seen:
    """What the client saw, and what the server saw of the client."""

    pieces: list[object] = field(default_factory=list)
    end: str = ""
    requests: int = 0
    connections: int = 0


async def ask(base_url: str, seen: Seen) -> None:
    """The client of both machines: one streamed request, with the SDK's own retries."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:
        try:
            async for chunk in await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True):
                choice = chunk.choices[0]
                seen.pieces.append(choice.finish_reason or choice.delta.content)
            seen.end = "end"
        except openai.OpenAIError as error:
            seen.end = f"{type(error).__name__}: {error}"


# -- the simulated machine --
def simulated(text: str) -> Seen:
    seen = Seen()

    async def agent(sim: Sim) -> None:
        await ask(sim.base_url("openai-chat"), seen)

    trace = play(text, agent).trace
    seen.requests, seen.connections = len(trace.of("request")), len(trace.of("connection.open"))
    return seen


# -- the real one --
class Loopback:
    """A provider on real sockets, without a clock of its own: pauses are short and real."""

    def __init__(self, script: Scenario, seen: Seen) -> None:
        self.seen = seen
        self.answers: list[Answer] = [a for a in script.provider for _ in range(a.times or 1)]

    async def serve(self, reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        self.seen.connections += 1
        http = HttpConnection()
        with contextlib.suppress(ConnectionError), contextlib.closing(writing):
            while data := await reading.read(65536):
                for request in http.feed(data):
                    self.seen.requests += 1
                    if not await self.answer(self.answers.pop(0), request, http, writing):
                        return

    async def answer(
        self, answer: Answer, request: HttpRequest, http: HttpConnection, writing: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the connection goes on."""
        match answer.reply:
            case StatusReply() as reply:
                headers, body = OPENAI_CHAT.error(reply, number=1)
                writing.write(http.whole(reply.status, headers, body))
            case StreamReply() as reply:
                writing.write(http.head(200, {"content-type": "text/event-stream"}))
                asked = OPENAI_CHAT.read(request)
                assert isinstance(asked, CompletionRequest)
                frames = list(OPENAI_CHAT.stream(reply, asked, number=1, created=0))
                for place, step in enumerate(reply.steps):
                    for frame in frames:
                        if frame.step == place:
                            writing.write(http.chunk(frame.data))
                    if isinstance(step, Wait):
                        await asyncio.sleep(PAUSE_S)
                    if isinstance(step, Disconnect) and step.how != "eof":
                        hang_up(step.how, writing)
                        return False
                writing.write(http.end())
        return not http.must_close


def hang_up(how: str, writing: asyncio.StreamWriter) -> None:
    if how == "reset":
        writing.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writing.transport.abort()


@contextlib.asynccontextmanager
async def listening(loopback: Loopback) -> AsyncIterator[str]:
    server = await asyncio.start_server(loopback.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def real(text: str) -> Seen:
    seen = Seen()

    async def main() -> None:
        async with listening(Loopback(scenario(text), seen)) as base_url:
            await ask(base_url, seen)

    asyncio.run(main())
    return seen


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own back-off of half a second and more would be waited for in real time."""
    from openai import _base_client

    monkeypatch.setattr(_base_client, "INITIAL_RETRY_DELAY", 0.01)


# A pause before each end, so that on real sockets what was sent is read before it.
SCRIPTS = {
    "complete": "- stream: [say: a, wait: 1s, say: b, wait: 1s, finish: stop]",
    "no finish, closing marker only": "- stream: [say: a, wait: 1s, 'done']",
    "eof before finish": "- stream: [say: a, wait: 1s, disconnect: eof]",
    "eof before anything": "- stream: [wait: 1s, disconnect: eof]",
    "eof after finish": "- stream: [say: a, finish: stop, wait: 1s, disconnect: eof]",
    "cut": "- stream: [say: a, wait: 1s, disconnect: cut]",
    "cut before anything": "- stream: [wait: 1s, disconnect: cut]",
    "cut after finish": "- stream: [say: a, finish: stop, wait: 1s, disconnect: cut]",
    "reset": "- stream: [say: a, wait: 1s, disconnect: reset]",
    "reset before anything": "- stream: [wait: 1s, disconnect: reset]",
    "reset after finish": "- stream: [say: a, finish: stop, wait: 1s, disconnect: reset]",
    "429 that says how long": "- {status: 429, headers: {retry-after-ms: 20}}\n  - stream: [say: a, finish: stop]",
    "429 that says too long": "- {status: 429, retry_after: 121s}",
    "500 until the retries are used up": "- {status: 500, times: 3}",
    "400": "- {status: 400, error: no}",
    "200 that is no stream": "- {status: 200, body: '{}'}",
    "200 without a body": "- {status: 200, body: ''}",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_the_client_sees_in_a_world_what_it_sees_on_real_sockets(script: str) -> None:
    text = f"provider:\n  {script}\n"
    assert simulated(text) == real(text)


def test_a_refused_connection_looks_the_same_in_a_world_and_on_real_sockets() -> None:
    seen: Any = Seen()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    asyncio.run(ask(f"http://127.0.0.1:{port}/v1", seen))
    assert simulated("provider:\n  - {connection: refused, times: 3}\n") == seen


def test_the_twin_would_show_a_difference() -> None:
    cut, eof = (f"provider:\n  {SCRIPTS[name]}\n" for name in ("cut", "eof before finish"))
    assert (real(cut) == real(eof), real(cut).end) == (False, simulated(cut).end)

"""The twin: one client, one script, two machines - the simulated one and this one's own loopback.

The idea: what an SDK sees of the provider in a world must be what it sees of the same script on real sockets, piece by
piece, by exception and by number of requests and connections; and what the provider tells of it must be the same too.
The constraint: both sides are the same provider on two stages, so a difference is one of the simulated network, of
virtual time, or of the real stage; the operating system is the judge. Pauses are real here, so they are short: a
second of a script takes ten milliseconds, or nothing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from simkit.contracts import Sim
from simkit.model.trace import Trace
from simkit.provider.serve import serving
from simkit.provider.tempo import MAX
from tests.dialects.gemini_sdk import told
from tests.provider.played import HELLO, play, scenario

# google-genai 3.4.0 derives a class from aiohttp's session, which aiohttp advises against.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

# Fast, and slow enough that each piece is read by itself.
SPEED: Final = 100.0


@dataclass
class Seen:
    """What the client saw, and what the server saw of the client."""

    pieces: list[object] = field(default_factory=list)
    end: str = ""
    requests: int = 0
    connections: int = 0
    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def take(self, trace: Trace) -> None:
        """Take what the provider tells; instants are left out, and headers are none of its events."""
        self.requests, self.connections = len(trace.of("request")), len(trace.of("connection.open"))
        self.told = [(e.kind, dict(e.values)) for e in trace if e.actor == "provider"]


# A client: base URL, how long a second of the script is, and where to put what is seen.
Client = Callable[[str, float, Seen], Awaitable[None]]


# -- the clients --
async def openai_chat(base_url: str, second: float, seen: Seen) -> None:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:
        async for chunk in await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True):
            for choice in chunk.choices or ():
                calls = [(call.id, call.function) for call in choice.delta.tool_calls or ()]
                seen.pieces.append(choice.finish_reason or calls or choice.delta.content)


async def openai_chat_whole(base_url: str, second: float, seen: Seen) -> None:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:
        whole = await sdk.chat.completions.create(model="gpt-test", messages=HELLO)
        seen.pieces += [(choice.message.content, choice.finish_reason) for choice in whole.choices]


async def openai_responses(base_url: str, second: float, seen: Seen) -> None:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as sdk:
        async for event in await sdk.responses.create(model="gpt-test", input="hello", stream=True):
            seen.pieces.append((event.sequence_number, event.type, getattr(event, "delta", None)))


async def anthropic_messages(base_url: str, second: float, seen: Seen) -> None:
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key="none") as sdk:
        stream = await sdk.messages.create(model="claude-test", max_tokens=64, messages=HELLO, stream=True)
        async for event in stream:
            seen.pieces.append((event.type, getattr(event, "delta", None)))


async def gemini(base_url: str, second: float, seen: Seen) -> None:
    options = types.HttpOptions(base_url=base_url)
    async with genai.Client(api_key="none", http_options=options).aio as sdk:
        stream = await sdk.models.generate_content_stream(model="gemini-test", contents="hello")
        async for chunk in stream:
            seen.pieces.append(told([chunk]))


CLIENTS: Final[dict[str, tuple[str, Client]]] = {
    "openai-chat": ("openai-chat", openai_chat),
    "openai-chat whole": ("openai-chat", openai_chat_whole),
    "openai-responses": ("openai-responses", openai_responses),
    "anthropic": ("anthropic", anthropic_messages),
    "gemini": ("gemini", gemini),
}


# -- background jobs --
@asynccontextmanager
async def job_of(base_url: str, **options: Any) -> AsyncIterator[tuple[openai.AsyncOpenAI, Any]]:
    """The SDK, and what it got for a request for the background."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as sdk:
        yield sdk, await sdk.responses.create(model="gpt-test", input="hello", background=True, **options)


async def polls(base_url: str, second: float, seen: Seen) -> None:
    async with job_of(base_url) as (sdk, job):
        while job.status in ("queued", "in_progress"):
            if job.status not in seen.pieces:
                seen.pieces.append(job.status)
            await asyncio.sleep(second)
            job = await sdk.responses.retrieve(job.id)
        seen.pieces += [job.status, job.output_text]


async def resumes(base_url: str, second: float, seen: Seen) -> None:
    async with job_of(base_url, stream=True) as (sdk, stream):
        async for event in stream:
            seen.pieces.append((event.sequence_number, event.type))
            if event.type == "response.created":
                job = event.response.id
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        after = event.sequence_number
        async for event in await sdk.responses.retrieve(job, stream=True, starting_after=after):
            seen.pieces.append((event.sequence_number, event.type))


async def cancels(base_url: str, second: float, seen: Seen) -> None:
    async with job_of(base_url) as (sdk, job):
        for ask in (sdk.responses.cancel, sdk.responses.cancel, sdk.responses.retrieve):
            seen.pieces.append((await ask(job.id)).status)
        await sdk.responses.delete(job.id)
        await sdk.responses.retrieve(job.id)


async def loses_a_stream(base_url: str, second: float, seen: Seen) -> None:
    async with job_of(base_url, stream=True) as (_, stream):
        async for event in stream:
            seen.pieces.append((event.sequence_number, event.type))


# -- the two machines --
async def ask(client: Client, base_url: str, second: float, seen: Seen) -> None:
    """Let the client ask, and note how that ended; whatever it raises is what its user meets."""
    try:
        await client(base_url, second, seen)
        seen.end = "end"
    except Exception as error:  # noqa: BLE001  # as above
        seen.end = f"{type(error).__name__}: {error}"


def simulated(text: str, dialect: str, client: Client) -> Seen:
    seen = Seen()

    async def agent(sim: Sim) -> None:
        await ask(client, sim.base_url(dialect), 1.0, seen)

    seen.take(play(text, agent).trace)
    return seen


def real(text: str, dialect: str, client: Client, speed: float = SPEED) -> Seen:
    seen = Seen()

    async def main() -> None:
        async with serving(scenario(text), speed=speed) as server:
            await ask(client, server.base_url(dialect), 1.0 / (speed or SPEED), seen)
        seen.take(server.events)

    asyncio.run(main())
    return seen


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs' own back-off of half a second and more would be waited for in real time."""
    from anthropic import _base_client as anthropic_client
    from openai import _base_client as openai_client

    for module in (openai_client, anthropic_client):
        monkeypatch.setattr(module, "INITIAL_RETRY_DELAY", 0.01)


# -- scripts --
# A pause before each end, so that on real sockets what was sent is read before it; three times, because a client that
# waits for a whole answer tries again.
SCRIPTS: Final = {
    "complete": "- stream: [say: a, wait: 1s, say: b, wait: 1s, finish: stop]",
    "a call in pieces": "- stream: [{call: f, args: '{\"x\":'}, wait: 1s, args: ' 1}', finish: tool_calls]",
    "eof before finish": "- {times: 3, stream: [say: a, wait: 1s, disconnect: eof]}",
    "cut": "- {times: 3, stream: [say: a, wait: 1s, disconnect: cut]}",
    "cut before anything": "- {times: 3, stream: [wait: 1s, disconnect: cut]}",
    "reset": "- {times: 3, stream: [say: a, wait: 1s, disconnect: reset]}",
    "reset after finish": "- {times: 3, stream: [say: a, finish: stop, wait: 1s, disconnect: reset]}",
    "an error in mid-stream": "- stream: [say: a, wait: 1s, error: overloaded]",
}
# What can be played without waiting: nothing of it depends on what was read when.
AT_ONCE: Final = {
    "after a time": "- {after: 20s, stream: [say: a, finish: stop]}",
    "gzip": "- {gzip: true, stream: [say: a, wait: 1s, say: b, finish: stop]}",
    "byte by byte": "- {chunks: byte, stream: [say: a, finish: stop]}",
    "seven bytes": "- {chunks: {bytes: 7}, stream: [say: a, wait: 1s, say: b, finish: stop]}",
    "whole": "- {chunks: whole, stream: [say: a, wait: 1s, say: b, finish: stop]}",
    "keep-alives": "- stream: [say: a, keepalive: {every: 1s, for: 3s}, say: b, finish: stop]",
    "429 that says how long": "- {status: 429, headers: {retry-after-ms: 20}}\n  - stream: [say: a, finish: stop]",
    "500 until the retries are used up": "- {status: 500, times: 3}",
    "529": "- {status: 529, error: busy, times: 3}",
    "400": "- {status: 400, error: no}",
    "200 that is no stream": "- {status: 200, body: '{}'}",
}
# On a port a connection is refused by a reset. Only aiohttp, below google-genai, tells the two apart, and it waits for
# seconds before it tries again.
DIALS: Final = {
    "refused for ever": "- {connection: refused, times: 3}",
    "refused once": "- {connection: refused}\n  - stream: [say: a, finish: stop]",
    "broken at the request": "- {connection: reset, after: 1s}\n  - stream: [say: a, finish: stop]",
}
JOBS: Final[dict[str, tuple[str, Client]]] = {
    "polled": ("{queued: 20s, in_progress: 20s, stream: [say: a]}", polls),
    "that fails": ("{queued: 20s, in_progress: 20s, ends: failed, stream: [say: a]}", polls),
    "resumed": ("{queued: 1s, stream: [say: a, wait: 20s, say: b]}", resumes),
    "cancelled, deleted, asked for": ("{queued: forever}", cancels),
    "whose stream is cut": (
        "{queued: 1s, stream: [say: a, wait: 1s, disconnect: cut, wait: 9s, say: b]}",
        loses_a_stream,
    ),
}


def provider(script: str) -> str:
    return f"provider:\n  {script}\n"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_client_sees_in_a_world_what_it_sees_on_real_sockets(script: str, client: str) -> None:
    text = provider(script)
    assert simulated(text, *CLIENTS[client]) == real(text, *CLIENTS[client])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("script", AT_ONCE.values(), ids=AT_ONCE)
def test_a_client_sees_the_same_where_nothing_is_waited_for(script: str, client: str) -> None:
    text = provider(script)
    assert simulated(text, *CLIENTS[client]) == real(text, *CLIENTS[client], MAX)


@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "gemini"])
@pytest.mark.parametrize("script", DIALS.values(), ids=DIALS)
def test_a_client_that_cannot_connect_sees_the_same(script: str, client: str) -> None:
    text = provider(script)
    assert simulated(text, *CLIENTS[client]) == real(text, *CLIENTS[client], MAX)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_lives_in_a_world_as_it_does_on_real_sockets(job: str) -> None:
    script, client = JOBS[job]
    text = provider(f"- background: {script}")
    twins = [simulated(text, "openai-responses", client), real(text, "openai-responses", client)]
    for seen in twins:
        # How often a job is asked for within a time is a matter of the machine.
        seen.told = [(kind, values) for kind, values in seen.told if kind != "job.request"]
    assert twins[0] == twins[1]


def test_a_connection_that_stays_silent_is_a_timeout_on_both() -> None:
    async def client(base_url: str, second: float, seen: Seen) -> None:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none", timeout=0.05, max_retries=1) as sdk:
            await sdk.chat.completions.create(model="gpt-test", messages=HELLO)

    text = provider("- {connection: timeout, times: 2}")
    assert simulated(text, "openai-chat", client) == real(text, "openai-chat", client)


def test_the_twin_would_show_a_difference() -> None:
    cut, eof = (provider(SCRIPTS[name]) for name in ("cut", "eof before finish"))
    of = CLIENTS["openai-chat"]
    assert (real(cut, *of) == real(eof, *of), real(cut, *of).end) == (False, simulated(cut, *of).end)

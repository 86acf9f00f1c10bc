"""A long stream, from the script to its reader: on bare h11, through a world to a socket, and to the openai SDK.

The idea: what h11 needs to write and read the same frames is the least that any true stream costs, so a rate is told
as a part of that one. The constraint: all of them move the same bytes, and each reader looks at every piece. A rate
in megabytes a second alone was refused: it is about the machine.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import h11
import httpx2
import openai

from simkit.contracts import CompletionRequest, Sim
from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.model.plan import Plan
from simkit.model.scenario import Limits, Scenario
from simkit.model.timeline import Answer, Finish, Repeat, Say, Step, StreamReply
from simkit.run import run_once

MB: Final = 10**6
_HOST: Final = "api.openai.com"
_BODY: Final = b'{"model":"m","messages":[{"role":"user","content":"hello"}],"stream":true}'
_POST: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\nauthorization: Bearer none\r\n"
    b"content-type: application/json\r\ncontent-length: " + str(len(_BODY)).encode() + b"\r\n\r\n" + _BODY
)
_HELLO: Final[Any] = [{"role": "user", "content": "hello"}]
_ASK: Final = CompletionRequest(model="m", stream=True, body={"messages": _HELLO})
_READ_BYTES: Final = 65536
# A frame takes some steps of the world, and a long stream many frames.
_STEPS_MAX: Final = 100_000_000


def repeated(count: int) -> tuple[Step, ...]:
    """One frame again and again."""
    return Say(text="a piece"), Repeat(times=count - 1), Finish(reason="stop")


def different(count: int) -> tuple[Step, ...]:
    """As many frames, each with a text of its own."""
    return *(Say(text=f"{number:07d}") for number in range(count)), Finish(reason="stop")


def frames_of(megabytes: int) -> int:
    """Return how many frames make a stream of this size."""
    return megabytes * MB // len(frames(repeated(1))[1])


def frames(steps: tuple[Step, ...]) -> list[bytes]:
    """Return the frames of a stream, as the dialect writes them."""
    written = OPENAI_CHAT.stream(StreamReply(steps=steps), _ASK, number=1, created=0)
    return [data for frame in written for data in [frame.data] * frame.times]


# -- bare -------------------------------------------------------------------------------------------------------------
def bare_h11(bodies: list[bytes]) -> int:
    """Write and read the frames, each as a chunk; return how many bytes came out."""
    server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target="/", headers=[("host", _HOST)])
    server.receive_data(_sent(client, request) + _sent(client, h11.EndOfMessage()))
    while not isinstance(server.next_event(), h11.EndOfMessage):
        pass
    client.receive_data(_sent(server, h11.Response(status_code=200, headers=[("transfer-encoding", "chunked")])))
    count = _read(client)
    for body in bodies:
        client.receive_data(_sent(server, h11.Data(data=body)))
        count += _read(client)
    return count


def _sent(connection: h11.Connection, event: h11.Event) -> bytes:
    data = connection.send(event)
    assert data is not None
    return data


def _read(connection: h11.Connection) -> int:
    """Return how many bytes of the body are there by now."""
    count = 0
    while (event := connection.next_event()) is not h11.NEED_DATA:
        if isinstance(event, h11.EndOfMessage):
            break
        count += len(event.data) if isinstance(event, h11.Data) else 0
    return count


def sdk_without_network(bodies: list[bytes]) -> int:
    """Let the SDK read the frames from memory: what it costs by itself."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=_Pieces(bodies)))

    async def main() -> int:
        async with openai.AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport)) as sdk:
            return await _count(sdk)

    return asyncio.run(main())


class _Pieces(httpx2.AsyncByteStream):
    def __init__(self, bodies: list[bytes]) -> None:
        self._bodies = bodies

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for body in self._bodies:
            yield body


async def _count(sdk: openai.AsyncOpenAI) -> int:
    count = 0
    async for chunk in await sdk.chat.completions.create(model="m", messages=_HELLO, stream=True):
        count += bool(chunk.choices[0].delta.content)
    return count


# -- through a world --------------------------------------------------------------------------------------------------
def to_a_socket(steps: tuple[Step, ...]) -> int:
    """Read the stream in a world, from a blocking socket through h11; return the bytes of the body."""
    read = list[int]()

    def agent(sim: Sim) -> None:
        client = h11.Connection(h11.CLIENT)
        headers = [("host", _HOST), ("content-length", "0")]
        _sent(client, h11.Request(method="POST", target="/", headers=headers))
        _sent(client, h11.EndOfMessage())
        with socket.create_connection((_HOST, 80)) as connection:
            connection.sendall(_POST)
            read.append(sum(_bodies(client, connection)))

    _run(steps, agent)
    return read[0]


def _bodies(client: h11.Connection, connection: socket.socket) -> Iterator[int]:
    while client.their_state is not h11.DONE:
        client.receive_data(connection.recv(_READ_BYTES))
        yield _read(client)


def to_the_sdk(steps: tuple[Step, ...]) -> int:
    """Read the stream in a world, through the openai SDK; return how many pieces of text came."""
    read = list[int]()

    async def agent(sim: Sim) -> None:
        async with openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key="none") as sdk:
            read.append(await _count(sdk))

    _run(steps, agent)
    return read[0]


def _run(steps: tuple[Step, ...], agent: Callable[[Sim], object]) -> None:
    answer = Answer(reply=StreamReply(steps=steps))
    scenario = Scenario(title="a long stream", provider=(answer,), limits=Limits(steps=_STEPS_MAX))
    result = run_once(scenario, Plan(), subject=agent)
    assert result.trace.of("run.end")[-1].get("reason") == "returned", result.trace.events[-1]

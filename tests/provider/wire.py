"""A client that is no SDK: it asks the provider by hand and keeps every read by itself.

The idea: how a body is cut can be seen only below every HTTP library, which all put pieces together somewhere. The
constraint: a read is what the operating system would give: once by an asyncio transport, once by a blocking socket.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable

from simkit.contracts import Sim

PATH = "/v1/chat/completions"
HOST = "api.openai.com"


def post(path: str = PATH, *, stream: bool = True, model: str = "gpt-test", **more: object) -> bytes:
    """A completion request, after which the connection is closed."""
    options = {"stream_options": {"include_obfuscation": False}} if stream else {}
    messages = [{"role": "user", "content": "hello"}]
    body = json.dumps({"model": model, "messages": messages, "stream": stream, **options, **more})
    lines = [
        f"POST {path} HTTP/1.1",
        "host: x",
        "authorization: Bearer none",
        "connection: close",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()


class Reads(asyncio.Protocol):
    """Keeps each read of the transport."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.reads: list[bytes] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.reads.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(None)


async def ask(request: bytes, host: str = HOST) -> list[bytes]:
    """Send this and return the reads until the other side closes."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(lambda: Reads(request), host, 80)
    await protocol.over
    return protocol.reads


def ask_blocking(request: bytes, host: str = HOST) -> list[bytes]:
    """The same by a blocking socket."""
    reads = []
    with socket.create_connection((host, 80)) as sock:
        sock.sendall(request)
        while data := sock.recv(65536):
            reads.append(data)
    return reads


def asker(kept: list[bytes], request: bytes, *, blocking: bool = False) -> Callable[[Sim], object]:
    """An agent that sends this and keeps what it reads."""

    async def agent(sim: Sim) -> None:
        kept.extend(await ask(request))

    def blocking_agent(sim: Sim) -> None:
        kept.extend(ask_blocking(request))

    return blocking_agent if blocking else agent


def chunks(reads: list[bytes]) -> list[bytes]:
    """The chunks of the body, one list item for each, however they were read."""
    rest = b"".join(reads).partition(b"\r\n\r\n")[2]
    found = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        found.append(rest[:length])
        rest = rest[length + 2 :]
    assert found[-1] == b"", found
    return found[:-1]

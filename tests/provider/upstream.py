"""A small server on real loopback sockets, which says exactly the bytes that a test wrote, piece by piece.

The idea: a test writes an answer as pieces and an end; the server sends each piece as one chunk, lets a moment pass
before the next, and then ends as it was told to. The constraint: it knows no dialect and no HTTP library, so a cut in
the middle of a frame is one, and a reset is an RST.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

SSE: Final = "text/event-stream; charset=utf-8"
# Long enough that two pieces never arrive as one.
MOMENT_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """One answer: its pieces, and how it ends: ``eof``, ``cut``, ``reset`` or ``silent``."""

    pieces: Sequence[bytes] = ()
    end: str = "eof"
    status: str = "200 OK"
    headers: Sequence[str] = (f"content-type: {SSE}",)
    silent_before_headers: bool = False


@dataclass(slots=True)
class Upstream:
    """What a running server is asked and where it is."""

    url: str
    heard: list[bytes] = field(default_factory=list)


def compressed(pieces: Sequence[bytes]) -> bytes:
    """The pieces as one gzip member."""
    return gzip.compress(b"".join(pieces), mtime=0)


@contextlib.asynccontextmanager
async def serving(*answers: Says, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Serve these answers, one for each connection, in order."""
    waiting, tasks = list(answers), set[asyncio.Task[None]]()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            upstream.heard.append(await _request(reader))
            await _answer(writer, waiting.pop(0))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    upstream = Upstream(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
    try:
        yield upstream
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b"")


async def _answer(writer: asyncio.StreamWriter, says: Says) -> None:
    if says.silent_before_headers:
        await asyncio.Event().wait()
    lines = [f"HTTP/1.1 {says.status}", *says.headers, "transfer-encoding: chunked", "", ""]
    writer.write("\r\n".join(lines).encode())
    for piece in says.pieces:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
        await asyncio.sleep(MOMENT_S)
    match says.end:
        case "eof":
            writer.write(b"0\r\n\r\n")
        case "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        case "silent":
            await asyncio.Event().wait()

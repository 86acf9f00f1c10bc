"""A provider on a real loopback socket, and the bytes it sends.

The idea: one list of moves for each request - bytes, pauses, endings - so a test says on one screen what the
wire does. The constraint: real sockets and the real SDK, with pauses of hundredths of a second; no test
compares a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

Ending = Literal["reset", "cut", "wait"]
Move = bytes | float | Ending

HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def frame(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(finish: str | None = None, **content: object) -> bytes:
    """One chunk of a stream."""
    return frame(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "delta": content, "finish_reason": finish}],
        }
    )


def part(index: int, args: str, name: str | None = None, call_id: str | None = None) -> bytes:
    """One chunk with a piece of a tool call."""
    call: dict[str, object] = {"index": index, "function": {"arguments": args}}
    if name:
        call |= {"id": call_id, "type": "function", "function": {"name": name, "arguments": args}}
    return delta(tool_calls=[call])


def reply(status: str, body: bytes, headers: str = "content-type: application/json") -> bytes:
    """A whole response."""
    return f"HTTP/1.1 {status}\r\n{headers}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Provider:
    """Plays one script for each request, whichever connection it comes on."""

    def __init__(self, scripts: Sequence[Sequence[Move]]) -> None:
        self._scripts = list(scripts)
        self.bodies: list[dict[str, object]] = []
        self.hung_up = 0
        self.base_url = ""
        self.idle = asyncio.Event()
        self._serving = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving += 1
        self.idle.clear()
        try:
            while head := await _head(reader):
                length = next(
                    int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:")
                )
                self.bodies.append(json.loads(await reader.readexactly(length)))
                if not await self._play(reader, writer, self._scripts[len(self.bodies) - 1]):
                    return
        except ConnectionError:
            self.hung_up += 1
        finally:
            writer.close()
            self._serving -= 1
            if not self._serving:
                self.idle.set()

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moves: Sequence[Move]) -> bool:
        """Play one script and say whether the connection goes on."""
        if isinstance(moves[0], bytes) and moves[0].startswith(b"HTTP/"):
            writer.write(moves[0])
            return True
        writer.write(HEADERS)
        for move in moves:
            match move:
                case bytes():
                    writer.write(chunked(move))
                    await writer.drain()
                case float():
                    await asyncio.sleep(move)
                case "wait":
                    # Silence until the client hangs up.
                    self.hung_up += not await reader.read(1)
                    return False
                case "cut":
                    return False
                case "reset":
                    await asyncio.sleep(0.02)
                    writer.transport.abort()
                    return False
        writer.write(b"0\r\n\r\n")
        return True


async def _head(reader: asyncio.StreamReader) -> list[str]:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return []


@asynccontextmanager
async def provider(*scripts: Sequence[Move]) -> AsyncIterator[Provider]:
    """Serve these scripts until the block ends and every client has gone."""
    playing = Provider(scripts)
    server = await asyncio.start_server(playing.serve, "127.0.0.1", 0)
    playing.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield playing
        await playing.idle.wait()

"""What clients on a real network do, well and badly: what is bad is refused cleanly, and the next one is served."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import pytest

from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, Finish, Say, StreamReply
from simkit.provider.arrivals import Bounds
from simkit.provider.jobs import Jobs
from simkit.provider.serve import Server, serving
from simkit.provider.sockets import Door
from simkit.provider.tempo import MAX
from tests.provider.played import scenario
from tests.provider.wire import post

ANSWER: Final = "provider:\n  - {times: any, stream: [say: a, finish: stop]}\n"
SHORT: Final = Bounds(arrival_s=0.05, linger_s=0.05, head_bytes=1000, body_bytes=2000, connections=3)
NOT_FOUND: Final = b"GET /none HTTP/1.1\r\nhost: x\r\n\r\n"
RESET: Final = struct.pack("ii", 1, 0)


def serve(
    client: Callable[[Server], Awaitable[object]],
    what: str | Scenario = ANSWER,
    *,
    bounds: Bounds = SHORT,
    speed: float = MAX,
) -> Server:
    """Serve a scenario, or the one of a text, to a client, and return the server as it was left."""

    async def main() -> Server:
        async with serving(scenario(what) if isinstance(what, str) else what, speed=speed, bounds=bounds) as server:
            await asyncio.wait_for(client(server), 20)
        return server

    return asyncio.run(main())


async def send(server: Server, *pieces: bytes, every_s: float = 0.0) -> bytes:
    """Send this on one connection and return all that comes back until the server closes; what breaks is left out."""
    reader, writer = await asyncio.open_connection(*server.address)
    got = b""
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(every_s)
        while data := await reader.read(65536):
            got += data
    writer.close()
    return got


def status(got: bytes) -> str:
    return got.partition(b"\r\n")[0].decode()


def statuses(*pieces: bytes, bounds: Bounds = SHORT, every_s: float = 0.0) -> list[str]:
    """What a client gets for this, and what the next one gets for a good request."""
    seen = list[str]()

    async def client(server: Server) -> None:
        seen.append(status(await send(server, *pieces, every_s=every_s)))
        seen.append(status(await send(server, post())))

    serve(client, bounds=bounds)
    return seen


GOOD: Final = "HTTP/1.1 200 OK"
BODY: Final = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
CHUNK: Final = b"400\r\n" + b"x" * 1024 + b"\r\n"


@pytest.mark.parametrize(
    ("pieces", "refusal"),
    [
        ([b"\x00\xff garbage \r\n\r\n"], "HTTP/1.1 400 Bad Request"),
        ([b"\x16\x03\x01\x02\x00\x01"], "HTTP/1.1 400 Bad Request"),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], "HTTP/1.1 505 HTTP Version Not Supported"),
        ([b"GET / HTTP/1.1\r\n\r\n"], "HTTP/1.1 400 Bad Request"),
        ([b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"x" * 2000], "HTTP/1.1 431 Request Header Fields Too Large"),
        (
            [b"GET / HTTP/1.1\r\nhost: x\r\na: %b\r\n\r\n" % (b"x" * 2000)],
            "HTTP/1.1 431 Request Header Fields Too Large",
        ),
        ([BODY + b"content-length: 3000\r\n\r\n"], "HTTP/1.1 413 Request Entity Too Large"),
        ([BODY + b"transfer-encoding: chunked\r\n\r\n", *[CHUNK] * 50], "HTTP/1.1 413 Request Entity Too Large"),
        ([BODY + b"content-length: many\r\n\r\n"], "HTTP/1.1 400 Bad Request"),
        ([b"GET / HT"], "HTTP/1.1 408 Request Timeout"),
        ([BODY + b"content-length: 20\r\n\r\n{"], "HTTP/1.1 408 Request Timeout"),
        ([], ""),
    ],
    ids=[
        "garbage",
        "tls",
        "http 2",
        "no host",
        "an endless head",
        "a long head at once",
        "a long body",
        "an endless body",
        "a length that is none",
        "a slow head",
        "a slow body",
        "nothing at all",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_client_is_served(pieces: list[bytes], refusal: str) -> None:
    # The phrase of 413 is another one from Python 3.13 on.
    seen = [one.replace("Content Too Large", "Request Entity Too Large") for one in statuses(*pieces)]
    assert seen == [refusal, GOOD]


def test_a_request_that_comes_byte_by_byte_is_refused_when_its_time_is_over() -> None:
    seen = list[str]()

    async def client(server: Server) -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        answer = asyncio.ensure_future(reader.readline())
        for byte in post():
            writer.write(bytes([byte]))
            await asyncio.wait([answer], timeout=0.01)
            if answer.done():
                break
        seen.append(status(await answer))
        writer.close()

    serve(client)
    assert seen == ["HTTP/1.1 408 Request Timeout"]


def test_a_client_that_speaks_tls_is_told_what_this_port_speaks() -> None:
    got = list[bytes]()

    async def client(server: Server) -> None:
        got.append(await send(server, b"\x16\x03\x01\x02\x00\x01"))

    serve(client)
    assert got[0].endswith(b"400 Bad Request: it speaks TLS, and this port does not - use http://\n")


def test_one_client_too_many_is_told_so_and_many_more_are_dropped() -> None:
    seen = list[str]()

    async def client(server: Server) -> None:
        crowd = [await asyncio.open_connection(*server.address) for _ in range(40)]
        for reader, _ in crowd[3:]:
            try:
                seen.append(status(await reader.read(65536)))
            except ConnectionError:
                seen.append("reset")
        for _, writer in crowd:
            writer.close()
        while (last := status(await send(server, post()))) != GOOD:
            await asyncio.sleep(0.01)
        seen.append(last)

    serve(client, bounds=Bounds(connections=3, arrival_s=10, linger_s=10))
    assert seen == ["HTTP/1.1 503 Service Unavailable"] * 3 + ["reset"] * 34 + [GOOD]


def test_requests_that_are_not_complete_hold_so_much_memory_and_no_more() -> None:
    bounds = Bounds(held_bytes=5000, linger_s=0.05)
    seen = statuses(BODY + b"content-length: 10000\r\n\r\n" + b"x" * 6000, bounds=bounds)
    assert seen == ["HTTP/1.1 503 Service Unavailable", GOOD]


def test_clients_that_vanish_leave_nothing_behind() -> None:
    async def client(server: Server) -> None:
        for number in range(60):
            _, writer = await asyncio.open_connection(*server.address)
            writer.write(post()[: 40 * (number % 20)] if number % 2 else post())
            await asyncio.sleep(0)
            sock = writer.get_extra_info("socket")
            if number % 3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        while count() > 1:
            await asyncio.sleep(0.01)
        assert status(await send(server, post())) == GOOD

    def count() -> int:
        gc.collect()
        return sum(isinstance(thing, Door) for thing in gc.get_objects())

    server = serve(client, bounds=Bounds())
    assert (server.failures, server.ended) == ([], None)


@pytest.mark.parametrize("linger", [b"", RESET], ids=["closed", "reset"])
def test_a_client_that_vanishes_in_mid_stream_ends_its_stream(linger: bytes) -> None:
    async def client(server: Server) -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(post())
        await reader.readuntil(b"hel")
        if linger:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        while not server.events.of("stream.end"):
            await asyncio.sleep(0.01)

    server = serve(client, "provider:\n  - stream: [say: hel, stall: forever]\n")
    assert [e.get("how") for e in server.events.of("stream.end")] == ["client_closed"]


def test_a_mistake_of_simkits_own_is_told_to_the_client_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> bool:
        raise LookupError("it broke")

    monkeypatch.setattr(Jobs, "serve", broken)
    seen = list[bytes]()

    async def client(server: Server) -> None:
        seen.extend([await send(server, NOT_FOUND), await send(server, post())])

    server = serve(client)
    assert ([status(got) for got in seen], [str(e) for e in server.failures]) == (
        ["HTTP/1.1 500 Internal Server Error", GOOD],
        ["it broke"],
    )


# -- requests behind one another --
def test_requests_that_come_together_are_answered_in_order() -> None:
    got = list[bytes]()

    async def client(server: Server) -> None:
        last = post(stream=False)
        got.append(await send(server, NOT_FOUND * 1000 + last + NOT_FOUND))

    serve(client, bounds=Bounds())
    answers = got[0].split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"404"] * 1000 + [b"200"]


def test_a_client_that_sends_far_ahead_is_held_up() -> None:
    left = list[bool]()

    async def client(server: Server) -> None:
        _, writer = await asyncio.open_connection(*server.address)
        # More than the operating system keeps for two sockets, behind a request that has no end.
        writer.write(post() + b"x" * 30_000_000)
        for _ in range(2000):
            await asyncio.sleep(0)
        left.append(writer.transport.get_write_buffer_size() > 0)
        writer.transport.abort()

    serve(client, "provider:\n  - stream: [say: hel, stall: forever]\n")
    assert left == [True]


def test_what_follows_an_answer_and_is_no_request_is_refused_behind_it() -> None:
    got = list[bytes]()

    async def client(server: Server) -> None:
        got.append(await send(server, NOT_FOUND + b"garbage\r\n\r\n"))

    serve(client)
    assert [answer[:3] for answer in got[0].split(b"HTTP/1.1 ")[1:]] == [b"404", b"400"]


def test_a_client_that_asks_for_leave_to_send_its_body_gets_it() -> None:
    got = list[bytes]()
    head, _, body = post().partition(b"\r\n\r\n")

    async def client(server: Server) -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(head + b"\r\nexpect: 100-continue\r\n\r\n")
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(body)
        got.append(await reader.readline())
        writer.close()

    serve(client)
    assert got == [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"]


def test_http_1_0_is_answered_as_it_wants() -> None:
    assert statuses(b"GET /none HTTP/1.0\r\n\r\n") == ["HTTP/1.1 404 Not Found", GOOD]


# -- how an answer goes out --
@pytest.mark.parametrize(("how", "end"), [("cut", "closed"), ("reset", "reset")])
def test_a_stream_is_cut_and_reset_as_the_operating_system_does_it(how: str, end: str) -> None:
    seen = list[tuple[bytes, str]]()

    async def client(server: Server) -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(post())
        got = await reader.readuntil(b"hel")
        try:
            rest = await reader.read()
            seen.append((got[-3:], "whole" if rest.endswith(b"0\r\n\r\n") else "closed"))
        except ConnectionResetError:
            seen.append((got[-3:], "reset"))
        writer.close()

    serve(client, f"provider:\n  - stream: [say: hel, wait: 2s, disconnect: {how}]\n", speed=100.0)
    assert seen == [(b"hel", end)]


def test_a_client_that_does_not_read_holds_the_answer_up() -> None:
    ended = list[int]()
    # Twenty megabytes, a frame in each turn of the loop: more than the operating system keeps for a socket.
    steps = (*[Say(text="x" * 10_000)] * 2000, Finish(reason="stop"))

    async def client(server: Server) -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of both directions
        writer.write(post())
        for _ in range(6000):
            await asyncio.sleep(0)
        ended.append(len(server.events.of("stream.end")))
        writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        while not server.events.of("stream.end"):
            await reader.read(1 << 20)
        ended.append(len(server.events.of("stream.end")))
        writer.close()

    serve(client, Scenario(title="a long answer", provider=(Answer(reply=StreamReply(steps=steps)),)))
    assert ended == [0, 1]


def test_a_dial_that_times_out_is_silence() -> None:
    seen = list[str]()

    async def client(server: Server) -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        for _ in range(2):
            writer.write(post())
            await asyncio.sleep(0.05)
        with suppress(TimeoutError):
            seen.append(str(await asyncio.wait_for(reader.read(1), 0.2)))
        writer.close()

    server = serve(client, "provider:\n  - {connection: timeout}\n  - stream: [say: a, finish: stop]\n")
    told = [(e.kind, e.get("how")) for e in server.events if e.kind != "answer.unused"]
    assert (seen, told) == ([], [("connection.refused", "timeout")])


def test_a_dial_that_is_refused_is_a_reset_and_no_connection() -> None:
    seen = list[str]()

    async def client(server: Server) -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(post())
        try:
            await reader.read()
        except ConnectionResetError:
            seen.append("reset")
        writer.close()

    server = serve(client, "provider:\n  - {connection: refused}\n")
    assert (seen, [e.kind for e in server.events]) == (["reset"], ["connection.refused"])


def test_what_the_script_does_not_foresee_is_500_with_the_reason() -> None:
    got = list[bytes]()

    async def client(server: Server) -> None:
        got.append(await send(server, post()))

    server = serve(client, "provider:\n  - {when: {model: other}, stream: [say: a, finish: stop]}\n")
    head, _, body = got[0].partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert (status(got[0]), b"x-should-retry: false" in head, error["type"], error["message"]) == (
        "HTTP/1.1 500 Internal Server Error",
        True,
        "unmatched",
        server.ended and server.ended.text,
    )


def test_an_answer_that_cannot_go_on_is_broken_off() -> None:
    seen = list[str]()

    async def client(server: Server) -> None:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(post())
        await reader.readuntil(b"hel")
        try:
            await reader.read()
        except ConnectionResetError:
            seen.append("reset")
        writer.close()

    server = serve(client, "provider:\n  - stream: [say: hel, wait: 1s, {error: no, form: nested}]\n")
    assert (seen, server.ended and server.ended.reason) == (["reset"], "unplayable")

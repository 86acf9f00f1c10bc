"""Transports: what a protocol sees is what stock asyncio would show it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from simkit.kernel.world import World
from tests.kernel.wire import Diary, Peer, serve_peer

HOST = "peer.example.com"


class Buffered(asyncio.BufferedProtocol):
    """Takes at most four bytes at a time."""

    def __init__(self) -> None:
        self.buffer = bytearray(4)
        self.calls: list[object] = []

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.calls.append(bytes(self.buffer[:nbytes]))


def run(client: Callable[[World, list[Peer]], Any]) -> Any:
    world = World()
    peers = serve_peer(world)

    async def main() -> Any:
        return await client(world, peers)

    return world.run(main)


async def connect(protocol: Callable[[], Any] = Diary, **more: Any) -> tuple[asyncio.Transport, Any]:
    return await asyncio.get_running_loop().create_connection(protocol, HOST, 80, **more)


def test_nothing_is_handed_over_while_reading_is_paused() -> None:
    async def client(world: World, peers: list[Peer]) -> list[object]:
        transport, diary = await connect()
        transport.pause_reading()
        peers[0].endpoint.send(b"one")
        peers[0].endpoint.send(b"two")
        peers[0].endpoint.close()
        await asyncio.sleep(5)
        diary.calls.append(("resumed", transport.is_reading(), transport.is_closing()))
        transport.resume_reading()
        await diary.over
        return list(diary.calls)

    assert run(client) == ["made", ("resumed", False, False), b"onetwo", "eof", ("lost", "NoneType")]


def test_a_buffered_protocol_is_given_as_much_as_its_buffer_takes() -> None:
    async def client(world: World, peers: list[Peer]) -> list[object]:
        transport, protocol = await connect(Buffered)
        peers[0].endpoint.send(b"0123456789")
        await asyncio.sleep(1)
        transport.close()
        return list(protocol.calls)

    assert run(client) == [b"0123", b"4567", b"89"]


@pytest.mark.parametrize("call", ["data_received", "eof_received"])
def test_a_protocol_that_raises_is_reported_and_its_connection_broken(call: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("cannot parse")

    async def client(world: World, peers: list[Peer]) -> list[object]:
        told = list[object]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
        _, diary = await connect()
        setattr(diary, call, fail)
        peers[0].endpoint.send(b"a")
        peers[0].endpoint.end()
        await diary.over
        await asyncio.sleep(1)
        return [told, diary.calls[-1], peers[0].heard]

    assert run(client) == [["cannot parse"], ("lost", "RuntimeError"), ["end"]]


def test_closing_and_aborting_are_told_once_and_in_a_later_round() -> None:
    async def client(world: World, peers: list[Peer]) -> list[object]:
        seen = list[object]()
        for act in ("close", "abort"):
            transport, diary = await connect()
            getattr(transport, act)()
            transport.close()
            transport.abort()
            seen.append((list(diary.calls), transport.is_closing()))
            await diary.over
            await asyncio.sleep(1)
            seen.append((diary.calls, peers[-1].heard))
        return seen

    # A selector transport closes its socket in both cases; only what it had still to send is dropped by the second.
    assert run(client) == [(["made"], True), (["made", ("lost", "NoneType")], ["end"])] * 2


def test_writing_is_refused_where_asyncio_refuses_it() -> None:
    async def client(world: World, peers: list[Peer]) -> list[str]:
        transport, _ = await connect()
        said = list[str]()
        for data, eof in (("text", False), (b"after", True)):
            if eof:
                transport.write_eof()
            try:
                transport.write(data)  # type: ignore[arg-type]  # the mistake that is told
            except (TypeError, RuntimeError) as error:
                said.append(str(error))
        transport.close()
        return said

    assert run(client) == [
        "data argument must be a bytes-like object, not 'str'",
        "Cannot call write() after write_eof()",
    ]


def test_streams_read_write_and_close() -> None:
    async def client(world: World, peers: list[Peer]) -> list[object]:
        reader, writer = await asyncio.open_connection(HOST, 80)
        writer.writelines([b"hel", b"lo"])
        await writer.drain()
        await asyncio.sleep(1)
        peers[0].endpoint.send(b"first line\nsecond")
        peers[0].endpoint.send(b" line\nrest")
        lines = [await reader.readline(), await reader.readline()]
        peers[0].endpoint.close()
        lines.append(await reader.read())
        writer.close()
        await writer.wait_closed()
        return [peers[0].heard, *lines, reader.at_eof()]

    assert run(client) == [[b"hello"], b"first line\n", b"second line\n", b"rest", True]


def test_a_stream_read_times_out_at_its_exact_instant() -> None:
    async def client(world: World, peers: list[Peer]) -> float:
        reader, writer = await asyncio.open_connection(HOST, 80)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(90):
                await reader.read(1)
        writer.close()
        return world.now

    assert run(client) == 90.0


def test_tls_passes_bytes_through_and_shows_itself_to_those_who_ask() -> None:
    async def client(world: World, peers: list[Peer]) -> list[object]:
        reader, writer = await asyncio.open_connection(HOST, 443, ssl=ssl.create_default_context())
        writer.write(b"question")
        await asyncio.sleep(1)
        peers[0].endpoint.send(b"answer")
        answer = await reader.read(100)
        tls: Any = writer.get_extra_info("ssl_object")
        shown = [tls.version(), tls.selected_alpn_protocol(), tls.server_hostname, tls.pending()]
        peers[0].endpoint.close()
        rest = await reader.read()
        writer.close()
        return [peers[0].heard[0], answer, rest, *shown]

    assert run(client) == [b"question", b"answer", b"", "TLSv1.3", None, HOST, 0]


def test_trust_stores_are_not_loaded_inside_but_a_missing_file_is_still_missed() -> None:
    def main() -> list[object]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        with pytest.raises(FileNotFoundError):
            context.load_verify_locations("no/such/file.pem")
        return [context.cert_store_stats()["x509"], type(context)]

    assert World().run(main) == [0, ssl.SSLContext]


def test_the_socket_below_answers_those_who_look_and_its_descriptor_is_no_real_one() -> None:
    async def client(world: World, peers: list[Peer]) -> list[object]:
        transport, diary = await connect()
        below: Any = transport.get_extra_info("socket")
        seen: list[object] = [below.getpeername(), below.fileno() > 100_000, below.getsockopt(1, 2)]
        below.setsockopt(1, 2, 3)
        transport.close()
        await diary.over
        return [*seen, below.fileno()]

    assert run(client) == [("198.18.0.1", 80), True, 0, -1]

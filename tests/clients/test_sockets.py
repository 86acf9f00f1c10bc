"""The standard library's own networking, from asyncio's streams down to ``select``, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import select
import selectors
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simkit.kernel.world import World
from tests.kernel.wire import steps

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes a second for each line."""
    while line := await reader.readline():
        await asyncio.sleep(1)
        writer.write(line.upper())
    writer.close()


async def said(streams: Streams) -> bytes:
    """Say a line and return the answer."""
    reader, writer = streams
    writer.write(b"hello\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


# -- asyncio --------------------------------------------------------------------------------------------------------
def test_streams_meet_a_server_of_the_same_world_by_name_and_by_address() -> None:
    world = World()

    async def main() -> tuple[list[bytes], float]:
        server = await asyncio.start_server(shout, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            answers = [await said(await asyncio.open_connection(name, port)) for name in ("localhost", "127.0.0.1")]
        return answers, world.now

    assert world.run(main) == ([b"HELLO\n"] * 2, 2.0)


def test_tls_streams_meet_a_server_without_a_certificate() -> None:
    world = World()

    async def main() -> tuple[bytes, object]:
        serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        async with await asyncio.start_server(shout, "127.0.0.1", 443, ssl=serving):
            streams = await asyncio.open_connection("localhost", 443, ssl=asking)
            version = streams[1].get_extra_info("ssl_object").version()
            return await said(streams), version

    assert world.run(main) == (b"HELLO\n", "TLSv1.3")


def test_a_connection_is_lifted_to_tls_while_it_is_open() -> None:
    world = World()

    async def lift(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"go\n")
        await writer.drain()
        await writer.start_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        await shout(reader, writer)

    async def main() -> tuple[bytes, bytes]:
        async with await asyncio.start_server(lift, "127.0.0.1", 25):
            reader, writer = await asyncio.open_connection("localhost", 25)
            writer.write(b"STARTTLS\n")
            go = await reader.readline()
            await writer.start_tls(ssl.create_default_context(), server_hostname="localhost")
            return go, await said((reader, writer))

    assert world.run(main) == (b"go\n", b"HELLO\n")


def test_a_unix_socket_is_found_by_its_path(tmp_path: Path) -> None:
    world, path = World(), str(tmp_path / "agent.sock")

    async def main() -> tuple[bytes, bool]:
        async with await asyncio.start_unix_server(shout, path):
            return await said(await asyncio.open_unix_connection(path)), Path(path).exists()

    # Nothing is left in the real file system.
    assert world.run(main) == (b"HELLO\n", False)


def test_datagrams_go_to_and_fro_between_endpoints() -> None:
    world = World()
    log: list[tuple[float, str, bytes]] = []

    class Peer(asyncio.DatagramProtocol):
        def __init__(self, name: str, answer: bytes = b"") -> None:
            self.name, self.answer = name, answer
            self.transport: Any = None

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            log.append((world.now, self.name, data))
            if self.answer:
                asyncio.get_running_loop().call_later(1, self.transport.sendto, self.answer, addr)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        served, _ = await loop.create_datagram_endpoint(lambda: Peer("server", b"pong"), ("127.0.0.1", 53))
        asking, _ = await loop.create_datagram_endpoint(lambda: Peer("client"), remote_addr=("127.0.0.1", 53))
        asking.sendto(b"ping")
        await asyncio.sleep(2)
        served.close()
        asking.close()

    world.run(main)
    assert log == [(0.0, "server", b"ping"), (1.0, "client", b"pong")]


def test_a_loop_reads_writes_accepts_and_connects_plain_sockets() -> None:
    world = World()

    async def serve(listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection, _ = await loop.sock_accept(listener)
        with connection:
            buffer = bytearray(10)
            size = await loop.sock_recv_into(connection, buffer)
            await asyncio.sleep(1)
            await loop.sock_sendall(connection, bytes(buffer[:size]).upper())

    async def main() -> tuple[bytes, bytes, float]:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 8000)) as listener, socket.socket() as client:
            listener.setblocking(False)
            client.setblocking(False)
            serving = asyncio.create_task(serve(listener))
            await loop.sock_connect(client, ("127.0.0.1", 8000))
            await loop.sock_sendall(client, b"hello")
            answer, end = await loop.sock_recv(client, 100), await loop.sock_recv(client, 100)
            await serving
        return answer, end, world.now

    assert world.run(main) == (b"HELLO", b"", 1.0)


def test_a_loop_sends_and_takes_datagrams_on_plain_sockets() -> None:
    world = World()

    async def main() -> tuple[bytes, bool]:
        loop = asyncio.get_running_loop()
        left, right = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        with left, right:
            for sock in (left, right):
                sock.setblocking(False)
                sock.bind(("127.0.0.1", 0))
            await loop.sock_sendto(left, b"ping", right.getsockname())
            data, sender = await loop.sock_recvfrom(right, 100)
            return data, sender == left.getsockname()

    assert world.run(main) == (b"ping", True)


def test_a_loop_watches_a_socket_with_add_reader() -> None:
    world = World()

    async def main() -> list[tuple[float, bytes]]:
        loop, log = asyncio.get_running_loop(), list[tuple[float, bytes]]()
        left, right = socket.socketpair()
        with left, right:
            loop.add_reader(left, lambda: log.append((world.now, left.recv(100))))
            loop.call_later(3, right.send, b"hello")
            await asyncio.sleep(4)
            loop.remove_reader(left)
        return log

    assert world.run(main) == [(3.0, b"hello")]


# -- blocking sockets -----------------------------------------------------------------------------------------------
def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_pair_of_sockets_blocks_and_times_out_at_the_exact_instant() -> None:
    world = World()

    def main() -> list[object]:
        left, right = socket.socketpair()
        with left, right:
            in_thread(steps(lambda: time.sleep(2), lambda: right.sendall(b"late")))
            log: list[object] = [(left.recv(100), world.now)]
            left.settimeout(1.5)
            try:
                left.recv(100)
            except TimeoutError:
                log.append(("timeout", world.now))
            right.shutdown(socket.SHUT_WR)
            return [*log, left.recv(100)]

    assert world.run(main) == [(b"late", 2.0), ("timeout", 3.5), b""]


@pytest.mark.parametrize("server_class", [socketserver.TCPServer, socketserver.ThreadingTCPServer])
def test_socketserver_serves_one_after_the_other_or_side_by_side(server_class: Any) -> None:
    world = World()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline()
            time.sleep(1)
            self.wfile.write(line.upper())

    def ask(address: Any) -> bytes:
        with socket.create_connection(address) as client, client.makefile("rwb") as file:
            file.write(b"hello\n")
            file.flush()
            return file.readline()

    def main() -> tuple[list[bytes], float]:
        with server_class(("127.0.0.1", 0), Handler) as server:
            serving = in_thread(server.serve_forever)
            answers: list[bytes] = []
            asking = [in_thread(lambda: answers.append(ask(server.server_address))) for _ in range(3)]
            for thread in asking:
                thread.join()
            now = world.now
            server.shutdown()
            serving.join()
        return answers, now

    # At the end of its last request a server of one thread has served the three in a row.
    seconds = 3.0 if server_class is socketserver.TCPServer else 1.0
    assert world.run(main) == ([b"HELLO\n"] * 3, seconds)


def by_select(socks: list[socket.socket], timeout: float) -> list[Any]:
    return list(select.select(socks, [], [], timeout)[0])


def by_poll(socks: list[socket.socket], timeout: float) -> list[Any]:
    poll = select.poll()
    for sock in socks:
        poll.register(sock, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(timeout * 1000)}
    return [sock for sock in socks if sock.fileno() in ready]


def by_selector(socks: list[socket.socket], timeout: float) -> list[Any]:
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(timeout)]


@pytest.mark.parametrize("wait", [by_select, by_poll, by_selector])
def test_many_sockets_are_waited_for_at_once(wait: Callable[[list[socket.socket], float], list[Any]]) -> None:
    world = World()

    def main() -> list[tuple[float, list[int]]]:
        pairs = [socket.socketpair() for _ in range(3)]
        lefts, log = [left for left, _ in pairs], list[tuple[float, list[int]]]()
        pause = partial(time.sleep, 2)
        in_thread(steps(pause, lambda: pairs[1][1].send(b"x"), pause, lambda: pairs[2][1].close()))
        for timeout in (1.0, 5.0, 5.0):
            ready = wait(lefts, timeout)
            log.append((world.now, [lefts.index(sock) for sock in ready]))
            for sock in ready:
                sock.recv(10)
        return log

    assert world.run(main) == [(1.0, []), (2.0, [1]), (4.0, [2])]


def test_a_listener_that_is_shut_down_ends_the_waiting_for_clients() -> None:
    world = World()

    def main() -> list[object]:
        log: list[object] = []
        listener = socket.create_server(("127.0.0.1", 8000))

        def accepting() -> None:
            with contextlib.closing(listener):
                try:
                    listener.accept()
                except OSError as error:
                    log.append((world.now, error.strerror))

        thread = in_thread(accepting)
        time.sleep(3)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        return log

    assert world.run(main) == [(3.0, "Invalid argument")]


# -- flow control -----------------------------------------------------------------------------------------------------
MEGABYTES = 4 * 1024 * 1024


def test_drain_waits_for_a_reader_that_is_slow() -> None:
    world = World()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(10)
        while await reader.read(65536):
            pass
        writer.close()

    async def main() -> list[float]:
        async with await asyncio.start_server(slow, "127.0.0.1", 8000):
            reader, writer = await asyncio.open_connection("127.0.0.1", 8000)
            writer.write(bytes(1000))
            await writer.drain()
            times = [world.now]
            writer.write(bytes(MEGABYTES))
            await writer.drain()
            times.append(world.now)
            writer.write_eof()
            await reader.read()
            writer.close()
        return times

    assert world.run(main) == [0.0, 10.0]


def test_sendall_waits_for_a_reader_that_is_slow_and_times_out_while_it_waits() -> None:
    world = World()

    def main() -> list[object]:
        left, right = socket.socketpair()
        log: list[object] = []

        def slow() -> None:
            time.sleep(10)
            size = 0
            while piece := right.recv(65536):
                size += len(piece)
            log.append(size)

        reading = in_thread(slow)
        left.settimeout(4)
        try:
            left.sendall(bytes(MEGABYTES))
        except TimeoutError:
            log.append(("timeout", world.now))
        left.settimeout(None)
        left.sendall(bytes(MEGABYTES))
        log.append(("sent", world.now))
        left.close()
        reading.join()
        right.close()
        return log

    log = world.run(main)
    # What fits into the two buffers went out before the timeout.
    assert log == [("timeout", 4.0), ("sent", 10.0), MEGABYTES + 384 * 1024]

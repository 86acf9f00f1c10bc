"""How a server behaves, told once, and played on two machines: the simulated network and real loopback sockets.

The idea: an answer is a tuple of steps (bytes to send, seconds to wait, a way to hang up), so a behaviour is data
that two small drivers play. The constraint: neither driver adds anything of its own, and the one on sockets is
plain blocking code, which also runs inside a world on simulated sockets: a third machine for nothing. A server
of a framework was refused: none hangs up in the middle of a header.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from simkit.kernel.network import Endpoint
from simkit.kernel.world import World
from simkit.model.duration import NS_PER_S

HOST = "twin.example.com"
_PIECE = 64 * 1024
# How long a slow server thinks about each piece of an upload.
_THINKS_S = 0.001
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# SO_LINGER on, for no time: the close of such a socket is a reset.
_RESET = struct.pack("ii", 1, 0)


class HangUp(enum.Enum):
    """How a server ends a connection."""

    EOF = "eof"
    RESET = "reset"


Step = bytes | float | HangUp


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of the client: with a body of so many bytes, and what the client does around it."""

    body: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    reads_slowly: bool = False
    # Seconds of doing nothing after the answer.
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """What the client asks, and what the server answers to each request; the last answer goes on for ever."""

    answers: tuple[tuple[Step, ...], ...]
    asks: tuple[Ask, ...] = (Ask(),)
    refuses: bool = False
    reads_slowly: bool = False
    # The clients' read timeout: short only where it is meant to strike, since a real machine may be slow.
    timeout_s: float = 5.0

    def answer(self, number: int) -> tuple[Step, ...]:
        """Return the answer to this request, counted from 0."""
        return self.answers[min(number, len(self.answers) - 1)]


@dataclass
class Log:
    """What the server saw: for each connection the checksum of every request, and how the client ended it."""

    connections: list[list[object]] = field(default_factory=list)
    requests: int = 0

    def opened(self) -> list[object]:
        """Begin the page of a connection."""
        self.connections.append([])
        return self.connections[-1]

    def next_request(self) -> int:
        """Return the number of a request, over all connections."""
        self.requests += 1
        return self.requests - 1


def checksum(data: bytes) -> tuple[int, int]:
    """Return size and checksum: what two sides compare of megabytes."""
    return len(data), zlib.crc32(data)


class Requests:
    """Reads requests, bodies by ``content-length`` only: no client of the table sends chunks."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._head = b""
        self._wanted: int | None = None

    def feed(self, data: bytes) -> Iterator[tuple[int, int] | bytes]:
        """Yield the checksum of every complete request, and before a body that is held back the leave to send it."""
        self._data += data
        while True:
            if self._wanted is None:
                head, found, rest = bytes(self._data).partition(b"\r\n\r\n")
                if not found:
                    return
                self._data[:] = rest
                lines = [line.partition(b":") for line in head.lower().splitlines()]
                # What is sent must be the same on both machines, down to every header but the server's own name.
                self._head = b"".join(name + value for name, _, value in lines if name != b"host")
                headers = {name.strip(): value.strip() for name, _, value in lines}
                self._wanted = int(headers.get(b"content-length", b"0"))
                if headers.get(b"expect") == b"100-continue":
                    yield _CONTINUE
            if len(self._data) < self._wanted:
                return
            body = bytes(self._data[: self._wanted])
            del self._data[: self._wanted]
            self._wanted = None
            yield checksum(self._head + body)


# -- the simulated network ----------------------------------------------------------------------------------------
class Scripted:
    """A server's side of one simulated connection. As a thread would, it hears of the client's end between answers."""

    def __init__(self, world: World, endpoint: Endpoint, case: Case, log: Log) -> None:
        self._world, self._endpoint, self._case, self._log = world, endpoint, case, log
        self._page = log.opened()
        self._requests = Requests()
        self._busy = False
        self._end = ""

    def received(self, data: bytes) -> None:
        if self._case.reads_slowly:
            self._later(_THINKS_S, lambda: self._read(data))
        else:
            self._read(data)

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._world.call_later_ns(round(delay_s * NS_PER_S), action)

    def _read(self, data: bytes) -> None:
        self._endpoint.consumed(len(data))
        for what in self._requests.feed(data):
            if isinstance(what, bytes):
                self._endpoint.send(what)
            else:
                self._page.append(what)
                self._play(self._case.answer(self._log.next_request()))

    def _play(self, steps: tuple[Step, ...]) -> None:
        self._busy = True
        for place, step in enumerate(steps):
            if isinstance(step, HangUp):
                self._page.append("hung up")
                (self._endpoint.close if step is HangUp.EOF else self._endpoint.reset)()
                return
            if isinstance(step, float):
                self._later(step, functools.partial(self._play, steps[place + 1 :]))
                return
            self._endpoint.send(step)
        self._busy = False
        self._say_end()

    def ended(self) -> None:
        self._end = self._end or "end"
        self._say_end()

    def lost(self, error: OSError) -> None:
        self._end = type(error).__name__
        self._say_end()

    def _say_end(self) -> None:
        if self._end and not self._busy:
            self._page.append(self._end)
            self._endpoint.close()

    def drained(self) -> None:
        pass


def serve_scripted(world: World, case: Case, log: Log) -> str:
    """Play a case on the simulated network and return where."""
    host = world.network.declare(HOST)
    admit = (lambda port, stage: "refused" if stage == "connect" else None) if case.refuses else None
    host.serve(lambda endpoint: Scripted(world, endpoint, case, log), admit)
    return f"http://{HOST}:8080"


# -- sockets ------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def serve_on_sockets(case: Case, log: Log) -> Iterator[str]:
    """Play a case on loopback sockets, each connection in a thread of its own; give where, and wait for their end."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if case.refuses:
        listener.close()
        yield address
        return
    threads: list[threading.Thread] = []

    def accept() -> None:
        # Who stops the server shuts the listening socket down, and that ends the waiting.
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                page = log.opened()
                threads.append(threading.Thread(target=_serve, args=(connection, case, log, page)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield address
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        for thread in threads:
            thread.join()


def _serve(connection: socket.socket, case: Case, log: Log, page: list[object]) -> None:
    requests = Requests()
    with connection:
        try:
            while data := connection.recv(_PIECE):
                if case.reads_slowly:
                    time.sleep(_THINKS_S)
                for what in requests.feed(data):
                    if isinstance(what, bytes):
                        connection.sendall(what)
                        continue
                    page.append(what)
                    if not _played(connection, case.answer(log.next_request())):
                        page.append("hung up")
                        return
            page.append("end")
        except OSError as error:
            page.append(type(error).__name__)


def _played(connection: socket.socket, steps: tuple[Step, ...]) -> bool:
    """Play an answer; return whether the connection goes on."""
    for step in steps:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, HangUp):
            if step is HangUp.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return False
        else:
            time.sleep(step)
    return True

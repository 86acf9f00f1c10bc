"""Hanging up on a thread that waits for the network: from another thread, at any moment, and without harm to others.

The idea: a thread that reads an answer says which socket it is in, each time that it goes into one, and whoever gives
up on the answer shuts down just that socket. The constraint it protects: a turn that is over leaves no thread and no
request behind, and a connection that went back to its pool in the meantime is left alone. Closing the SDK's stream was
refused: from another thread it closes the descriptor, which on Linux wakes nobody, and what the reader waits in has
then no number any more, or another file's.

What was measured, with a reader that waits for more of a stream, on real sockets and in a simulated world:

==========================  ===================================  =============================================
from another thread         on real sockets                      in a world
==========================  ===================================  =============================================
``stream.close()``          the reader waits on to its read      the reader waits on to its read timeout; the
                            timeout, and so does the provider    provider hears of the end at once
``shutdown`` of the socket  both hear of the end at once         both hear of the end at once
==========================  ===================================  =============================================

The HTTP library has no public way to say which socket a request uses before its headers are there, so the backend of
its pool is wrapped where it has one under the name that it has today. Where it has none, nobody can hang up: then the
reader is left behind, ends with the SDK's read timeout at the latest, and sends nothing more.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

# Whoever reads in this thread.
_LINE: Final[ContextVar[Line | None]] = ContextVar("line", default=None)

# How long the next byte of a stream that is over may take before its connection is given up. As the openai SDK does it.
_DRAIN_S: Final = 0.1


class HungUpError(BaseException):
    """Nobody waits for this thread any more. No ``Exception``: an SDK would take it for a reason to try again."""


class Line:
    """What a thread that talks to a provider can be reached by."""

    def __init__(self) -> None:
        self.dead = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._hurried = False

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Be the line of the calling thread."""
        token = _LINE.set(self)
        try:
            yield
        finally:
            _LINE.reset(token)

    @contextmanager
    def held(self, sock: socket.socket | None) -> Iterator[None]:
        """Be found in this socket. Raises ``HungUpError`` where somebody has hung up."""
        with self._lock:
            self.check()
            self._socket = sock
        try:
            yield
        finally:
            with self._lock:
                self._socket = None
        self.check()

    def check(self) -> None:
        """Raise ``HungUpError`` where somebody has hung up."""
        if self.dead:
            raise HungUpError

    def hang_up(self) -> None:
        """Wake the thread if it waits in a socket, and let it go into none again."""
        with self._lock:
            self.dead = True
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side was faster

    def hurry(self) -> None:
        """Wait for hardly anything any more: what matters has come."""
        self._hurried = True

    def patience(self, timeout_s: float | None) -> float | None:
        """Return how long a read waits that may wait so long."""
        if not self._hurried:
            return timeout_s
        return _DRAIN_S if timeout_s is None else min(timeout_s, _DRAIN_S)


def drain(events: Iterable[object]) -> None:
    """Read a stream that has said its last word to its end, so that its connection can be used again."""
    line = _LINE.get()
    if line is None:
        return
    line.hurry()
    try:
        for _ in events:
            pass
    except Exception:  # noqa: BLE001  # the answer is whole: whatever becomes of the connection changes nothing
        pass


# -- under the SDK -------------------------------------------------------------------------------------------------
def tap(http: Any) -> None:  # of whichever library the SDK uses
    """Have every connection of this HTTP client tell the line of the thread that uses it."""
    for transport in (getattr(http, "_transport", None), *getattr(http, "_mounts", {}).values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None and hasattr(pool, "_network_backend"):
            pool._network_backend = TappedBackend(pool._network_backend)


class TappedBackend:
    """Opens connections that tell who uses them."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, *args: Any, **options: Any) -> TappedStream:
        """Connect."""
        return TappedStream(self._backend.connect_tcp(*args, **options))

    def connect_unix_socket(self, *args: Any, **options: Any) -> TappedStream:
        """Connect."""
        return TappedStream(self._backend.connect_unix_socket(*args, **options))

    def sleep(self, seconds: float) -> None:
        """Wait between two attempts to connect."""
        self._backend.sleep(seconds)


class TappedStream:
    """A connection that tells who uses it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for bytes where one can be reached."""
        line = _LINE.get() or Line()
        with line.held(self._stream.get_extra_info("socket")):
            data: bytes = self._stream.read(max_bytes, line.patience(timeout))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Wait for room where one can be reached."""
        with (_LINE.get() or Line()).held(self._stream.get_extra_info("socket")):
            self._stream.write(buffer, timeout)

    def start_tls(self, *args: Any, **options: Any) -> TappedStream:
        """Speak TLS from here on."""
        with (_LINE.get() or Line()).held(self._stream.get_extra_info("socket")):
            return TappedStream(self._stream.start_tls(*args, **options))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection knows."""
        return self._stream.get_extra_info(info)

"""What arrives: one request after the other, taken off the wire whole, and how much of it is taken at most.

The idea: h11 finds where a request ends, and its bytes are kept as they came, so that whoever answers it reads exactly
what the client sent. The constraint: every way in which a client can send without end has a bound, and the refusal of
each has the status that servers give it. Handing bytes on as they come was refused: a request that is refused half-way
would then be half in the script.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import h11

from simkit.contracts import HttpRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a server takes from its clients at most. Seconds are real ones."""

    # Far more clients than a test has, far fewer than a process may have open files.
    connections: int = 1000
    # Four times what the usual servers allow for a request line and its headers.
    head_bytes: int = 64 * 1024
    # A long conversation with images in it is some megabytes; what is longer than this never ends.
    body_bytes: int = 64 * 1024 * 1024
    # All requests together that are not complete yet.
    held_bytes: int = 512 * 1024 * 1024
    # From the first byte of a request to its last.
    arrival_s: float = 30.0
    # How long a client that was refused is listened to, so that it can read why.
    linger_s: float = 1.0


class WholeRequest(NamedTuple):
    """A request that is complete: what it asks for, and all its bytes as they came."""

    head: HttpRequest
    data: bytes


class RequestReader:
    """Finds the end of a request. What it keeps of a request are its bytes, so that they can be read once more."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.forget()

    def forget(self) -> None:
        """Begin anew, with the next request."""
        # h11 reads one request and stops behind it; a new one has nothing to remember of the last answer.
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=self._bounds.head_bytes)
        self._data = bytearray()
        self._head: HttpRequest | None = None
        self._body_bytes = 0
        self._has_leave = False

    @property
    def held(self) -> int:
        """How many bytes of a request are here."""
        return len(self._data)

    @property
    def wants_leave(self) -> bool:
        """Say, once, that the client waits to be told to go on with its body (``Expect: 100-continue``)."""
        wants = self._h11.they_are_waiting_for_100_continue and not self._has_leave
        self._has_leave = self._has_leave or wants
        return wants

    def feed(self, data: bytes) -> WholeRequest | None:
        """Return the request when this completes it. Raises ``h11.RemoteProtocolError`` with the status for it."""
        self._data += data
        self._h11.receive_data(data)
        while True:
            match self._h11.next_event():
                case h11.Request() as request:
                    self._begin(request)
                case h11.Data(data=piece):
                    self._body_bytes += len(piece)
                    self._guard(self._body_bytes)
                case h11.EndOfMessage():
                    assert self._head is not None
                    return WholeRequest(self._head, bytes(self._data[: len(self._data) - len(self.rest)]))
                case _:
                    return None

    @property
    def rest(self) -> bytes:
        """What came behind the request that is complete."""
        return self._h11.trailing_data[0]

    def _begin(self, request: h11.Request) -> None:
        if request.http_version not in (b"1.0", b"1.1"):
            raise h11.RemoteProtocolError("only HTTP/1.1 is spoken here", error_status_hint=505)
        headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers)
        if sum(len(name) + len(value) for name, value in headers) + len(request.target) > self._bounds.head_bytes:
            raise h11.RemoteProtocolError(f"head over {self._bounds.head_bytes} bytes", error_status_hint=431)
        self._head = HttpRequest(request.method.decode("ascii"), request.target.decode("latin-1"), headers)
        length = self._head.header("content-length")
        self._guard(int(length) if length else 0)

    def _guard(self, size: int) -> None:
        if size > self._bounds.body_bytes:
            raise h11.RemoteProtocolError(f"body over {self._bounds.body_bytes} bytes", error_status_hint=413)

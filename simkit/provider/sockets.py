"""The stage on real sockets: a port of this machine where a provider plays, for clients in any language.

The idea: a ``Door`` is one TCP connection. It takes one whole request at a time off the wire, asks for whom it is, and
hands its bytes to whoever sits at that host, on a ``SocketLine``; the next request waits until this one is answered.
The constraint: what a client does wrong is refused here, before any of it reaches the script, and costs neither the
server nor the script anything; so whatever a network brings, what is played is what a world would play. A server
framework was refused, because each of them ends a cut stream politely.

===========================================  =====================================================
a client                                     gets
===========================================  =====================================================
that sends what is no HTTP                   400; 505 where it is another version
whose request does not come in time          408; closed without a word where nothing came at all
whose body is too long                       413
whose head is too long                       431
that is one too many                         503
that asks what the script does not foresee   500, with the reason
that goes, at whatever instant               nothing: its answer ends
===========================================  =====================================================

A listening socket learns of a connection only when it is there, and of its host with the first request. So ``refused``
and ``reset`` are both a reset in place of the answer, and ``timeout`` is silence on a connection that was accepted: the
client meets its read timeout there, and not the one for connecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

import h11

from simkit.contracts import HttpRequest
from simkit.dialects.jsontext import write_json
from simkit.errors import RunEndedError
from simkit.provider.arrivals import Bounds, RequestReader, WholeRequest
from simkit.provider.journal import Journal
from simkit.provider.stage import Accept, Admit, Guest, Timer
from simkit.provider.tempo import Tempo

# SO_LINGER on, for no time: the close of such a socket is a reset.
_RESET: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_TLS_HELLO: Final = 0x16
_GO_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


# -- the stage -----------------------------------------------------------------------------------------------------
class Hosted(NamedTuple):
    """One host of a script, by the name that it has there."""

    name: str
    accept: Accept
    admit: Admit


class SocketStage:
    """Where one provider plays; ``hosts`` are those that it serves, by their names in small letters."""

    def __init__(self, tempo: Tempo, journal: Journal, starts_ns: int) -> None:
        self.starts_ns = starts_ns
        self.hosts: dict[str, Hosted] = {}
        self._tempo = tempo
        self._journal = journal
        self._at_end: list[Callable[[], object]] = []
        self._door: Door | None = None
        self._is_over = False

    @property
    def now_ns(self) -> int:
        """Virtual nanoseconds since the start of the server."""
        return self._tempo.now_ns

    def call_later_ns(self, delay_ns: int, action: Callable[[], object], label: str) -> Timer:
        """Let the tempo wait; what happens then is still about the same client."""
        door = self._door
        return self._tempo.call_later_ns(delay_ns, lambda: self.perform(door, action))

    def record(self, actor: str, kind: str, **values: object) -> None:
        """Write an event into the journal."""
        self._journal.record(self.now_ns, actor, kind, **values)

    def end(self, reason: str, text: str) -> BaseException:
        """Remember that the script could not go on; the server does."""
        self.record("world", "run.end", reason=reason, text=text)
        return self._journal.end(reason, text)

    @property
    def struck(self) -> bool:
        """A server follows its script and no plan."""
        return False

    def fault_at(self, site: str) -> str:
        """A server has no faults but those of its script."""
        return ""

    def serve(self, host: str, accept: Accept, admit: Admit) -> None:
        """Make a host known by its name."""
        self.hosts[host.lower()] = Hosted(host, accept, admit)

    def at_end(self, action: Callable[[], object]) -> None:
        """Keep it for ``close``."""
        self._at_end.append(action)

    def close(self) -> None:
        """Do what is to be done at the end."""
        for action in self._at_end:
            self.perform(None, action)
        # What the script still waits for comes to nothing.
        self._is_over = True

    def perform(self, door: Door | None, action: Callable[[], object]) -> None:
        """Let the provider do something for the client at this door; whatever comes of it, the server goes on."""
        if self._is_over:
            return
        before, self._door = self._door, door
        try:
            action()
        except RunEndedError as error:
            if door is not None:
                door.fail(error.reason, error.text)
        except Exception as error:  # noqa: BLE001  # a mistake of simkit's own: told at the end, with its traceback
            self._journal.fail(error)
            if door is not None:
                door.fail("simkit_failed", f"simkit itself failed: {type(error).__name__}: {error}")
        finally:
            self._door = before


class SocketLine:
    """A connection to one host of a script."""

    def __init__(self, door: Door, place: Place, connection: int) -> None:
        self.connection = connection
        self.host = place.host.name
        self.port = place.port
        self._door = door

    @property
    def writable(self) -> bool:
        """Say whether the operating system takes more."""
        return self._door.writable

    @property
    def cut_off(self) -> bool:
        """Nobody can tell: to a socket it looks as if the client had done it."""
        return False

    def send(self, data: bytes) -> None:
        """Send it, or let the transport keep it until it can be sent."""
        if data:
            self._door.send(data)

    def consumed(self, count: int) -> None:
        """Nothing follows from it: a request is handed over when it is complete."""

    def answered(self) -> None:
        """Let the client's next request come."""
        self._door.next_request()

    def close(self) -> None:
        """Close, once everything is sent."""
        self._door.close()

    def reset(self) -> None:
        """Break the connection."""
        self._door.reset()

    def turn(self, action: Callable[[], object]) -> Timer:
        """Let the loop turn once: what was sent is then on its way by itself, though a client may read it later."""
        return self._door.turn(action)


# -- where a request goes ------------------------------------------------------------------------------------------
class Place(NamedTuple):
    """For whom a request is: a host of a stage, and the port by which it was named."""

    stage: SocketStage
    host: Hosted
    port: int


class Doors:
    """All connections of one server.

    ``route`` says for whom a request is, of a client that spoke to this stage before; ``settled`` is called whenever an
    answer or a connection is over.
    """

    def __init__(
        self,
        bounds: Bounds,
        journal: Journal,
        route: Callable[[HttpRequest, SocketStage | None], Place],
        settled: Callable[[], object],
    ) -> None:
        self.bounds = bounds
        self.journal = journal
        self.route = route
        self.settled = settled
        # Bytes of requests that are not complete.
        self.held = 0
        self.count = 0
        self._doors: dict[Door, None] = {}
        self._all_gone = asyncio.Event()

    def open(self) -> Door:
        """Return the protocol of a new connection."""
        return Door(self)

    def enter(self, door: Door) -> int:
        """Keep a connection; return how many there are."""
        self._doors[door] = None
        return len(self._doors)

    def leave(self, door: Door) -> None:
        """Forget a connection."""
        self._doors.pop(door, None)
        if not self._doors:
            self._all_gone.set()
        self.settled()

    def number(self) -> int:
        """Return the number of a further connection to a host."""
        self.count += 1
        return self.count

    def busy(self, stage: SocketStage) -> bool:
        """Say whether somebody waits for an answer of this stage."""
        return any(door.waits_for(stage) for door in self._doors)

    async def close(self) -> None:
        """End all connections, giving what is sent already the time to arrive."""
        for door in list(self._doors):
            door.dismiss()
        if self._doors:
            self._all_gone.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), self.bounds.linger_s)
        for door in list(self._doors):
            door.dismiss(at_once=True)
        # The transports tell their protocols in the next turn of the loop, which may be the last one.
        await asyncio.sleep(0)


class Seat(NamedTuple):
    """Who sits at a door: the host that the client speaks to, the line, and the one who answers on it."""

    place: Place
    line: SocketLine
    guest: Guest


class Door(asyncio.Protocol):
    """One TCP connection: takes requests one by one, and refuses what is none."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._bounds = doors.bounds
        self._transport: asyncio.Transport
        self._reader = RequestReader(doors.bounds)
        self._timer: asyncio.TimerHandle | None = None
        self._seat: Seat | None = None
        # A request was handed over, and its answer is not out.
        self._answering = False
        # Something of that answer was sent.
        self._began = False
        # What came behind the request that is being answered.
        self._rest = bytearray()
        self._close_noted = False
        # Nothing is read any more: refused, silent, or closing.
        self._deaf = False
        self.writable = True

    # -- from the network ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, unless there are too many."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        count = self._doors.enter(self)
        if count > 2 * self._bounds.connections:
            # More than can be told that they are too many.
            self.reset()
        elif count > self._bounds.connections:
            self._refuse(503, f"more than {self._bounds.connections} connections at a time")
        else:
            self._limit_arrival()

    def data_received(self, data: bytes) -> None:
        """Read, or keep what is to be read later."""
        if self._deaf:
            return
        if not self._answering and not self._rest:
            self._read(data)
            return
        self._rest += data
        if len(self._rest) > self._bounds.head_bytes:
            # Whoever sends so much ahead is heard again when it is its turn.
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client will send no more: whoever answers it decides."""
        if self._deaf or self._seat is None:
            return False
        self._note_close("client", "eof")
        seat = self._seat
        seat.place.stage.perform(self, seat.guest.ended)
        return not self._deaf

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._stop_timer()
        self._doors.held -= self._reader.held
        self._reader.forget()
        if not self._deaf:
            self._deaf = True
            self._leave("client", "reset" if exc else "eof")
        self._doors.leave(self)

    def pause_writing(self) -> None:
        """The client does not read."""
        self.writable = False

    def resume_writing(self) -> None:
        """The client has read."""
        self.writable = True
        if self._seat is not None and not self._deaf:
            self._seat.place.stage.perform(self, self._seat.guest.drained)

    # -- requests --------------------------------------------------------------------------------------------------
    def _read(self, data: bytes) -> None:
        """Read on until a request is complete."""
        reader, held = self._reader, self._reader.held
        if not held:
            self._limit_arrival()
        try:
            request = reader.feed(data)
        except h11.RemoteProtocolError as error:
            hint = "it speaks TLS, and this port does not - use http://" if _is_tls(held, data) else str(error)
            self._refuse(error.error_status_hint, hint)
            return
        finally:
            self._doors.held += reader.held - held
        if request is not None:
            self._stop_timer()
            self._rest += reader.rest
            self._doors.held -= reader.held
            reader.forget()
            self._hand_over(request)
        elif self._doors.held > self._bounds.held_bytes:
            self._refuse(503, "the requests that are not complete yet hold too much memory")
        elif reader.wants_leave:
            self._transport.write(_GO_ON)

    def _hand_over(self, request: WholeRequest) -> None:
        place = self._doors.route(request.head, self._seat.place.stage if self._seat is not None else None)
        if (self._seat is None or self._seat.place != place) and not self._sit(place):
            return
        assert self._seat is not None
        guest = self._seat.guest
        self._answering, self._began = True, False
        place.stage.perform(self, lambda: guest.received(request.data))

    def _sit(self, place: Place) -> bool:
        """Let the client speak to this host; say whether it can."""
        if self._seat is not None:
            self._leave("client", "eof")
        how = place.host.admit(place.port, "connect")
        if how is not None:
            place.stage.record("network", "connection.refused", host=place.host.name, port=place.port, how=how)
            if how == "timeout":
                self._deaf = True
            else:
                self.reset()
            self._doors.settled()
            return False
        line = SocketLine(self, place, self._doors.number())
        place.stage.record("network", "connection.open", connection=line.connection, host=line.host, port=line.port)
        self._seat, self._close_noted = Seat(place, line, place.host.accept(line)), False
        return True

    def next_request(self) -> None:
        """The answer is out: read on, in the next turn of the loop."""
        self._answering = False
        if self._rest:
            # Not at once: a thousand requests that came together would be a thousand calls deep.
            asyncio.get_running_loop().call_soon(self._read_on)
        self._doors.settled()

    def _read_on(self) -> None:
        if not self._deaf and not self._answering and self._rest:
            data = bytes(self._rest)
            self._rest.clear()
            self._transport.resume_reading()
            self._read(data)

    def _limit_arrival(self) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(self._bounds.arrival_s, self._too_late)

    def _too_late(self) -> None:
        if self._reader.held:
            self._refuse(408, f"the request did not come within {self._bounds.arrival_s:g} s")
        else:
            self._abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- answers -----------------------------------------------------------------------------------------------------
    def waits_for(self, stage: SocketStage) -> bool:
        """Say whether the client waits for an answer of this stage."""
        return self._answering and not self._deaf and self._seat is not None and self._seat.place.stage is stage

    def send(self, data: bytes) -> None:
        """Send bytes of an answer."""
        if not self._deaf:
            self._began = True
            self._transport.write(data)

    def turn(self, action: Callable[[], object]) -> Timer:
        """Do it for the same client, in the next turn of the loop."""
        assert self._seat is not None
        stage = self._seat.place.stage
        return asyncio.get_running_loop().call_soon(lambda: stage.perform(self, action))

    def close(self) -> None:
        """Close after what was sent; a client that does not take it in time loses it."""
        if not self._deaf:
            self._note_close("server", "eof")
            self._fall_deaf()
            self._transport.close()
            self._timer = asyncio.get_running_loop().call_later(self._bounds.arrival_s, self._abort)

    def reset(self) -> None:
        """Break the connection."""
        if not self._deaf:
            self._note_close("server", "reset")
            self._fall_deaf()
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def fail(self, reason: str, text: str) -> None:
        """Tell the client that the script has no answer; where one has begun, break it off."""
        if self._deaf or not self._answering:
            return
        if self._began:
            self.reset()
            return
        body = write_json({"type": "error", "error": {"message": text, "type": reason, "code": 500, "param": None}})
        self._say_no(500, "application/json", body, "x-should-retry: false\r\n")

    def _refuse(self, status: int, why: str) -> None:
        phrase = HTTPStatus(status).phrase
        self._doors.journal.remark(f"a client was refused with {status} ({phrase}): {why}")
        self._say_no(status, "text/plain; charset=utf-8", f"{status} {phrase}: {why}\n".encode())

    def _say_no(self, status: int, media: str, body: bytes, headers: str = "") -> None:
        """Say a last word, and listen for a while: to close at once would take it away from a client that sends."""
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {media}\r\n{headers}"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._transport.write(head.encode("latin-1") + body)
        self._fall_deaf()
        self._leave("server", "eof")
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(self._bounds.linger_s, self._abort)
        self._doors.settled()

    def dismiss(self, *, at_once: bool = False) -> None:
        """The server ends."""
        self._stop_timer()
        self._deaf = True
        if at_once:
            self._transport.abort()
        else:
            self._transport.close()

    def _fall_deaf(self) -> None:
        self._stop_timer()
        self._deaf = True
        self._rest.clear()

    def _abort(self) -> None:
        self._transport.abort()

    # -- who sits here -----------------------------------------------------------------------------------------------
    def _leave(self, by: str, how: str) -> None:
        """End what the client has with its host."""
        if self._seat is not None:
            self._note_close(by, how)
            seat, self._seat = self._seat, None
            gone = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            seat.place.stage.perform(None, lambda: seat.guest.lost(gone))

    def _note_close(self, by: str, how: str) -> None:
        """Say once who closed, and how."""
        seat = self._seat
        if seat is not None and not self._close_noted:
            self._close_noted = True
            seat.place.stage.record("network", "connection.close", connection=seat.line.connection, by=by, how=how)


def _is_tls(held: int, data: bytes) -> bool:
    return not held and data[0] == _TLS_HELLO

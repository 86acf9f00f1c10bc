"""The recording proxy: between a client and the real provider, on loopback, with a clock.

The idea: each request goes to the upstream as it came and each piece of the answer to the client as it comes, and what
was seen is written down with its instants, faults included: a body that broke off, a reset, a client that gave up, a
host that cannot be reached. The constraint: the client meets the upstream's own timing, so nothing is collected before
it is passed on; and what was recorded is on disk after each request, masked, whole files only, so a crash loses at most
what was still in the air. A proxy library was refused: each of them gathers a body somewhere, and ends it politely.

Decided here: one connection to the upstream for each request, so that no reuse of ours hides a fault of theirs; the
upstream is asked not to compress, so that a recording can be read; certificates are verified as every client does. A
host that cannot be reached is told to the client by a 502 with a JSON error, and to the scenario by what it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

import h11

from simkit.contracts import HttpRequest
from simkit.dialects.http import HttpConnection
from simkit.dialects.jsontext import write_json
from simkit.errors import UsageError
from simkit.model.duration import NS_PER_MS, NS_PER_S, format_duration
from simkit.model.timeline import Unreachable
from simkit.provider.recorder import Recording
from simkit.provider.vcrfiles import End, Interaction, Piece

# What one side says to the other about their own connection (RFC 9110, 7.6.1), and the body's framing, done anew.
_HOP_BY_HOP: Final = frozenset(
    """
    connection keep-alive proxy-connection te trailer transfer-encoding upgrade proxy-authenticate proxy-authorization
    """.split()  # noqa: SIM905  # a table of words reads better than a table of quotes
)
# Said anew to the upstream: who is asked, how long the body is, and that it should come as it reads.
_SAID_ANEW: Final = frozenset({"host", "content-length", "accept-encoding", "expect"})
_READ_BYTES: Final = 64 * 1024
_HEAD_BYTES_MAX: Final = 256 * 1024
# Longer than every client waits for a connection by default, so the client's own limit is what ends it.
_CONNECT_S: Final = 60.0
# A request of these without a body does not say that it has none.
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server behind the proxy: where it is, and the path that stands before every request's own."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, url: str) -> Upstream:
        """Read an address. Raises ``UsageError`` for what no request can be sent to."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UsageError(f"{url!r} is no upstream: expected an address such as https://api.openai.com")
        if parts.username or parts.password:
            raise UsageError("an upstream's address holds no name and password: let the client send its own key")
        usual = 443 if parts.scheme == "https" else 80
        return cls(parts.scheme, parts.hostname, port or usual, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """The host as it stands in an address: with its port where that is not the usual one."""
        usual = 443 if self.scheme == "https" else 80
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == usual else f"{name}:{self.port}"

    def target(self, request: HttpRequest) -> str:
        """Return what a request of a client asks of the upstream."""
        query = request.target.partition("?")[2]
        return f"{self.path}{request.path}" + (f"?{query}" if query else "")


# -- one exchange, as it is seen -----------------------------------------------------------------------------------
@dataclass(slots=True)
class _Seen:
    """An interaction while it happens; instants are the loop's."""

    url: str
    request: HttpRequest
    began_s: float
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    headers_s: float = 0.0
    ended_s: float = 0.0
    pieces: list[Piece] = field(default_factory=list)
    end: End = "open"
    unreachable: Unreachable | None = None
    # Why no connection came about.
    failure: str = ""

    @property
    def is_tellable(self) -> bool:
        """Whether the language has words for what happened."""
        return not self.failure or self.unreachable is not None

    def interaction(self, start_s: float) -> Interaction:
        """Return what was seen so far."""
        return Interaction(
            url=self.url,
            request=self.request,
            status=self.status,
            headers=self.headers,
            pieces=tuple(self.pieces),
            end=self.end,
            unreachable=self.unreachable,
            timed=True,
            at_ns=_ns(self.began_s - start_s),
            after_ns=_ns(self.headers_s - self.began_s) if self.status else 0,
            end_ns=_ns(self.ended_s - self.headers_s) if self.status and self.ended_s else 0,
        )


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


# -- the proxy -----------------------------------------------------------------------------------------------------
class Proxy:
    """Serves clients on one address and records what the upstream answers them.

    ``say`` is told one line for each request, without secrets. ``done`` is set when ``requests_max`` were served, or
    when recording cannot go on: ``failure`` is why.
    """

    def __init__(
        self, upstream: Upstream, recording: Recording, say: Callable[[str], None], requests_max: int | None = None
    ) -> None:
        self.done = asyncio.Event()
        self.failure: Exception | None = None
        self._upstream = upstream
        self._recording = recording
        self._say = say
        self._requests_max = requests_max
        self._tls = ssl.create_default_context() if upstream.scheme == "https" else None
        self._start_s: float | None = None
        self._count = self._served = 0
        self._clients: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Begin to accept clients. Raises ``UsageError`` when the address cannot be had."""
        try:
            return await asyncio.start_server(self._accept, host, port)
        except (OSError, OverflowError) as error:
            text = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot listen on {host}:{port}: {text} - give another --port") from error

    async def close(self) -> None:
        """End what is still open, and write it down as far as it came."""
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await asyncio.gather(*self._writers, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        client = _Client(reader, writer)
        try:
            await self._serve(client)
        except (OSError, asyncio.CancelledError):
            pass  # the client went, or the recording is over: what was seen is written down
        except Exception as error:  # noqa: BLE001  # whoever waits for the end of the recording is to hear of it
            self._fail(error)
        finally:
            client.close()
            self._clients.discard(task)

    async def _serve(self, client: _Client) -> None:
        async for request in client.requests():
            self._count += 1
            number, now_s = self._count, asyncio.get_running_loop().time()
            self._start_s = now_s if self._start_s is None else self._start_s
            target = self._upstream.target(request)
            url = f"{self._upstream.scheme}://{self._upstream.authority}{target}"
            seen = _Seen(url, replace(request, target=target), now_s)
            try:
                await client.while_there(_Relay(self._upstream, self._tls, client, seen).run())
            finally:
                # On its own, so that the client's next request need not wait for a disk.
                writer = asyncio.create_task(self._write(number, seen))
                self._writers.add(writer)
                writer.add_done_callback(self._writers.discard)
            if seen.end != "complete":
                return

    async def _write(self, number: int, seen: _Seen) -> None:
        assert self._start_s is not None
        one = seen.interaction(self._start_s)
        try:
            # In a thread, so that hearing a long stream does not hold up the pieces of another.
            async with self._writing:
                clean = await asyncio.to_thread(self._recording.add, number, one) if seen.is_tellable else None
            async with self._writing:
                await asyncio.to_thread(self._recording.save)
        except Exception as error:  # noqa: BLE001  # a full disk, or a mistake of ours: told where the recording ends
            self._fail(error)
            return
        self._say(
            _line_of(clean) if clean else f"{one.request.method} {one.request.path}  {seen.failure}, not recorded"
        )
        self._served += 1
        if self._requests_max is not None and self._served >= self._requests_max:
            self.done.set()

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self.done.set()


def _line_of(one: Interaction) -> str:
    request = f"{one.request.method} {one.request.target}"
    if one.unreachable:
        return f"{request}  connection {one.unreachable}"
    if not one.status:
        return f"{request}  no answer, {one.end}"
    size, count = len(one.body), len(one.pieces)
    lasted_ns = (one.after_ns + one.end_ns) // NS_PER_MS * NS_PER_MS
    pieces = f"{count} piece{'' if count == 1 else 's'}"
    return f"{request}  {one.status}, {pieces}, {size} bytes, {format_duration(lasted_ns)}, {one.end}"


# -- the client's side ---------------------------------------------------------------------------------------------
class _Client:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.http = HttpConnection()
        self._reader = reader
        self._writer = writer
        self._waiting: list[HttpRequest] = []
        self._is_gone = False

    async def requests(self) -> AsyncIterator[HttpRequest]:
        """Yield requests until no further one can come."""
        while not self._is_gone and not self.http.must_close:
            if self._waiting:
                yield self._waiting.pop(0)
                self._waiting += [] if self.http.must_close else self.http.next_requests()
            else:
                await self._read()

    async def while_there(self, relay: Coroutine[object, object, None]) -> None:
        """Run a relay for as long as the client is there; requests that it sends meanwhile wait."""
        relaying = asyncio.create_task(relay)
        reading = asyncio.create_task(self._read())
        try:
            while not relaying.done() and not self._is_gone:
                await asyncio.wait((relaying, reading), return_when=asyncio.FIRST_COMPLETED)
                if reading.done() and not self._is_gone and not relaying.done():
                    reading = asyncio.create_task(self._read())
        finally:
            gone = not relaying.done()
            for task in (relaying, reading):
                task.cancel()
            await asyncio.wait((relaying, reading))
        if not gone:
            relaying.result()

    async def _read(self) -> None:
        try:
            data = await self._reader.read(_READ_BYTES)
        except OSError:
            data = b""
        self._is_gone = self._is_gone or not data
        self._waiting += self.http.feed(data)
        await self.send(self.http.take_output())

    async def send(self, data: bytes) -> None:
        """Send to the client, no faster than it reads. A client that is gone is noticed where it is read from."""
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def close(self) -> None:
        """Close the connection, inside a body as well: the client sees it cut."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection with an RST."""
        raw = self._writer.get_extra_info("socket")
        # Not to linger at all is what makes a close an RST.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


# -- the upstream's side -------------------------------------------------------------------------------------------
class _Relay:
    """One request on its way to the upstream, and the answer on its way back."""

    def __init__(self, upstream: Upstream, tls: ssl.SSLContext | None, client: _Client, seen: _Seen) -> None:
        self._upstream = upstream
        self._tls = tls
        self._client = client
        self._seen = seen
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)

    async def run(self) -> None:
        """Relay, and note what is seen. Raises nothing of the upstream's: its faults are what is recorded."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_connection(self._upstream.host, self._upstream.port, ssl=self._tls)
        except (OSError, TimeoutError) as error:
            await self._tell_unreachable(error)
            return
        try:
            await self._ask(writer)
            await self._pass_on(reader)
        except OSError:
            self._broken("reset")
        except h11.RemoteProtocolError:
            self._broken("cut")
        finally:
            writer.transport.abort()

    async def _tell_unreachable(self, error: OSError) -> None:
        self._seen.unreachable, self._seen.failure = _why(error)
        self._seen.end = "complete"
        text = f"simkit record cannot reach {self._upstream.authority}: {self._seen.failure}"
        body = write_json({"error": {"message": text, "type": "upstream_unreachable", "param": None, "code": None}})
        await self._client.send(self._client.http.whole(502, {"content-type": "application/json"}, body))

    async def _ask(self, writer: asyncio.StreamWriter) -> None:
        request = self._seen.request
        headers = [(name, value) for name, value in _end_to_end(request.headers) if name not in _SAID_ANEW]
        headers += [("host", self._upstream.authority), ("accept-encoding", "identity"), ("connection", "close")]
        if request.body or request.method not in _BODILESS:
            headers.append(("content-length", str(len(request.body))))
        head = h11.Request(method=request.method, target=request.target, headers=[_latin(pair) for pair in headers])
        for event in (head, h11.Data(data=request.body), h11.EndOfMessage()):
            writer.write(self._http.send(event) or b"")
        await writer.drain()

    async def _pass_on(self, reader: asyncio.StreamReader) -> None:
        client, seen, clock = self._client, self._seen, asyncio.get_running_loop().time
        while True:
            match self._http.next_event():
                case h11.NEED_DATA:
                    self._http.receive_data(await reader.read(_READ_BYTES))
                case h11.Response() as response:
                    seen.status, seen.headers_s = response.status_code, clock()
                    seen.headers = tuple((name.decode(), value.decode("latin-1")) for name, value in response.headers)
                    await client.send(client.http.head(seen.status, _as_mapping(_end_to_end(seen.headers))))
                case h11.Data(data=data):
                    seen.pieces.append(Piece(_ns(clock() - seen.headers_s), bytes(data)))
                    await client.send(client.http.chunk(bytes(data)))
                case h11.EndOfMessage():
                    seen.end, seen.ended_s = "complete", clock()
                    await client.send(client.http.end())
                    return
                case h11.ConnectionClosed():
                    raise h11.RemoteProtocolError("closed before an answer")

    def _broken(self, how: End) -> None:
        self._seen.end, self._seen.ended_s = how, asyncio.get_running_loop().time()
        if how == "reset":
            self._client.reset()
        else:
            self._client.close()


def _why(error: OSError) -> tuple[Unreachable | None, str]:
    """Return how the connection failed in the language's word, and in a sentence; no word where it has none."""
    match error:
        case socket.gaierror():
            return "unknown_host", "its name is not known"
        case TimeoutError():
            return "timeout", f"no connection came about within {_CONNECT_S:.0f} seconds"
        case ssl.SSLError():
            reason = getattr(error, "verify_message", "") or error.reason or "the handshake failed"
            return None, f"TLS failed ({reason})"
    # Nobody listens or no way leads there; of several addresses asyncio tells one text for all.
    return "refused", "the connection was refused"


def _end_to_end(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers without those that are about one connection, also those that it names itself."""
    named = ",".join(value for name, value in headers if name == "connection")
    dropped = _HOP_BY_HOP | {name.strip().lower() for name in named.split(",")}
    return [(name, value) for name, value in headers if name not in dropped]


def _as_mapping(headers: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Return headers by name; one that comes again is written in other letters, since names have no case."""
    mapping = dict[str, str]()
    for name, value in headers:
        spellings = (name, name.title(), name.upper(), *(name[:n] + name[n:].title() for n in range(1, len(name))))
        free = next((spelling for spelling in spellings if spelling not in mapping), name)
        mapping[free] = value
    return mapping


def _latin(pair: tuple[str, str]) -> tuple[bytes, bytes]:
    return pair[0].encode("latin-1"), pair[1].encode("latin-1")


async def record(proxy: Proxy, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Record until the proxy is done or this is cancelled; ``ready`` is told the address once it listens.

    Whatever ends it, what was seen is written down. Raises what recording failed with.
    """
    server = await proxy.listen(host, port)
    address, bound = server.sockets[0].getsockname()[:2]
    ready(f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}")
    try:
        await proxy.done.wait()
    finally:
        server.close()
        await proxy.close()
    if proxy.failure is not None:
        raise proxy.failure

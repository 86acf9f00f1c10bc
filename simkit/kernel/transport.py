"""Transports: asyncio's view of a simulated connection.

The idea: what a protocol sees (order of callbacks, pause and resume, eof, the errors of a reset) is what stock
asyncio shows it, since HTTP clients lean on every detail of it. The constraint: a protocol is called only from
its loop's ready queue, never straight from the network, as with a selector. Patching
``asyncio.open_connection`` was refused: anyio, aiohttp and the SDKs go to the loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl as ssl_module
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal

from simkit.errors import NotSimulatedError
from simkit.kernel.network import Backlog
from simkit.kernel.sockets import SimSocket

if TYPE_CHECKING:
    from simkit.kernel.loop import SimEventLoop
    from simkit.kernel.network import Endpoint

# What has arrived and was not handed to the protocol: bytes, an end, or the error of a broken connection.
Arrival = bytes | Literal["end"] | OSError


class SimTransport(asyncio.Transport):
    """A stream transport over one endpoint."""

    def __init__(self, loop: SimEventLoop, endpoint: Endpoint, protocol: asyncio.BaseProtocol) -> None:
        local = ("127.0.0.1", loop.world.network.local_port(endpoint.connection))
        peer = (endpoint.host.address, endpoint.port)
        self._socket = SimSocket(loop.world.network.descriptor(lambda: bool(self._arrived)), local, peer)
        super().__init__({"socket": self._socket, "sockname": local, "peername": peer})
        self._loop = loop
        self._endpoint = endpoint
        self._protocol = protocol
        self._arrived: deque[Arrival] = deque()
        self._paused = self._draining = self._closing = self._lost_told = self._eof_sent = False
        # Nothing reaches the protocol before ``connection_made`` has been called.
        self._begun = False
        # What arrives is handed over in the context that opened the connection, as with a selector.
        self._context = copy_context()
        earlier, endpoint.receiver = endpoint.receiver, self
        if isinstance(earlier, Backlog):
            earlier.hand_over(self)

    def begin(self) -> None:
        """Start to hand over what arrives."""
        self._begun = True
        self._schedule()

    # -- from the network: never into the protocol directly -------------------------------------------------------
    def received(self, data: bytes) -> None:
        """Bytes have arrived."""
        self._take(data)

    def ended(self) -> None:
        """The other side will send no more."""
        self._take("end")

    def lost(self, error: OSError) -> None:
        """The connection is broken."""
        self._take(error)

    def _take(self, arrival: Arrival) -> None:
        self._arrived.append(arrival)
        self._schedule()

    def _schedule(self) -> None:
        if self._arrived and self._begun and not self._paused and not self._draining:
            self._draining = True
            self._loop.deliver(self._drain, context=self._context)

    def _drain(self) -> None:
        """Hand one arrival to the protocol in each round, as one ready socket event would."""
        self._draining = False
        if self._paused or self._closing or not self._arrived:
            return
        arrival = self._arrived.popleft()
        try:
            if isinstance(arrival, bytes):
                self._give(arrival)
            elif arrival == "end":
                self._give_end()
            else:
                self._die(arrival)
        except Exception as error:  # noqa: BLE001  # whatever a protocol raises ends its connection, as in asyncio
            self._fail(error)
        self._schedule()

    def _fail(self, error: Exception) -> None:
        """Report a protocol that raised, and break its connection."""
        self._loop.call_exception_handler(
            {
                "message": "Fatal error: protocol call failed.",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        if not self._closing:
            self._endpoint.reset()
            self._die(error)

    def _give(self, data: bytes) -> None:
        if isinstance(self._protocol, asyncio.BufferedProtocol):
            while data:
                buffer = memoryview(self._protocol.get_buffer(len(data)))
                count = min(len(buffer), len(data))
                buffer[:count] = data[:count]
                self._protocol.buffer_updated(count)
                data = data[count:]
        else:
            self._protocol.data_received(data)  # type: ignore[attr-defined]  # a streaming protocol by contract

    def _give_end(self) -> None:
        keep_open = self._protocol.eof_received()  # type: ignore[attr-defined]  # a streaming protocol by contract
        if not keep_open:
            self.close()

    def _die(self, error: BaseException | None) -> None:
        """Tell the protocol once, in a round of its own, that the connection is over."""
        self._closing = True
        if not self._lost_told:
            self._lost_told = True
            self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: BaseException | None) -> None:
        self._socket.forget()
        self._protocol.connection_lost(error if isinstance(error, Exception) else None)

    # -- reading ---------------------------------------------------------------------------------------------------
    def is_reading(self) -> bool:
        """Say whether arrivals reach the protocol."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Hold back what arrives."""
        self._paused = True

    def resume_reading(self) -> None:
        """Hand over what was held back, and what comes."""
        self._paused = False
        if not self._closing:
            self._schedule()

    # -- writing ---------------------------------------------------------------------------------------------------
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes. The link takes any amount at once; flow control is not simulated yet."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._endpoint.closed and not self._closing:
            self._die(BrokenPipeError("the connection was broken by the other side"))
        else:
            self._endpoint.send(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True: a connection can be half closed."""
        return True

    def write_eof(self) -> None:
        """Send no more, but go on reading."""
        if not self._eof_sent and not self._closing:
            self._eof_sent = True
            self._endpoint.end()

    def get_write_buffer_size(self) -> int:
        """Return 0: nothing waits on this side of the link."""
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return asyncio's own default limits."""
        return (16 * 1024, 64 * 1024)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Accept any limits: none is ever reached."""

    # -- the end -----------------------------------------------------------------------------------------------------
    def is_closing(self) -> bool:
        """Say whether the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Close in good order; the protocol hears of it in a later round."""
        if not self._closing:
            self._hang_up()
            self._die(None)

    # Nothing waits on this side of the link, so there is nothing that an abort could throw away.
    abort = close

    def _hang_up(self) -> None:
        """Close as Linux closes a socket: with an end (FIN), or a reset (RST) where bytes were never read."""
        if any(isinstance(arrival, bytes) for arrival in self._arrived):
            self._endpoint.reset()
        else:
            self._endpoint.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol take over."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol in charge."""
        return self._protocol


async def create_connection(
    loop: SimEventLoop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: str | None = None,
    port: int | None = None,
    *,
    ssl: Any = None,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    sock: socket.socket | None = None,
    local_addr: object = None,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
    all_errors: bool = False,
) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
    """Connect as ``loop.create_connection`` does. A ready-made socket is refused: it would be a real one."""
    if sock is not None:
        raise NotSimulatedError("create_connection(sock=...) takes a real socket - give host and port instead")
    if host is None or port is None:
        raise ValueError("host and port was not specified and no sock specified")
    if server_hostname is not None and not ssl:
        raise ValueError("server_hostname is only meaningful with ssl")
    infos = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags)
    endpoint = await _dial(loop, infos[0][4][0], infos[0][4][1])
    protocol = protocol_factory()
    if not ssl:
        transport = SimTransport(loop, endpoint, protocol)
        await _made(loop, protocol, transport)
        return transport, protocol
    return await _made_over_tls(
        loop, endpoint, protocol, ssl, server_hostname or host, ssl_handshake_timeout, ssl_shutdown_timeout
    )


async def _dial(loop: SimEventLoop, address: str, port: int) -> Endpoint:
    outcome: asyncio.Future[Endpoint] = loop.create_future()

    def settle(result: Endpoint | OSError) -> None:
        if outcome.done():
            # The client gave up (a connect timeout, a cancel) while its connection was on the way.
            if not isinstance(result, OSError):
                result.receiver = _Nobody()
                result.close()
        elif isinstance(result, OSError):
            outcome.set_exception(result)
        else:
            outcome.set_result(result)

    loop.world.network.connect(address, port, lambda result: loop.deliver(settle, result))
    try:
        return await outcome
    except asyncio.CancelledError:
        if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
            # Cancelled between the connection and the word of it.
            outcome.result().receiver = _Nobody()
            outcome.result().close()
        raise


def settle(waiter: asyncio.Future[None]) -> None:
    """Let who waits go on, unless it was cancelled in the meantime."""
    if not waiter.done():
        waiter.set_result(None)


async def _made(loop: SimEventLoop, protocol: asyncio.BaseProtocol, transport: SimTransport) -> None:
    """Call ``connection_made`` in a round of its own, as stock transports do."""
    ready = loop.create_future()
    loop.call_soon(protocol.connection_made, transport)
    loop.call_soon(transport.begin)
    loop.call_soon(settle, ready)
    try:
        await ready
    except BaseException:
        transport.close()
        raise


async def _made_over_tls(
    loop: SimEventLoop,
    endpoint: Endpoint,
    protocol: asyncio.BaseProtocol,
    ssl: Any,
    server_hostname: str,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
    from asyncio import sslproto  # lazy: plain connections need none of it

    context = ssl_module.create_default_context() if ssl is True else ssl
    waiter = loop.create_future()
    layer: Any = sslproto.SSLProtocol(
        loop,
        protocol,
        context,
        waiter,
        server_side=False,
        server_hostname=server_hostname,
        ssl_handshake_timeout=handshake_timeout,  # type: ignore[arg-type]  # typeshed: int; asyncio: float
        ssl_shutdown_timeout=shutdown_timeout,
    )
    transport = SimTransport(loop, endpoint, layer)
    await _made(loop, layer, transport)
    try:
        await waiter
    except BaseException:
        transport.abort()
        raise
    return layer._app_transport, protocol


class _Nobody:
    """Sits at an endpoint whose client has gone."""

    def received(self, data: bytes) -> None:
        """Drop it."""

    def ended(self) -> None:
        """Drop it."""

    def lost(self, error: OSError) -> None:
        """Drop it."""

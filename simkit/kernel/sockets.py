"""Sockets: ``socket.socket`` as every library knows it, on the simulated network.

The idea: this is the seam below everything, blocking SDK clients, urllib3, http.client and asyncio's own
selector transports alike, so all of them run unmodified and their own timeouts and pools are what is tested.
The constraint: a simulated socket blocks in virtual time and never has a real descriptor; a thread from outside
the world gets a real one. Separate fakes for asyncio and for blocking code were refused: aiohttp makes sockets
by hand and gives them to its loop.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from simkit.errors import NotSimulatedError
from simkit.kernel.clock import to_ns
from simkit.kernel.network import LOOPBACK_NAMES, SEND_BUFFER, port_number
from simkit.kernel.threads import running_world

if TYPE_CHECKING:
    from simkit.kernel.network import Endpoint, Network
    from simkit.kernel.threads import SimThread

RealSocket: Final = socket.socket
_real_pair: Final = socket.socketpair
_real_getaddrinfo: Final = socket.getaddrinfo

Address = Any
S = TypeVar("S", bound="SimSocket")
# A datagram queue takes this many before further ones are dropped, as a full receive buffer does.
_DATAGRAMS_MAX: Final = 256
# As a plain number: the arithmetic of the enumeration is half the cost of a short read.
_PEEK: Final = int(socket.MSG_PEEK)
# The value of SO_LINGER with which a close is a reset: on, for no time.
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Watcher(Protocol):
    """Whoever wants to know that a socket may have become readable or writable: selectors and polls."""

    def touched(self, sock: SimSocket) -> None:
        """Look at this socket again."""
        ...


class SimSocket(socket.socket):
    """A socket of one world: stream or datagram, IPv4, IPv6 or unix."""

    def __init__(
        self,
        network: Network,
        family: int = socket.AF_INET,
        kind: int = socket.SOCK_STREAM,
        proto: int = 0,
        endpoint: Endpoint | None = None,
    ) -> None:
        # The C part is never initialised: it would ask the operating system about a descriptor that is a number only.
        self._io_refs = 0
        self._closed = False
        flags = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)
        self._family, self._kind, self._proto = socket.AddressFamily(family), socket.SocketKind(kind & ~flags), proto
        self._descriptor = network.new_descriptor(self)
        self.network = network
        self._timeout: float | None = 0.0 if kind & getattr(socket, "SOCK_NONBLOCK", 0) else None
        self._threads: deque[SimThread] = deque()
        self._watchers: list[Watcher] = []
        self._options: dict[tuple[int, int], object] = {}
        self._local: Address = None
        self._peer: Address = None
        # Stream state.
        self._endpoint: Endpoint | None = None
        self._arrived: deque[bytes] = deque()
        self._ended = self._deaf = self._dumb = False
        self._connecting = False
        self._error: OSError | None = None
        # Listening state; datagrams share the queue's name because a socket is only ever one of them.
        self._backlog: int | None = None
        self._queue: deque[Any] = deque()
        if endpoint is not None:
            self._attach(endpoint)

    @property
    def family(self) -> socket.AddressFamily:
        """The address family."""
        return self._family

    @property
    def type(self) -> socket.SocketKind:
        """Stream or datagram."""
        return self._kind

    @property
    def proto(self) -> int:
        """The protocol number, as it was asked for."""
        return self._proto

    def fileno(self) -> int:
        """Return the virtual descriptor, or -1 once the socket is closed."""
        return self._descriptor

    def _attach(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        endpoint.receiver = self
        endpoint.send_buffer = self.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)

    # -- from the network ------------------------------------------------------------------------------------------
    def received(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self._deaf:
            assert self._endpoint is not None
            self._endpoint.consumed(len(data))
        else:
            self._arrived.append(data)
            self._notify()

    def ended(self) -> None:
        """The other side will send no more."""
        self._ended = True
        self._notify()

    def lost(self, error: OSError) -> None:
        """The connection is broken. After an end from the other side Linux calls that a broken pipe."""
        self._error = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) if self._ended else error
        self._ended = True
        self._notify()

    def drained(self) -> None:
        """There is room to send again."""
        self._notify()

    def take_connection(self, endpoint: Endpoint) -> None:
        """A client has connected to this listening socket."""
        server = SimSocket(self.network, self.family, socket.SOCK_STREAM, self.proto, endpoint)
        server._local = self._local
        server._peer = _client_name(self.family, endpoint)
        self._queue.append(server)
        self._notify()

    def take_datagram(self, data: bytes, sender: Address) -> None:
        """A datagram has arrived."""
        if len(self._queue) < _DATAGRAMS_MAX:
            self._queue.append((data, sender))
            self._notify()

    @property
    def backlog_full(self) -> bool:
        """Say whether a further client would have to wait for a place in the queue."""
        return self._backlog is not None and len(self._queue) > self._backlog

    # -- readiness -------------------------------------------------------------------------------------------------
    def readable(self) -> bool:
        """Say whether a read (or an accept) would return at once, with bytes, an end or an error."""
        return bool(self._arrived or self._queue or self._ended or self._deaf)

    def writable(self) -> bool:
        """Say whether a send would take at least a byte, or tell an error."""
        if self._connecting:
            return False
        if self.type == socket.SOCK_DGRAM or self._endpoint is None:
            return self._backlog is None
        return self._endpoint.closed or self._endpoint.room > 0

    def watch(self, watcher: Watcher) -> None:
        """Tell this watcher of every change; it is asked to look at once."""
        self._watchers.append(watcher)
        watcher.touched(self)

    def unwatch(self, watcher: Watcher) -> None:
        """Tell it no more."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def _notify(self) -> None:
        for watcher in self._watchers:
            watcher.touched(self)
        while self._threads:
            thread = self._threads.popleft()
            thread.threads.wake(thread)

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait in virtual time as the timeout says. Raises ``BlockingIOError`` or ``TimeoutError`` as sockets do."""
        if ready():
            return
        if self._timeout == 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        world = self.network.world
        me = world.threads.here()
        if me is None:
            raise NotSimulatedError("a socket of a world is used by a thread from outside it")
        deadline_ns = None if self._timeout is None else world.clock.now_ns + to_ns(self._timeout)
        while not ready():
            if deadline_ns is not None and world.clock.now_ns >= deadline_ns:
                raise TimeoutError("timed out")
            self._threads.append(me)
            try:
                world.threads.block(me, deadline_ns, f"{what} ({self._name()})")
            finally:
                if me in self._threads:
                    self._threads.remove(me)

    def _name(self) -> str:
        host = self._endpoint.host.name if self._endpoint is not None else "no host"
        return f"socket to {host}"

    # -- connecting ------------------------------------------------------------------------------------------------
    def connect(self, address: Address, /) -> None:
        """Connect; wait for it unless the socket does not block. Raises the ``OSError`` of the failure."""
        self._check_open()
        if self.type == socket.SOCK_DGRAM:
            self._peer = address
            return
        if self._endpoint is not None:
            raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))
        if not self._connecting:
            self._dial(address)
        if self._timeout == 0:
            raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))
        self._wait(lambda: not self._connecting, "connect")
        self._raise_error()

    def _dial(self, address: Address) -> None:
        self._connecting = True
        self._peer = address
        if self.family == socket.AF_UNIX:
            self._dial_path(address)
        else:
            self.network.connect(_dialled_address(self.family, address), int(address[1]), self._dialled)

    def _dial_path(self, path: Address) -> None:
        listener = self.network.listeners.get(_path(path))
        if listener is None:
            outcome: Endpoint | OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        else:
            outcome, server = self.network.pair()
            listener.take_connection(server)
        self.network.world.call_later_ns(0, lambda: self._dialled(outcome), label=f"the connection to {_path(path)}")

    def _dialled(self, outcome: Endpoint | OSError) -> None:
        self._connecting = False
        if isinstance(outcome, OSError):
            self._error = outcome
            self._ended = True
        elif self.fileno() < 0:
            # Closed while its connection was on the way: nobody will read from it.
            outcome.receiver = self
            outcome.close()
        else:
            self._attach(outcome)
            if self._local is None and self.family != socket.AF_UNIX:
                self._local = _client_name(self.family, outcome)
        self._notify()

    def connect_ex(self, address: Address, /) -> int:
        """Connect and return the error's number, or 0."""
        try:
            self.connect(address)
        except TimeoutError:
            return errno.EAGAIN
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    # -- serving -----------------------------------------------------------------------------------------------------
    def bind(self, address: Address, /) -> None:
        """Take an address of this machine. Raises ``OSError`` when another socket has it."""
        self._check_open()
        if self.family == socket.AF_UNIX:
            key: object = _path(address)
            if os.path.lexists(_path(address)):
                # A simulated socket makes no file, but a file that is there has its name.
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            self._local = address
        else:
            port = port_number(address[1]) or self.network.new_port()
            host = {"localhost": "127.0.0.1", "": "0.0.0.0"}.get(str(address[0]), str(address[0]))
            self._local = (host, port, *((0, 0) if self.family == socket.AF_INET6 else ()))
            key = (int(self.type), host, port)
        if key in self.network.bound:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self.network.bound[key] = self

    def listen(self, backlog: int = 128, /) -> None:
        """Take connections from now on."""
        self._check_open()
        if self._local is None:
            self.bind(("0.0.0.0", 0))
        self._backlog = max(backlog, 0)
        key = _path(self._local) if self.family == socket.AF_UNIX else self._local[:2]
        self.network.listeners[key] = self

    def accept(self) -> tuple[SimSocket, Address]:
        """Return the next client's connection and its address."""
        self._check_open()
        self._wait(lambda: bool(self._queue) or self._backlog is None, "accept")
        if self._backlog is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        server: SimSocket = self._queue.popleft()
        return server, server._peer

    # -- reading -----------------------------------------------------------------------------------------------------
    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return what has arrived, at most ``bufsize`` bytes; ``b""`` at the end."""
        if self.type == socket.SOCK_DGRAM:
            return self.recvfrom(bufsize, flags)[0]
        self._check_open()
        if self._endpoint is None and not self._ended:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        self._wait(self.readable, "recv")
        return self._take(bufsize, peek=bool(flags & _PEEK))

    def _take(self, size: int, *, peek: bool) -> bytes:
        if not self._arrived:
            # Who reads on after the end reads the end again; a broken pipe is told to who writes.
            if not isinstance(self._error, BrokenPipeError):
                self._raise_error()
            return b""
        taken: list[bytes] = []
        left = size
        while self._arrived and left:
            piece = self._arrived.popleft()
            if len(piece) > left:
                self._arrived.appendleft(piece[left:])
                piece = piece[:left]
            taken.append(piece)
            left -= len(piece)
        data = b"".join(taken)
        if peek:
            self._arrived.appendleft(data)
        elif self._endpoint is not None:
            self._endpoint.consumed(len(data))
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> int:
        """Read into a buffer and return how many bytes."""
        data = self.recv(nbytes or _size(buffer), flags)
        with memoryview(buffer) as whole, whole.cast("B") as view:
            view[: len(data)] = data
        return len(data)

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Address]:
        """Return a datagram and who sent it; of a stream, bytes and None."""
        if self.type != socket.SOCK_DGRAM:
            return self.recv(bufsize, flags), None
        self._check_open()
        self._wait(lambda: bool(self._queue), "recvfrom")
        data, sender = self._queue.popleft()
        return data[:bufsize], sender

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> tuple[int, Address]:
        """Read a datagram into a buffer; return its size and who sent it."""
        data, sender = self.recvfrom(nbytes or _size(buffer), flags)
        with memoryview(buffer) as whole, whole.cast("B") as view:
            view[: len(data)] = data
        return len(data), sender

    # -- writing -----------------------------------------------------------------------------------------------------
    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send what fits into the buffer, or everything where the socket blocks, and return how much.

        Raises ``OSError`` on a broken connection.
        """
        self._check_open()
        if self.type == socket.SOCK_DGRAM:
            return self.sendto(data, self._peer)
        # A copy: a view that an exception's traceback keeps would lock the caller's buffer.
        payload = bytes(data)
        count = self._send_some(payload)
        while count < len(payload) and self._sends_all:
            count += self._send_some(payload[count:])
        return count

    @property
    def _sends_all(self) -> bool:
        """Linux comes back from a blocking send when it has taken everything; with a timeout Python asks it less."""
        return self._timeout is None

    def _send_some(self, payload: bytes) -> int:
        self._raise_error()
        if self._endpoint is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        self._wait(self.writable, "send")
        if self._endpoint.closed or self._dumb:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        count = min(len(payload), self._endpoint.room)
        self._endpoint.send(payload[:count])
        return count

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything, waiting for room."""
        payload = bytes(data)
        while payload:
            payload = payload[self.send(payload, flags) :]

    def sendmsg(self, buffers: Iterable[Any], *_: object) -> int:
        """Send several buffers as one; ancillary data is not simulated."""
        return self.send(b"".join(bytes(b) for b in buffers))

    def sendto(self, data: Any, *rest: Any) -> int:
        """Send a datagram; to nobody it is lost without a word."""
        self._check_open()
        address = rest[-1]
        if self.type != socket.SOCK_DGRAM:
            return self.send(data)
        if address is None:
            raise OSError(errno.EDESTADDRREQ, os.strerror(errno.EDESTADDRREQ))
        if self._local is None:
            self.bind(("0.0.0.0", 0) if self.family != socket.AF_UNIX else f"@{self.fileno()}")
        payload = bytes(data)
        self.network.send_datagram(self, payload, address)
        return len(payload)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send what a file holds, without the kernel's shortcut."""
        sent: int = self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]  # socket's own
        return sent

    # -- ending ------------------------------------------------------------------------------------------------------
    def shutdown(self, how: int, /) -> None:
        """End one direction or both; whoever waits in a read hears of the end."""
        self._check_open()
        if self._backlog is not None:
            self._stop_listening(how)
            return
        if self._endpoint is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._dumb = True
            self._endpoint.end()
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self._deaf = True
            self._arrived.clear()
        self._notify()

    def _stop_listening(self, how: int) -> None:
        """Take no more clients, as Linux does for a listening socket: whoever waits in ``accept`` hears of it."""
        if how != socket.SHUT_WR:
            self._backlog = None
            self._forget_in(self.network.listeners)
            while self._queue:
                self._queue.popleft().close()
            self._notify()

    def _real_close(self, _ss: object = None) -> None:
        """Close as Linux does: with an end (FIN), or a reset (RST) for bytes never read or a linger of no time."""
        if self.fileno() >= 0:
            self._unlist()
            self._descriptor = -1
            if self._endpoint is not None:
                linger = self._options.get((socket.SOL_SOCKET, socket.SO_LINGER))
                (self._endpoint.reset if self._arrived or linger == _NO_LINGER else self._endpoint.close)()
            for waiting in self._queue if self._backlog is not None else ():
                waiting.close()
            self._notify()

    def _unlist(self) -> None:
        self.network.sockets.pop(self.fileno(), None)
        for table in (self.network.bound, self.network.listeners):
            self._forget_in(table)

    def _forget_in(self, table: dict[object, SimSocket]) -> None:
        for key in [k for k, owner in table.items() if owner is self]:
            del table[key]

    def close(self) -> None:
        """Close once every file made from the socket is closed too."""
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def detach(self) -> int:
        """Give the descriptor away: whoever opens a socket on it goes on with this connection."""
        number = self.fileno()
        self.network.handed_over[number] = self
        self.let_go()
        return number

    def let_go(self) -> None:
        """Become a closed socket without closing the connection, which another object goes on with."""
        self.network.sockets.pop(self.fileno(), None)
        self._closed = True
        self._descriptor = -1

    def reborn(self, make: Callable[..., S]) -> S:
        """Return a new socket object of this class that goes on with the connection of this one."""
        twin = make(self.network, self.family, self.type, self.proto)
        for name in ("_timeout", "_options", "_local", "_peer", "_arrived", "_ended", "_deaf", "_dumb", "_error"):
            setattr(twin, name, getattr(self, name))
        twin._backlog, twin._queue = self._backlog, self._queue
        if self._endpoint is not None:
            twin._attach(self._endpoint)
            self._endpoint = None
        for table in (self.network.bound, self.network.listeners):
            for key in [k for k, owner in table.items() if owner is self]:
                table[key] = twin
        return twin

    def dup(self) -> SimSocket:
        """Refuse: two descriptors of one connection are not simulated."""
        raise NotSimulatedError("socket.dup is not simulated - share the socket object instead")

    def datagram_name(self) -> Address:
        """Return where an answer to a datagram of this socket goes."""
        if self.family == socket.AF_UNIX or self._local is None:
            return self._local
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        return (loopback.get(self._local[0], self._local[0]), *self._local[1:])

    def _check_open(self) -> None:
        if self.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def __del__(self) -> None:
        """A socket that nobody holds any more is closed, as the interpreter does; no warning, the census tells."""
        if getattr(self, "_descriptor", -1) >= 0:
            self._real_close()

    # -- looking -----------------------------------------------------------------------------------------------------
    def getsockname(self) -> Address:
        """Return this side's address."""
        if self._local is not None:
            return self._local
        return {socket.AF_UNIX: "", socket.AF_INET6: ("::", 0, 0, 0)}.get(self.family, ("0.0.0.0", 0))

    def getpeername(self) -> Address:
        """Return the other side's address. Raises ``OSError`` when there is none."""
        if self._endpoint is None and (self.type != socket.SOCK_DGRAM or self._peer is None):
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self._peer if self._peer is not None else ""

    def settimeout(self, value: float | None, /) -> None:
        """Wait at most this many virtual seconds in every call; 0 never waits, None waits for ever."""
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        self._timeout = None if value is None else float(value)

    def gettimeout(self) -> float | None:
        """Return the timeout in seconds."""
        return self._timeout

    timeout = property(gettimeout)

    def setblocking(self, flag: bool, /) -> None:
        """Wait for ever, or never."""
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """Say whether calls wait."""
        return self._timeout != 0

    def setsockopt(self, level: int, option: int, value: Any, *_: object) -> None:
        """Remember an option; of those that change a simulated link there is the size of the send buffer."""
        self._check_open()
        if level == socket.SOL_SOCKET and option == socket.SO_SNDBUF:
            # Linux takes twice what it is asked for.
            value *= 2
            if self._endpoint is not None:
                self._endpoint.send_buffer = value
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int, *_: object) -> Any:
        """Return an option as it was set; the pending error and the type are the true ones."""
        self._check_open()
        if level == socket.SOL_SOCKET and option == socket.SO_ERROR:
            error, self._error = self._error, None
            return 0 if error is None else error.errno
        if level == socket.SOL_SOCKET and option == socket.SO_TYPE:
            return self.type
        if level == socket.SOL_SOCKET and option == socket.SO_SNDBUF:
            return self._options.get((level, option), SEND_BUFFER)
        return self._options.get((level, option), 0)


def _client_name(family: int, endpoint: Endpoint) -> Address:
    """Return the address from which a connection comes."""
    if family == socket.AF_UNIX:
        return ""
    port = endpoint.client_port
    return ("::1", port, 0, 0) if family == socket.AF_INET6 else ("127.0.0.1", port)


def _size(buffer: Any) -> int:
    with memoryview(buffer) as view:
        return view.nbytes


def _dialled_address(family: int, address: Address) -> str:
    """Return where a connection goes that is meant for this machine by whatever name."""
    own = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    return own if address[0] in LOOPBACK_NAMES and address[0] != "::1" else str(address[0])


def _path(address: Any) -> str:
    return os.fsdecode(address) if isinstance(address, (bytes, str, os.PathLike)) else str(address)


# -- what the standard library sees ----------------------------------------------------------------------------------
class _Face(type):
    """Lets ``socket.socket`` stay a class: what it makes depends on who asks, what it accepts does not."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, RealSocket)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, RealSocket)


class SocketFace(socket.socket, metaclass=_Face):
    """What ``socket.socket`` is while a world runs: simulated in its threads, real in all others."""

    def __new__(
        cls,
        family: int = -1,
        type: int = -1,  # noqa: A002  # socket's own
        proto: int = -1,
        fileno: int | None = None,
    ) -> Any:
        """Make a socket. Raises ``NotSimulatedError`` for the number of a real descriptor."""
        world = running_world()
        if world is None:
            return RealSocket(family, type, proto, fileno)
        if fileno is not None:
            return _reopened(world.network, fileno)
        return SimSocket(
            world.network,
            socket.AF_INET if family == -1 else family,
            socket.SOCK_STREAM if type == -1 else type,
            0 if proto == -1 else proto,
        )


def _reopened(network: Network, descriptor: int) -> SimSocket:
    """Return a socket on a descriptor that another one gave away."""
    former = network.handed_over.pop(descriptor, None)
    if former is None:
        raise NotSimulatedError(
            f"the real descriptor {descriptor} cannot become a socket inside a world - make the socket inside it"
        )
    return former.reborn(SimSocket)


def _socketpair(family: int | None = None, type: int = socket.SOCK_STREAM, proto: int = 0) -> Any:  # noqa: A002
    world = running_world()
    if world is None:
        return _real_pair(family, type, proto)
    left, right = world.network.pair()
    version = getattr(socket, "AF_UNIX", socket.AF_INET) if family is None else family
    return tuple(SimSocket(world.network, version, type, proto, end) for end in (left, right))


def _getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:  # noqa: A002
    world = running_world()
    if world is None:
        return _real_getaddrinfo(host, port, family, type, proto, flags)
    return world.network.getaddrinfo(host, port, family, type, proto, flags)


def _gethostbyname(name: str) -> str:
    world = running_world()
    if world is None:
        return _real_gethostbyname(name)
    return str(world.network.getaddrinfo(name, 0, socket.AF_INET)[0][4][0])


def _gethostbyname_ex(name: str) -> tuple[str, list[str], list[str]]:
    world = running_world()
    if world is None:
        return _real_gethostbyname_ex(name)
    return name, [], [_gethostbyname(name)]


def _gethostbyaddr(name: str) -> tuple[str, list[str], list[str]]:
    world = running_world()
    if world is None:
        return _real_gethostbyaddr(name)
    return world.network.find(name, 0).name, [], [_gethostbyname(name)]


def _getnameinfo(sockaddr: Any, flags: int) -> tuple[str, str]:
    world = running_world()
    if world is None:
        return _real_getnameinfo(sockaddr, flags)
    name = sockaddr[0] if flags & socket.NI_NUMERICHOST else world.network.find(sockaddr[0], sockaddr[1]).name
    return name, str(sockaddr[1])


def _sendfile(out_fd: int, in_fd: int, offset: int | None, count: int, *rest: Any, **more: Any) -> int:
    world = running_world()
    sock = None if world is None else world.network.sockets.get(out_fd)
    if sock is None:
        return int(_real_sendfile(out_fd, in_fd, offset, count, *rest, **more))
    return sock.send(os.read(in_fd, count) if offset is None else os.pread(in_fd, count, offset))


_real_sendfile: Final[Any] = getattr(os, "sendfile", None)
_real_gethostbyname: Final = socket.gethostbyname
_real_gethostbyname_ex: Final = socket.gethostbyname_ex
_real_gethostbyaddr: Final = socket.gethostbyaddr
_real_getnameinfo: Final = socket.getnameinfo


def fakes() -> dict[object, object]:
    """Return what is replaced under every alias."""
    return {
        RealSocket: SocketFace,
        _real_pair: _socketpair,
        **({_real_sendfile: _sendfile} if _real_sendfile is not None else {}),
        _real_getaddrinfo: _getaddrinfo,
        _real_gethostbyname: _gethostbyname,
        _real_gethostbyname_ex: _gethostbyname_ex,
        _real_gethostbyaddr: _gethostbyaddr,
        _real_getnameinfo: _getnameinfo,
    }

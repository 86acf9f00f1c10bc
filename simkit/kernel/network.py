"""The network: hosts by name, and connections of bytes in memory, below every client library.

The idea: a connection is two endpoints, each with a send buffer and a window on the other's receive buffer;
what one sends is an event of the agenda that the other receives, so bytes take virtual time, keep their order,
and can be cut at any of them. The constraint: nothing here knows asyncio or threads, so the same connection
serves a loop, a blocking socket and a scripted server. An undeclared host ends the run by name and no packet
leaves the process. A fake at the level of one HTTP client was refused: the client's own pool and timeouts would
be bypassed, and they are what is tested.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from simkit.errors import NotSimulatedError
from simkit.model.duration import FOREVER, NS_PER_S

if TYPE_CHECKING:
    from simkit.kernel.sockets import SimSocket
    from simkit.kernel.world import World

# 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180) are set aside for tests of networks: no real host is there.
_FIRST_IPV4: Final = int(ipaddress.IPv4Address("198.18.0.1"))
_FIRST_IPV6: Final = int(ipaddress.IPv6Address("2001:2::1"))
_SERVICES: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# The machine that the agent runs on, by every name it has.
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1", "", "0.0.0.0", "::", "0")
# Clients' ports start where Linux's ephemeral range does.
_FIRST_PORT: Final = 32768
# Virtual descriptors lie beyond every number that a real one can have, so a stray use of one fails at once.
_FIRST_DESCRIPTOR: Final = 1 << 30
# What Linux gives a TCP socket by default: a quarter of a megabyte to send into, 128 KiB to receive into.
SEND_BUFFER: Final = 256 * 1024
RECEIVE_WINDOW: Final = 128 * 1024


class Receiver(Protocol):
    """Whoever sits at an endpoint. Called by the world, one event at a time."""

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""
        ...

    def ended(self) -> None:
        """The other side will send no more (FIN)."""
        ...

    def lost(self, error: OSError) -> None:
        """The connection is broken (RST)."""
        ...

    def drained(self) -> None:
        """The send buffer has room again."""
        ...


# Says how an attempt to reach a port fails at a stage ("name" or "connect"), or None when it does not: at the first
# "unknown_host", at the second "refused", "reset" or "timeout".
Admit = Callable[[int, str], "str | None"]


@dataclass(slots=True)
class Trouble:
    """What is wrong with a link until an instant: it holds back what crosses it, or new connections fail (``how``)."""

    until_ns: int = 0
    how: str = ""
    # Whether anybody has met it.
    struck: bool = False


@dataclass(slots=True)
class Link:
    """The way to one host, the same in both directions: latency of one way, and bandwidth (None is unlimited)."""

    latency_ns: int = 0
    bytes_per_second: int | None = None
    held: Trouble | None = None
    down: Trouble | None = None

    def arrival_ns(self, at_ns: int) -> int:
        """Return when that comes out of the link which would do so at this instant."""
        held = self.held
        if held is None or at_ns >= held.until_ns:
            return at_ns
        held.struck = True
        return held.until_ns

    def failure(self, now_ns: int, stage: str) -> str | None:
        """Say how an attempt to connect fails at this stage of it (``name`` or ``connect``), if the link is down."""
        down = self.down
        if down is None or now_ns >= down.until_ns or (down.how == "unknown_host") != (stage == "name"):
            return None
        down.struck = True
        return down.how


class Dial:
    """An attempt to connect that is on its way: what carries it is a lane of its own."""

    __slots__ = ("host",)

    def __init__(self, host: Host) -> None:
        self.host = host


class Host:
    """One host of the simulated network."""

    __slots__ = ("accept", "admit", "ipv4", "ipv6", "link", "name")

    def __init__(self, name: str, ipv4: str, ipv6: str | None) -> None:
        self.name = name
        self.ipv4 = ipv4
        # None: the name has no such address, as on most hosts that a container can see.
        self.ipv6 = ipv6
        # Latency 0 still takes the bytes through the agenda, so nothing is delivered in the same breath.
        self.link = Link()
        self.accept: Callable[[Endpoint], Receiver] | None = None
        self.admit: Admit | None = None

    def serve(self, accept: Callable[[Endpoint], Receiver], admit: Admit | None = None) -> None:
        """Accept connections on every port: ``accept`` gets the server's endpoint and returns who receives there."""
        self.accept, self.admit = accept, admit


class Endpoint:
    """One side of a connection."""

    __slots__ = (
        "_end_sent",
        "_ending",
        "_free_at_ns",
        "_label",
        "_last_at_ns",
        "_network",
        "_outbox",
        "_outbox_size",
        "_unread",
        "client_port",
        "closed",
        "connection",
        "cut_off",
        "host",
        "peer",
        "port",
        "receiver",
        "send_buffer",
        "side",
    )

    def __init__(self, network: Network, connection: int, side: str, host: Host, port: int) -> None:
        self._network = network
        self.connection = connection
        self.side = side
        self.host = host
        self.port = port
        # What a choice about it is called; made once, since every packet carries it.
        self._label = f"{side} {connection} to {host.name}"
        self.client_port = 0
        # Closed both ways, or broken: what still arrives is answered with a reset.
        self.closed = False
        # Broken by the link, and by none of the two.
        self.cut_off = False
        self.peer: Endpoint
        self.receiver: Receiver
        self._outbox: deque[bytes] = deque()
        self._outbox_size = 0
        self.send_buffer = SEND_BUFFER
        self._ending = self._end_sent = False
        # Bytes of this side that are on the way or not read yet on the other.
        self._unread = 0
        # When the link has carried everything sent so far: order within a connection never changes.
        self._free_at_ns = self._last_at_ns = 0

    # -- sending ---------------------------------------------------------------------------------------------------
    @property
    def room(self) -> int:
        """How many bytes the send buffer takes before a sender has to wait."""
        return max(0, self.send_buffer - self._outbox_size)

    def send(self, data: bytes) -> None:
        """Send bytes; they arrive in order, when latency, bandwidth and the receiver's window let them."""
        if data and not self.closed and not self._ending:
            self._outbox.append(data)
            self._outbox_size += len(data)
            self._pump()

    def end(self) -> None:
        """Send no more (FIN follows what is in the buffer), but go on receiving."""
        if not self.closed and not self._ending:
            self._ending = True
            self._pump()

    def close(self) -> None:
        """Close both ways: what is in the buffer goes out, then an end; a later arrival is answered by a reset."""
        if not self.closed:
            self._network.closed(self, "eof")
            if not self._ending:
                self._ending = True
                self._pump()
            self.closed = True

    def reset(self) -> None:
        """Break the connection at once (RST)."""
        if not self.closed:
            self.closed = True
            self._outbox.clear()
            self._outbox_size = 0
            self._network.closed(self, "reset")
            self._carry(self.peer._arrive_reset, 0)

    def _pump(self) -> None:
        """Put on the link what the window has room for; the end goes last."""
        while self._outbox and self._unread < RECEIVE_WINDOW:
            data = self._outbox.popleft()
            room = RECEIVE_WINDOW - self._unread
            if len(data) > room:
                self._outbox.appendleft(data[room:])
                data = data[:room]
            self._outbox_size -= len(data)
            self._unread += len(data)
            self._carry(lambda piece=data: self.peer._arrive(piece), len(data))  # type: ignore[misc]  # bound now
        if self._ending and not self._outbox and not self._end_sent:
            self._end_sent = True
            self._network.on_their_way.append(self.peer)
            self._carry(self.peer._arrive_end, 0)

    def _carry(self, arrive: Callable[[], None], size: int) -> None:
        """Let something cross the link."""
        world, link = self._network.world_or_none(), self.host.link
        if world is None:
            return
        if link.bytes_per_second:
            start_ns = max(world.clock.now_ns, self._free_at_ns)
            self._free_at_ns = start_ns + size * NS_PER_S // link.bytes_per_second
            at_ns = self._free_at_ns + link.latency_ns
        else:
            at_ns = world.clock.now_ns + link.latency_ns
        if link.held is not None:
            at_ns = link.arrival_ns(at_ns)
        # A link that got faster in the meantime does not let later bytes overtake earlier ones.
        self._last_at_ns = at_ns = max(at_ns, self._last_at_ns)
        # What is held for ever does not come.
        if at_ns < FOREVER:
            world.call_at_ns(at_ns, arrive, lane=self, label=self._label)

    # -- receiving -------------------------------------------------------------------------------------------------
    def consumed(self, count: int) -> None:
        """Say that so many arrived bytes were read: the other side's window opens by as many."""
        sender = self.peer
        sender._unread -= count
        if sender._outbox:
            # The news of the open window has to cross the link too.
            self._carry(sender._opened, 0)

    def _opened(self) -> None:
        self._pump()
        if not self.closed and self.room:
            self.receiver.drained()

    def _arrive(self, data: bytes) -> None:
        if self.closed:
            # Nobody reads here any more: the sender is told so, as TCP does.
            self._carry(self.peer._arrive_reset, 0)
        else:
            self.receiver.received(data)

    def _arrive_end(self) -> None:
        # Heard at the census already, where that came before.
        if self in self._network.on_their_way:
            self._network.on_their_way.remove(self)
            if not self.closed:
                self.receiver.ended()

    def _arrive_reset(self) -> None:
        was_closed, self.closed = self.closed, True
        if not was_closed:
            self._network.closed(self.peer, "reset")
        self._lose(was_closed)

    def break_off(self) -> None:
        """The link has broken the connection: this side hears of it as of a reset by the other."""
        was_closed, self.closed, self.cut_off = self.closed, True, True
        self._lose(was_closed)

    def _lose(self, was_closed: bool) -> None:
        self._outbox.clear()
        self._outbox_size = 0
        if not was_closed:
            self.receiver.lost(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))


class Network:
    """Every host and connection of one world."""

    def __init__(self, world: World) -> None:
        # Weak, as in ``Threads``. Calling it gives the world, or None when that is gone.
        self.world_or_none = weakref.ref(world)
        # By their names in small letters.
        self.hosts: dict[str, Host] = {}
        self._by_address: dict[str, Host] = {}
        self.loopback = Host("localhost", "127.0.0.1", "::1")
        # What sockets of this world listen on: (address, port), or the path of a unix socket.
        self.listeners: dict[object, SimSocket] = {}
        self._open: dict[int, Endpoint] = {}
        # The clients that can still be reached, also where the server has closed already.
        self._clients: dict[int, Endpoint] = {}
        self._count = 0
        self._ports = _FIRST_PORT
        # Those to whom an end is on its way.
        self.on_their_way: list[Endpoint] = []
        # Called at the census, before teardown: servers say here which of their streams are still open.
        self.census: list[Callable[[], object]] = []
        # What sockets are bound to, so that no two have the same address: (type, address, port), or a path.
        self.bound: dict[object, SimSocket] = {}
        # Descriptors that a socket gave away and nobody has opened again.
        self.handed_over: dict[int, SimSocket] = {}
        # Virtual descriptor -> the socket that has it.
        self.sockets: dict[int, SimSocket] = {}
        self._descriptors = _FIRST_DESCRIPTOR

    @property
    def world(self) -> World:
        """The world of this network. Raises ``NotSimulatedError`` when it is gone."""
        world = self.world_or_none()
        if world is None:
            raise NotSimulatedError("a socket of a world is used after the world is gone - keep the world as long")
        return world

    # -- names -----------------------------------------------------------------------------------------------------
    def declare(self, name: str, *, ipv6: bool = False) -> Host:
        """Return the host called ``name``, making it known to the network."""
        key = host_key(name)
        host = self.hosts.get(key)
        if host is None:
            number = len(self.hosts)
            address = str(ipaddress.IPv6Address(_FIRST_IPV6 + number)) if ipv6 else None
            host = Host(name, str(ipaddress.IPv4Address(_FIRST_IPV4 + number)), address)
            self.hosts[key] = self._by_address[host.ipv4] = host
            if host.ipv6:
                self._by_address[host.ipv6] = host
        return host

    def adopt(self, other: Network) -> None:
        """Take over the declared hosts of a former run's network."""
        self.hosts, self._by_address = other.hosts, other._by_address
        self.loopback.link = other.loopback.link
        for host in (self.loopback, *self.hosts.values()):
            host.link.held = host.link.down = None

    def find(self, name: str, port: int) -> Host:
        """Return a declared host by name or address. Ends the run when there is none: no packet leaves the process."""
        if name in LOOPBACK_NAMES:
            return self.loopback
        host = self.hosts.get(host_key(name)) or self._by_address.get(name)
        if host is not None:
            return host
        known = ", ".join(h.name for h in self.hosts.values()) or "none"
        raise self.world.end(
            "undeclared_host",
            f"the agent dialled {name}:{port}, which this world does not have (it has: {known}) - declare it under "
            f"`hosts:` in the scenario, such as `hosts: {{{name}: {{status: 200, body: ok}}}}`, "
            f"or as world.network.declare({name!r}) in Python",
        )

    def getaddrinfo(
        self, host: object, port: object, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """Resolve as ``socket.getaddrinfo`` does, in the simulated network only. Raises ``socket.gaierror``."""
        name = host.decode("ascii") if isinstance(host, bytes) else str(host or "")
        number = port_number(port)
        numeric = _version_of(name)
        if flags & socket.AI_NUMERICHOST and name and numeric is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if not name and flags & socket.AI_PASSIVE:
            addresses = [(int(socket.AF_INET), "0.0.0.0"), (int(socket.AF_INET6), "::")]
        elif numeric is not None:
            addresses = [(numeric, name)]
        else:
            addresses = self._resolve(name, number)
        kinds = [kind] if kind else [socket.SOCK_STREAM, socket.SOCK_DGRAM]
        found = [
            (
                socket.AddressFamily(version),
                socket.SocketKind(k),
                proto or _PROTOS[k],
                "",
                _sockaddr(version, text, number),
            )
            for version, text in addresses
            if family in (socket.AF_UNSPEC, version)
            for k in kinds
        ]
        if not found:
            raise socket.gaierror(socket.EAI_ADDRFAMILY, "Address family for hostname not supported")
        return found

    def _resolve(self, name: str, port: int) -> list[tuple[int, str]]:
        host = self.find(name, port)
        now_ns = self.world.clock.now_ns
        if host.link.failure(now_ns, "name") or (host.admit is not None and host.admit(port, "name") is not None):
            self.world.recorder.record("network", "connection.refused", host=name, port=port, how="unknown_host")
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        ipv6 = [(int(socket.AF_INET6), host.ipv6)] if host.ipv6 else []
        return [(int(socket.AF_INET), host.ipv4), *ipv6]

    # -- connections -------------------------------------------------------------------------------------------------
    def connect(self, address: str, port: int, done: Callable[[Endpoint | OSError], None]) -> None:
        """Open a connection; ``done`` hears of the client's endpoint, or of the error, after a round trip."""
        host = self.find(address, port)
        listener = self._listener(host, address, port)
        how = host.link.failure(self.world.clock.now_ns, "connect") or _refusal(host, port, listener)
        if how is not None:
            self.world.recorder.record("network", "connection.refused", host=host.name, port=port, how=how)
            if how != "timeout":
                self._round_trip(host, lambda: done(_failure(how)))
            return
        self._round_trip(host, lambda: done(self._pair(host, port, listener)))

    def _listener(self, host: Host, address: str, port: int) -> SimSocket | None:
        if host is not self.loopback:
            return None
        for name in (address, "0.0.0.0", "::"):
            if (name, port) in self.listeners:
                return self.listeners[name, port]
        return None

    def _round_trip(self, host: Host, action: Callable[[], object]) -> None:
        link, world = host.link, self.world
        there_ns = link.arrival_ns(world.clock.now_ns + link.latency_ns)
        back_ns = link.arrival_ns(there_ns + link.latency_ns)
        if back_ns < FOREVER:
            world.call_at_ns(back_ns, action, lane=Dial(host), label=f"the connection to {host.name}")

    def _pair(self, host: Host, port: int, listener: SimSocket | None) -> Endpoint | OSError:
        if listener is not None and listener.fileno() < 0:
            return _failure("refused")
        client, server = self.pair(host, port)
        self._open[client.connection] = self._clients[client.connection] = client
        self.world.recorder.record(
            "network", "connection.open", connection=client.connection, host=host.name, port=port
        )
        if listener is not None:
            listener.take_connection(server)
        else:
            assert host.accept is not None
            server.receiver = host.accept(server)
        return client

    def pair(self, host: Host | None = None, port: int = 0) -> tuple[Endpoint, Endpoint]:
        """Return two connected endpoints."""
        self._count += 1
        client = Endpoint(self, self._count, "client", host or self.loopback, port)
        server = Endpoint(self, self._count, "server", host or self.loopback, port)
        client.peer, server.peer = server, client
        client.client_port = server.client_port = self.new_port()
        return client, server

    def send_datagram(self, sender: SimSocket, data: bytes, address: Any) -> None:
        """Send a datagram; where nobody listens it is lost without a word, as UDP has it."""
        if isinstance(address, (str, bytes, os.PathLike)):
            owner, latency_ns = self.bound.get(os.fsdecode(address)), 0
        else:
            host = self.find(str(address[0]), int(address[1]))
            owner, latency_ns = self._datagram_owner(host, str(address[0]), int(address[1])), host.link.latency_ns
        if owner is not None:
            target, source = owner, sender.datagram_name()
            # The kernel keeps the datagrams of one sender in order where no router is between.
            self.world.call_later_ns(
                latency_ns, lambda: target.take_datagram(data, source), lane=sender, label="a datagram"
            )

    def _datagram_owner(self, host: Host, address: str, port: int) -> SimSocket | None:
        if host is not self.loopback:
            return None
        names = ("127.0.0.1" if address == "localhost" else address, "0.0.0.0", "::")
        keys = [(int(socket.SOCK_DGRAM), name, port) for name in names]
        return next((self.bound[key] for key in keys if key in self.bound), None)

    def closed(self, endpoint: Endpoint, how: str, by: str | None = None) -> None:
        """Note who closed a connection first, and how."""
        world = self.world_or_none()
        if endpoint.side == "client" or endpoint.peer.closed:
            self._clients.pop(endpoint.connection, None)
        if self._open.pop(endpoint.connection, None) is not None and world is not None:
            by = by or endpoint.side
            world.recorder.record("network", "connection.close", connection=endpoint.connection, by=by, how=how)

    # -- what links do -----------------------------------------------------------------------------------------------
    def clients_over(self, link: Link) -> list[Endpoint]:
        """Return the clients' endpoints of all connections over a link."""
        return [client for client in self._clients.values() if client.host.link is link]

    def break_off(self, clients: list[Endpoint]) -> None:
        """Break these connections, at both ends at once."""
        for client in clients:
            self.closed(client, "reset", by="link")
            client.break_off()
            client.peer.break_off()

    def hold(self, link: Link, trouble: Trouble) -> None:
        """Hold back what crosses a link, and what is on it by now, until the trouble is over."""
        if link.held is not None and link.held.until_ns >= trouble.until_ns:
            # Nothing crosses the link for longer than this.
            trouble.struck = trouble.struck or bool(self.clients_over(link))
            return
        link.held = trouble

        def crosses(lane: object) -> bool:
            return isinstance(lane, (Endpoint, Dial)) and lane.host.link is link

        trouble.struck = self.world.postpone(crosses, trouble.until_ns)

    def deliver_ends(self) -> None:
        """Tell servers of the clients that are gone: what was closed at the last instant is closed."""
        for endpoint in [e for e in self.on_their_way if e.side == "server" and e.peer.closed]:
            endpoint._arrive_end()

    def record_survivors(self) -> None:
        """Record open streams (orphans) and idle connections (a pool's business, and no finding)."""
        for ask in self.census:
            ask()
        for connection, client in self._open.items():
            self.world.recorder.record(
                "network", "connection.left", connection=connection, host=client.host.name, port=client.port
            )

    # -- numbers -----------------------------------------------------------------------------------------------------
    def new_descriptor(self, owner: SimSocket) -> int:
        """Give a socket a virtual descriptor."""
        self._descriptors += 1
        self.sockets[self._descriptors] = owner
        return self._descriptors

    def new_port(self) -> int:
        """Return an ephemeral port that nobody has."""
        self._ports += 1
        return self._ports


def _refusal(host: Host, port: int, listener: SimSocket | None) -> str | None:
    """Say how an attempt to connect fails at the host itself, if it does."""
    if host.accept is not None:
        return host.admit(port, "connect") if host.admit else None
    if listener is None:
        return "refused"
    return "timeout" if listener.backlog_full else None


def host_key(name: str) -> str:
    """Return what all ways to write a host's name have in common."""
    return name.lower().rstrip(".")


_PROTOS: Final = {int(socket.SOCK_STREAM): socket.IPPROTO_TCP, int(socket.SOCK_DGRAM): socket.IPPROTO_UDP}


def _failure(how: str) -> OSError:
    code = errno.ECONNRESET if how == "reset" else errno.ECONNREFUSED
    return OSError(code, os.strerror(code))


def _version_of(name: str) -> int | None:
    """Return the address family of a numeric address, or None for a name."""
    try:
        return int(socket.AF_INET6 if ipaddress.ip_address(name).version == 6 else socket.AF_INET)
    except ValueError:
        return None


def _sockaddr(version: int, address: str, port: int) -> tuple[object, ...]:
    if version != socket.AF_INET6:
        return address, port
    plain, _, scope = address.partition("%")
    return plain, port, 0, int(scope) if scope.isdecimal() else 0


def port_number(port: object) -> int:
    """Return a port from a number or a service name. Raises ``socket.gaierror`` for another text."""
    if port is None:
        return 0
    if isinstance(port, int):
        return port
    text = port.decode("ascii") if isinstance(port, bytes) else str(port)
    if text.isdecimal():
        return int(text)
    if text in _SERVICES:
        return _SERVICES[text]
    raise socket.gaierror(socket.EAI_SERVICE, f"Servname not supported for ai_socktype: {text!r}")

"""The network: hosts by name, and connections of bytes in memory, below every client library.

The idea: a connection is two endpoints; what one sends is an event of the agenda that the other receives, so
bytes take virtual time, keep their order, and can be cut at any of them. The constraint: nothing here knows
asyncio or threads, so the same connection serves a loop, a blocking socket and a scripted server. An undeclared
host ends the run by name and no packet leaves the process. A fake at the level of one HTTP client was refused:
the client's own pool and timeouts would be bypassed, and they are what is tested.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from simkit.kernel.world import World

# 198.18.0.0/15 is set aside for tests of networks (RFC 2544): no real host has such an address.
_FIRST_ADDRESS: Final = int(ipaddress.IPv4Address("198.18.0.1"))
_LOOPBACK: Final = {
    "localhost": "127.0.0.1",
    "127.0.0.1": "127.0.0.1",
    "": "127.0.0.1",
    "0.0.0.0": "127.0.0.1",
}
_SERVICES: Final = {"http": 80, "https": 443}
# Clients' ports start where Linux's ephemeral range does.
_FIRST_PORT: Final = 32768
# Virtual descriptors lie beyond every real one, so a stray use of one fails instead of hitting a real file.
_FIRST_DESCRIPTOR: Final = 1 << 20


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


class Backlog:
    """Keeps what arrives until the real receiver takes it over."""

    __slots__ = ("_arrivals",)

    def __init__(self) -> None:
        self._arrivals: list[Callable[[Receiver], None]] = []

    def received(self, data: bytes) -> None:
        """Keep the bytes."""
        self._arrivals.append(lambda to: to.received(data))

    def ended(self) -> None:
        """Keep the end."""
        self._arrivals.append(lambda to: to.ended())

    def lost(self, error: OSError) -> None:
        """Keep the error."""
        self._arrivals.append(lambda to: to.lost(error))

    def hand_over(self, receiver: Receiver) -> None:
        """Give everything to who sits here now, in order."""
        for arrival in self._arrivals:
            arrival(receiver)


# Says how an attempt to reach a port fails at a stage ("name" or "connect"), or None when it does not: at the first
# "unknown_host", at the second "refused", "reset" or "timeout".
Admit = Callable[[int, str], "str | None"]


class Host:
    """One host of the simulated network."""

    __slots__ = ("accept", "address", "admit", "name")

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.accept: Callable[[Endpoint], Receiver] | None = None
        self.admit: Admit | None = None

    def serve(self, accept: Callable[[Endpoint], Receiver], admit: Admit | None = None) -> None:
        """Accept connections on every port: ``accept`` gets the server's endpoint and returns who receives there."""
        self.accept, self.admit = accept, admit


class Endpoint:
    """One side of a connection."""

    __slots__ = ("_ended", "_network", "closed", "connection", "host", "peer", "port", "receiver", "side")

    def __init__(self, network: Network, connection: int, side: str, host: Host, port: int) -> None:
        self._network = network
        self.connection = connection
        self.side = side
        self.host = host
        self.port = port
        self.closed = False
        self._ended = False
        self.peer: Endpoint
        # Until somebody sits down here, what arrives is kept: a server may speak before the client has looked.
        self.receiver: Receiver = Backlog()

    def send(self, data: bytes) -> None:
        """Send bytes; they arrive after the link's latency, in order."""
        if data and not self.closed:
            self._network.later(lambda: self.peer._arrive(data))

    def end(self) -> None:
        """Send no more (FIN), but go on receiving."""
        if not self.closed and not self._ended:
            self._ended = True
            self._network.later(self.peer._arrive_end)

    def close(self) -> None:
        """Close both ways: the other side sees an end, and a reset if it sends after it."""
        if not self.closed:
            self.end()
            self.closed = True
            self._network.closed(self, "eof")

    def reset(self) -> None:
        """Break the connection at once (RST)."""
        if not self.closed:
            self.closed = True
            self._network.closed(self, "reset")
            self._network.later(self.peer._arrive_reset)

    def _arrive(self, data: bytes) -> None:
        if self.closed:
            # Nobody reads here any more: the sender is told so, as TCP does.
            self._network.later(self.peer._arrive_reset)
        else:
            self.receiver.received(data)

    def _arrive_end(self) -> None:
        if not self.closed:
            self.receiver.ended()

    def _arrive_reset(self) -> None:
        if not self.closed:
            self.closed = True
            self.receiver.lost(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))


class Network:
    """Every host and connection of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hosts: dict[str, Host] = {}
        self._by_address: dict[str, Host] = {}
        self._open: dict[int, Endpoint] = {}
        self._count = 0
        # One way, every link: 0 still takes the bytes through the agenda, so nothing is delivered in the same breath.
        self.latency_ns = 0
        # Called at the census, before teardown: servers say here which of their streams are still open.
        self.census: list[Callable[[], object]] = []
        # Virtual descriptor -> whether a read would return at once; what ``select.poll`` asks.
        self.descriptors: dict[int, Callable[[], bool]] = {}

    # -- names -----------------------------------------------------------------------------------------------------
    def declare(self, name: str) -> Host:
        """Return the host called ``name``, making it known to the network."""
        # Names of hosts have no case, and what is dialled is looked up in lower case.
        name = name.lower().rstrip(".")
        host = self._hosts.get(name)
        if host is None:
            host = Host(name, str(ipaddress.IPv4Address(_FIRST_ADDRESS + len(self._hosts))))
            self._hosts[name] = self._by_address[host.address] = host
        return host

    def adopt(self, other: Network) -> None:
        """Take over the declared hosts of a former run's network, who speaks for them, and the latency."""
        self._hosts, self._by_address = other._hosts, other._by_address
        self.latency_ns, self.census = other.latency_ns, other.census

    def find(self, name: str, port: int) -> Host:
        """Return a declared host by name or address. Ends the run when there is none: no packet leaves the process."""
        host = self._hosts.get(name.lower().rstrip(".")) or self._by_address.get(name)
        if host is not None:
            return host
        if name in _LOOPBACK:
            return Host("localhost", "127.0.0.1")
        known = ", ".join(self._hosts) or "none"
        raise self._world.end(
            "undeclared_host",
            f"the agent dialled {name}:{port}, which this world does not have (it has: {known}) - declare it under "
            f"`hosts:` in the scenario, such as `hosts: {{{name}: {{status: 200, body: ok}}}}`, "
            f"or as world.network.declare({name!r}) in Python",
        )

    def getaddrinfo(self, host: object, port: object, *, family: int = 0, kind: int = 0, proto: int = 0) -> list[Any]:
        """Resolve as ``socket.getaddrinfo`` does, in the simulated network only."""
        name = host.decode("ascii") if isinstance(host, bytes) else str(host or "")
        number = _port_number(port)
        target = self.find(name, number)
        if target.admit is not None and target.admit(number, "name") is not None:
            self._world.recorder.record("network", "connection.refused", host=name, port=number, how="unknown_host")
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if family not in (socket.AF_UNSPEC, socket.AF_INET):
            raise socket.gaierror(socket.EAI_NONAME, f"{name!r} has no address of family {family}")
        return [
            (
                socket.AF_INET,
                socket.SocketKind(kind or socket.SOCK_STREAM),
                proto or socket.IPPROTO_TCP,
                "",
                (target.address, number),
            )
        ]

    # -- connections -------------------------------------------------------------------------------------------------
    def connect(self, name: str, port: int, done: Callable[[Endpoint | OSError], None]) -> None:
        """Open a connection; ``done`` hears of the client's endpoint, or of the error, after the link's latency."""
        host = self.find(name, port)
        how = "refused" if host.accept is None else host.admit(port, "connect") if host.admit else None
        if how is not None:
            self._world.recorder.record("network", "connection.refused", host=host.name, port=port, how=how)
            if how != "timeout":
                self.later(lambda: done(_failure(how, host, port)))
            return
        self.later(lambda: done(self._pair(host, port)))

    def _pair(self, host: Host, port: int) -> Endpoint:
        assert host.accept is not None
        self._count += 1
        client = Endpoint(self, self._count, "client", host, port)
        server = Endpoint(self, self._count, "server", host, port)
        client.peer, server.peer = server, client
        self._open[self._count] = client
        self._world.recorder.record("network", "connection.open", connection=self._count, host=host.name, port=port)
        server.receiver = host.accept(server)
        return client

    def later(self, action: Callable[[], object]) -> None:
        """Let something cross a link."""
        self._world.call_later_ns(self.latency_ns, action)

    def closed(self, endpoint: Endpoint, how: str) -> None:
        """Note who closed a connection first, and how."""
        if self._open.pop(endpoint.connection, None) is not None:
            self._world.recorder.record(
                "network", "connection.close", connection=endpoint.connection, by=endpoint.side, how=how
            )

    def record_survivors(self) -> None:
        """Record open streams (orphans) and idle connections (a pool's business, and no finding)."""
        for ask in self.census:
            ask()
        for connection, client in self._open.items():
            self._world.recorder.record(
                "network", "connection.left", connection=connection, host=client.host.name, port=client.port
            )

    def descriptor(self, readable: Callable[[], bool]) -> int:
        """Give a connection a virtual descriptor."""
        number = _FIRST_DESCRIPTOR + len(self.descriptors)
        self.descriptors[number] = readable
        return number

    def local_port(self, connection: int) -> int:
        """Return the client's port of a connection."""
        return _FIRST_PORT + connection


def _failure(how: str, host: Host, port: int) -> OSError:
    if how == "reset":
        return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    return ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed ({host.address!r}, {port})")


def _port_number(port: object) -> int:
    if port is None:
        return 0
    if isinstance(port, int):
        return port
    text = port.decode("ascii") if isinstance(port, bytes) else str(port)
    if text in _SERVICES:
        return _SERVICES[text]
    if text.isdecimal():
        return int(text)
    raise socket.gaierror(socket.EAI_SERVICE, f"servname {text!r} is not a number, http or https")

"""Sockets: what client libraries ask of the socket below a simulated connection.

The idea: HTTP pools look at the raw socket (its addresses, its options, whether its descriptor is readable)
before they reuse a connection, so the simulated one answers those questions truthfully. The constraint: a
descriptor of this room is never a real one, and a real one is never polled here. Answering -1 was refused:
pools take that for a dead connection and never reuse one.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any, Final

from simkit.errors import NotSimulatedError

if TYPE_CHECKING:
    from simkit.kernel.network import Network
    from simkit.kernel.patches import Patches
    from simkit.kernel.threads import Threads

Address = tuple[str, int]


class SimSocket:
    """The socket of a simulated connection, for those who look but do not read."""

    __slots__ = ("_descriptor", "_local", "_peer", "family", "proto", "type")

    def __init__(self, descriptor: int, local: Address, peer: Address) -> None:
        self._descriptor = descriptor
        self._local = local
        self._peer = peer
        self.family = socket.AF_INET
        self.type = socket.SOCK_STREAM
        self.proto = socket.IPPROTO_TCP

    def fileno(self) -> int:
        """Return the virtual descriptor, or -1 once the connection is over."""
        return self._descriptor

    def forget(self) -> None:
        """The connection is over."""
        self._descriptor = -1

    def getsockname(self) -> Address:
        """Return the client's address and port."""
        return self._local

    def getpeername(self) -> Address:
        """Return the server's address and port."""
        return self._peer

    def setsockopt(self, *_: object) -> None:
        """Accept any option: none changes a simulated link."""

    def getsockopt(self, *_: object) -> int:
        """Return 0 for every option."""
        return 0


class SimPoll:
    """``select.poll`` over virtual descriptors, for a look without waiting."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._watched: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = select.POLLIN | select.POLLOUT) -> None:
        """Watch a virtual descriptor."""
        number = fd if isinstance(fd, int) else fd.fileno()
        if number not in self._network.descriptors:
            raise NotSimulatedError(f"select.poll on the real descriptor {number} is not simulated inside a world")
        self._watched[number] = eventmask

    modify = register

    def unregister(self, fd: Any) -> None:
        """Watch it no more. Raises ``KeyError`` when it was not watched."""
        del self._watched[fd if isinstance(fd, int) else fd.fileno()]

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Return what is ready now; waiting is refused by name."""
        ready = [(fd, events) for fd, mask in self._watched.items() if (events := self._events(fd, mask))]
        if not ready and (timeout is None or timeout > 0):
            raise NotSimulatedError("waiting in select.poll is not simulated yet - poll with a timeout of 0")
        return ready

    def _events(self, fd: int, mask: int) -> int:
        readable = select.POLLIN if self._network.descriptors[fd]() else 0
        return mask & (readable | select.POLLOUT)


_real_poll: Final = select.poll


def install_sockets(patches: Patches, threads: Threads, network: Network) -> None:
    """Let ``select.poll`` answer for virtual descriptors in the threads of a world."""
    patches.set(select, "poll", lambda: SimPoll(network) if threads.here() else _real_poll())

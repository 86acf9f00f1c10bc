"""Selectors: who of many simulated sockets is ready, for asyncio's loop, for ``select`` and ``poll``, for
``selectors``.

The idea: sockets tell their watchers of every change, so asking costs nothing while nothing happens, and the
order in which sockets became ready is the order in which they are served, as epoll's list has it. The
constraint: level-triggered like the real ones, so half-read data is reported again. Scanning every socket at
every question was refused: a loop asks at every round.
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from simkit.errors import NotSimulatedError
from simkit.kernel.clock import to_ns
from simkit.kernel.threads import running_world

if TYPE_CHECKING:
    from simkit.kernel.network import Network
    from simkit.kernel.sockets import SimSocket

_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE


class SimSelector(selectors._BaseSelectorImpl):
    """A selector over the sockets of one world. ``wake`` is called when a watched socket becomes ready."""

    def __init__(self, network: Network, wake: Callable[[], object] | None = None) -> None:
        super().__init__()
        self._network = network
        self._wake = wake
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._watched: dict[int, SimSocket] = {}
        # Descriptors that may be ready, in the order in which they became so.
        self.candidates: dict[int, None] = {}

    # -- who is watched ----------------------------------------------------------------------------------------------
    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a socket of this world. Raises ``NotSimulatedError`` for a real descriptor."""
        key: selectors.SelectorKey = super().register(fileobj, events, data)
        sock = self._network.sockets.get(key.fd)
        if sock is None:
            super().unregister(fileobj)
            raise NotSimulatedError(
                f"the real descriptor {key.fd} cannot be watched inside a world - use sockets that are made inside it"
            )
        self._watched[key.fd] = sock
        self._keys[key.fd] = key
        sock.watch(self)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch it no more."""
        key: selectors.SelectorKey = super().unregister(fileobj)
        self.candidates.pop(key.fd, None)
        self._keys.pop(key.fd, None)
        sock = self._watched.pop(key.fd, None)
        if sock is not None:
            sock.unwatch(self)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch it for something else."""
        key: selectors.SelectorKey = super().modify(fileobj, events, data)
        self._keys[key.fd] = key
        return key

    def touched(self, sock: SimSocket) -> None:
        """Note that a watched socket has changed."""
        descriptor = sock.fileno()
        if self._events(descriptor):
            self.candidates[descriptor] = None
            if self._wake is not None:
                self._wake()

    def _events(self, descriptor: int) -> int:
        key = self._keys.get(descriptor)
        sock = self._watched.get(descriptor)
        if key is None or sock is None:
            return 0
        return ready_events(sock, key.events)

    # -- who is ready ------------------------------------------------------------------------------------------------
    def ready(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Return who is ready now, without waiting."""
        found = []
        for descriptor in list(self.candidates):
            events = self._events(descriptor)
            if events:
                found.append((self._keys[descriptor], events))
            else:
                del self.candidates[descriptor]
        return found

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait in virtual time until a watched socket is ready; a timeout of 0 or less only looks."""
        wait_until(self._network, lambda: bool(self.ready()), list(self._watched.values()), timeout)
        return self.ready()

    def close(self) -> None:
        """Watch nobody any more."""
        for sock in self._watched.values():
            sock.unwatch(self)
        self._watched.clear()
        self._keys.clear()
        self.candidates.clear()
        self._wake = None
        super().close()


def ready_events(sock: SimSocket, events: int) -> int:
    """Return which of these events the socket is ready for."""
    readable = _READ if events & _READ and sock.readable() else 0
    return readable | (_WRITE if events & _WRITE and sock.writable() else 0)


class _Waiter:
    """A blocked thread that watches sockets."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake

    def touched(self, sock: SimSocket) -> None:  # any of them is reason enough to look
        """Let the thread look again."""
        self._wake()


def wait_until(network: Network, ready: Callable[[], bool], socks: Sequence[SimSocket], timeout: float | None) -> None:
    """Block the calling thread until something is ready or the timeout (virtual seconds) is over."""
    world = network.world
    threads = world.threads
    me = threads.here()
    if ready() or (timeout is not None and timeout <= 0):
        return
    if me is None:
        raise NotSimulatedError("sockets of a world are waited for by a thread from outside it")
    deadline_ns = None if timeout is None else world.clock.now_ns + to_ns(timeout)
    waiter = _Waiter(lambda: threads.wake(me))
    for sock in socks:
        sock.watch(waiter)
    try:
        while not ready() and (deadline_ns is None or world.clock.now_ns < deadline_ns):
            threads.block(me, deadline_ns, "select")
    finally:
        for sock in socks:
            sock.unwatch(waiter)


class SimPoll:
    """``select.poll`` over the sockets of one world."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._masks: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = select.POLLIN | select.POLLPRI | select.POLLOUT) -> None:
        """Watch a descriptor."""
        self._masks[_known(self._network, fd)] = eventmask

    def modify(self, fd: Any, eventmask: int) -> None:
        """Watch it for something else. Raises ``OSError`` when it is not watched."""
        number = _number(fd)
        if number not in self._masks:
            raise FileNotFoundError(2, "No such file or directory")
        self._masks[number] = eventmask

    def unregister(self, fd: Any) -> None:
        """Watch it no more. Raises ``KeyError`` when it was not watched."""
        del self._masks[_number(fd)]

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Return what is ready, waiting at most ``timeout`` milliseconds; None waits for ever, as does less than 0."""
        seconds = None if timeout is None or timeout < 0 else timeout / 1000
        socks = [self._network.sockets[fd] for fd in self._masks if fd in self._network.sockets]
        wait_until(self._network, lambda: bool(self._ready()), socks, seconds)
        return self._ready()

    def _ready(self) -> list[tuple[int, int]]:
        return [(fd, events) for fd, mask in self._masks.items() if (events := self._events(fd, mask))]

    def _events(self, fd: int, mask: int) -> int:
        sock = self._network.sockets.get(fd)
        if sock is None:
            return select.POLLNVAL
        readable = select.POLLIN if sock.readable() else 0
        return mask & (readable | (select.POLLOUT if sock.writable() else 0))


def sim_select(
    network: Network, rlist: Iterable[Any], wlist: Iterable[Any], xlist: Iterable[Any], timeout: float | None
) -> tuple[list[Any], list[Any], list[Any]]:
    """``select.select`` over the sockets of one world; nothing is ever exceptional."""
    readers = {_known(network, item): item for item in rlist}
    writers = {_known(network, item): item for item in wlist}
    list(xlist)

    def ready() -> tuple[list[Any], list[Any], list[Any]]:
        return (
            [item for fd, item in readers.items() if network.sockets[fd].readable()],
            [item for fd, item in writers.items() if network.sockets[fd].writable()],
            [],
        )

    socks = [network.sockets[fd] for fd in {**readers, **writers}]
    wait_until(network, lambda: any(ready()), socks, timeout)
    return ready()


def _number(fd: Any) -> int:
    number: int = fd if isinstance(fd, int) else fd.fileno()
    return number


def _known(network: Network, fd: Any) -> int:
    number = _number(fd)
    if number not in network.sockets:
        if number < 0:
            raise ValueError("file descriptor cannot be a negative integer (-1)")
        raise NotSimulatedError(
            f"the real descriptor {number} cannot be waited for inside a world - use sockets that are made inside it"
        )
    return number


# -- what the standard library sees ----------------------------------------------------------------------------------
_real_select: Final = select.select
_real_poll: Final = getattr(select, "poll", None)


def _select(rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None) -> Any:
    world = running_world()
    if world is None:
        return _real_select(rlist, wlist, xlist, timeout)
    return sim_select(world.network, rlist, wlist, xlist, timeout)


def _poll() -> Any:
    world = running_world()
    return SimPoll(world.network) if world is not None else _real_poll()  # type: ignore[misc]  # only where it exists


def _selector_of(real: Any) -> Callable[[], Any]:
    """Return what makes a selector: simulated in a world, the real class's outside."""

    def make() -> Any:
        world = running_world()
        return real() if world is None else SimSelector(world.network)

    return make


def fakes() -> dict[object, object]:
    """Return what is replaced under every alias."""
    names = ("SelectSelector", "PollSelector", "EpollSelector", "KqueueSelector", "DevpollSelector")
    classes = [vars(selectors)[name] for name in names if name in vars(selectors)]
    polls = {_real_poll: _poll} if _real_poll is not None else {}
    return {_real_select: _select, **polls, **{real: _selector_of(real) for real in classes}}

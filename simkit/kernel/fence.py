"""The fence: what cannot be simulated is refused by name, with the way round.

The idea: a real socket, a child process or a fork inside a world would leave virtual time, so each is a clear
error the moment it is asked for, not a hang or a packet later. The constraint: only threads of the world are
fenced; the test runner around them keeps its machine. Letting them through with a warning was refused: a run
that is partly real is not the same twice, and nobody reads warnings.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from simkit.errors import NotSimulatedError

if TYPE_CHECKING:
    from simkit.kernel.patches import Patches
    from simkit.kernel.world import World

_SOCKETS: Final = "use an asyncio client (its connections are simulated); blocking sockets are not simulated yet"
_PROCESS: Final = "start it before the run, or give the agent a simulated tool in its place"
# A real loop would wait in real time for a clock that only the world moves, which is for ever.
_LOOP: Final = "give World.run a coroutine function; a second loop in a world is not simulated yet"

# (owner, attribute, name to show, way round): the whole list of what is refused.
REFUSED: Final[tuple[tuple[object, str, str, str], ...]] = (
    (socket.socket, "connect", "socket.connect", _SOCKETS),
    (socket.socket, "connect_ex", "socket.connect_ex", _SOCKETS),
    (socket.socket, "bind", "socket.bind", _SOCKETS),
    (socket.socket, "sendto", "socket.sendto", _SOCKETS),
    (socket.socket, "sendmsg", "socket.sendmsg", _SOCKETS),
    (socket, "getaddrinfo", "socket.getaddrinfo", _SOCKETS),
    (socket, "gethostbyname", "socket.gethostbyname", _SOCKETS),
    (socket, "gethostbyname_ex", "socket.gethostbyname_ex", _SOCKETS),
    (socket, "gethostbyaddr", "socket.gethostbyaddr", _SOCKETS),
    (socket, "getnameinfo", "socket.getnameinfo", _SOCKETS),
    (asyncio, "new_event_loop", "asyncio.new_event_loop", _LOOP),
    (asyncio.events, "new_event_loop", "asyncio.new_event_loop", _LOOP),
    (subprocess, "Popen", "subprocess.Popen", _PROCESS),
    (os, "system", "os.system", _PROCESS),
    (os, "fork", "os.fork", _PROCESS),
    (os, "forkpty", "os.forkpty", _PROCESS),
    (os, "posix_spawn", "os.posix_spawn", _PROCESS),
    (os, "posix_spawnp", "os.posix_spawnp", _PROCESS),
)


class Fence:
    """Refuses real input and output to the threads of one world."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        self._world = world

    def install(self, patches: Patches) -> None:
        """Put a refusal in the place of each entry of ``REFUSED`` that this platform has."""
        for owner, attribute, name, way in REFUSED:
            real = getattr(owner, attribute, None)
            if real is not None:
                guard = self._guard_class(real, name, way) if isinstance(real, type) else self._guard(real, name, way)
                if attribute in vars(owner):
                    patches.set(owner, attribute, guard)
                else:
                    patches.add(owner, attribute, guard)

    def _guard(self, real: Callable[..., object], name: str, way: str) -> Callable[..., object]:
        def guarded(*args: object, **kwargs: object) -> object:
            if self._world.threads.here() is None:
                return real(*args, **kwargs)
            raise NotSimulatedError(f"{name} is not simulated inside a world - {way}")

        return guarded

    def _guard_class(self, real: type, name: str, way: str) -> type:
        """A class stays a class, so that ``isinstance`` and subclassing go on working beside the world."""
        guard = self._guard(lambda *_, **__: None, name, way)

        def refuse(self: object, *args: object, **kwargs: object) -> None:
            guard()
            real.__init__(self, *args, **kwargs)  # type: ignore[misc]  # the real class's own

        return type(real.__name__, (real,), {"__init__": refuse})

"""The fence: what cannot be simulated is refused by name, with the way round.

The idea: a child process or a fork inside a world would leave virtual time, so each is a clear error the moment
it is asked for, not a hang or a packet later. The constraint: only threads of a world are fenced; the test
runner around them keeps its machine. Letting them through with a warning was refused: a run that is partly real
is not the same twice, and nobody reads warnings.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

from simkit.errors import NotSimulatedError
from simkit.kernel.threads import running_world

_PROCESS: Final = "start it before the run, or give the agent a simulated tool in its place"
_WAITING: Final = "use select.select, select.poll or the selectors module, which wait in virtual time"
_SIGNAL: Final = "call what the signal would call, as the user's action"

# (owner, attribute, way round): the whole list of what is refused, under whatever alias it is known.
REFUSED: Final[tuple[tuple[Any, str, str], ...]] = (
    (subprocess, "Popen", _PROCESS),
    (os, "system", _PROCESS),
    (os, "popen", _PROCESS),
    (os, "fork", _PROCESS),
    (os, "forkpty", _PROCESS),
    (os, "posix_spawn", _PROCESS),
    (os, "posix_spawnp", _PROCESS),
    # What multiprocessing spawns with, where the platform has it; ``subprocess`` has imported it then.
    (sys.modules.get("_posixsubprocess"), "fork_exec", _PROCESS),
    (os, "execv", _PROCESS),
    (os, "execve", _PROCESS),
    (select, "epoll", _WAITING),
    (select, "kqueue", _WAITING),
    (signal, "alarm", _SIGNAL),
    (signal, "setitimer", _SIGNAL),
    (signal, "pause", _SIGNAL),
    (signal, "sigwait", _SIGNAL),
)


def fakes() -> dict[object, object]:
    """Return a refusal for each entry of ``REFUSED`` that this platform has."""
    found: dict[object, object] = {}
    for owner, attribute, way in REFUSED:
        real = getattr(owner, attribute, None)
        if real is not None:
            name = f"{owner.__name__}.{attribute}"
            found[real] = _guarded_class(real, name, way) if isinstance(real, type) else _guarded(real, name, way)
    return found


def uvloop_fakes() -> dict[object, object]:
    """Return a refusal for uvloop, once it is loaded: it waits in C, where no clock of ours reaches."""
    module, way = sys.modules["uvloop"], "let the code use asyncio.new_event_loop() there"
    loop, make = module.Loop, module.new_event_loop
    return {loop: _guarded_class(loop, "uvloop", way), make: _guarded(make, "uvloop", way)}


def _guarded(real: Callable[..., object], name: str, way: str) -> Callable[..., object]:
    def guarded(*args: object, **kwargs: object) -> object:
        if running_world() is None:
            return real(*args, **kwargs)
        raise NotSimulatedError(f"{name} is not simulated inside a world - {way}")

    guarded.__name__ = guarded.__qualname__ = name.rpartition(".")[2]
    return guarded


def _guarded_class(real: type, name: str, way: str) -> type:
    """A class stays a class, so that ``isinstance`` and subclassing go on working beside the world."""
    guard = _guarded(lambda: None, name, way)

    class Guarded(type(real)):  # type: ignore[misc]  # the real class's own metaclass
        def __call__(cls, *args: object, **kwargs: object) -> object:
            guard()
            return real(*args, **kwargs)

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

    return Guarded(real.__name__, (), {"__doc__": real.__doc__})

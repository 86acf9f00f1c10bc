"""The watchdog: real time for code that never comes back to the world.

The idea: one real thread looks now and then whether a running world has taken a step; where none was taken for long, it
names the thread that holds the baton and the line at which it stands, and ends the run. The constraint: it decides
nothing about a run that goes on, so its real clock is never part of a result. A timeout around every primitive was
refused: what is not simulated is exactly what nobody wrapped.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from simkit.errors import WorldEndedError
from simkit.kernel.threads import start_real_thread

if TYPE_CHECKING:
    from simkit.kernel.world import World

# Longer than any honest computation between two steps, short enough for a person who waits. Seconds of real time.
PATIENCE_S: Final = float(os.environ.get("SIMKIT_WATCHDOG", "30"))
# What interrupts a main thread that is blocked in C. Not SIGINT, which a background job ignores and a person means.
_SIGNAL: Final = signal.SIGURG
# How often it looks. A run that ends in between costs nothing.
_LOOK_S: Final = 0.25
# As much of the time between two looks counts: a machine that was suspended, or starved of its processor, did not run
# the world meanwhile either.
_LOOK_MAX_S: Final = 4 * _LOOK_S
_real_sleep: Final = time.sleep
_real_clock: Final = time.monotonic
_new_lock: Final = threading.Lock
# What ``signal.signal`` calls, without its way from numbers to names and back: a search enters thousands of worlds.
_set_handler: Final[Any] = sys.modules["_signal"].signal
_HERE: Final = os.path.dirname(__file__)
_MAIN: Final = threading.main_thread().ident


class Watchdog:
    """Watches the worlds of this process while any of them runs."""

    def __init__(self) -> None:
        self._guard = _new_lock()
        self._worlds: dict[World, tuple[int, float]] = {}
        self._awake = False
        # Real seconds in which it was able to look.
        self._watched_s = 0.0
        self._former: Any = None
        # True from the signal to the main thread until it has arrived there.
        self.interrupts = False

    def watch(self, world: World) -> None:
        """Look after a world from now on."""
        if threading.get_ident() == _MAIN:
            self._former = _set_handler(_SIGNAL, self._interrupted)
        with self._guard:
            self._worlds[world] = (-1, 0.0)
            if not self._awake:
                self._awake = True
                start_real_thread(self._look_out)

    def leave(self, world: World) -> None:
        """Look after it no more. Called where ``watch`` was called."""
        if threading.get_ident() == _MAIN and self._former is not None:
            _set_handler(_SIGNAL, self._former)
            self._former = None
        self._forget(world)

    def _forget(self, world: World) -> None:
        with self._guard:
            self._worlds.pop(world, None)

    def _interrupted(self, signum: int, frame: object) -> None:
        """Leave the call that does not come back; a signal that somebody else sent means nobody here."""
        if self.interrupts:
            self.interrupts = False
            raise WorldEndedError

    def _look_out(self) -> None:
        """Look until no world has run for as long as the patience lasts, so that many short runs share one thread."""
        idle_since, before = self._watched_s, _real_clock()
        while True:
            _real_sleep(_LOOK_S)
            now = _real_clock()
            self._watched_s += min(now - before, _LOOK_MAX_S)
            before = now
            with self._guard:
                worlds = list(self._worlds)
                if worlds:
                    idle_since = self._watched_s
                elif self._watched_s - idle_since > PATIENCE_S:
                    self._awake = False
                    return
            for world in worlds:
                self._look_at(world)

    def _look_at(self, world: World) -> None:
        now, progress = self._watched_s, world.progress
        seen, since = self._worlds.get(world, (progress, now))
        if progress != seen:
            with self._guard:
                if world in self._worlds:
                    self._worlds[world] = (progress, now)
        elif now - since > world.patience_s:
            self._forget(world)
            _stop(world)


# Process-wide: one thread looks after all worlds.
WATCHDOG: Final = Watchdog()


def _stop(world: World) -> None:
    """End a run whose baton is held by code that does not come back."""
    holder = world.threads.holder
    if holder is None or holder.ident is None:
        return
    frame = sys._current_frames().get(holder.ident)
    stack = traceback.extract_stack(frame) if frame is not None else []
    lines = [f"{f.filename}:{f.lineno} in {f.name}" for f in stack if not f.filename.startswith(_HERE)]
    where = lines[-1] if lines else "code that Python does not see"
    end = world.end(
        "stuck",
        f"thread {holder.name} did not come back to the world for {world.patience_s:g} s of real time; "
        f"it stands at {where}. "
        "What blocks there is not simulated (a lock made before the world, a C library, a long computation): make it "
        "inside the world, keep it out of the run, or raise SIMKIT_WATCHDOG",
    )
    if holder is not world.threads.main:
        world.threads.abandon(holder, end)
    # Reaches Python code at its next line. SystemExit ends a thread without a word, however late it comes.
    error = WorldEndedError if holder is world.threads.main else SystemExit
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(holder.ident), ctypes.py_object(error))
    _real_sleep(_LOOK_S)
    if world.running and holder is world.threads.main and holder.ident == _MAIN:
        # The process's main thread is blocked in C, where only a signal reaches it; one of the two is enough.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(holder.ident), None)
        WATCHDOG.interrupts = True
        signal.pthread_kill(holder.ident, _SIGNAL)

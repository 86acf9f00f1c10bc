"""The machine's replacements, all of them: what a thread of a world sees in place of the standard library.

The idea: each room says what it replaces (objects under every alias, and attributes), this one puts all of it
in place when the first world is entered and gives it back when the last one is left. The constraint: every
replacement asks which world the calling thread belongs to and does the real thing for a thread that belongs to
none, so nothing depends on which world put it there. Closures over one world were refused: a module that is
imported inside a world keeps what it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import platform
import sys
from collections.abc import Iterator
from typing import Any, Final

from simkit.kernel import entropy, fence, loop, selector, sockets, threads, tls
from simkit.kernel.aliases import Aliases
from simkit.kernel.patches import Patches
from simkit.kernel.wallclock import WALL


class Machine:
    """The replaced standard library, and how many worlds need it at the moment."""

    def __init__(self) -> None:
        self._depth = 0
        self._running = 0
        self._collecting = False
        # By the library's name, until it is there.
        self._late = {"numpy": entropy.numpy_fakes, "uvloop": fence.uvloop_fakes}
        self._aliases: Aliases | None = None
        self._patches = Patches()
        # What a run replaces for itself: somebody else may have replaced it since the machine is held.
        self._run_patches = Patches()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep everything replaced over many runs, so that only the first pays for it. Nests."""
        self.hold()
        try:
            yield
        finally:
            self.let_go()

    def hold(self) -> None:
        """Replace everything, if nobody holds it yet; whoever holds it lets it go."""
        WALL.hold()
        self._depth += 1
        if self._depth == 1:
            try:
                self._on()
            except BaseException:
                self.let_go()
                raise

    def let_go(self) -> None:
        """Give everything back, if nobody else holds it."""
        try:
            self._depth -= 1
            if self._depth == 0:
                self._off()
        finally:
            WALL.let_go()

    def running(self) -> Running:
        """Hold while a world runs. Garbage is collected where the world says: finalizers are part of a run."""
        return Running(self)

    def begin_run(self) -> None:
        """Replace what each run replaces for itself, if none is under way."""
        if self._running == 0:
            self._collecting = gc.isenabled()
            gc.disable()
            self._take_in_late()
            for room in (threads, entropy):
                room.install_for_run(self._run_patches)
        self._running += 1

    def end_run(self) -> None:
        """Give it back, if no other run is under way."""
        self._running -= 1
        if self._running == 0:
            self._run_patches.undo()
            if self._collecting:
                gc.enable()

    def _on(self) -> None:
        if self._aliases is None:
            # It asks a child process, once in the life of this one. SDKs tell their provider what it says, and where it
            # is refused they tell something else, in this run and, from their caches, in all later ones.
            platform.uname().processor  # noqa: B018  # read for what it keeps
            self._aliases = Aliases(
                {
                    **threads.fakes(),
                    **sockets.fakes(),
                    **selector.fakes(),
                    **loop.fakes(),
                    **entropy.fakes(),
                    **fence.fakes(),
                }
            )
        self._aliases.on()
        for room in (threads, entropy, tls):
            room.install(self._patches)
        # The default policy only: who sets a policy of his own gets the loops that it makes.
        self._patches.set(asyncio.DefaultEventLoopPolicy, "_loop_factory", staticmethod(_new_event_loop))

    def _take_in_late(self) -> None:
        """Replace what is in libraries. They may be loaded at any time, so each run asks; none is loaded for this."""
        for name in [name for name in self._late if name in sys.modules]:
            assert self._aliases is not None
            self._aliases.extend(self._late.pop(name)())

    def _off(self) -> None:
        self._patches.undo()
        assert self._aliases is not None
        self._aliases.off()


class Running:
    """A run that is under way. A class and no generator: a search begins thousands, and pays for every level."""

    __slots__ = ("_machine",)

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __enter__(self) -> None:
        self._machine.hold()
        try:
            self._machine.begin_run()
        except BaseException:
            self._machine.let_go()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._machine.end_run()
        finally:
            self._machine.let_go()


# Process-wide because what it replaces is process-wide.
MACHINE: Final = Machine()


def _new_event_loop() -> Any:
    """Return a loop that joins the world, or a stock one outside every world."""
    world = threads.running_world()
    if world is None:
        return asyncio.SelectorEventLoop()
    return world.new_loop()

"""Survivors: what is still alive when the main function is over, recorded first and ended then.

The idea: an orphan on a passing run is a finding, so the census happens before any teardown, while the world
still stands as the subject left it. The constraint: what teardown does is never taken for the subject's doing;
code that swallows its cancellation looks healthy only while it is being torn down. Asking
``asyncio.all_tasks()`` after the run was refused: by then asyncio has cancelled what there was to see.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from simkit.errors import RunEndedError, WorldEndedError

if TYPE_CHECKING:
    from simkit.kernel.loop import SimEventLoop, SimTask
    from simkit.kernel.world import World

_STDLIB: Final = os.path.dirname(asyncio.__file__)
_POOLS: Final = logging.getLogger("concurrent.futures")

# How often the tasks of a loop are cancelled before those that will not end are left behind.
_CANCELS_MAX: Final = 10
# More names than this in one sentence are not read.
_NAMES_MAX: Final = 5


class Survivors:
    """The census of a world, and its undertaker."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        self._world = world

    # -- before teardown -----------------------------------------------------------------------------------------
    def record(self) -> None:
        """Write every living task, thread and open stream into the trace."""
        # Before the collector: what it closes, nobody has closed.
        self._world.network.deliver_ends()
        # With the collector off, everything that the run made is in the youngest generation: this costs what the
        # run made and not what the process holds, and lets finalizers report errors that nobody retrieved.
        # A pending task that nobody refers to is an orphan too, so the tasks are held meanwhile.
        pending = list(self.tasks())
        for loop in self._world.loops:
            loop.is_deserted = not pending and (loop.main_task is None or loop.main_task.done())
        gc.collect(0)
        for task in pending:
            # What a generator held open that was let go of is told by itself: a stream, a connection.
            if not getattr(task, "is_housekeeping", False):
                name, created, waits = describe(task)
                self._orphan("task", name, created, waits)
        for name, waits in self.threads():
            self._orphan("thread", name, "", waits)
        self._world.network.record_survivors()

    def _orphan(self, what: str, name: str, created: str, waits: str) -> None:
        self._world.recorder.record("world", "orphan", what=what, name=name, created=created, waits=waits)

    def tasks(self) -> Iterator[SimTask]:
        """Yield every task that is not done, in the order of creation; the main task of a loop is no survivor."""
        for loop in self._world.loops:
            pending: list[Any] = [t for t in asyncio.all_tasks(loop) if t is not loop.main_task]
            # Tasks of a user's own factory carry no number.
            yield from sorted(pending, key=lambda t: getattr(t, "number", 0))

    def threads(self) -> Iterator[tuple[str, str]]:
        """Yield name and wait of every living thread, idle workers of a loop's own pool excepted."""
        idle = set[str]()
        for loop in self._world.loops:
            pool = loop._default_executor  # type: ignore[attr-defined]  # asyncio shuts it down with the loop
            if pool is not None:
                frames = sys._current_frames()
                idle.update(t.name for t in pool._threads if not _works(frames.get(t.ident)))
        yield from ((t.name, t.waits_for) for t in self._world.threads.alive() if t.name not in idle)

    def lost(self, context: dict[str, Any]) -> None:
        """Record what a loop's exception handler was called with: an error that nobody caught."""
        error = context.get("exception")
        text = str(context.get("message", ""))
        if error is not None:
            text = f"{text}: {type(error).__name__}: {error}"
        source: Any = context.get("task") or context.get("future")
        where = place(getattr(source, "site", None) or _innermost(error))
        self._world.recorder.record("world", "lost.error", error=type(error).__name__, text=text, where=where)

    # -- texts -----------------------------------------------------------------------------------------------------
    def brief(self) -> str:
        """Name what is alive, in one sentence."""
        names = [describe(t)[0] for t in self.tasks()] + [name for name, _ in self.threads()]
        more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
        return f"alive: {', '.join(names[:_NAMES_MAX]) or 'the main function only'}{more}"

    def deadlock_text(self) -> str:
        """Say who waits for whom when nothing can ever happen again."""
        lines = []
        for loop in self._world.loops:
            for task in sorted(asyncio.all_tasks(loop), key=lambda t: getattr(t, "number", 0)):
                name, created, waits = describe(task)
                lines.append(f"task {name} (created {created}) waits at {waits}" if waits else f"task {name} waits")
        for thread in self._world.threads.alive():
            lines.append(f"thread {thread.name} waits for {thread.waits_for}")
        return "nothing can ever happen again: " + ("; ".join(lines) or "the main function waits for ever")

    # -- teardown ------------------------------------------------------------------------------------------------
    def end(self) -> None:
        """End every task and thread and close every loop; nothing of this is in the trace."""
        world = self._world
        # A pool's worker reports the end of its world as a critical error; to the user it is none.
        before, _POOLS.disabled = _POOLS.disabled, True
        try:
            for loop in list(world.loops):
                world.reopen()
                self._end_loop(loop)
            world.reopen()
            world.threads.end_all()
        finally:
            _POOLS.disabled = before
            world.loops.clear()

    def _end_loop(self, loop: SimEventLoop) -> None:
        if loop.is_closed():
            return
        if loop.is_deserted and loop.wound_down:
            # Whatever came to life since then would be ready to run.
            loop.close()
            return
        pending: list[asyncio.Task[Any]] = []
        try:
            for _ in range(_CANCELS_MAX):
                pending = [t for t in asyncio.all_tasks(loop) if not t.done()]
                if not pending:
                    break
                for task in pending:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(pending, timeout=1.0))
            # Each of these costs as much as an empty run, so only where there is something to end.
            if not loop.wound_down:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.abort_transports()
                loop.run_until_complete(asyncio.sleep(0))
                loop.run_until_complete(loop.shutdown_default_executor())
        except (RunEndedError, WorldEndedError, RuntimeError):
            # A task that will not end, or a loop that still runs in another thread: both were recorded as orphans.
            pass
        left: list[Any] = []
        if pending or not loop.wound_down:
            left = sorted(asyncio.all_tasks(loop), key=lambda t: getattr(t, "number", 0))
        loop.close()
        for task in left:
            task._log_destroy_pending = False  # asyncio's own switch for this
            _close(task.get_coro())


def _close(coroutine: Any) -> None:
    """End a coroutine that ignores its cancellation here, and not whenever its garbage is collected outside."""
    try:
        coroutine.close()
    except (Exception, RunEndedError, WorldEndedError):  # noqa: BLE001  # its last words are no part of the run
        pass


def _works(frame: FrameType | None) -> bool:
    """Say whether a pool's worker is in the middle of a job."""
    while frame is not None:
        if frame.f_code.co_name == "run" and frame.f_globals.get("__name__") == "concurrent.futures.thread":
            return True
        frame = frame.f_back
    return False


def describe(task: asyncio.Task[Any]) -> tuple[str, str, str]:
    """Return a task's name with its coroutine's, where it was created, and the line at which it waits."""
    coroutine: Any = task.get_coro()
    name = f"{task.get_name()} ({getattr(coroutine, '__qualname__', 'coroutine')})"
    frame = None
    while coroutine is not None and getattr(coroutine, "cr_frame", None) is not None:
        inner = coroutine.cr_frame
        # Lines of the standard library differ from one Python to the next, and say little to the reader.
        if frame is None or not inner.f_code.co_filename.startswith(_STDLIB):
            frame = inner
        coroutine = coroutine.cr_await
    waits = place((frame.f_code.co_filename, frame.f_lineno)) if frame is not None else ""
    return name, place(getattr(task, "site", None)), waits


def place(site: tuple[str, int] | None) -> str:
    """Return ``file:line`` without the machine's own folders, so that traces of two machines are equal."""
    if not site or not site[0]:
        return ""
    file, line = site
    for folder in sorted({os.getcwd(), *sys.path}, key=len, reverse=True):
        if folder and file.startswith(folder.rstrip(os.sep) + os.sep):
            file = os.path.relpath(file, folder)
            break
    else:
        file = os.path.basename(file)
    return f"{file.replace(os.sep, '/')}:{line}"


def _innermost(error: BaseException | None) -> tuple[str, int] | None:
    """Return where an error was raised."""
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)

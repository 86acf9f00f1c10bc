"""The event loop: asyncio's own, with only the selector cut away.

The idea: ``asyncio.BaseEventLoop`` holds all of asyncio's promises (tasks, debug mode, async generator hooks,
executors, exception handler) in Python, so this class replaces where it waits and where it keeps timers, and
nothing else. The constraint: an order that this loop produces, stock asyncio can produce; callbacks of one
iteration keep their order, bytes come before timers of the same instant. A loop written from scratch was
refused: every peer that did it lost parts of the contract that the standard library's own tests check.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import events, futures, tasks
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context
from heapq import heapify, heappop, heappush
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from simkit.errors import NotSimulatedError
from simkit.kernel.clock import to_ns
from simkit.kernel.entropy import stream

if TYPE_CHECKING:
    from simkit.kernel.world import World

# The heap is swept when more than this many of its timers, and more than half of them, were cancelled.
_CANCELLED_MAX: Final = 100


class SimTask(tasks.Task[Any]):
    """A task whose hash follows the seed, so that sets of tasks have the same order in every run of a plan."""

    # Where it was created, as (file, line), for those who ask what an orphan is.
    site: tuple[str, int] = ("", 0)
    number: int = 0
    _sim_hash: int = 0

    def __hash__(self) -> int:
        return self._sim_hash


class SimFuture(futures.Future[Any]):
    """A future whose hash follows the seed; see ``SimTask``."""

    _sim_hash: int = 0

    def __hash__(self) -> int:
        return self._sim_hash


class SimEventLoop(asyncio.BaseEventLoop):
    """An event loop that waits in virtual time. Made inside a world, it joins that world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self._clock = world.clock
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._cancelled_timers = 0
        self._hashes = _hashes(world)
        self._task_count = 0
        # The task that the loop was started for: when it is done the run is over, so it never counts as a survivor.
        self.main_task: asyncio.Task[Any] | None = None
        # The thread that runs this loop; whoever hands it work while it idles wakes that thread.
        self._thread = world.threads.here()
        self._idling = False
        world.loops.append(self)

    # -- time ----------------------------------------------------------------------------------------------------
    def time(self) -> float:
        """Return the virtual seconds since the start of the world."""
        return self._clock.seconds

    def call_at(  # type: ignore[override]  # typeshed ties the arguments to the callback; a subclass cannot say it
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Arm a timer for the instant ``when``; timers of one instant fire in the order of their arming."""
        if when is None:
            raise TypeError("when cannot be None")
        self._check_closed()  # type: ignore[attr-defined]  # asyncio's own, not in typeshed
        if self._debug:  # type: ignore[attr-defined]
            self._check_thread()  # type: ignore[attr-defined]
            self._check_callback(callback, "call_at")  # type: ignore[attr-defined]
        timer = events.TimerHandle(when, callback, args, self, context)
        if timer._source_traceback:  # type: ignore[attr-defined]
            del timer._source_traceback[-1]  # type: ignore[attr-defined]
        heappush(self._timers, (to_ns(when), self.world.next_sequence(), timer))
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if handle._scheduled:  # type: ignore[attr-defined]
            self._cancelled_timers += 1

    def _sweep(self) -> None:
        """Drop cancelled timers: the first ones always, all of them when they are the greater part."""
        timers = self._timers
        if self._cancelled_timers > _CANCELLED_MAX and self._cancelled_timers * 2 > len(timers):
            for entry in timers:
                if entry[2]._cancelled:
                    entry[2]._scheduled = False  # type: ignore[attr-defined]
            timers[:] = [entry for entry in timers if not entry[2]._cancelled]
            heapify(timers)
            self._cancelled_timers = 0
        while timers and timers[0][2]._cancelled:
            heappop(timers)[2]._scheduled = False  # type: ignore[attr-defined]
            self._cancelled_timers -= 1

    # -- one round -------------------------------------------------------------------------------------------------
    def _run_once(self) -> None:
        """Wait until there is work, move due timers to the ready queue, run what was ready at that point."""
        ready, timers, clock = self._ready, self._timers, self._clock  # type: ignore[attr-defined]
        if self._cancelled_timers:
            self._sweep()
        if ready or self._stopping:  # type: ignore[attr-defined]
            self.world.breathe()
        else:
            self._idle(timers[0][0] if timers else None)
        now_ns = clock.now_ns
        while timers and timers[0][0] <= now_ns:
            at_ns, _, timer = heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]
            if timer._cancelled:
                self._cancelled_timers -= 1
                continue
            if at_ns == now_ns:
                clock.show(timer._when)  # type: ignore[attr-defined]
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self._current_handle = handle
                handle._run()
        self._current_handle = None
        handle = None  # a handle kept in this frame would keep its task alive while the loop waits

    def _idle(self, deadline_ns: int | None) -> None:
        """Wait for a timer, for the network or for another thread."""
        world, threads = self.world, self.world.threads
        if not threads.runnable and deadline_ns is not None:
            event_ns = world.next_event_ns()
            if event_ns is None or event_ns > deadline_ns:
                # A timer may have been armed for an instant that was over already.
                world.advance(max(deadline_ns, world.clock.now_ns))
                world.step()
                return
        assert self._thread is not None
        self._idling = True
        try:
            threads.block(self._thread, deadline_ns, "the event loop's next event")
        finally:
            self._idling = False

    def run_forever(self) -> None:
        """Run until ``stop``. The calling thread becomes the loop's thread."""
        self._thread = self.world.threads.here()
        if self._thread is None:
            raise NotSimulatedError("a loop of a world runs outside it - run it inside World.run")
        super().run_forever()

    def run_main(self, main: Callable[[], Any]) -> Any:
        """Run the main function of the world to its end and return its result."""
        self.main_task = self.create_task(main())
        return self.run_until_complete(self.main_task)

    def deliver(self, callback: Callable[..., object], *args: object, context: Context | None = None) -> None:
        """Take an outside event (bytes, a lost connection) into the next round, as a selector would."""
        self._ready.append(asyncio.Handle(callback, args, self, context))  # type: ignore[attr-defined]
        self._write_to_self()

    def _write_to_self(self) -> None:
        """Wake the loop's thread: ``call_soon_threadsafe`` ends here.

        Only from the loop's own wait: a coroutine that blocks its thread in ``time.sleep`` or a lock sleeps on.
        """
        if self._idling and self._thread is not None:
            self.world.threads.wake(self._thread)

    def _process_events(self, event_list: object) -> None:
        """Nothing: there is no selector whose events could be processed."""

    # -- tasks and futures -------------------------------------------------------------------------------------------
    def create_future(self) -> asyncio.Future[Any]:
        """Return a future with a seeded hash."""
        future = SimFuture(loop=self)
        future._sim_hash = next(self._hashes)
        return future

    def create_task(  # type: ignore[override]  # as above, for the coroutine's result
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: object = None,
        context: Context | None = None,
        **more: Any,
    ) -> asyncio.Task[Any]:
        """Return a task with a seeded hash, a name that is the same in every run, and its place of creation."""
        self._check_closed()  # type: ignore[attr-defined]
        factory = self._task_factory  # type: ignore[attr-defined]
        if factory is not None and factory is getattr(asyncio, "eager_task_factory", None):
            more.setdefault("eager_start", True)
        elif factory is not None:
            return super().create_task(coro, name=name, context=context, **more)
        self._task_count += 1
        # asyncio counts Task-1, Task-2 ... in the process; a world counts its own.
        label = f"Task-{self._task_count}" if name is None else str(name)
        task = SimTask.__new__(SimTask)
        # Before asyncio sees the task: it puts it into sets at once, and an eager one runs at once.
        task._sim_hash = next(self._hashes)
        task.number, task.site = self._task_count, _caller()
        task.__init__(coro, loop=self, name=label, context=context, **more)  # type: ignore[misc]  # see above
        if task._source_traceback:  # type: ignore[attr-defined]
            del task._source_traceback[-1]  # type: ignore[attr-defined]
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Record what nobody caught, then do what asyncio does."""
        self.world.survivors.lost(context)
        super().call_exception_handler(context)

    # -- the network ---------------------------------------------------------------------------------------------
    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  # asyncio's own name for it
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Resolve a name in the simulated network; numeric addresses need no resolver."""
        await tasks.sleep(0)
        return self.world.network.getaddrinfo(host, port, family=family, kind=type, proto=proto)

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Connect to a host of the simulated network; see ``simkit.kernel.transport``."""
        from simkit.kernel.transport import (
            create_connection,  # lazy: a program without network needs none of it
        )

        return await create_connection(self, *args, **kwargs)


def _hashes(world: World) -> Iterator[int]:
    """Yield the hashes of tasks and futures: a stream of the seed, spread over the table sizes of small sets."""
    draw = stream(world.plan.seed, "hash").getrandbits
    while True:
        block = draw(61 * 64)
        for _ in range(64):
            yield block & ((1 << 61) - 1)
            block >>= 61


def _caller() -> tuple[str, int]:
    """Return the file and line, outside asyncio and simkit's kernel, from which a task was made."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("asyncio", "simkit.kernel", "concurrent.futures")):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return "", 0

"""The event loop: asyncio's own selector loop, with a simulated selector.

The idea: ``asyncio.SelectorEventLoop`` holds all of asyncio's promises in Python (tasks, debug mode, async
generator hooks, executors, transports, servers, TLS, datagrams), so this class replaces where it waits and
where it keeps timers, and nothing else. The constraint: an order that this loop produces, stock asyncio can
produce; callbacks of one iteration keep their order, bytes come before timers of the same instant. A loop
written from scratch was refused: every peer that did it lost parts of the contract that the standard library's
own tests check.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import base_events, events, futures, tasks
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush, nsmallest
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from simkit.errors import NotSimulatedError, RunEndedError, WorldEndedError
from simkit.kernel.clock import to_ns
from simkit.kernel.entropy import Hashes
from simkit.kernel.selector import SimSelector
from simkit.kernel.threads import running_world

if TYPE_CHECKING:
    from simkit.kernel.threads import SimThread
    from simkit.kernel.world import World

RealLoop = asyncio.SelectorEventLoop

# The heap is swept when more than this many of its timers, and more than half of them, were cancelled.
_CANCELLED_MAX: Final = 100
# More often than this nobody is overtaken under ``order: any``.
_OVERTAKEN_MAX: Final = 100
# How many later timers and events a late poll may take in: the more, the wider every exploration.
_LATE_MAX: Final = 4


class SimTask(tasks.Task[Any]):
    """A task whose hash follows the seed, so that sets of tasks have the same order in every run of a plan."""

    # Where it was created, as (file, line), for those who ask what an orphan is.
    site: tuple[str, int] = ("", 0)
    number: int = 0
    # Made by asyncio itself, to close a generator that its owner let go of: nobody's orphan.
    is_housekeeping: bool = False
    _sim_hash: int = 0

    def __hash__(self) -> int:
        return self._sim_hash


class SimFuture(futures.Future[Any]):
    """A future whose hash follows the seed; see ``SimTask``. Few are ever asked for it."""

    __slots__ = ("hashes", "number")

    hashes: Hashes
    number: int

    def __hash__(self) -> int:
        return self.hashes.of(self.number)


class SimHandle(asyncio.Handle):
    """A handle made in one step instead of asyncio's two; see ``SimTimer``."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: Any, context: Context | None
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._repr = self._source_traceback = None


class SimTimer(asyncio.TimerHandle):
    """A timer handle, made in one step instead of asyncio's four: a loop makes one for every sleep."""

    __slots__ = ()

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], loop: Any, context: Context | None
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._scheduled = True
        self._repr = self._source_traceback = None

    def cancel(self) -> None:
        """Let this timer not fire."""
        if not self._cancelled:
            loop: Any = self._loop
            if loop._debug:
                super().cancel()
                return
            loop._timer_handle_cancelled(self)
            self._cancelled = True
            self._callback = self._args = None  # type: ignore[assignment]  # as asyncio does


# What a program prints reads as in production.
SimTask.__name__, SimFuture.__name__ = "Task", "Future"
SimHandle.__name__, SimTimer.__name__ = "Handle", "TimerHandle"


class SimEventLoop(RealLoop):
    """An event loop that waits in virtual time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._clock = world.clock
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._cancelled_timers = 0
        self._hashes = Hashes(world.plan.seed)
        self._task_count = 0
        # The task that the loop was started for: when it is done the run is over, so it never counts as a survivor.
        self.main_task: asyncio.Task[Any] | None = None
        # At the census nothing was left in it that could still run.
        self.is_deserted = False
        # The thread that runs this loop; whoever hands it work while it idles wakes that thread.
        self._thread: SimThread | None = None
        self._idling = False
        # How often others went before the one that is ready for the longest.
        self._overtaken = 0
        # A byte came just before a timer of the same instant: the timer waits for the next round.
        self._hold_timers = False
        self._simulated = SimSelector(world.network, self._write_to_self)
        super().__init__(self._simulated)
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
        timer: asyncio.TimerHandle
        if self._debug:  # type: ignore[attr-defined]
            self._check_thread()  # type: ignore[attr-defined]
            self._check_callback(callback, "call_at")  # type: ignore[attr-defined]
            timer = events.TimerHandle(when, callback, args, self, context)
            if timer._source_traceback:  # type: ignore[attr-defined]
                del timer._source_traceback[-1]  # type: ignore[attr-defined]
            timer._scheduled = True  # type: ignore[attr-defined]
        else:
            timer = SimTimer(when, callback, args, self, context)
        heappush(self._timers, (to_ns(when), self.world.next_sequence(), timer))
        return timer

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Arm a timer for so many seconds from now."""
        if delay is None:
            raise TypeError("delay must not be None")
        timer = self.call_at(self._clock.seconds + delay, callback, *args, context=context)
        if timer._source_traceback:  # type: ignore[attr-defined]
            del timer._source_traceback[-1]  # type: ignore[attr-defined]
        return timer

    def call_soon(  # type: ignore[override]  # as above
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback in the next round; what debug mode adds is asyncio's own."""
        if self._debug or self._closed:  # type: ignore[attr-defined]
            watched = super().call_soon(callback, *args, context=context)
            if watched._source_traceback:  # type: ignore[attr-defined]
                del watched._source_traceback[-1]  # type: ignore[attr-defined]
            return watched
        handle = SimHandle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

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
        """Wait until there is work, take ready sockets and due timers into the ready queue, run what it holds."""
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        if self._cancelled_timers:
            self._sweep()
        world, candidates = self.world, self._simulated.candidates
        if ready or candidates or self._stopping:  # type: ignore[attr-defined]
            world.breathe()
        elif not timers or world.varies_timing or not world.reach(timers[0][0]):
            self._idle(timers[0][0] if timers else None)
        if candidates:
            self._process_events(self._simulated.ready())  # type: ignore[attr-defined]
        if timers and timers[0][0] <= self._clock.now_ns:
            self._take_due_timers()
        order_any = world.order_any and world.choices.open
        run = self._run_watched if self._debug else asyncio.Handle._run  # type: ignore[attr-defined]
        for _ in range(len(ready)):
            handle = self._pick(ready) if order_any and len(ready) > 1 else ready.popleft()
            if not handle._cancelled:
                self._current_handle = handle
                run(handle)
        self._current_handle = None
        handle = None  # a handle kept in this frame would keep its task alive while the loop waits

    def _run_watched(self, handle: asyncio.Handle) -> None:
        """Report a callback that blocks the loop, as debug mode does; in virtual time."""
        start = self.time()
        handle._run()
        duration = self.time() - start
        if duration >= self.slow_callback_duration:
            stock: Any = base_events
            stock.logger.warning("Executing %s took %.3f seconds", stock._format_handle(handle), duration)
        # A traceback may keep this frame, and with it the task until the next collection.
        del handle

    def _take_due_timers(self) -> None:
        timers, clock, now_ns, ready = self._timers, self._clock, self._clock.now_ns, self._ready  # type: ignore[attr-defined]
        if self._hold_timers:
            self._hold_timers = False
            return
        while timers and timers[0][0] <= now_ns:
            at_ns, _, timer = heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]
            if timer._cancelled:
                self._cancelled_timers -= 1
                continue
            if at_ns == now_ns and timer._when > clock.seconds:  # type: ignore[attr-defined]
                clock.show(timer._when)  # type: ignore[attr-defined]
            ready.append(timer)

    def _pick(self, ready: Any) -> asyncio.Handle:
        """Take any of the ready handles: an order that asyncio does not produce, for ``order: any``.

        Nothing overtakes the machinery of connections, which is written for asyncio's order: in any other it breaks in
        ways that say nothing about the agent. And nobody waits for ever beside others that only go round in circles.
        """
        count = _ahead_of_machinery(ready) if self._overtaken < _OVERTAKEN_MAX else 1
        if count < 2:
            self._overtaken = 0
            return cast(asyncio.Handle, ready.popleft())
        index = self.world.choices.choose("order", count, lambda i: _owner(ready[i]))
        self._overtaken = self._overtaken + 1 if index else 0
        handle: asyncio.Handle = ready[index]
        del ready[index]
        return handle

    def _idle(self, deadline_ns: int | None) -> None:
        """Wait for a timer, for the network or for another thread."""
        world, threads = self.world, self.world.threads
        if world.varies_timing and deadline_ns is not None and not threads.runnable:
            event_ns = world.next_event_ns()
            if event_ns is None or event_ns > deadline_ns:
                # A timer may have been armed for an instant that was over already.
                world.reach(self._late(max(deadline_ns, world.clock.now_ns)))
                return
        assert self._thread is not None
        self._idling = True
        try:
            threads.block(self._thread, deadline_ns, "the event loop's next event")
        finally:
            self._idling = False

    # -- what can vary around a deadline ---------------------------------------------------------------------------
    def _late(self, deadline_ns: int) -> int:
        """Choose how late the loop polls: at its timer, or at one of the next instants within the window.

        Two ways for an event: the loop is late and finds both, or the event is early and has a round of its own.
        """
        world = self.world
        latest_ns = deadline_ns + world.jitter_ns
        early = world.events_near(deadline_ns, latest_ns)
        late = {at_ns: entry.label for at_ns, _, entry in reversed(early)}
        for at_ns, _, timer in reversed(nsmallest(_LATE_MAX * 2, self._timers)):
            if not timer._cancelled and deadline_ns < at_ns <= latest_ns:
                late[at_ns] = _owner(timer)
        instants = sorted(late)[:_LATE_MAX]
        if not instants:
            return deadline_ns

        def label(i: int) -> str:
            if i > len(instants):
                return f"{early[i - 1 - len(instants)][2].label} early, before {_owner(self._timers[0][2])}"
            return f"{_owner(self._timers[0][2])} late, with {late[instants[i - 1]]}"

        pick = world.choices.choose("timing", 1 + len(instants) + len(early), label)
        if pick > len(instants):
            world.advance(deadline_ns)
            world.happen_early(early[pick - 1 - len(instants)])
            self._hold_timers = True
            return deadline_ns
        at_ns = instants[pick - 1] if pick else deadline_ns
        while (event_ns := world.next_event_ns()) is not None and event_ns <= at_ns:
            world.advance(event_ns)
            world.happen()
        return at_ns

    # -- running -----------------------------------------------------------------------------------------------------
    def run_forever(self) -> None:
        """Run until ``stop``. The calling thread becomes the loop's thread; outside a world its own is entered."""
        self._thread = self.world.threads.here()
        if self._thread is not None:
            super().run_forever()
            return
        with self.world.entered():
            self._thread = self.world.threads.here()
            super().run_forever()

    def run_main(self, main: Callable[[], Any]) -> Any:
        """Run the main function of the world to its end and return its result."""
        self.main_task = main_task = self.create_task(main())
        try:
            return self.run_until_complete(main_task)
        finally:
            if main_task.done() and not main_task.cancelled():
                # Whatever ended the run goes to its caller: nobody is told that it was never retrieved.
                main_task.exception()

    def is_blocked_in(self, thread: SimThread) -> bool:
        """Say whether this thread, which waits, is in the middle of one of the loop's callbacks."""
        return thread is self._thread and not self._idling and self.is_running()

    @property
    def wound_down(self) -> bool:
        """Say whether nothing is left that has to run before the loop can be closed."""
        its: Any = self
        return not (its._ready or its._transports or its._asyncgens or its._default_executor)

    def abort_transports(self) -> None:
        """Break every connection that is still open; the protocols hear of it in the next round."""
        transports: Any = self._transports  # type: ignore[attr-defined]  # by descriptor, kept by asyncio
        for transport in list(transports.values()):
            transport.abort()

    def close(self) -> None:
        """Close the loop; one that has a world of its own ends that with it."""
        super().close()
        if self.is_closed():
            # What refers to the loop in a circle would keep the whole run until somebody collects garbage.
            self._timers.clear()
            self.main_task = None
        if self in self.world.loops:
            self.world.loops.remove(self)

    def deliver(self, callback: Callable[..., object], *args: object, context: Context | None = None) -> None:
        """Take an outside event (a message of the user, a tool that ends) into the next round, as a selector would."""
        self._ready.append(asyncio.Handle(callback, args, self, context))  # type: ignore[attr-defined]
        self._write_to_self()

    def _write_to_self(self) -> None:
        """Wake the loop's thread: ``call_soon_threadsafe`` and ready sockets end here.

        Only from the loop's own wait: a coroutine that blocks its thread in ``time.sleep`` or a lock is not woken by
        bytes.
        """
        if self._idling and self._thread is not None:
            self.world.threads.wake(self._thread)

    def _make_self_pipe(self) -> None:
        """Make none: the loop's thread is woken directly."""
        self._ssock = self._csock = None
        self._internal_fds: int = vars(self).get("_internal_fds", 0) + 1

    def _close_self_pipe(self) -> None:
        self._internal_fds -= 1

    # -- tasks and futures -------------------------------------------------------------------------------------------
    def create_future(self) -> asyncio.Future[Any]:
        """Return a future with a seeded hash."""
        future, hashes = SimFuture(loop=self), self._hashes
        future.hashes, future.number = hashes, hashes.next_number()
        return future

    def create_task(  # type: ignore[override]  # as above, for the coroutine's result
        self, coro: Coroutine[Any, Any, Any], *, name: object = None, context: Context | None = None, **more: Any
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
        task._sim_hash = self._hashes.next()
        task.number, task.site = self._task_count, _caller()
        task.__init__(coro, loop=self, name=label, context=context, **more)  # type: ignore[misc]  # see above
        if task._source_traceback:  # type: ignore[attr-defined]
            del task._source_traceback[-1]  # type: ignore[attr-defined]
        return task

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        """Close a generator that was let go of, as asyncio does, in a task that is known for what it is."""
        self._asyncgens.discard(agen)  # type: ignore[attr-defined]
        if not self.is_closed():
            self.call_soon_threadsafe(self._close_generator, agen)

    def _close_generator(self, agen: AsyncGenerator[Any, Any]) -> None:
        task = self.create_task(agen.aclose())
        if isinstance(task, SimTask):
            task.is_housekeeping = True

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Record what nobody caught, then do what asyncio does. The end of a run is no error of the task it hit."""
        if isinstance(context.get("exception"), (RunEndedError, WorldEndedError)):
            return
        self.world.survivors.lost(context)
        super().call_exception_handler(context)

    # -- what needs the operating system -----------------------------------------------------------------------------
    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> list[Any]:
        """Resolve a name in the simulated network, without the thread that stock asyncio needs for it."""
        await tasks.sleep(0)
        # Asked where stock asyncio asks, so that what a test puts in its place is met.
        stock: Any = base_events
        ask = self._getaddrinfo_debug if self._debug else stock.socket.getaddrinfo  # type: ignore[attr-defined]
        hints = {"family": 0, "type": 0, "proto": 0, "flags": 0, **hints}
        found: list[Any] = ask(host, port, *hints.values())
        return found

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: object) -> NoReturn:
        """Refuse: signals come from outside the world."""
        raise NotSimulatedError(
            f"signal handlers (signal {sig}) are not simulated inside a world - call the handler as the user would"
        )

    async def _make_subprocess_transport(self, *_: Any, **__: Any) -> NoReturn:
        raise NotSimulatedError(
            "child processes are not simulated inside a world - start it before the run, "
            "or give the agent a simulated tool in its place"
        )


class _Face(type):
    """Lets ``asyncio.SelectorEventLoop`` stay a class: what it makes depends on who asks."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is not SelectorLoopFace:
            return super().__call__(*args, **kwargs)
        world, selector = running_world(), next(iter((*args, *kwargs.values())), None)
        # Who brings a selector of his own means that one.
        ours = world is not None and (selector is None or type(selector) is SimSelector)
        return SimEventLoop(cast("World", world)) if ours else RealLoop(*args, **kwargs)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, RealLoop) if cls is SelectorLoopFace else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, RealLoop) if cls is SelectorLoopFace else super().__subclasscheck__(subclass)


class SelectorLoopFace(RealLoop, metaclass=_Face):
    """What ``asyncio.SelectorEventLoop`` is while a world runs: simulated in its threads, real in all others."""


def fakes() -> dict[object, object]:
    """Return what is replaced under every alias."""
    return {RealLoop: SelectorLoopFace}


# Whose methods, as callbacks, move bytes and connections.
_MACHINERY: Final = (asyncio.AbstractEventLoop, asyncio.BaseTransport, asyncio.BaseProtocol)


def _ahead_of_machinery(ready: Any) -> int:
    """Return how many of the handles at the head of the queue have nothing to do with connections."""
    count = 0
    for handle in ready:
        callback = handle._callback
        owner = getattr(callback, "__self__", None)
        if type(owner) is not SimTask:
            if owner is None:
                owner = getattr(getattr(callback, "func", None), "__self__", None)
            if isinstance(owner, _MACHINERY):
                break
        count += 1
    return count


def _owner(handle: asyncio.Handle) -> str:
    """Say in a plan's words whose handle this is: a task's, or a function's."""
    its: Any = handle
    callback = its._callback
    owner = getattr(callback, "__self__", None)
    if type(owner) is SimTask:
        # A task's next step: what nearly all callbacks are.
        return owner.get_name()
    if its._cancelled:
        return "a cancelled callback"
    for thing in (callback, *its._args):
        owner = getattr(thing, "__self__", thing)
        if isinstance(owner, asyncio.Timeout):
            owner = owner._task  # type: ignore[attr-defined]
        elif isinstance(owner, asyncio.Future) and not isinstance(owner, asyncio.Task):
            # Whoever is woken when the future has its result.
            waiting: Any = owner._callbacks
            owner = getattr(waiting[0][0], "__self__", None) if waiting else None
        if isinstance(owner, asyncio.Task):
            return str(owner.get_name())
    return str(getattr(callback, "__qualname__", type(callback).__name__))


def _caller() -> tuple[str, int]:
    """Return the file and line, outside asyncio and simkit's kernel, from which a task was made."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("asyncio", "simkit.kernel", "concurrent.futures")):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return "", 0


def settle(waiter: asyncio.Future[None]) -> None:
    """Let who waits go on, unless it was cancelled in the meantime."""
    if not waiter.done():
        waiter.set_result(None)

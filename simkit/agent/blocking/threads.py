"""The driver that waits in threads: what ``simkit.agent.driver`` asks, with one condition for everything.

The idea: whoever plays a coroutine of the session holds the session's one lock, and gives it away only where the
coroutine waits, so between two waits nobody else's step can come, as in an event loop; and a coroutine whose every wait
is done in the calling thread never suspends. The constraint it protects: what was written for one thread of control
stays right with many. Locks of their own for ledger, history and reader were refused: the promises of the registry are
about steps that belong together, and no lock of one part can keep them.

What runs outside the lock is what may take long: a tool (``outside``), and the SDK in its reader.

==================  ==================================================================================================
where               what a cancellation does
==================  ==================================================================================================
in a wait           it ends with ``CancelledError``, once for each time that it is asked
in a tool           nothing: a thread cannot be stopped, so the call is ``cancelling`` until the tool returns. Then the
                    ledger says what it says of every call that would not stop: what came of it has happened, and is
                    told to whoever still asks
at a deadline       the same as in a wait, and where the deadline's block ends it becomes ``TimeoutError``
==================  ==================================================================================================
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, TypeVar

from simkit.agent.budgets import Cancelled, Ended, Raised, Returned
from simkit.agent.decisions import Limits
from simkit.agent.driver import Running, Work
from simkit.agent.idle import IdleDeadline

T = TypeVar("T")

# How long whoever lets others go on keeps out of their way: long enough for a thread to wake up.
_TURN_S: Final = 0.001


class Flow:
    """One line of steps: what was asked of it from outside, and the deadlines of the blocks that it is in."""

    def __init__(self) -> None:
        # Asked to stop, and not raised yet; asked to stop at any time.
        self.asked = False
        self.cancelled = False
        # The outermost first.
        self.deadlines: list[ThreadDeadline] = []

    def cancel(self) -> None:
        """Have the wait that it is in, or the next one, end with ``CancelledError``."""
        self.asked = self.cancelled = True

    def heed(self, now_s: float) -> None:
        """Raise ``CancelledError`` if it was asked to stop, or if a deadline has come."""
        due = next((deadline for deadline in self.deadlines if deadline.is_due(now_s)), None)
        if self.asked:
            self.asked = False
        elif due is not None:
            due.fire()
        else:
            return
        raise asyncio.CancelledError

    @property
    def next_s(self) -> float:
        """When the next deadline comes."""
        return min((deadline.at_s for deadline in self.deadlines), default=math.inf)


class ThreadDeadline:
    """The deadline of a block; see ``driver.Deadline``."""

    def __init__(self, threads: Threads, after_s: float | None) -> None:
        self._threads = threads
        self._after_s = after_s
        self._when_s: float | None = None
        self._flow: Flow | None = None
        self._fired = False

    async def __aenter__(self) -> ThreadDeadline:
        self._flow = self._threads.flow
        self._flow.deadlines.append(self)
        if self._after_s is not None:
            self._when_s = self._threads.now_s() + self._after_s
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._flow is not None, "left before it was entered"
        self._flow.deadlines.remove(self)
        # As in asyncio: whoever was cancelled from outside too, stays cancelled.
        if self._fired and isinstance(error, asyncio.CancelledError) and not self._flow.cancelled:
            raise TimeoutError from error

    def when(self) -> float | None:
        """Return the instant."""
        return self._when_s

    def reschedule(self, when: float | None) -> None:
        """Move the instant, and have whoever waits in the block look at it."""
        self._when_s = when
        self._threads.notify()

    def expired(self) -> bool:
        """Whether it has fired."""
        return self._fired

    @property
    def at_s(self) -> float:
        """When it fires, which is never once it has."""
        return math.inf if self._fired or self._when_s is None else self._when_s

    def is_due(self, now_s: float) -> bool:
        """Say whether its instant has come."""
        return self.at_s <= now_s

    def fire(self) -> None:
        """Count as having come."""
        self._fired = True


class ThreadIdle(IdleDeadline):
    """The idle deadline on this driver's clock. When it moves is the asynchronous one's; here is only the clock."""

    def __init__(self, threads: Threads, limits: Limits) -> None:
        # Not the other's own: it asks asyncio for its deadline, and there is no loop.
        self._threads = threads
        self._after_s, self._whole_s = limits.stale_after_s, limits.whole_answer_s
        self._first_s = limits.stale_after_s if limits.first_event_s is None else limits.first_event_s
        self._until_s = math.inf
        self.after_s = limits.stale_after_s
        self._timeout = ThreadDeadline(threads, None)  # type: ignore[assignment]  # asked for what both kinds have

    @property
    def overdue(self) -> bool:
        """Whether the instant of ``end_by`` has come."""
        return self._threads.now_s() >= self._until_s

    def _move(self, after_s: float) -> None:
        if not self._timeout.expired():
            self.after_s = after_s
            when_s = min(self._threads.now_s() + after_s, self._until_s)
            self._timeout.reschedule(None if math.isinf(when_s) else when_s)


class ThreadJob:
    """A call that a thread runs; see ``driver.Running``."""

    def __init__(self, threads: Threads) -> None:
        self.flow = Flow()
        self.ended: Ended | None = None
        self._threads = threads
        self._tell: list[Callable[[], object]] = []

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.ended is None

    def cancel(self) -> None:
        """Ask it to stop, which it hears where it waits for the driver, and a tool never."""
        self._threads.cancel(self.flow)

    def when_over(self, tell: Callable[[], object]) -> None:
        """Have it called by the thread itself, as its last step."""
        self._tell.append(tell)

    def play(self, work: Coroutine[Any, Any, Ended]) -> None:
        """Play the work to its end, in the thread that is calling."""
        try:
            ended = self._threads.play(work, self.flow)
        except asyncio.CancelledError:
            ended = Cancelled()
        except BaseException as error:  # noqa: BLE001  # whoever asks how it ended decides what it means
            ended = Raised(error)
        with self._threads.lock:
            self.ended = ended
            for tell in self._tell:
                tell()
            self._threads.notify()


class Threads:
    """Waits in the calling thread, and runs in threads what runs beside; see ``driver.Driver``.

    ``clock`` tells seconds and only goes forward, such as ``time.monotonic``.
    """

    # What a tool has returned, its thread tells with the next step.
    lag_turns: Final = 0

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lock = threading.Condition()
        self.now_s = clock
        self._here = threading.local()

    @property
    def flow(self) -> Flow:
        """Whose step this is."""
        flow: Flow = self._here.flow
        return flow

    # -- beside the session ------------------------------------------------------------------------------------------
    def play(self, work: Coroutine[Any, Any, T], flow: Flow | None = None) -> T:
        """Play a coroutine to its end in the calling thread, and return what it returns."""
        before = getattr(self._here, "flow", None)
        with self.lock:
            self._here.flow = flow or Flow()
            try:
                return _finish(work)
            finally:
                self._here.flow = before

    def cancel(self, flow: Flow) -> None:
        """Ask somebody to stop."""
        with self.lock:
            flow.cancel()
            self.notify()

    def notify(self) -> None:
        """Have everybody who waits look again."""
        self.lock.notify_all()

    # -- waiting -----------------------------------------------------------------------------------------------------
    async def until(self, ready: Callable[[], bool], at_s: float = math.inf, *, heedless: bool = False) -> bool:
        """Wait until it is so, at most until this instant, and say whether it is. ``heedless``: also when cancelled."""
        while True:
            now_s = self.now_s()
            if not heedless and self.flow.asked:
                self.flow.heed(now_s)
            if ready():
                return True
            if not heedless:
                self.flow.heed(now_s)
            if now_s >= at_s:
                return False
            until_s = at_s if heedless else min(at_s, self.flow.next_s)
            self.lock.wait(None if math.isinf(until_s) else min(until_s - now_s, threading.TIMEOUT_MAX))

    async def outside(self, function: Callable[[], T]) -> T:
        """Call this without the lock. Nothing stops it; whoever was asked to stop before does not begin."""
        if self.flow.asked:
            self.flow.heed(self.now_s())
        self.lock.release()
        try:
            return function()
        finally:
            self.lock.acquire()

    async def sleep(self, for_s: float) -> None:
        """Wait for nothing but the time."""
        await self.until(lambda: False, self.now_s() + for_s)

    async def turn(self) -> None:
        """Give the lock away for a moment."""
        await self.until(lambda: False, self.now_s() + _TURN_S)

    async def wait(self, jobs: Iterable[Running], wait_s: float | None = None, *, first: bool = False) -> None:
        """Wait for the end of all, or of the first."""
        waited = list(jobs)
        enough = any if first else all
        at_s = math.inf if wait_s is None else self.now_s() + wait_s
        await self.until(lambda: enough(not job.alive for job in waited), at_s)

    # -- running -----------------------------------------------------------------------------------------------------
    def start(self, name: str, work: Coroutine[Any, Any, Ended]) -> ThreadJob:
        """Start a thread for it. It is no reason for the program to stay: a session that is closed has told of it."""
        job = ThreadJob(self)
        threading.Thread(target=job.play, args=(work,), name=name, daemon=True).start()
        return job

    async def side_by_side(self, works: Sequence[Work]) -> Sequence[BaseException | None]:
        """Play each in a thread of its own."""
        jobs = [self.start(name, _returning(work)) for name, work in works]
        cancelled: asyncio.CancelledError | None = None
        while any(job.alive for job in jobs):
            try:
                await self.wait(jobs)
            except asyncio.CancelledError as error:
                cancelled = error
                for job in jobs:
                    job.cancel()
        if cancelled is not None:
            raise cancelled
        return [_raised(job.ended) for job in jobs]

    # -- parts ---------------------------------------------------------------------------------------------------
    def deadline(self, after_s: float | None = None) -> ThreadDeadline:
        """Return a deadline that is looked at in every wait."""
        return ThreadDeadline(self, after_s)

    def idle(self, limits: Limits) -> ThreadIdle:
        """Return one that anybody's thread may move who holds the lock."""
        return ThreadIdle(self, limits)

    def door(self) -> AbstractAsyncContextManager[object]:
        """Return a door of this driver."""
        return _Door(self)


class _Door:
    """A lock that is waited for like anything else: with the session's own given away."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._taken = False

    async def __aenter__(self) -> None:
        await self._threads.until(lambda: not self._taken)
        self._taken = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken = False
        self._threads.notify()


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Return what this coroutine returns, which waits in its own thread or not at all."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError(f"{work!r} awaits an event loop, expected nothing but the session's own driver")


async def _returning(work: Coroutine[Any, Any, None]) -> Ended:
    await work
    return Returned(None)


def _raised(ended: Ended | None) -> BaseException | None:
    match ended:
        case Raised(error=error):
            return error
        case Cancelled():
            return asyncio.CancelledError()
    return None

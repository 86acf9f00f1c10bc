"""What the loop, the reading and the registry ask of whoever plays them: time, waiting, and work that runs beside.

The idea: everything that waits is written once, as coroutines that wait for nothing but the methods below, and there
are two drivers: ``ASYNCIO`` waits in the event loop, ``blocking.threads`` waits in the calling thread, so that there
a coroutine never suspends and is over when it was sent its first None. The constraint it protects: blocking programs
and asynchronous ones cannot come to decide differently, because there is no second text. Generators that yield
requests to a trampoline were refused: they are the same thing with every answer typed ``object``. So was a second copy
with the awaits taken out: the registry alone has thirty promises to keep in step.

Both drivers say that something was cancelled in the same way, by raising ``asyncio.CancelledError`` where it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from simkit.agent.budgets import Cancelled, Ended, Raised
from simkit.agent.decisions import Limits
from simkit.agent.idle import IdleDeadline
from simkit.agent.ledger import Job

# Something to be played, under the name that a debugger shows.
Work = tuple[str, Coroutine[Any, Any, None]]


class Running(Job, Protocol):
    """A call that some driver runs."""

    def cancel(self) -> None:
        """Ask it to stop: raised where it waits, and not at all in code that does not wait for the driver."""
        ...

    def when_over(self, tell: Callable[[], object]) -> None:
        """Call this when it has ended."""
        ...


class Deadline(AbstractAsyncContextManager[object], Protocol):
    """A block that is cancelled at an instant, and then raises ``TimeoutError``; as ``asyncio.Timeout``."""

    def when(self) -> float | None:
        """Return the instant; None for never."""
        ...

    def reschedule(self, when: float | None) -> None:
        """Move the instant."""
        ...

    def expired(self) -> bool:
        """Whether the instant came while the block was being run."""
        ...


class Driver(Protocol):
    """Plays coroutines that wait for nothing but what is below."""

    @property
    def lag_turns(self) -> int:
        """How many turns a result may take from the tool that has it to the job that runs the tool."""
        ...

    def now_s(self) -> float:
        """Return the instant, on a clock that only goes forward."""
        ...

    def deadline(self, after_s: float | None = None) -> Deadline:
        """Return a deadline so long after its block is entered; None for one that is to be moved first."""
        ...

    def idle(self, limits: Limits) -> IdleDeadline:
        """Return the deadline of one request."""
        ...

    def door(self) -> AbstractAsyncContextManager[object]:
        """Return a door through which one goes at a time."""
        ...

    async def sleep(self, for_s: float) -> None:
        """Let time pass."""
        ...

    async def turn(self) -> None:
        """Let everybody else go on for a moment."""
        ...

    def start(self, name: str, work: Coroutine[Any, Any, Ended]) -> Running:
        """Run this beside whoever calls."""
        ...

    async def wait(self, jobs: Iterable[Running], wait_s: float | None = None, *, first: bool = False) -> None:
        """Wait for the end of all, or of the first, but not longer than this; at least one of them runs."""
        ...

    async def side_by_side(self, works: Sequence[Work]) -> Sequence[BaseException | None]:
        """Play all at once and return what each raised, when all have ended: also when this is cancelled."""
        ...


# -- in an event loop --------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, eq=False)
class TaskJob:
    """A call that an asyncio task runs."""

    task: asyncio.Task[Ended]

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self.task.done()

    @property
    def ended(self) -> Ended | None:
        """How it ended, or None while it runs."""
        if self.alive:
            return None
        if self.task.cancelled():
            return Cancelled()
        error = self.task.exception()
        return Raised(error) if error is not None else self.task.result()

    def cancel(self) -> None:
        """Cancel the task."""
        self.task.cancel()

    def when_over(self, tell: Callable[[], object]) -> None:
        """Have it called by the loop."""
        self.task.add_done_callback(lambda _: tell())


class AsyncioDriver:
    """Waits in the event loop that is running; see ``Driver``."""

    # One for each future and task between a tool and its own task. People nest a handful of them.
    lag_turns: Final = 8

    def now_s(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def deadline(self, after_s: float | None = None) -> Deadline:
        """Return asyncio's own."""
        return asyncio.timeout(after_s)

    def idle(self, limits: Limits) -> IdleDeadline:
        """Return one that asyncio moves."""
        return IdleDeadline(limits.stale_after_s, limits.first_event_s, limits.whole_answer_s)

    def door(self) -> AbstractAsyncContextManager[object]:
        """Return asyncio's own lock."""
        return asyncio.Lock()

    async def sleep(self, for_s: float) -> None:
        """Sleep."""
        await asyncio.sleep(for_s)

    async def turn(self) -> None:
        """Go to the end of the loop's queue."""
        await asyncio.sleep(0)

    def start(self, name: str, work: Coroutine[Any, Any, Ended]) -> TaskJob:
        """Make a task of it."""
        return TaskJob(asyncio.create_task(work, name=name))

    async def wait(self, jobs: Iterable[Running], wait_s: float | None = None, *, first: bool = False) -> None:
        """Wait for their tasks."""
        tasks = [job.task for job in jobs if isinstance(job, TaskJob)]
        until = asyncio.FIRST_COMPLETED if first else asyncio.ALL_COMPLETED
        await asyncio.wait(tasks, timeout=wait_s, return_when=until)

    async def side_by_side(self, works: Sequence[Work]) -> Sequence[BaseException | None]:
        """Make tasks of them."""
        tasks = [asyncio.create_task(work, name=name) for name, work in works]
        # Gathered with exceptions, it comes back only when every task has ended, also after a cancellation.
        return await asyncio.gather(*tasks, return_exceptions=True)


# Without state, so one serves all.
ASYNCIO: Final = AsyncioDriver()

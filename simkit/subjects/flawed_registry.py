"""Faults of the registry of tool calls: what the published design got wrong, one override for each.

The idea: the table in ``simkit.agent.registry`` says which method keeps which promise, and each class here takes one of
these methods back. The constraint: an override changes its method and nothing else, so that a scenario which fails
under it fails for that promise. A copy of the published code was refused: it has all of the faults at once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import replace
from typing import Final

from simkit.agent.budgets import WAIT_S_MAX, Cancelled, Ended, Reply, Returned
from simkit.agent.decisions import Limits
from simkit.agent.driver import Running, TaskJob
from simkit.agent.facts import Observe
from simkit.agent.history import Call
from simkit.agent.ledger import Ledger, Status
from simkit.agent.registry import Parked, Registry

# That the books are not the session's is the fault: every task has a copy of its context.
BOOKS: Final[ContextVar[Ledger[Running] | None]] = ContextVar("books", default=None)


# -- whose calls they are --------------------------------------------------------------------------------------------
class RegistryInContext(Registry):
    """The books are in a context variable, made when they are first asked for."""

    @property
    def ledger(self) -> Ledger[Running]:
        """The books of the context, whoever's context it is."""
        return self.books()

    def books(self) -> Ledger[Running]:
        """Return what the context holds, and put books there where it holds none."""
        books = BOOKS.get()
        if books is None:
            books = Ledger(self.limits.background_cap)
            BOOKS.set(books)
        return books


class ShareParentsRegistry(RegistryInContext):
    """The books are in a context variable, and whoever finds some there uses them."""

    def __init__(self, limits: Limits, observe: Observe, *, dry_run: bool = False) -> None:
        super().__init__(limits, observe, dry_run=dry_run)
        self.books()


class RegistryOfLatestSession(RegistryInContext):
    """The books are in a context variable, and whoever begins puts new ones there."""

    def __init__(self, limits: Limits, observe: Observe, *, dry_run: bool = False) -> None:
        super().__init__(limits, observe, dry_run=dry_run)
        BOOKS.set(Ledger(limits.background_cap))


class RegistryInScope(Registry):
    """A cancel scope is around the session, from its beginning in one task to its end in whichever that is."""

    def __init__(self, limits: Limits, observe: Observe, *, dry_run: bool = False) -> None:
        from anyio import CancelScope  # lazy: it comes with the SDKs, and simkit does without

        super().__init__(limits, observe, dry_run=dry_run)
        self.scope = CancelScope()
        self.scope.__enter__()

    async def aclose(self, grace_s: float | None = None) -> tuple[Status, ...]:
        """End the calls, and leave the scope."""
        left = await super().aclose(grace_s)
        self.scope.__exit__(None, None, None)
        return left


# -- the cap ---------------------------------------------------------------------------------------------------------
class EvictWithoutWaiting(Registry):
    """Whoever is evicted has not ended yet when its place is taken."""

    async def evict(self, victim: Parked) -> bool:
        """Ask it to stop, and take its place."""
        self.stop(victim, "eviction")
        self.retire(replace(self.status(victim), state="evicted"))
        return True


class EvictOldest(Registry):
    """The oldest goes, whether it runs or not."""

    def victim(self) -> Parked | None:
        """Return the longest parked."""
        return next(iter(self.ledger.parked.values()))


class ForgetEvicted(Registry):
    """What was dropped is forgotten, as if it had never been."""

    async def evict(self, victim: Parked) -> bool:
        """Let it go, and say nothing of it."""
        await super().evict(victim)
        self.ledger.left.pop(victim.background_id, None)
        return False


# -- cancelling ------------------------------------------------------------------------------------------------------
class CancelledTooSoon(Registry):
    """A call that was asked to stop counts as cancelled."""

    def status(self, entry: Parked) -> Status:
        """Return ``cancelled`` for what is still stopping."""
        status = super().status(entry)
        return replace(status, state="cancelled") if status.state == "cancelling" else status


class CancelOverResult(Registry):
    """A result that is there, and was not read yet, is cancelled away."""

    async def catch_up(self, entries: Iterable[Parked]) -> None:
        """Let nothing come out."""


class DryRunSaysCancelled(Registry):
    """A cancel in a dry run says that it has happened."""

    def rehearse(self, entry: Parked) -> Status:
        """Return what a real cancel would have said."""
        return replace(super().rehearse(entry), state="cancelled")


class BlameAgentForCancel(Registry):
    """A call that was cancelled from inside counts as cancelled by the agent."""

    def status(self, entry: Parked) -> Status:
        """Return ``cancelled`` for every cancellation."""
        status = super().status(entry)
        return replace(status, state="cancelled") if isinstance(entry.job.ended, Cancelled) else status


class ToolCancelCancelsHandler(Registry):
    """A tool that cancels itself cancels whoever runs it."""

    def conclude(self, entry: Parked) -> Reply:
        """Raise what the tool raised, as if it had been meant for the handler."""
        if isinstance(entry.job.ended, Cancelled):
            raise asyncio.CancelledError
        return super().conclude(entry)


# -- results ---------------------------------------------------------------------------------------------------------
class DeliverToAllWaiters(Registry):
    """Everybody who waits is given the result."""

    def claim(self, entry: Parked) -> bool:
        """Let everybody have it."""
        return True


class ForgetDelivered(Registry):
    """An id whose result was given out is forgotten, as if it had never been."""

    def retire(self, status: Status) -> None:
        """Remember only those that left without a result."""
        super().retire(status)
        if status.state == "delivered":
            del self.ledger.left[status.background_id]


class ExpectResultType(Registry):
    """An entry leaves first, and then its result is taken for an object of the expected type."""

    def deliver(self, entry: Parked) -> Status:
        """Read an attribute that the expected type would have."""
        if entry.job.ended is not None:
            self.retire(replace(self.status(entry), state="delivered"))
            assert entry.job.ended.value.success  # type: ignore[union-attr]  # that there may be none is the fault
        return super().deliver(entry)


class NeverReadParkedErrors(Registry):
    """How a parked call has ended is read when somebody asks."""

    def note_end(self, entry: Parked) -> None:
        """Take notice of calls in the foreground only, and of cancelled ones."""
        job = entry.job
        if not entry.background_id or (isinstance(job, TaskJob) and job.task.cancelled()):
            super().note_end(entry)


class LetExitsOut(Registry):
    """A tool that exits the program does."""

    async def contain(self, start: Callable[[], Awaitable[object]]) -> Ended:
        """Run the tool, and let everything out that it raises."""
        return Returned(await start())


# -- what the model asks ---------------------------------------------------------------------------------------------
class ListAllAsRunning(Registry):
    """Whatever is in the books counts as active."""

    def listed(self) -> list[Status]:
        """Return every entry as one that runs."""
        return [replace(status, state="still_running") for status in super().listed()]


class CompareAnyWait(Registry):
    """A wait is clamped as it comes."""

    def wait_of(self, asked: object) -> float | None:
        """Compare before looking what it is."""
        wait_s: float = asked  # type: ignore[assignment]  # that it may be anything is the fault
        return max(0.0, min(wait_s, WAIT_S_MAX))


class RunParkedCallAgain(Registry):
    """A call that is in the background already is run once more."""

    def twin(self, call: Call) -> Parked | None:
        """Find none."""
        return None


class BusyWait(Registry):
    """Whoever waits for a call looks at it again and again."""

    async def outlast(self, entries: Iterable[Parked], wait_s: float | None) -> list[Parked]:
        """Look, let the others go on for a moment, and look again."""
        entries = list(entries)
        until_s = math.inf if wait_s is None else self.driver.now_s() + wait_s
        while any(entry.job.alive for entry in entries) and self.driver.now_s() < until_s:
            await self.driver.turn()
        return await super().outlast(entries, 0)


# -- ends ------------------------------------------------------------------------------------------------------------
class NoCancelAll(Registry):
    """The end of the session finds nothing to cancel: what was parked runs on."""

    async def cancel_all(self, grace_s: float | None = None) -> tuple[Status, ...]:
        """Cancel nothing."""
        return ()


class CancelWithoutWaiting(Registry):
    """The end of the session cancels and goes."""

    async def cancel_all(self, grace_s: float | None = None) -> tuple[Status, ...]:
        """Ask all of them to stop, and wait for none."""
        for entry in (*self.ledger.parked.values(), *self.ledger.foreground):
            self.stop(entry, "session")
        return ()


class LetGoOfAbandoned(Registry):
    """A call whose round is torn down is cancelled and forgotten."""

    async def abandon(self, entry: Parked) -> None:
        """Ask it to stop, and strike it out."""
        self.stop(entry, "turn")
        self.ledger.close(entry)


class CloseOnlyParked(Registry):
    """The end of the session knows only what is parked by then."""

    def shut(self) -> None:
        """Leave the foreground as it is."""

"""The registry of a session's tool calls: it starts them, parks those that take too long, and ends them all.

The idea: every call is in the ledger from its first step to its end, so whoever lets go of one - the turn that is
cancelled, the agent that cancels, the session that closes - leaves it to somebody who knows it. One registry
belongs to one session and is handed down as an argument. The constraint it protects: no tool outlives its session
unseen, a result is delivered once and never lost without a word, and "cancelled" is said of what has ended. A
registry in a ContextVar was refused: a task has a copy of the context, so what is parked there is lost with it.

This file only does things (starts, waits, cancels); what an entry is called and who has to go is in ``ledger``,
what a call's end means is in ``budgets``. The methods without an underscore are the seams: each keeps one or two of
the promises below, and a subclass that changes it breaks these and no others.

===============================================================================  =====================================
what holds (the numbers are the invariants of the published design's review)     kept by
===============================================================================  =====================================
1, 2, 3, 30  calls are found by every task of their session, and by no other     ``ledger`` (of this object)
4   a second turn goes on with the first one's calls                             ``Loop.registry`` (one for all turns)
5, 7  who is evicted has ended first, and is named                               ``evict`` (waits, tells)
6   what has ended goes before what runs                                         ``victim``
9, 33  "cancelled" is what has ended because somebody asked                      ``status``
10  a result that is there already is not cancelled away                         ``catch_up`` (before a cancel)
11  a result is given to one of those who wait                                   ``claim``
12  an id that left is known, and how it left                                    ``retire`` (remembers)
14  the list tells what runs from what has ended                                 ``listed``
15  after ``aclose`` nothing runs, or it is named                                ``cancel_all`` (waits, with a grace)
16  what a parked tool raises is read, also when nobody asks                     ``note_end``
17  a tool that cancels itself has failed, and its round goes on                 ``conclude``
18  a round that is torn down stops its calls, and they stay in the books        ``abandon``
22  a wait that is no number is answered                                         ``wait_of``
25  a cancel in a dry run says what the next check will say                      ``rehearse``
26  the same call is not run again while it is parked                            ``twin``
27  an odd result is an error, and is told before its entry leaves               ``deliver``
28  a tool that exits the program ends its own call                              ``contain``
31  a call outlives its turn                                                     ``Loop.play`` (ends no calls)
32  no call is parked, nor left running, after the end                           ``shut``
===============================================================================  =====================================
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from simkit.agent.budgets import (
    Cancelled,
    Ended,
    Raised,
    Reply,
    Returned,
    error_reply,
    key_of,
    outcome_of,
    parked_reply,
    twin_reply,
    wait_of,
)
from simkit.agent.decisions import Limits
from simkit.agent.driver import ASYNCIO, Driver, Running
from simkit.agent.facts import Observe, unobserved
from simkit.agent.history import Call
from simkit.agent.ledger import Asker, Entry, Ledger, Status, Stop, status_of
from simkit.agent.redact import redact

# The defaults of a registry: frozen, so one value serves all.
_LIMITS: Final = Limits()


Parked = Entry[Running]


class Registry:
    """The tool calls of one session. Close it with ``aclose``, by the driver that it was used with.

    ``observe`` hears its facts (see ``facts``), redacted. In a ``dry_run`` nobody but the session's end stops a
    parked call. ``driver`` plays it, and whatever else belongs to its session.
    """

    def __init__(
        self,
        limits: Limits = _LIMITS,
        observe: Observe = unobserved,
        *,
        dry_run: bool = False,
        driver: Driver = ASYNCIO,
    ) -> None:
        self.limits = limits
        self.observe = observe
        self.dry_run = dry_run
        self.driver = driver
        self.closed = False
        self._ledger: Ledger[Running] = Ledger(limits.background_cap)
        # One call is parked at a time: two that make room at once would both take the same place.
        self._door = driver.door()

    @property
    def ledger(self) -> Ledger[Running]:
        """The books, of this session and no other."""
        return self._ledger

    # -- a call --------------------------------------------------------------------------------------------------
    async def run(self, call: Call, start: Callable[[], Awaitable[object]], budget_s: float | None) -> Reply:
        """Run a call and return what the model reads: its result, or that it goes on in the background.

        When this is cancelled, the call is stopped, and what it had to say by then is returned all the same: its
        side effects have happened. Raises what is meant to end the program, and only that.
        """
        if self.closed:
            return error_reply("the session is closed, so nothing was run")
        twin = self.twin(call)
        if twin is not None:
            self.tell("pointed", tool=call.name, call=call.id, background_id=twin.background_id)
            return twin_reply(call.name, twin.background_id, twin.budget_s)
        entry = self.start(call, start, budget_s)
        try:
            await self.outlast([entry], budget_s)
            parked = await self.park(entry) if entry.job.alive else None
        except asyncio.CancelledError:
            await self.abandon(entry)
            if not isinstance(entry.job.ended, Returned | Raised):
                raise
            parked = None
        return parked or self.conclude(entry)

    def twin(self, call: Call) -> Parked | None:
        """Return the parked call that does the same: it must not be done twice."""
        return self.ledger.twin(key_of(call.name, call.arguments))

    def start(self, call: Call, start: Callable[[], Awaitable[object]], budget_s: float | None) -> Parked:
        """Start a call beside whoever waits for it, in the books from its first step."""
        job = self.driver.start(f"tool {call.name} {call.id}", self.contain(start))
        key = key_of(call.name, call.arguments)
        entry = Entry(call.id, call.name, call.arguments, key, job, budget_s)
        self.ledger.open(entry)
        job.when_over(lambda: self.note_end(entry))
        return entry

    async def contain(self, start: Callable[[], Awaitable[object]]) -> Ended:
        """Run the tool. What stops the loop when a task raises it, is returned instead."""
        try:
            return Returned(await start())
        except (SystemExit, KeyboardInterrupt) as error:
            return Raised(error)

    def conclude(self, entry: Parked) -> Reply:
        """Return the result of a call that ended in the foreground. Raises what is meant to end the program."""
        ended = entry.job.ended
        if ended is None or (entry.stop and isinstance(ended, Cancelled)):
            return error_reply("cancelled before it ended: the session is closed")
        # A tool that calls sys.exit has failed; Ctrl-C and its like are not for the tool.
        if isinstance(ended, Raised) and not isinstance(ended.error, Exception | SystemExit):
            raise ended.error
        outcome = outcome_of(ended)
        if outcome.failure:
            self.tell("tool_failed", tool=entry.tool, call=entry.call_id, error=outcome.failure)
        return outcome.reply

    async def abandon(self, entry: Parked) -> None:
        """Stop a call whose round is torn down, and wait for it a while; it stays in the books until it has ended."""
        self.stop(entry, "turn")
        for left in await self.outlast([entry], self.limits.cancel_grace_s):
            self.tell_unstoppable(left, "turn", self.limits.cancel_grace_s)
            left.job.when_over(lambda: self.note_failure(entry))

    # -- parking -------------------------------------------------------------------------------------------------
    async def park(self, entry: Parked) -> Reply | None:
        """Park a call and return what the model reads; None when it ended before there was room, or all is over."""
        async with self._door:
            evicted = await self.make_room(entry)
            if self.closed or not entry.job.alive:
                return None
            self.ledger.park(entry, self._new_id(), self.driver.now_s())
        self.tell(
            "parked",
            tool=entry.tool,
            call=entry.call_id,
            background_id=entry.background_id,
            after_s=entry.budget_s,
            args=entry.arguments,
        )
        return parked_reply(entry.tool, entry.background_id, entry.budget_s, evicted)

    async def make_room(self, entry: Parked) -> list[str]:
        """Wait until this call may be parked, and return the ids of those that had to go for it.

        Where nobody can be made to go, the call stays in the foreground until somebody has ended, or itself.
        """
        gone = []
        while self.ledger.full and not self.closed and entry.job.alive:
            victim = self.victim()
            if victim is None:
                alive = [entry, *self.ledger.parked.values()]
                await self.driver.wait([e.job for e in alive], first=True)
            elif await self.evict(victim):
                gone.append(victim.background_id)
        return gone

    def victim(self) -> Parked | None:
        """Return the call that has to go when there is no room; None when no call would."""
        return self.ledger.victim(self.driver.now_s(), self.limits.cancel_grace_s)

    async def evict(self, victim: Parked) -> bool:
        """Let this call go, but not before it has ended, and say whether the agent lost something by it."""
        if victim.job.alive:
            self.stop(victim, "eviction")
            assert victim.stop is not None
            left_s = victim.stop.at_s + self.limits.cancel_grace_s - self.driver.now_s()
            for left in await self.outlast([victim], max(left_s, 0.0)):
                self.tell_unstoppable(left, "eviction", self.limits.cancel_grace_s)
                return False
        if victim.waiting:
            await self.driver.turn()
            return False
        return self._drop(victim)

    def _drop(self, victim: Parked) -> bool:
        self.note_end(victim)
        status = self.status(victim)
        if status.state in ("completed", "error") and self.claim(victim):
            status = replace(status, state="evicted", was=status.state, output=None, failure="")
            self.retire(status)
        if status.state != "evicted":
            return False
        self.tell("evicted", background_id=status.background_id, tool=status.tool, was=status.was)
        return True

    # -- what the agent asks -------------------------------------------------------------------------------------
    def wait_of(self, asked: object) -> float | None:
        """Return how long a check waits that was asked to wait so long; None when that is no number."""
        return wait_of(asked)

    async def wait(self, background_id: str, wait_s: float) -> Status:
        """Wait for a parked call, and return what it is called then; a result is given out here, once."""
        entry = self.ledger.parked.get(background_id)
        if entry is None:
            return self.ledger.recall(background_id)
        with _waiting(entry):
            await self.outlast([entry], wait_s)
        return self.deliver(entry)

    async def cancel(self, background_id: str) -> Status:
        """Stop a parked call, unless its result is there already, and return what it is called then."""
        entry = self.ledger.parked.get(background_id)
        if entry is None:
            return self.ledger.recall(background_id)
        await self.catch_up([entry])
        if self.dry_run:
            return self.rehearse(entry)
        if entry.job.alive:
            self.stop(entry, "agent")
            with _waiting(entry):
                await self.outlast([entry], self.limits.cancel_grace_s)
        return self.deliver(entry)

    def rehearse(self, entry: Parked) -> Status:
        """Return what a cancel in a dry run says: the truth, which is that nothing was cancelled."""
        return self.deliver(entry)

    def listed(self) -> list[Status]:
        """Return what every parked call is called, and those evicted, the oldest first; nothing is given out."""
        gone = [status for status in self.ledger.left.values() if status.state == "evicted"]
        now_s = self.driver.now_s()
        return [
            *gone[-self.limits.background_cap :],
            *(replace(self.status(e), age_s=now_s - e.parked_at_s) for e in self.ledger.parked.values()),
        ]

    def status(self, entry: Parked) -> Status:
        """Return what a parked call is called."""
        return status_of(entry)

    def deliver(self, entry: Parked) -> Status:
        """Return what a call is called, and its result to the first who asks; the others hear that it is gone."""
        self.note_end(entry)
        status = self.status(entry)
        if status.state in ("completed", "error"):
            if not self.claim(entry):
                return self.ledger.recall(entry.background_id)
            self.retire(replace(status, state="delivered", was=status.state, output=None, failure=""))
        return status

    def claim(self, entry: Parked) -> bool:
        """Take the right to a call's result, and say whether it was still there to be taken."""
        first, entry.claimed = not entry.claimed, True
        return first

    def retire(self, status: Status) -> None:
        """Let a parked call leave the books, and remember how."""
        self.ledger.retire(status)

    # -- ends ----------------------------------------------------------------------------------------------------
    async def aclose(self, grace_s: float | None = None) -> tuple[Status, ...]:
        """End every call of the session, and return those that would not stop. From now on, nothing is run.

        They are named to the observer too, and stay in the books: a further ``aclose`` asks them again.
        """
        self.shut()
        return await self.cancel_all(grace_s)

    def shut(self) -> None:
        """Start and park nothing any more; calls in the foreground are ended with the parked ones."""
        self.closed = True

    async def cancel_all(self, grace_s: float | None = None) -> tuple[Status, ...]:
        """Stop every parked call, wait for them with a grace, and return those that would not stop, asked twice."""
        grace_s = self.limits.teardown_grace_s if grace_s is None else grace_s
        first_s = min(self.limits.cancel_grace_s, grace_s)
        left = [*self.ledger.parked.values(), *(self.ledger.foreground if self.closed else ())]
        for again, wait_s in ((False, first_s), (True, grace_s - first_s)):
            for entry in left:
                self.stop(entry, "session", again=again)
            left = await self.outlast(left, wait_s)
        for entry in left:
            self.tell_unstoppable(entry, "session", grace_s)
        return tuple(self.status(entry) for entry in left)

    def stop(self, entry: Parked, by: Asker, *, again: bool = False) -> None:
        """Ask a call to stop; who was asked a short while ago is left in peace to tidy up, unless ``again``."""
        now_s, before = self.driver.now_s(), entry.stop
        in_peace = before and not again and now_s < before.at_s + self.limits.cancel_grace_s
        if in_peace or not entry.job.alive:
            return
        entry.stop = Stop(before.by if before else by, now_s)
        entry.job.cancel()

    async def outlast(self, entries: Iterable[Parked], wait_s: float | None) -> list[Parked]:
        """Wait until these calls have ended, but not longer than this, and return those that have not."""
        entries = list(entries)
        jobs = [entry.job for entry in entries if entry.job.alive]
        if jobs and wait_s != 0:
            await self.driver.wait(jobs, wait_s)
        await self.catch_up(entries)
        for entry in entries:
            self.note_end(entry)
        return [entry for entry in entries if entry.job.alive]

    async def catch_up(self, entries: Iterable[Parked]) -> None:
        """Let results that are there already come out: cancelling a task that has yet to read its result loses it."""
        entries = list(entries)
        for _ in range(self.driver.lag_turns):
            if not any(entry.job.alive for entry in entries):
                return
            await self.driver.turn()

    def note_end(self, entry: Parked) -> None:
        """Take notice that a call has ended, once; one that leaves no result leaves the books with it."""
        if entry.job.alive or entry.reported:
            return
        entry.reported = True
        self.ledger.close(entry)
        if entry.background_id:
            status = self.status(entry)
            self.tell(
                "background_ended",
                background_id=status.background_id,
                tool=status.tool,
                status=status.state,
                error=status.failure,
            )
            if status.state in ("cancelled", "evicted"):
                self.retire(status)

    def note_failure(self, entry: Parked) -> None:
        """Tell how a call failed that outlived its round: nobody concludes it, and its error must not be lost."""
        ended = entry.job.ended
        if isinstance(ended, Raised):
            self.tell("tool_failed", tool=entry.tool, call=entry.call_id, error=outcome_of(ended).failure)

    # -- facts ---------------------------------------------------------------------------------------------------
    def tell(self, name: str, /, **values: object) -> None:
        """Tell the observer a fact, without the secrets in it."""
        self.observe(name, **{key: redact(value) for key, value in values.items()})

    def tell_unstoppable(self, entry: Parked, by: Asker, after_s: float) -> None:
        """Tell that a call which was asked to stop still runs."""
        self.tell(
            "unstoppable",
            tool=entry.tool,
            call=entry.call_id,
            background_id=entry.background_id,
            by=by,
            after_s=after_s,
        )

    def _new_id(self) -> str:
        while self.ledger.knows(new := f"bg-{secrets.token_hex(6)}"):
            pass
        return new


@contextmanager
def _waiting(entry: Parked) -> Iterator[None]:
    """Count one who waits for the end of this call: its result is as good as delivered."""
    entry.waiting += 1
    try:
        yield
    finally:
        entry.waiting -= 1

"""The books of a session's tool calls: who runs, who is parked, what became of those that left. No I/O, no clock.

The idea: a call has one entry from its start until it leaves the books, and a parked one leaves a line behind that
says how, so an id that was ever handed out is told from one that never was. The constraint it protects: whether a
call has ended is asked of the job itself and never copied, because a copy is late by a turn of the loop, and that
is where a result is lost. A dict from id to task, as the published design has it, was refused: it forgets what it
drops, and it knows nothing of a call before its budget is over.

What an entry is called, from the job's end and from whether anybody asked it to stop:

===============  =============================================  ====================================  ==========
state            the job                                        asked to stop                         it leaves
===============  =============================================  ====================================  ==========
still_running    runs                                           no
cancelling       runs                                           yes
cancelled        was cancelled                                  by the agent, the turn, the session   at once
evicted          was cancelled                                  to make room                          at once
completed        returned (also after it was asked to stop)     no matter                             delivered
error            raised, fell short, or cancelled itself        no matter                             delivered
===============  =============================================  ====================================  ==========

An entry whose result is dropped to make room leaves as ``evicted`` too, and ``was`` says what it had been. Ids that
left as ``delivered``, and ids that are ``unknown``, have no entry.

Who has to go when the books are full, the longest parked first: one that has ended; one that was asked to stop a
short while ago; one that runs. One that was asked long ago and did not stop is not worth waiting for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, Protocol, TypeVar

from simkit.agent.budgets import Cancelled, Ended, outcome_of

State = Literal["still_running", "cancelling", "cancelled", "evicted", "completed", "error", "delivered", "unknown"]
Asker = Literal["agent", "eviction", "turn", "session"]

# Ids that left are remembered so long: many more than a model can still speak of, and a small book.
_REMEMBERED_MAX: Final = 1_000


class Job(Protocol):
    """A running call, whatever runs it."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        ...

    @property
    def ended(self) -> Ended | None:
        """How it ended, or None while it runs."""
        ...


J = TypeVar("J", bound=Job)


@dataclass(frozen=True, slots=True)
class Stop:
    """Who first asked a call to stop, and when it was asked last."""

    by: Asker
    at_s: float


@dataclass(slots=True, eq=False)
class Entry(Generic[J]):
    """A call in the books. Without a ``background_id`` it is in the foreground."""

    call_id: str
    tool: str
    arguments: Mapping[str, object]
    key: str
    job: J
    budget_s: float | None = None
    background_id: str = ""
    parked_at_s: float = 0.0
    stop: Stop | None = None
    # How many wait for its end just now.
    waiting: int = 0
    # Its result was given to somebody, or dropped.
    claimed: bool = False
    # Its end was told to the observer.
    reported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What can be told of a background id. ``was`` says what it had been before it left.

    ``age_s`` is how long it has been parked, where that is known.
    """

    background_id: str
    state: State
    tool: str = ""
    output: object = None
    failure: str = ""
    was: str = ""
    age_s: float = 0.0


def status_of(entry: Entry[J]) -> Status:
    """Return what this entry is called, by the table above."""
    ended, stop = entry.job.ended, entry.stop
    if ended is None:
        return _status(entry, "cancelling" if stop else "still_running")
    if isinstance(ended, Cancelled) and stop:
        return _status(entry, "evicted" if stop.by == "eviction" else "cancelled", was="cancelled")
    outcome = outcome_of(ended)
    return Status(
        background_id=entry.background_id,
        state=outcome.state,
        tool=entry.tool,
        output=outcome.output,
        failure=outcome.failure,
    )


def _status(entry: Entry[J], state: State, was: str = "") -> Status:
    return Status(background_id=entry.background_id, state=state, tool=entry.tool, was=was)


@dataclass(slots=True)
class Ledger(Generic[J]):
    """The entries of one session, in order, and the lines of those that left."""

    cap: int
    foreground: list[Entry[J]] = field(default_factory=list)
    parked: dict[str, Entry[J]] = field(default_factory=dict)
    left: dict[str, Status] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether one more parked call would be one too many."""
        return len(self.parked) >= self.cap

    def open(self, entry: Entry[J]) -> None:
        """Enter a call that begins, in the foreground."""
        self.foreground.append(entry)

    def close(self, entry: Entry[J]) -> None:
        """Strike a foreground call that is over."""
        if entry in self.foreground:
            self.foreground.remove(entry)

    def park(self, entry: Entry[J], background_id: str, now_s: float) -> None:
        """Move a call from the foreground to the parked ones."""
        assert not self.full, f"{len(self.parked)} calls are parked already, the cap is {self.cap}"
        self.close(entry)
        entry.background_id, entry.parked_at_s = background_id, now_s
        self.parked[background_id] = entry

    def retire(self, status: Status) -> None:
        """Let a parked call leave, and remember how it left. The first word on an id stands."""
        if self.parked.pop(status.background_id, None) is not None:
            self.left[status.background_id] = status
        if len(self.left) > _REMEMBERED_MAX:
            del self.left[next(iter(self.left))]

    def knows(self, background_id: str) -> bool:
        """Say whether the id was ever handed out, as far as is remembered."""
        return background_id in self.parked or background_id in self.left

    def recall(self, background_id: str) -> Status:
        """Return what became of an id that is not parked."""
        return self.left.get(background_id) or Status(background_id=background_id, state="unknown")

    def twin(self, key: str) -> Entry[J] | None:
        """Return the parked call that does the same, if there is one."""
        return next((entry for entry in self.parked.values() if entry.key == key), None)

    def victim(self, now_s: float, grace_s: float) -> Entry[J] | None:
        """Return who has to go next, by the order above; None when nobody would."""
        ended = [e for e in self.parked.values() if not e.job.alive]
        alive = [e for e in self.parked.values() if e.job.alive]
        # Whoever waits for a result takes it in the next moment, so that one goes by itself.
        ended.sort(key=lambda e: e.waiting > 0)
        stopping = [e for e in alive if e.stop and now_s < e.stop.at_s + grace_s]
        running = [e for e in alive if not e.stop]
        return next(iter(ended + stopping + running), None)

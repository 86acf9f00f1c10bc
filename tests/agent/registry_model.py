"""A small model of the registry: what a machine that drives the real one must see, and when.

The idea: a call's whole life follows from a few numbers - when it began, how long it takes, when it was asked to
stop and how it takes that - so its end is computed and not simulated, and each question to the registry has one
right answer at one right time. The constraint: the model shares no code with the registry and knows neither tasks
nor loops; where the two differ, one of them is wrong. Times are halves of seconds, so that sums of them are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tests.agent.parking import CANCELLED_ITSELF, TIDY_S, OnCancel

Word = tuple[str, object]
End = Literal["did", "failed", "stopped"]


@dataclass(eq=False)
class Work:
    """One call of a tool."""

    name: str
    began_s: float
    takes_s: float
    on_cancel: OnCancel = "ends"
    failure: str = ""
    background_id: str = ""
    asked_s: float = 0.0
    asked_first_s: float | None = None
    asked_by: str = ""

    @property
    def end(self) -> tuple[float, End]:
        """When it ends, and how: a result that is there when it is asked to stop stands."""
        by_itself_s = self.began_s + self.takes_s
        asked_s = self.asked_first_s
        if asked_s is None or asked_s >= by_itself_s:
            return by_itself_s, "failed" if self.failure else "did"
        if self.on_cancel == "goes on":
            # Who was asked to stop, and cancels itself later, cannot be told from who stops late.
            late: End = "stopped" if self.failure == CANCELLED_ITSELF else "failed" if self.failure else "did"
            return by_itself_s, late
        return asked_s + (TIDY_S if self.on_cancel == "tidies" else 0.0), "stopped"

    def alive(self, now_s: float) -> bool:
        return self.end[0] > now_s

    def ask_to_stop(self, by: str, now_s: float, grace_s: float) -> None:
        if self.asked_first_s is None:
            self.asked_first_s, self.asked_by = now_s, by
        elif now_s < self.asked_s + grace_s:
            return
        self.asked_s = now_s

    def word(self, now_s: float) -> Word:
        end_s, how = self.end
        if now_s < end_s:
            return ("still_running" if self.asked_first_s is None else "cancelling"), None
        if how == "stopped":
            return ("evicted" if self.asked_by == "eviction" else "cancelled"), None
        return ("error", self.failure) if how == "failed" else ("completed", f"{self.name} ok")


@dataclass
class Model:
    """The registry, as it must appear."""

    cap: int
    grace_s: float
    teardown_s: float
    now_s: float = 0.0
    parked: dict[str, Work] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    strays: list[Work] = field(default_factory=list)

    # -- calls -------------------------------------------------------------------------------------
    def call(self, work: Work, budget_s: float) -> Word | None:
        """Take a call, and return what it must answer at once; None when it is to be parked."""
        end_s, _ = work.end
        if end_s <= self.now_s + budget_s:
            self.now_s = end_s
            return work.word(end_s)
        self.now_s += budget_s
        self._make_room(work)
        return work.word(self.now_s) if work.end[0] <= self.now_s else None

    def park(self, work: Work, background_id: str) -> None:
        work.background_id = background_id
        self.parked[background_id] = work

    def tear(self, work: Work, after_s: float) -> None:
        """Begin a call, and tear its round down in the middle."""
        self.now_s += after_s
        if work.alive(self.now_s):
            work.ask_to_stop("turn", self.now_s, self.grace_s)
            self.now_s = min(work.end[0], self.now_s + self.grace_s)
            self.strays.append(work)

    def _make_room(self, coming: Work) -> None:
        self._let_leave()
        while len(self.parked) >= self.cap and coming.alive(self.now_s):
            victim = self._victim()
            if victim is None:
                self.now_s = min(work.end[0] for work in [coming, *self.parked.values()])
            else:
                self._evict(victim)
            self._let_leave()

    def _victim(self) -> Work | None:
        works, now_s = list(self.parked.values()), self.now_s
        ended = [w for w in works if not w.alive(now_s)]
        asked = [w for w in works if w.alive(now_s) and w.asked_by and now_s < w.asked_s + self.grace_s]
        running = [w for w in works if w.alive(now_s) and not w.asked_by]
        return next(iter(ended + asked + running), None)

    def _evict(self, victim: Work) -> None:
        if victim.alive(self.now_s):
            victim.ask_to_stop("eviction", self.now_s, self.grace_s)
            self.now_s = min(victim.end[0], victim.asked_s + self.grace_s)
        self._let_leave()
        if victim.background_id in self.parked and not victim.alive(self.now_s):
            del self.parked[victim.background_id]
            self.left[victim.background_id] = "evicted"

    def _let_leave(self) -> None:
        """Let those leave that ended because they were asked to: they have nothing to be asked for."""
        for background_id, work in list(self.parked.items()):
            end_s, how = work.end
            if end_s <= self.now_s and how == "stopped":
                del self.parked[background_id]
                self.left[background_id] = work.word(end_s)[0]

    # -- questions ---------------------------------------------------------------------------------
    def check(self, background_id: str, *waits_s: float) -> list[Word]:
        """Return what those who wait together must hear, in the order of the alphabet."""
        self._let_leave()
        work = self.parked.get(background_id)
        if work is None:
            return [self._recall(background_id) for _ in waits_s]
        began_s, end_s = self.now_s, max(work.end[0], self.now_s)
        self.now_s = max(min(end_s, began_s + wait_s) for wait_s in waits_s)
        early = [work.word(began_s + wait_s) for wait_s in waits_s if began_s + wait_s < end_s]
        rest = [self._deliver(work) for wait_s in waits_s if began_s + wait_s >= end_s]
        return sorted(early + rest, key=str)

    def cancel(self, background_id: str) -> Word:
        """Return what a cancel must answer."""
        self._let_leave()
        work = self.parked.get(background_id)
        if work is None:
            return self._recall(background_id)
        if work.alive(self.now_s):
            work.ask_to_stop("agent", self.now_s, self.grace_s)
            self.now_s = min(work.end[0], self.now_s + self.grace_s)
        return self._deliver(work)

    def listed(self) -> list[tuple[str, str]]:
        """Return id and status of what must stand in the list, without those evicted."""
        self._let_leave()
        return [(i, work.word(self.now_s)[0]) for i, work in self.parked.items()]

    def close(self) -> list[str]:
        """End the session, and return the names of those that must be said to run on."""
        began_s, works = self.now_s, [*self.parked.values(), *self.strays]
        alive = [work for work in works if work.alive(began_s)]
        for work in alive:
            work.ask_to_stop("session", began_s, self.grace_s)
        until_s = min(max((work.end[0] for work in alive), default=began_s), began_s + self.teardown_s)
        self.now_s = until_s
        return [work.name for work in alive if work.alive(until_s)]

    def _deliver(self, work: Work) -> Word:
        word = work.word(self.now_s)
        if word[0] in ("completed", "error"):
            if self.parked.pop(work.background_id, None) is None:
                return self._recall(work.background_id)
            self.left[work.background_id] = "already_delivered"
        return word

    def _recall(self, background_id: str) -> Word:
        return self.left.get(background_id, "unknown_id"), None

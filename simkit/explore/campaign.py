"""A campaign: many cases under many plans, on any number of workers, until there is enough or nothing left.

The idea: for each case the default run comes first, then its agenda gives out units for as long as anybody is free;
what comes back is put together, kept on disk and never needed in order. At the end what was found is shrunk, as tasks
like any others. The constraint: what is found depends on the cases and on how many runs each gets, and on nothing else:
not on the number of workers, on who was first, on who was killed, or on how often the campaign was broken off. Looking
at a clock here was refused: whoever watches says when it is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from simkit.explore.emptiness import Coverage, Missing, coverage_of, missing
from simkit.explore.failures import Failure, failures_of, tell_apart
from simkit.explore.outcome import Outcome
from simkit.explore.state import State, behaviour, fingerprint
from simkit.explore.units import (
    NOTHING,
    WHOLE,
    Agenda,
    Case,
    Shard,
    Shrinking,
    Smaller,
    Unit,
    UnitDone,
    run_first,
    run_unit,
    shrink_failure,
)
from simkit.explore.workers import Task, Workers

# Real seconds between two looks at whoever watches.
_TICK_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a campaign is. ``case`` is the last one that something was done for, ``again`` what was done before."""

    runs: int = 0
    again: int = 0
    virtual_ns: int = 0
    failures: int = 0
    cases_done: int = 0
    case: str = ""
    shrinking: int = 0


class Watch(Protocol):
    """Whoever watches a campaign: is told what happens, and says when to stop."""

    def is_over(self) -> bool:
        """Say whether no unit is to be begun any more."""
        ...

    def is_broken_off(self) -> bool:
        """Say whether also nothing is to be made of what was found."""
        ...

    def is_abandoned(self) -> bool:
        """Say whether what is under way is not to be waited for."""
        ...

    def tell(self, text: str) -> None:
        """Hear of something that people have to know."""
        ...

    def found(self, case: Case, failure: Failure) -> None:
        """Hear of a failure that nobody has seen yet."""
        ...

    def look(self, standing: Standing) -> None:
        """See how far it is, several times a second."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseExplored:
    """What came of one case.

    ``failures`` are told apart and shrunk; ``unsteady`` are the ids of those whose plan did not fail again, ``raw`` of
    those that nobody has tried to shrink. ``fails_alone`` says that the default run failed, so that nothing else was
    tried. ``unknown`` holds a text for each piece of work that could not be done. ``whole`` says that nothing of what
    was asked for was left out. A case with no runs was never begun.
    """

    case: Case
    runs: int = 0
    virtual_ns: int = 0
    failures: tuple[Failure, ...] = ()
    unsteady: frozenset[str] = frozenset()
    raw: frozenset[str] = frozenset()
    fails_alone: bool = False
    whole: bool = False
    exhausted: bool = False
    statement: str = ""
    missing: tuple[Missing, ...] = ()
    unknown: tuple[str, ...] = ()


class Campaign:
    """One call of an exploration over several cases.

    ``in_turns`` gives the cases their units in turn, for when there is no number of runs that ends one of them.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        workers: Workers,
        state: State,
        watch: Watch,
        *,
        shard: Shard = WHOLE,
        in_turns: bool = False,
    ) -> None:
        self._workers = workers
        self._state = state
        self._watch = watch
        self._in_turns = in_turns
        self._searches = [_Search(case, state, watch, shard, offset) for offset, case in enumerate(cases)]
        self._open = list(self._searches)
        self._now = Standing()

    def run(self) -> tuple[CaseExplored, ...]:
        """Explore, shrink what was found, and say what came of each case."""
        self._drive(self._next_of_any, self._watch.is_over)
        shrinkings = self._shrinkings()
        self._drive(lambda: next(shrinkings, None), self._watch.is_broken_off)
        return self.explored()

    def explored(self) -> tuple[CaseExplored, ...]:
        """Return what is known of each case by now."""
        return tuple(search.explored() for search in self._searches)

    def _drive(self, next_task: Callable[[], Task | None], is_over: Callable[[], bool]) -> None:
        """Keep the workers busy until there is nothing to do or it is over; what is under way is waited for."""
        while not self._watch.is_abandoned():
            while self._workers.is_free and not is_over():
                task = next_task()
                if task is None:
                    break
                self._workers.start(task)
            if not self._workers.is_busy:
                return
            self._workers.finish(_TICK_S)
            # Once for all that came together: it takes longer than a run.
            self._state.settle()
            self._watch.look(self._standing())

    def _next_of_any(self) -> Task | None:
        """Return the next task of the first case that has one."""
        for search in self._open[:]:
            task = search.next()
            if search.is_done:
                self._open.remove(search)
            elif task is not None and self._in_turns:
                self._open.remove(search)
                self._open.append(search)
            if task is not None:
                self._now = replace(self._now, case=search.case.name)
                return task
        return None

    def _shrinkings(self) -> Iterator[Task]:
        tasks = [task for search in self._searches for task in search.shrinkings()]
        for left, task in zip(range(len(tasks), 0, -1), tasks, strict=True):
            self._now = replace(self._now, shrinking=left)
            yield task

    def _standing(self) -> Standing:
        return replace(
            self._now,
            runs=sum(search.runs for search in self._searches),
            again=sum(search.again for search in self._searches),
            virtual_ns=sum(search.virtual_ns for search in self._searches),
            failures=sum(len(search.found) for search in self._searches),
            cases_done=len(self._searches) - len(self._open),
        )


class _Search:
    """The exploration of one case: its default run, its units, and what was found."""

    def __init__(self, case: Case, state: State, watch: Watch, shard: Shard, offset: int) -> None:
        self.case = case
        self._state = state
        self._watch = watch
        self._shard = shard
        self._offset = offset
        self._agenda: Agenda | None = None
        self._is_begun = False
        self._coverage: Coverage = NOTHING
        self._unknown: list[str] = []
        self._smaller: list[Smaller] = []
        self._settled: set[str] = set()
        self.found: tuple[Failure, ...] = ()
        self.virtual_ns = 0
        self.again = 0
        self.is_done = False

    @property
    def runs(self) -> int:
        """How many runs are known of."""
        return self._coverage.runs

    def next(self) -> Task | None:
        """Return what is to be done next; None where there is nothing, or nothing yet."""
        if not self._is_begun:
            self._is_begun = True
            return self._task(run_first, self.case, "the default run", self._begin, self._is_lost)
        if self._agenda is None:
            return None
        unit = self._next_unit(self._agenda)
        if unit is None:
            self.is_done = not self._agenda.is_waiting
            return None
        return self._task(run_unit, unit, f"plans {unit.name}", self._take, partial(self._lose, unit))

    def _task(
        self,
        function: Callable[..., object],
        argument: object,
        what: str,
        then: Callable[..., None],
        otherwise: Callable[[str], None],
    ) -> Task:
        name = f"{self.case.name}: {what}"
        return Task(function=function, argument=argument, name=name, then=then, otherwise=otherwise)

    # -- the default run --
    def _begin(self, first: Outcome) -> None:
        """Take the default run; whether anything else is tried depends on it."""
        self._note(coverage_of(first), first.end_ns)
        if first.broken:
            self.found = failures_of(self.case.name, first)
            self.is_done = True
            return
        if self._state.has_changed(self.case.name, fingerprint(self.case)):
            self._watch.tell(f"{self.case.name} has changed since: it begins anew")
        if self._state.behaves_otherwise(self.case.name, behaviour(first)):
            self._watch.tell(f"{self.case.name} runs otherwise than it did: it begins anew")
        self._agenda = Agenda(self.case, first, self._shard, self._offset)

    def _is_lost(self, why: str) -> None:
        self._unknown.append(why)
        self.is_done = True

    # -- units --
    def _next_unit(self, agenda: Agenda) -> Unit | None:
        """Return the next unit that was not done before."""
        known = self._state.done(self.case.name)
        while (unit := agenda.next()) is not None:
            done = known.get(unit.name)
            if done is None:
                return unit
            if isinstance(done, UnitDone):
                self.again += done.coverage.runs
                self._absorb(done)
            else:
                self._unknown.append(done)
                agenda.lose(unit)
        return None

    def _take(self, done: UnitDone) -> None:
        self._state.add(done)
        self._absorb(done)

    def _absorb(self, done: UnitDone) -> None:
        assert self._agenda is not None, "units come from the agenda"
        self._agenda.take(done)
        self._note(done.coverage, done.virtual_ns)
        known = {failure.id for failure in self.found}
        self.found = tell_apart((*self.found, *done.failures))
        for failure in self.found:
            if failure.id not in known:
                self._watch.found(self.case, failure)

    def _lose(self, unit: Unit, why: str) -> None:
        assert self._agenda is not None, "units come from the agenda"
        self._state.lose(self.case.name, unit.name, why)
        self._unknown.append(why)
        self._agenda.lose(unit)

    def _note(self, coverage: Coverage, virtual_ns: int) -> None:
        self._coverage |= coverage
        self.virtual_ns += virtual_ns

    # -- the end --
    def shrinkings(self) -> Iterator[Task]:
        """Yield a task for each failure that can become smaller; one of the default run cannot."""
        if self._agenda is None:
            return
        for failure in self.found:
            argument = Shrinking(case=self.case, failure=failure)
            what = f"shrinking of failure {failure.id}"
            yield self._task(shrink_failure, argument, what, partial(self._shrunk, failure), self._unknown.append)

    def _shrunk(self, failure: Failure, smaller: Smaller) -> None:
        self._settled.add(failure.id)
        self._smaller.append(smaller)

    def explored(self) -> CaseExplored:
        """Return what came of the case."""
        raw = [failure for failure in self.found if self._agenda is not None and failure.id not in self._settled]
        alone = self.found if self._agenda is None else ()
        return CaseExplored(
            case=self.case,
            runs=self.runs,
            virtual_ns=self.virtual_ns,
            failures=tell_apart((*alone, *raw, *(smaller.failure for smaller in self._smaller))),
            unsteady=frozenset(smaller.failure.id for smaller in self._smaller if not smaller.replays),
            raw=frozenset(failure.id for failure in raw),
            fails_alone=bool(alone),
            whole=self.is_done,
            exhausted=self._agenda is not None and self._agenda.is_exhausted,
            statement="" if self._agenda is None else self._agenda.statement,
            missing=() if self._agenda is None else missing(self.case.space, self._coverage, self.case.scenario),
            unknown=tuple(sorted(self._unknown)),
        )

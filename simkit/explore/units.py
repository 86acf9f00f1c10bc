"""Units: the work of a campaign, cut into pieces that any process can do, in an order that does not depend on it.

The idea: a unit is a few attempts of one case, with all that a worker needs; what comes back says what was found and
how much was reached, never how a run went. The constraint: which units there are, and in which order, is a function of
the case and of its default run alone, so one worker and twenty find the same, and a campaign that was killed goes on
where it stood. For what only a run can tell, the plans behind a single deviation or fault, the agenda waits until all
of these are run, and sends their places instead of the plans: whoever gets them runs the parent once more. Sending a
range of numbers for a worker to count up to was refused: the last unit of a million would cost a million.
"""

from __future__ import annotations

import contextlib
import os
from _thread import allocate_lock
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, cycle, islice
from typing import Final

from simkit.explore.attempts import Space, attempts, children
from simkit.explore.emptiness import Coverage, coverage_of
from simkit.explore.extent import Extent
from simkit.explore.failures import Failure, failures_of, tell_apart
from simkit.explore.outcome import Attempt, Outcome
from simkit.explore.running import ScenarioRunner
from simkit.explore.shrink import smallest
from simkit.explore.sweep import pairs_of
from simkit.kernel.machine import MACHINE
from simkit.model.scenario import Scenario

# How many sites and choices one unit meets, about: some tenths of a second, with an SDK or without.
_WORK: Final = 400
# A choice costs a small part of what a site does, behind which a client, a stream or a tool has its turn.
_CHOICES_OF_A_SITE: Final = 10
_SIZE_MIN, _SIZE_MAX = 4, 64
# One turn in three, as in a search of one process, and the first, since turns are long here.
_TURNS: Final = (True, False, False)

# Worlds of one process replace the same standard library: of an executor's threads one has its turn.
_ONE_AT_A_TIME: Final = allocate_lock()
NOTHING: Final = Coverage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scenario and what varies in it.

    ``subject`` was named from outside the file. ``home`` is the folder that its names are relative to.
    """

    scenario: Scenario
    space: Space
    subject: str | None = None
    home: str = ""

    @property
    def name(self) -> str:
        """File and row."""
        return self.scenario.name

    @property
    def runner(self) -> ScenarioRunner:
        """Whoever runs it."""
        return ScenarioRunner(self.scenario, self.subject, self.scenario.explore.heal_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """An attempt, and how many plans with one deviation or fault more there are behind it."""

    attempt: Attempt
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    """Some of the plans behind an attempt, by their places among them."""

    attempt: Attempt
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Some attempts of one case; ``number`` is that of the first, ``counts`` whether to count what is behind them."""

    case: Case
    number: int
    size: int
    attempts: tuple[Attempt, ...] = ()
    children: tuple[Children, ...] = ()
    counts: bool = True

    @property
    def name(self) -> str:
        """Its numbers, by which it is known on disk."""
        return f"{self.number}-{self.number + self.size - 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitDone:
    """What came of a unit. ``failures`` are told apart, but not shrunk."""

    case: str
    name: str
    virtual_ns: int = 0
    coverage: Coverage = NOTHING
    failures: tuple[Failure, ...] = ()
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinking:
    """A failure that is to become smaller."""

    case: Case
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """A failure with the smallest plan that was found; ``replays`` says whether it failed again at all."""

    failure: Failure
    replays: bool


# -- what a worker does ------------------------------------------------------------------------------------------------
def run_first(case: Case) -> Outcome:
    """Run the default attempt of a case."""
    with _settled(case) as runner:
        return runner.run(case.space.default)


def run_unit(unit: Unit) -> UnitDone:
    """Run every attempt of a unit."""
    virtual_ns, coverage, found, parents = 0, Coverage(), tuple[Failure, ...](), list[Parent]()
    with _settled(unit.case) as runner:
        for number, attempt in enumerate(_attempts(unit, runner), unit.number):
            outcome = runner.run(attempt)
            virtual_ns += outcome.end_ns
            coverage |= coverage_of(outcome)
            if outcome.broken:
                found = tell_apart((*found, *failures_of(unit.case.name, outcome, number)))
            if unit.counts and (more := sum(1 for _ in _behind(unit.case.space, attempt, outcome))):
                parents.append(Parent(attempt=replace(attempt, number=number), count=more))
    return UnitDone(
        case=unit.case.name,
        name=unit.name,
        virtual_ns=virtual_ns,
        coverage=coverage,
        failures=found,
        parents=tuple(parents),
    )


def shrink_failure(shrinking: Shrinking) -> Smaller:
    """Make the plan of a failure as small as it gets."""
    with _settled(shrinking.case) as runner:
        failure, replays = smallest(runner, shrinking.failure)
    return Smaller(failure=failure, replays=replays)


@contextlib.contextmanager
def _settled(case: Case) -> Iterator[ScenarioRunner]:
    """Hold the machine in the folder of the case, where a worker was started in another one, and hear nobody speak.

    What an agent prints a thousand times is no help to anybody; a replay shows it once.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_ONE_AT_A_TIME)
        if case.home and case.home != os.getcwd() and os.path.isdir(case.home):
            os.chdir(case.home)
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        stack.enter_context(MACHINE.held())
        yield case.runner


def _attempts(unit: Unit, runner: ScenarioRunner) -> Iterator[Attempt]:
    yield from unit.attempts
    for part in unit.children:
        outcome = runner.run(part.attempt)
        yield from islice(_behind(unit.case.space, part.attempt, outcome), part.start, part.stop)


def _behind(space: Space, attempt: Attempt, outcome: Outcome) -> Iterator[Attempt]:
    return chain(pairs_of(space, attempt, outcome), children(attempt, outcome, space.depth))


# -- which units there are ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal parts of a campaign, counted from 0."""

    index: int = 0
    of: int = 1

    def has(self, number: int) -> bool:
        """Say whether the unit with this number belongs to it."""
        return number % self.of == self.index

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.of}"


WHOLE: Final = Shard()


class Agenda:
    """The units of one case in their order, and how much of its space they have covered.

    ``offset`` is added to the numbers of units where these are dealt out to shards, so that the first shard does not
    get the first unit of every case.
    """

    def __init__(self, case: Case, first: Outcome, shard: Shard = WHOLE, offset: int = 0) -> None:
        self._case = case
        self._shard = shard
        self._offset = offset
        self._ahead = attempts(replace(case.space, runs=0), first)
        self._extent = Extent(case.space, first)
        self._size = _size(first)
        # The number of the next attempt; 0 was the default run.
        self._number = 1
        self._open: dict[str, Unit] = {}
        self._parents: list[Parent] = []
        self._parents_to_come = self._parents_ahead()
        # Too few runs to come behind the parents: nobody has to count.
        self._counts = not 0 < case.space.runs <= self._parents_to_come
        self._is_walked = self._is_lossy = False
        self._units = self._in_order()

    def _parents_ahead(self) -> int:
        space = self._case.space
        deviating = self._extent.left if space.strategy in ("mix", "systematic") and space.depth > 1 else 0
        return deviating + (self._extent.faults if space.strategy == "mix" and space.sweep == "pairs" else 0)

    def next(self) -> Unit | None:
        """Return the next unit; None where there is none, or none until those are done that were given out."""
        unit = next(self._units, None)
        if unit is not None:
            self._open[unit.name] = unit
        return unit

    def take(self, done: UnitDone) -> None:
        """Take note of what came of a unit."""
        unit = self._open.pop(done.name)
        for attempt in unit.attempts:
            self._extent.note(attempt)
        for part in unit.children:
            self._extent.note_behind(part.attempt, part.stop - part.start)
        self._parents += done.parents

    def lose(self, unit: Unit) -> None:
        """Take note that nothing will come of a unit."""
        del self._open[unit.name]
        self._is_lossy = True

    @property
    def is_waiting(self) -> bool:
        """Say whether units were given out that are not done."""
        return bool(self._open)

    @property
    def is_exhausted(self) -> bool:
        """Say whether every plan up to the depth of the space was run, with every fault that is asked for."""
        return self._is_walked and not self._open and not self._is_lossy and self._extent.is_covered

    @property
    def statement(self) -> str:
        """Say in words what was exhausted, or how far that is."""
        shard = f", in shard {self._shard}" if self._shard != WHOLE else ""
        return f"{self._extent.statement(exhausted=self.is_exhausted)}{shard}"

    # -- the order --
    def _in_order(self) -> Iterator[Unit | None]:
        """Yield the units, and None for as long as what comes next depends on those that are not done."""
        slots = self._slots()
        while self._parents_to_come > 0 and (slot := next(slots, None)) is not None:
            yield from slot
        while True:
            while self._open:
                yield None
            if not self._parents:
                break
            left = deque(_whole(sorted(self._parents, key=lambda parent: parent.attempt.number)))
            self._parents = []
            yield from chain.from_iterable(_in_turns(slots, self._slots_behind(left)))
            if left:
                # The runs are used up.
                return
        self._is_walked = True
        yield from chain.from_iterable(slots)

    def _slots(self) -> Iterator[tuple[Unit, ...]]:
        """Yield a slot for each unit of attempts: empty where it is another shard's."""
        for index in count(self._offset):
            found = tuple(islice(self._ahead, self._room))
            if not found:
                return
            self._parents_to_come -= sum(map(self._is_parent, found))
            unit = self._unit(len(found), attempts=found)
            if not self._shard.has(index):
                for attempt in found:
                    self._extent.note(attempt)
            yield (unit,) if self._shard.has(index) else ()

    def _slots_behind(self, left: deque[Children]) -> Iterator[tuple[Unit, ...]]:
        """Yield a slot for each unit of what is left, from each parent in turn, so that no part of a run is the last.

        What other shards have behind their parents is not known here; their slots are as large as they can be.
        """
        for index in count(self._offset):
            if not left or not self._room:
                return
            if self._shard.has(index):
                parts = _next_parts(left, self._room)
                yield (self._unit(sum(part.stop - part.start for part in parts), children=parts),)
            else:
                self._number += self._room
                yield ()

    def _unit(self, size: int, *, attempts: tuple[Attempt, ...] = (), children: tuple[Children, ...] = ()) -> Unit:
        number, self._number = self._number, self._number + size
        return Unit(
            case=self._case, number=number, size=size, attempts=attempts, children=children, counts=self._counts
        )

    @property
    def _room(self) -> int:
        """How many attempts the next unit may have."""
        runs = self._case.space.runs
        return min(self._size, max(0, runs - self._number)) if runs else self._size

    def _is_parent(self, attempt: Attempt) -> bool:
        space, plan = self._case.space, attempt.plan
        if attempt.strategy != "fifo" or plan.seed != space.seed:
            return False
        if plan.strikes:
            return space.sweep == "pairs" and len(plan.strikes) == 1
        return space.depth > 1 and len(plan.deviations) == 1


def _in_turns(slots: Iterator[tuple[Unit, ...]], behind: Iterator[tuple[Unit, ...]]) -> Iterator[tuple[Unit, ...]]:
    """Take slots of both in turn, until there is nothing behind any more."""
    for is_behinds in cycle(_TURNS):
        slot = None if is_behinds else next(slots, None)
        slot = next(behind, None) if slot is None else slot
        if slot is None:
            return
        yield slot


def _whole(parents: Iterable[Parent]) -> Iterator[Children]:
    return (Children(attempt=parent.attempt, start=0, stop=parent.count) for parent in parents)


def _next_parts(left: deque[Children], room: int) -> tuple[Children, ...]:
    """Take so many plans from the front of what is left; what remains of a parent goes to its end."""
    parts = []
    while left and room:
        part = left.popleft()
        middle = min(part.stop, part.start + room)
        room -= middle - part.start
        parts.append(replace(part, stop=middle))
        if middle < part.stop:
            left.append(replace(part, start=middle))
    return tuple(parts)


def _size(first: Outcome) -> int:
    """Return how many attempts a unit has, by what the default run met."""
    met = 1 + len(first.sites) + len(first.choices) // _CHOICES_OF_A_SITE
    return max(_SIZE_MIN, min(_SIZE_MAX, _WORK // met))

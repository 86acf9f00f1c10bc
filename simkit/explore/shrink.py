"""Shrinking: from a plan that fails to the smallest one found that fails for the same reason.

The idea: a candidate is run leniently, so that what does not fit falls out of it, and the plan which that run took is
what is kept; faults go first, then choices, then values. The constraint: every step is run once more, strictly, and
must take exactly the plan that is kept; runs are counted against a budget and nothing is drawn at random, so a plan
shrinks the same way wherever it is shrunk. Hypothesis was refused: choices depend on those before them, which its data
does not know, and a package that a test kit needs at run time is one that its users have to live with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, TypeVar

from simkit.explore.failures import SIMPLEST, Failure, rank, same_in, site_numbers, weight
from simkit.explore.outcome import Attempt, Broken, Outcome
from simkit.explore.running import Runner
from simkit.model.duration import NS_PER_MS
from simkit.model.plan import Deviation, Plan, Strike, strikes_at

BUDGET: Final = 200
# How far events may shift, in round numbers: from a millisecond to about the longest deadline of an agent.
_ROUND_NS: Final = tuple(step * 10**power * NS_PER_MS for power in range(6) for step in (1, 2, 5))

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The smallest plan that was found, how many runs that took, and what came of the plan when it was run strictly.

    ``replays`` says whether the plan given failed for this reason at all when it was run again; where it did not,
    ``plan`` is that plan. ``whole`` says that nothing smaller was left to try, and not that the budget was used up.
    """

    plan: Plan
    runs: int
    outcome: Outcome
    replays: bool = True
    whole: bool = True


def shrink(runner: Runner, plan: Plan, broken: Broken, *, budget: int = BUDGET) -> Shrunk:
    """Return the smallest plan found in so many runs that fails for the same reason. The first run is always made."""
    first = runner.run(Attempt(number=0, plan=plan))
    if same_in(broken, first) is None or first.plan != plan:
        return Shrunk(plan=plan, runs=1, outcome=first, replays=False)
    search = _Search(runner, broken, first, budget - 1)
    search.go()
    runs = budget - search.left
    return Shrunk(plan=search.plan, runs=runs, outcome=search.outcome, whole=not search.starved)


def smallest(runner: Runner, failure: Failure) -> tuple[Failure, bool]:
    """Return a failure with the smallest plan that was found for it, and whether it failed again at all."""
    shrunk = shrink(runner, failure.plan, failure.broken)
    again = same_in(failure.broken, shrunk.outcome)
    if again is None or not shrunk.replays:
        return failure, False
    return replace(failure, plan=shrunk.plan, broken=again), True


def fewer(items: Sequence[T], keeps: Callable[[tuple[T, ...]], Sequence[T] | None]) -> tuple[T, ...]:
    """Leave out as many items as possible: all, then halves, and so on to single ones.

    ``keeps`` tries what would be left, and returns what is to go on with, or None where all are needed.
    """
    items, size = tuple(items), len(items)
    while size:
        at = 0
        while at < len(items):
            left = keeps(items[:at] + items[at + size :])
            if left is None:
                at += size
            else:
                items = tuple(left)
        size = min(size, len(items)) // 2 if size > 1 else 0
    return items


class _Search:
    """The state of one shrinking: the smallest plan so far, what came of it, and how many runs are left."""

    __slots__ = ("_broken", "_runner", "_tried", "left", "outcome", "starved")

    def __init__(self, runner: Runner, broken: Broken, outcome: Outcome, left: int) -> None:
        self._runner = runner
        self._broken = broken
        self._tried = {outcome.plan}
        self.outcome = outcome
        self.left = left
        # Whether something was left untried.
        self.starved = False

    @property
    def plan(self) -> Plan:
        return self.outcome.plan

    def go(self) -> None:
        """Take every way to make the plan smaller, until none of them does."""
        before = None
        while before != self.plan:
            before = self.plan
            self.accepts(Plan())
            fewer(self.plan.strikes, self._with_strikes)
            # Before choices go: one that asyncio can make may stand behind those that it cannot.
            self._follow(_orders)
            fewer(self.plan.deviations, self._with_deviations)
            for ways in _WAYS:
                self._follow(ways)

    def _with_strikes(self, strikes: tuple[Strike, ...]) -> tuple[Strike, ...] | None:
        return self.plan.strikes if self.accepts(replace(self.plan, strikes=strikes)) else None

    def _with_deviations(self, deviations: tuple[Deviation, ...]) -> tuple[Deviation, ...] | None:
        return self.plan.deviations if self.accepts(replace(self.plan, deviations=deviations)) else None

    def _follow(self, ways: Callable[[Outcome], Iterator[Plan]]) -> None:
        """Take the first of some candidates that fails as well, and go on from there."""
        while any(self.accepts(candidate) for candidate in ways(self.outcome)):
            pass

    def accepts(self, candidate: Plan) -> bool:
        """Say whether this plan, or what of it fits, is smaller and fails for the same reason; if so, go on with it."""
        if candidate in self._tried:
            return False
        if self.left < 2:
            # One run shows whether it fails, the second one that it does so strictly.
            self.starved = True
            return False
        lenient = self._run(candidate, lenient=True)
        taken = lenient.plan
        if same_in(self._broken, lenient) is None or weight(taken) >= weight(self.plan):
            return False
        strict = self._run(taken)
        if same_in(self._broken, strict) is None or strict.plan != taken:
            return False
        self.outcome = strict
        return True

    def _run(self, plan: Plan, *, lenient: bool = False) -> Outcome:
        self._tried.add(plan)
        self.left -= 1
        return self._runner.run(Attempt(number=0, plan=plan), lenient=lenient)


# -- smaller values ----------------------------------------------------------------------------------------------------
def _orders(outcome: Outcome) -> Iterator[Plan]:
    """Give the plan within what asyncio promises."""
    if outcome.plan.order == "any":
        yield replace(_without(outcome, "order"), order="timing")


def _jitters(outcome: Outcome) -> Iterator[Plan]:
    """Give the plan with less jitter, from none at all upwards in round numbers."""
    plan = outcome.plan
    if plan.jitter_ns:
        yield replace(_without(outcome, "timing"), jitter_ns=0)
        yield from (replace(plan, jitter_ns=ns) for ns in _ROUND_NS if ns < plan.jitter_ns)


def _seeds(outcome: Outcome) -> Iterator[Plan]:
    if outcome.plan.seed:
        yield replace(outcome.plan, seed=0)


def _picks(outcome: Outcome) -> Iterator[Plan]:
    """Give the plan with one choice nearer to the default."""
    plan = outcome.plan
    for at, one in enumerate(plan.deviations):
        for pick in _lower(1, one.pick):
            yield replace(plan, deviations=_with(plan.deviations, at, replace(one, pick=pick)))


def _sites(outcome: Outcome) -> Iterator[Plan]:
    """Give the plan with one fault earlier, at a site of the same sort where none strikes yet."""
    plan = outcome.plan
    taken = {strike.site for strike in plan.strikes}
    for at, one in enumerate(plan.strikes):
        alike = {site for site in outcome.sites if _sort(site) == _sort(one.site)} - taken
        earlier = sorted((site for site in alike if site_numbers(site) < site_numbers(one.site)), key=site_numbers)
        for place in _lower(0, len(earlier)):
            yield replace(plan, strikes=_with(plan.strikes, at, replace(one, site=earlier[place])))


def _kinds(outcome: Outcome) -> Iterator[Plan]:
    """Give the plan with one fault of a simpler kind."""
    plan = outcome.plan
    for at, one in enumerate(plan.strikes):
        for kind in SIMPLEST[: rank(one)]:
            if kind in strikes_at(one.site):
                yield replace(plan, strikes=_with(plan.strikes, at, replace(one, kind=kind)))


_WAYS: Final = (_jitters, _seeds, _picks, _sites, _kinds)


def _lower(least: int, value: int) -> list[int]:
    """Return numbers below a value: the least, one in the middle, and the one before."""
    return [n for n in dict.fromkeys((least, (least + value) // 2, value - 1)) if least <= n < value]


def _sort(site: str) -> str:
    return "".join(letter for letter in site if not letter.isdigit())


def _with(items: tuple[T, ...], at: int, item: T) -> tuple[T, ...]:
    return (*items[:at], item, *items[at + 1 :])


def _without(outcome: Outcome, kind: str) -> Plan:
    """Return the plan as it is when choices of a kind are not made at all: the others get other numbers by that."""
    before = list(accumulate((choice.kind == kind for choice in outcome.choices), initial=0))
    kept = [one for one in outcome.plan.deviations if one.kind != kind]
    moved = tuple(replace(one, number=one.number - before[one.number]) for one in kept)
    return replace(outcome.plan, deviations=moved)

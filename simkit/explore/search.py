"""Search: explores a scenario or a coroutine function in this process, and says what was found and what was not.

The idea: one call for those who sit at a prompt or write a test; campaigns over many processes are made of the same
parts. The constraint: what is returned says how much was tried, in words that are true: a space is exhausted when every
plan up to a number of deviations was run, and never because a budget ended. Stopping at the first failure was refused:
the second one is often the one that matters, and the budget was given to be used.

The default run counts as the first. The systematic plans with one deviation are part of the mix; once all of them were
run, those with one more take turns with the rest of it, so a budget that is large enough exhausts the space under the
mix too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from os import PathLike, fspath
from typing import Any, Final, cast

from simkit.errors import UsageError
from simkit.explore.attempts import Space, attempts, children, space_of
from simkit.explore.emptiness import Coverage, Missing, coverage_of, missing
from simkit.explore.extent import Extent, counted
from simkit.explore.failures import Failure, failures_of, tell_apart
from simkit.explore.outcome import Attempt, Outcome
from simkit.explore.running import MainRunner, Runner, ScenarioRunner
from simkit.explore.shrink import smallest
from simkit.explore.sweep import pairs_of
from simkit.kernel.machine import MACHINE
from simkit.model.duration import NS_PER_S
from simkit.model.plan import ORDERS
from simkit.model.scenario import Scenario
from simkit.run import load

Main = Callable[[], Coroutine[Any, Any, object]]
Target = Scenario | str | PathLike[str] | Main

# One turn in three: the share that systematic plans have of a mix in which nothing else is at its end.
_TURNS: Final = (False, False, True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What came of an exploration.

    ``runs`` is how many runs were made, those for shrinking not counted. ``failures`` are told apart and shrunk; the
    plan of each replays it. ``exhausted`` says that nothing of the space is left, and ``statement`` of which space.
    ``missing`` is what no run reached. ``unsteady`` are the failures whose plan did not fail again: something outside
    the world has a hand in them.
    """

    runs: int
    failures: tuple[Failure, ...]
    exhausted: bool
    statement: str
    missing: tuple[Missing, ...] = ()
    unsteady: tuple[Failure, ...] = ()

    def __str__(self) -> str:
        told = [line for failure in self.failures for line in self._told(failure)]
        return "\n".join([f"{counted(self.runs, 'run')}, {self.statement}", *told, *map(str, self.missing)])

    def _told(self, failure: Failure) -> Iterator[str]:
        broken = failure.broken
        yield f"{broken.law}: {broken.text} ({f'{broken.place}, ' if broken.place else ''}{failure.count} of them)"
        yield f"  plan: {failure.plan.text()}{' (it did not fail again)' if failure in self.unsteady else ''}"


def explore(
    target: Target,
    *,
    runs: int,
    seed: int = 0,
    strategy: str = "mix",
    order: str = "timing",
    jitter: float = 0.0,
) -> Explored:
    """Run a scenario, a scenario file of one row, or a coroutine function under many plans.

    ``runs`` is how many, the default run included. ``strategy`` is ``mix``, ``systematic``, ``fifo``, ``uniform``,
    ``sequential``, ``pct``, or one that is installed. ``order`` and ``jitter`` (seconds) are those of ``World``, and
    come on top of what the scenario asks for itself. Raises ``UsageError`` or ``ScenarioError``.
    """
    _check(runs, order, jitter)
    jitter_ns = round(jitter * NS_PER_S)
    scenario = None if callable(target) else _scenario(target)
    if scenario is None:
        space = Space(runs=runs, seed=seed, strategy=strategy, order=order, jitter_ns=jitter_ns)
        return explore_space(MainRunner(cast(Main, target)), space, case=_name(cast(Main, target)))
    space = space_of(scenario, runs=runs, seed=seed, strategy=strategy, order=order, jitter_ns=jitter_ns)
    runner = ScenarioRunner(scenario, heal_ns=scenario.explore.heal_ns)
    return explore_space(runner, space, case=scenario.name, scenario=scenario)


def explore_space(runner: Runner, space: Space, *, case: str, scenario: Scenario | None = None) -> Explored:
    """Run what is in a space, at most as often as it says; ``case`` is what its failures are filed under."""
    with MACHINE.held():
        walk, coverage, found = Walk(runner, space), Coverage(), tuple[Failure, ...]()
        for number, outcome in enumerate(islice(walk.outcomes(), space.runs or None)):
            coverage |= coverage_of(outcome)
            if outcome.broken:
                found = tell_apart((*found, *failures_of(case, outcome, number)))
        shrunk = [smallest(runner, failure) for failure in found]
    return Explored(
        runs=coverage.runs,
        failures=tell_apart(failure for failure, _ in shrunk),
        exhausted=walk.is_exhausted,
        statement=walk.statement,
        missing=missing(space, coverage, scenario),
        unsteady=tuple(failure for failure, replays in shrunk if not replays),
    )


class Walk:
    """A walk through a space: the default run, the attempts, and what comes behind single deviations and faults."""

    __slots__ = ("_behind", "_extent", "_runner", "_space")

    def __init__(self, runner: Runner, space: Space) -> None:
        self._runner = runner
        self._space = space
        # Where plans with one deviation or fault more come from; each in turn, so that no part of a run is the last.
        self._behind: deque[Iterator[Attempt]] = deque()
        self._extent = Extent(space, Outcome(plan=space.plan()))

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what came of each run, the default run's first; in a space without an end, for ever."""
        first = self._runner.run(self._space.default)
        self._extent = Extent(self._space, first)
        yield first
        ahead = attempts(self._space, first)
        for is_behinds in cycle(_TURNS):
            further = self._further() if is_behinds and not self._extent.left else None
            attempt = further or next(ahead, None) or self._further()
            if attempt is None:
                return
            yield self._ran(attempt)

    def _ran(self, attempt: Attempt) -> Outcome:
        outcome = self._runner.run(attempt)
        self._extent.note(attempt)
        if attempt.plan.strikes:
            self._behind.append(pairs_of(self._space, attempt, outcome))
        elif attempt.strategy == "fifo" and attempt.plan.seed == self._space.seed:
            self._behind.append(children(attempt, outcome, self._space.depth))
        return outcome

    def _further(self) -> Attempt | None:
        while self._behind:
            siblings = self._behind.popleft()
            attempt = next(siblings, None)
            if attempt is not None:
                self._behind.append(siblings)
                return attempt
        return None

    @property
    def is_exhausted(self) -> bool:
        """Say whether every plan of the space up to its depth was run, with every fault that is asked for."""
        if not self._extent.is_covered:
            return False
        attempt = self._further()
        if attempt is not None:
            self._behind.appendleft(iter([attempt]))
        return attempt is None

    @property
    def statement(self) -> str:
        """Say in words what was exhausted, or how far that is."""
        return self._extent.statement(exhausted=self.is_exhausted)


# -- what is asked for ------------------------------------------------------------------------------------------------
def _check(runs: int, order: str, jitter: float) -> None:
    if not isinstance(runs, int) or runs < 1:
        raise UsageError(f"runs is {runs!r}, expected a whole number of 1 or more")
    if order not in ORDERS:
        raise UsageError(f"order is {order!r}, expected 'timing' or 'any'")
    if not jitter >= 0:
        raise UsageError(f"jitter is {jitter!r}, expected seconds of 0 or more")


def _scenario(target: Scenario | str | PathLike[str]) -> Scenario:
    if isinstance(target, Scenario):
        return target
    if not isinstance(target, str | PathLike):
        raise UsageError(f"target is {target!r}, expected a scenario, a path or a coroutine function")
    rows = load(fspath(target))
    if len(rows) > 1:
        raise UsageError(
            f"{rows[0].file} has {len(rows)} rows - give one of them, such as simkit.load({fspath(target)!r})[0]"
        )
    return rows[0]


def _name(main: Main) -> str:
    return f"{getattr(main, '__module__', '')}:{getattr(main, '__qualname__', type(main).__name__)}"

"""``@simkit.simulated``: an ``async def`` test becomes a plain one that runs in a world, once or under many plans.

The idea: what the test runner sees is a function, so fixtures, parametrize and classes are its own, and no plugin for
asyncio has anything to do here; what it raises is the test's own error, with the plan under which it does. The
constraint: further plans are tried where the default run passes, and the error that is shown comes from running the
smallest failing plan once more. A fixture that swaps the event loop of another plugin was refused: the world has to be
there before the first callback, and each run needs a new one.

The fixtures of a test are made once, outside the world, for all of its runs: what they hold passes from run to run.
"""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from traceback import walk_tb
from typing import Any, Final, ParamSpec, overload

from simkit.errors import RunEndedError, SimkitError, UsageError
from simkit.explore.attempts import Space
from simkit.explore.failures import Failure, same_in
from simkit.explore.outcome import Attempt
from simkit.explore.running import MainRunner
from simkit.explore.search import explore_space
from simkit.explore.store import Stored
from simkit.kernel.machine import MACHINE
from simkit.kernel.world import World
from simkit.model.duration import NS_PER_S
from simkit.model.plan import ORDERS, Plan
from simkit.model.trace import Trace
from simkit.reporters.plans import in_words
from simkit.run import as_plan
from simkit.testing.items import Budget
from simkit.testing.playing import PlayWorld

P = ParamSpec("P")


class UnsteadyError(SimkitError, AssertionError):
    """A test failed under a plan and did not fail when it was run under it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Who runs the test at the moment: what the test is called there, and what the suite allows it.

    ``again`` is how it is run once more under a plan. What is in ``skips`` is raised to leave a test out.
    """

    case: str = ""
    budget: Budget = field(default_factory=Budget)
    again: Callable[[Plan], str] = lambda plan: f'@simkit.simulated(plan="{plan.text()}")'
    skips: tuple[type[BaseException], ...] = (unittest.SkipTest,)


ALONE: Final = Suite()
# Set around each test by whoever runs it; a test that is simply called has nobody around it.
SUITE: Final = ContextVar("simkit.suite", default=ALONE)


@overload
def simulated(test: Callable[P, object], /) -> Callable[P, object]: ...


@overload
def simulated(
    *,
    seed: int = 0,
    strategy: str | None = None,
    runs: int = 1,
    order: str = "timing",
    jitter: float = 0.0,
    plan: Plan | str | None = None,
) -> Callable[[Callable[P, object]], Callable[P, object]]: ...


def simulated(
    test: Callable[..., object] | None = None,
    /,
    *,
    seed: int = 0,
    strategy: str | None = None,
    runs: int = 1,
    order: str = "timing",
    jitter: float = 0.0,
    plan: Plan | str | None = None,
) -> Any:
    """Run a test function, ``async def`` or one that may block, in a simulated world.

    ``runs`` is under how many plans, the default one included; with a ``plan`` it is run under that one only.
    ``strategy`` is who makes the choices: of a single run ``fifo`` unless one is named, of many ``mix``. ``seed``,
    ``order`` and ``jitter`` (seconds) are those of ``World``. Raises ``UsageError`` for what cannot be.
    """
    given = None if plan is None else as_plan(plan)
    way = _Way(seed=seed, strategy=strategy, runs=runs, order=order, jitter=jitter, plan=given)
    return way.around if test is None else way.around(test)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a test is run."""

    seed: int
    strategy: str | None
    runs: int
    order: str
    jitter: float
    plan: Plan | None

    def __post_init__(self) -> None:
        if not isinstance(self.runs, int) or isinstance(self.runs, bool) or self.runs < 1:
            raise UsageError(f"runs is {self.runs!r}, expected a whole number of 1 or more")
        if self.order not in ORDERS:
            raise UsageError(f"order is {self.order!r}, expected 'timing' or 'any'")
        if not self.jitter >= 0:
            raise UsageError(f"jitter is {self.jitter!r}, expected seconds of 0 or more")
        if self.runs > 1:
            self.space(self.runs)
        else:
            self.world()

    def around(self, test: Callable[P, object]) -> Callable[P, object]:
        """Return the plain function that runs a test."""
        _check(test)

        @functools.wraps(test)
        def simulated_test(*args: P.args, **kwargs: P.kwargs) -> object:
            __tracebackhide__ = True
            return _Test(self, functools.partial(test, *args, **kwargs), SUITE.get()).run()

        return simulated_test

    def world(self, plan: Plan | None = None) -> World:
        """Return the world of a single run."""
        return World(self.seed, self.strategy or "fifo", plan, order=self.order, jitter=self.jitter)

    def space(self, runs: int) -> Space:
        """Return what varies in many runs."""
        return Space(
            seed=self.seed,
            strategy=self.strategy or "mix",
            runs=runs,
            order=self.order,
            jitter_ns=round(self.jitter * NS_PER_S),
        )


def _check(test: object) -> None:
    if inspect.isgeneratorfunction(test) or inspect.isasyncgenfunction(test):
        raise UsageError(f"{test.__qualname__} has a yield in it, expected a test that returns")
    if not inspect.isfunction(test):
        raise UsageError(f"simulated is for test functions, got {test!r} - write @simkit.simulated above each of them")


class _Test:
    """One call of a test."""

    __slots__ = ("_bench", "_main", "_suite", "_way")

    def __init__(self, way: _Way, main: functools.partial[Any], suite: Suite) -> None:
        self._way = way
        self._main = main
        self._suite = suite
        given = (*main.args, *main.keywords.values())
        # What the fixture gave has to follow the world of each run.
        self._bench = next((one for one in given if isinstance(one, PlayWorld)), None) or PlayWorld()

    def run(self) -> object:
        """Run the test under each plan that it is to be run under, and return what the default run returns."""
        __tracebackhide__ = True
        budget, runs = self._suite.budget, self._way.runs
        plan = self._way.plan if budget.plan is None else as_plan(budget.plan)
        if runs > 1 and budget.runs is not None:
            runs = budget.runs + 1
        if plan is not None or runs == 1:
            return self._once(self._way.world(plan))
        with MACHINE.held():
            self._try_known()
            result = self._once(World(plan=self._way.space(runs).plan()))
            self._try_more(runs)
            return result

    def _once(self, world: World, *told: str) -> object:
        """Run the test in one world; an error under a plan that is not the default one says so."""
        __tracebackhide__ = True
        try:
            return self._bench.run_in(world, self._main)
        except self._suite.skips:
            raise
        except BaseException as error:
            if isinstance(error, RunEndedError) and not self._is_in(error):
                # Nothing of the test was running when it was over: how the world found out is no help to anybody.
                error.with_traceback(None)
            if world.taken != Plan():
                error.add_note("\n".join([*self._plan_told(world.taken, world.trace), *told]))
            raise

    def _is_in(self, error: BaseException) -> bool:
        """Say whether the test's own code was running when this was raised."""
        code = inspect.unwrap(self._main.func).__code__
        return any(frame.f_code is code for frame, _ in walk_tb(error.__traceback__))

    def _try_known(self) -> None:
        """Run what is known to fail, and fail with the first that is still there."""
        __tracebackhide__ = True
        runner = self._runner
        for stored in self._suite.budget.store.known(self._case) if self._suite.budget.store else ():
            failure = stored.failure
            outcome = runner.run(Attempt(number=0, plan=failure.plan))
            if same_in(failure.broken, outcome) is not None and outcome.plan == failure.plan:
                self._fail(failure, f"  it was found before ({failure.id}), and was run first")

    def _try_more(self, runs: int) -> None:
        """Run the test under further plans, and fail with what is found."""
        __tracebackhide__ = True
        explored = explore_space(self._runner, self._way.space(runs), case=self._case)
        if not explored.failures:
            return
        if store := self._suite.budget.store:
            for failure in explored.failures:
                store.save(Stored(failure=failure))
        first, *others = sorted(explored.failures, key=explored.unsteady.__contains__)
        found = f"  the default run passes, and {first.count} of {explored.runs - 1} further plans fail like this"
        also = [f"  and under {other.plan.text()}: {other.broken.text}" for other in others]
        self._fail(first, found, *also)

    def _fail(self, failure: Failure, *told: str) -> None:
        """Run the plan of a failure once more, for its error."""
        __tracebackhide__ = True
        self._once(World(plan=failure.plan), *told)
        text = failure.broken.text
        raise UnsteadyError(
            f"under the plan {failure.plan.text()} the test failed ({text}), but not when it was run again: something "
            "outside the world has a hand in it, such as a fixture that all runs share"
        )

    @property
    def _runner(self) -> MainRunner:
        def through(world: World, main: Callable[[], Any]) -> object:
            try:
                return self._bench.run_in(world, main)
            except self._suite.skips:
                # Left out under this plan: that is for the test to decide.
                return None

        return MainRunner(self._main, through)

    @property
    def _case(self) -> str:
        test = self._main.func
        return self._suite.case or f"{test.__module__}:{test.__qualname__}"

    def _plan_told(self, plan: Plan, trace: Trace) -> Iterator[str]:
        yield f"simkit: under the plan {plan.text()}"
        yield from (f"  {line}" for line in in_words(plan, trace).splitlines())
        yield f"  run it again: {self._suite.again(plan)}"

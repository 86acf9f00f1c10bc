"""Exploring: how many runs it takes to find a known bug, and how many plans a second a correct program is run under.

The idea: the programs are those by which schedule explorers are compared, and the rate stands beside stock asyncio on
the same program, since that is what a user would otherwise run it with. The constraint: a plan is counted as a search
pays for it, with its outcome and all of its choices, and without the laws, which a function does not have. Counting
runs of a world alone was refused: nobody explores without keeping what was chosen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from itertools import count
from typing import Any, Final

from simkit.explore.attempts import Space, attempts
from simkit.explore.outcome import Attempt
from simkit.explore.running import MainRunner
from simkit.explore.search import explore
from tests.explore.programs import locked_updates, lost_update, starved

Main = Callable[[], Coroutine[Any, Any, None]]

# The name of the bug, the program that has it, and after how many runs it has to be found: twice the best peer's.
BUGS: Final[tuple[tuple[str, Main, str], ...]] = (
    ("an update that is lost", lost_update, "3"),
    ("a task that starves", starved, "2"),
)
_BUDGET_RUNS: Final = 50
_STRATEGIES: Final = ("fifo", "sequential", "uniform", "pct:2:12", "mix")


def runs_until(main: Main) -> int | None:
    """Return how many runs the mix needs until it finds the bug, the default run included; None where it does not."""
    found = explore(main, runs=_BUDGET_RUNS, order="any").failures
    return min((failure.number for failure in found), default=-1) + 1 or None


def exhausting() -> str:
    """Return what a systematic search says of the correct program."""
    return explore(locked_updates, runs=_BUDGET_RUNS**2, strategy="systematic", order="any").statement


def stock(_: int) -> None:
    """Run the program as its user would."""
    asyncio.run(locked_updates())


def planned() -> Mapping[str, Callable[[int], object]]:
    """Return by strategy what runs the correct program under its next plan."""
    return {name: _under(name) for name in _STRATEGIES}


def _under(strategy: str) -> Callable[[int], object]:
    runner, ways = MainRunner(locked_updates), _ways(strategy)
    return lambda _: runner.run(next(ways))


def _ways(strategy: str) -> Iterator[Attempt]:
    if strategy == "mix":
        space = Space(order="any")
        return attempts(space, MainRunner(locked_updates).run(space.default))
    plain = Space(order="any")
    return (Attempt(number=n, plan=plain.plan(n), strategy=strategy) for n in count(1))

"""Hunts for false alarms: explores the whole corpus with simkit's own agent, which has no faults that are known of.

The idea: whatever fails here is wrong, in the agent, in a law, in how a fault is played, or in a scenario that demands
what only the default run has; so nothing has to be written down but the corpus. The constraint: every case gets its
turn before any gets its second one, so that a hunt of any length has been everywhere, and a failure is told with the
plan that replays it. A random choice of cases was refused: two hunts would not be comparable.

    python -m tests.explore.hunt --minutes 30 [--only background/]

A file of the corpus says itself which law is off, and why; a case that is skipped is not hunted in.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from simkit.explore.attempts import Space, attempts
from simkit.explore.outcome import Broken
from simkit.explore.recut import recut
from simkit.explore.running import ScenarioRunner
from simkit.kernel.machine import MACHINE
from simkit.model.duration import NS_PER_MS, NS_PER_S
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.run import load

FOLDER: Final = Path(__file__).parent.parent.parent / "scenarios"
# What may follow a fault, one behind the other: a running answer that is given up (30 min), three answers in one piece
# that never come (10 min each), a tool with its budget (10 min) and the longest wait for it (9 min), and some retries.
HEAL_NS: Final = 90 * 60 * NS_PER_S
SPACES: Final = (Space(sweep="single"), Space(jitter_ns=5 * NS_PER_MS))
_MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a hunt: what was tried, as a word, and what broke."""

    sort: str
    plan: Plan
    broken: tuple[Broken, ...] = ()


@dataclass(slots=True)
class Tally:
    """What a hunt has come to: runs by their sort, and the failures, each of a kind once."""

    runs: Counter[str] = field(default_factory=Counter)
    alarms: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, case: Scenario, run: Run) -> Iterator[str]:
        """Count a run, and yield a line for everything in it that was not seen before."""
        self.runs[run.sort] += 1
        for broken in run.broken:
            self.alarms[case.name, broken.key] += 1
            if self.alarms[case.name, broken.key] == 1:
                yield f"{case.name} {run.sort} {run.plan.text()}\n    {broken.law}: {broken.text}"


def cases(only: str = "") -> list[Scenario]:
    """Return the corpus, or that of it whose path holds some text."""
    files = [path for path in sorted(FOLDER.rglob("*.sim.yaml")) if only in path.relative_to(FOLDER).as_posix()]
    return [case for path in files for case in load(path) if not case.skip]


def runs_of(case: Scenario) -> Iterator[Run]:
    """Run a case in every cut, and then under plan after plan, without end where it has choices to make."""
    runner = ScenarioRunner(case, heal_ns=HEAL_NS)
    lanes = deque([_cut(case), *(_explored(runner, space) for space in SPACES)])
    while lanes:
        run = next(lanes[0], None)
        if run is None:
            lanes.popleft()
        else:
            yield run
            lanes.rotate(-1)


def first_runs(case: Scenario, count: int) -> list[Run]:
    """Return the first runs of a case."""
    with MACHINE.held():
        return list(islice(runs_of(case), count))


def _cut(case: Scenario) -> Iterator[Run]:
    return (Run(f"cut as {other.cut}", Plan(), broken) for other, broken in recut(case))


def _explored(runner: ScenarioRunner, space: Space) -> Iterator[Run]:
    first = runner.run(space.default)
    yield Run("default", first.plan, first.broken)
    for attempt in attempts(space, first):
        outcome = runner.run(attempt)
        sort = "fault" if outcome.plan.strikes else attempt.strategy.partition(":")[0]
        jitter = " with jitter" if space.jitter_ns else ""
        yield Run(f"{sort}{jitter}", outcome.plan, outcome.broken)


def hunt(minutes: float, only: str = "") -> Tally:
    """Give every case its turn, again and again, until the time is over; print what fails."""
    until, tally = time.monotonic() + minutes * _MINUTE_S, Tally()
    with MACHINE.held():
        hunts = [(case, runs_of(case)) for case in cases(only)]
        while hunts and time.monotonic() < until:
            hunts = [one for one in hunts if time.monotonic() >= until or _turn(tally, *one)]
    return tally


def _turn(tally: Tally, case: Scenario, runs: Iterator[Run]) -> bool:
    run = next(runs, None)
    for line in () if run is None else tally.add(case, run):
        print(line, flush=True)
    return run is not None


def main() -> int:
    """Hunt, and say what was found; the exit code is 1 where anything was."""
    parser = argparse.ArgumentParser(prog="python -m tests.explore.hunt", description="Hunt for false alarms.")
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--only", default="", help="only files whose path under scenarios/ holds this text")
    asked = parser.parse_args()
    if not cases(asked.only):
        parser.error(f"--only is {asked.only!r}, expected a part of the path of some file under scenarios/")
    tally = hunt(asked.minutes, asked.only)
    ran = ", ".join(f"{count} {sort}" for sort, count in sorted(tally.runs.items()))
    print(f"{tally.runs.total()} runs ({ran}): {len(tally.alarms)} failures, met {tally.alarms.total()} times")
    return int(bool(tally.alarms))


if __name__ == "__main__":
    sys.exit(main())

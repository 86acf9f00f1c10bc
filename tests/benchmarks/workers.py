"""``python -m tests.benchmarks.workers``: what a plan costs with one worker and with two, and what a campaign adds.

The idea: processor time is taken inside the worker around the very runs, so what waits for a processor costs nothing,
and the same units are done by one worker and by two in turn, so that whatever else the machine does meets both. The
constraint: a figure is the median over the pairs, with its range beside it, and what the machine itself takes for a
second busy processor (caches, a core shared by two) is measured by plain Python and stands above the others. Wall time
was refused as the figure: on a machine with other work it says how busy that is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from statistics import median
from typing import Any, Final

from simkit.explore.attempts import Space, attempts
from simkit.explore.outcome import Outcome
from simkit.explore.units import Case, Unit, run_first, run_unit
from simkit.explore.workers import Task, Workers, here, processes
from simkit.language.reader import loads
from tests.benchmarks import scenario
from tests.explore.cases import text_of
from tests.language.laws import LAWS

_PAIRS: Final = 9
_UNITS: Final = 6
_ATTEMPTS: Final = {"without an SDK": 64, "through the openai SDK": 16}

Cost = tuple[int, float]


def measured(unit: Unit) -> Cost:
    """Run a unit; return how many runs that were, and the processor time that they took."""
    started = time.process_time()
    done = run_unit(unit)
    return done.coverage.runs, time.process_time() - started


def plain(size: int) -> Cost:
    """Do some work that has nothing to do with simkit: the same measure of it."""
    started = time.process_time()
    for number in range(size):
        sorted(json.dumps({"number": number, "text": [str(n) for n in range(1000)]}))
    return size, time.process_time() - started


def cases() -> dict[str, Case]:
    (small,) = loads(text_of("racing"), "small.sim.yaml", laws=LAWS)
    sdk = Case(scenario=scenario.scenario(), space=Space(), subject="tests.benchmarks.scenario:agent")
    return dict(zip(_ATTEMPTS, (Case(scenario=small, space=Space()), sdk), strict=True))


def units_of(case: Case, first: Outcome, size: int) -> list[Unit]:
    """Return units of the same attempts, so that each of them costs the same."""
    tried = tuple(islice(attempts(case.space, first), size))
    return [Unit(case=case, number=1, size=size, attempts=tried) for _ in range(_UNITS)]


def done_by(workers: Workers, function: Callable[[Any], Cost], arguments: Sequence[object]) -> list[Cost]:
    """Return what each piece of work cost."""
    costs: list[Cost] = []
    waiting = [Task(function=function, argument=a, name="work", then=costs.append, otherwise=print) for a in arguments]
    while waiting or workers.is_busy:
        while waiting and workers.is_free:
            workers.start(waiting.pop())
        workers.finish(1.0)
    return costs


def per_run(costs: list[Cost]) -> float:
    """Return the processor time of a run in the median unit."""
    return median(seconds / runs for runs, seconds in costs)


def row(what: str, values: list[float], form: Callable[[float], str], budget: str = "") -> None:
    """Print one line of the table."""
    figure = f"{form(median(values))} ({form(min(values))} to {form(max(values))})"
    print(f"{what:<66} {figure:>34}   {budget}", flush=True)


def compare(name: str, ways: Mapping[str, Workers], function: Callable[[Any], Cost], work: Sequence[object]) -> None:
    """Print what a piece of work costs with one worker, with two, and in this process."""
    for workers in ways.values():
        done_by(workers, function, work)
    found = [{way: per_run(done_by(workers, function, work)) for way, workers in ways.items()} for _ in range(_PAIRS)]
    row(f"{name}: processor time, one worker", [pair["one"] for pair in found], _milliseconds)
    row(f"{name}: processor time, two workers", [pair["two"] for pair in found], _milliseconds)
    row(f"{name}: two workers / one", [pair["two"] / pair["one"] for pair in found], "{:.3f}".format, "1.1")
    row(f"{name}: one worker / this process", [pair["one"] / pair["here"] for pair in found], "{:.3f}".format)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def readiness() -> None:
    """Print how long it takes until a worker has answered, for the first one and for those behind it."""

    def ready() -> float:
        started = time.perf_counter()
        with processes(1, ["openai"]) as workers:
            came: list[Any] = []
            workers.start(Task(function=abs, argument=1, name="ready", then=came.append, otherwise=print))
            while not came:
                workers.finish(1.0)
            return time.perf_counter() - started

    seconds = [ready() for _ in range(_PAIRS + 1)]
    row("seconds until the first worker is ready", seconds[:1], "{:.2f}".format)
    row("seconds until a further one is ready", seconds[1:], "{:.3f}".format)


def main() -> None:
    """Print the table."""
    print(f"{'what':<66} {'median (range)':>34}   budget")
    readiness()
    with processes(1, ["openai"]) as one, processes(2, ["openai"]) as two, here() as inline:
        ways = {"one": one, "two": two, "here": inline}
        compare("plain Python", ways, plain, [60] * _UNITS)
        for name, case in cases().items():
            compare(f"a run {name}", ways, measured, units_of(case, run_first(case), _ATTEMPTS[name]))


if __name__ == "__main__":
    main()

"""``python -m tests.benchmarks``: what simulation costs, beside stock asyncio in the same process.

The idea: a ratio of two measurements of one run says more than either, since machines differ and are busy; rates are
printed too, for the budgets that are rates. The constraint: everything is the best of several repetitions, and no
test of the suite looks at a clock. An assertion on a figure was refused: it fails on the day the machine is busy, and
then nobody believes it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import resource
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any, Final

import aiohttp  # noqa: F401  # only here to fill the heap, as an agent's process does
import openai  # noqa: F401  # as above
import pytest  # noqa: F401  # as above

from simkit.kernel.machine import MACHINE
from simkit.kernel.world import World
from simkit.model.plan import Plan
from simkit.model.timeline import Step
from simkit.run import run_once
from tests.benchmarks import explorers, scenario, streams, work

# Processor time: other work on the machine does not count, and no world replaces it.
_clock: Final = time.process_time
_REPEATS: Final = 5
_RUNS: Final = 300
_EVENTS: Final = 1_000_000
_STEPS_MAX: Final = 10 * _EVENTS
_STREAM_MB: Final = 5

Main = Callable[[], Coroutine[Any, Any, object]]


def best(function: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Return the seconds of the fastest of several calls."""
    seconds = []
    for _ in range(repeats):
        gc.collect()
        started = _clock()
        function()
        seconds.append(_clock() - started)
    return min(seconds)


def row(what: str, figure: str, budget: str) -> None:
    """Print one line of the table."""
    print(f"{what:<66} {figure:>24}   {budget}", flush=True)


# -- against stock asyncio --------------------------------------------------------------------------------------------
def in_world(main: Main) -> Callable[[], object]:
    return lambda: World().run(main)


def compare(what: str, stock: Main, simulated: Main, budget: str) -> None:
    base, ours = best(lambda: asyncio.run(stock())), best(in_world(simulated))
    row(what, f"{ours / base:.2f} x ({ours:.3f} s)", budget)


def sleeping() -> None:
    compare("10,000 sleeps, one task / sleep(0)", work.one_task_without_time, work.one_task, "2.0 x")
    compare("1,000 tasks x 100 sleeps / sleep(0)", work.many_tasks_without_time, work.many_tasks, "4 x")
    compare("1,000 tasks x 100 sleep(0) / the same", work.many_tasks_without_time, work.many_tasks_without_time, "")


# -- rates ------------------------------------------------------------------------------------------------------------
def rate(what: str, one: Callable[[int], object], budget: str) -> None:
    def many() -> None:
        for number in range(_RUNS):
            one(number)

    row(what, f"{_RUNS / best(many):,.0f} a second", budget)


def stock_run(_: int) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work.trivial())
    loop.close()


def empty_runs() -> None:
    reused = World()
    rate("empty run, stock asyncio (new loop)", stock_run, "")
    rate("empty run, machine not held, new world", lambda _: World().run(work.trivial), "")
    with MACHINE.held():
        rate("empty run, machine held, new world", lambda _: World().run(work.trivial), "20,000")
        rate("empty run, machine held, world reused", lambda _: reused.run(work.trivial), "")


def explore(seed: int, order: str) -> None:
    World(seed, "uniform", order=order).run(work.three_tasks)


def plans() -> None:
    def stock(_: int) -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(work.three_tasks())
        loop.close()

    rate("3-task program, stock asyncio, new loop", stock, "")
    rate("3-task program, stock asyncio.run", explorers.stock, "")
    with MACHINE.held():
        rate("3-task program, runs of a world a second, order=timing", functools.partial(explore, order="timing"), "")
        rate("3-task program, runs of a world a second, order=any", functools.partial(explore, order="any"), "")
        for name, one in explorers.planned().items():
            rate(f"3-task program, plans a second, {name}", one, "12,000")


def bugs() -> None:
    for name, main, budget in explorers.BUGS:
        row(f"{name}: runs of the mix until it is found", str(explorers.runs_until(main)), f"at most {budget}")
    row("correct program, 2 deviations", "", explorers.exhausting())


# -- the whole way ----------------------------------------------------------------------------------------------------
def one_scenario() -> None:
    case = scenario.scenario()
    with MACHINE.held():
        result = run_once(case, Plan(), subject=scenario.agent)
        assert not result.findings, result.findings
        seconds = best(lambda: run_once(case, Plan(), subject=scenario.agent), 20)
    row("openai SDK, 3 requests, 2 of them timing out, with laws", f"{seconds * 1000:.1f} ms", "10 ms")


# -- long runs and many runs ------------------------------------------------------------------------------------------
def million() -> None:
    """Sleep a million times; print what an event costs in each tenth, and how the process has grown."""
    marks: list[float] = []

    async def main() -> None:
        for number in range(_EVENTS + 1):
            if number % (_EVENTS // 10) == 0:
                marks.append(_clock())
            await asyncio.sleep(1)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    world = World(steps_max=_STEPS_MAX, horizon_ns=2 * _EVENTS * 10**9)
    world.run(main)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    tenths = [(b - a) / _EVENTS * 10 * 1e6 for a, b in itertools.pairwise(marks)]
    row("a million sleeps: us an event, first and last tenth", f"{tenths[0]:.2f} and {tenths[-1]:.2f}", "flat")
    row("a million sleeps: growth of the process", f"{grown_mb:.1f} MB", "under 100 MB")


def many_runs() -> None:
    """Run a thousand times; print how the heap has grown."""
    case = scenario.scenario()
    programs: dict[str, Callable[[int], object]] = {
        "3-task program": lambda seed: explore(seed, "any"),
        "scenario through the SDK": lambda _: run_once(case, Plan(), subject=scenario.agent),
    }
    with MACHINE.held():
        for name, one in programs.items():
            for number in range(20):
                one(number)
            gc.collect()
            tracemalloc.start()
            one(0)
            first = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            before, objects = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(gc.get_objects())
            for number in range(1_000):
                one(number)
            left = len(gc.get_objects()) - objects
            grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            row(f"1,000 runs, {name}: growth", f"{grown_mb:.1f} MB, {left:+,} objects", f"flat (a run: {first:,} B)")


# -- long streams -----------------------------------------------------------------------------------------------------
def long_streams() -> None:
    """Compare a stream of 5 MB on its way through a world with h11 alone, and with what the SDK needs by itself."""
    count = streams.frames_of(_STREAM_MB)
    scripts = {"one frame repeated": streams.repeated(count), f"{count:,} frames": streams.different(count)}
    with MACHINE.held():
        for what, steps in scripts.items():
            bodies = streams.frames(steps)
            bare = best(functools.partial(streams.bare_h11, bodies))
            written = best(functools.partial(streams.frames, steps))
            socket = best(functools.partial(streams.to_a_socket, steps))
            sdk = best(functools.partial(streams.to_the_sdk, steps), 1)
            alone = best(functools.partial(streams.sdk_without_network, bodies), 1)
            row(f"{_STREAM_MB} MB, {what}: bare h11", f"{_STREAM_MB / bare:.1f} MB/s", "")
            row(f"{_STREAM_MB} MB, {what}: to a socket / bare h11", f"{bare / socket:.2f} of its rate", "0.5")
            row(f"{_STREAM_MB} MB, {what}: the same / h11 and writing", f"{(bare + written) / socket:.2f}", "")
            row(f"{_STREAM_MB} MB, {what}: to the openai SDK / bare h11", f"{bare / sdk:.2f}", "")
            row(f"{_STREAM_MB} MB, {what}: to the openai SDK / the SDK alone", f"{alone / sdk:.2f}", "")
        for what, make in {"one frame repeated": streams.repeated, "different frames": streams.different}.items():
            peaks = [_peak_mb(make(streams.frames_of(size))) for size in (_STREAM_MB, 4 * _STREAM_MB)]
            figure = f"{peaks[0]:.1f} and {peaks[1]:.1f} MB"
            row(f"{_STREAM_MB} and {4 * _STREAM_MB} MB, {what}: peak of the heap", figure, "flat")


def _peak_mb(steps: tuple[Step, ...]) -> float:
    """Return the peak of what a run allocates, beyond its script."""
    gc.collect()
    tracemalloc.start()
    streams.to_a_socket(steps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / streams.MB


def main() -> None:
    """Print the table."""
    print(f"{'what':<66} {'figure':>24}   budget")
    for part in (sleeping, empty_runs, plans, bugs, one_scenario, long_streams, million, many_runs):
        part()


if __name__ == "__main__":
    main()

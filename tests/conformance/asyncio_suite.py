"""CPython's own asyncio tests, each inside a world of its own.

The idea: the loop is judged by tests that nobody here wrote. Every test method of ``test.test_asyncio`` runs as
the main function of a world, so its loops, sockets, threads and clocks are all simulated, and what stock
asyncio passes, the simulated one must pass, at plan 0 and under seeds. The constraint: a test that is left out
is named in ``left_out.txt`` with its reason, and a listed test that would pass is an error too, so the list can
only shrink.

    python -m tests.conformance.asyncio_suite [--seeds N] [--first SEED] [--module NAME ...] [--verbose]
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import importlib
import signal
import sys
import tempfile
import traceback
import unittest
import warnings
from collections.abc import Iterator
from pathlib import Path

from asyncio.unix_events import SafeChildWatcher  # by its own name: the front door's is deprecated from 3.12 on

from simkit.errors import RunEndedError
from simkit.kernel.loop import SimEventLoop
from simkit.kernel.machine import MACHINE
from simkit.kernel.world import World

# Every module of the suite that does not need a real descriptor; one that a release lacks is skipped by name.
MODULES = (
    "test_base_events",
    "test_buffered_proto",
    "test_context",
    "test_eager_task_factory",
    "test_futures",
    "test_futures2",
    "test_locks",
    "test_pep492",
    "test_protocols",
    "test_queues",
    "test_runners",
    "test_selector_events",
    "test_server",
    "test_sock_lowlevel",
    "test_sslproto",
    "test_staggered",
    "test_streams",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_transports",
    "test_waitfor",
)


# Real seconds that one test may take; the longest of the suite takes two.
CAP_S = 20.0


class TooLongError(KeyboardInterrupt):
    """A test did not end in real time. The only kind of exception that asyncio lets through everywhere."""


def left_out() -> list[tuple[str, str]]:
    """Return the patterns of tests that are left out, each with its reason."""
    lines = (Path(__file__).parent / "left_out.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("  ", 1) for line in lines if line.strip() and not line.startswith("#")]
    return [(pattern.strip(), reason.strip()) for pattern, reason in pairs]


_attach_loop = SafeChildWatcher.attach_loop


def attach_loop(self: object, loop: object) -> None:
    """Attach to no simulated loop: the set-up of tests without child processes does it, and needs a signal for it."""
    if not isinstance(loop, SimEventLoop):
        _attach_loop(self, loop)


def cases(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from cases(each)
        else:
            yield each


def run_case(case: unittest.TestCase, seed: int, strategy: str) -> unittest.TestResult:
    """Run one test method in a world and return what unittest says of it."""
    result = unittest.TestResult()
    world = World(seed=seed, strategy=strategy)
    # Again and again: teardown may hang too, or the test swallow the first one.
    signal.setitimer(signal.ITIMER_REAL, CAP_S, 1.0)
    try:
        # As a suite of one, for the fixtures of its class and module.
        world.run(lambda: unittest.TestSuite([case]).run(result))
    except (RunEndedError, KeyboardInterrupt) as end:
        result.errors.append((case, "".join(traceback.format_exception(end))))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return result


def too_long(*_: object) -> None:
    raise TooLongError(f"not over after {CAP_S} s of real time")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=0, help="run under this many uniform seeds beside plan 0")
    parser.add_argument("--first", type=int, default=1, help="the first of the seeds")
    parser.add_argument("--module", action="append", help="only this module")
    parser.add_argument("--match", default="*", help="only tests whose id matches")
    parser.add_argument("--verbose", action="store_true", help="print every failure in full")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, too_long)
    SafeChildWatcher.attach_loop = attach_loop
    warnings.simplefilter("ignore")
    excluded = left_out()
    plans = [(0, "fifo"), *((seed, "uniform") for seed in range(options.first, options.first + options.seeds))]
    ran = failed = skipped = out = 0
    # The tests leave files where they stand.
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place), MACHINE.held():
        for name in options.module or MODULES:
            try:
                module = importlib.import_module(f"test.test_asyncio.{name}")
            except ModuleNotFoundError:
                print(f"{name}: not in this Python")
                continue
            for case in cases(unittest.defaultTestLoader.loadTestsFromModule(module)):
                label = case.id().removeprefix("test.test_asyncio.")
                if not fnmatch.fnmatch(label, options.match):
                    continue
                if any(fnmatch.fnmatch(label, pattern) for pattern, _ in excluded):
                    out += 1
                    continue
                for seed, strategy in plans:
                    result = run_case(type(case)(case._testMethodName), seed, strategy)
                    ran += 1
                    skipped += len(result.skipped)
                    for _, text in [*result.errors, *result.failures]:
                        failed += 1
                        last = text.strip().splitlines()[-1][:150]
                        print(f"FAILED {label} seed={seed} {strategy}: {text if options.verbose else last}", flush=True)
                        break
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}: {ran} runs, {skipped} skipped by the suite itself, {out} tests left out")
    print(f"{ran - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""CPython's own asyncio tests, each inside a world of its own.

The idea: the loop is judged by tests that nobody here wrote. Every test method of ``test.test_asyncio`` runs as
the main function of a world, so its loops, sockets, threads and clocks are all simulated, and what stock
asyncio passes, the simulated one must pass, at plan 0 and under seeds. The constraint: a test that is left out
is named in ``left_out.txt`` with its reason, and ``--check-left-out`` fails when a listed one would pass, so the
list can only shrink. Running the files under pytest was refused: each needs a world, and a release its own list.

    python -m tests.conformance.asyncio_suite [--everywhere] [--seeds N] [--module NAME ...] [--check-left-out]
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import gc
import importlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
import unittest
import warnings
from asyncio import unix_events
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simkit.errors import RunEndedError
from simkit.kernel.loop import SimEventLoop
from simkit.kernel.machine import MACHINE
from simkit.kernel.world import World

# All of test.test_asyncio but test_subprocess (child processes) and two modules for Windows; one that a release lacks
# is named as such.
MODULES = (
    "test_base_events",
    "test_buffered_proto",
    "test_context",
    "test_eager_task_factory",
    "test_events",
    "test_futures",
    "test_futures2",
    "test_locks",
    "test_pep492",
    "test_proactor_events",
    "test_protocols",
    "test_queues",
    "test_runners",
    "test_selector_events",
    "test_sendfile",
    "test_server",
    "test_sock_lowlevel",
    "test_ssl",
    "test_sslproto",
    "test_staggered",
    "test_streams",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_transports",
    "test_unix_events",
    "test_waitfor",
)
# How late timers and bytes may be under a seed, in virtual seconds: no more than on any real machine.
LATE_S = 0.0001
# Real seconds that one test may take; the longest takes three, on a machine with nothing else to do.
CAP_S = 60.0
# For a test that is left out: some spin for ever.
CHECK_CAP_S = 5.0
# Real seconds of a test after which its garbage is collected at once.
COLLECT_S = 1.0


class TooLongError(KeyboardInterrupt):
    """A test did not end in real time. Of all kinds of exception, asyncio lets this one through everywhere."""


@dataclass
class Tally:
    """What came out, over all runs."""

    runs: int = 0
    skipped: int = 0
    left_out: int = 0
    failed: list[str] = field(default_factory=list)


def left_out() -> list[tuple[str, str]]:
    """Return the patterns of tests that are left out, each with its reason; ``3.12:`` before one limits it."""
    lines = (Path(__file__).parent / "left_out.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("  ", 1) for line in lines if line.strip() and not line.startswith("#")]
    release = f"{sys.version_info.major}.{sys.version_info.minor}:"
    named = [(pattern.removeprefix(release), reason.strip()) for pattern, reason in pairs]
    return [(pattern, reason) for pattern, reason in named if ":" not in pattern]


def cases(names: list[str], match: str) -> Iterator[tuple[str, unittest.TestCase]]:
    """Yield every test method of the modules under its short name."""
    for name in names:
        try:
            module = importlib.import_module(f"test.test_asyncio.{name}")
        except ModuleNotFoundError:
            print(f"{name}: not in this Python")
            continue
        for case in flat(unittest.defaultTestLoader.loadTestsFromModule(module)):
            label = case.id().removeprefix("test.test_asyncio.")
            if fnmatch.fnmatch(label, match):
                yield label, case


def flat(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from flat(each)
        else:
            yield each


def run_case(
    case: unittest.TestCase, seed: int, strategy: str, jitter: float = 0.0, cap_s: float = CAP_S
) -> unittest.TestResult:
    """Run one test method in a world and return what unittest says of it."""
    result = unittest.TestResult()
    # As a suite of one, for the fixtures of its class and module.
    suite = unittest.TestSuite([type(case)(case._testMethodName)])
    # Again and again: teardown may hang too, or the test swallow the first one.
    signal.setitimer(signal.ITIMER_REAL, cap_s, 1.0)
    began = time.monotonic()
    try:
        World(seed=seed, strategy=strategy, jitter=jitter).run(lambda: suite.run(result))
    except (RunEndedError, KeyboardInterrupt) as end:
        result.errors.append((case, "".join(traceback.format_exception(end))))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if time.monotonic() - began > COLLECT_S:
        # Some spin on a mock that remembers each of half a million calls.
        gc.collect()
    return result


def too_long(*_: object) -> None:
    raise TooLongError("not over in the real time that it may take")


def watch_no_children() -> None:
    """Attach no child watcher to a simulated loop: tests without child processes do it too, and it needs a signal."""
    # Not by asyncio's front door, which calls it deprecated from 3.12 on; gone in 3.14.
    watcher: Any = vars(unix_events).get("SafeChildWatcher")
    if watcher is not None:
        real = watcher.attach_loop
        watcher.attach_loop = lambda self, loop: None if isinstance(loop, SimEventLoop) else real(self, loop)


def judge(label: str, case: unittest.TestCase, plans: list[tuple[int, str]], tally: Tally, *, verbose: bool) -> None:
    """Run one test under every plan and print its failures."""
    for seed, strategy in plans:
        result = run_case(case, seed, strategy, LATE_S if seed else 0.0)
        tally.runs += 1
        tally.skipped += len(result.skipped)
        texts = [text for _, text in [*result.errors, *result.failures]]
        if texts:
            tally.failed.append(label)
            shown = texts[0] if verbose else texts[0].strip().splitlines()[-1][:150]
            print(f"FAILED {label} seed={seed} {strategy}: {shown}", flush=True)


def check(label: str, case: unittest.TestCase, tally: Tally) -> None:
    """Run a test that is left out, and print it when it passes: then it has no place in the list."""
    result = run_case(case, 0, "fifo", cap_s=CHECK_CAP_S)
    tally.runs += 1
    if result.wasSuccessful() and not result.skipped:
        tally.failed.append(label)
        print(f"PASSES {label}: take it out of left_out.txt", flush=True)


def pythons() -> dict[tuple[int, int], str]:
    """Return every other Python of this machine that simkit supports and that has the suite, by its release."""
    releases = [(3, minor) for minor in range(11, 14) if (3, minor) != sys.version_info[:2]]
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[tuple[int, int], str] = {}
    for major, minor in releases:
        places = [shutil.which(f"python{major}.{minor}"), *sorted(kept.glob(f"{major}.{minor}.*/bin/python"))]
        probe = f"import sys, test.test_asyncio; sys.exit(sys.version_info[:2] != {(major, minor)!r})"
        for place in (str(place) for place in places if place is not None):
            if subprocess.run([place, "-c", probe], capture_output=True, check=False).returncode == 0:
                found[major, minor] = place
                break
    return found


def everywhere(arguments: list[str]) -> int:
    """Run the suite in this Python and in every other one, which borrows the pure packages of this one."""
    borrowed = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    codes = []
    others = [(path, borrowed) for path in pythons().values()]
    for python, environment in [(sys.executable, dict(os.environ)), *others]:
        command = [python, "-m", "tests.conformance.asyncio_suite", *arguments]
        codes.append(subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False).returncode)
    return max(codes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=0, help="run under this many uniform seeds beside plan 0")
    parser.add_argument("--first", type=int, default=1, help="the first of the seeds")
    parser.add_argument("--module", action="append", help="only this module")
    parser.add_argument("--match", default="*", help="only tests whose name matches")
    parser.add_argument("--check-left-out", action="store_true", help="run only what is left out; none of it may pass")
    parser.add_argument("--verbose", action="store_true", help="print every failure in full")
    parser.add_argument("--everywhere", action="store_true", help="in every Python 3.11 to 3.13 of this machine")
    options = parser.parse_args()
    if options.everywhere:
        return everywhere([argument for argument in sys.argv[1:] if argument != "--everywhere"])
    signal.signal(signal.SIGALRM, too_long)
    warnings.simplefilter("ignore")
    watch_no_children()
    excluded, tally = left_out(), Tally()
    # A shell starts background jobs with Ctrl-C ignored, and some of these tests interrupt themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    plans = [(0, "fifo"), *((seed, "uniform") for seed in range(options.first, options.first + options.seeds))]
    # The tests leave files where they stand.
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place), MACHINE.held():
        for label, case in cases(options.module or list(MODULES), options.match):
            listed = any(fnmatch.fnmatch(label, pattern) for pattern, _ in excluded)
            tally.left_out += listed
            if listed and options.check_left_out:
                check(label, case, tally)
            elif not listed and not options.check_left_out:
                judge(label, case, plans, tally, verbose=options.verbose)
    version = ".".join(map(str, sys.version_info[:3]))
    print(
        f"Python {version}: {tally.runs} runs ({len(plans) - 1} seeds beside plan 0), {len(tally.failed)} failed, "
        f"{tally.skipped} skipped by the suite itself, {tally.left_out} tests left out"
    )
    return 1 if tally.failed or not (tally.runs or options.check_left_out) else 0


if __name__ == "__main__":
    sys.exit(main())

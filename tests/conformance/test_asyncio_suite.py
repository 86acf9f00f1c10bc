"""CPython's own asyncio tests on this Python, as far as a minute goes; the gate runs all of them on every Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conformance.asyncio_suite import MODULES

# Four seconds each, or more: these go through half a million rounds, or collect all garbage many times.
SLOW = ("test_base_events", "test_events", "test_futures", "test_pep492", "test_runners", "test_tasks")


def run_suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the suite in a process of its own: it takes the machine, the alarm and the current folder for itself."""
    command = [sys.executable, "-m", "tests.conformance.asyncio_suite", *arguments]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    print(done.stdout)
    return done


def test_the_fast_modules_pass_at_plan_0_and_under_two_seeds() -> None:
    modules = [f"--module={name}" for name in MODULES if name not in SLOW]
    done = run_suite("--seeds=2", *modules)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_the_tests_of_tasks_and_events_pass_at_plan_0() -> None:
    done = run_suite("--module=test_tasks", "--module=test_events")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]

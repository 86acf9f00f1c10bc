"""CPython's own asyncio tests, the quick modules: the whole suite, on every Python of the machine, is the gate's."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
QUICK = ("test_locks", "test_queues", "test_taskgroups", "test_timeouts", "test_futures", "test_runners", "test_streams")


@pytest.mark.skipif(importlib.util.find_spec("test.test_asyncio") is None, reason="this Python has no test package")
def test_the_quick_modules_pass_at_plan_0_and_under_a_seed() -> None:
    modules = [word for module in QUICK for word in ("--module", module)]
    command = [sys.executable, "-m", "tests.conformance.asyncio_suite", "--seeds", "1", *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = re.search(r"(\d+) runs .*?, (\d+) failed", done.stdout)
    assert told is not None, done.stdout + done.stderr
    print(done.stdout)
    # Hundreds of tests at two plans: a run of nothing must not count as a pass.
    assert (int(told[1]) > 500, int(told[2]), done.returncode) == (True, 0, 0), done.stdout[-3000:]

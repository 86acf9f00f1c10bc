"""The same plan, the same run: in one process, in two, and under two hash seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.racing import trace_of

ROOT = Path(__file__).parents[2]


def printed(seed: int, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernel.racing", str(seed)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize("seed", [0, 1])
def test_one_plan_gives_one_trace_in_one_process(seed: int) -> None:
    first = trace_of(seed)
    # Between the runs, memory moves: what follows the addresses of objects would change.
    ballast = [object() for _ in range(10_007)]
    assert ([trace_of(seed) for _ in range(5)], len(ballast)) == ([first] * 5, 10_007)


def test_one_plan_gives_one_trace_in_two_processes_with_two_hash_seeds() -> None:
    here = "".join(f"{e.at_ns} {e.actor} {e.kind} {dict(e.values)}\n" for e in trace_of(3))
    assert [printed(3, hash_seed) for hash_seed in ("1", "2")] == [here, here]


def test_other_seeds_give_other_traces() -> None:
    assert len({str(trace_of(seed).events) for seed in range(8)}) == 8

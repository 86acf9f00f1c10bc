"""The determinism exam: one plan is one run, wherever and however often it runs; another seed is another run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simkit.model.plan import Plan
from tests.kernel.exam import sit, told

ROOT = Path(__file__).parents[2]
RUNS = 20


def printed(seed: int, strategy: str, hash_seed: str) -> str:
    """What a new process under another hash seed prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernel.exam", str(seed), strategy],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize("strategy", ["fifo", "uniform"])
def test_twenty_runs_of_one_seed_give_one_trace(strategy: str) -> None:
    traces, ballast = set[str](), list[object]()
    for run in range(RUNS):
        traces.add(told(sit(seed=5, strategy=strategy)[0]))
        # Memory moves between the runs: what follows the addresses of objects would change.
        ballast += [object() for _ in range(1_000 * run + 7)]
    assert len(traces) == 1


def test_twenty_seeds_give_twenty_traces_and_each_replays_from_its_plan() -> None:
    runs = [sit(seed=seed, strategy="uniform") for seed in range(RUNS)]
    replayed = [sit(plan=Plan.parse(world.taken.text()))[0] for _, world in runs[:5]]
    assert (len({told(trace) for trace, _ in runs}), replayed) == (RUNS, [trace for trace, _ in runs[:5]])


@pytest.mark.parametrize(("seed", "strategy"), [(0, "fifo"), (3, "uniform")])
def test_new_processes_under_other_hash_seeds_print_the_same(seed: int, strategy: str) -> None:
    here = told(sit(seed=seed, strategy=strategy)[0])
    assert [printed(seed, strategy, hash_seed) for hash_seed in ("1", "2")] == [here, here]

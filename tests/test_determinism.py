"""Same plan, same run: in one process, in many, in any order, whatever else the process holds."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from simkit.kernel.machine import MACHINE
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.reporters.jsonl import JSONL
from simkit.run import load, run_once

ROOT: Final = Path(__file__).parent.parent
CASES: Final = tuple(case for path in sorted((ROOT / "scenarios").rglob("*.sim.yaml")) for case in load(path))
HASH_SEEDS: Final = ("0", "1", "random")


@pytest.fixture(autouse=True, scope="module")
def one_start_of_the_wall_clock() -> Iterator[None]:
    with MACHINE.held():
        yield


def traces(cases: Sequence[Scenario] = CASES, seed: int = 0) -> dict[str, str]:
    """The trace of every case, as text, by the name of the case."""
    return {case.name: JSONL.render([run_once(case, Plan(seed=seed))]) for case in cases}


def test_the_corpus_runs_the_same_twice() -> None:
    assert traces() == traces()


def test_the_corpus_runs_the_same_under_another_seed_twice() -> None:
    assert traces(seed=7) == traces(seed=7)


def test_another_seed_is_another_run() -> None:
    retry = [case for case in CASES if case.file.endswith("retry_429_then_500.sim.yaml")]
    assert traces(retry, seed=0) != traces(retry, seed=1)


def test_no_case_leaves_anything_to_the_case_after_it() -> None:
    assert traces() == traces(CASES[::-1])


def test_a_case_under_a_flaw_leaves_nothing_to_the_cases_after_it() -> None:
    from dataclasses import replace

    before = traces()
    for flaw in ("leave_reader_running", "unbounded_continuations", "run_tools_twice"):
        traces([replace(case, settings={**case.settings, "flaw": flaw}) for case in CASES])
    assert traces() == before


class Node:
    """Garbage that only the collector can free, with a finalizer that would be seen in a run."""

    freed = 0

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Node.freed += 1


def test_what_the_process_holds_and_drops_beside_a_run_changes_nothing() -> None:
    alone = traces()
    gc.collect()
    kept = [object() for _ in range(50)]
    for _ in range(50):
        Node()
    beside = traces()
    assert (beside == alone, len(kept)) == (True, 50)


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
def test_a_new_process_under_another_hash_seed_writes_the_same_bytes(hash_seed: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    subprocess.run(
        [sys.executable, "-m", "simkit.cli", "run", "scenarios", "--trace", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
    )
    assert file.read_text(encoding="utf-8") == "".join(traces().values())

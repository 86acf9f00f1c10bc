"""Same plan, same run: in one process, in many, in any order, whatever else the process holds."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
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
# Where a test needs several rounds: the first row of every third file. The gate runs ``--verify`` on the whole corpus.
SAMPLE: Final = tuple({case.file: case for case in CASES[::-1]}.values())[::-3]
# A new process under each of these hash seeds, and what it runs.
PROCESSES: Final = {"0": "scenarios/registry", "1": "scenarios/hermes", "random": "scenarios/errors"}


@pytest.fixture(autouse=True, scope="module")
def one_start_of_the_wall_clock() -> Iterator[None]:
    with MACHINE.held():
        yield


def traces(cases: Sequence[Scenario] = CASES, seed: int = 0) -> dict[str, str]:
    """The trace of every case, as text, by the name of the case."""
    return {case.name: JSONL.render([run_once(case, Plan(seed=seed))]) for case in cases}


def different(one: dict[str, str], other: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return each case that ran in two ways, with the first lines in which its traces differ."""
    pairs = {name: zip_longest(one[name].splitlines(), other[name].splitlines(), fillvalue="") for name in one}
    firsts = {name: next(((a, b) for a, b in lines if a != b), None) for name, lines in pairs.items()}
    return [(name, *first) for name, first in firsts.items() if first is not None]


def test_the_corpus_runs_the_same_twice() -> None:
    assert different(traces(SAMPLE), traces(SAMPLE)) == []


def test_the_corpus_runs_the_same_under_another_seed_twice() -> None:
    assert different(traces(SAMPLE, seed=7), traces(SAMPLE, seed=7)) == []


def test_another_seed_is_another_run() -> None:
    retry = [case for case in CASES if case.file.endswith("retry_429_then_500.sim.yaml")]
    assert traces(retry, seed=0) != traces(retry, seed=1)


def test_no_case_leaves_anything_to_the_case_after_it() -> None:
    """The whole corpus, forwards and backwards."""
    assert different(traces(), traces(CASES[::-1])) == []


def test_a_case_under_a_flaw_leaves_nothing_to_the_cases_after_it() -> None:
    from dataclasses import replace

    before = traces(SAMPLE)
    for flaw in ("leave_reader_running", "unbounded_continuations", "run_tools_twice"):
        traces([replace(case, settings={**case.settings, "flaw": flaw}) for case in SAMPLE])
    assert different(traces(SAMPLE), before) == []


class Node:
    """Garbage that only the collector can free, with a finalizer that would be seen in a run."""

    freed = 0

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Node.freed += 1


def test_what_the_process_holds_and_drops_beside_a_run_changes_nothing() -> None:
    alone = traces(SAMPLE)
    gc.collect()
    kept = [object() for _ in range(50)]
    for _ in range(50):
        Node()
    beside = traces(SAMPLE)
    assert (different(beside, alone), len(kept)) == ([], 50)


@pytest.mark.parametrize(("hash_seed", "folder"), PROCESSES.items())
def test_a_new_process_under_another_hash_seed_writes_the_same_bytes(
    hash_seed: str, folder: str, tmp_path: Path
) -> None:
    file = tmp_path / "trace.jsonl"
    subprocess.run(
        [sys.executable, "-m", "simkit.cli", "run", folder, "--trace", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
    )
    here = traces([case for case in CASES if f"/{folder}/" in f"/{case.file}"])
    assert (len(here) > 0, file.read_text(encoding="utf-8")) == (True, "".join(here.values()))

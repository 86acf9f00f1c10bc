"""A small and fixed part of the hunt for false alarms (``python -m tests.explore.hunt``) that every test run makes.

The idea: a few cases of the corpus, each with the same few runs: some cuts, some faults, some orders. The constraint:
what is run is fixed, so a failure here is the doing of what was changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from simkit.model.scenario import Scenario
from tests.explore.hunt import cases, first_runs

# One case for each sort of thing that runs beside another: streams, retries, tools, jobs, cancellations, threads.
SAMPLE: Final = (
    "agent_framework/one_failed_poll",
    "background/stream_is_resumed",
    "calls/list_of_calls_that_grows",
    "cancel/one_of_two_readers_hangs_up",
    "laws/blocking_tool_among_threads",
    "registry/left_in_the_foreground",
    "tools/ends_with_its_budget",
)
RUNS: Final = 15


def case_of(name: str) -> Scenario:
    return cases(f"{name}.sim.yaml")[0]


@pytest.mark.parametrize("name", SAMPLE)
def test_nothing_fails_in_a_sound_agent_whatever_strikes_it(name: str) -> None:
    runs = first_runs(case_of(name), RUNS)
    alarms = [(run.sort, run.plan.text(), broken.text) for run in runs for broken in run.broken]
    assert (len(runs), alarms) == (RUNS, [])


def test_every_sort_of_run_is_in_the_sample() -> None:
    sorts = {run.sort.partition(" ")[0] for run in first_runs(case_of(SAMPLE[0]), RUNS)}
    assert {"cut", "default", "fault", "uniform"} - sorts == set()


def test_a_hunt_finds_what_a_flaw_breaks() -> None:
    case = case_of("basics/retry_429_then_500")
    settings = {**case.settings, "flaw": case.catches[0]}
    runs = first_runs(replace(case, settings=settings), RUNS)
    assert {broken.law for run in runs for broken in run.broken} >= {"backoff_respects_retry_after"}

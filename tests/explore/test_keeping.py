"""What a plain run has seen fail is kept under an id that replays that very run, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simkit.explore.keeping import keep
from simkit.explore.store import Store, load
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.verdict import Result
from simkit.reporters.layout import UNKNOWN_TO_ALL
from simkit.run import run_case
from tests.explore.cases import case_of

RAISES = Plan.parse("seed=0,tool_raises@tool1.end")


def failed(scenario: Scenario | None = None, plan: Plan = RAISES) -> Result:
    return run_case(case_of("fragile") if scenario is None else scenario, plan)


def test_a_failure_is_stored_with_all_that_a_replay_needs(tmp_path: Path) -> None:
    known = keep(failed(), Store(tmp_path), settings={"a": "b"}, subject="own:agent")
    stored = Store(tmp_path).find(known.id)

    assert (stored.file, stored.row, stored.settings, stored.subject, stored.failure.plan) == (
        "a.sim.yaml",
        "",
        {"a": "b"},
        "own:agent",
        RAISES,
    )


def test_what_is_known_of_the_same_run_is_not_lost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    known = keep(failed(), store, settings={})
    found = store.find(known.id)
    store.save(replace(found, failure=replace(found.failure, count=7), shortened="simkit: 1"))
    again = keep(failed(), store, settings={})

    assert (again, store.find(known.id).failure.count, store.find(known.id).shortened) == (known, 7, "simkit: 1")


@pytest.mark.parametrize(
    ("plan", "settings"), [(replace(RAISES, seed=5), {}), (RAISES, {"word": "bye"})], ids=["plan", "settings"]
)
def test_the_id_is_that_of_the_run_which_was_told_of_last(tmp_path: Path, plan: Plan, settings: dict[str, str]) -> None:
    store = Store(tmp_path)
    first = keep(failed(), store, settings={})
    last = keep(failed(plan=plan), store, settings=settings)
    (file,) = store.files()

    assert (first.id, load(file).failure.plan, load(file).settings) == (last.id, plan, settings)


@pytest.mark.parametrize(
    "result",
    [
        failed(plan=Plan()),
        failed(plan=Plan.parse("seed=0,tie@500:1")),
        failed(replace(case_of("fragile"), xfail="it was broken"), Plan()),
        replace(failed(), scenario=replace(case_of("fragile"), file="")),
    ],
    ids=["it passes", "its plan does not fit", "it passes after all", "it has no file"],
)
def test_what_cannot_be_replayed_is_not_kept(result: Result, tmp_path: Path) -> None:
    assert (keep(result, Store(tmp_path), settings={}), Store(tmp_path).files()) == (UNKNOWN_TO_ALL, [])


def test_a_folder_that_cannot_be_written_to_costs_the_id_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".simkit").write_text("in the way")

    assert keep(failed(), Store(tmp_path), settings={}) == UNKNOWN_TO_ALL

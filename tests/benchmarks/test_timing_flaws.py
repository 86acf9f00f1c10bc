"""The flaws that need timing: nothing shows them by default, a search finds each, and the page says how soon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from simkit.model.plan import Plan
from simkit.model.verdict import Verdict
from simkit.run import load, run_once
from simkit.testing.items import Budget, play
from tests.benchmarks.timing_flaws import FOLDER, PAGE, ROOT, ROWS, RUNS_MAX, Found, Row, find, page

FLAWS_MIN = 10


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page names scenarios as somebody types them who stands there."""
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def found() -> Iterator[dict[Row, Found]]:
    """What is found of every flaw, searched once."""
    before = os.getcwd()
    os.chdir(ROOT)
    yield {row: find(row) for row in ROWS}
    os.chdir(before)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.scenario}-{row.flaw}")
def test_a_single_run_does_not_show_the_flaw(row: Row) -> None:
    results = [run_once(row.case(flaw), Plan()) for flaw in ("", row.flaw)]
    assert [[finding.text for finding in result.findings] for result in results] == [[], []]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.scenario}-{row.flaw}")
def test_a_search_finds_the_flaw_and_its_smallest_plan_is_small(row: Row, found: dict[Row, Found]) -> None:
    one = found[row]
    assert 0 < one.number < RUNS_MAX
    assert (len(one.plan.strikes), len(one.plan.deviations)) in [(1, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sim.yaml")), ids=lambda path: path.stem)
def test_the_sound_agent_passes_every_plan_that_a_scenario_asks_for(path: Path) -> None:
    played = [play(case, Budget()) for case in load(path)]
    assert [(one.result.verdict, one.runs >= 1) for one in played] == [(Verdict.PASS, True)]


def test_more_flaws_than_a_few_are_found_so() -> None:
    assert len({row.flaw for row in ROWS}) >= FLAWS_MIN
    assert {row.scenario for row in ROWS} == {path.name.removesuffix(".sim.yaml") for path in FOLDER.iterdir()}


def test_the_page_is_in_step_with_what_is_found(found: dict[Row, Found]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(found), "run: python -m tests.benchmarks.timing_flaws"

"""Cases that explore within an item's budget: what is run, in which order, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from simkit.explore.store import Store
from simkit.model.scenario import Scenario
from simkit.model.verdict import Verdict
from simkit.run import load
from simkit.testing.items import Budget, Played, play
from tests.conftest import Folder

# Waits 5 s for a tool and goes on without it; what it says differs when the tool was late.
IMPATIENT = """
import asyncio, itertools

runs = itertools.count(1)

async def run(sim):
    async for _ in sim.user:
        task = asyncio.ensure_future(sim.tools["build"]())
        done, _ = await asyncio.wait([task], timeout=5)
        sim.said("hello" if done else "I do not know")
        sim.turn_ended("finished")
        await task

async def moody(sim):
    async for _ in sim.user:
        sim.said("hello" if next(runs) != 4 else "what")
        sim.turn_ended("finished")
"""


@pytest.fixture
def here(folder: Folder) -> Folder:
    folder.file("impatient.py", IMPATIENT)
    return folder


def case(
    folder: Folder, agent: str = "impatient:run", explore: str = "{runs: 20, jitter: 5ms}", **keys: str
) -> Scenario:
    keys = {"tools": "{build: {takes: 4999ms, returns: ok}}", "provider": "[]", **keys}
    (found,) = load(folder.scenario("a", agent, explore=explore, **keys))
    return found


def told(played: Played) -> tuple[str, int, list[str]]:
    return played.result.verdict.name, played.runs, [finding.law for finding in played.result.findings]


def test_a_case_that_does_not_explore_is_run_once(here: Folder) -> None:
    assert told(play(case(here, explore="{jitter: 5ms}"), Budget())) == ("PASS", 0, [])


def test_a_near_miss_is_found_beyond_the_default_run_and_its_plan_is_small(here: Folder) -> None:
    played = play(case(here), Budget())
    assert told(played) == ("FAIL", 20, ["expect.last_message"])
    assert [deviation.kind for deviation in played.result.plan.deviations] == ["timing"]


def test_a_case_that_fails_by_default_is_not_explored(here: Folder) -> None:
    assert told(play(case(here, expect="{last_message: bye}"), Budget())) == ("FAIL", 0, ["expect.last_message"])


@pytest.mark.parametrize(("budget", "runs"), [(Budget(runs=0), 0), (Budget(runs=3), 3), (Budget(plan="seed=1"), 0)])
def test_whoever_runs_the_suite_says_how_many_plans_are_tried(here: Folder, budget: Budget, runs: int) -> None:
    found = play(case(here, tools="{build: {takes: 1s, returns: ok}}"), budget)
    assert (found.result.verdict, found.runs) == (Verdict.PASS, runs)


def test_a_pinned_case_runs_its_own_plan_alone(here: Folder) -> None:
    found = play(case(here), Budget()).result.plan
    pinned = replace(case(here), plan=found.text())
    assert told(play(pinned, Budget(runs=9))) == ("FAIL", 0, ["expect.last_message"])


# -- what is kept --
def played_twice(scenario: Scenario, second: Scenario, tmp_path: Path) -> Iterator[Played]:
    budget = Budget(store=Store(tmp_path))
    yield from (play(one, budget) for one in (scenario, second))


def test_what_was_found_is_replayed_first_and_known_by_its_id(here: Folder, tmp_path: Path) -> None:
    first, second = played_twice(case(here), case(here), tmp_path)
    assert (second.runs, second.was_known, second.known.id) == (1, True, first.known.id)


def test_what_was_found_and_is_mended_does_not_fail_any_more(here: Folder, tmp_path: Path) -> None:
    mended = case(here), case(here, tools="{build: {takes: 1s, returns: ok}}")
    assert [told(played)[:2] for played in played_twice(*mended, tmp_path)] == [("FAIL", 20), ("PASS", 20)]


def test_what_was_found_under_other_settings_says_nothing_of_these(here: Folder, tmp_path: Path) -> None:
    store = Store(tmp_path)
    runs = [play(case(here), Budget(store=store, settings=settings)).runs for settings in ({"a": "1"}, {"a": "1"}, {})]
    assert runs == [20, 1, 20]


def test_a_store_that_cannot_be_written_hides_no_failure(here: Folder, tmp_path: Path) -> None:
    (tmp_path / ".simkit").write_text("somebody else's file")
    played = play(case(here), Budget(store=Store(tmp_path)))
    assert (told(played)[0], played.known.id, "cannot be written" in "".join(played.more())) == ("FAIL", "", True)


# -- what nobody knows --
def test_a_failure_that_does_not_come_again_is_unknown(here: Folder) -> None:
    played = play(case(here, "impatient:moody", "{runs: 5, jitter: 1ms}"), Budget())
    (finding,) = played.result.findings
    assert (played.result.verdict, finding.law) == (Verdict.UNKNOWN, "expect.last_message")
    assert "something outside the world has a hand in it" in finding.text


def test_a_green_is_unknown_where_no_run_had_what_has_to_happen_sometimes(here: Folder) -> None:
    asked = "\n- user.cancels\n- tool.end"
    passing = {"sometimes": asked, "tools": "{build: {takes: 1s, returns: ok}}"}
    played = play(case(here, **passing), Budget())
    assert [f"{f.place}: {f.law}: {f.text}" for f in played.result.findings] == [
        "a.sim.yaml:10: sometimes: no run had user.cancels"
    ]
    assert played.result.verdict is Verdict.UNKNOWN


def test_what_was_never_reached_is_told_with_how_much_was_tried(here: Folder) -> None:
    played = play(case(here, tools="{build: {takes: 1s, returns: ok}}"), Budget())
    assert [line.partition("; ")[0] for line in played.summary.splitlines()] == [
        "20 plans beyond the default run",
        "a.sim.yaml:7: jitter: nothing came within 5ms of a deadline",
    ]

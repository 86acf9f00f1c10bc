"""``--verify``: an order that a subject takes from a set of texts is found, and one that a world promises is not."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from simkit import cli
from tests.conftest import Folder

AGENTS = """
import asyncio

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu")

async def from_texts(sim):
    async for _ in sim.user:
        sim.note("plan", steps=list(set(WORDS)))
        sim.said("hello")

async def from_tasks(sim):
    async for _ in sim.user:
        done, _ = await asyncio.wait({asyncio.create_task(asyncio.sleep(1), name=word) for word in WORDS})
        sim.note("plan", steps=[task.get_name() for task in done])
        sim.said("hello")

async def set_from_outside(sim):
    async for _ in sim.user:
        sim.said(sim.settings["word"])
"""


def verified(folder: Folder, *arguments: str) -> Result:
    folder.file("sets.py", AGENTS)
    return CliRunner().invoke(cli.main, ["run", "--verify", *arguments])


def test_an_order_taken_from_a_set_of_texts_is_found_and_its_event_named(folder: Folder) -> None:
    folder.scenario("planted", "sets:from_texts"), folder.scenario("sound")
    ran = verified(folder)
    lines = ran.stdout.splitlines()
    head = next(line for line in lines if line.startswith("NOT THE SAME"))
    first, second = ((line.split(maxsplit=1)) for line in lines if line.startswith(("  first ", "  second ")))
    steps = [json.loads(line)["steps"] for _, line in (first, second)]
    assert (ran.exit_code, head, steps[0] == steps[1], sorted(steps[0]) == sorted(steps[1]), lines[-1]) == (
        1,
        "NOT THE SAME planted.sim.yaml::run: event 3 differs under another hash seed",
        False,
        True,
        "verified: 1 of 2 cases ran the same under another hash seed",
    )


def test_an_order_taken_from_a_set_of_tasks_is_the_same(folder: Folder) -> None:
    folder.scenario("a", "sets:from_tasks")
    ran = verified(folder, "a.sim.yaml")
    assert (ran.exit_code, ran.stdout.splitlines()[-1]) == (
        0,
        "verified: 1 of 1 case ran the same under another hash seed",
    )


def test_the_second_run_has_the_options_of_the_first(folder: Folder) -> None:
    folder.scenario("a", settings="{word: no}")
    ran = verified(folder, "--subject", "sets:set_from_outside", "--set", "word=hello", "--plan", "seed=7")
    assert (ran.exit_code, "verified: 1 of 1 case" in ran.stdout) == (0, True)


def test_a_failing_case_is_verified_too_and_the_json_document_stays_alone(folder: Folder) -> None:
    folder.scenario("a", "agents:mute")
    ran = verified(folder, "--format", "json")
    (result,) = json.loads(ran.stdout)["results"]
    assert (ran.exit_code, result["verdict"], "verified: 1 of 1 case" in ran.stderr) == (1, "FAIL", True)


def test_a_difference_stands_behind_what_came_before_it_and_is_found_again_by_its_command(folder: Folder) -> None:
    folder.scenario("planted", "sets:from_texts")
    ran = verified(folder, "--plan", "seed=7", "planted.sim.yaml")
    rows = {row.split()[0]: row.split(maxsplit=1)[1] for row in ran.stdout.splitlines() if row.startswith("  ")}
    assert (json.loads(rows["before"])["what"], rows["replay"]) == (
        "user.says",
        'simkit run --verify --plan=seed=7 "planted.sim.yaml::run"',
    )


def test_of_a_very_long_event_the_place_where_it_parts_is_shown(folder: Folder) -> None:
    folder.file(
        "long.py",
        "async def agent(sim):\n"
        "    sim.note('plan', steps=['x'] * 300 + list({str(n) for n in range(50)}))\n    sim.said('hello')\n",
    )
    folder.scenario("a", "long:agent")
    rows = [row for row in verified(folder).stdout.splitlines() if row.startswith(("  first", "  second"))]
    assert ([len(row) < 450 for row in rows], rows[0] == rows[1]) == ([True, True], False)

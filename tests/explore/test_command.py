"""``simkit explore`` as a user meets it: what is printed, what is kept, and every way in which it can end."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from simkit import cli
from tests.commands.test_progress import screen, terminal, written
from tests.conftest import Folder

SIMKIT = (sys.executable, "-m", "simkit.cli")
AGENTS = """
import asyncio

async def both(sim, then):
    async for _ in sim.user:
        ended = []
        await asyncio.gather(*(note(sim, name, ended) for name in ("first", "second")))
        then(ended[0])
        sim.said("hello")

async def note(sim, name, ended):
    await sim.tools[name]()
    ended.append(name)

async def racing(sim):
    def then(first):
        if first == "second":
            raise RuntimeError("the second was first")
    await both(sim, then)

async def steady(sim):
    print("I am talkative")
    await both(sim, lambda first: None)

async def endless(sim):
    def then(first):
        while first == "second":
            try:
                while True: pass
            except BaseException:
                pass
    await both(sim, then)

async def fragile(sim):
    async for _ in sim.user:
        for tool in sim.tools.values():
            await tool()
        sim.said("hello")
"""


@pytest.fixture
def project(folder: Folder) -> Folder:
    """A folder with agents that use two tools."""
    folder.file("players.py", AGENTS)
    return folder


def scenario(project: Folder, agent: str, name: str = "", **keys: str) -> str:
    tools = {"provider": "[]", "tools": "{first: {takes: 1s}, second: {takes: 1s}}"}
    return project.scenario(name or agent, f"players:{agent}", **{**tools, **keys})


def explore(*arguments: str, workers: int = 1) -> Result:
    return CliRunner().invoke(cli.main, ["explore", *arguments, "--workers", str(workers)])


def found(*arguments: str, workers: int = 1) -> list[dict[str, Any]]:
    """Return what the document says of each case."""
    document = json.loads(explore(*arguments, "--format", "json", workers=workers).stdout)
    results: list[dict[str, Any]] = document["results"]
    return results


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run it in a process of its own, which is gone at the end of the block."""
    running = subprocess.Popen(
        [*SIMKIT, "explore", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with Ctrl-C ignored, and a child inherits that from its tests.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def wait_until(running: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    while not condition():
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)


def kept(kind: str) -> list[str]:
    # Not what is being written, or was when its writer was killed.
    return sorted(path.name for path in Path(".simkit", kind).glob("[!.]*"))


def done_units() -> int:
    """Return how many units the newest campaign has on disk."""
    files = sorted(Path(".simkit").rglob("units.jsonl"), key=lambda path: path.stat().st_mtime)
    return files[-1].read_bytes().count(b'"unit"') if files else 0


def is_at(goal: int) -> bool:
    """Say whether a campaign has begun, and the newest one has so many units on disk."""
    return kept("campaigns") != [] and done_units() >= goal


def has_begun(name: str) -> bool:
    """Say whether the default run of a case is over."""
    lines = [line for file in Path(".simkit").rglob("units.jsonl") for line in file.read_text("utf-8").splitlines()]
    return any(f'"case":"{name}.' in line and '"behaviour"' in line for line in lines)


# -- what is printed --
def test_a_failure_is_reported_with_its_smallest_plan_and_what_can_be_done_with_it(project: Folder) -> None:
    path = scenario(project, "racing", expect="{}")
    ran = explore(path, "--runs", "100")
    (file,) = kept("failures")
    name = re.fullmatch(r"racing_ends-(\w{8})\.json", file)
    assert name is not None
    assert ran.exit_code == 1
    for part in (
        "FAIL    racing.sim.yaml::run  100 runs, 100s of virtual time, 1 distinct failure",
        "exhausted: all plans with up to 2 deviations of 3 choices (7 of them), under seed 0",
        "the second was first",
        "--plan seed=0,tie@0:1",
        f"Replay   simkit replay {name[1]}",
        f"Keep     simkit pin {name[1]} scenarios/regressions/",
        "first at plan 1",
        "1 case: 1 failed; 100 runs, ",
    ):
        assert part in ran.stdout


def test_what_is_printed_can_be_pasted(project: Folder) -> None:
    explore(scenario(project, "racing", expect="{}"), "--runs", "50")
    (file,) = kept("failures")
    id_ = file.removesuffix(".json").rpartition("-")[2]
    replayed = CliRunner().invoke(cli.main, ["replay", id_])
    pinned = CliRunner().invoke(cli.main, ["pin", id_, "pinned"])
    again = CliRunner().invoke(cli.main, ["run", "pinned"])
    assert (replayed.exit_code, pinned.exit_code, again.exit_code) == (1, 0, 1)
    assert "FAILED in the same way" in replayed.stdout


def test_two_failures_of_one_run_are_told_once_each_with_its_own_id(project: Folder) -> None:
    ran = explore(scenario(project, "racing"), "--runs", "50")
    assert (ran.stdout.count("____ Is racing answered?"), ran.stdout.count("simkit replay ")) == (1, 2)


def test_where_nothing_fails_it_says_how_far_it_was_and_what_was_never_reached(project: Folder) -> None:
    path = scenario(project, "steady", sometimes="[{tool.start: {tool: third}}]")
    ran = explore(path, "--runs", "70")
    told = [re.sub(r"[\d,]+ a second|\d+\.\d\ds", "...", line.strip()) for line in ran.stdout.splitlines()]
    assert (ran.exit_code, told) == (
        0,
        [
            "PASS    steady.sim.yaml::run  70 runs, 70s of virtual time",
            "exhausted: all plans with up to 2 deviations of 3 choices (7 of them), under seed 0",
            'never reached: steady.sim.yaml:8: sometimes: no run had tool.start whose tool is "third"',
            "1 case: 1 passed; 70 runs, ..., 70s of virtual time in ...; 0 distinct failures",
        ],
    )


def test_a_case_that_fails_by_itself_is_told_and_not_explored(project: Folder) -> None:
    ran = explore(scenario(project, "steady", expect="{last_message: other}"), "--runs", "70")
    assert (ran.exit_code, "It fails in its default run, so nothing else was tried." in ran.stdout) == (1, True)
    assert (kept("failures"), "simkit replay" in ran.stdout) == ([], False)


def test_what_its_author_skips_or_expects_to_fail_is_told_and_not_explored(project: Folder) -> None:
    scenario(project, "steady", "a", skip="later"), scenario(project, "racing", "b", xfail="a known bug")
    ran = explore("--runs", "20")
    assert (ran.exit_code, ran.stdout.splitlines()[:2]) == (
        0,
        ["SKIPPED a.sim.yaml::run  later", "SKIPPED b.sim.yaml::run  is expected to fail: a known bug"],
    )


def test_for_a_program_there_is_one_document_the_same_for_any_number_of_processes(project: Folder) -> None:
    scenario(project, "racing"), scenario(project, "steady"), scenario(project, "fragile", explore="{sweep: single}")
    one, two = (explore("--runs", "120", "--format", "json", workers=workers) for workers in (1, 2))
    first, second = json.loads(one.stdout), json.loads(two.stdout)
    assert (first.pop("campaign"), second.pop("campaign")) == (kept("campaigns")[0], kept("campaigns")[1])
    assert (first, one.stderr, one.exit_code) == (second, "", 1)
    verdicts = [(case["file"][0], case["verdict"], len(case["failures"])) for case in first["results"]]
    assert verdicts == [("f", "FAIL", 2), ("r", "FAIL", 2), ("s", "PASS", 0)]


def test_help_names_every_option_and_fits_a_terminal() -> None:
    ran = CliRunner().invoke(cli.main, ["explore", "--help"])
    options = "runs time workers seed strategy order jitter sweep faults where shard resume executor set subject format"
    assert [name for name in options.split() if f"--{name}" not in ran.stdout] == []
    assert [line for line in ran.stdout.splitlines() if len(line) > 80] == []


# -- what is asked for --
def test_what_the_scenario_says_holds_where_no_option_says_otherwise(project: Folder) -> None:
    path = scenario(project, "fragile", explore="{runs: 9, sweep: single, faults: [tool_hangs]}", expect="{}")
    own, asked = found(path), found(path, "--runs", "12", "--faults", "tool_raises")
    assert [(case["runs"], [failure["plan"] for failure in case["failures"]]) for (case,) in (own, asked)] == [
        (9, ["seed=0,tool_hangs@tool1.start"]),
        (12, ["seed=0,tool_raises@tool1.start"]),
    ]


def test_faults_strike_only_where_they_are_wanted(project: Folder) -> None:
    path = scenario(project, "fragile")
    (case,) = found(path, "--runs", "30", "--sweep", "single", "--where", "user")
    assert "1 of 1 single faults struck" in case["statement"]


def test_settings_and_subject_from_outside_are_in_what_is_kept(project: Folder) -> None:
    path = scenario(project, "steady")
    explore(path, "--runs", "30", "--subject", "players:racing", "--set", "colour=red")
    stored = json.loads(Path(".simkit/failures", kept("failures")[0]).read_text("utf-8"))
    assert (stored["subject"], stored["settings"]) == ("players:racing", {"colour": "red"})


def test_shards_are_different_and_each_says_which_it_is(project: Folder) -> None:
    path = scenario(project, "racing", explore="{order: any}")
    parts = [found(path, "--runs", "300", "--shard", f"{part}/2")[0] for part in (1, 2)]
    assert [re.findall(r"in shard \d/\d", part["statement"]) for part in parts] == [["in shard 1/2"], ["in shard 2/2"]]
    assert [part["runs"] < 300 for part in parts] == [True, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runs", "0"], "0 is not in the range x>=1"),
        (["--time", "5"], "--time: '5' is not a duration, expected a number and a unit"),
        (["--time", "forever"], "--time: 'forever' never ends"),
        (["--jitter", "x"], "--jitter: 'x' is not a duration"),
        (["--strategy", "unform"], "no strategy is called 'unform' - did you mean 'uniform'?"),
        (["--faults", "cutt"], "--faults: 'cutt' is unknown - did you mean 'cut'?"),
        (["--where", "frames,,"], "--where: '' is unknown"),
        (["--shard", "5/4"], "--shard: '5/4' is no part"),
        (["--executor", "threads"], "--executor: 'threads' is unknown, expected dask:ADDRESS"),
        (["--subject", "agnt"], "no subject is called 'agnt' - did you mean 'agent'?"),
        (["--set", "x"], "'x' is not a setting"),
        (["gone.sim.yaml"], "no such file or folder: 'gone.sim.yaml'"),
    ],
)
def test_a_mistake_is_one_message_and_exit_2_and_nothing_is_begun(
    project: Folder, options: list[str], message: str
) -> None:
    ran = explore(scenario(project, "steady"), *options)
    assert (ran.exit_code, ran.stdout, message in ran.stderr, "Traceback" in ran.stderr) == (2, "", True, False)
    assert not Path(".simkit").exists()


# -- going on --
def test_who_resumes_what_is_done_gets_the_same_and_runs_nothing_but_the_default_run(project: Folder) -> None:
    path = scenario(project, "racing")
    before = found(path, "--runs", "150")
    ran = explore(path, "--runs", "150", "--resume")
    assert (found(path, "--runs", "150", "--resume"), len(kept("campaigns"))) == (before, 1)
    assert ("150 runs, 149 of them before" in ran.stdout, "going on with .simkit/campaigns/" in ran.stderr) == (
        True,
        True,
    )


def test_other_options_are_another_campaign(project: Folder) -> None:
    path = scenario(project, "racing")
    explore(path, "--runs", "20")
    ran = explore(path, "--runs", "20", "--seed", "7", "--resume")
    assert "there is no campaign of these cases and options to go on with: it begins" in ran.stderr


def test_when_the_time_is_over_a_case_that_was_never_begun_is_unknown(project: Folder) -> None:
    scenario(project, "racing"), scenario(project, "steady")
    ran = explore("--time", "1ns")
    assert (ran.exit_code, [line for line in ran.stdout.splitlines() if "never begun" in line]) == (
        3,
        ["UNKNOWN racing.sim.yaml::run  never begun", "UNKNOWN steady.sim.yaml::run  never begun"],
    )


# -- however it ends --
def test_killed_ten_times_at_any_moment_it_comes_to_the_same(project: Folder) -> None:
    for agent in ("racing", "steady", "fragile"):
        scenario(project, agent, explore="{sweep: pairs, runs: 700}")
    left_alone = found()
    shutil.rmtree(".simkit")
    chance = random.Random(6)
    alive = 0
    for kill in range(10):
        # So many units further, and then anywhere between two of them.
        goal = done_units() + chance.randint(0, 2)
        with process("--workers", str(1 + kill % 2), "--format", "json", *(["--resume"] if kill else [])) as running:
            wait_until(running, partial(is_at, goal))
            time.sleep(chance.random() / 30)
            alive += running.poll() is None
    with process("--workers", "2", "--format", "json", "--resume") as resumed:
        out, _ = resumed.communicate()
    assert (alive, resumed.returncode, json.loads(out)["results"]) == (10, 1, left_alone)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_report_and_130(project: Folder, number: signal.Signals, workers: int) -> None:
    scenario(project, "racing", expect="{}"), scenario(project, "steady")
    with process("--time", "10m", "--workers", str(workers)) as running:
        wait_until(running, lambda: done_units() >= 4)
        running.send_signal(number)
        out, err = running.communicate()
    assert (running.returncode, re.findall(r"^(\w+) +(\w+\.sim\.yaml)", out, re.MULTILINE)) == (
        130,
        [("found", "racing.sim.yaml"), ("FAIL", "racing.sim.yaml"), ("STOPPED", "steady.sim.yaml")],
    )
    assert "interrupted: the same command with --resume goes on from here" in out
    assert [line for line in err.splitlines() if "plans" not in line] == []
    assert len(kept("failures")) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_never_comes_back_does_not_keep_anybody_from_ending_it(project: Folder, workers: int) -> None:
    scenario(project, "racing", "a", expect="{}"), scenario(project, "endless", "b")
    with process("--runs", "100", "--workers", str(workers)) as running:
        wait_until(running, lambda: kept("failures") != [] and has_begun("b"))
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate()
    assert (running.returncode, "simkit replay" in out, "1 failed, 1 stopped" in out) == (130, True, True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_ends_it_at_once(project: Folder, workers: int) -> None:
    scenario(project, "endless")
    with process("--runs", "100", "--workers", str(workers)) as running:
        wait_until(running, lambda: has_begun("endless"))
        for _ in range(2):
            running.send_signal(signal.SIGINT)
            time.sleep(0.1)
        out, err = running.communicate()
    assert (running.returncode, out, "Traceback" in err) == (130, "", False)


# -- while it runs --
def shown(*arguments: str, columns: int = 120) -> str:
    with terminal("explore", *arguments, columns=columns) as (_, mine):
        return written(mine)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_on_a_terminal_one_line_says_how_far_it_is_and_is_gone_at_the_end(project: Folder, workers: str) -> None:
    scenario(project, "steady")
    text = shown("--runs", "200", "--workers", workers)
    drawn = re.findall(r"(\d+)/200 plans  [\d,]+/s  \d+s virtual  0 failures  steady", text)
    lines, cursor = screen(text)
    assert (drawn[-1], drawn == sorted(drawn, key=int), cursor) == ("200", True, True)
    assert [line for line in lines if "plans" in line and "exhausted" not in line] == []


@pytest.mark.parametrize("columns", [20, 79])
def test_a_narrow_terminal_gets_a_line_that_fits(project: Folder, columns: int) -> None:
    scenario(project, "steady")
    text = shown("--runs", "100", "--workers", "1", "-q", columns=columns)
    drawn = re.findall(r"\r(?:\x1b\[2K)?([^\r\n\x1b]*/100 pl[^\r\n\x1b]*)", text)
    assert (drawn != [], [line for line in drawn if len(line) > columns]) == (True, [])


def test_quiet_prints_the_failures_and_the_summary_and_nothing_while_it_runs(project: Folder) -> None:
    scenario(project, "steady")
    ran = explore("--runs", "50", "-q")
    assert (ran.stderr, [line[:15] for line in ran.stdout.splitlines()]) == ("", ["1 case: 1 passe"])


def test_an_agents_own_words_are_nowhere(project: Folder) -> None:
    scenario(project, "steady")
    with process("--runs", "30", "--workers", "2") as ran:
        out, err = ran.communicate()
    assert ("talkative" in out + err, ran.returncode) == (False, 0)


def test_it_works_where_nothing_can_be_written_to(project: Folder) -> None:
    path = scenario(project, "steady")
    Path(".simkit").write_text("somebody's file", "utf-8")
    ran = explore(path, "--runs", "30")
    assert (ran.exit_code, "campaigns' cannot be written: " in ran.stderr, "Traceback" in ran.stderr) == (
        2,
        True,
        False,
    )
    assert os.path.isfile(".simkit")

"""The pytest plugin in other people's sessions: what is collected, told, counted, and left untouched.

Sessions run in processes of their own where it matters what is imported or that a clock is real afterwards; all
others run in this process, which is ten times faster.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import Folder

STRICT = ("--strict-markers", "--strict-config", "-W", "error")

# A session in this process forgets afterwards what was imported in it, so what each of them needs is imported here.
NEEDED = (
    "freezegun.api",
    "simkit.run",
    "simkit.options",
    "simkit.reporters.text",
    "simkit.subjects.agent",
    "simkit.testing.simulated",
)


@pytest.fixture(scope="module", autouse=True)
def needed() -> None:
    for name in NEEDED:
        importlib.import_module(name)


@pytest.fixture
def here(folder: Folder, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The user's folder, which is the current one; pytester would be in its own."""
    monkeypatch.chdir(folder.path)
    return folder


def session(pytester: pytest.Pytester, folder: Folder, *options: str, alone: bool = False) -> pytest.RunResult:
    """Run pytest in the folder, in a process of its own or in this one."""
    run = pytester.runpytest_subprocess if alone else pytester.runpytest_inprocess
    # hypothesis imports the whole of itself at the end of every session, which is most of the time of a small one.
    return run(*STRICT, "-p", "no:hypothesispytest", f"--rootdir={folder.path}", *options)


def outcomes(result: pytest.RunResult) -> list[str]:
    """Return the lines of ``-rA`` without their reasons."""
    words = ("PASSED ", "FAILED ", "ERROR ")
    return sorted(line.split(" - ")[0] for line in result.outlines if line.startswith(words))


def ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line]


# -- collecting --
def test_each_row_is_an_item_and_equal_names_in_two_folders_do_not_meet(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.scenario("one/same", matrix="{x: [p, q]}", about="${x}")
    here.scenario("two/same")
    here.file("other.yaml", "not: [ours")
    assert ids(session(pytester, here, "--collect-only", "-q")) == [
        "one/same.sim.yaml::p",
        "one/same.sim.yaml::q",
        "two/same.sim.yaml::run",
    ]


@pytest.mark.parametrize(
    ("options", "picked"),
    [
        (["-k", "slow"], ["a.sim.yaml::p", "a.sim.yaml::q"]),
        (["-k", "slow and q"], ["a.sim.yaml::q"]),
        (["-k", "not slow"], ["b.sim.yaml::run"]),
        (["a.sim.yaml::p"], ["a.sim.yaml::p"]),
    ],
)
def test_tags_rows_and_ids_select(
    pytester: pytest.Pytester, here: Folder, options: list[str], picked: list[str]
) -> None:
    here.scenario("a", matrix="{x: [p, q]}", about="${x}", tags="[slow]")
    here.scenario("b")
    assert ids(session(pytester, here, "--collect-only", "-q", *options)) == picked


def test_a_broken_file_is_one_collection_error_with_every_place_and_the_rest_runs(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.file("bad.sim.yaml", "simkit: 1\nscenrio: x\n")
    here.scenario("good")
    result = session(pytester, here, "-rA", "--continue-on-collection-errors")
    assert outcomes(result) == ["ERROR bad.sim.yaml", "PASSED good.sim.yaml::run"]
    assert [line.split(" - ")[0] for line in result.outlines if line.startswith("bad.sim.yaml:")] == [
        "bad.sim.yaml:1:1: a scenario needs the key 'provider'",
        "bad.sim.yaml:2:1: unknown key 'scenrio' in a scenario",
    ]


def test_a_subject_that_is_not_there_is_a_collection_error_with_its_place(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.scenario("a", "agents:god", matrix="{x: [p, q]}", about="${x}")
    result = session(pytester, here)
    told = [line for line in result.outlines if line.startswith("a.sim.yaml:")]
    assert told == ["a.sim.yaml:3:1: subject 'agents:god': agents has no 'god' - did you mean 'good'?"]


def test_what_is_skipped_or_expected_to_fail_is_so_in_pytests_own_words(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.scenario("a", "agents:is_not_written_yet", skip="waits for its agent")
    here.scenario("b", "agents:mute", xfail="a known bug")
    here.scenario("c", xfail="was mended")
    result = session(pytester, here, "-rA")
    result.stdout.fnmatch_lines(
        [
            "[[]XPASS(strict)[]] was mended",
            "SKIPPED [[]1[]] a.sim.yaml: waits for its agent",
            "XFAIL b.sim.yaml::run - a known bug",
            "FAILED c.sim.yaml::run - [[]XPASS(strict)[]] was mended",
        ]
    )
    assert result.parseoutcomes() == {"failed": 1, "skipped": 1, "xfailed": 1}


def test_what_nobody_could_judge_is_no_expected_failure(
    pytester: pytest.Pytester, here: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> object:
        raise KeyError("lost")

    monkeypatch.setattr("simkit.checks.judge.met", crash)
    here.scenario("a", xfail="a known bug")
    assert session(pytester, here).parseoutcomes() == {"failed": 1}


# -- telling --
def test_a_failure_is_told_as_a_report_and_its_summary_names_what_broke(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.scenario("a", "agents:mute")
    result = session(pytester, here, "-rA")
    result.stdout.fnmatch_lines(
        [
            "*___ Is a answered? [[]run[]] ___*",
            "expect.last_message: *",
            "a.sim.yaml:6   expect.last_message",
            "  Replay   simkit run *a.sim.yaml::run*",
            "FAILED a.sim.yaml::run - expect.last_message: *",
        ]
    )
    assert [line for line in result.outlines if "Traceback" in line] == []


def test_junit_holds_plan_and_virtual_time_as_properties(pytester: pytest.Pytester, here: Folder) -> None:
    here.scenario("a")
    session(pytester, here, "--junitxml=out.xml", "--simkit-plan=seed=7")
    properties = ElementTree.parse("out.xml").findall(".//testcase/properties/property")
    assert {p.get("name"): p.get("value") for p in properties} == {
        "simkit_plan": "seed=7",
        "simkit_virtual_seconds": "0.0",
    }


def test_an_item_follows_the_plan_in_its_scenario_unless_another_is_given(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.scenario("a", plan="seed=3")
    plans = []
    for more in ((), ("--simkit-plan=seed=7",)):
        session(pytester, here, "--junitxml=out.xml", *more)
        plans += [p.get("value") for p in ElementTree.parse("out.xml").findall(".//property[@name='simkit_plan']")]
    assert plans == ["seed=3", "seed=7"]


def test_an_item_points_to_the_line_of_its_title(pytester: pytest.Pytester, here: Folder) -> None:
    text = Path(here.scenario("a")).read_text()
    here.file("a.sim.yaml", f"# why\n\n{text}")
    here.file(
        "conftest.py",
        "def pytest_itemcollected(item):\n    path, line, title = item.reportinfo()\n"
        "    print(path.name, line + 1, title)\n",
    )
    session(pytester, here, "--collect-only", "-s").stdout.fnmatch_lines(["a.sim.yaml 4 Is a answered? [[]run[]]"])


# -- options --
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--simkit-set=flaw", "ERROR: simkit: 'flaw' is not a setting: expected KEY=VALUE*"),
        ("--simkit-plan=foo", "ERROR: simkit: 'foo' is not a plan: expected seed=NUMBER*"),
    ],
)
def test_an_option_that_means_nothing_ends_the_session_before_it_starts(
    pytester: pytest.Pytester, here: Folder, option: str, message: str
) -> None:
    here.scenario("a")
    result = session(pytester, here, option)
    result.stderr.fnmatch_lines([message])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_setting_from_outside_reaches_the_subject_and_the_command_to_run_it_again(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.file("sets.py", "async def run(sim):\n    async for _ in sim.user:\n        sim.said(sim.settings['word'])\n")
    here.scenario("a", "sets:run", settings="{word: hello}")
    assert session(pytester, here).parseoutcomes() == {"passed": 1}
    result = session(pytester, here, "--simkit-set", "word=bye")
    result.stdout.fnmatch_lines(["  Replay *--set word=bye"])
    assert result.parseoutcomes() == {"failed": 1}


def test_a_setting_that_the_subject_does_not_have_is_an_error_of_collection(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.scenario("a", "agent")
    result = session(pytester, here, "--simkit-set", "flaw=stub_finsh_stop")
    result.stdout.fnmatch_lines(["simkit: --simkit-set: setting 'flaw' is *did you mean 'stub_finish_stop'?"])


def test_a_negative_number_of_plans_is_refused(pytester: pytest.Pytester, here: Folder) -> None:
    result = session(pytester, here, "--simkit-runs=-1")
    result.stderr.fnmatch_lines(["ERROR: simkit: --simkit-runs is negative, expected a whole number of 0 or more"])


# -- exploring --
NEAR_MISS = """
import asyncio

async def run(sim):
    async for _ in sim.user:
        task = asyncio.ensure_future(sim.tools["build"]())
        done, _ = await asyncio.wait([task], timeout=5)
        sim.said("hello" if done else "I do not know")
        sim.turn_ended("finished")
        await task
"""
TOOLS = "{build: {takes: 4999ms, returns: ok}}"


def near_miss(here: Folder, name: str, **keys: str) -> None:
    here.file("agents.py", NEAR_MISS)
    here.scenario(name, "agents:run", tools=TOOLS, provider="[]", explore="{runs: 20, jitter: 5ms}", **keys)


def test_a_case_that_explores_is_one_item_and_tells_its_smallest_plan_and_how_to_go_on(
    pytester: pytest.Pytester, here: Folder
) -> None:
    near_miss(here, "a")
    result = session(pytester, here, "-rA", "--junitxml=out.xml")
    result.stdout.fnmatch_lines(
        [
            "  Smallest failing case: 1 change from the normal order (found by * of 20 plans*",
            "    jitter=1ms: *",
            "    timing@0:2: *",
            "  Replay   simkit run *a.sim.yaml::run* --plan seed=0,jitter=1ms,timing@0:2",
            "  Keep     simkit pin * scenarios/regressions/",
            "20 plans beyond the default run; exhausted: *",
            "FAILED a.sim.yaml::run - expect.last_message: *",
        ]
    )
    properties = ElementTree.parse("out.xml").findall(".//testcase/properties/property")
    assert [(p.get("name"), p.get("value")) for p in properties][0::2] == [
        ("simkit_plan", "seed=0,jitter=1ms,timing@0:2"),
        ("simkit_plans", "20"),
    ]


def test_what_was_found_is_in_the_store_and_is_replayed_first(pytester: pytest.Pytester, here: Folder) -> None:
    near_miss(here, "a")
    session(pytester, here)
    result = session(pytester, here)
    result.stdout.fnmatch_lines(["*(found before, and run*", "1 plan beyond the default run; *"])
    assert len([*here.path.glob(".simkit/failures/*.json")]) == 1


def test_how_many_plans_are_tried_can_be_said_from_outside(pytester: pytest.Pytester, here: Folder) -> None:
    near_miss(here, "a")
    asked = [session(pytester, here, f"--simkit-runs={runs}").parseoutcomes() for runs in (0, 20)]
    assert asked == [{"passed": 1}, {"failed": 1}]


def test_what_is_found_in_a_case_that_is_expected_to_fail_is_expected(pytester: pytest.Pytester, here: Folder) -> None:
    near_miss(here, "a", xfail="a known bug")
    assert session(pytester, here).parseoutcomes() == {"xfailed": 1}


# -- tests in a world --
SIMULATED = """
import asyncio
import pytest
import simkit

@pytest.fixture
def money():
    return 100

class TestBank:
    @pytest.mark.parametrize("taken", [10, 60])
    @simkit.simulated(runs=50, order="any")
    async def test_who_is_first(self, money, taken):
        came = []
        async def take(name):
            await asyncio.sleep(0)
            came.append(name)
        await asyncio.gather(take("a"), take("b"))
        assert taken < 50 or came[0] == "a"

@simkit.simulated
async def test_it_is_left_out():
    pytest.importorskip("no_such_module_anywhere")

@simkit.simulated
async def test_a_scenario_is_played(simkit_world):
    sim = simkit_world.play("a.sim.yaml")
    async for _ in sim.user:
        sim.said("hello"), sim.turn_ended("finished")
"""


def test_simulated_tests_stand_beside_scenarios_and_tell_their_plan(pytester: pytest.Pytester, here: Folder) -> None:
    here.file("test_bank.py", SIMULATED)
    here.scenario("a")
    result = session(pytester, here, "-rA", "-p", "no:anyio")
    failing = "test_bank.py::TestBank::test_who_is_first[60]"
    result.stdout.fnmatch_lines(
        [
            "E *simkit: under the plan seed=0,order=any,order@0:1",
            'E *run it again: pytest "test_bank.py::*::test_who_is_first*" --simkit-plan=seed=0,order=any,order@0:1',
            "E *the default run passes, and * of 49 further plans fail like this",
        ]
    )
    assert (outcomes(result), result.parseoutcomes()["skipped"]) == (
        [
            f"FAILED {failing}",
            "PASSED a.sim.yaml::run",
            "PASSED test_bank.py::TestBank::test_who_is_first[10]",
            "PASSED test_bank.py::test_a_scenario_is_played",
        ],
        1,
    )
    again = session(pytester, here, failing, "--simkit-plan=seed=0,order=any,order@0:1")
    again.stdout.fnmatch_lines(["E *simkit: under the plan seed=0,order=any,order@0:1"])


def test_a_mark_for_anyio_does_not_get_in_the_way(pytester: pytest.Pytester, here: Folder) -> None:
    here.file("conftest.py", "import pytest\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n")
    here.file("test_one.py", "import pytest, simkit\npytestmark = pytest.mark.anyio\n" + AN_HOUR)
    assert session(pytester, here).parseoutcomes() == {"passed": 2}


AN_HOUR = """
import asyncio

@simkit.simulated
async def test_an_hour():
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() == 3600

async def test_of_anyio():
    await asyncio.sleep(0.001)
    assert asyncio.get_running_loop().time() != 3600
"""


# -- beside others --
def test_last_failed_and_exit_first_work(pytester: pytest.Pytester, here: Folder) -> None:
    for name, agent in (("a", "agents:good"), ("b", "agents:mute"), ("c", "agents:good")):
        here.scenario(name, agent)
    first = session(pytester, here, "-rA", "-x")
    again = session(pytester, here, "-rA", "--lf")
    assert (outcomes(first), outcomes(again)) == (
        ["FAILED b.sim.yaml::run", "PASSED a.sim.yaml::run"],
        ["FAILED b.sim.yaml::run"],
    )


def test_workers_of_xdist_run_and_report_scenarios(pytester: pytest.Pytester, here: Folder) -> None:
    here.scenario("a", matrix="{x: [p, q]}", about="${x}")
    here.scenario("b", "agents:mute")
    result = session(pytester, here, "-n", "2", "-rA", alone=True)
    assert outcomes(result) == ["FAILED b.sim.yaml::run", "PASSED a.sim.yaml::p", "PASSED a.sim.yaml::q"]
    result.stdout.fnmatch_lines(["b.sim.yaml:6   expect.last_message"])


ORDINARY = """
import asyncio, datetime, time
import freezegun

def test_types_and_clocks_are_real():
    assert datetime.datetime.__module__ == "datetime"
    assert type(time.time).__name__ == type(time.monotonic).__name__ == "builtin_function_or_method"

def test_asyncio_waits_in_real_time():
    before = time.monotonic()
    asyncio.run(asyncio.sleep(0.01))
    assert time.monotonic() > before

def test_freezegun_freezes():
    with freezegun.freeze_time("2020-02-02"):
        assert datetime.datetime.now().year == 2020
"""


def test_ordinary_tests_before_between_and_after_scenarios_see_the_real_world(
    pytester: pytest.Pytester, here: Folder
) -> None:
    for folder in "ace":
        here.file(f"{folder}/test_{folder}.py", ORDINARY)
    for folder in "bd":
        here.scenario(f"{folder}/one"), here.scenario(f"{folder}/two")
    assert session(pytester, here, alone=True).parseoutcomes() == {"passed": 13}


@pytest.mark.parametrize("ending", ["agents:mute", "stops:run"])
def test_a_session_that_ends_early_gives_the_clocks_back(pytester: pytest.Pytester, here: Folder, ending: str) -> None:
    here.file("stops.py", "def run(sim):\n    raise KeyboardInterrupt\n")
    here.scenario("a", ending), here.scenario("b")
    here.file(
        "late.py",
        "import datetime, pytest, sys\n"
        "pytest.main(['-x', '-q', '-p', 'no:hypothesispytest'])\n"
        "sys.exit(datetime.datetime.__module__ != 'datetime')\n",
    )
    assert pytester.run(sys.executable, "late.py").ret == 0


def test_a_suite_without_scenarios_imports_nothing_for_us(pytester: pytest.Pytester, here: Folder) -> None:
    here.file(
        "test_modules.py",
        "import json, pathlib, sys\n"
        "def test_modules(): pathlib.Path('modules.json').write_text(json.dumps(sorted(sys.modules)))\n",
    )
    loaded = []
    for blocked in ([], ["-p", "no:simkit"]):
        session(pytester, here, *blocked, alone=True)
        loaded.append(set(json.loads(Path("modules.json").read_text())))
    assert loaded[0] - loaded[1] == {"simkit", "simkit.pytest_plugin"}

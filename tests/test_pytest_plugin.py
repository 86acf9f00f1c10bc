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
NEEDED = ("freezegun.api", "simkit.run", "simkit.options", "simkit.reporters.text", "simkit.subjects.agent")


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
            "Run it again   simkit run *a.sim.yaml::run*",
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
    result.stdout.fnmatch_lines(["Run it again*--set word=bye"])
    assert result.parseoutcomes() == {"failed": 1}


def test_a_setting_that_the_subject_does_not_have_is_an_error_of_collection(
    pytester: pytest.Pytester, here: Folder
) -> None:
    here.scenario("a", "agent")
    result = session(pytester, here, "--simkit-set", "flaw=stub_finsh_stop")
    result.stdout.fnmatch_lines(["simkit: --simkit-set: setting 'flaw' is *did you mean 'stub_finish_stop'?"])


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

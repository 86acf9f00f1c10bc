"""``simkit show``: a trace, a stored failure and a scenario, each in every form, and what is refused by name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simkit.cli import main
from simkit.commands.tracefile import read_traces
from simkit.errors import UsageError
from simkit.reporters.jsonl import JSONL
from simkit.run import load, run_scenario
from tests.conftest import Folder


def show(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["show", *arguments])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", *arguments])


def stored() -> str:
    """Run everything, and return the id of the only failure."""
    run(".")
    (file,) = Path(".simkit/failures").glob("*.json")
    return file.stem.rpartition("-")[2]


# -- a trace file --
LATE = "import asyncio\nasync def run(sim):\n    await asyncio.sleep(90.000000001)\n    sim.said('hello')\n"


def test_a_trace_that_is_read_back_is_the_trace_that_was_written(folder: Folder) -> None:
    folder.file("late.py", LATE)
    result = run_scenario(folder.scenario(agent="late:run"))
    folder.file("out.jsonl", JSONL.render([result]))
    (again,) = read_traces(Path("out.jsonl"))
    assert (JSONL.render([again]), again.trace.end_ns) == (Path("out.jsonl").read_text("utf-8"), 90_000_000_001)


def test_all_cases_of_a_trace_are_shown_or_the_one_that_is_named(folder: Folder) -> None:
    folder.scenario("a"), folder.scenario("b")
    run("--trace", "out.jsonl")
    heads = [
        [line for line in show("out.jsonl", *options).stdout.splitlines() if line.startswith("____")]
        for options in ((), ("--case", "2"), ("--case", "Is a"), ("--case", "Is b answered?"))
    ]
    first, second = "____ Is a answered?", "____ Is b answered?"
    assert heads == [[first, second], [second], [first], [second]]


def test_a_trace_alone_has_no_verdict(folder: Folder) -> None:
    folder.scenario()
    run("--trace", "out.jsonl")
    (result,) = json.loads(show("out.jsonl", "--as", "json").stdout)["results"]
    assert (result["verdict"], [finding["law"] for finding in result["findings"]]) == ("UNKNOWN", ["not judged"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a JSON object at line 1"),
        ("[]\n", "expected a JSON object at line 1"),
        ('{"at": 0, "who": "user", "what": "user.says"}\n', 'expected a line such as {"case": ...} at line 1'),
        ('{"case": "a"}\n{"at": "soon", "who": "user", "what": "user.says"}\n', "at line 2"),
        ('{"case": "a"}\n{"at": 0, "who": "user"}\n', "at line 2"),
        ('{"case": "a"}\n{"at": 0, "who": "us\n', "expected a JSON object at line 2"),
    ],
)
def test_what_is_no_trace_is_told_with_its_line(folder: Folder, text: str, told: str) -> None:
    folder.file("out.jsonl", text)
    ran = show("out.jsonl")
    assert (ran.exit_code, ran.stdout, told in ran.stderr, "Traceback" in ran.stderr) == (2, "", True, False)


def test_a_trace_of_other_bytes_is_told(folder: Folder) -> None:
    Path("out.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"out\.jsonl' is no trace: "):
        read_traces(Path("out.jsonl"))


# -- a scenario, and a failure of the store --
def test_a_scenario_is_run_and_shown_whatever_its_verdict(folder: Folder) -> None:
    passing, failing = folder.scenario("a"), folder.scenario("b", "agents:mute")
    ran = [show(passing), show(failing)]
    assert [(one.exit_code, one.stdout.split()[0], "the run ends" in one.stdout) for one in ran] == [
        (0, "PASS", True),
        (0, "FAIL", True),
    ]


def test_a_stored_failure_is_shown_as_it_failed(folder: Folder) -> None:
    folder.scenario("a", "agents:mute")
    ran = show(stored()[:4])
    assert (ran.exit_code, "a.sim.yaml:6   expect.last_message" in ran.stdout) == (0, True)


def test_what_an_agent_prints_is_not_shown_between_the_lines(folder: Folder) -> None:
    ran = show(folder.scenario("a", "agents:chatty"), "--as", "jsonl")
    assert (ran.stderr, [json.loads(line) is not None for line in ran.stdout.splitlines()][:2]) == (
        "I am thinking\n",
        [True, True],
    )


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("text", "FAIL"),
        ("mermaid", "sequenceDiagram"),
        ("jsonl", '{"case": '),
        ("junit", "<?xml"),
        ("github", "::error "),
    ],
)
def test_every_form_is_printed_or_written(folder: Folder, form: str, begins: str) -> None:
    folder.scenario("a", "agents:mute")
    id_ = stored()
    printed, written = show(id_, "--as", form), show(id_, "--as", form, "-o", "out.txt")
    assert (printed.stdout[: len(begins)], written.stdout, written.stderr[:17]) == (begins, "", "simkit: out.txt: ")
    assert Path("out.txt").read_text("utf-8").startswith(begins)


def test_perfetto_is_json_with_events(folder: Folder) -> None:
    assert json.loads(show(folder.scenario(), "--as", "perfetto").stdout)["traceEvents"]


# -- what is refused --
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["zzzz"], "no failure in '.simkit/failures' has the id 'zzzz'"),
        (["gone.jsonl"], "'gone.jsonl' cannot be read: No such file or directory"),
        (["gone.sim.yaml"], "no such file or folder: 'gone.sim.yaml'"),
        (["b.sim.yaml"], "'b.sim.yaml' means 2 cases, expected one, such as 'b.sim.yaml::p'"),
        (["a.sim.yaml", "--as", "pge"], "no reporters extension is called 'pge' - did you mean 'page'?"),
        (["a.sim.yaml", "-o", "x.sim.yaml"], "'x.sim.yaml' is the name of a scenario, expected another one"),
        (["a.sim.yaml", "-o", "no/such/x.txt"], "'no/such/x.txt' cannot be written: "),
        (["a.sim.yaml", "--case", "1"], "--case means nothing for a scenario, whose row is named by FILE::ROW"),
        (["a.sim.yaml", "--plan", "foo"], "'foo' is not a plan"),
        (["out.jsonl", "--plan", "seed=1"], "--plan means nothing for a trace, which is not run again"),
        (["out.jsonl", "--set", "a=b"], "--set means nothing for a trace, which is not run again"),
        (["out.jsonl", "--case", "9"], "'out.jsonl' has no case 9, expected a number from 1 to 3"),
        (
            ["out.jsonl", "--case", "Is"],
            "has several cases whose names begin with 'Is' - there are: 1 'Is a",
        ),
        (["out.jsonl", "--case", "Was"], "has no case whose name begins with 'Was' - there are: 1 'Is a"),
        (
            ["out.jsonl", "--as", "mermaid"],
            "--as mermaid shows one case, and there are 3: pick one with --case - there",
        ),
    ],
)
def test_a_mistake_is_one_message_and_exit_2(folder: Folder, arguments: list[str], told: str) -> None:
    folder.scenario("a"), folder.scenario("b", matrix="{x: [p, q]}", about="${x}")
    run("--trace", "out.jsonl")
    ran = show(*arguments)
    assert (ran.exit_code, ran.stdout, told in ran.stderr, "Traceback" in ran.stderr) == (2, "", True, False), (
        ran.stderr
    )


def test_a_scenario_that_is_shown_is_not_changed(folder: Folder) -> None:
    (case,) = load(folder.scenario())
    show(case.file, "-o", case.file)
    assert load(case.file) == (case,)


def test_the_page_of_a_run_under_a_plan_shows_how_it_differs_from_the_normal_one(folder: Folder) -> None:
    name = folder.scenario()
    pages = [show(name, "--as", "page", "--plan", plan).stdout for plan in ("seed=0", "seed=7")]
    assert [re.findall(r'"difference": ?(null|\{)', page) for page in pages] == [["null"], ["{"]]

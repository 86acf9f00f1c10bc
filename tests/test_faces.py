"""What all verbs have in common, and what a run leaves behind for people and machines that were not there.

Help with examples that can be typed, output that survives pipes, narrow and colourless terminals and other encodings;
reports, JUnit and what a workflow of GitHub reads.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner, Result

from simkit.cli import VERBS, main
from tests.conftest import Folder
from tests.docs.test_examples import understood

SIMKIT = (sys.executable, "-m", "simkit.cli")
GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "summary.md"}


def simkit(*arguments: str, **env: str) -> Result:
    return CliRunner(env=env).invoke(main, arguments)


# -- help --
def examples(verb: str) -> list[str]:
    """Return the commands below ``Examples:`` of a verb's help, as they would be typed."""
    _, _, told = simkit(verb, "--help").stdout.partition("Examples:\n")
    lines = [line.strip() for line in told.partition("\n\n")[0].splitlines()]
    parts = [part for line in lines for part in re.findall(r"simkit [^|)>]+", re.sub(r" {2,}.*", "", line))]
    return [part.strip().rstrip('"') if part.count('"') % 2 else part.strip() for part in parts]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_examples_and_they_can_be_typed(verb: str) -> None:
    commands = examples(verb)
    assert [shlex.split(command)[1] for command in commands].count(verb) > 0
    for command in commands:
        understood(command)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("columns", [40, 80])
def test_every_help_tells_its_exit_codes_and_keeps_to_the_width(verb: str, columns: int) -> None:
    with click.Context(main, terminal_width=columns) as above:
        command = main.get_command(above, verb)
        assert command is not None
        text = command.get_help(click.Context(command, info_name=verb, parent=above, terminal_width=columns))
    # Examples stand as they are typed, and a word is never broken.
    told = [line for line in text.partition("Options:")[2].splitlines() if len(line) > columns and " " in line.strip()]
    assert ("Exit codes: 0 " in text.replace("\n", " "), [one for one in told if columns == 80]) == (True, [])


def test_the_list_of_verbs_has_whole_sentences() -> None:
    listed = simkit("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    assert ([line.split()[0] for line in listed.splitlines() if line[2] != " "], "..." in listed) == ([*VERBS], False)


# -- pipes, colours, encodings --
SAYING = (
    ["run", "a.sim.yaml"],
    ["show", "a.sim.yaml"],
    ["lint", "a.sim.yaml"],
    ["diff", "old.json", "new.json"],
    ["explain"],
    ["schema"],
    ["completion", "bash"],
)


@pytest.fixture
def project(folder: Folder) -> Path:
    """A scenario that fails, with a title that few encodings know, and two results of it."""
    folder.scenario("a", "agents:mute", scenario="Ünï → 日本?")
    for name, agent in (("old", "agents:good"), ("new", "agents:mute")):
        folder.file(f"{name}.json", simkit("run", "a.sim.yaml", "--subject", agent, "--format", "json").stdout)
    return folder.path


@pytest.mark.parametrize("words", SAYING, ids=lambda words: str(words[0]))
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_whatever_the_terminal_cannot_show_is_escaped(project: Path, words: list[str], encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    ran = subprocess.run([*SIMKIT, *words], capture_output=True, env=environment, check=False)
    assert (ran.returncode in (0, 1), b"Traceback" in ran.stderr, bool(ran.stdout.decode(encoding))) == (
        *(True, False),
        True,
    )


@pytest.mark.parametrize("words", SAYING, ids=lambda words: str(words[0]))
def test_a_terminal_without_colours_gets_none_and_neither_does_a_pipe(project: Path, words: list[str]) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "40"}
    with subprocess.Popen([*SIMKIT, *words], stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        # Read while it writes: a terminal holds a few lines only.
        on_terminal = _read(ours)
    in_pipe = subprocess.run([*SIMKIT, *words], capture_output=True, check=False).stdout
    assert [b"\x1b[" in text for text in (on_terminal, in_pipe)] == [False, False]


def _read(terminal: int) -> bytes:
    text = b""
    with os.fdopen(terminal, "rb", buffering=0) as reader:
        try:
            while piece := reader.read(65536):
                text += piece
        except OSError:
            # Nobody writes there any more.
            pass
    return text


# -- what a run leaves behind --
def test_junit_is_written_beside_what_is_printed(folder: Folder) -> None:
    folder.scenario("a"), folder.scenario("b", "agents:mute")
    ran = simkit("run", "--junit", "junit.xml", "--set", "flaw=x")
    root = ElementTree.parse("junit.xml").getroot()
    told = root.findtext(".//failure") or ""
    assert (ran.exit_code, root.get("tests"), root.get("failures"), "--set flaw=x" in told) == (1, "2", "1", True)


@pytest.mark.parametrize(
    ("report", "folder_of_it", "pages"),
    [("failures", "simkit-report", 1), ("all", "simkit-report", 2), ("build/pages", "build/pages", 1)],
)
def test_a_report_is_an_index_and_a_page_for_what_was_asked(
    folder: Folder, report: str, folder_of_it: str, pages: int
) -> None:
    folder.scenario("a"), folder.scenario("b", "agents:mute")
    ran = simkit("run", "--report", report)
    found = sorted(path.name for path in Path(folder_of_it).iterdir())
    assert (len(found), "index.html" in found) == (pages + 1, True)
    assert ran.stderr == f"simkit: the report is {folder_of_it}/index.html\n"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (
            "--report=falures",
            "'falures' is no folder, and none of the words that --report takes - did you mean 'failures'?",
        ),
        ("--report=a.sim.yaml", "the report cannot be written to 'a.sim.yaml': "),
        ("--junit=a.sim.yaml", "the JUnit file would overwrite the scenario 'a.sim.yaml', expected another name"),
        ("--junit=no/such/x.xml", "the JUnit file cannot be written to 'no/such/x.xml': "),
        ("--shard=3/2", "--shard: '3/2' is no part of a suite"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_runs(folder: Folder, option: str, told: str) -> None:
    text = Path(folder.scenario()).read_text("utf-8")
    ran = simkit("run", "a.sim.yaml", option)
    assert (ran.exit_code, ran.stdout, told in ran.stderr) == (2, "", True)
    assert Path("a.sim.yaml").read_text("utf-8") == text


def test_one_output_that_fails_takes_no_other_with_it(folder: Folder) -> None:
    ran = simkit("run", folder.scenario(), "--trace", "/dev/full", "--junit", "junit.xml")
    assert (ran.exit_code, ElementTree.parse("junit.xml").getroot().get("tests")) == (2, "1")
    assert ran.stderr.startswith("simkit: the trace cannot be written to '/dev/full': ")


# -- GitHub --
def annotated(text: str) -> list[str]:
    return [line.partition(",title=")[0] for line in text.splitlines() if line.startswith("::")]


def test_a_workflow_gets_annotations_behind_the_report_and_a_summary(folder: Folder) -> None:
    folder.scenario("a"), folder.scenario("b", "agents:mute")
    folder.file("summary.md", "# what another step has said\n")
    ran = simkit("run", **GITHUB)
    summary = Path("summary.md").read_text("utf-8").splitlines()
    assert (ran.exit_code, annotated(ran.stdout), summary[:2]) == (
        1,
        ["::error file=b.sim.yaml,line=6,col=10"],
        ["# what another step has said", "### simkit: 1 failed, 1 passed"],
    )


def test_outside_a_workflow_there_are_none(folder: Folder) -> None:
    folder.scenario("a", "agents:mute")
    assert (annotated(simkit("run").stdout), Path("summary.md").exists()) == ([], False)


def test_annotations_can_be_asked_for_and_are_then_all_but_the_last_line(folder: Folder) -> None:
    folder.scenario("a", "agents:mute"), folder.scenario("b", "agents:chatty")
    ran = simkit("run", "--format", "github")
    lines = ran.stdout.splitlines()
    assert (len(lines), len(annotated(ran.stdout)), lines[0].partition(";")[0], ran.stderr) == (
        *(2, 1),
        "2 cases: 1 passed, 1 failed",
        "I am thinking\n",
    )


def test_the_document_of_json_stays_alone_on_standard_output_in_a_workflow(folder: Folder) -> None:
    folder.scenario("a", "agents:mute")
    ran = simkit("run", "--format", "json", **GITHUB)
    assert (annotated(ran.stdout), len(annotated(ran.stderr))) == ([], 1)


def test_in_a_folder_of_the_repository_paths_begin_at_its_root(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.scenario("sub/a", "agents:mute")
    monkeypatch.chdir(folder.path / "sub")
    ran = simkit("run", GITHUB_WORKSPACE=str(folder.path), **GITHUB)
    assert annotated(ran.stdout) == ["::error file=sub/a.sim.yaml,line=6,col=10"]


def test_the_second_run_of_verify_adds_nothing_to_the_summary(folder: Folder) -> None:
    simkit("run", folder.scenario(), "--verify", **GITHUB)
    assert Path("summary.md").read_text("utf-8").count("### simkit") == 1

"""``simkit new`` as somebody meets it: with options, with questions on a terminal, and with nobody to ask."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simkit import cli
from simkit.authoring.templates import TEMPLATES
from simkit.run import load
from tests.conftest import Folder

SIMKIT = (sys.executable, "-m", "simkit.cli")


def simkit(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def at_a_terminal(arguments: Sequence[str], answers: str) -> tuple[int, str]:
    """Run ``simkit new`` on a terminal at which these answers are typed; return its exit code and all that it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*SIMKIT, "new", *arguments], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        terminal.write(answers.encode())
        shown = b""
        # Linux tells the end of a terminal's other side as an error.
        try:
            while piece := terminal.read(4096):
                shown += piece
        except OSError:
            pass
    return process.wait(), shown.decode().replace("\r\n", "\n")


# -- what is written -------------------------------------------------------------------------------------------------
def test_the_new_file_runs_as_it_stands_and_so_do_the_commands_that_are_printed(folder: Folder) -> None:
    made = simkit("new", "mine", "--template", "rate-limit")
    typed = [line.partition(" # ")[0].split()[1:] for line in made.stdout.splitlines() if line.startswith("  simkit ")]
    assert (made.exit_code, [(words[0], simkit(*words).exit_code) for words in typed]) == (
        0,
        [("run", 0), ("run", 1), ("lint", 0)],
    )


@pytest.mark.parametrize("template", TEMPLATES)
def test_without_a_name_the_file_is_called_after_the_template(folder: Folder, template: str) -> None:
    simkit("new", "--template", template)
    assert [path.name for path in folder.path.glob("*.sim.yaml")] == [f"{template.replace('-', '_')}.sim.yaml"]


@pytest.mark.parametrize("words", [["mine"], ["mine.sim.yaml"], ["-o", "mine.sim.yaml"]])
def test_a_name_is_taken_with_its_suffix_or_without(folder: Folder, words: list[str]) -> None:
    simkit("new", *words, "--template", "stall", "--title", "Mine?", "--dialect", "anthropic")
    (case,) = load("mine.sim.yaml")
    assert (case.title, case.settings["dialect"]) == ("Mine?", "anthropic")


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("a.sim.yaml", ".simkit/scenario.schema.json"),
        ("deep/down/a.sim.yaml", "../../.simkit/scenario.schema.json"),
        ("../elsewhere/a.sim.yaml", ".simkit/scenario.schema.json"),
    ],
)
def test_the_first_line_leads_to_a_schema_that_is_there(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, file: str, schema: str
) -> None:
    for name in ("here/deep/down", "elsewhere"):
        (folder.path / name).mkdir(parents=True)
    monkeypatch.chdir(folder.path / "here")
    simkit("new", "-o", file, "--template", "stall")
    first = Path(file).read_text("utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={schema}"
    assert json.loads((Path(file).parent / schema).read_text("utf-8"))["fileMatch"] == ["*.sim.yaml"]


def test_the_folder_of_the_schema_hides_itself_from_git_and_a_stale_schema_is_made_anew(folder: Folder) -> None:
    folder.file(".simkit/scenario.schema.json", "{}")
    folder.file(".simkit/.gitignore", "mine\n")
    simkit("new", "a", "--template", "stall")
    again = (folder.path / ".simkit/scenario.schema.json").read_text("utf-8")
    kept = (folder.path / ".simkit/.gitignore").read_text("utf-8")
    (folder.path / ".simkit/.gitignore").unlink()
    simkit("new", "b", "--template", "stall")
    assert (len(again) > 1000, kept, (folder.path / ".simkit/.gitignore").read_text("utf-8")) == (True, "mine\n", "*\n")


def test_somebody_whose_agent_is_not_there_yet_is_told_and_one_whose_agent_is_there_is_not(folder: Folder) -> None:
    said = [
        simkit("new", name, "--template", "stall", "--subject", subject).stdout.count("is not there yet")
        for name, subject in (("a", "gone:run"), ("b", "agents:good"), ("c", "agent-sync"))
    ]
    assert said == [1, 0, 0]


def test_the_list_names_every_template_and_writes_nothing(folder: Folder) -> None:
    shown = simkit("new", "--list").stdout.splitlines()
    assert ([line.strip() for line in shown[::2]], list(folder.path.iterdir())) == (
        list(TEMPLATES),
        [folder.path / "agents.py"],
    )


def test_no_line_of_the_list_is_wider_than_a_terminal_that_is_not_narrow() -> None:
    assert [line for line in simkit("new", "--list").stdout.splitlines() if len(line) > 90] == []


# -- mistakes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nobody is there to be asked, so name a template: simkit new --template stall"),
        (["--dialect", "anthropic"], "nobody is there to be asked, so name a template"),
        (["there", "--template", "stall"], "'there.sim.yaml' is there already, and nothing is written over it"),
        (["gone/mine", "--template", "stall"], "there is no folder 'gone' to write 'mine.sim.yaml' to"),
        (["a", "-o", "b.sim.yaml", "--template", "stall"], "'a' and --output 'b.sim.yaml' both name the file"),
        (["-o", "mine.yaml", "--template", "stall"], "'mine.yaml' is no name of a scenario"),
        (["", "--template", "stall"], "'' is no name of a scenario"),
        (["gone/", "--template", "stall"], "'gone/' is no name of a scenario"),
        (["--template", "stal"], "no template is called 'stal' - did you mean 'stall'?"),
        (["--template", "stall", "--dialect", "gemini"], "subject 'agent' does not speak 'gemini'"),
        (["--template", "stall", "--subject", "mine"], "'mine' is no subject"),
        (["--template", "stall", "--title", "two\nlines"], "'two\\nlines' is no title"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_written(folder: Folder, words: list[str], message: str) -> None:
    folder.file("there.sim.yaml", "somebody's own")
    before = sorted(path.name for path in folder.path.iterdir())
    ran = simkit("new", *words)
    assert (ran.exit_code, ran.stderr[: len(message) + 8], ran.stdout) == (2, f"simkit: {message}", "")
    assert sorted(path.name for path in folder.path.iterdir()) == before
    assert (folder.path / "there.sim.yaml").read_text("utf-8") == "somebody's own"


def test_a_schema_that_cannot_be_written_is_told_before_the_scenario_is(folder: Folder) -> None:
    folder.file(".simkit", "a file")
    ran = simkit("new", "a", "--template", "stall")
    assert (ran.exit_code, ran.stderr.startswith("simkit: the schema cannot be written to '.simkit'")) == (2, True)
    assert not (folder.path / "a.sim.yaml").exists()


# -- questions -------------------------------------------------------------------------------------------------------
def test_on_a_terminal_three_questions_are_asked_and_a_wrong_answer_is_asked_for_again(folder: Folder) -> None:
    code, shown = at_a_terminal([], "99\nrate-limit\nmorse\ngemini\nagent\nagents:good\n")
    (case,) = load("rate_limit.sim.yaml")
    assert (code, case.subject, re.findall(r"Error: (.*?)(?: - |, )", shown)) == (
        0,
        "agents:good",
        [
            "no template is called '99'",
            "no dialect is called 'morse'",
            "subject 'agent' does not speak 'gemini'",
        ],
    )


def test_on_a_terminal_the_usual_answers_are_three_times_enter(folder: Folder) -> None:
    code, shown = at_a_terminal(["mine"], "\n\n\n")
    assert (code, "stall, 3 answers, under test: agent" in shown, load("mine.sim.yaml")[0].subject) == (
        0,
        True,
        "agent",
    )


def test_what_an_option_says_is_not_asked_for(folder: Folder) -> None:
    code, shown = at_a_terminal(["mine", "--subject", "agent"], "background-polling\n")
    assert (code, "Wire" in shown, "Subject" in shown) == (0, False, False)


@pytest.mark.parametrize("words", [["--title", "\t"], ["--subject", "mine"], ["--dialect", "morse"]])
def test_an_option_that_cannot_be_used_is_not_asked_for_again(folder: Folder, words: list[str]) -> None:
    code, _ = at_a_terminal(["mine", *words], "1\n1\n")
    assert (code, list(folder.path.glob("*.sim.yaml"))) == (2, [])


def test_whoever_stops_answering_gets_no_file(folder: Folder) -> None:
    ctrl_d = "\x04"
    code, shown = at_a_terminal(["mine"], f"stall\n{ctrl_d}")
    assert (code, shown.splitlines()[-1], list(folder.path.glob("*"))) == (
        130,
        "nothing was written",
        [folder.path / "agents.py"],
    )

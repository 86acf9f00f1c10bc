"""Every kind of failure reads as it was reviewed, and the commands in its report do what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simkit import cli
from tests.conftest import Folder
from tests.reporters.kinds import AGENTS, KINDS
from tests.reporters.test_text import is_golden

FILE = "case.sim.yaml"
VERIFY = "--verify"
KEPT = [name for name, kind in KINDS.items() if name not in ("xfail_passed", "nondeterminism")]


@pytest.fixture(autouse=True)
def terminal(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A usual terminal, in the folder of a user who has these agents."""
    monkeypatch.setenv("COLUMNS", "80")
    folder.file("agents.py", AGENTS)


def simkit(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def failed(name: str, *more: str) -> str:
    """Run a kind as its user does, and return what was printed."""
    kind = KINDS[name]
    Path(FILE).write_text(kind.scenario, encoding="utf-8")
    line = ("run", *kind.options, *more, FILE)
    # The order of a set of texts is that of the process.
    return in_a_shell(shlex.join(["simkit", *line]))[1] if VERIFY in kind.options else simkit(*line).stdout


def as_reviewed(output: str) -> str:
    """Leave out the one thing that differs from run to run, and the padding that depends on it."""
    output = re.sub(r" +(\S+ virtual) +\d+\.\d\ds wall", r"  \1", output)
    return re.sub(r" in \d+\.\d\ds$", "", output, flags=re.MULTILINE)


def command(output: str, label: str) -> str:
    """Return the command behind a label of the report."""
    (found,) = re.findall(rf"^  {label} +(simkit .*)$", output, re.MULTILINE)
    return str(found)


def in_a_shell(line: str) -> tuple[int, str]:
    """Carry out a command as somebody who pasted it."""
    line = line.replace("simkit", f"{shlex.quote(sys.executable)} -m simkit.cli", 1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"}
    done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, as_reviewed(done.stdout)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_failure_reads_as_it_was_reviewed_and_its_replay_fails_the_same_way(name: str) -> None:
    told = as_reviewed(failed(name))
    label = "replay" if VERIFY in KINDS[name].options else "Replay"

    assert is_golden(f"kind_{name}", told)
    assert in_a_shell(command(told, label)) == (1, told)


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_becomes_a_scenario_that_fails_by_the_same_law(name: str) -> None:
    output = failed(name)
    pinned = simkit(*shlex.split(command(output, "Keep"))[1:])
    law = re.findall(r"^case\S*   (?:always: )?(\S+)", output, re.MULTILINE)[0]

    assert (pinned.exit_code, pinned.stdout.partition(": ")[2]) == (0, f"fails by {law}, as {FILE}::run does\n")


@pytest.mark.parametrize("name", [name for name in KINDS if name != "nondeterminism"])
@pytest.mark.parametrize("columns", [40, 80])
def test_a_report_keeps_to_the_columns_and_to_forty_rows(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    report = failed(name).partition("____")[2].partition("\n1 case")[0]
    # What people paste is never cut.
    body = [row for row in report.splitlines()[1:] if not re.match(rf"  (Replay|Look|Keep) |{FILE}", row)]

    assert ([row for row in body if len(row) > columns], len(body) <= 40) == ([], True)


@pytest.mark.parametrize("no_save", [False, True])
def test_where_nothing_is_kept_the_report_ends_with_the_replay(folder: Folder, no_save: bool) -> None:
    if not no_save:
        folder.file(".simkit", "in the way")
    told = failed("raised", *["--no-save"] * no_save)

    assert (re.findall(r"^  (Replay|Look|Keep) ", told, re.MULTILINE), "1 failed" in told) == (["Replay"], True)


def test_in_short_a_failure_is_its_first_finding_and_the_command() -> None:
    rows = failed("expectations", "-q").splitlines()

    assert [row for row in rows if row][1:6] == [
        "case.sim.yaml:7   expect.requests",
        "    expected  requests to be 1",
        "    actual    2",
        "  and 2 more: expect.last_message, expect.tool_calls",
        '  Replay   simkit run "case.sim.yaml::run" --plan seed=0',
    ]


def test_what_a_narrow_encoding_cannot_say_is_escaped(folder: Folder) -> None:
    folder.file("agents.py", AGENTS.replace("I do not know.", "Ich wei\N{LATIN SMALL LETTER SHARP S} es nicht."))
    Path(FILE).write_text(KINDS["expectations"].scenario, encoding="utf-8")
    code, told = in_a_shell(f"env PYTHONIOENCODING=ascii simkit run --no-save {FILE}")

    assert (code, told.isascii(), "Ich wei\\xdf es nicht." in told) == (1, True, True)

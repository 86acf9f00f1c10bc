"""``simkit lint`` as its user meets it: what is printed, where, for whom, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from simkit import cli
from simkit.linting.formats import as_github
from simkit.linting.rules import RULES, Remark
from tests.conftest import Folder


def lint(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["lint", *arguments])


def shown(ran: Result) -> tuple[int, str, str]:
    return ran.exit_code, ran.stdout, ran.stderr


UNSORTED: Final = """simkit: 1
scenario: Is a answered?
user: [{at: 0s, says: hi}]
subject: agents:good
provider: []
expect: {last_message: hello}
"""
SORTED: Final = UNSORTED.replace("subject: agents:good\n", "").replace("user:", "subject: agents:good\nuser:")
WARNING: Final = """b.sim.yaml:4:1: warning: the key 'subject' belongs above 'user' [key-order] - simkit lint --fix \
moves it there with its comments
    4 | subject: agents:good
      | ^
"""
PROBLEM: Final = """c.sim.yaml:4:1: unknown key 'usr' in a scenario - did you mean 'user'?
    4 | usr: []
      | ^
"""


@pytest.fixture
def project(folder: Folder) -> Folder:
    """A folder with a good file, one that is doubted and one that is wrong."""
    folder.file("a.sim.yaml", SORTED)
    folder.file("b.sim.yaml", UNSORTED)
    folder.file("c.sim.yaml", "simkit: 1\nscenario: c\nsubject: agents:good\nusr: []\nprovider: []\n")
    return folder


# -- for people ----------------------------------------------------------------------------------
def test_problems_go_to_standard_error_and_warnings_with_the_summary_to_standard_output(project: Folder) -> None:
    assert shown(lint()) == (2, f"{WARNING}3 files, 2 cases: 1 problem, 1 warning\n", PROBLEM)


def test_warnings_alone_do_not_count(project: Folder) -> None:
    assert shown(lint("a.sim.yaml", "b.sim.yaml")) == (0, f"{WARNING}2 files, 2 cases: no problems, 1 warning\n", "")


def test_strict_makes_warnings_count(project: Folder) -> None:
    assert (lint("--strict", "b.sim.yaml").exit_code, lint("--strict", "a.sim.yaml").exit_code) == (1, 0)


def test_a_problem_outweighs_warnings(project: Folder) -> None:
    assert lint("--strict").exit_code == 2


def test_a_rule_can_be_switched_off(project: Folder) -> None:
    assert shown(lint("--strict", "--off", "key-order", "b.sim.yaml")) == (0, "1 file, 1 case: no problems\n", "")


def test_a_rule_that_is_none_is_named_with_its_neighbour(project: Folder) -> None:
    assert shown(lint("--off", "key-oder")) == (
        2,
        "",
        "simkit: --off: no rule is called 'key-oder' - did you mean 'key-order'?\n",
    )


def test_the_rules_are_listed_with_their_sentences() -> None:
    ran = lint("--rules")
    assert [line.split()[0] for line in ran.stdout.splitlines()] == list(RULES)


def test_a_path_that_is_not_there_keeps_nothing_back_of_the_others(project: Folder) -> None:
    assert shown(lint("gone", "b.sim.yaml")) == (
        2,
        f"{WARNING}2 files, 1 case: 1 problem, 1 warning\n",
        "simkit: no such file or folder: 'gone'\n",
    )


def test_a_row_is_counted_alone_and_doubted_together_with_the_others(folder: Folder) -> None:
    path = folder.scenario(matrix="{x: [p, q]}", about="${x}")
    assert lint(f"{path}::p", "--off", "key-order", "--off", "unused-answer").stdout == "1 file, 1 case: no problems\n"


def test_a_row_that_is_not_there_is_named(project: Folder) -> None:
    assert lint("a.sim.yaml::x").stderr == "simkit: a.sim.yaml has no row 'x' - known: run\n"


def test_a_file_that_is_named_twice_is_told_once(project: Folder) -> None:
    assert lint("b.sim.yaml", ".", "--no-run").stdout.count("[key-order]") == 1


def test_what_an_agent_prints_is_no_part_of_the_output(folder: Folder) -> None:
    folder.scenario("a", "agents:chatty", provider="[]")
    assert lint().stdout == "1 file, 1 case: no problems\n"


def test_a_reader_that_goes_away_is_no_failure_of_simkit(project: Folder) -> None:
    command = f"{sys.executable} -m simkit.cli lint --no-run . 2>errors | true; cat errors"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ, "TERM": "dumb"})
    assert "simkit itself failed" not in ran.stdout


def test_help_fits_a_terminal() -> None:
    assert [line for line in lint("--help").stdout.splitlines() if len(line) > 80] == []


# -- for machines --------------------------------------------------------------------------------
def test_json_is_one_document_with_everything(project: Folder) -> None:
    ran = lint("--format", "json", "gone", "b.sim.yaml", "c.sim.yaml")
    assert (ran.exit_code, ran.stderr, json.loads(ran.stdout)) == (
        2,
        "",
        {
            "problems": [
                {
                    "file": None,
                    "line": None,
                    "column": None,
                    "severity": "error",
                    "rule": "usage",
                    "text": "no such file or folder: 'gone'",
                    "remedy": "",
                },
                {
                    "file": "b.sim.yaml",
                    "line": 4,
                    "column": 1,
                    "severity": "warning",
                    "rule": "key-order",
                    "text": "the key 'subject' belongs above 'user'",
                    "remedy": "simkit lint --fix moves it there with its comments",
                },
                {
                    "file": "c.sim.yaml",
                    "line": 4,
                    "column": 1,
                    "severity": "error",
                    "rule": "scenario",
                    "text": "unknown key 'usr' in a scenario",
                    "remedy": "did you mean 'user'?",
                },
            ]
        },
    )


def test_json_of_nothing_is_an_empty_list(project: Folder) -> None:
    assert json.loads(lint("--format", "json", "a.sim.yaml").stdout) == {"problems": []}


def test_github_gets_an_annotation_for_each(project: Folder) -> None:
    assert shown(lint("--format", "github", "gone", "b.sim.yaml", "c.sim.yaml")) == (
        2,
        "::error title=simkit::no such file or folder: 'gone'\n"
        "::warning file=b.sim.yaml,line=4,col=1,title=simkit%3A key-order::the key 'subject' belongs above 'user' - "
        "simkit lint --fix moves it there with its comments\n"
        "::error file=c.sim.yaml,line=4,col=1,title=simkit::unknown key 'usr' in a scenario - did you mean 'user'?\n",
        "",
    )


def test_what_means_something_to_github_is_escaped() -> None:
    one = Remark(rule="scenario", severity="error", text="50%\r\nof a: b, c", file="a,b:c%.yaml", line=1, column=2)
    assert as_github(one) == "::error file=a%2Cb%3Ac%25.yaml,line=1,col=2,title=simkit::50%25%0D%0Aof a: b, c"


# -- mending -------------------------------------------------------------------------------------


def test_fix_writes_tells_and_checks_what_it_has_written(project: Folder) -> None:
    ran = lint("--fix", "--no-run", ".")
    assert shown(ran) == (
        0,
        "b.sim.yaml:4: 'subject' moved above 'user'\n"
        "c.sim.yaml:4: 'usr' is now 'user'\n"
        "3 files, 3 cases: no problems\n",
        "",
    )
    assert (project.path / "b.sim.yaml").read_text() == SORTED


def test_diff_shows_the_same_and_writes_nothing(project: Folder) -> None:
    ran = lint("--diff", "--no-run", "b.sim.yaml")
    assert (ran.stdout.splitlines()[:9], (project.path / "b.sim.yaml").read_text()) == (
        [
            "--- b.sim.yaml",
            "+++ b.sim.yaml (mended)",
            "@@ -1,6 +1,6 @@",
            " simkit: 1",
            " scenario: Is a answered?",
            "+subject: agents:good",
            " user: [{at: 0s, says: hi}]",
            "-subject: agents:good",
            " provider: []",
        ],
        UNSORTED,
    )


def test_diff_beside_a_format_for_machines_is_refused(project: Folder) -> None:
    assert shown(lint("--diff", "--format", "json")) == (
        2,
        "",
        "simkit: --diff prints text, expected no --format json beside it\n",
    )


def test_what_was_mended_is_told_beside_a_document_and_not_inside(project: Folder) -> None:
    ran = lint("--fix", "--format", "json", "--no-run", "b.sim.yaml")
    assert (json.loads(ran.stdout), ran.stderr) == ({"problems": []}, "b.sim.yaml:4: 'subject' moved above 'user'\n")


def test_a_file_with_nothing_to_mend_is_not_touched(project: Folder) -> None:
    path = project.path / "a.sim.yaml"
    os.utime(path, (1, 1))
    assert (lint("--fix", "--no-run", "a.sim.yaml").exit_code, path.stat().st_mtime) == (0, 1)


def test_a_mark_line_breaks_rights_and_a_link_are_kept(project: Folder) -> None:
    path = project.path / "real" / "d.sim.yaml"
    path.parent.mkdir()
    path.write_bytes(b"\xef\xbb\xbf" + UNSORTED.replace("\n", "\r\n").encode())
    path.chmod(0o640)
    (project.path / "d.sim.yaml").symlink_to(path)
    assert lint("--fix", "--no-run", "d.sim.yaml").exit_code == 0
    assert (path.read_bytes(), path.stat().st_mode & 0o777, (project.path / "d.sim.yaml").is_symlink()) == (
        b"\xef\xbb\xbf" + SORTED.replace("\n", "\r\n").encode(),
        0o640,
        True,
    )


def test_a_file_that_cannot_be_written_is_named_and_stays(project: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    ran = lint("--fix", "--no-run", "b.sim.yaml")
    assert (*shown(ran), sorted(os.listdir(project.path))) == (
        2,
        "",
        "simkit: 'b.sim.yaml' cannot be written: No space left on device\n",
        ["a.sim.yaml", "agents.py", "b.sim.yaml", "c.sim.yaml"],
    )
    assert Path("b.sim.yaml").read_text() == UNSORTED


def test_a_file_that_is_no_text_is_told_and_stays(project: Folder) -> None:
    (project.path / "d.sim.yaml").write_bytes(b"simkit: \xff")
    ran = lint("--fix", "--no-run", "d.sim.yaml")
    assert (ran.exit_code, ran.stderr.splitlines()[0], (project.path / "d.sim.yaml").read_bytes()) == (
        2,
        "d.sim.yaml:1:9: the byte 0xff is not UTF-8 - save the file as UTF-8",
        b"simkit: \xff",
    )

"""Completion: what a shell is given for a key press, asked the way a shell asks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from simkit.cli import main
from simkit.commands.completion import SHELLS
from tests.conftest import Folder


def completed(*words: str) -> list[tuple[str, str]]:
    items = BashComplete(main, {}, "simkit", "_SIMKIT_COMPLETE").get_completions([*words[:-1]], words[-1])
    return [(item.type, item.value) for item in items]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sh"], [("plain", "show")]),
        (["show", "x", "--as", "per"], [("plain", "perfetto")]),
        (["run", "scen"], [("file", "scen")]),
        (["run", "--format", "g"], [("plain", "github")]),
        (["explain", "no_orp"], [("plain", "no_orphans")]),
        (["explain", "exit"], [("plain", "exit-codes")]),
        (["completion", "z"], [("plain", "zsh")]),
        (["replay", "a.sim"], [("file", "a.sim")]),
    ],
)
def test_verbs_options_names_and_files_are_completed(
    words: list[str], found: list[tuple[str, str]], folder: Folder
) -> None:
    assert completed(*words) == found


@pytest.mark.parametrize("verb", ["replay", "show", "pin"])
def test_the_ids_of_the_store_are_completed(verb: str, folder: Folder) -> None:
    folder.scenario("a", "agents:mute")
    CliRunner().invoke(main, ["run"])
    (file,) = Path(".simkit/failures").glob("*.json")
    id_ = file.stem.rpartition("-")[2]
    assert completed(verb, id_[:2]) == [("plain", id_)]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_gets_its_script(shell: str) -> None:
    ran = CliRunner().invoke(main, ["completion", shell])
    assert (ran.exit_code, f"_SIMKIT_COMPLETE={shell}_complete" in ran.stdout) == (0, True)


def test_the_script_for_bash_is_one_that_bash_takes(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    ran = subprocess.run([bash, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_key_press_loads_no_kernel() -> None:
    code = (
        "import sys\nfrom click.shell_completion import BashComplete\nfrom simkit.cli import main\n"
        "BashComplete(main, {}, 'simkit', '_X').get_completions(['explain'], 'no_')\n"
        "print([name for name in ('asyncio', 'freezegun', 'simkit.kernel', 'simkit.run') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "[]\n", ran.stderr

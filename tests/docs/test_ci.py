"""The page about CI, the action that it ships, and the page of the exit codes: true as far as this machine can tell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from simkit.cli import VERBS, main
from simkit.commands.terminal import EPILOG
from simkit.errors import EXIT_CODES
from tests.conftest import Folder
from tests.docs.pages import DOCS, blocks

ACTION = DOCS / "action" / "action.yml"
CI = DOCS / "ci.md"


def action_step() -> dict[str, str]:
    steps = yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"]
    (step,) = [step for step in steps if "run" in step]
    return {"script": step["run"], "shell": step["shell"], **step["env"]}


def stepped(**inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the step of the action with these inputs, as the runner of a workflow does."""
    bash = shutil.which("bash")
    assert bash is not None
    given = {"SIMKIT_PATHS": ".", "SIMKIT_SHARD": "", "SIMKIT_ARGUMENTS": "", **inputs}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": os.getcwd(), **given}
    command = [bash, "--noprofile", "--norc", "-eo", "pipefail", "-c", action_step()["script"]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_step_of_the_action_runs_a_shard_and_leaves_its_report(folder: Folder) -> None:
    folder.scenario("a"), folder.scenario("b c", "agents:mute")
    ran = stepped(SIMKIT_SHARD="2/2", SIMKIT_ARGUMENTS="--no-save -q")
    written = sorted(
        path.name for path in Path("simkit-report").iterdir() if path.suffix == ".xml" or "index" in path.name
    )
    assert (ran.returncode, ran.stderr.splitlines()[0], written, Path(".simkit").exists()) == (
        1,
        "simkit: shard 2/2: 1 of 2 cases",
        ["index.html", "junit.xml"],
        False,
    )


def test_no_input_of_the_action_is_taken_for_a_part_of_its_script(folder: Folder) -> None:
    folder.scenario()
    ran = stepped(SIMKIT_PATHS="a.sim.yaml; touch bad", SIMKIT_SHARD="$(touch bad)")
    assert (ran.returncode, Path("bad").exists(), "${{" in action_step()["script"]) == (2, False, False)


def test_every_input_of_the_action_is_used() -> None:
    text = ACTION.read_text("utf-8")
    inputs = yaml.safe_load(text)["inputs"]
    assert [name for name in inputs if f"inputs.{name} }}}}" not in text] == []


def test_the_workflow_of_the_page_gives_the_action_inputs_that_it_has() -> None:
    inputs = yaml.safe_load(ACTION.read_text("utf-8"))["inputs"]
    (workflow,) = [block.text for block in blocks(CI) if "jobs:" in block.text]
    steps = yaml.load(workflow, yaml.BaseLoader)["jobs"]["simkit"]["steps"]
    (given,) = [step["with"] for step in steps if step.get("uses", "").endswith("/actions/simkit")]
    assert set(given) - set(inputs) == set()


def test_the_action_can_be_copied_as_the_page_says(folder: Folder) -> None:
    (command,) = re.findall(r'^python -c "(.*)" >', CI.read_text("utf-8"), re.MULTILINE)
    ran = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert ran.stdout == ACTION.read_text("utf-8")


def test_the_hook_of_the_page_takes_scenarios_and_nothing_else() -> None:
    (config,) = [block.text for block in blocks(CI) if "repos:" in block.text]
    (hook,) = yaml.safe_load(config)["repos"][0]["hooks"]
    names = ["a.sim.yaml", "deep/b.sim.yaml", "c.yaml", "d.sim.yaml.txt", "sim.yaml"]
    assert [name for name in names if re.search(hook["files"], name)] == ["a.sim.yaml", "deep/b.sim.yaml"]


def test_the_page_of_the_exit_codes_has_all_of_them() -> None:
    table = [f"  {code:<4} {says}" for code, says in EXIT_CODES.items()]
    (block,) = [block.text.splitlines() for block in blocks(DOCS / "exit-codes.md") if block.kind == "text"]
    assert block == table


def test_whatever_a_command_says_of_its_own_codes_stands_on_the_page() -> None:
    page = " ".join((DOCS / "exit-codes.md").read_text("utf-8").split())
    context = main.make_context("simkit", ["run"], resilient_parsing=True)
    told = {verb: getattr(main.get_command(context, verb), "epilog", "") or "" for verb in VERBS}
    own = {verb: text.removeprefix("Exit codes: ") for verb, text in told.items() if text != EPILOG}
    assert [verb for verb, text in own.items() if f"`simkit {verb}`" not in page or text not in page] == []

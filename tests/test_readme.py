"""The README is true today: its commands run, its outputs are today's outputs, its Python runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# A command line with what it printed; the first line of other console blocks has no prompt.
SHOWN = re.findall(r"```console\n\$ (.+?)\n(.*?)\n```", README, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(command: str) -> str:
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "COLUMNS": "100", "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}
    done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).rstrip()


def without_wall_times(text: str) -> str:
    """The one thing in an output that differs from run to run, with the padding that depends on its width."""
    return re.sub(r" +", " ", re.sub(r"\b\d+\.\d\ds\b", "0.00s", text))


def test_the_readme_shows_a_passing_and_a_failing_run() -> None:
    assert [("1 passed" in output, "1 failed" in output) for _, output in SHOWN] == [(True, False), (False, True)]


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_an_output_in_the_readme_is_what_its_command_prints_today(command: str, output: str) -> None:
    assert without_wall_times(run(command)) == without_wall_times(output)


def test_the_scenario_in_the_readme_is_the_file_that_it_names() -> None:
    shown = re.findall(r"`(scenarios/[\w/]+\.sim\.yaml)`.*?```yaml\n(.*?)```", README, re.DOTALL)
    assert [text for _, text in shown] == [(ROOT / name).read_text(encoding="utf-8") for name, _ in shown]


@pytest.mark.parametrize("code", [code for code in PYTHON if "World" in code])
def test_the_python_of_the_readme_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_the_agent_of_the_readme_is_a_subject_that_passes(tmp_path: Path) -> None:
    agent = next(code for code in PYTHON if "sim.user" in code)
    (tmp_path / "my_agent.py").write_text(agent, encoding="utf-8")
    (tmp_path / "mine.sim.yaml").write_text(
        "simkit: 1\nscenario: My agent answers\nsubject: my_agent:agent\nuser:\n  - {at: 0s, says: Hi}\n"
        "provider:\n  - stream:\n      - say: Hello\n      - finish: stop\n"
        "expect: {last_message: Hello, outcome: finished}\n",
        encoding="utf-8",
    )
    assert "1 passed" in run(f"cd {tmp_path} && simkit run mine.sim.yaml")

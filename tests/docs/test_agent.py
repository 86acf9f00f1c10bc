"""The page about the agent, followed word for word by somebody with an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import simkit

PAGE: Final = (Path(simkit.__file__).parent / "docs" / "agent.md").read_text(encoding="utf-8")
(PYTHON,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(SCENARIO,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
(COMMAND,) = re.findall(r"```console\n(.*?)\n```", PAGE, re.DOTALL)


def test_the_agent_of_the_page_passes_the_scenario_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "my_agent.py").write_text(PYTHON, encoding="utf-8")
    (tmp_path / "my_agent.sim.yaml").write_text(SCENARIO, encoding="utf-8")
    (tmp_path / "note.txt").write_text("hello, 2026-01-01", encoding="utf-8")
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}
    done = subprocess.run(
        COMMAND, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_agent_itself_takes_thirty_lines() -> None:
    production = PYTHON[: PYTHON.index("async def agent(sim)")]
    assert len(production.strip().splitlines()) <= 30

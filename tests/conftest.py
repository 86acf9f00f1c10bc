"""What the tests of the faces share: pytest's own harness for plugins, and a folder with agents and scenarios.

The idea: a test says which scenario it wants, as an agent and a few lines, and runs it as a user would. The
constraint: the agents below need no SDK, so a test of a message or an exit code costs milliseconds. Sharing the
scenarios of the corpus was refused: they change for reasons that have nothing to do with options.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

AGENTS = """
import asyncio, sys, threading

async def good(sim):
    async for _ in sim.user:
        sim.said("hello")

async def mute(sim):
    async for _ in sim.user:
        pass

def broken(sim):
    raise RuntimeError("the agent broke")

async def chatty(sim):
    print("I am thinking")
    await good(sim)
"""


@dataclass(frozen=True, slots=True)
class Folder:
    """A project of a user: agents that can be imported, and the scenarios that are written into it."""

    path: Path

    def scenario(self, name: str = "a", agent: str = "agents:good", **keys: str) -> str:
        """Write a scenario that passes when its agent says hello, and return its path as a user would type it."""
        lines = {
            "simkit": "1",
            "scenario": f"Is {name} answered?",
            "subject": agent,
            "user": "[{at: 0s, says: hi}]",
            "provider": "[{stream: [{say: hello}, {finish: stop}]}]",
            "expect": "{last_message: hello}",
            **keys,
        }
        return self.file(f"{name}.sim.yaml", "".join(f"{key}: {value}\n" for key, value in lines.items()))

    def file(self, name: str, text: str) -> str:
        """Write any file and return its name."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text, "utf-8")
        return name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """The user's folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # A workflow that runs these tests must not be told of the failures in them.
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    made = Folder(tmp_path)
    made.file("agents.py", AGENTS)
    yield made
    # Modules of this folder must not answer for those of the next one.
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]

"""What the tests of the pages share: fenced blocks, and an empty folder in which somebody follows a page.

The idea: a page is a list of blocks, each with its info string and its line; files and commands are found by that
string and never by their order. The constraint: what is compared is what a reader sees, so only the times on the wall
are made alike. A copy of the examples beside the pages was refused: it would be right when they are wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import simkit

DOCS: Final = Path(simkit.__file__).parent / "docs"
ROOT: Final = Path(__file__).parents[2]

_FENCE: Final = re.compile(r"^(?P<fence>`{3,}|~{3,})(?P<info>.*)\n(?P<text>(?:.*\n)*?)(?P=fence)`*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the page it stands on, its first line there, its kind, what follows the kind, and its text."""

    page: Path
    line: int
    kind: str
    words: tuple[str, ...]
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The typed lines of a console block, each with what it printed."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(typed, printed) for typed, _, printed in (part.partition("\n") for part in parts)]

    def word(self, name: str) -> str | None:
        """Return the value of ``name=value`` behind the kind."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), None)

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        kind, *words = found["info"].split() or [""]
        yield Block(page, text.count("\n", 0, found.start()) + 1, kind, tuple(words), found["text"])


def typed(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody types it in this folder, with the commands of this installation."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SIMKIT_", "COV_"))}
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**clean, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"},
        # Not a terminal: a command that would ask must say so.
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def without_wall_times(text: str) -> str:
    """Make times on the wall alike, with the padding that depends on their width."""
    return re.sub(r" +", " ", re.sub(r"\b\d+\.\d\ds\b", "0.00s", text))

"""Texts of scenarios and what the linter says of them, as short as a test wants to compare it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from simkit.linting.linter import lint
from simkit.linting.rules import RULES, Remark

# What every scenario below begins with; the agent asks one question and gets one answer.
HEAD: Final = """simkit: 1
scenario: Is the question answered?
user:
  - {at: 0s, says: Hello}
"""
ANSWER: Final = """provider:
  - stream: [{say: Hi}, {finish: stop}]
expect: {last_message: Hi}
"""
PLAIN: Final = HEAD + ANSWER


def remarks(folder: Path, text: str, *rules: str, run: bool = True) -> list[Remark]:
    """Return what these rules (or all) say of a text."""
    file = folder / "a.sim.yaml"
    file.write_text(text, "utf-8")
    (checked,) = lint([str(file)], rules or RULES, run=run)
    return list(checked.remarks)


def said(folder: Path, text: str, *rules: str, run: bool = True) -> list[tuple[int, str]]:
    """Return the lines and texts of what these rules (or all) say of a text."""
    return [(one.line, one.text) for one in remarks(folder, text, *rules, run=run)]


def broken(folder: Path, text: str, run: bool = True) -> Collection[str]:
    """Return the rules that a text breaks."""
    return [one.rule for one in remarks(folder, text, run=run)]

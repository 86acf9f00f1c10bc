"""Which part of a suite one of several jobs runs.

The idea: every job names the same paths and gets every N-th case of the same list, so the parts are of one size and
rows of one slow file are spread over all of them. The constraint: together the parts are the suite, and no two share a
case, whatever the number is. A hash of the name was refused: it leaves parts of a small suite empty, and all that it
gains, a case that stays where it was when another one is added, no job needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from simkit.commands.terminal import counted
from simkit.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a suite: number ``part`` of ``parts``, counted from 1."""

    part: int
    parts: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/5``. Raises ``UsageError`` for anything else."""
        part, _, parts = text.partition("/")
        if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
            raise UsageError(f"--shard: {text!r} is no part of a suite, expected I/N with I from 1 to N, such as 2/5")
        return cls(int(part), int(parts))

    def of(self, cases: Sequence[T]) -> list[T]:
        """Return the cases of this part, in their order."""
        return list(cases[self.part - 1 :: self.parts])

    def told(self, cases: Sequence[object]) -> str:
        """Say how much of the suite this is."""
        return f"shard {self.part}/{self.parts}: {len(self.of(cases))} of {counted(len(cases), 'case')}"

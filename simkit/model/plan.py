"""A plan: everything about a run that the scenario leaves open.

The idea: a run is a function of scenario and plan, so the plan is what is replayed, shrunk and pasted into a
test; the empty plan is the default run. The constraint: it has a short text form that reads back as the same
plan, and refuses what it does not know. A pickled schedule was refused: nobody can read it, and it breaks with
every release.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """The seed of every named stream of chance in the run."""

    seed: int = 0

    def text(self) -> str:
        """Return the plan as one pasteable word, such as ``seed=7``."""
        return f"seed={self.seed}"

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Read the text form back. Raises ``ValueError`` naming the part that is not understood."""
        key, _, value = text.strip().partition("=")
        if key != "seed" or not value.isdecimal():
            raise ValueError(f"{text!r} is not a plan: expected seed=NUMBER, such as seed=7")
        return cls(seed=int(value))

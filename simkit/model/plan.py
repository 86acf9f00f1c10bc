"""A plan: everything about a run that the scenario leaves open.

The idea: a run is a function of scenario and plan, so the plan is what is replayed, shrunk and pasted into a
test; the empty plan is the default run, and a deviation says where one differs from it. The constraint: a plan
has a short text form that reads back as the same plan, and replays strictly: a deviation that no longer fits is
an error and never a different run. A pickled schedule was refused: nobody can read it, and it breaks with every
release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_DEVIATION: Final = re.compile(r"([a-z]+)@(\d{1,9}):(\d{1,6})")


@dataclass(frozen=True, slots=True, order=True)
class Deviation:
    """At the choice with this number (from 0, over the run), which is of this kind, take alternative ``pick``."""

    number: int
    kind: str
    pick: int

    def text(self) -> str:
        """Return the deviation as ``kind@number:pick``."""
        return f"{self.kind}@{self.number}:{self.pick}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The seed of every named stream of chance, and the sparse list of deviations from choice 0, in order."""

    seed: int = 0
    deviations: tuple[Deviation, ...] = ()

    def text(self) -> str:
        """Return the plan as one pasteable word, such as ``seed=7,thread@12:1``."""
        return ",".join([f"seed={self.seed}", *(d.text() for d in self.deviations)])

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Read the text form back. Raises ``ValueError`` naming the part that is not understood."""
        first, *rest = text.strip().split(",")
        key, _, value = first.partition("=")
        if key != "seed" or not re.fullmatch(r"[0-9]{1,80}", value):
            raise ValueError(f"{text!r} is not a plan: expected seed=NUMBER first, such as seed=7,thread@12:1")
        deviations = tuple(_deviation(part, text) for part in rest)
        numbers = [d.number for d in deviations]
        if numbers != sorted(set(numbers)):
            raise ValueError(f"{text!r} is not a plan: expected its choices in order, each once")
        return cls(seed=int(value), deviations=deviations)


def _deviation(part: str, text: str) -> Deviation:
    match = _DEVIATION.fullmatch(part)
    if match is None or int(match[3]) == 0:
        expected = "expected KIND@NUMBER:PICK, such as thread@12:1"
        raise ValueError(f"{part!r} in the plan {text!r} is not a deviation: {expected}")
    return Deviation(number=int(match[2]), kind=match[1], pick=int(match[3]))

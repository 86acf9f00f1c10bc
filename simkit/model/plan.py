"""A plan: everything about a run that the scenario leaves open.

The idea: a run is a function of scenario and plan, so the plan is what is replayed, shrunk and pasted into a
test; the empty plan is the default run, and a deviation says where one differs from it. The constraint: a plan
has a short text form that reads back as the same plan, says all that a replay needs (also how far events may
shift), and replays strictly: a deviation that no longer fits is an error and never a different run. A pickled
schedule was refused: nobody can read it, and it breaks with every release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from simkit.model.duration import FOREVER, format_duration, parse_duration

ORDERS: Final = ("timing", "any")
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
    """The seed of every named stream of chance, what may vary beside ties, and the deviations from choice 0, in order.

    ``order`` is ``timing``, or ``any`` for orders that asyncio itself would not produce; ``jitter_ns`` is how far an
    outside event may shift around a deadline.
    """

    seed: int = 0
    deviations: tuple[Deviation, ...] = ()
    order: str = "timing"
    jitter_ns: int = 0

    def text(self) -> str:
        """Return the plan as one pasteable word, such as ``seed=7,jitter=5ms,thread@12:1``."""
        order = [f"order={self.order}"] if self.order != "timing" else []
        jitter = [f"jitter={format_duration(self.jitter_ns)}"] if self.jitter_ns else []
        return ",".join([f"seed={self.seed}", *order, *jitter, *(d.text() for d in self.deviations)])

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Read the text form back. Raises ``ValueError`` naming the part that is not understood."""
        first, *rest = text.strip().split(",")
        key, _, value = first.partition("=")
        if key != "seed" or not re.fullmatch(r"[0-9]{1,80}", value):
            raise ValueError(f"{text!r} is not a plan: expected seed=NUMBER first, such as seed=7,thread@12:1")
        order = _order(rest.pop(0), text) if rest and rest[0].startswith("order=") else "timing"
        jitter_ns = _jitter(rest.pop(0), text) if rest and rest[0].startswith("jitter=") else 0
        deviations = tuple(_deviation(part, text) for part in rest)
        numbers = [d.number for d in deviations]
        if numbers != sorted(set(numbers)):
            raise ValueError(f"{text!r} is not a plan: expected its choices in order, each once")
        return cls(seed=int(value), deviations=deviations, order=order, jitter_ns=jitter_ns)


def _order(part: str, text: str) -> str:
    word = part.removeprefix("order=")
    if word not in ORDERS:
        raise ValueError(f"{part!r} in the plan {text!r} is not an order: expected order=timing or order=any")
    return word


def _jitter(part: str, text: str) -> int:
    try:
        ns = parse_duration(part.removeprefix("jitter="))
    except ValueError:
        ns = FOREVER
    if ns == FOREVER:
        raise ValueError(f"{part!r} in the plan {text!r} is not a jitter: expected a duration, such as jitter=5ms")
    return ns


def _deviation(part: str, text: str) -> Deviation:
    match = _DEVIATION.fullmatch(part)
    if match is None or int(match[3]) == 0:
        expected = "expected KIND@NUMBER:PICK, such as thread@12:1"
        raise ValueError(f"{part!r} in the plan {text!r} is not a deviation: {expected}")
    return Deviation(number=int(match[2]), kind=match[1], pick=int(match[3]))

"""A plan: everything about a run that the scenario leaves open.

The idea: a run is a function of scenario and plan, so the plan is what is replayed, shrunk and pasted into a
test; the empty plan is the default run, and deviations and faults say where one differs from it. The constraint: a
plan has a short text form that reads back as the same plan, says all that a replay needs (also how far events may
shift), and replays strictly: what no longer fits is an error and never a different run. A pickled schedule was
refused: nobody can read it, and it breaks with every release.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simkit.model.duration import FOREVER, format_duration, parse_duration

ORDERS: Final = ("timing", "any")
_DEVIATION: Final = re.compile(r"([a-z]+)@(\d{1,9}):(\d{1,6})")
_STRIKE: Final = re.compile(
    r"([a-z][a-z0-9_]*)@((?:answer|poll|user)[1-9]\d{0,6}|(?:answer|job)[1-9]\d{0,6}\.frame\d{1,6}|tool[1-9]\d{0,6}\.(?:start|end))"
)

# What can go wrong from outside, and what it means. Where each kind can strike: ``strikes_at``.
FAULT_KINDS: Final[Mapping[str, str]] = {
    "stall": "The stream falls silent here, and stays open.",
    "slow": "The stream is silent for 30 s here, and goes on.",
    "cut": "The connection ends inside the body.",
    "eof": "The body ends properly, without a closing marker.",
    "reset": "The connection is reset.",
    "error": "The provider fails in the middle of the stream, in its own words.",
    "garble": "The next frame arrives damaged.",
    "refused": "The connection is refused.",
    "timeout": "No answer ever comes.",
    "status_429": "The request is turned away: too many of them.",
    "status_500": "The provider fails.",
    "status_529": "The provider is overloaded.",
    "tool_raises": "The tool raises instead of doing its work, or behind it.",
    "tool_hangs": "The tool never comes back.",
    "cancel": "The user cancels at this instant.",
}
_IN_STREAMS: Final = ("stall", "slow", "cut", "eof", "reset", "error", "garble", "cancel")
# What happens to the streams of a background job, whose frames were made without anybody who looks.
_IN_JOBS: Final = ("stall", "slow", "cut", "eof", "reset", "cancel")
_FOR_ANSWERS: Final = ("refused", "timeout", "status_429", "status_500", "status_529", "cancel")
_FOR_TOOLS: Final = ("tool_raises", "tool_hangs", "cancel")


def strikes_at(site: str) -> tuple[str, ...]:
    """Return the kinds of fault that can strike at a site, such as ``answer2.frame3``."""
    if ".frame" in site:
        return _IN_STREAMS if site.startswith("answer") else _IN_JOBS
    if site.startswith("tool"):
        return _FOR_TOOLS
    return ("cancel",) if site.startswith("user") else _FOR_ANSWERS


@dataclass(frozen=True, slots=True, order=True)
class Deviation:
    """At the choice with this number (from 0, over the run), which is of this kind, take alternative ``pick``."""

    number: int
    kind: str
    pick: int

    def text(self) -> str:
        """Return the deviation as ``kind@number:pick``."""
        return f"{self.kind}@{self.number}:{self.pick}"


@dataclass(frozen=True, slots=True, order=True)
class Strike:
    """A fault at a site of the run.

    A site is ``answer2`` (the answer to the second completion request, as a whole), ``answer2.frame0`` (before its
    first frame), ``job2.frame0`` (likewise, of the streams of a background job), ``poll3`` (the third request about a
    job), ``tool1.start`` and ``tool1.end`` (of the first run of a tool), or ``user1`` (behind the user's first act).
    """

    site: str
    kind: str

    def text(self) -> str:
        """Return the fault as ``kind@site``."""
        return f"{self.kind}@{self.site}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The seed of every named stream of chance, what may vary beside ties, and the deviations from choice 0, in order.

    ``order`` is ``timing``, or ``any`` for orders that asyncio itself would not produce; ``jitter_ns`` is how far an
    outside event may shift around a deadline. ``strikes`` are the faults, at most one for a site.
    """

    seed: int = 0
    deviations: tuple[Deviation, ...] = ()
    order: str = "timing"
    jitter_ns: int = 0
    strikes: tuple[Strike, ...] = ()

    def text(self) -> str:
        """Return the plan as one pasteable word, such as ``seed=7,jitter=5ms,thread@12:1``."""
        order = [f"order={self.order}"] if self.order != "timing" else []
        jitter = [f"jitter={format_duration(self.jitter_ns)}"] if self.jitter_ns else []
        strikes, deviations = [s.text() for s in self.strikes], [d.text() for d in self.deviations]
        return ",".join([f"seed={self.seed}", *order, *jitter, *strikes, *deviations])

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Read the text form back. Raises ``ValueError`` naming the part that is not understood."""
        first, *rest = text.strip().split(",")
        key, _, value = first.partition("=")
        if key != "seed" or not re.fullmatch(r"[0-9]{1,80}", value):
            raise ValueError(f"{text!r} is not a plan: expected seed=NUMBER first, such as seed=7,thread@12:1")
        order = _order(rest.pop(0), text) if rest and rest[0].startswith("order=") else "timing"
        jitter_ns = _jitter(rest.pop(0), text) if rest and rest[0].startswith("jitter=") else 0
        strikes = tuple(strike for part in rest if (strike := _strike(part, text)) is not None)
        deviations = tuple(_deviation(part, text) for part in rest[len(strikes) :])
        sites = [strike.site for strike in strikes]
        if len(sites) != len(set(sites)):
            raise ValueError(f"{text!r} is not a plan: expected one fault for a site at most")
        numbers = [d.number for d in deviations]
        if numbers != sorted(set(numbers)):
            raise ValueError(f"{text!r} is not a plan: expected its choices in order, each once")
        return cls(seed=int(value), deviations=deviations, order=order, jitter_ns=jitter_ns, strikes=strikes)


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


def _strike(part: str, text: str) -> Strike | None:
    """Return the fault that a part says, or None where it is a deviation."""
    match = _STRIKE.fullmatch(part)
    if match is None:
        return None
    kind, site = match.groups()
    if kind not in strikes_at(site):
        can = ", ".join(strikes_at(site))
        raise ValueError(f"{part!r} in the plan {text!r} is no fault: expected one of {can} at {site}")
    return Strike(site=site, kind=kind)


def _deviation(part: str, text: str) -> Deviation:
    match = _DEVIATION.fullmatch(part)
    if match is None or int(match[3]) == 0:
        expected = "expected KIND@NUMBER:PICK, such as thread@12:1 (faults, such as cut@answer2.frame3, come first)"
        raise ValueError(f"{part!r} in the plan {text!r} is not a deviation: {expected}")
    return Deviation(number=int(match[2]), kind=match[1], pick=int(match[3]))

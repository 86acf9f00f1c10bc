"""A scenario: one question put to an agent, with the world it is asked in and the answer that is right.

The idea: everything a run needs and nothing else, one value per matrix row, with the source text inside, so that a
result can be reported and replayed without the file. The constraint: no key of the language is missing here and no
default is hidden in the machinery. A dict read where it is needed was refused, because then nothing says what a
scenario is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from simkit.model.duration import NS_PER_S
from simkit.model.timeline import Answer, HostReply, Place, Unreachable

# What YAML calls a line break, which is less than what str.splitlines takes for one.
LINE_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSays:
    """The user sends a message at this virtual instant (nanoseconds)."""

    at_ns: int
    text: str
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCancels:
    """The user stops what is going on at this instant, and stays."""

    at_ns: int
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLeaves:
    """The user stops what is going on and says nothing more."""

    at_ns: int
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserNote:
    """A mark in the report, which the subject never hears of."""

    at_ns: int
    text: str
    place: Place | None = field(default=None, compare=False)


UserAct = UserSays | UserCancels | UserLeaves | UserNote


# What a tool can raise: an error, or one of those that are no ``Exception`` or mean something to whoever waits.
RaisedType = Literal["RuntimeError", "TimeoutError", "CancelledError", "SystemExit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A simulated tool: how long it takes in virtual time, and what it gives or raises.

    ``raises`` is the text of an error, and ``raises_as`` its type: alone, that error without a text. ``fails`` is the
    text of a result that says of itself that it is a failure. ``ignores_cancel`` swallows a
    cancellation and goes on to the end; ``cancel_takes_ns`` passes before a cancellation is obeyed. ``blocks`` makes it
    a blocking function: called in an event loop it stops the loop. ``side_effect`` is what it has done to the world
    when its work is over, and stands in the trace.
    """

    name: str
    takes_ns: int = 0
    returns: object = "ok"
    raises: str | None = None
    raises_as: RaisedType | None = None
    fails: str | None = None
    ignores_cancel: bool = False
    cancel_takes_ns: int = 0
    blocks: bool = False
    side_effect: str | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """How a fact is compared: ``op`` is ``exactly`` or one of the words of the language, ``value`` its operand."""

    op: str
    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPattern:
    """An event that must occur: its kind, what its values must be, and at which instant (ns), if that matters."""

    kind: str
    values: Mapping[str, Matcher] = field(default_factory=dict)
    at: Matcher | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A fact of the finished run and what it must be.

    ``key`` picks one entry of a mapping fact (``tool_calls: {write_file: 1}`` is the fact ``tool_calls``, the key
    ``write_file``). ``matchers`` holds one matcher, or one for each item of a list fact such as ``waits``; those of the
    fact ``events`` are of the op ``occurs``, with an ``EventPattern`` each.
    """

    fact: str
    matchers: tuple[Matcher, ...]
    key: str | None = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LawUse:
    """A law that must hold, with its parameter; or one that is switched off, with the reason."""

    law: str
    value: object = None
    off: bool = False
    because: str = ""
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReset:
    """At this instant every open connection to the host is reset."""

    at_ns: int
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkHeld:
    """For a while nothing passes either way; what was sent meanwhile arrives when it is over."""

    at_ns: int
    for_ns: int
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDown:
    """For a while every new connection fails in this way; those that are open live on."""

    at_ns: int
    for_ns: int
    how: Unreachable
    place: Place | None = field(default=None, compare=False)


LinkFault = LinkReset | LinkHeld | LinkDown


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The way to a host and back: how long a byte takes in one direction, and what goes wrong on it."""

    latency_ns: int = 0
    faults: tuple[LinkFault, ...] = ()
    place: Place | None = field(default=None, compare=False)


# Where faults may strike, and how thoroughly every one is tried.
StrikePlace = Literal["frames", "tools", "user"]
Sweep = Literal["none", "single", "pairs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploring:
    """What ``simkit explore`` and pytest vary in this scenario beyond its default run.

    ``runs`` is how many plans a test item tries (0: only the default run, as ``simkit run`` does). ``faults`` are the
    kinds that strike, and ``where`` the places; empty means all.
    ``shift_ns`` is how far the user's actions may be moved in time, ``jitter_ns`` how far any outside event may shift
    around a deadline. ``order`` is one of the plan's. ``heal_ns`` is within which time after a fault the run must end.
    """

    runs: int = 0
    faults: tuple[str, ...] = ()
    where: tuple[StrikePlace, ...] = ()
    shift_ns: int = 0
    jitter_ns: int = 0
    order: str = "timing"
    sweep: Sweep = "none"
    heal_ns: int | None = None
    place: Place | None = field(default=None, compare=False)


# What the wall clock shows when a run begins, unless a scenario says otherwise: 2026-01-01T00:00:00Z.
STARTS_NS: Final = 1_767_225_600 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where a run is stopped: virtual time in nanoseconds, completion requests, and steps of the world."""

    # A day of virtual time: longer than every real turn, short enough that a livelock ends.
    time_ns: int = 86_400 * NS_PER_S
    # Far beyond every legal loop, so that the law about requests speaks first.
    requests: int = 200
    # About ten seconds of real time at the usual speed.
    steps: int = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One case: a scenario file with one row of its matrix filled in.

    ``source`` is the text of ``file``, and ``bases`` holds the texts of the files that it extends, by their names.
    ``network`` holds the link to each host by its name, as ``hosts`` and URLs write it; ``*`` is the link to every host
    that is not named. ``plan`` is the text of the plan that a run follows unless another is given; empty for the
    default run. ``skip`` and ``xfail`` are reasons: with the first the case is not run, with the second it must
    fail. ``starts_ns`` is what the wall clock shows at the beginning, in nanoseconds of the Unix epoch.
    """

    title: str
    provider: tuple[Answer, ...]
    file: str = ""
    source: str = ""
    bases: Mapping[str, str] = field(default_factory=dict)
    row: str = ""
    about: str = ""
    refs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    subject: str = "agent"
    settings: Mapping[str, object] = field(default_factory=dict)
    settings_places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    user: tuple[UserAct, ...] = ()
    tools: Mapping[str, ToolSpec] = field(default_factory=dict)
    hosts: Mapping[str, HostReply] = field(default_factory=dict)
    expect: tuple[Expectation, ...] = ()
    always: tuple[LawUse, ...] = ()
    sometimes: tuple[EventPattern, ...] = ()
    explore: Exploring = field(default_factory=Exploring)
    plan: str = ""
    network: Mapping[str, Link] = field(default_factory=dict)
    skip: str = ""
    xfail: str = ""
    starts_ns: int = STARTS_NS
    limits: Limits = field(default_factory=Limits)
    catches: tuple[str, ...] = ()
    subject_place: Place | None = field(default=None, compare=False)

    @property
    def case(self) -> str:
        """The row's name within the file, as pytest and the reports show it."""
        return self.row or "run"

    def line(self, place: Place) -> str:
        """Return the line of text that a place points at; empty where there is none."""
        lines = LINE_BREAK.split(self.bases.get(place.file, self.source))
        return lines[place.line - 1] if 0 < place.line <= len(lines) else ""

    @property
    def name(self) -> str:
        """File and row together: what a person pastes to run this case again."""
        return f"{self.file}::{self.case}"

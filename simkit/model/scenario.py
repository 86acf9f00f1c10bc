"""A scenario: one question put to an agent, with the world it is asked in and the answer that is right.

The idea: everything a run needs and nothing else, one value per matrix row, with the source text inside, so that a
result can be reported and replayed without the file. The constraint: no key of the language is missing here and no
default is hidden in the machinery. A dict read where it is needed was refused, because then nothing says what a
scenario is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simkit.model.duration import NS_PER_S
from simkit.model.timeline import Answer, HostReply, Place


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A simulated tool: how long it takes in virtual time, and what it gives or raises.

    ``fails`` is the text of a result that says of itself that it is a failure. ``ignores_cancel`` swallows a
    cancellation and goes on to the end; ``cancel_takes_ns`` passes before a cancellation is obeyed. ``blocks`` makes it
    a blocking function: called in an event loop it stops the loop. ``side_effect`` is what it has done to the world
    when its work is over, and stands in the trace.
    """

    name: str
    takes_ns: int = 0
    returns: object = "ok"
    raises: str | None = None
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
    """One case: a scenario file with one row of its matrix filled in."""

    title: str
    provider: tuple[Answer, ...]
    file: str = ""
    source: str = ""
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
    limits: Limits = field(default_factory=Limits)
    catches: tuple[str, ...] = ()
    subject_place: Place | None = field(default=None, compare=False)

    @property
    def case(self) -> str:
        """The row's name within the file, as pytest and the reports show it."""
        return self.row or "run"

    @property
    def name(self) -> str:
        """File and row together: what a person pastes to run this case again."""
        return f"{self.file}::{self.case}"

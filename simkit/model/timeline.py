"""Timelines: what the provider does with one request, as steps in virtual time.

The idea: an answer is a list of logical steps that know no wire format; a dialect turns each into bytes and the
player gives each its instant. The constraint: every step carries its place in the file, so that a report can
say which line was playing. One class per wire event was refused: a scenario must run on every wire without a
change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
HangUp = Literal["eof", "cut", "reset"]
Unreachable = Literal["refused", "reset", "timeout", "unknown_host"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file: 1-based line and column."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One move of the provider while it streams an answer."""

    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Step):
    """A piece of visible text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Step):
    """A tool call begins. ``args`` is JSON text as the model would write it; it may be cut short on purpose."""

    name: str
    args: str | None = None
    id: str | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Args(Step):
    """The next piece of the arguments of an open call (the last opened one unless ``index`` says otherwise)."""

    text: str
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Step):
    """An ordinary pause before the next step, in nanoseconds."""

    ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(Step):
    """Silence on an open connection: the fault under test, in nanoseconds; ``FOREVER`` never ends."""

    ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace(Step):
    """From here on, this many nanoseconds pass before each further frame."""

    ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive(Step):
    """SSE comments every ``every_ns`` for ``for_ns``: bytes on the wire that carry no progress."""

    every_ns: int
    for_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Step):
    """Token counts that the provider reports for this answer."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish(Step):
    """The model's turn is over, for this reason; the closing marker of the wire follows by itself."""

    reason: FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Step):
    """The closing marker of the wire alone, without a finish reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect(Step):
    """The connection ends: ``eof`` (a body that ends properly), ``cut`` (closed inside the body), ``reset`` (RST)."""

    how: HangUp


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReply:
    """Status 200 and these steps. Without a finish, done or disconnect the stream stays open and silent."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReply:
    """An HTTP status with the body and headers that the real API sends for it.

    ``retry_after`` is the header's text. ``body`` replaces the dialect's own error body when it is given.
    """

    status: int
    error: str | None = None
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableReply:
    """No HTTP answer at all: the connection itself fails."""

    how: Unreachable


Reply = StreamReply | StatusReply | UnreachableReply


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider does with the next ``times`` completion requests."""

    reply: Reply
    times: int = 1
    place: Place | None = field(default=None, compare=False)

"""Timelines: what the provider does with one request, as steps in virtual time.

The idea: an answer is a list of logical steps that know no wire format; a dialect turns each into bytes and the
player gives each its instant. The constraint: every step carries its place in the file, so that a report can
say which line was playing. One class per wire event was refused: a scenario must run on every wire without a
change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from simkit.model.duration import NS_PER_S

# What a model says about its end, in words that belong to no wire; each dialect has its own word for each.
FinishReason = Literal[
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "refusal",
    "stop_sequence",
    "context_window",
    "pause",
    "error",
]
ErrorForm = Literal["event", "nested", "failed"]
Damage = Literal["json", "text", "utf8", "unended"]
ChunkKind = Literal["empty", "null", "blank", "comment", "meta"]
Chunking = Literal["frame", "burst", "byte", "whole"]
JobEnd = Literal["completed", "failed", "incomplete", "cancelled"]
HangUp = Literal["eof", "cut", "reset"]
Unreachable = Literal["refused", "reset", "timeout", "unknown_host"]


# The index of a call whose wire leaves it out.
NO_INDEX: Final = -1


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
    """Visible text, in this many pieces of about equal length."""

    text: str
    pieces: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Think(Step):
    """Reasoning that is no part of the answer; ``signature`` is what the provider wants back unchanged."""

    text: str
    signature: str | None = None
    pieces: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Step):
    """Text in which the model declines."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Step):
    """A tool call begins. ``args`` is JSON text as the model would write it; it may be cut short on purpose.

    ``index`` None is the next free one; ``NO_INDEX`` leaves it out on the wire.
    """

    name: str
    args: str | None = None
    id: str | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Args(Step):
    """More of the arguments of an open call (the last opened one unless ``index`` says otherwise)."""

    text: str
    index: int | None = None
    pieces: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Step):
    """More of the name of an open call, on wires that send names in pieces."""

    text: str
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk(Step):
    """A frame that carries nothing: an empty or null list of choices, a bare field, a comment, a type alone."""

    kind: ChunkKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Garble(Step):
    """The next frame arrives damaged: its JSON breaks off, is no JSON, holds a bad byte, or lacks its end."""

    how: Damage


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw(Step):
    """Bytes of the body as they are."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat(Step):
    """The frame before arrives this many times more."""

    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Step):
    """An error in the middle of a stream that began with status 200; nothing of the answer follows it.

    ``type`` and ``code`` None are the dialect's usual ones. ``form`` picks one of the forms that the Responses API is
    known to send; other dialects have only ``event``.
    """

    text: str
    type: str | None = None
    code: str | None = None
    form: ErrorForm = "event"


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
    cached_tokens: int = 0
    thinking_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish(Step):
    """The model's turn is over, for this reason; the closing marker of the wire follows by itself.

    ``wire`` is sent instead of the dialect's own word for the reason.
    """

    reason: FinishReason
    wire: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Step):
    """The closing marker of the wire alone, without a finish reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect(Step):
    """The connection ends: ``eof`` (a body that ends properly), ``cut`` (closed inside the body), ``reset`` (RST)."""

    how: HangUp


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReply:
    """Status 200 and these steps. Without a finish, done, error or disconnect the stream stays open and silent.

    ``headers`` replace the dialect's own; ``gzip`` compresses the body, flushed at every chunk.
    """

    steps: tuple[Step, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    gzip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundReply:
    """A job that runs on without its client: queued, in progress, then an end; durations in nanoseconds.

    The steps play from the start of ``in_progress`` whether or not somebody watches; the job ends when both they and
    ``in_progress_ns`` are over. A ``Disconnect`` among them breaks the connection of whoever watches, once, and not the
    job. ``polls`` replaces the answer of the n-th retrieval (1, 2, ...). ``window_ns`` after its creation the job can
    no longer be streamed, ``expires_ns`` after it nobody knows it.
    """

    steps: tuple[Step, ...] = ()
    queued_ns: int = 0
    in_progress_ns: int = 0
    ends: JobEnd = "completed"
    error: str | None = None
    polls: Mapping[int, StatusReply | UnreachableReply] = field(default_factory=dict)
    # The figures that the provider's guide and its refusals name.
    window_ns: int = 300 * NS_PER_S
    expires_ns: int = 600 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReply:
    """An HTTP status with the body and headers that the real API sends for it.

    ``retry_after`` is the header's text. ``type`` and ``code`` are those of the error, None being the dialect's usual
    ones for the status. ``body`` replaces the dialect's own error body when it is given.
    """

    status: int
    error: str | None = None
    type: str | None = None
    code: str | None = None
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableReply:
    """No HTTP answer at all: the connection itself fails."""

    how: Unreachable


# Finishes with which a job does not end as completed.
_JOB_ENDS: Final[dict[str, JobEnd]] = {
    "length": "incomplete",
    "context_window": "incomplete",
    "content_filter": "incomplete",
    "error": "failed",
}


def job_end(steps: Iterable[Step]) -> JobEnd:
    """Return how a job with these steps ends, where nothing else is said."""
    finishes = [step.reason for step in steps if isinstance(step, Finish)]
    return _JOB_ENDS.get(finishes[-1], "completed") if finishes else "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CassetteReply:
    """A host that plays a vcr cassette; ``path`` is where the file is, from where the run was started."""

    path: str


Reply = StreamReply | BackgroundReply | StatusReply | UnreachableReply
HostReply = StatusReply | UnreachableReply | CassetteReply


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Which requests an answer is for: everything that is not None must fit.

    ``host``, ``path``, ``model`` and ``dialect`` are exact, except that ``*`` in them stands for any text. ``turn`` is
    how many messages of the user the request holds, ``connection`` counts connections to the provider from 1, and
    ``retry`` is the SDK's own count. ``contains`` is looked for in the last message, ``conversation`` in the first
    one of the user, ``has_tool_result`` asks for a result in the last message (or among those that follow the last of
    the model).
    """

    host: str | None = None
    path: str | None = None
    model: str | None = None
    dialect: str | None = None
    stream: bool | None = None
    turn: int | None = None
    contains: str | None = None
    conversation: str | None = None
    has_tool_result: bool | None = None
    connection: int | None = None
    retry: int | None = None


ANYTIME: Final = When()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider does with the next ``times`` completion requests that fit ``when``; None means every one.

    ``after_ns`` passes before the headers. ``capture`` maps a name to a regular expression that is looked for in the
    request; later texts use what it found. ``chunks`` is how the body is cut: at frames, at instants (``burst``),
    at every byte, not at all, or (a number) at every so many bytes.
    """

    reply: Reply
    times: int | None = 1
    when: When = ANYTIME
    after_ns: int = 0
    capture: Mapping[str, str] = field(default_factory=dict)
    chunks: Chunking | int = "frame"
    place: Place | None = field(default=None, compare=False)


# -- captured names --------------------------------------------------------------------------------
# A text of the script may hold a place for what an earlier request brings. Private-use characters, which no text from
# a file may hold, keep it apart from a plain "${name}" that the author wrote with "$${".
_HOLE: Final = re.compile("\ue000([A-Za-z_][A-Za-z0-9_]*)\ue001")


def hole(name: str) -> str:
    """Return the place in a text where a captured value goes."""
    return f"\ue000{name}\ue001"


def holes(text: str) -> list[str]:
    """Return the names whose values the text waits for."""
    return _HOLE.findall(text)


def fill(text: str, captured: Mapping[str, str]) -> str:
    """Return the text with every hole filled. Raises ``KeyError`` for a name that nothing has captured yet."""
    return _HOLE.sub(lambda found: captured[found[1]], text)

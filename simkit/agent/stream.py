"""Pieces of a stream in, the answer so far out: assembly without I/O and without a clock.

The idea: an adapter turns whatever its wire sends into a few kinds of neutral pieces, and one state
machine puts them together for every wire. The constraint it protects: a tool runs only on arguments that the
model really finished, so arguments are read strictly, once, at the end, and nothing is ever repaired. The
SDKs' own stream helpers were refused: they double a name that is sent twice, merge parallel calls, fail on a
missing index, and repair cut JSON.

How a piece of a call finds its call (providers disagree; the numbers are rows of the failure catalogue):

==========================================  ==================================================================
the piece carries                           it belongs to
==========================================  ==================================================================
an index, and no id or the call's own       the last call of that index (20, interleaved)
an index that is open, another id           a new call (17, parallel calls all at index 0)
an id that is open, another index           a new call (16, one id used twice)
an id, no index                             the last call of that id, or a new one (18)
neither                                     the last call (18)
an index nobody opened, no id, no name      the last call: strict JSON tells whether that was right (19)
a name, no id, the last call being whole    a new call (17 without ids)
==========================================  ==================================================================

A name sent again is not joined to itself (21), a name in fragments is joined until arguments begin (22), and
whole arguments sent again are not joined to themselves (23).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from simkit.agent.history import Call, Opaque

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause"]

# By what an answer that runs on at the provider is asked for again: a few values of the provider's own choice, such as
# ``{"response_id": ...}``, that live through JSON. Only the client that made it reads it.
Token = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of visible text."""

    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A piece of the words in which the model declines, on wires that tell them from its answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of reasoning: the model is alive. What has to go back to it comes as an ``Opaque`` when it is whole."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPart:
    """The opening of a tool call, or more of its arguments; ``whole``: ``args`` is all of them, come what came."""

    index: int | None = None
    id: str | None = None
    name: str = ""
    args: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider's own word that the model has ended, and why."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts; those of one answer are cumulative, so the last one counts."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


@dataclass(frozen=True, slots=True)
class Running:
    """Up to here the answer has come, and it runs on at the provider whether or not somebody listens.

    ``resumable`` says that its stream can be taken up again from here.
    """

    token: Token
    resumable: bool = False


Piece = Text | Refusal | Thought | Opaque | CallPart | Finish | Usage | Running


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one request brought. ``finish`` is None when the stream ended without the provider's word for it.

    ``opaque`` is what has to go back to its wire with the answer. ``token`` is there as long as the answer runs on at
    the provider. ``partial`` and ``dropped`` (the names of calls that must not run) are filled in by
    ``continuation.stub``.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish: FinishReason | None = None
    usage: Usage = Usage()
    partial: bool = False
    dropped: tuple[str, ...] = ()
    refusal: str = ""
    opaque: tuple[Opaque, ...] = ()
    token: Token | None = None

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in it for the user: no words and no calls, thoughts or not."""
        return not (self.text.strip() or self.refusal.strip() or self.calls or self.dropped)


@dataclass(slots=True)
class OpenCall:
    """A call whose pieces are still coming."""

    index: int | None
    id: str | None
    name: str = ""
    args: str = ""

    @property
    def whole(self) -> bool:
        """Whether the arguments already read as a JSON object."""
        return isinstance(parse_arguments(self.args), Mapping)


class Assembly:
    """The answer of one request, growing piece by piece.

    While the answer runs on at the provider, ``running`` is the last word on how to ask for it again.
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._text_at = 0
        self._refusal: list[str] = []
        self._opaque: list[Opaque] = []
        self._finish: FinishReason | None = None
        self._usage = Usage()
        self.calls: list[OpenCall] = []
        self.running: Running | None = None

    def add(self, piece: Piece) -> bool:
        """Take a piece in and say whether it was progress: content that was not there before."""
        match piece:
            case Text(text=text):
                self._text.append(text)
                self._text_at += len(text)
                return bool(text)
            case Refusal(text=text):
                self._refusal.append(text)
                return bool(text)
            case Thought(text=text):
                return bool(text)
            case Opaque():
                self._opaque.append(replace(piece, text_at=self._text_at, calls_at=len(self.calls)))
                return True
            case CallPart():
                return self._add_part(piece)
            case Finish(reason=reason):
                # The first word counts: what follows a finish is a repetition.
                first, self._finish = self._finish is None, self._finish or reason
                self.running = None
                return first
            case Running():
                self.running = piece
                return False
            case Usage():
                # Some servers repeat the usage without end, as a keep-alive.
                self._usage = piece
                return False

    def answer(self) -> Answer:
        """Return what has arrived, with arguments read strictly."""
        # Cut by the output limit before its first argument, a call looks like one that takes none.
        blank_is_whole = self._finish not in (None, "length")
        calls = tuple(_close(call, blank_is_whole=blank_is_whole) for call in self.calls)
        refusal = "".join(self._refusal)
        # Where declining has words of its own, the wire has no finish reason for it.
        finish = "refusal" if refusal and self._finish == "stop" else self._finish
        return Answer(
            text="".join(self._text),
            calls=calls,
            finish=finish,
            usage=self._usage,
            refusal=refusal,
            opaque=tuple(self._opaque),
            token=self.running.token if self.running else None,
        )

    def _add_part(self, part: CallPart) -> bool:
        call = self._find(part)
        if call is None:
            self.calls.append(OpenCall(part.index, part.id, part.name, part.args))
            return True
        before = call.id, call.name, call.args
        call.id = call.id or part.id
        call.name = _join_name(call, part.name)
        if part.whole:
            call.args = part.args
        elif not (part.args == call.args and call.whole):
            call.args += part.args
        return (call.id, call.name, call.args) != before

    def _find(self, part: CallPart) -> OpenCall | None:
        call = next((c for c in reversed(self.calls) if _matches(c, part)), None)
        if call is not None and _starts_another(call, part):
            return None
        if call is None and self.calls and not part.id and not part.name:
            return self.calls[-1]
        return call


def parse_arguments(text: str) -> Mapping[str, object] | str:
    """Return the JSON object that ``text`` is, or the reason why it is none."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"the arguments are not valid JSON: {error}"
    if not isinstance(value, dict):
        return f"the arguments are not a JSON object but {type(value).__name__}"
    return value


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is not JSON")


def _matches(call: OpenCall, part: CallPart) -> bool:
    same_index = part.index is None or call.index == part.index
    return same_index and (part.id is None or call.id in (None, part.id))


def _starts_another(call: OpenCall, part: CallPart) -> bool:
    if not part.name or part.id or not call.whole:
        return False
    return part.name != call.name or part.args not in ("", call.args)


def _join_name(call: OpenCall, name: str) -> str:
    if name.startswith(call.name):
        return name
    return call.name if call.args else call.name + name


def _close(call: OpenCall, *, blank_is_whole: bool) -> Call:
    if not call.args.strip() and blank_is_whole:
        return Call(call.id or "", call.name)
    arguments = parse_arguments(call.args)
    if isinstance(arguments, str):
        return Call(call.id or "", call.name, fault=arguments)
    return Call(call.id or "", call.name, arguments)

"""The events of one answer of the Messages API: which blocks are open, and what each move writes.

The idea: a writer takes the moves one by one and yields events as values; a stream makes frames of them, and a whole
body is what the same moves leave behind in the blocks, so both forms cannot drift apart. The constraint: a block
closes with the move that makes it necessary and never before, so a stream that is cut leaves open what a real one
leaves open. Making the whole body from the neutral ``Turn`` was refused: it does not know the order of texts, thoughts
and calls. The table of moves and events stands on top of ``anthropic_messages``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from simkit.contracts import CompletionRequest
from simkit.dialects.anthropic_errors import API_ERROR, request_id
from simkit.dialects.anthropic_requests import sign
from simkit.dialects.jsontext import write_json
from simkit.dialects.tokens import estimate, thought, tokens
from simkit.dialects.turn import MARK, Move, about, turn_of
from simkit.errors import UnplayableError
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Chunk,
    Done,
    Fault,
    Finish,
    FinishReason,
    Garble,
    Name,
    Refuse,
    Repeat,
    Say,
    Think,
    Usage,
)

# The API writes this one with a space, unlike its other events.
PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
# The reason of a script -> the stop reason of the wire.
STOP_REASONS: Final[Mapping[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "content_filter": "refusal",
    "stop_sequence": "stop_sequence",
    "context_window": "model_context_window_exceeded",
    "pause": "pause_turn",
}
# The kind of a block -> the type of its deltas, and the field that grows.
_DELTAS: Final[Mapping[str, tuple[str, str]]] = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
# What a usage holds besides counts that a script can give.
_CACHE: Final[Mapping[str, object]] = {
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
}
_SERVICE: Final[Mapping[str, object]] = {"service_tier": "standard", "inference_geo": "global"}
# What may stand between the words of JSON.
_BETWEEN: Final = " \t\r\n"

_Json = Mapping[str, object]


class Event(NamedTuple):
    """One event before it is bytes; its ``type`` is also the name of its frame."""

    data: _Json
    about: Mapping[str, object] = MARK


@dataclass(slots=True)
class _Block:
    """A block of the answer, as far as it is written."""

    index: int
    kind: str
    call: Call | None = None
    pieces: list[str] = field(default_factory=list)
    signature: str | None = None
    step: int = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def opening(self) -> _Json:
        """Return the block as it is when it opens."""
        match self.kind:
            case "text":
                return {"type": "text", "text": ""}
            case "thinking":
                return {"type": "thinking", "thinking": "", "signature": ""}
        assert self.call is not None, self
        return {"type": "tool_use", "id": self.call.id, "name": self.call.name, "input": {}}

    def whole(self) -> _Json:
        """Return the block as it is in a whole body."""
        match self.kind:
            case "text":
                return {"type": "text", "text": self.text}
            case "thinking":
                return {"type": "thinking", "thinking": self.text, "signature": self.signature or sign(self.text)}
        if not self.text.lstrip(_BETWEEN).startswith("{") and self.text:
            text = f"the arguments of a call in a whole answer are a JSON object, not {self.text!r}"
            raise UnplayableError(self.step, text)
        return {**self.opening(), "input": _complete_members(self.text)}

    def delta(self, text: str, told: Mapping[str, object] = MARK) -> Event:
        """Return the event by which the block grows."""
        kind, name = _DELTAS[self.kind]
        return self._event("content_block_delta", {"delta": {"type": kind, name: text}}, told)

    def sign(self, signature: str) -> Event:
        """Return the event that gives a thought its signature."""
        self.signature = signature
        return self._event("content_block_delta", {"delta": {"type": "signature_delta", "signature": signature}})

    def start(self, told: Mapping[str, object] = MARK) -> Event:
        """Return the event that opens the block."""
        return self._event("content_block_start", {"content_block": self.opening()}, told)

    def stop(self) -> Event:
        """Return the event that closes it."""
        return self._event("content_block_stop", {})

    def _event(self, kind: str, rest: _Json, told: Mapping[str, object] = MARK) -> Event:
        return Event({"type": kind, "index": self.index, **rest}, told)


class Writer:
    """Writes one answer, move by move."""

    def __init__(self, script: Sequence[Move], request: CompletionRequest, number: int) -> None:
        self._usage = _usage(script, request)
        self._to_come = Counter(move.call for move in script if isinstance(move.what, Args))
        self._request = request
        self._number = number
        self._blocks: list[_Block] = []
        self._open: list[_Block] = []
        self._begun = False
        self._end: _Json | None = None

    def write(self, move: Move) -> Iterator[Event]:
        """Yield the events of a move. Raises ``UnplayableError`` for what this wire cannot carry."""
        if not self._begun and not isinstance(move.what, Usage | Done | Fault):
            self._begun = True
            yield Event({"type": "message_start", "message": self._start()})
        match move.what:
            case Say(text=text) | Refuse(text=text):
                yield from self._grow("text", move, text)
            case Think(text=text, signature=signature):
                yield from self._grow("thinking", move, text)
                if signature is not None:
                    yield self._open[-1].sign(signature)
            case Call() as call:
                _refuse_without_index(move.step, call.index)
                yield from self._enter("tool_use", call, about(move))
                self._open[-1].step = move.step
            case Args() as piece:
                _refuse_without_index(move.step, piece.index)
                yield from self._argue(move, piece.text)
            case Chunk() as chunk:
                yield self._nothing(move, chunk)
            case Finish() as finish:
                yield from self._finish(move, finish)
            case Done():
                yield Event({"type": "message_stop"}, about(move))
            case Fault() as fault:
                yield self._fault(move, fault)
            case Name():
                text = "this wire sends the name of a tool whole, when the call opens: give all of it to `call`"
                raise UnplayableError(move.step, text)

    def message(self) -> _Json:
        """Return what was written as one whole message."""
        usual = "tool_use" if any(block.kind == "tool_use" for block in self._blocks) else "end_turn"
        head, end = self._head(), self._end or self._reason(usual)
        content = [block.whole() for block in self._blocks]
        return {**head, "content": content, **end, "usage": {**_ended(self._usage), **_CACHE, **_SERVICE}}

    # -- blocks --
    def _grow(self, kind: str, move: Move, text: str) -> Iterator[Event]:
        last = self._open[-1] if self._open else None
        if last is None or last.kind != kind or last.signature is not None:
            yield from self._enter(kind)
        self._open[-1].pieces.append(text)
        yield self._open[-1].delta(text, about(move))

    def _enter(self, kind: str, call: Call | None = None, told: Mapping[str, object] = MARK) -> Iterator[Event]:
        yield from self._leave([block for block in self._open if not self._to_come[block.call]])
        block = _Block(len(self._blocks), kind, call)
        self._blocks.append(block)
        self._open.append(block)
        yield block.start(told)
        if block.index == 0:
            yield Event({"type": "ping"})

    def _leave(self, blocks: Sequence[_Block]) -> Iterator[Event]:
        for block in blocks:
            self._open.remove(block)
            if block.kind == "thinking" and block.signature is None:
                yield block.sign(sign(block.text))
            yield block.stop()

    def _argue(self, move: Move, text: str) -> Iterator[Event]:
        # Pieces may come for a block that is closed: then the script finished before, and wants exactly that.
        block = next((b for b in reversed(self._blocks) if b.call is not None and b.call is move.call), None)
        if block is None:
            raise UnplayableError(
                move.step, "no call is open that these arguments could belong to: put a `call` before"
            )
        if not block.pieces:
            yield block.delta("")
        self._to_come[move.call] -= 1
        block.pieces.append(text)
        yield block.delta(text, about(move))

    def _nothing(self, move: Move, chunk: Chunk) -> Event:
        if chunk.kind != "empty":
            raise UnplayableError(
                move.step, f"a chunk {chunk.kind!r} is of wires with a list of choices, this one has none"
            )
        if not self._open:
            raise UnplayableError(
                move.step, "no block is open that an empty delta could be part of: put a `say` before"
            )
        return self._open[-1].delta("", about(move))

    # -- the message --
    def _finish(self, move: Move, finish: Finish) -> Iterator[Event]:
        reason = finish.wire or STOP_REASONS.get(finish.reason)
        if reason is None:
            text = f"this wire has no stop reason for {finish.reason!r}: use `error`, or say which one with `wire`"
            raise UnplayableError(move.step, text)
        yield from self._leave(list(self._open))
        self._end = self._reason(reason)
        data = {"type": "message_delta", "delta": self._end, "usage": _ended(self._usage)}
        yield Event(data, about(move))

    def _fault(self, move: Move, fault: Fault) -> Event:
        if fault.form != "event":
            text = f"an error of the form {fault.form!r} is of another wire: this one has only 'event'"
            raise UnplayableError(move.step, text)
        details = None if fault.code is None else {"error_code": fault.code}
        error = {"details": details, "type": fault.type or API_ERROR, "message": fault.text}
        return Event({"type": "error", "error": error, "request_id": request_id(self._number)}, about(move))

    def _start(self) -> _Json:
        nothing = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        return {**self._head(), "content": [], **nothing, "usage": _started(self._usage)}

    def _head(self) -> _Json:
        return {
            "model": self._request.model,
            "id": f"msg_sim_{self._number:06d}",
            "type": "message",
            "role": "assistant",
        }

    def _reason(self, reason: str) -> _Json:
        sequences = self._request.body.get("stop_sequences")
        named = sequences[0] if reason == "stop_sequence" and isinstance(sequences, list) and sequences else None
        details = {"type": "refusal", "category": None, "explanation": None} if reason == "refusal" else None
        return {"stop_reason": reason, "stop_sequence": named, "stop_details": details}


def _refuse_without_index(step: int, index: int | None) -> None:
    if index == NO_INDEX:
        raise UnplayableError(step, "every block of this wire has an index: leave `index` out")


# -- tokens -----------------------------------------------------------------------------------------------------------
def _usage(script: Sequence[Move], request: CompletionRequest) -> Usage:
    counted = next((move for move in reversed(script) if isinstance(move.what, Usage)), None)
    if counted is None:
        # Damage and repetition are no words of the model, so they count for nothing.
        turn = turn_of(about(move) for move in script if not isinstance(move.what, Garble | Repeat))
        read = tokens(len(write_json(request.body["messages"])))
        return Usage(input_tokens=read, output_tokens=estimate(turn), thinking_tokens=thought(turn))
    usage = counted.what
    assert isinstance(usage, Usage), usage
    if usage.cached_tokens > usage.input_tokens:
        text = f"{usage.cached_tokens} cached tokens are more than the {usage.input_tokens} that were read in all"
        raise UnplayableError(counted.step, text)
    return usage


def _started(usage: Usage) -> _Json:
    """Return the usage of the start: nothing is written yet but the token that begins the answer."""
    return {**_read(usage), **_CACHE, "output_tokens": 1, **_SERVICE}


def _ended(usage: Usage) -> _Json:
    """Return the usage of the finish: totals that overwrite those of the start."""
    details = {"thinking_tokens": usage.thinking_tokens}
    return {**_read(usage), "output_tokens": usage.output_tokens, "output_tokens_details": details}


def _read(usage: Usage) -> _Json:
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
    }


# -- arguments --------------------------------------------------------------------------------------------------------
def _complete_members(text: str) -> _Json:
    """Return the object that the text stands for; of one that breaks off, the members that were complete."""
    members, decoder, place = dict[str, object](), json.JSONDecoder(), text.find("{") + 1
    while place and text[place:].lstrip(_BETWEEN):
        try:
            name, place = decoder.raw_decode(text, _past(text, place, _BETWEEN))
            value, place = decoder.raw_decode(text, _past(text, place, _BETWEEN + ":"))
        except ValueError:
            break
        place = _past(text, place, _BETWEEN)
        if text[place : place + 1] not in (",", "}"):
            break  # a number that stops at the end of the text may not be whole
        members[str(name)] = value
        place += 1
    return members


def _past(text: str, place: int, characters: str) -> int:
    """Return the first place from this one on where none of these characters stands."""
    while text[place : place + 1] and text[place] in characters:
        place += 1
    return place

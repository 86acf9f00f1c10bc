"""The chunks of a Gemini answer: which moves make one, and what each holds.

The idea: this wire has no pieces of a call, so ``gathered`` first turns the moves of a call into one move at its last
piece; ``Chunks`` then writes each move that is left as one ``GenerateContentResponse``. The constraint: the counts that
every chunk carries never go down and end at what the script says, because clients take the last and show the others.
A chunk made of several moves was refused: time may pass between any two of them.

Decided here (the table of moves is in ``gemini``):

* A call whose arguments are no JSON object when its last piece has come is not sent. Where the script says that the
  model meant to end (``stop``, ``tool_calls``), the answer ends with ``MALFORMED_FUNCTION_CALL`` instead, as the real
  API does; a cut call that runs out of tokens ends with ``MAX_TOKENS``; one that a silence or a broken connection
  follows sends nothing at all. No arguments (empty text) are ``{}`` where the model meant to end.
* A finish is a chunk of its own with an empty text (recorded), without any content for the words of a filter ("the
  content field is empty", says ``types.FinishReason.SAFETY``), and with an empty content for a malformed call.
* A signature travels as base64, as ``types.Part.thought_signature`` is bytes: text that is none is encoded.
* ``candidatesTokenCount`` is the output without the thoughts, and the total is the sum of all (``types``, recorded).
  What is zero is left out, as everywhere in the JSON of this API.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from simkit.contracts import CompletionRequest, Frame
from simkit.dialects.framing import hollow
from simkit.dialects.gemini_errors import ApiError, compact, fault_error, pretty
from simkit.dialects.gemini_requests import SSE
from simkit.dialects.jsontext import read_json, write_json
from simkit.dialects.tokens import tokens
from simkit.dialects.turn import Move, about
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
    Name,
    Refuse,
    Say,
    Step,
    Think,
    Usage,
)

MALFORMED: Final = "MALFORMED_FUNCTION_CALL"
WIRE_WORDS: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "context_window": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "error": "OTHER",
}
_MEANT: Final = ("stop", "tool_calls")
# Words with which an answer ends whole: a chunk of them has a content.
_WHOLE: Final = ("STOP", "MAX_TOKENS")


def gathered(script: Sequence[Move]) -> Iterator[Move]:
    """Yield the moves with each call in one, at its last piece. Raises ``UnplayableError`` for what cannot be sent."""
    means_to_end = any(isinstance(m.what, Finish) and m.what.reason in _MEANT for m in script)
    ends = _ends_of_calls(script)
    broken: Call | None = None
    for place, move in enumerate(script):
        match move.what:
            case Name():
                raise UnplayableError(move.step, "this wire sends the name of a call in one piece: write it whole")
            case Call(index=index) if index == NO_INDEX:
                raise UnplayableError(move.step, "calls have no index on this wire that could be left out")
            case Args() if move.call is None:
                raise UnplayableError(move.step, "no call is open that these arguments could belong to")
            case Args() if place in ends:
                whole = _whole_call(script, move, "{}" if means_to_end else "")
                if whole.args is None or read_object(whole.args) is None:
                    broken = broken or whole
                else:
                    yield Move(move.step, whole, move.call)
            case Call() | Args():
                continue
            case Finish(reason=reason, wire=None) if broken is not None and reason in _MEANT:
                yield Move(move.step, replace(move.what, reason="error", wire=MALFORMED), broken)
            case _:
                yield move


def read_object(text: str) -> dict[str, object] | None:
    """Return the JSON object that the text stands for; None where it is none."""
    try:
        value = read_json(text)
        # A number beyond all bounds is read as infinite, and then cannot be written.
        compact(value)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class Chunks:
    """The chunks of one answer, in order: the counts grow from one to the next."""

    def __init__(self, request: CompletionRequest, script: Sequence[Move], number: int) -> None:
        counted = [move.what for move in script if isinstance(move.what, Usage)]
        self._sse = request.detail == SSE
        self._asked = counted[-1] if counted else None
        self._read = tokens(len(write_json(request.body.get("contents"))))
        self._tail = {"modelVersion": request.model, "responseId": f"sim-{number:06d}"}
        self._written = self._thought = 0
        self._is_over = False

    def write(self, move: Move) -> Iterator[Frame]:
        """Yield the frame of a gathered move; a usage gives none, since every chunk counts."""
        match move.what:
            case Usage():
                return
            case Done():
                yield Frame(move.step, b"", about(move))
            case Fault():
                yield Frame(move.step, b"%b\n" % pretty(fault_of(move).value()), about(move))
            case Chunk():
                yield Frame(move.step, self._hollow(move), about(move))
            case Call(args=args):
                # The frame carries the arguments too.
                yield Frame(move.step, self._framed(self.response(move)), {**about(move), "text": args})
            case _:
                yield Frame(move.step, self._framed(self.response(move)), about(Move(move.step, move.what)))

    def response(self, *moves: Move) -> dict[str, object]:
        """Return the ``GenerateContentResponse`` of moves that are parts of one content."""
        parts: list[dict[str, object]] = []
        end: dict[str, object] = {}
        for move in moves:
            match move.what:
                case Finish():
                    end = self._end(move, move.what)
                case what:
                    parts.append(self._part(what))
        content = {"content": {"parts": parts, "role": "model"}} if parts else {}
        if parts:
            end.pop("content", None)
        return self._counted({"candidates": [{**content, **end, "index": 0}]})

    def _part(self, what: Step) -> dict[str, object]:
        match what:
            case Say(text=text) | Refuse(text=text):
                self._written += len(text)
                return {"text": text}
            case Think(text=text, signature=signature):
                self._thought += len(text)
                signed = {"thoughtSignature": _base64(signature)} if signature is not None else {}
                return {"text": text, "thought": True, **signed}
            case Call(name=name, args=str(args), id=call):
                self._written += len(name) + len(args)
                return {"functionCall": {"name": name, "args": read_object(args), "id": call}}
        raise AssertionError(f"{what!r} is no part of this wire")

    def _end(self, move: Move, finish: Finish) -> dict[str, object]:
        word = finish.wire or WIRE_WORDS.get(finish.reason)
        if word is None:
            raise UnplayableError(move.step, f"this wire has no word for the end {finish.reason!r}: give `wire`")
        self._is_over = True
        if word in _WHOLE:
            return {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": word}
        if move.call is not None:
            told = f"Malformed function call: {move.call.name}({move.call.args}"
            return {"content": {}, "finishReason": word, "finishMessage": told}
        return {"content": {}, "finishReason": word} if word == MALFORMED else {"finishReason": word}

    def _counted(self, response: dict[str, object]) -> dict[str, object]:
        return {**response, "usageMetadata": self._usage(), **self._tail}

    def _usage(self) -> dict[str, object]:
        count = self._count()
        spoken = max(0, count.output_tokens - count.thinking_tokens)
        counts = {
            "promptTokenCount": count.input_tokens,
            "candidatesTokenCount": spoken,
            "totalTokenCount": count.input_tokens + spoken + count.thinking_tokens,
            "cachedContentTokenCount": count.cached_tokens,
        }
        told: dict[str, object] = {name: value for name, value in counts.items() if value}
        told["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": count.input_tokens}]
        return {**told, "thoughtsTokenCount": count.thinking_tokens} if count.thinking_tokens else told

    def _count(self) -> Usage:
        """Return the count so far: what the script says at the end, and never more than that before."""
        if self._is_over and self._asked is not None:
            return self._asked
        thought = tokens(self._thought) if self._thought else 0
        length = self._written + self._thought
        written = tokens(length) if length or self._is_over else 0
        if self._asked is None:
            return Usage(input_tokens=self._read, output_tokens=written, thinking_tokens=thought)
        asked = self._asked
        spoken = min(written - thought, max(0, asked.output_tokens - asked.thinking_tokens))
        thought = min(thought, asked.thinking_tokens)
        return replace(asked, output_tokens=spoken + thought, thinking_tokens=thought)

    def _framed(self, response: Mapping[str, object]) -> bytes:
        return b"data: %b\r\n\r\n" % compact(response) if self._sse else b"%b\n" % pretty(response)

    def _hollow(self, move: Move) -> bytes:
        assert isinstance(move.what, Chunk), move
        kind = move.what.kind
        if kind == "empty":
            return self._framed(self._counted({}))
        data = hollow(kind) if self._sse else None
        if data is None:
            form = "events" if self._sse else "an array"
            raise UnplayableError(move.step, f"a stream of {form} has no chunk that is {kind!r} on this wire")
        return data


def fault_of(move: Move) -> ApiError:
    """Return the error that comes instead of more of the answer. Raises ``UnplayableError`` for a foreign form."""
    assert isinstance(move.what, Fault), move
    if move.what.form != "event":
        raise UnplayableError(move.step, f"this wire has no error of the form {move.what.form!r}, only 'event'")
    return fault_error(move.what)


def _ends_of_calls(script: Sequence[Move]) -> set[int]:
    """Return the places of the moves that are the last piece of a call."""
    ends, closed = set[int](), list[Call]()
    for place in reversed(range(len(script))):
        call = script[place].call
        if isinstance(script[place].what, Args) and call is not None and not any(c is call for c in closed):
            closed.append(call)
            ends.add(place)
    return ends


def _whole_call(script: Sequence[Move], last: Move, default: str) -> Call:
    assert last.call is not None, last
    pieces = [m.what.text for m in script if isinstance(m.what, Args) and m.call is last.call]
    return replace(last.call, args="".join(pieces) or default)


def _base64(signature: str) -> str:
    try:
        base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return base64.b64encode(signature.encode()).decode()
    return signature

"""The way back from bytes of the Messages API to steps, for recordings and for whoever must know what was sent.

The idea: each event that carries something becomes one step, and whatever is cut, damaged or unknown is left out, so
any bytes at all give an answer. The constraint: playing the steps again gives a client the same turn. Guessing what a
damaged frame meant was refused: nobody received it.

What cannot be told apart: a refusal in words is text, ``content_filter`` is ``refusal``, a frame that was repeated is
one more piece, and tokens that were written to a cache count as read. How the connection ended is not in the bytes: a
finish without ``message_stop`` is heard as a finish, and whoever holds the connection knows whether it broke.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from simkit.dialects.anthropic_writer import STOP_REASONS
from simkit.dialects.jsontext import read_json, write_json
from simkit.dialects.sse import decode
from simkit.model.timeline import Args, Call, Done, Fault, Finish, FinishReason, Say, Step, Think, Usage

# The first reason of the table that has this word is its meaning.
_REASONS: Final[Mapping[str, FinishReason]] = {word: reason for reason, word in reversed([*STOP_REASONS.items()])}

_Json = Mapping[str, object]


def hear_stream(body: bytes) -> tuple[Step, ...]:
    """Return the steps of a streamed body."""
    ear = _Ear()
    for event in _events(body):
        ear.take(event)
    return tuple(ear.steps)


def hear_whole(body: bytes) -> tuple[Step, ...]:
    """Return the steps of a whole message; none of what is no message."""
    try:
        message = read_json(body)
    except ValueError:
        return ()
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, list):
        return ()
    blocks = [step for block in content for step in _block_steps(block)]
    return (*blocks, *_end_steps(message, message.get("usage")))


class _Ear:
    """Takes events and remembers steps."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._read: _Json = {}
        # The index of a block -> which call it is.
        self._calls: dict[int, int] = {}
        # Those that got no piece yet.
        self._fresh: set[int] = set()
        self._heard = 0

    def take(self, event: _Json) -> None:
        """Understand one event."""
        match event:
            case {"type": "message_start", "message": {"usage": dict(read)}}:
                self._read = read
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                self._open(index, block)
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
                self._grow(index, delta)
            case {"type": "message_delta", "delta": dict(delta)}:
                usage = event.get("usage")
                self.steps += _end_steps(delta, {**self._read, **usage} if isinstance(usage, dict) else None)
            case {"type": "message_stop"}:
                self.steps.append(Done())
            case {"type": "error", "error": {"type": str(kind), "message": str(text), **rest}}:
                self.steps.append(Fault(text=text, type=kind, code=_code(rest.get("details"))))

    def _open(self, index: int, block: _Json) -> None:
        steps = _block_steps(block)
        if block.get("type") == "tool_use" and steps:
            self._calls[index] = self._heard
            self._heard += 1
            self._fresh.add(index)
            # What an input holds when it opens comes again in pieces.
            steps = steps[:1]
        self.steps += [step for step in steps if not isinstance(step, Say | Think) or step.text]

    def _grow(self, index: int, delta: _Json) -> None:
        match delta:
            case {"type": "text_delta", "text": str(text)}:
                self.steps.append(Say(text=text))
            case {"type": "thinking_delta", "thinking": str(text)}:
                self.steps.append(Think(text=text))
            case {"type": "signature_delta", "signature": str(signature)}:
                self._sign(signature)
            case {"type": "input_json_delta", "partial_json": str(text)} if index in self._calls:
                self._argue(index, text)

    def _argue(self, index: int, text: str) -> None:
        first, call = index in self._fresh, self._calls[index]
        self._fresh.discard(index)
        # The empty piece that begins every input is no part of the arguments.
        if text or not first:
            # Only a piece for an earlier call must say so.
            self.steps.append(Args(text=text, index=None if call == self._heard - 1 else call))

    def _sign(self, signature: str) -> None:
        last = self.steps[-1] if self.steps else None
        if isinstance(last, Think) and last.signature is None:
            self.steps[-1] = replace(last, signature=signature)
        else:
            self.steps.append(Think(text="", signature=signature))


def _events(body: bytes) -> Iterator[_Json]:
    for message in decode(body):
        try:
            event = read_json(message.data)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _block_steps(block: object) -> list[Step]:
    match block:
        case {"type": "text", "text": str(text)}:
            return [Say(text=text)]
        case {"type": "thinking", "thinking": str(text), **rest}:
            signature = rest.get("signature")
            return [Think(text=text, signature=signature if isinstance(signature, str) and signature else None)]
        case {"type": "tool_use", "id": str(call), "name": str(name), **rest}:
            return [Call(name=name, id=call), Args(text=write_json(rest.get("input", {})).decode())]
    return []


def _end_steps(end: _Json, usage: object) -> list[Step]:
    reason = end.get("stop_reason")
    if not isinstance(reason, str):
        return []
    known = _REASONS.get(reason)
    finish = Finish(reason="stop", wire=reason) if known is None else Finish(reason=known)
    counted = _counted(usage) if isinstance(usage, dict) else None
    return [finish] if counted is None else [counted, finish]


def _counted(usage: _Json) -> Usage | None:
    if not isinstance(usage.get("output_tokens"), int):
        return None
    cached = _count(usage, "cache_read_input_tokens")
    read = _count(usage, "input_tokens") + _count(usage, "cache_creation_input_tokens") + cached
    details = usage.get("output_tokens_details")
    thinking = _count(details, "thinking_tokens") if isinstance(details, dict) else 0
    written = _count(usage, "output_tokens")
    return Usage(input_tokens=read, output_tokens=written, cached_tokens=cached, thinking_tokens=thinking)


def _count(usage: _Json, name: str) -> int:
    count = usage.get(name)
    return count if isinstance(count, int) and count > 0 else 0


def _code(details: object) -> str | None:
    match details:
        case {"error_code": str(code)}:
            return code
    return None

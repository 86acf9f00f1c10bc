"""The way back on the Chat Completions wire: from the bytes of an answer to the steps it was made of.

The idea: each chunk becomes the steps that would have sent it, one by one, so a recording replays piece for piece and
what a client could have understood can be asked of bytes as of a script. The constraint: nothing is made up and
nothing raises; a frame that is cut, damaged or unknown is left out, and so is what carries nothing (the role, an empty
text). The SDK's own accumulator was refused: it repairs what it can and raises on the rest, and a recording must show
what was sent.

What cannot be heard: the signature of a thought, which reason stood behind a word that stands for several, and how the
connection ended. A finish without ``[DONE]`` is heard as a finish; whoever holds the connection knows whether it broke.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeGuard

from simkit.dialects.jsontext import read_json
from simkit.dialects.sse import decode
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
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

_Json = Mapping[str, object]
_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
}
# How compatible servers call what a model thinks.
_THOUGHTS: Final = ("reasoning_content", "reasoning")


def hear_chunks(body: bytes) -> Iterator[Step]:
    """Yield the steps of a streamed body."""
    opened = dict[int, str]()
    for message in decode(body):
        if message.data.startswith("[DONE]"):
            yield Done()
            continue
        chunk = _read(message.data)
        yield from _error(chunk)
        choice = _choice(chunk)
        yield from _hear_delta(_object(choice.get("delta")), opened)
        yield from _finish(choice)
        yield from _usage(chunk)


def hear_completion(body: bytes) -> Iterator[Step]:
    """Yield the steps of a whole body."""
    completion = _read(body)
    yield from _error(completion)
    choice = _choice(completion)
    message = _object(choice.get("message"))
    yield from _texts(message)
    for call in _objects(message.get("tool_calls")):
        function = _object(call.get("function"))
        if _is_text(call.get("id")) and function:
            yield Call(name=_text(function.get("name")), args=_text(function.get("arguments")), id=str(call["id"]))
    yield from _finish(choice)
    yield from _usage(completion)


def _hear_delta(delta: _Json, opened: dict[int, str]) -> Iterator[Step]:
    yield from _texts(delta)
    for call in _objects(delta.get("tool_calls")):
        index = call.get("index", NO_INDEX)
        if isinstance(index, int):
            yield from _hear_call(call, index, opened)


def _hear_call(call: _Json, index: int, opened: dict[int, str]) -> Iterator[Step]:
    """Yield the opening of a call, or pieces of one; some servers send the id again with every piece."""
    function, own = _object(call.get("function")), call.get("id")
    name, args = function.get("name"), function.get("arguments")
    # Some leave the id out; a name that comes with room for arguments is an opening, not a piece of a name.
    opens = own != opened.get(index) if _is_text(own) else name and "arguments" in function and index not in opened
    if opens:
        opened[index] = _text(own)
        yield Call(name=_text(name), id=_text(own) or None, index=index)
    elif _is_text(name):
        yield Name(text=name, index=index)
    # An opening always has arguments, and they are empty; an empty piece was sent as one.
    if isinstance(args, str) and (args or not (opens or _is_text(name))):
        yield Args(text=args, index=index)


def _texts(said: _Json) -> Iterator[Step]:
    thoughts = next((said[key] for key in _THOUGHTS if _is_text(said.get(key))), None)
    if _is_text(thoughts):
        yield Think(text=thoughts)
    content, refusal = said.get("content"), said.get("refusal")
    if _is_text(content):
        yield Say(text=content)
    if _is_text(refusal):
        yield Refuse(text=refusal)


def _finish(choice: _Json) -> Iterator[Step]:
    word = choice.get("finish_reason")
    if not _is_text(word):
        return
    # A word that is not known ends the answer all the same, and is kept.
    reason = _REASONS.get(word, "tool_calls" if word == "function_call" else "stop")
    yield Finish(reason=reason, wire=None if word in _REASONS else word)


def _usage(chunk: _Json) -> Iterator[Step]:
    usage = _object(chunk.get("usage"))
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(read, int) and isinstance(written, int):
        yield Usage(
            input_tokens=read,
            output_tokens=written,
            cached_tokens=_count(usage, "prompt_tokens_details", "cached_tokens"),
            thinking_tokens=_count(usage, "completion_tokens_details", "reasoning_tokens"),
        )


def _error(chunk: _Json) -> Iterator[Step]:
    error = chunk.get("error")
    if isinstance(error, str):
        yield Fault(text=error)
    elif isinstance(error, dict):
        kind, code = error.get("type"), error.get("code")
        yield Fault(
            text=_text(error.get("message")),
            type=kind if isinstance(kind, str) else None,
            # Some gateways send a number.
            code=str(code) if isinstance(code, str | int) else None,
        )


# -- whatever it is ----------------------------------------------------------------------------------------------
def _read(text: str | bytes) -> _Json:
    try:
        return _object(read_json(text))
    except ValueError:
        return {}


def _choice(chunk: _Json) -> _Json:
    return next((c for c in _objects(chunk.get("choices")) if c.get("index", 0) == 0), {})


def _count(usage: _Json, details: str, name: str) -> int:
    count = _object(usage.get(details)).get(name)
    return count if isinstance(count, int) else 0


def _object(value: object) -> _Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[_Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != ""

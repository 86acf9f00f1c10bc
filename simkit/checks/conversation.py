"""What a request says of the conversation so far: messages, the calls in them, and the results.

The idea: each wire writes the same history differently, so it is read here into one shape, and the laws about
history are written once. The constraint: reading never fails on a malformed body; what cannot be read becomes
an empty message, since judging it is the law's work. Asking the dialects to do this was refused: what the
provider accepts and what is well formed must be able to disagree.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from simkit.model.trace import Event

_Json = Mapping[str, object]


class PastCall(NamedTuple):
    """A tool call as the history tells it; ``args`` as it stands there, JSON text on most wires."""

    id: object
    tool: object
    args: object


class Message(NamedTuple):
    """One message of the history. ``answers`` is the id of the call whose result it is, or None."""

    role: str
    text: str
    calls: tuple[PastCall, ...] = ()
    answers: object = None


def raw_messages(request: Event) -> Sequence[object] | None:
    """Return the whole history of a request as it was sent, or None when its wire is not known here."""
    # A request that builds on a stored answer tells only the end of its history.
    return None if builds_on(request) else sent_messages(request)


def builds_on(request: Event) -> object:
    """Return the id of the stored answer that this request goes on from, or None when it goes on from none."""
    body = request.get("body")
    return (body.get("previous_response_id") or None) if isinstance(body, Mapping) else None


def sent_messages(request: Event) -> Sequence[object] | None:
    """Return the messages that stand in a request, be they the whole history or its end; None as above."""
    body = request.get("body")
    wire = _WIRES.get(str(request.get("dialect")))
    if wire is None or not isinstance(body, Mapping):
        return None
    messages = body.get(wire.key)
    if isinstance(messages, str):
        return ({"role": "user", "content": messages},)
    return messages if isinstance(messages, list | tuple) else ()


def read_messages(request: Event, raw: Sequence[object]) -> list[Message]:
    """Return messages of this request in the common shape; one of the wire may be several here, or part of one."""
    wire = _WIRES[str(request.get("dialect"))]
    read = (wire.read(message) if isinstance(message, Mapping) else [Message("", "")] for message in raw)
    return list(_joined(message for messages in read for message in messages))


def _joined(messages: Iterable[Message]) -> Iterator[Message]:
    """Make one message of calls that the wire tells one by one: they were made together."""
    last: Message | None = None
    for message in messages:
        if last is not None and message.role == last.role == _CALLS_ALONE:
            last = last._replace(calls=last.calls + message.calls)
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


# -- Chat Completions ------------------------------------------------------------------------------
def _openai_chat(message: _Json) -> list[Message]:
    calls = message.get("tool_calls")
    return [
        Message(
            role=str(message.get("role")),
            text=_text(message.get("content")),
            calls=tuple(_call(c) for c in _mappings(calls)),
            answers=message.get("tool_call_id") if message.get("role") == "tool" else None,
        )
    ]


def _call(call: _Json) -> PastCall:
    function = call.get("function")
    if not isinstance(function, Mapping):
        return PastCall(call.get("id"), None, None)
    return PastCall(call.get("id"), function.get("name"), function.get("arguments"))


# -- Responses -------------------------------------------------------------------------------------
def _openai_responses(item: _Json) -> list[Message]:
    match item.get("type", "message"):
        case "message":
            return [Message(str(item.get("role")), _text(item.get("content")))]
        case "function_call":
            call = PastCall(item.get("call_id"), item.get("name"), item.get("arguments"))
            return [Message(_CALLS_ALONE, "", (call,))]
        case "function_call_output":
            return [Message("tool", _text(item.get("output")), answers=item.get("call_id"))]
    # Reasoning, and whatever the provider ran by itself: nothing here that a result must pair with.
    return []


# -- Messages --------------------------------------------------------------------------------------
def _anthropic(message: _Json) -> list[Message]:
    content = message.get("content")
    parts = _mappings(content)
    results = [
        Message("tool", _text(part.get("content")), answers=part.get("tool_use_id"))
        for part in parts
        if part.get("type") == "tool_result"
    ]
    calls = tuple(
        PastCall(part.get("id"), part.get("name"), _object_text(part.get("input")))
        for part in parts
        if part.get("type") == "tool_use"
    )
    text = _text(content)
    rest = [Message(str(message.get("role")), text, calls)] if text or calls or not results else []
    return results + rest


# -- Gemini ----------------------------------------------------------------------------------------
def _gemini(content: _Json) -> list[Message]:
    parts = _mappings(content.get("parts"))
    calls = tuple(
        PastCall(key, call.get("name"), _object_text(call.get("args", {})))
        for key, call in _numbered(parts, "functionCall", "function_call")
    )
    results = [
        Message("tool", json.dumps(result.get("response"), ensure_ascii=False), answers=key)
        for key, result in _numbered(parts, "functionResponse", "function_response")
    ]
    text = _text(parts)
    rest = [Message(str(content.get("role", "user")), text, calls)] if text or calls or not results else []
    return results + rest


def _numbered(parts: Iterable[_Json], *keys: str) -> Iterator[tuple[object, _Json]]:
    """Yield the calls or results among parts, each with its id; without one, its name and how often it came."""
    seen: Counter[object] = Counter()
    for part in parts:
        one = next((part[key] for key in keys if key in part), None)
        if isinstance(one, Mapping):
            name = one.get("name")
            seen[name] += 1
            yield one.get("id") or f"{name}:{seen[name]}", one


# -- values ----------------------------------------------------------------------------------------
def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or "") for part in _mappings(content))


def _object_text(value: object) -> object:
    """Return an object as JSON text, the form that all wires have in common; what is none stays as it is."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, Mapping) else value


def _mappings(values: object) -> list[_Json]:
    return [v for v in values if isinstance(v, Mapping)] if isinstance(values, list | tuple) else []


class _Wire(NamedTuple):
    """Where a wire keeps the history, and how one message of it is read."""

    key: str
    read: Callable[[_Json], list[Message]]


# The role of a message that holds one call and nothing else.
_CALLS_ALONE: Final = "calls"
_WIRES: Final[dict[str, _Wire]] = {
    "openai-chat": _Wire("messages", _openai_chat),
    "openai-responses": _Wire("input", _openai_responses),
    "anthropic": _Wire("messages", _anthropic),
    "gemini": _Wire("contents", _gemini),
}

"""What a request says of the conversation so far: messages, the calls in them, and the results.

The idea: each wire writes the same history differently, so it is read here into one shape, and the laws about
history are written once. The constraint: reading never fails on a malformed body; what cannot be read becomes
an empty message, since judging it is the law's work. Asking the dialects to do this was refused: what the
provider accepts and what is well formed must be able to disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from simkit.model.trace import Event


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
    """Return the messages of a request as they were sent, or None when its wire is not known here."""
    body = request.get("body")
    if request.get("dialect") not in _READERS or not isinstance(body, Mapping):
        return None
    messages = body.get("messages")
    return messages if isinstance(messages, list | tuple) else ()


def read_messages(request: Event, raw: Sequence[object]) -> list[Message]:
    """Return messages of this request in the common shape."""
    read = _READERS[str(request.get("dialect"))]
    return [read(message) if isinstance(message, Mapping) else Message("", "") for message in raw]


def _openai_chat(message: Mapping[str, object]) -> Message:
    calls = message.get("tool_calls")
    return Message(
        role=str(message.get("role")),
        text=_text(message.get("content")),
        calls=tuple(_call(c) for c in calls if isinstance(c, Mapping)) if isinstance(calls, list | tuple) else (),
        answers=message.get("tool_call_id") if message.get("role") == "tool" else None,
    )


def _call(call: Mapping[str, object]) -> PastCall:
    function = call.get("function")
    if not isinstance(function, Mapping):
        return PastCall(call.get("id"), None, None)
    return PastCall(call.get("id"), function.get("name"), function.get("arguments"))


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else ()
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping))


# Dialect name -> how one of its messages is read. A new wire is a line here and a function above.
_READERS: Final[dict[str, Callable[[Mapping[str, object]], Message]]] = {
    "openai-chat": _openai_chat,
}

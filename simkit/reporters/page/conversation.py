"""The conversation of a run: what the user wrote, what the model said and called, what tools gave, what was shown.

The idea: pieces of one stream are one message again, so a person reads a dialogue and not frames. The constraint: what
the model sent stands beside what the agent showed to the user, because a fault often lies between the two; and a
message that broke off says so. Reading it out of the last request was refused: a failing run often never sends what
went wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from simkit.model.trace import Event

# A message of the model is told by these frames: its text, its thoughts, its refusal, and its calls.
_TEXTS: Final = ("say", "think", "refuse")
_CALLS: Final = ("call", "name", "args")
_BROKEN: Final = {
    "eof": "ended early",
    "cut": "cut off",
    "reset": "cut off by a reset",
    "client_closed": "closed by the agent",
    "open": "still open at the end",
}


@dataclass(slots=True)
class Message:
    """One message: the number of the event that it begins with, who speaks, what is said, and what is to be known."""

    event: int
    who: str
    text: str = ""
    about: str = ""
    sort: str = field(default="", compare=False)


def conversation(events: Iterable[Event]) -> list[Message]:
    """Return the messages in the order in which they began."""
    messages: list[Message] = []
    of_request: dict[object, list[Message]] = {}
    for event in events:
        if event.kind == "frame":
            _hear(event, messages, of_request.setdefault(event.get("request"), []))
        elif event.kind == "stream.end":
            _end(event, of_request.pop(event.get("request"), []))
        else:
            messages += _plain(event)
    return messages


def _plain(event: Event) -> Iterator[Message]:
    text = str(event.get("text") or "")
    match event.kind:
        case "user.says":
            yield Message(event.n, "user", text)
        case "user.cancels" | "user.leaves":
            yield Message(event.n, "user", about="cancels" if event.kind == "user.cancels" else "leaves")
        case "said":
            yield Message(event.n, "agent shows the user", text)
        case "turn.end":
            yield Message(event.n, "agent", about=f"ends the turn as {event.get('outcome')}")
        case "request.invalid":
            yield Message(event.n, "provider", text, f"refuses request {event.get('request')}")
        case "response" if _is_refusal(event):
            yield Message(
                event.n, "provider", about=f"answers request {event.get('request')} with {event.get('status')}"
            )
        case "tool.end":
            result = event.get("result")
            about = f"run {event.get('run')}, {event.get('outcome')}"
            yield Message(event.n, f"tool {event.get('tool')}", result if isinstance(result, str) else "", about)


def _is_refusal(event: Event) -> bool:
    status = event.get("status")
    return isinstance(status, int) and status >= 400


def _hear(event: Event, messages: list[Message], mine: list[Message]) -> None:
    """Add a frame to the message of its answer that it continues, or begin a new one."""
    sort, text = str(event.get("is")), str(event.get("text") or "")
    if mine and (mine[-1].sort in _CALLS if sort in ("args", "name") else sort in _TEXTS and mine[-1].sort == sort):
        mine[-1].text += text
    elif sort in (*_TEXTS, *_CALLS, "error"):
        message = Message(event.n, _speaker(event, sort), text, sort=sort)
        messages.append(message)
        mine.append(message)


def _speaker(event: Event, sort: str) -> str:
    who = f"model (request {event.get('request')})"
    if sort in _CALLS:
        return f"{who} calls {event.get('tool') or 'a tool'}"
    return f"{who} {_VERBS[sort]}".rstrip()


_VERBS: Final = {"say": "", "think": "thinks", "refuse": "refuses", "error": "fails"}


def _end(event: Event, mine: list[Message]) -> None:
    """Say at the last message of an answer how that ended, where it did not simply end."""
    broken = _BROKEN.get(str(event.get("how")))
    if mine and broken:
        mine[-1].about = broken
    elif mine and event.get("finish"):
        mine[-1].about = f"finish reason {event.get('finish')}"

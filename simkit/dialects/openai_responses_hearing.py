"""The way back: from a body of the Responses API to the steps that it was made of.

The idea: a recorded stream becomes a script, delta by delta, so that pieces stay apart as they were sent. The
constraint: a recording may be cut, damaged or of a server that only resembles the API, so nothing here raises and
nothing is assumed to be there; what cannot be understood is left out. Reading with the SDK was refused: it raises where
a recording is most interesting, and a dialect does not depend on one client.

A stream tells how it ended by its last event alone: without one there is no ``finish`` among the steps. A stream that
has no deltas but a last event is read from the output in that event, as some gateways send it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from simkit.dialects.jsontext import read_json
from simkit.dialects.sse import decode
from simkit.model.timeline import Args, Call, Fault, Finish, FinishReason, Refuse, Say, Step, Think, Usage

_Json = Mapping[str, object]

_INCOMPLETE: Final[Mapping[str, FinishReason]] = {"max_output_tokens": "length", "content_filter": "content_filter"}


def hear_stream(body: bytes) -> tuple[Step, ...]:
    """Return the steps of a streamed body."""
    hearing = _Hearing()
    for message in decode(body):
        hearing.take(_read(message.data))
    return tuple(hearing.steps)


def hear_whole(body: bytes) -> tuple[Step, ...]:
    """Return the steps of a Response object."""
    response = _read(body)
    items = _output(response)
    return (*items, *_ending(response, items))


class _Hearing:
    """A stream while it is heard: the steps so far, and which call an item is."""

    def __init__(self) -> None:
        self.steps = list[Step]()
        self._indexes = dict[str, int]()
        self._opened_at = 0  # how many steps there were when the newest item began

    def take(self, event: _Json) -> None:
        """Take the next event."""
        delta, item = _text(event, "delta"), _one(event, "item")
        self._opened_at = len(self.steps) if event.get("type") == "response.output_item.added" else self._opened_at
        match event.get("type"):
            case "response.output_text.delta":
                self.steps.append(Say(text=delta))
            case "response.refusal.delta":
                self.steps.append(Refuse(text=delta))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self.steps.append(Think(text=delta))
            case "response.output_item.added" if item.get("type") == "function_call":
                index = self._indexes[_text(item, "id")] = len(self._indexes)
                self.steps.append(_call(item, index))
            case "response.function_call_arguments.delta":
                index = self._indexes.get(_text(event, "item_id"), 0)
                self.steps.append(Args(text=delta, index=index))
            case "response.output_item.done" if item.get("encrypted_content"):
                self._sign(_text(item, "encrypted_content"))
            case "response.completed" | "response.incomplete" | "response.failed":
                self._end(_one(event, "response"))
            case "error":
                self.steps.append(_fault(event))

    def _sign(self, signature: str) -> None:
        """Sign the last thought of the item; one without a summary is a thought of no words."""
        for place in reversed(range(self._opened_at, len(self.steps))):
            step = self.steps[place]
            if isinstance(step, Think):
                self.steps[place] = replace(step, signature=signature)
                return
        self.steps.append(Think(text="", signature=signature))

    def _end(self, response: _Json) -> None:
        self.steps = self.steps or _output(response)
        self.steps += _ending(response, self.steps)


def _output(response: _Json) -> list[Step]:
    steps = list[Step]()
    for item in _all(response, "output"):
        steps += _item(item, sum(isinstance(step, Call) for step in steps))
    return steps


def _item(item: _Json, index: int) -> Iterator[Step]:
    match item.get("type"):
        case "message":
            for part in _all(item, "content"):
                if part.get("type") == "refusal":
                    yield Refuse(text=_text(part, "refusal"))
                else:
                    yield Say(text=_text(part, "text"))
        case "reasoning":
            thoughts = [Think(text=_text(part, "text")) for key in ("summary", "content") for part in _all(item, key)]
            secret = _text(item, "encrypted_content") or None
            *most, last = thoughts or [Think(text="")]
            yield from (*most, replace(last, signature=secret))
        case "function_call":
            yield replace(_call(item, index), args=_text(item, "arguments"))


def _call(item: _Json, index: int) -> Call:
    return Call(name=_text(item, "name"), id=_text(item, "call_id") or None, index=index)


def _ending(response: _Json, steps: list[Step]) -> Iterator[Step]:
    yield from _usage(_one(response, "usage"))
    match response.get("status"):
        case "completed":
            yield Finish(reason=_reason(steps))
        case "incomplete":
            why = _text(_one(response, "incomplete_details"), "reason")
            known = _INCOMPLETE.get(why)
            yield Finish(reason=known or "length", wire=None if known else why or None)
        case "failed":
            error = _one(response, "error")
            code, kind = _text(error, "code") or None, _text(error, "type") or None
            yield Fault(text=_text(error, "message"), type=kind, code=code, form="failed")


def _reason(steps: list[Step]) -> FinishReason:
    kinds = {type(step) for step in steps}
    if Call in kinds:
        return "tool_calls"
    return "refusal" if Refuse in kinds else "stop"


def _usage(usage: _Json) -> Iterator[Usage]:
    if usage:
        yield Usage(
            input_tokens=_count(usage, "input_tokens"),
            output_tokens=_count(usage, "output_tokens"),
            cached_tokens=_count(_one(usage, "input_tokens_details"), "cached_tokens"),
            thinking_tokens=_count(_one(usage, "output_tokens_details"), "reasoning_tokens"),
        )


def _fault(event: _Json) -> Fault:
    nested = _one(event, "error")
    error = nested or event
    code, kind = _text(error, "code") or None, _text(nested, "type") or None
    return Fault(text=_text(error, "message"), type=kind, code=code, form="nested" if nested else "event")


# -- reading what may be anything ------------------------------------------------------------------
def _read(text: str | bytes) -> _Json:
    try:
        value = read_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _one(value: _Json, key: str) -> _Json:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _all(value: _Json, key: str) -> list[_Json]:
    found = value.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(value: _Json, key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _count(value: _Json, key: str) -> int:
    found = value.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0

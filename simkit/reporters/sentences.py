"""Every event as a plain sentence, and the lane of the one it belongs to: what the page, Perfetto and Mermaid say.

The idea: one table with a line for each kind of event says where it is drawn and what it means, so that three views of
one run use the same words. The constraint: no kind is left out, also not one that a later release records, since a view
that drops what it does not know shows a run that never was. The short rows of the terminal were refused here: they
lean on their columns, and a sentence is read alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from simkit.model.duration import format_duration
from simkit.model.plan import FAULT_KINDS
from simkit.model.trace import Event
from simkit.reporters.jsonl import event_line
from simkit.reporters.lanes import cut, printable, safe_values

LANES: Final = ("user", "agent", "requests", "stream", "tools")
USER, AGENT, REQUESTS, STREAM, TOOLS = range(len(LANES))

# More of a text than this is read in the details, not in a sentence.
_SENTENCE_MAX: Final = 400
# From here on a status is a refusal.
_BAD_STATUS: Final = 400


class Told(NamedTuple):
    """An event as people read it: its lane, its sentence, and the sort of sign that stands for it in a drawing."""

    lane: int
    text: str
    sign: str = ""


def tell(event: Event) -> Told:
    """Return lane, sentence and sign of an event: ``fault``, ``cancel``, ``piece``, ``silence``, ``end``, or none."""
    lane, sentence = _KINDS.get(event.kind, (_LANE_OF.get(event.actor, AGENT), _anything))
    return Told(lane, cut(printable(sentence(event)), _SENTENCE_MAX), _sign(event))


def _sign(event: Event) -> str:
    if _is_fault(event):
        return "fault"
    if event.kind in ("user.cancels", "user.leaves") or event.get("outcome") == "cancelled":
        return "cancel"
    return {"frame": "piece", "silence": "silence", "stream.end": "end", "run.end": "end"}.get(event.kind, "")


def _is_fault(event: Event) -> bool:
    """Say whether something went wrong here that came from outside, or that the run was ended for."""
    match event.kind:
        case "fault" | "link.fault" | "connection.refused" | "request.invalid" | "lost.error" | "subject.raised":
            return True
        case "response" | "job.request" | "other.request":
            status = event.get("status")
            return isinstance(status, int) and status >= _BAD_STATUS
        case "stream.end":
            return event.get("how") in ("cut", "reset") or event.get("error") is not None
        case "frame":
            return event.get("is") in ("error", "garbled")
        case "tool.end":
            return event.get("outcome") == "error"
        case "run.end":
            return event.get("reason") != "returned"
    return False


# -- the sentences -----------------------------------------------------------------------------------------------------
def _anything(event: Event) -> str:
    return f"{event.kind}: {event_line(event)}"


def _start(event: Event) -> str:
    return f"the run starts, with the seed {event.get('seed')}"


def _says(event: Event) -> str:
    return f'the user says "{event.get("text")}"'


def _stops(what: str) -> Callable[[Event], str]:
    return lambda event: f"the user {what}{'' if event.get('heard') else ', while nothing is under way'}"


def _request(event: Event) -> str:
    retry = f", the SDK's retry {event.get('retry')}" if event.get("retry") else ""
    background = ", to be answered in the background" if event.get("background") else ""
    model = f" for the model {event.get('model')}" if event.get("model") else ""
    return f"request {event.get('request')}{model} reaches {event.get('host')}{event.get('path')}{retry}{background}"


def _job_request(event: Event) -> str:
    after = "" if event.get("after") is None else f" after {event.get('after')}"
    state = f", and the job is {_words(event.get('state'))}" if event.get("state") else ""
    return f"the agent asks to {event.get('op')} job {event.get('job')}{after}: status {event.get('status')}{state}"


def _other_request(event: Event) -> str:
    target = f"{event.get('host')}{event.get('path')}"
    return f"{event.get('method')} {target} is answered with status {event.get('status')}"


def _response(event: Event) -> str:
    after = f" and asks to wait ({event.get('retry_after')})" if event.get("retry_after") else ""
    return f"the provider answers request {event.get('request')} with status {event.get('status')}{after}"


def _frame(event: Event) -> str:
    many = event.get("times")
    times = f", {many} times" if isinstance(many, int) and many > 1 else ""
    return f"request {event.get('request')}: the provider {_piece(event)}{times}"


def _piece(event: Event) -> str:
    text = event.get("text") or ""
    match event.get("is"):
        case "say":
            return f'says "{text}"'
        case "think":
            return f'thinks "{text}"'
        case "refuse":
            return f'refuses: "{text}"'
        case "call":
            return f"calls {event.get('tool')} {text}".rstrip()
        case "args":
            return f"sends arguments: {text}"
        case "name":
            return f"sends the next piece of a tool's name: {text}"
        case "finish":
            return f"finishes: {text}"
        case "usage":
            return f"counts the tokens {text}".rstrip()
        case "done":
            return "sends the closing marker"
        case "keepalive":
            return "sends a keep-alive"
        case "mark":
            return "sends a frame without content"
        case what:
            return f"sends {what} {text}".rstrip()


def _silence(event: Event) -> str:
    return f"request {event.get('request')}: from here on the script is silent for {_span(event.get('ns'))}"


def _stream_end(event: Event) -> str:
    how = _ENDS.get(str(event.get("how")), f"ends ({event.get('how')})")
    finish = f", finish reason {event.get('finish')}" if event.get("finish") else ", without a finish reason"
    error = f", after an error: {event.get('error')}" if event.get("error") is not None else ""
    return f"the answer to request {event.get('request')} {how}{finish}{error}"


_ENDS: Final[Mapping[str, str]] = {
    "complete": "is complete",
    "eof": "ends early",
    "cut": "is cut off inside its body",
    "reset": "is cut off by a reset",
    "client_closed": "is closed by the agent",
    "open": "is still open at the end of the run",
}


def _connection_close(event: Event) -> str:
    return f"connection {event.get('connection')} is closed by the {event.get('by')} ({event.get('how')})"


def _link_fault(event: Event) -> str:
    span = f" for {_span(event.get('ns'))}" if event.get("ns") is not None else ""
    how = f", how: {event.get('how')}" if event.get("how") else ""
    return f"the link to {event.get('host')} has a fault: {event.get('fault')}{span}{how}"


def _tool_end(event: Event) -> str:
    result = event.get("result")
    told = f": {result}" if isinstance(result, str) else ""
    words = {"ok": "returns", "error": "fails", "cancelled": "is cancelled"}
    outcome = str(event.get("outcome"))
    return f"tool {event.get('tool')} (run {event.get('run')}) {words.get(outcome, outcome)}{told}"


def _note(event: Event) -> str:
    # Masked while the names stand beside the values.
    values = ", ".join(f"{key} {_value(value)}" for key, value in safe_values(event).items() if key != "name")
    return f"the agent notes {event.get('name')}" + (f": {values}" if values else "")


def _turn_end(event: Event) -> str:
    return f"turn {event.get('turn')} ends as {event.get('outcome')}"


def _raised(event: Event) -> str:
    return f"the agent raises {event.get('text') or event.get('error')}{_at(event)}"


def _lost(event: Event) -> str:
    return f"an error of the agent is lost: {event.get('error')}: {event.get('text')}{_at(event)}"


def _orphan(event: Event) -> str:
    waits = f", waiting for {event.get('waits')}" if event.get("waits") else ""
    created = f", created at {event.get('created')}" if event.get("created") else ""
    return f"left over at the end: {event.get('what')} {event.get('name')}{created}{waits}"


def _blocked(event: Event) -> str:
    return f"the event loop stands still for {_span(event.get('ns'))}: {event.get('waits')}{_at(event)}"


def _spin(event: Event) -> str:
    return f"the agent turns in circles: {event.get('steps')} steps at one instant{_at(event)}"


def _fault(event: Event) -> str:
    kind = str(event.get("fault"))
    return f"the plan strikes at {event.get('site')} with {kind}: {FAULT_KINDS.get(kind, 'a fault')}"


def _run_end(event: Event) -> str:
    reason = event.get("reason")
    text = f": {event.get('text')}" if event.get("text") else ""
    return f"the run ends{'' if reason == 'returned' else f', {_words(reason)}'}{text}"


def _unused(event: Event) -> str:
    return f"an answer of the script was never used up: it could have served {event.get('left')} more requests"


def _at(event: Event) -> str:
    return f" ({event.get('where')})" if event.get("where") else ""


def _span(ns: object) -> str:
    return format_duration(ns) if isinstance(ns, int) else str(ns)


def _value(value: object) -> str:
    """Return a value as people write it: a text as it is, all else as JSON."""
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, default=lambda odd: type(odd).__name__)
    )


def _words(value: object) -> str:
    return str(value).replace("_", " ")


# The lane of an event whose kind is unknown, by the one who speaks.
_LANE_OF: Final[Mapping[str, int]] = {
    "user": USER,
    "provider": STREAM,
    "network": REQUESTS,
    "tool": TOOLS,
}

_KINDS: Final[Mapping[str, tuple[int, Callable[[Event], str]]]] = {
    "run.start": (AGENT, _start),
    "user.says": (USER, _says),
    "user.cancels": (USER, _stops("cancels")),
    "user.leaves": (USER, _stops("leaves")),
    "user.note": (USER, lambda e: f"note: {e.get('text')}"),
    "request": (REQUESTS, _request),
    "job.request": (REQUESTS, _job_request),
    "job.state": (STREAM, lambda e: f"job {e.get('job')} is {_words(e.get('state'))}"),
    "other.request": (REQUESTS, _other_request),
    "request.invalid": (REQUESTS, lambda e: f"request {e.get('request')} is refused as malformed: {e.get('text')}"),
    "response": (STREAM, _response),
    "frame": (STREAM, _frame),
    "answer.unused": (STREAM, _unused),
    "silence": (STREAM, _silence),
    "stream.end": (STREAM, _stream_end),
    "connection.open": (REQUESTS, lambda e: f"connection {e.get('connection')} to {e.get('host')}:{e.get('port')}"),
    "connection.refused": (REQUESTS, lambda e: f"no connection to {e.get('host')}: {_words(e.get('how'))}"),
    "connection.close": (REQUESTS, _connection_close),
    "link.fault": (REQUESTS, _link_fault),
    "link.unused": (REQUESTS, lambda e: f"the fault {e.get('fault')} on the link to {e.get('host')} struck nothing"),
    "tool.start": (TOOLS, lambda e: f"tool {e.get('tool')} starts (run {e.get('run')})"),
    "tool.end": (TOOLS, _tool_end),
    "tool.effect": (TOOLS, lambda e: f"tool {e.get('tool')} has done this to the world: {e.get('text')}"),
    "thread.start": (AGENT, lambda e: f"thread {e.get('name')} starts"),
    "thread.end": (AGENT, lambda e: f"thread {e.get('name')} ends"),
    "turn.start": (AGENT, lambda e: f'turn {e.get("turn")} starts with "{e.get("text")}"'),
    "turn.end": (AGENT, _turn_end),
    "said": (AGENT, lambda e: f'the agent shows the user "{e.get("text")}"'),
    "note": (AGENT, _note),
    "subject.returned": (AGENT, lambda _: "the agent's own function returns"),
    "subject.raised": (AGENT, _raised),
    "orphan": (AGENT, _orphan),
    "lost.error": (AGENT, _lost),
    "loop.blocked": (AGENT, _blocked),
    "spin": (AGENT, _spin),
    "fault": (STREAM, _fault),
    "choice": (AGENT, lambda e: f"choice {e.get('number')} ({e.get('choice')}): {e.get('picked')}"),
    "run.end": (AGENT, _run_end),
}

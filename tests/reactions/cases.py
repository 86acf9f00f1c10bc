"""The faults, each as the answer of an ordinary scenario: what a client is sent that it may stumble over.

The idea: a case is one fault with one script for each wire that can carry it, mostly the same script. The constraint:
where a fault is about bytes, they are made from the dialect's own frames, changed in one place, so nothing else than
that place can be what a client stumbles over. Whole streams written out by hand were refused: whoever reads one cannot
see what is wrong with it.

Every answer is for ``any`` number of requests, so a client that tries again meets the same fault again. Times are
short because the cases are also played on real sockets, where they pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.contracts import CompletionRequest, Dialect
from simkit.dialects.anthropic_messages import ANTHROPIC
from simkit.dialects.gemini import GEMINI
from simkit.dialects.gemini_requests import SSE
from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.dialects.openai_responses import OPENAI_RESPONSES
from simkit.model.timeline import Args, Call, Finish, Say, Step, StreamReply

CHAT: Final = "openai-chat"
RESPONSES: Final = "openai-responses"
MESSAGES: Final = "anthropic"
GOOGLE: Final = "gemini"
ALL: Final = (CHAT, RESPONSES, MESSAGES, GOOGLE)
# Where nothing is late, a client must never give up by itself, however busy the machine is.
PATIENT_S: Final = 60.0
# What a client waits for more in the cases about silence, and how long that lasts.
SHORT_S: Final = 0.4
SILENCE: Final = "2s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault: the answers by dialect, each in YAML.

    ``timeout_s`` is how long the client waits for more, ``late`` says that every attempt ends by that.
    """

    title: str
    answers: Mapping[str, str]
    timeout_s: float = PATIENT_S
    late: bool = False


def scenario_text(answer: str) -> str:
    """Return the scenario that plays this answer to every request."""
    # A client that sleeps as long as a header says may sleep for months.
    return (
        "simkit: 1\nscenario: What does a client make of this answer?\n"
        f"limits: {{time: 400d}}\nprovider:\n  - {{times: any, {answer}}}\n"
    )


def _case(title: str, answer: str, wires: Sequence[str] = ALL, **more: object) -> Case:
    """One answer for several wires."""
    return Case(title=title, answers=dict.fromkeys(wires, answer), **more)  # type: ignore[arg-type]  # its own fields


def _each(title: str, **answers: str) -> Case:
    """An answer of its own for each wire."""
    names = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES, "google": GOOGLE}
    return Case(title=title, answers={names[wire]: answer for wire, answer in answers.items()})


# -- bytes ------------------------------------------------------------------------------------------------------------
_DIALECTS: Final[Mapping[str, tuple[Dialect, CompletionRequest]]] = {
    CHAT: (OPENAI_CHAT, CompletionRequest(model="m", stream=True, body={"messages": []})),
    RESPONSES: (OPENAI_RESPONSES, CompletionRequest(model="m", stream=True, body={"input": "hello"})),
    MESSAGES: (ANTHROPIC, CompletionRequest(model="m", stream=True, body={"messages": [], "max_tokens": 64})),
    GOOGLE: (GEMINI, CompletionRequest(model="m", stream=True, body={"contents": []}, detail=SSE)),
}
_HELLO: Final = (Say(text="Hel"), Say(text="lo"), Finish(reason="stop"))
_CALLING: Final = (Call(name="f"), Args(text="{}"), Finish(reason="tool_calls"))


def _written(wire: str, steps: Sequence[Step] = _HELLO) -> list[str]:
    """Return the events of a stream, each as the dialect writes it."""
    dialect, request = _DIALECTS[wire]
    frames = dialect.stream(StreamReply(steps=tuple(steps)), request, number=1, created=0)
    text = b"".join(frame.data for frame in frames).decode()
    end = "\r\n\r\n" if "\r\n" in text else "\n\n"
    return [event + end for event in text.split(end)[:-1]]


def _raw(events: Sequence[str]) -> str:
    """Return the answer that sends these events as they are, each by itself, and ends properly."""
    steps = ", ".join(f"{{raw: {json.dumps(event)}}}" for event in events)
    return f"stream: [{steps}, {{disconnect: eof}}]"


def _whole_bodies() -> Iterator[tuple[str, str]]:
    """Yield, for each wire, the answer that is one body."""
    for wire, (dialect, request) in _DIALECTS.items():
        body = dialect.whole(StreamReply(steps=_HELLO), request, number=1, created=0)
        yield wire, f"status: 200, body: {json.dumps(body.decode())}"


Edit = Callable[[list[str]], list[str]]


def _edited(title: str, edit: Edit, wires: Sequence[str] = ALL, steps: Sequence[Step] = _HELLO) -> Case:
    """A whole stream of each wire, with one change."""
    before = {wire: _written(wire, steps) for wire in wires}
    after = {wire: edit(events) for wire, events in before.items()}
    # A change that finds nothing to change would be a fault that nobody meets.
    assert [wire for wire in wires if before[wire] == after[wire]] == [], title
    return Case(title=title, answers={wire: _raw(events) for wire, events in after.items()})


def _before_the_last_text(event: str) -> Edit:
    """Put something before the second piece of text."""
    return lambda events: [e for one in events for e in ([event, one] if '"lo"' in one else [one])]


def _line_ends(end: str) -> Edit:
    return lambda events: [event.replace("\r\n", "\n").replace("\n", end) for event in events]


def _without_types(events: list[str]) -> list[str]:
    return [event[event.index("data:") :] for event in events]


def _of(kind: str) -> Callable[[str], bool]:
    return lambda event: f'"type":"{kind}"' in event


def _changed(kind: str, before: str, after: str) -> Edit:
    """Change a text in the events of one kind; it must be there."""

    def edit(events: list[str]) -> list[str]:
        assert any(_of(kind)(event) and before in event for event in events), (kind, before, events)
        return [event.replace(before, after) if _of(kind)(event) else event for event in events]

    return edit


def _without(*kinds: str) -> Edit:
    return lambda events: [event for event in events if not any(_of(kind)(event) for kind in kinds)]


def _moved(kind: str, place: int) -> Edit:
    """Let the event of this kind come at another place."""

    def edit(events: list[str]) -> list[str]:
        (event,) = filter(_of(kind), events)
        rest = [one for one in events if one is not event]
        return [*rest[:place], event, *rest[place:]]

    return edit


def _twice(kind: str) -> Edit:
    return lambda events: [e for one in events for e in ([one, one] if _of(kind)(one) else [one])]


def _queued(place: int) -> Edit:
    """Add the event of a queued response, made of the one in progress, at this place."""

    def edit(events: list[str]) -> list[str]:
        (progress,) = filter(_of("response.in_progress"), events)
        queued = progress.replace("response.in_progress", "response.queued").replace('"in_progress"', '"queued"')
        return [*events[:place], queued, *events[place:]]

    return edit


def _marked(events: list[str]) -> list[str]:
    return ["\ufeff", *(events[1:] if '"Hel"' not in events[0] else events)]


def _without_output(events: list[str]) -> list[str]:
    """Let the last event tell of a response that holds nothing."""
    head, _, data = events[-1].partition("data: ")
    value = json.loads(data)
    assert value["response"]["output"]
    value["response"]["output"] = []
    return [*events[:-1], f"{head}data: {json.dumps(value, separators=(',', ':'))}\n\n"]


# -- streams ----------------------------------------------------------------------------------------------------------
_HTML: Final = "<html>Bad Gateway</html>"
_OPENAI_ERROR: Final = """status: 200, body: '{"error":{"message":"no","type":"server_error"}}'"""
_ERROR_BODIES: Final = {
    "chat": _OPENAI_ERROR,
    "responses": _OPENAI_ERROR,
    "messages": """status: 200, body: '{"type":"error","error":{"type":"api_error","message":"no"}}'""",
    "google": """status: 200, body: '{"error":{"code":500,"message":"no","status":"INTERNAL"}}'""",
}

_ENDS: Final = (
    _case("a whole answer", "stream: [say: Hel, say: lo, finish: stop]"),
    _case("end of the body before the finish", "stream: [say: Hel, say: lo, disconnect: eof]"),
    _case("end of the body before anything", "stream: [disconnect: eof]"),
    _case("no closing marker", "stream: [say: Hel, finish: stop, disconnect: eof]"),
    _case("cut (FIN inside the body)", "stream: [say: Hel, wait: 20ms, disconnect: cut]"),
    _case("cut before anything", "stream: [wait: 20ms, disconnect: cut]"),
    _case("reset (RST)", "stream: [say: Hel, wait: 20ms, disconnect: reset]"),
    _case("reset before anything", "stream: [wait: 20ms, disconnect: reset]"),
    _case("cut after the closing marker", "stream: [say: Hel, finish: stop, done, wait: 20ms, disconnect: cut]"),
    _case("reset after the closing marker", "stream: [say: Hel, finish: stop, done, wait: 20ms, disconnect: reset]"),
    _case(
        "silence after the closing marker",
        f"stream: [say: Hel, finish: stop, done, stall: {SILENCE}, disconnect: eof]",
        timeout_s=SHORT_S,
    ),
)
_SILENCES: Final = (
    _case("silence in the middle", f"stream: [say: Hel, stall: {SILENCE}, say: lo, finish: stop]", timeout_s=SHORT_S),
    _case(
        "silence after the headers", f"stream: [stall: {SILENCE}, say: Hel, finish: stop]", timeout_s=SHORT_S, late=True
    ),
    _case(
        "keep-alives through a silence",
        "stream: [say: Hel, keepalive: {every: 100ms, for: 700ms}, say: lo, finish: stop]",
        timeout_s=SHORT_S,
    ),
)
_FRAMES: Final = (
    _case("a comment", "stream: [say: Hel, chunk: comment, say: lo, finish: stop]"),
    _edited("a comment, an id before it", lambda e: _before_the_last_text(": ping\n\n")([f"id: 1\n{e[0]}", *e[1:]])),
    _case("a bare data field", "stream: [say: Hel, chunk: blank, say: lo, finish: stop]"),
    _case("an event type alone", "stream: [say: Hel, chunk: meta, say: lo, finish: stop]"),
    _edited("a retry field alone", _before_the_last_text("retry: 3000\n\n")),
    _case("JSON that breaks off", "stream: [say: Hel, garble: json, say: lo, finish: stop]"),
    _case("text that is no JSON", "stream: [say: Hel, garble: text, say: lo, finish: stop]"),
    _case("a byte that is no UTF-8", "stream: [say: Hel, garble: utf8, say: lo, finish: stop]"),
    _case("a last frame without its end", "stream: [say: Hel, garble: unended, say: lo, disconnect: eof]"),
    _case("every byte by itself", "stream: [say: h\u00e9l \u2713, finish: stop], chunks: byte"),
    _case("all frames in one chunk", "stream: [say: Hel, say: lo, finish: stop], chunks: whole"),
    _case("compressed", "stream: [say: Hel, say: lo, finish: stop], gzip: true"),
    _edited("CRLF", _line_ends("\r\n"), [CHAT, RESPONSES, MESSAGES]),
    _edited("LF where the API sends CRLF", _line_ends("\n"), [GOOGLE]),
    _edited("CR", _line_ends("\r")),
    # The first frame of some wires carries nothing; here it carries text.
    _edited("a byte order mark before the first text", _marked, [CHAT, GOOGLE]),
    _edited("a byte order mark first", lambda events: ["\ufeff", *events], [RESPONSES, MESSAGES]),
    _edited("no event types", _without_types, [RESPONSES, MESSAGES]),
    _each(
        "an event of a type that nobody knows",
        responses=_raw(
            _before_the_last_text('event: response.new\ndata: {"type":"response.new"}\n\n')(_written(RESPONSES))
        ),
        messages=_raw(_before_the_last_text('event: new\ndata: {"type":"new"}\n\n')(_written(MESSAGES))),
    ),
    _case("a frame twice", "stream: [say: Hel, repeat: 1, say: lo, finish: stop]"),
    _case("a stream under text/html", "stream: [say: Hel, finish: stop], headers: {content-type: text/html}"),
    _each("200 with a JSON error", **_ERROR_BODIES),
    Case(title="200 with a whole answer, though a stream was asked for", answers=dict(_whole_bodies())),
    _case("200 with HTML", f"status: 200, headers: {{content-type: text/html}}, body: '{_HTML}'"),
    _case("200 with nothing", "status: 200, body: ''"),
)
_ERRORS: Final = (
    _case("an error in the middle", "stream: [say: Hel, {error: no}]"),
    _case("an error with a type", "stream: [say: Hel, {error: no, type: overloaded_error}]", [CHAT, MESSAGES]),
    _case("an error before anything", "stream: [{error: no}]"),
    _case("a nested error event", "stream: [say: Hel, {error: no, form: nested}]", [RESPONSES]),
    _case("a failed response", "stream: [say: Hel, {error: no, form: failed}]", [RESPONSES]),
    _case("finish: length", "stream: [say: Hel, finish: length]"),
    _case("finish: content_filter", "stream: [say: Hel, finish: content_filter]"),
    _case("finish: error", "stream: [say: Hel, finish: error]", [CHAT, RESPONSES, GOOGLE]),
)
_CALLS: Final = (
    _case("a call", "stream: [{call: f}, args: '{\"a\": ', args: '1}', finish: tool_calls]"),
    _case(
        "two calls whose pieces interleave",
        "stream: [{call: f}, {call: g}, {args: '{\"a\": ', index: 0}, {args: '{}', index: 1}, {args: '1}', index: 0}, "
        "finish: tool_calls]",
    ),
    _edited(
        "a call without any piece of arguments",
        lambda events: [e for e in events if '"partial_json"' not in e and '"arguments":"{}"}}]' not in e],
        [CHAT, MESSAGES],
        _CALLING,
    ),
    _case("a call with one empty piece of arguments", "stream: [{call: f, args: ''}, finish: tool_calls]"),
    _case("a call that is cut", 'stream: [{call: f}, args: \'{"path": "/etc/hosts", "mo\', disconnect: eof]'),
    _case("a call that is cut by length", 'stream: [{call: f}, args: \'{"path": "/etc/hosts", "mo\', finish: length]'),
    _case(
        "a call whose arguments are no JSON",
        'stream: [{call: f}, args: \'{"path": "/etc/hosts", "mo\', finish: tool_calls]',
    ),
    _case("a call without an index", "stream: [{call: f, index: none, args: '{}'}, finish: tool_calls]", [CHAT]),
    _case("a name that comes twice", "stream: [{call: f}, name: f, args: '{}', finish: tool_calls]", [CHAT]),
    _case("indexes from 1", "stream: [{call: f, index: 1, args: '{}'}, finish: tool_calls]", [CHAT]),
    _case(
        "two calls at index 0",
        "stream: [{call: f, index: 0, args: '{}'}, {call: g, index: 0, args: '{}'}, finish: tool_calls]",
        [CHAT, RESPONSES],
    ),
)
_ORDER: Final = (
    _case("no choices", "stream: [say: Hel, chunk: empty, say: lo, finish: stop]", [CHAT, MESSAGES, GOOGLE]),
    _case("null in place of choices", "stream: [say: Hel, chunk: 'null', say: lo, finish: stop]", [CHAT]),
    _case("more text after the finish", "stream: [say: Hel, finish: stop, say: lo]", [CHAT, MESSAGES, GOOGLE]),
    _edited(
        "more text after the closing marker",
        lambda events: [*events, *(e for e in events if '"lo"' in e)],
        [CHAT, RESPONSES, MESSAGES],
    ),
    _edited("queued before created", _queued(0), [RESPONSES]),
    _edited("queued after created", _queued(1), [RESPONSES]),
    _edited("an item that is added twice", _twice("response.output_item.added"), [RESPONSES]),
    _edited("a delta before its item", _moved("response.output_item.added", 4), [RESPONSES]),
    _edited(
        "an item whose id changes", _changed("response.output_item.done", '"id":"msg_', '"id":"other_'), [RESPONSES]
    ),
    _edited("a response whose id changes", _changed("response.completed", '"id":"resp_', '"id":"other_'), [RESPONSES]),
    _edited("an item that is never done", _without("response.output_item.done"), [RESPONSES]),
    _edited(
        "completed without an item that is never done",
        lambda events: _without_output(_without("response.output_item.done")(events)),
        [RESPONSES],
    ),
    _edited("completed with an empty output", _without_output, [RESPONSES]),
    _edited(
        "a gap in the sequence numbers",
        _changed("response.completed", '"sequence_number":', '"sequence_number":1'),
        [RESPONSES],
    ),
)
SECTIONS: Final[Mapping[str, tuple[Case, ...]]] = {
    "How a stream ends": _ENDS,
    "Silence": _SILENCES,
    "Frames and bytes": _FRAMES,
    "Errors and finishes": _ERRORS,
    "Calls": _CALLS,
    "Order": _ORDER,
}


# -- whole answers ----------------------------------------------------------------------------------------------------
_STATUSES: Final = (400, 401, 402, 403, 404, 408, 409, 412, 413, 422, 429, 500, 501, 502, 503, 504, 524, 529)
# Stands for the HTTP date of seven seconds after the start of the run.
IN_7_S: Final = "IN_7_S"
_RETRY_AFTER: Final = (
    ("60", "'60'"),
    ("120", "'120'"),
    ("121", "'121'"),
    ("3600", "'3600'"),
    ("inf", "'inf'"),
    ("NaN", "'NaN'"),
    ("soon", "'soon'"),
    ("0", "'0'"),
    ("-1", "'-1'"),
    ("0.2", "'0.2'"),
    ("a date 7 s ahead", f"'{IN_7_S}'"),
    ("a date of the past", "'Wed, 21 Oct 2015 07:28:00 GMT'"),
)


def _retries() -> Iterator[Case]:
    for title, text in _RETRY_AFTER:
        yield _case(f"429, retry-after: {title}", f"status: 429, retry_after: {text}")
    headers = {
        "429, retry-after-ms: 500, retry-after: 7": "429, headers: {retry-after-ms: '500', retry-after: '7'}",
        "429, x-should-retry: false": "429, headers: {x-should-retry: 'false'}",
        "400, x-should-retry: true": "400, headers: {x-should-retry: 'true'}",
        "429, x-should-retry: true, retry-after: 3600": "429, retry_after: '3600', headers: {x-should-retry: 'true'}",
    }
    for title, answer in headers.items():
        yield _case(title, f"status: {answer}")
    quota = "status: 429, type: insufficient_quota, code: insufficient_quota"
    yield _case("429, insufficient_quota", quota, [CHAT, RESPONSES])


WHOLE_SECTIONS: Final[Mapping[str, tuple[Case, ...]]] = {
    "Statuses": tuple(_case(str(status), f"status: {status}") for status in _STATUSES),
    "How long to wait": tuple(_retries()),
    "Before the headers": (
        _case("refused", "connection: refused"),
        _case("no such host", "connection: unknown_host"),
        _case("reset while it is made", "connection: reset"),
        _case("reset after the request", "stream: [disconnect: reset]"),
        _case("closed after the request", "stream: [disconnect: cut]"),
        _case(
            "silence",
            f"after: {SILENCE}, stream: [say: Hel, finish: stop]",
            timeout_s=SHORT_S,
            late=True,
        ),
    ),
    "Bodies": (
        _case("a whole answer", "stream: [say: Hello, finish: stop]"),
        _case("a call", "stream: [{call: f, args: {a: 1}}, finish: tool_calls]"),
        _each("200 with a JSON error", **_ERROR_BODIES),
        _case("200 with HTML", f"status: 200, headers: {{content-type: text/html}}, body: '{_HTML}'"),
        _case("200 with nothing", "status: 200, body: ''"),
        _case("JSON that breaks off", "stream: [garble: json, say: Hello, finish: stop]"),
    ),
}

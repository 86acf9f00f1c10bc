"""What lasts and what causes what: the spans of a run, and the arrows between its events.

The idea: turns, requests, answers, silences, jobs and tool runs are told by two events each, a beginning and an end,
and every drawing needs the pair. The constraint: a span that nothing ended reaches to the last event and says that it
is open, because what never ended is often the fault. Guessing causes from times alone was refused: an arrow stands
only where a number or an id joins two events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from simkit.model.trace import Event, Trace
from simkit.reporters.lanes import printable
from simkit.reporters.sentences import AGENT, REQUESTS, STREAM, TOOLS

_BAD_STATUS = 400


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted: its lane, its name, its sort, the events that began and ended it, and those instants."""

    lane: int
    name: str
    sort: str
    first: int
    last: int
    from_ns: int
    to_ns: int
    is_open: bool = False


def spans(trace: Trace) -> list[Span]:
    """Return everything that lasted, in the order in which it began."""
    found = [*_paired(trace), *_silences(trace), *_jobs(trace)]
    return sorted(found, key=lambda span: (span.first, span.lane))


def arrows(trace: Trace) -> list[tuple[int, int]]:
    """Return the pairs of events of which the first brought about the second, as far as the trace says so."""
    return sorted({*_turns(trace), *_answers(trace), *_calls(trace)})


# -- spans -------------------------------------------------------------------------------------------------------------
def _paired(trace: Trace) -> Iterator[Span]:
    """Join what begins to what ends it, by the key that both carry."""
    under_way: dict[tuple[str, object], tuple[Event, int, str]] = {}
    for event in trace:
        for key in _ended_by(event):
            if key in under_way:
                yield _span(*under_way.pop(key), key[0], event)
        begun = _begun_by(event)
        if begun is not None:
            key, lane, name = begun
            under_way[key] = (event, lane, name)
    for (sort, _), (first, lane, name) in under_way.items():
        yield _span(first, lane, name, sort, trace.events[-1], is_open=True)


def _span(first: Event, lane: int, name: str, sort: str, last: Event, *, is_open: bool = False) -> Span:
    return Span(lane, printable(name), sort, first.n, last.n, first.at_ns, last.at_ns, is_open)


def _begun_by(event: Event) -> tuple[tuple[str, object], int, str] | None:
    match event.kind:
        case "turn.start":
            return ("turn", event.get("turn")), AGENT, f"turn {event.get('turn')}"
        case "request":
            return ("request", event.get("request")), REQUESTS, f"request {event.get('request')}"
        case "response" if not _is_refusal(event):
            return ("answer", event.get("request")), STREAM, f"answer to request {event.get('request')}"
        case "tool.start":
            return ("tool", event.get("run")), TOOLS, f"{event.get('tool')} (run {event.get('run')})"
    return None


def _ended_by(event: Event) -> list[tuple[str, object]]:
    match event.kind:
        case "turn.end":
            return [("turn", event.get("turn"))]
        case "stream.end":
            return [("answer", event.get("request")), ("request", event.get("request"))]
        case "request.invalid":
            return [("request", event.get("request"))]
        case "response" if _is_refusal(event):
            return [("request", event.get("request"))]
        case "tool.end":
            return [("tool", event.get("run"))]
    return []


def _is_refusal(event: Event) -> bool:
    status = event.get("status")
    return isinstance(status, int) and status >= _BAD_STATUS


def _silences(trace: Trace) -> Iterator[Span]:
    """A silence lasts until its stream goes on or ends, whatever the script had planned."""
    silent: dict[object, Event] = {}
    for event in trace:
        if event.kind in ("frame", "stream.end", "silence") and event.get("request") in silent:
            if event.get("is") == "keepalive":
                continue
            yield _span(silent.pop(event.get("request")), STREAM, "silence", "silence", event)
        if event.kind == "silence":
            silent[event.get("request")] = event
    for first in silent.values():
        yield _span(first, STREAM, "silence", "silence", trace.events[-1], is_open=True)


def _jobs(trace: Trace) -> Iterator[Span]:
    """Every state of a background job but its last one lasts until the next."""
    states: dict[object, Event] = {}
    for event in trace.of("job.state"):
        before = states.get(event.get("job"))
        if before is not None:
            state = str(before.get("state")).replace("_", " ")
            yield _span(before, STREAM, f"job {before.get('job')} {state}", "job", event)
        states[event.get("job")] = event


# -- arrows ------------------------------------------------------------------------------------------------------------
def _turns(trace: Trace) -> Iterator[tuple[int, int]]:
    """The user's n-th message with the n-th turn of the same text."""
    said: dict[object, list[int]] = {}
    for event in trace.of("user.says", "turn.start"):
        waiting = said.setdefault(event.get("text"), [])
        if event.kind == "user.says":
            waiting.append(event.n)
        elif waiting:
            yield waiting.pop(0), event.n


def _answers(trace: Trace) -> Iterator[tuple[int, int]]:
    requests: dict[object, int] = {}
    for event in trace.of("request", "response", "request.invalid"):
        if event.kind == "request":
            requests[event.get("request")] = event.n
        elif event.get("request") in requests:
            yield requests.pop(event.get("request")), event.n


def _calls(trace: Trace) -> Iterator[tuple[int, int]]:
    """A whole call that a stream delivered, with the next run of that tool with those arguments."""
    delivered: dict[tuple[str, str], list[int]] = {}
    for event in trace.of("stream.end", "tool.start"):
        if event.kind == "stream.end":
            for call in _whole_calls(event):
                delivered.setdefault(call, []).append(event.n)
            continue
        waiting = delivered.get((str(event.get("tool")), _same(event.get("args"))), [])
        if waiting:
            yield waiting.pop(0), event.n


def _whole_calls(event: Event) -> Iterator[tuple[str, str]]:
    calls = event.get("calls")
    for call in calls if isinstance(calls, list | tuple) else ():
        if isinstance(call, dict):
            yield str(call.get("tool")), _same(call.get("args"))


def _same(args: object) -> str:
    """Return arguments as text that is equal for equal arguments, whether they came as a value or as JSON."""
    if isinstance(args, str):
        try:
            return json.dumps(json.loads(args), sort_keys=True)
        except ValueError:
            return args
    return json.dumps(args, sort_keys=True, default=str)

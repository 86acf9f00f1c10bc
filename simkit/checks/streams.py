"""Laws about streams: how long one may say nothing, and what a broken one may be taken for.

The idea: silence is measured between pieces of content, and success is read from the stream's own terminal
marker. The constraint: both sides of a rule are kept: a stream that is slow but alive is left in peace, and
one that ends with the closing marker alone, without a finish reason, is whole, because some providers never
send a reason. Measuring bytes instead of content was refused: keep-alives would then hide exactly the fault
that is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from simkit.checks.reading import (
    ROUNDING_NS,
    Exchange,
    answer_place,
    at,
    exchanges,
    is_whole,
    limit,
    number,
    turns,
)
from simkit.contracts import Law
from simkit.model.duration import NS_PER_S, format_duration, format_instant
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable


# -- bounded_silence -------------------------------------------------------------------------------
@dataclass(slots=True)
class _Open:
    """An open request, its last piece of content, and the first silence beyond the limit."""

    request: Event
    last: Event
    streams: bool
    gap: tuple[Event, Event] | None = None


def _bounded_silence(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    most_ns = limit(parameter)
    found = _silences(trace, most_ns)
    if not found:
        yield NotApplicable(law="bounded_silence", because="the run made no completion request")
    answers = exchanges(trace) if any(one.gap for one in found) else {}
    for one in found:
        if one.gap:
            exchange = answers[number(one.request, "request")]
            place = answer_place(scenario, _silent(exchange, one.gap, trace))
            yield _too_silent(exchange, one.gap, most_ns, place)


def _silences(trace: Trace, most_ns: int) -> list[_Open]:
    """Follow every request from content to content until it is closed, by its stream or by its connection."""
    opened: dict[int, _Open] = {}
    every: list[_Open] = []
    for event in trace:
        if event.kind == "request":
            one = opened[number(event, "request")] = _Open(event, event, bool(event.get("stream")))
            every.append(one)
        elif event.kind == "connection.close":
            for key in [k for k, o in opened.items() if o.request.get("connection") == event.get("connection")]:
                _mark(opened.pop(key), event, most_ns)
        elif event.kind in ("frame", "response", "stream.end"):
            _follow(opened, event, most_ns)
    for one in opened.values():
        _mark(one, trace.events[-1], most_ns)
    return every


def _follow(opened: dict[int, _Open], event: Event, most_ns: int) -> None:
    key = number(event, "request")
    one = opened.get(key)
    if one is None or (event.kind == "frame" and not event.get("progress")):
        return
    _mark(one, event, most_ns)
    # An answer that is no stream is over with its response.
    if event.kind == "stream.end" or (event.kind == "response" and not (one.streams and event.get("status") == 200)):
        del opened[key]


def _mark(one: _Open, event: Event, most_ns: int) -> None:
    if one.gap is None and event.at_ns - one.last.at_ns > most_ns + ROUNDING_NS:
        one.gap = (one.last, event)
    one.last = event


def _silent(exchange: Exchange, gap: tuple[Event, Event], trace: Trace) -> Exchange:
    """Return the exchange as it was in the gap: what came after it is not what was silent."""
    spoken = (e for e in trace.events[gap[0].n : gap[1].n] if e.kind in ("frame", "silence"))
    within = [event for event in spoken if event.get("request") == exchange.number]
    silences = [event for event in within if event.kind == "silence"]
    last = (silences or within)[-1:]
    return replace(exchange, step=last[0] if last else exchange.step, end=None)


def _too_silent(exchange: Exchange, gap: tuple[Event, Event], most_ns: int, place: Place | None) -> Finding:
    before, after = gap
    text = (
        f"request {exchange.number} stayed open for {format_duration(after.at_ns - before.at_ns)} without "
        f"content, from "
        f"{at(before)} to {at(after)}; at most {format_duration(most_ns)} is allowed, and keep-alives are "
        f"no content"
    )
    return Finding(law="bounded_silence", text=text, events=(before.n, after.n), place=place)


BOUNDED_SILENCE: Final = Law(
    name="bounded_silence",
    says="No request stays open longer than its limit without a piece of content.",
    judge=_bounded_silence,
    parameter="duration",
    # The default read timeout of the official SDKs: nobody means to wait longer than that.
    default=600 * NS_PER_S,
)


# -- partial_is_not_success ------------------------------------------------------------------------
_ENDED: Final = {
    "cut": "was cut",
    "reset": "was reset",
    "client_closed": "was given up",
    "open": "was still open",
}


def _partial_is_not_success(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    ended = [turn for turn in turns(trace)[0] if turn.end is not None]
    if not ended:
        yield NotApplicable(law="partial_is_not_success", because="the subject reported no end of a turn")
        return
    answers = exchanges(trace)
    for turn in ended:
        if turn.end is None or turn.end.get("outcome") != "finished" or not turn.requests:
            continue
        last = answers[number(turn.requests[-1], "request")]
        if last.end is not None and not is_whole(last.end):
            yield _partial(scenario, last, last.end, turn.end)


def _partial(scenario: Scenario, exchange: Exchange, end: Event, turn_end: Event) -> Finding:
    how = _ENDED.get(str(end.get("how")), "ended")
    text = (
        f'the turn ended as "finished" at {at(turn_end)}, but request {exchange.number} {how} '
        f"{_where(exchange, end)}, without a finish reason (at {format_instant(end.at_ns)})"
    )
    events = tuple(sorted((turn_end.n, end.n)))
    return Finding(law="partial_is_not_success", text=text, events=events, place=answer_place(scenario, exchange))


def _where(exchange: Exchange, end: Event) -> str:
    if exchange.piece is None:
        return "before its first content"
    if exchange.piece.get("is") == "say" or exchange.call is None:
        return "in the middle of its text"
    tool = exchange.call.get("tool")
    calls = end.get("calls")
    whole = [call for call in calls if call["tool"] == tool] if isinstance(calls, list | tuple) else []
    return f"after the call of {tool}" if whole else f"in the middle of {tool}"


PARTIAL_IS_NOT_SUCCESS: Final = Law(
    name="partial_is_not_success",
    says='A turn whose last answer broke off before its terminal marker does not end as "finished".',
    judge=_partial_is_not_success,
)

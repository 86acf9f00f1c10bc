"""Laws about history: what the agent tells the model of its own past.

The idea: every request carries the whole conversation, so each one is examined as it was sent. The
constraint: the same broken message is sent again with every later request and is told once. A request
continues another only when it repeats that one's messages and adds to them; anything looser takes a sibling's
conversation, or a history that was compacted in good order, for a fault.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.checks.conversation import Message, PastCall, raw_messages, read_messages
from simkit.checks.reading import Delivery, at, deliveries, number, quoted, read_args, same_call, times
from simkit.contracts import Law
from simkit.model.scenario import Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable

_UNREADABLE: Final = "no completion request of a wire whose history can be read"


# -- history_well_formed ---------------------------------------------------------------------------
def _history_well_formed(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    told: set[str] = set()
    looked = False
    for request in trace.of("request"):
        raw = raw_messages(request)
        if raw is None:
            continue
        looked = True
        for fault in _faults(read_messages(request, raw)):
            if fault not in told:
                told.add(fault)
                text = f"request {number(request, 'request')} at {at(request)} carries a broken history: {fault}"
                yield Finding(law="history_well_formed", text=text, events=(request.n,))
    if not looked:
        yield NotApplicable(law="history_well_formed", because=_UNREADABLE)


def _faults(messages: Iterable[Message]) -> Iterator[str]:
    """Say what is wrong, in sentences that stay the same when the history grows."""
    calls: tuple[PastCall, ...] = ()
    results: Counter[object] = Counter()
    for message in messages:
        if message.role == "tool":
            results[message.answers] += 1
            if all(call.id != message.answers for call in calls):
                yield f"the result for call {message.answers!r} follows no message that made this call"
            continue
        yield from _unpaired(calls, results)
        calls, results = message.calls, Counter()
        yield from _unreadable(calls)
    yield from _unpaired(calls, results)


def _unpaired(calls: Sequence[PastCall], results: Counter[object]) -> Iterator[str]:
    ids = Counter(call.id for call in calls)
    for call in {call.id: call for call in calls}.values():
        if ids[call.id] > 1:
            yield f"{ids[call.id]} calls of one message share the id {call.id!r}"
        elif results[call.id] == 0:
            yield f"the call {call.id!r} of {call.tool} has no result before the next message"
        elif results[call.id] > 1:
            yield f"the call {call.id!r} of {call.tool} has {results[call.id]} results"


def _unreadable(calls: Iterable[PastCall]) -> Iterator[str]:
    for call in calls:
        if not _is_json(call.args):
            yield f"the arguments of call {call.id!r} of {call.tool} are no JSON text: {quoted(call.args)}"


def _is_json(args: object) -> bool:
    if not isinstance(args, str):
        return False
    try:
        # No text at all is how a call without arguments looks on this wire.
        read_args(args)
    except (ValueError, RecursionError):
        return False
    return True


HISTORY_WELL_FORMED: Final = Law(
    name="history_well_formed",
    says="In every request each tool call has exactly one result right after it, and its arguments are JSON.",
    judge=_history_well_formed,
)


# -- results_pair_with_calls -----------------------------------------------------------------------
@dataclass(slots=True)
class _Ran:
    """A delivered call whose tool ran, with the messages of the request that it answered."""

    call: Delivery
    before: Sequence[object]
    start: Event
    end: Event | None = None

    @property
    def result(self) -> str | None:
        """The tool's result as text; None while it runs, or when it gave no result of its own."""
        return _as_text(self.end.get("result")) if self.end and self.end.get("outcome") == "ok" else None


def _results_pair(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    known = {number(e, "request"): raw for e in trace.of("request") if (raw := raw_messages(e)) is not None}
    ran = _runs_of_calls(trace, known)
    if not ran:
        because = "no tool ran from a call that a finished stream delivered" if known else _UNREADABLE
        yield NotApplicable(law="results_pair_with_calls", because=because)
        return
    starts = {one.start.n: one for one in ran}
    ends = {one.start.get("run"): one for one in ran}
    waiting: list[_Ran] = []
    for event in trace.of("tool.start", "tool.end", "request"):
        if event.kind == "tool.start" and event.n in starts:
            waiting.append(starts[event.n])
        elif event.kind == "tool.end" and event.get("run") in ends:
            ends[event.get("run")].end = event
        elif event.kind == "request" and waiting:
            tails = [(one, _tail(one, event, known.get(number(event, "request"), ()))) for one in waiting]
            waiting = [one for one, tail in tails if tail is None]
            for one, tail in tails:
                fault = None if tail is None else _fault(one, ran, tail)
                if fault:
                    yield _unpaired_result(one, event, fault)


def _runs_of_calls(trace: Trace, known: dict[int, Sequence[object]]) -> list[_Ran]:
    """Pair every run of a tool with the first delivered call that it can come from."""
    calls = [d for d in deliveries(trace) if d.finished and d.request in known]
    ran: list[_Ran] = []
    for start in trace.of("tool.start"):
        key = same_call(start.get("tool"), start.get("args"))
        call = next((c for c in calls if c.n < start.n and c.key == key), None)
        if call is not None:
            calls.remove(call)
            ran.append(_Ran(call, known[call.request], start))
    return ran


def _tail(one: _Ran, request: Event, raw: Sequence[object]) -> list[Message] | None:
    """Return what a request adds to the conversation of this call; None when it continues another."""
    size = len(one.before)
    if len(raw) <= size or list(raw[:size]) != list(one.before):
        return None
    tail = read_messages(request, raw[size:])
    # Calls of which none is ours: a sibling's conversation that began with the same words.
    return tail if _ours(one, tail) or not any(message.calls for message in tail) else None


def _ours(one: _Ran, tail: Iterable[Message]) -> PastCall | None:
    """Find the call in the history: by its id and what it asks, or by one of the two.

    What it asks comes first: an agent may give calls new ids, and must where two of them share one.
    """
    calls = [call for message in tail for call in message.calls]
    named = [call for call in calls if call.id == one.call.id]
    alike = [call for call in calls if _same(call, one)]
    return next(iter([call for call in named if call in alike] or alike or named), None)


def _fault(one: _Ran, ran: Iterable[_Ran], tail: Sequence[Message]) -> str | None:
    ours = _ours(one, tail)
    if ours is None:
        return _dropped(one, tail)
    results = [message.text for message in tail if message.role == "tool" and message.answers == ours.id]
    if len(results) != sum(call.id == ours.id for message in tail for call in message.calls):
        return f"its result was sent {times(len(results))}"
    return _swapped(one, ran, results)


def _same(call: PastCall, one: _Ran) -> bool:
    return _is_json(call.args) and same_call(call.tool, read_args(call.args)) == one.call.key


def _dropped(one: _Ran, tail: Iterable[Message]) -> str | None:
    """Agents without tool messages tell the result as ordinary text, which is as good."""
    if one.result is None or any(one.result in message.text for message in tail):
        return None
    return "neither the call nor its result was sent"


def _swapped(one: _Ran, ran: Iterable[_Ran], results: Sequence[str]) -> str | None:
    """See whether the call carries exactly the result of a sibling instead of its own."""
    if one.result is None or any(one.result in text for text in results):
        return None
    for other in ran:
        if other is not one and other.call.request == one.call.request and other.result in results:
            return f"it was given the result of another call, {quoted(other.result)}"
    return None


def _unpaired_result(one: _Ran, request: Event, fault: str) -> Finding:
    text = (
        f"{one.call.tool} ran at {at(one.start)} from a call of request {one.call.request}, but in request "
        f"{number(request, 'request')} at {at(request)} {fault}"
    )
    return Finding(law="results_pair_with_calls", text=text, events=(one.start.n, request.n))


def _as_text(result: object) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)


RESULTS_PAIR_WITH_CALLS: Final = Law(
    name="results_pair_with_calls",
    says="A call whose tool ran gets that tool's result exactly once, in its conversation's next request.",
    judge=_results_pair,
)

"""The law about tokens: what an answer has cost is counted once, and all of it is.

The idea: the script says what each answer costs, and a subject that counts says so in notes called ``usage``; both
are added up over the run. The constraint: where a wire made up its own figures, or an answer broke off after a part of
them, nobody knows the right sum, and the law says that it cannot look. Reading the figures off the wire was refused:
chunks repeat them, and which repetition counts is the very question.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simkit.checks.reading import ROUNDING_NS, Exchange, at, exchanges, is_whole, number
from simkit.contracts import Law
from simkit.model.scenario import Scenario
from simkit.model.timeline import BackgroundReply, StreamReply, Usage
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable

_LAW: Final = "usage_counted_once"
# As a note names them, and the words for a sentence.
_KINDS: Final = ("input", "output")
# The wire that tells what an answer costs in a frame of its own, and only to those who ask for it.
_IN_A_FRAME: Final = "openai-chat"


def usage_notes(trace: Trace) -> list[Event]:
    """Return the notes in which the subject says what it has counted since the last one."""
    return [note for note in trace.of("note") if note.get("name") == "usage"]


def counted(note: Event, kind: str) -> int:
    """Return the tokens of one kind in a note; none where it does not speak of them."""
    return 0 if note.get(kind) is None else number(note, kind)


class _UnknownError(Exception):
    """Nobody can say what an answer has cost; the text says why."""


def _usage_counted_once(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    notes = usage_notes(trace)
    try:
        costs = list(_costs(scenario, trace)) if notes else []
    except _UnknownError as error:
        yield NotApplicable(law=_LAW, because=str(error))
        return
    if not notes or not costs:
        because = "no answer told what it costs" if notes else "the subject reported no usage"
        yield NotApplicable(law=_LAW, because=because)
        return
    for kind in _KINDS:
        told = sum(usage.input_tokens if kind == "input" else usage.output_tokens for _, usage in costs)
        said = sum(counted(note, kind) for note in notes)
        if said != told and any(note.get(kind) is not None for note in notes):
            yield _miscounted(kind, said, told, [exchange for exchange, _ in costs], notes)


def _miscounted(kind: str, said: int, told: int, paid: list[Exchange], notes: list[Event]) -> Finding:
    requests = ", ".join(str(exchange.number) for exchange in paid)
    text = (
        f"the subject counted {said} tokens of {kind}, last at {at(notes[-1])}, but the answers that told what they "
        f"cost add up to {told} (request{'s' if len(paid) > 1 else ''} {requests})"
    )
    return Finding(law=_LAW, text=text, events=(paid[-1].request.n, notes[-1].n))


def _costs(scenario: Scenario, trace: Trace) -> Iterator[tuple[Exchange, Usage]]:
    """Give every answer that told its client what it costs. Raises ``_UnknownError``."""
    ends = [event.get("reason") for event in trace.of("run.end")]
    if ends != ["returned"]:
        raise _UnknownError("the subject did not come to its end, so it may have been about to count")
    stops = [stop for stop in trace.of("user.cancels", "user.leaves") if stop.get("heard")]
    on_its_way_ns = max((link.latency_ns for link in scenario.network.values()), default=0)
    damaged = {event.get("request") for event in trace.of("frame") if event.get("is") == "garbled"}
    in_frames = {event.get("request") for event in trace.of("frame") if event.get("is") == "usage"}
    for exchange in exchanges(trace).values():
        if exchange.end is None or exchange.response is None or exchange.response.get("status") != 200:
            continue
        streams_chat = exchange.request.get("stream") and exchange.request.get("dialect") == _IN_A_FRAME
        if streams_chat and exchange.number not in in_frames:
            continue
        if not is_whole(exchange.end):
            raise _UnknownError(f"the answer to request {exchange.number} broke off, and may have told a part")
        if exchange.number in damaged:
            raise _UnknownError(f"the answer to request {exchange.number} arrived damaged, and may not have been read")
        if any(_may_have_stopped(stop, exchange.end, on_its_way_ns) for stop in stops):
            raise _UnknownError(f"the user stopped the answer to request {exchange.number} while it arrived")
        yield exchange, _written(scenario, exchange)


def _may_have_stopped(stop: Event, end: Event, on_its_way_ns: int) -> bool:
    """Say whether the client may have closed an answer, whole as it was, before it had read it to its end."""
    return -ROUNDING_NS <= stop.at_ns - end.at_ns <= on_its_way_ns + ROUNDING_NS


def _written(scenario: Scenario, exchange: Exchange) -> Usage:
    index = exchange.response.get("answer") if exchange.response else None
    reply = scenario.provider[index].reply if isinstance(index, int) and index < len(scenario.provider) else None
    steps = reply.steps if isinstance(reply, StreamReply | BackgroundReply) else ()
    written = [step for step in steps if isinstance(step, Usage)]
    if not written:
        raise _UnknownError(f"the script does not say what the answer to request {exchange.number} costs")
    # As on every wire, the last one stands.
    return written[-1]


USAGE_COUNTED_ONCE: Final = Law(
    name=_LAW,
    says="The tokens that the subject has counted are those of all answers, each counted once.",
    judge=_usage_counted_once,
)

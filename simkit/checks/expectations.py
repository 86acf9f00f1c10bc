"""The facts that a scenario's ``expect`` can name, and how each is compared.

The idea: a fact is a pure function from a trace to a value and the events that make it up; a matcher
compares. The constraint: what the trace does not hold has the value None, which matches nothing but None, so
a missing fact never meets an expectation by luck. A free expression language was refused: a closed list of
facts can be checked before the run, explained, and said in a sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from simkit.checks.comparing import Fact, matches, say, to_be
from simkit.checks.conversation import raw_messages, read_messages
from simkit.checks.occurrences import in_order
from simkit.checks.parking import parked_tasks
from simkit.checks.reading import number
from simkit.checks.usage import counted, usage_notes
from simkit.model.scenario import Expectation, Matcher
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding


def met(expectation: Expectation, trace: Trace) -> Iterator[Finding]:
    """Give a finding for every matcher that is not met. Raises ``KeyError`` for an unknown fact."""
    if expectation.fact == _EVENTS:
        yield from in_order(expectation, trace)
        return
    facts = _FACTS[expectation.fact](trace, expectation.key)
    if isinstance(facts, Fact):
        for matcher in expectation.matchers:
            yield from _compare(expectation, _name(expectation), facts, matcher, trace)
    else:
        yield from _compare_each(expectation, facts, trace)


def facts() -> tuple[str, ...]:
    """Return the names of all facts, in the order of the reference."""
    return (*_FACTS, _EVENTS)


# -- the facts -------------------------------------------------------------------------------------
def _requests(trace: Trace, key: str | None) -> Fact:
    """Completion requests are the posts; the gets are those that ask for a background job."""
    if key == "get":
        return _count([e for e in trace.of("job.request") if e.get("method") == "GET"])
    return _count(trace.of("request"))


def _attempts(trace: Trace, key: str | None) -> Fact:
    """Requests that arrived, and connections that never came about."""
    return _count(trace.of("request", "connection.refused"))


def _polls(trace: Trace, key: str | None) -> Fact:
    return _count([e for e in trace.of("job.request") if e.get("op") == "retrieve"])


def _continuations(trace: Trace, key: str | None) -> Fact:
    return _count([e for e in trace.of("note") if e.get("name") == "continuation"])


def _tool_calls(trace: Trace, key: str | None) -> Fact:
    return _count([e for e in trace.of("tool.start") if key is None or e.get("tool") == key])


def _tool_effects(trace: Trace, key: str | None) -> Fact:
    return _count([e for e in trace.of("tool.effect") if key is None or e.get("tool") == key])


def _parked(trace: Trace, key: str | None) -> Fact:
    return _count([task.told for task in parked_tasks(trace).tasks.values()])


def _usage(trace: Trace, key: str | None) -> Fact:
    """The tokens that the subject has counted, and not those that the provider told: the sums of its notes."""
    notes = usage_notes(trace)
    return Fact(sum(counted(note, str(key)) for note in notes) if notes else None, notes)


def _tool_results_sent(trace: Trace, key: str | None) -> Fact:
    """Count results, not their repetitions: every later request carries the earlier ones again."""
    most: Counter[str] = Counter()
    deciding: list[Event] = []
    for request in trace.of("request"):
        raw = raw_messages(request)
        messages = read_messages(request, raw) if raw else []
        now = Counter(str(m.answers) for m in messages if m.answers is not None)
        # One entry for each result, so that the first too many has a place in the list.
        deciding += [request] * (now - most).total()
        most |= now
    return Fact(most.total(), deciding)


def _messages(trace: Trace, key: str | None) -> Fact:
    return _count(trace.of("said"))


def _last_message(trace: Trace, key: str | None) -> Fact:
    return _last(trace.of("said"), "text")


def _outcome(trace: Trace, key: str | None) -> Fact:
    return _last(trace.of("turn.end"), "outcome")


def _ends_within(trace: Trace, key: str | None) -> Fact:
    return Fact(trace.end_ns, trace.events[-1:], spans=True)


def _waits(trace: Trace, key: str | None) -> list[Fact]:
    """The time from each failed attempt to the next attempt, whatever came of that."""
    found: list[Fact] = []
    failed: Event | None = None
    for event in trace.of("request", "response", "connection.refused"):
        if event.kind != "response" and failed is not None:
            found.append(Fact(event.at_ns - failed.at_ns, (failed, event), spans=True))
            failed = None
        if event.kind == "connection.refused" or (event.kind == "response" and number(event, "status") >= 400):
            failed = event
    return found


def _count(events: list[Event]) -> Fact:
    return Fact(len(events), events)


def _last(events: list[Event], name: str) -> Fact:
    return Fact(events[-1].get(name), events[-1:]) if events else Fact(None)


_FACTS: Final[dict[str, Callable[[Trace, str | None], Fact | list[Fact]]]] = {
    "requests": _requests,
    "attempts": _attempts,
    "polls": _polls,
    "continuations": _continuations,
    "tool_calls": _tool_calls,
    "tool_effects": _tool_effects,
    "parked": _parked,
    "tool_results_sent": _tool_results_sent,
    "messages": _messages,
    "last_message": _last_message,
    "outcome": _outcome,
    "ends_within": _ends_within,
    "waits": _waits,
    "usage": _usage,
}
# It holds no value that could be compared, but an order.
_EVENTS: Final = "events"


# -- comparing -------------------------------------------------------------------------------------
def _compare_each(expectation: Expectation, facts: list[Fact], trace: Trace) -> Iterator[Finding]:
    """Compare a list item by item. One matcher that is no exact value stands for every item."""
    name, matchers = _name(expectation), expectation.matchers
    if len(matchers) == 1 and matchers[0].op != "exactly" and facts:
        matchers *= len(facts)
    if len(matchers) != len(facts):
        actual = ", ".join(say(fact.value, spans=fact.spans) for fact in facts) or "none"
        events = [fact.events[-1].n for fact in facts[-1:]] or _end(trace)
        text = f"expected {name} to be {len(matchers)} in number, but there were {actual}"
        yield _unmet(expectation, text, events, expected=f"{len(matchers)} in number", actual=actual)
        return
    for index, (fact, matcher) in enumerate(zip(facts, matchers, strict=True), 1):
        yield from _compare(expectation, f"{name}, number {index},", fact, matcher, trace)


def _compare(expectation: Expectation, name: str, fact: Fact, matcher: Matcher, trace: Trace) -> Iterator[Finding]:
    if expectation.fact == "ends_within" and matcher.op == "exactly":
        matcher = Matcher(op="at_most", value=matcher.value)
    if not matches(fact, matcher):
        wanted, actual = to_be(matcher, spans=fact.spans), say(fact.value, spans=fact.spans)
        text = f"expected {name} {wanted}, but it was {actual}"
        unmet = _unmet(
            expectation, text, _deciding(fact, matcher) or _end(trace), expected=f"{name} {wanted}", actual=actual
        )
        over = _over(fact, matcher)
        yield unmet if over is None else replace(unmet, counted=tuple(e.n for e in fact.events), limit=over)


def _unmet(expectation: Expectation, text: str, events: Sequence[int], *, expected: str, actual: str) -> Finding:
    return Finding(
        law=f"expect.{expectation.fact}",
        text=text,
        events=tuple(events),
        place=expectation.place,
        expected=expected,
        actual=actual,
    )


def _deciding(fact: Fact, matcher: Matcher) -> list[int]:
    """Point to the first event too many, to both ends of a span, or to the last event there was."""
    if fact.spans:
        return [event.n for event in fact.events]
    most = _over(fact, matcher)
    return [event.n for event in (fact.events[-1:] if most is None else fact.events[most : most + 1])]


def _over(fact: Fact, matcher: Matcher) -> int | None:
    """Return how many events are allowed, where there were more of them."""
    most = _most(matcher)
    # Of a sum, such as that of tokens, no one event is too many.
    return most if most is not None and not fact.spans and fact.value == len(fact.events) > most else None


def _most(matcher: Matcher) -> int | None:
    """Return the largest count that a matcher allows, if it says one."""
    value = matcher.value
    if matcher.op == "between" and isinstance(value, list | tuple):
        value = value[-1]
    elif matcher.op not in ("exactly", "at_most"):
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _end(trace: Trace) -> list[int]:
    """Of what never came, only the end of the run tells that it did not come any more."""
    return [event.n for event in (trace.of("run.end") or trace.events)[-1:]]


# -- the sentence ----------------------------------------------------------------------------------
def _name(expectation: Expectation) -> str:
    return f"{expectation.fact} of {expectation.key}" if expectation.key else expectation.fact

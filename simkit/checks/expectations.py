"""The facts that a scenario's ``expect`` can name, and how each is compared.

The idea: a fact is a pure function from a trace to a value and the events that make it up; a matcher
compares. The constraint: what the trace does not hold has the value None, which matches nothing but None, so
a missing fact never meets an expectation by luck. A free expression language was refused: a closed list of
facts can be checked before the run, explained, and said in a sentence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from simkit.checks.conversation import raw_messages, read_messages
from simkit.checks.reading import ROUNDING_NS, number, quoted
from simkit.model.duration import format_duration
from simkit.model.scenario import Expectation, Matcher
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding


class Fact(NamedTuple):
    """A value of a finished run and the events behind it. ``spans``: the value is a time in nanoseconds."""

    value: object
    events: Sequence[Event] = ()
    spans: bool = False


def met(expectation: Expectation, trace: Trace) -> Iterator[Finding]:
    """Give a finding for every matcher that is not met. Raises ``KeyError`` for an unknown fact."""
    facts = _FACTS[expectation.fact](trace, expectation.key)
    if isinstance(facts, Fact):
        for matcher in expectation.matchers:
            yield from _compare(expectation, _name(expectation), facts, matcher)
    else:
        yield from _compare_each(expectation, facts)


def facts() -> tuple[str, ...]:
    """Return the names of all facts, in the order of the reference."""
    return tuple(_FACTS)


# -- the facts -------------------------------------------------------------------------------------
def _requests(trace: Trace, key: str | None) -> Fact:
    return _count([e for e in trace.of("request") if key is None or str(e.get("method")).lower() == key.lower()])


def _attempts(trace: Trace, key: str | None) -> Fact:
    """Requests that arrived, and connections that never came about."""
    return _count(trace.of("request", "connection.refused"))


def _continuations(trace: Trace, key: str | None) -> Fact:
    return _count([e for e in trace.of("note") if e.get("name") == "continuation"])


def _tool_calls(trace: Trace, key: str | None) -> Fact:
    return _count([e for e in trace.of("tool.start") if key is None or e.get("tool") == key])


def _tool_results_sent(trace: Trace, key: str | None) -> Fact:
    """Count results, not their repetitions: every later request carries the earlier ones again."""
    most: Counter[str] = Counter()
    deciding: list[Event] = []
    for request in trace.of("request"):
        raw = raw_messages(request)
        messages = read_messages(request, raw) if raw else []
        now = Counter(str(m.answers) for m in messages if m.answers is not None)
        if now - most:
            most |= now
            deciding.append(request)
    return Fact(sum(most.values()), deciding)


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
    "continuations": _continuations,
    "tool_calls": _tool_calls,
    "tool_results_sent": _tool_results_sent,
    "messages": _messages,
    "last_message": _last_message,
    "outcome": _outcome,
    "ends_within": _ends_within,
    "waits": _waits,
}


# -- comparing -------------------------------------------------------------------------------------
def _compare_each(expectation: Expectation, facts: list[Fact]) -> Iterator[Finding]:
    """Compare a list item by item. One matcher that is no exact value stands for every item."""
    name, matchers = _name(expectation), expectation.matchers
    if len(matchers) == 1 and matchers[0].op != "exactly" and facts:
        matchers *= len(facts)
    if len(matchers) != len(facts):
        actual = ", ".join(_say(fact.value, fact) for fact in facts) or "none"
        events = [fact.events[-1].n for fact in facts[-1:]]
        yield _unmet(expectation, f"expected {name} to be {len(matchers)} in number, but there were {actual}", events)
        return
    for index, (fact, matcher) in enumerate(zip(facts, matchers, strict=True), 1):
        yield from _compare(expectation, f"{name}, number {index},", fact, matcher)


def _compare(expectation: Expectation, name: str, fact: Fact, matcher: Matcher) -> Iterator[Finding]:
    if expectation.fact == "ends_within" and matcher.op == "exactly":
        matcher = Matcher(op="at_most", value=matcher.value)
    if not matches(fact, matcher):
        text = f"expected {name} {_phrase(matcher, fact)}, but it was {_say(fact.value, fact)}"
        yield _unmet(expectation, text, _deciding(fact, matcher))


def _unmet(expectation: Expectation, text: str, events: Sequence[int]) -> Finding:
    return Finding(law=f"expect.{expectation.fact}", text=text, events=tuple(events), place=expectation.place)


def _deciding(fact: Fact, matcher: Matcher) -> list[int]:
    """Point to the first event too many, to both ends of a span, or to the last event there was."""
    if fact.spans:
        return [event.n for event in fact.events]
    most = matcher.value
    if isinstance(most, int) and matcher.op in ("exactly", "at_most") and 0 <= most < len(fact.events):
        return [fact.events[most].n]
    return [event.n for event in fact.events[-1:]]


def matches(fact: Fact, matcher: Matcher) -> bool:
    """Say whether the value meets the matcher. Raises ``KeyError`` for a word that is no matcher."""
    value = fact.value
    if fact.spans and isinstance(value, int):
        # The instants behind the value went through floats; whole microseconds are meant.
        value = (value + ROUNDING_NS // 2) // ROUNDING_NS * ROUNDING_NS
    return _OPS[matcher.op](value, matcher.value)


def _between(value: object, bounds: object) -> bool:
    low, high = _pair(bounds)
    return _at_least(value, low) and _at_most(value, high)


def _at_most(value: object, bound: object) -> bool:
    return isinstance(value, int | float) and isinstance(bound, int | float) and value <= bound


def _at_least(value: object, bound: object) -> bool:
    return isinstance(value, int | float) and isinstance(bound, int | float) and value >= bound


def _contains(value: object, part: object) -> bool:
    if isinstance(value, str):
        return str(part) in value
    return isinstance(value, list | tuple) and part in value


def _matches(value: object, pattern: object) -> bool:
    return isinstance(value, str) and re.search(str(pattern), value) is not None


def _one_of(value: object, choices: object) -> bool:
    return isinstance(choices, list | tuple) and value in choices


def _not(value: object, other: object) -> bool:
    return not _OPS[other.op](value, other.value) if isinstance(other, Matcher) else value != other


_OPS: Final[dict[str, Callable[[object, object], bool]]] = {
    "exactly": lambda value, wanted: value == wanted,
    "at_most": _at_most,
    "at_least": _at_least,
    "between": _between,
    "contains": _contains,
    "matches": _matches,
    "one_of": _one_of,
    "not": _not,
}


# -- the sentence ----------------------------------------------------------------------------------
def _name(expectation: Expectation) -> str:
    return f"{expectation.fact} of {expectation.key}" if expectation.key else expectation.fact


_PHRASES: Final = {
    "exactly": "to be",
    "at_most": "to be at most",
    "at_least": "to be at least",
    "contains": "to contain",
    "matches": "to match",
}


def _phrase(matcher: Matcher, fact: Fact) -> str:
    if matcher.op == "between":
        low, high = _pair(matcher.value)
        return f"to be between {_say(low, fact)} and {_say(high, fact)}"
    if matcher.op == "one_of" and isinstance(matcher.value, list | tuple):
        return f"to be one of {', '.join(_say(choice, fact) for choice in matcher.value)}"
    if matcher.op == "not":
        inner = matcher.value if isinstance(matcher.value, Matcher) else Matcher(op="exactly", value=matcher.value)
        return f"not {_phrase(inner, fact)}"
    return f"{_PHRASES[matcher.op]} {_say(matcher.value, fact)}"


def _say(value: object, fact: Fact) -> str:
    if fact.spans and isinstance(value, int):
        return format_duration(value)
    return "missing" if value is None else quoted(value)


def _pair(bounds: object) -> tuple[object, object]:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise ValueError(f"between has {bounds!r}, expected a low and a high bound")
    return bounds[0], bounds[1]

"""The fact ``events`` of ``expect``: a list of patterns, each of which must occur behind the one before it.

The idea: the first event that fits a pattern is taken, and the next pattern is looked for behind it; whatever lies
between does not matter. The constraint: taking the first is never wrong, since it leaves the most room for the rest, so
a finding means that no way of choosing would do. Comparing the whole list of events was refused: every change of an
agent's inside would break it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simkit.checks.comparing import Fact, matches, say, that_is
from simkit.checks.reading import at
from simkit.model.scenario import EventPattern, Expectation
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding


def in_order(expectation: Expectation, trace: Trace) -> Iterator[Finding]:
    """Give a finding for the first pattern that does not occur behind those before it."""
    patterns = [matcher.value for matcher in expectation.matchers]
    found: list[Event] = []
    for pattern in patterns:
        if not isinstance(pattern, EventPattern):
            raise TypeError(f"the fact events has {pattern!r}, expected a pattern of an event")
        behind = trace.events[found[-1].n + 1 if found else 0 :]
        event = next((event for event in behind if fits(event, pattern)), None)
        if event is None:
            yield _missing(expectation, pattern, found, trace)
            return
        found.append(event)


def fits(event: Event, pattern: EventPattern) -> bool:
    """Say whether this is an event of the kind, with the values, at the instant."""
    return event.kind == pattern.kind and not list(_misses(event, pattern))


def described(pattern: EventPattern) -> str:
    """Return a pattern in words: ``said whose text contains "Done"``."""
    values = [f"{name} {that_is(matcher, spans=False)}" for name, matcher in pattern.values.items()]
    instant = [] if pattern.at is None else [f"instant {that_is(pattern.at, spans=True)}"]
    return " whose ".join([pattern.kind, *filter(None, [" and whose ".join([*values, *instant])])])


def _misses(event: Event, pattern: EventPattern) -> Iterator[str]:
    """Say of each value that does not fit what it was."""
    for name, matcher in pattern.values.items():
        if not matches(Fact(event.get(name)), matcher):
            yield f"its {name} was {say(event.get(name))}"
    if pattern.at is not None and not matches(Fact(event.at_ns, spans=True), pattern.at):
        yield "that is another instant"


def _missing(expectation: Expectation, pattern: EventPattern, found: Sequence[Event], trace: Trace) -> Finding:
    place, count = len(found) + 1, len(expectation.matchers)
    last = found[-1] if found else None
    near = _nearest(pattern, last, trace)
    after = f", after {last.kind} at {at(last)}" if last else ""
    text = f"expected event {place} of {count} to be {described(pattern)}{after}, but {_instead(pattern, last, near)}"
    # Where nothing came near it, only the end of the run tells that it did not come any more.
    deciding = [event for event in (last, near) if event is not None] or trace.events[-1:]
    events = sorted({event.n for event in deciding})
    return Finding(law="expect.events", text=text, events=tuple(events), place=pattern.place or expectation.place)


def _nearest(pattern: EventPattern, last: Event | None, trace: Trace) -> Event | None:
    """Return the event that comes closest: one that fits and came too early, else the next of the kind."""
    of_kind = trace.of(pattern.kind)
    early = [event for event in of_kind if fits(event, pattern)]
    behind = [event for event in of_kind if last is None or event.n > last.n]
    return next(iter([*early[-1:], *behind]), None)


def _instead(pattern: EventPattern, last: Event | None, near: Event | None) -> str:
    if near is None:
        return f"no {pattern.kind} came{' after it' if last else ''}"
    if last is not None and near.n <= last.n:
        return f"it came before that, at {at(near)}" if near is not last else "it came only once"
    return f"the nearest was {pattern.kind} at {at(near)}, and {', '.join(_misses(near, pattern))}"

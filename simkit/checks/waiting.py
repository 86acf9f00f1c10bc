"""Laws about how a subject waits: without holding up its own event loop, and without turning in circles.

The idea: the world notes when a callback blocks the thread of its loop, and when very much happens at one instant; each
note is a wait that was written in the wrong way. The constraint: both are measured in virtual time and in steps, never
in real seconds, so a slow machine accuses nobody. Measuring each callback was refused: what costs real time and no
virtual time is computation, and that is no way of waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simkit.checks.reading import ROUNDING_NS, at, limit, number
from simkit.contracts import Law
from simkit.model.duration import NS_PER_MS, format_duration, format_instant
from simkit.model.scenario import Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable

_NO_WORLD: Final = "the trace is not that of a whole run in a world"
# Of many equal cases this many events are enough to look at.
_EVENTS_MAX: Final = 3


def _where(event: Event, beside: str) -> str:
    """Return the line of the subject's own code, or in its place what else is known."""
    return f"at {event.get('where')}" if event.get("where") else beside


# -- loop_not_blocked ------------------------------------------------------------------------------
def _loop_not_blocked(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    most_ns = limit(parameter)
    if not trace.of("run.end"):
        yield NotApplicable(law="loop_not_blocked", because=_NO_WORLD)
    groups: dict[tuple[object, object], list[Event]] = {}
    for event in trace.of("loop.blocked"):
        if number(event, "ns") > most_ns + ROUNDING_NS:
            groups.setdefault((event.get("where"), _kind_of_wait(event)), []).append(event)
    for same in groups.values():
        yield _blocked(same, most_ns)


def _kind_of_wait(event: Event) -> str:
    """Return what it waited for, without the figures in which one case differs from the next."""
    return "".join(c for c in str(event.get("waits")) if not c.isdigit())


def _blocked(same: list[Event], most_ns: int) -> Finding:
    worst = max(same, key=lambda event: number(event, "ns"))
    ns = number(worst, "ns")
    many = f" ({len(same)} times in all)" if len(same) > 1 else ""
    waits = f"{worst.get('waits')} {_where(worst, '')}".rstrip()
    text = (
        f"the event loop stood still for {format_duration(ns)}, from {format_instant(worst.at_ns - ns)} to "
        f"{at(worst)}, because its own thread waited for {waits}{many}; at most {format_duration(most_ns)} is allowed"
    )
    return Finding(law="loop_not_blocked", text=text, events=tuple(event.n for event in same[:_EVENTS_MAX]))


LOOP_NOT_BLOCKED: Final = Law(
    name="loop_not_blocked",
    says="No callback holds its event loop up: whatever blocks waits in a thread of its own.",
    judge=_loop_not_blocked,
    parameter="duration",
    # What asyncio's own debug mode calls slow.
    default=100 * NS_PER_MS,
)


# -- no_busy_polling -------------------------------------------------------------------------------
def _no_busy_polling(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    if not trace.of("run.end"):
        yield NotApplicable(law="no_busy_polling", because=_NO_WORLD)
    for stretch in _stretches(trace):
        last = stretch[-1]
        text = (
            f"from {at(stretch[0])} on, {number(last, 'steps')} steps or more were taken without waiting for anything, "
            f"{_where(last, str(last.get('alive')))}: this asks again and again instead of waiting"
        )
        yield Finding(law="no_busy_polling", text=text, events=tuple(dict.fromkeys((stretch[0].n, last.n))))


def _stretches(trace: Trace) -> Iterator[list[Event]]:
    """Give the notes of each busy stretch: within one, the steps only grow."""
    stretch: list[Event] = []
    for event in trace.of("spin"):
        if stretch and number(event, "steps") <= number(stretch[-1], "steps"):
            yield stretch
            stretch = []
        stretch.append(event)
    if stretch:
        yield stretch


NO_BUSY_POLLING: Final = Law(
    name="no_busy_polling",
    says="The subject waits for what is to come, and does not look for it again and again at one instant.",
    judge=_no_busy_polling,
)

"""The law about cancelling: when the user stops a turn, the turn stops.

The idea: from the instant at which the user cancels or leaves, nothing new begins, and what is under way ends within a
grace. The constraint: only what the subject could have stopped counts against it. A tool that the scenario makes deaf
to cancellation, a call that was parked (it outlives turns, until the user leaves), and what was on its way to the
provider already are no fault of the one who cancelled. Asking that the turn be reported as cancelled was refused: that
is a word, and the side effects are what the user wanted to stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from simkit.checks.parking import parked_tasks
from simkit.checks.reading import ROUNDING_NS, ToolRun, at, limit, number, quoted, tool_runs
from simkit.contracts import Law
from simkit.model.duration import NS_PER_S, format_duration
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable

_LAW: Final = "nothing_after_cancel"
# What was sent just before may arrive now; longer than this no link of a scenario takes.
_ON_ITS_WAY_NS: Final = NS_PER_S
_BEGINNINGS: Final = ("tool.start", "request", "job.request")


@dataclass(frozen=True, slots=True)
class _Stop:
    """The user's wish that all stops: its event, the first event that it does not speak of, and the grace."""

    act: Event
    until_n: int
    grace_ns: int

    def covers(self, event: Event, patience_ns: int) -> bool:
        """Say whether an event lies in the time after the wish, and beyond this patience."""
        late = event.at_ns - self.act.at_ns > patience_ns + ROUNDING_NS
        return self.act.n < event.n < self.until_n and late

    @property
    def told(self) -> str:
        """The wish in words."""
        did = "left" if self.act.kind == "user.leaves" else "cancelled"
        return f"the user had {did} at {at(self.act)}"


def _nothing_after_cancel(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    stops = list(_stops(trace, limit(parameter)))
    if not stops:
        because = "the user neither cancelled nor left while something was under way"
        yield NotApplicable(law=_LAW, because=because)
        return
    runs, parking = tool_runs(trace), parked_tasks(trace)
    parked = {task.run.start.n for task in parking.tasks.values() if task.run}
    for stop in stops:
        spared = parked if stop.act.kind == "user.cancels" else set[int]()
        under_way = [run for run in runs if run.is_alive_at(stop.act.n) and run.start.n not in spared]
        found = [*_begun(stop, trace), *_gone_on(stop, under_way, scenario), *_still_open(stop, trace)]
        for text, event in sorted(found, key=lambda one: one[1].n):
            yield _too_late(scenario, stop, text, event)


def _stops(trace: Trace, grace_ns: int) -> Iterator[_Stop]:
    """Give every cancellation that was heard, with its end: the user's next message, or the turn of an earlier one."""
    ends = ("user.says", "turn.start") if trace.of("turn.start") else ("user.says",)
    for act in trace.of("user.cancels", "user.leaves"):
        if not act.get("heard") or (act.kind == "user.cancels" and _another_waits(trace, act)):
            continue
        closing = (e.n for e in trace.events[act.n + 1 :] if e.kind in ends and act.kind == "user.cancels")
        yield _Stop(act, next(closing, len(trace)), grace_ns)


def _another_waits(trace: Trace, act: Event) -> bool:
    """Say whether a message may be taken up after the cancellation, by a subject that does not say when it does."""
    if trace.of("turn.start"):
        return False
    spoken = sum(event.n < act.n for event in trace.of("user.says"))
    return spoken - sum(event.n < act.n for event in trace.of("turn.end")) > 1


# -- what is too late ------------------------------------------------------------------------------
def _begun(stop: _Stop, trace: Trace) -> Iterator[tuple[str, Event]]:
    """Give the first of each kind of thing that began although all should stop."""
    patience_ns = min(stop.grace_ns, _ON_ITS_WAY_NS)
    told: set[str] = set()
    for event in trace.of(*_BEGINNINGS):
        if event.kind in told or not stop.covers(event, patience_ns):
            continue
        if event.kind != "job.request" or event.get("op") in ("retrieve", "stream"):
            told.add(event.kind)
            yield _beginning(event), event


def _beginning(event: Event) -> str:
    if event.kind == "tool.start":
        return f"{event.get('tool')} was started with {quoted(event.get('args'))}"
    if event.kind == "request":
        return f"request {number(event, 'request')} was sent"
    return f"the background answer {event.get('job')} was asked for"


def _gone_on(stop: _Stop, under_way: list[ToolRun], scenario: Scenario) -> Iterator[tuple[str, Event]]:
    """Give what tools did that were under way: their effect, or else their end, where that came too late."""
    for run in under_way:
        spec = scenario.tools.get(str(run.tool))
        if spec is not None and (spec.ignores_cancel or spec.blocks):
            continue
        patience_ns = stop.grace_ns + (spec.cancel_takes_ns if spec else 0)
        ends = [run.end] if run.end else []
        late = next((e for e in (*run.effects, *ends) if stop.covers(e, patience_ns)), None)
        if late is not None:
            did = f"has done {quoted(late.get('text'))}" if late.kind == "tool.effect" else "was still running"
            yield f"{run.tool}, begun at {at(run.start)}, {did}", late


def _still_open(stop: _Stop, trace: Trace) -> Iterator[tuple[str, Event]]:
    """Give the streams that were open, and were closed too late or never."""
    before = {event.get("request") for event in trace.of("request") if event.n < stop.act.n}
    for end in trace.of("stream.end"):
        if end.get("request") in before and stop.covers(end, stop.grace_ns):
            yield f"the stream of request {number(end, 'request')} was still open", end


def _too_late(scenario: Scenario, stop: _Stop, text: str, event: Event) -> Finding:
    line = stop.act.get("line")
    late = f"{text} at {at(event)}, {format_duration(event.at_ns - stop.act.at_ns)} later"
    place = Place(scenario.file, line) if isinstance(line, int) else None
    return Finding(law=_LAW, text=f"{stop.told}, but {late}", events=(stop.act.n, event.n), place=place)


NOTHING_AFTER_CANCEL: Final = Law(
    name=_LAW,
    says="When the user cancels or leaves, nothing new begins, and what is under way ends within the grace.",
    judge=_nothing_after_cancel,
    parameter="duration",
    # What a well-behaved tool needs to clean up after itself.
    default=5 * NS_PER_S,
)

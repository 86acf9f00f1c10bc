"""Laws about what a subject leaves behind: live tasks and connections, and errors that nobody took.

The idea: the world looks around when the subject returns, before anything is torn down, and these laws read
what it saw. The constraint: leftovers count on a run that otherwise passed, and a run that never returned
holds no such facts. Looking after teardown was refused: teardown cancels exactly what should have been found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from simkit.checks.reading import at, tool_runs
from simkit.contracts import Law
from simkit.model.scenario import Scenario, ToolSpec
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable

# Of many equal leftovers this many events are enough to look at.
_EVENTS_MAX: Final = 3


def _told(
    trace: Trace, events: Sequence[Event], law: str, sentence: Callable[[Event], str]
) -> Iterator[Finding | NotApplicable]:
    """Give a finding for each different sentence: a leak of a thousand equal tasks is one fault."""
    if law == "no_orphans" and not _came_to_its_end(trace):
        # Whoever was cut off in the middle has children that were cut off too: that is no fault of theirs.
        yield NotApplicable(law=law, because="the subject did not come to its end, so nothing was left behind yet")
        return
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(sentence(event), []).append(event)
    for text, same in groups.items():
        many = f" ({len(same)} of them)" if len(same) > 1 else ""
        yield Finding(law=law, text=text + many, events=tuple(e.n for e in same[:_EVENTS_MAX]))
    if not groups and not _came_to_its_end(trace):
        yield NotApplicable(law=law, because="the subject did not come to its end, so nothing was left behind yet")


def _came_to_its_end(trace: Trace) -> bool:
    return any(end.get("reason") in ("returned", "raised") for end in trace.of("run.end"))


# -- no_orphans ------------------------------------------------------------------------------------
def _no_orphans(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    deaf = _deaf_to_the_end(scenario, trace)
    orphans = [orphan for orphan in trace.of("orphan") if not any(_runs(orphan, tool) for tool in deaf)]
    return _told(trace, orphans, "no_orphans", _left_over)


def _deaf_to_the_end(scenario: Scenario, trace: Trace) -> set[str]:
    """Return the tools that no subject could have ended by then: only where a fault made the run end so soon."""
    if not trace.of("fault"):
        return set()
    alive = {str(run.tool) for run in tool_runs(trace) if run.end is None}
    return {name for name in alive if name in scenario.tools and _is_deaf(scenario.tools[name])}


def _is_deaf(tool: ToolSpec) -> bool:
    return tool.ignores_cancel or tool.blocks or tool.cancel_takes_ns > 0


def _runs(orphan: Event, tool: str) -> bool:
    """Say whether a leftover is what runs this tool: it is called after it, or waits for it."""
    words = f"{orphan.get('name')} {orphan.get('waits')}".split()
    return orphan.get("what") in ("task", "thread") and tool in words


def _left_over(orphan: Event) -> str:
    who = f"the {orphan.get('what')} {orphan.get('name')!r}"
    text = f"{who} was still alive when the run ended at {at(orphan)}"
    if orphan.get("created"):
        text += f", created at {orphan.get('created')}"
    if orphan.get("waits"):
        text += f", waiting for {orphan.get('waits')}"
    return text


NO_ORPHANS: Final = Law(
    name="no_orphans",
    says="When the subject ends, no task, thread, timer, connection, stream or generator of it is left.",
    judge=_no_orphans,
)


# -- no_lost_errors --------------------------------------------------------------------------------
def _no_lost_errors(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    return _told(trace, trace.of("lost.error"), "no_lost_errors", _lost)


def _lost(error: Event) -> str:
    place = f" from {error.get('where')}" if error.get("where") else ""
    return f"{error.get('error')}{place} was raised and never taken by anybody: {error.get('text') or 'no text'}"


NO_LOST_ERRORS: Final = Law(
    name="no_lost_errors",
    says="Every exception is taken by somebody; none dies in a task or in the loop's exception handler.",
    judge=_no_lost_errors,
)

"""Laws about tools: what may run, and how often.

The idea: the provider's own account of which calls were whole, and when, is the licence; every run of a tool
needs one. The constraint: the laws pair runs and calls by tool and arguments, because a subject need not
report ids; so a second run that another equal call would have covered is not seen. Judging whether arguments
look complete was refused: cut JSON that a library repaired looks complete and is the very fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Final

from simkit.checks.reading import at, deliveries, quoted, same_call, times
from simkit.contracts import Law
from simkit.model.scenario import Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable


def _missing(trace: Trace) -> str | None:
    """Say why a trace holds no facts about tool runs and their calls; None when it does."""
    kinds = {event.kind for event in trace}
    if "tool.start" not in kinds:
        return "no tool ran"
    if "request" not in kinds:
        return "no completion request was seen, so the calls came from elsewhere"
    return None


def _runs(trace: Trace) -> Iterator[tuple[Event, Hashable, int]]:
    """Give every run of a tool, its key, and how many whole calls with that key came before it."""
    licences = iter([*deliveries(trace), None])
    coming = next(licences)
    delivered: Counter[Hashable] = Counter()
    for start in trace.of("tool.start"):
        while coming is not None and coming.n < start.n:
            delivered[coming.key] += 1
            coming = next(licences)
        key = same_call(start.get("tool"), start.get("args"))
        yield start, key, delivered[key]


# -- tools_run_once --------------------------------------------------------------------------------
def _tools_run_once(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    missing = _missing(trace)
    if missing:
        yield NotApplicable(law="tools_run_once", because=missing)
        return
    ran: Counter[Hashable] = Counter()
    extra: dict[Hashable, tuple[int, list[Event]]] = {}
    for start, key, delivered in _runs(trace):
        ran[key] += 1
        # A first run without any call is the other law's finding; one fault is told once.
        if ran[key] > max(delivered, 1):
            extra.setdefault(key, (delivered, []))[1].append(start)
    for key, (delivered, starts) in extra.items():
        yield _too_often(starts, ran[key], delivered)


def _too_often(extra: list[Event], ran: int, delivered: int) -> Finding:
    first = extra[0]
    text = (
        f"{first.get('tool')} ran {times(ran)} with {quoted(first.get('args'))}, but at {at(first)}, when "
        f"it ran again, "
        f"that call had been delivered {times(delivered)}"
    )
    return Finding(law="tools_run_once", text=text, events=tuple(e.n for e in extra))


TOOLS_RUN_ONCE: Final = Law(
    name="tools_run_once",
    says="A tool runs no more often with the same arguments than whole calls of it were delivered.",
    judge=_tools_run_once,
)


# -- no_partial_tool_call_runs ---------------------------------------------------------------------
def _no_partial_tool_call_runs(
    scenario: Scenario, trace: Trace, parameter: object
) -> Iterator[Finding | NotApplicable]:
    missing = _missing(trace)
    if missing:
        yield NotApplicable(law="no_partial_tool_call_runs", because=missing)
        return
    told: set[Hashable] = set()
    for start, key, delivered in _runs(trace):
        if not delivered and key not in told:
            told.add(key)
            text = (
                f"{start.get('tool')} ran at {at(start)} with {quoted(start.get('args'))}, but no whole "
                f"call of it with "
                f"these arguments had been delivered by then"
            )
            yield Finding(law="no_partial_tool_call_runs", text=text, events=_deciding(trace, start))


def _deciding(trace: Trace, start: Event) -> tuple[int, ...]:
    """Return the last piece of a call of this tool before the run, if there was one, and the run."""
    pieces = (e.n for e in reversed(trace.events[: start.n]) if e.kind == "frame" and e.get("is") in ("call", "args"))
    piece = next(pieces, None)
    return (start.n,) if piece is None else (piece, start.n)


NO_PARTIAL_TOOL_CALL_RUNS: Final = Law(
    name="no_partial_tool_call_runs",
    says="A tool runs only from a call that arrived whole, in a stream that was finished or had ended.",
    judge=_no_partial_tool_call_runs,
)

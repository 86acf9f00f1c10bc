"""A plan in words: what its seed, its faults and its choices do in the run that a trace tells of.

The idea: the trace knows when each choice was made and what was taken, so a line of a plan that only a machine could
read becomes a sentence with an instant. The constraint: every part of a plan gets a line, also where the run never
came to it. Writing these sentences into the trace was refused: only who reads a report needs them, and a search makes
a million choices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from simkit.model.duration import format_duration, format_instant
from simkit.model.plan import FAULT_KINDS, Deviation, Plan, Strike
from simkit.model.trace import Event, Trace

_CHOICES: Final[Mapping[str, str]] = {
    "tie": "of all that is due at this instant, {} comes first",
    "deadline": "what is due at a deadline waits: {}",
    "timing": "{}",
    "thread": "of the threads that could go on, {} does",
    "suspend": "{}",
    "order": "of the callbacks that are ready, that of {} goes first",
}
_SITE: Final = re.compile(r"(?P<what>[a-z]+)(?P<number>\d+)(?:\.(?:frame(?P<frame>\d+)|(?P<when>start|end)))?")
_PLACES: Final[Mapping[str, str]] = {
    "answer": "the answer to request {number}",
    "job": "a stream of the job of request {number}",
    "poll": "request {number} about a job",
    "tool": "the {when} of run {number} of a tool",
    "user": "what the user does, act {number}",
}


def changes(plan: Plan) -> str:
    """Return how much of a plan differs from the default run, such as ``1 fault and 2 changes``; empty for nothing."""
    faults, deviations = len(plan.strikes), len(plan.deviations)
    parts = [(faults, "fault", "faults"), (deviations, "change", "changes")]
    return " and ".join(f"{count} {one if count == 1 else many}" for count, one, many in parts if count)


def in_words(plan: Plan, trace: Trace) -> str:
    """Return what a plan does in the run that this trace tells of, a line for each part of the plan."""
    struck = {event.get("site"): event for event in trace.of("fault")}
    picked = {event.get("number"): event for event in trace.of("choice")}
    strikes = (_strike_in_words(strike, struck.get(strike.site), trace) for strike in plan.strikes)
    choices = (_choice_in_words(one, picked.get(one.number)) for one in plan.deviations)
    return "\n".join([*_base_in_words(plan), *strikes, *choices])


def _base_in_words(plan: Plan) -> Iterator[str]:
    if plan.seed:
        yield f"seed={plan.seed}: the stream of chance for ids, retry delays and the order of sets"
    if plan.order == "any":
        yield "order=any: callbacks run in orders that asyncio itself does not produce"
    if plan.jitter_ns:
        jitter = format_duration(plan.jitter_ns)
        yield f"jitter={jitter}: what comes from outside may shift by {jitter} around a deadline"


def _strike_in_words(strike: Strike, event: Event | None, trace: Trace) -> str:
    fault = FAULT_KINDS[strike.kind].rstrip(".")
    return f"{strike.text()}: {_at(event)}{_site_in_words(strike.site, trace)}: {fault[0].lower()}{fault[1:]}"


def _choice_in_words(deviation: Deviation, event: Event | None) -> str:
    if event is None:
        return f"{deviation.text()}: a choice of {deviation.kind}"
    sentence = _CHOICES.get(deviation.kind, f"{deviation.kind}: {{}}")
    return f"{deviation.text()}: {_at(event)}{sentence.format(event.get('picked'))}"


def _at(event: Event | None) -> str:
    return "" if event is None else f"at {format_instant(event.at_ns)}, "


def _site_in_words(site: str, trace: Trace) -> str:
    found = _SITE.fullmatch(site)
    if found is None or found["what"] not in _PLACES:
        return site
    where = _PLACES[found["what"]].format(**found.groupdict())
    if found["what"] == "tool":
        runs = (event for event in trace.of("tool.start") if event.get("run") == int(found["number"]))
        where += "".join(f", {event.get('tool')}" for event in runs)
    return where if found["frame"] is None else f"before frame {found['frame']} (from 0) of {where}"

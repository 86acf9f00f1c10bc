"""The law about the end: the subject returns by itself, and nothing stopped the run before.

The idea: every way a run can end other than by returning has a name and a text in the trace, and this law
repeats them as a finding. The constraint: it comes first, since what stopped a run explains most of what else
is missing from it. Leaving it to a special case of the verdict was refused: then it could not be switched off
with a reason, as for a subject that ends by raising on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simkit.checks.reading import at
from simkit.contracts import Law
from simkit.model.scenario import Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable, Verdict

_SAYS: Final = {
    "raised": "the subject raised an exception",
    "deadlock": "nothing can happen any more",
    "livelock": "the subject was spinning without getting anywhere",
    "horizon": "the run reached its limit of virtual time",
    "unmatched": "a request came that the script did not foresee",
    "exhausted": "a request came when the script had no answer left",
    "undeclared_host": "the subject dialled a host that the scenario does not declare",
    "limit": "the run reached one of its limits",
    "unplayable": "the script holds a step that the wire of a request cannot carry",
    "plan": "the plan does not fit this run any more",
    "stuck": "the subject blocked in something that is not simulated",
    "simkit": "simkit itself failed, and the scenario is not to blame",
}


def _ends(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    raised = trace.of("subject.raised")
    ends = trace.of("run.end")
    for event in raised:
        if event.get("error") == "CancelledError" and _was_cancelled(trace, event):
            # The user cancelled, and the subject let itself be cancelled: that is how it should end.
            continue
        place = f" at {event.get('where')}" if event.get("where") else ""
        text = f"the subject raised {event.get('error')}{place} at {at(event)}: {event.get('text') or 'no text'}"
        yield Finding(law="ends", text=text, events=(event.n,))
    for event in ends:
        if event.get("reason") != "returned" and not (raised and event.get("reason") == "raised"):
            # What simkit got wrong says nothing about the subject.
            verdict = Verdict.UNKNOWN if event.get("reason") == "simkit" else Verdict.FAIL
            yield Finding(law="ends", text=_stopped(event), events=(event.n,), verdict=verdict)
    if not raised and not ends:
        yield NotApplicable(law="ends", because="the trace does not say how the run ended")


def _was_cancelled(trace: Trace, raised: Event) -> bool:
    return any(e.n < raised.n and e.get("heard") for e in trace.of("user.cancels", "user.leaves"))


def _stopped(end: Event) -> str:
    reason = str(end.get("reason"))
    # The kernel's own words say the same once more.
    text = str(end.get("text") or "").strip().removeprefix("nothing can ever happen again: ")
    text = text.removesuffix(f"(at {at(end)})").rstrip()
    return f"{_SAYS.get(reason, f'the run was ended ({reason})')} at {at(end)}" + (f": {text}" if text else "")


ENDS: Final = Law(name="ends", says="The subject comes to its own end and returns.", judge=_ends)

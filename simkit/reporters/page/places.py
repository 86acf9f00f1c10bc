"""Which line of the scenario an event comes from, in which file, so that a page can mark it while one steps.

The idea: an event carries the number of its line, and the scenario knows in which of its files that line stands: the
answer that served the request, the step within it, the act of the user, the tool. The constraint: an event that comes
from no line gets none; a mark at a wrong line is worse than no mark. Searching the text for what was said was refused:
two steps may say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simkit.model.scenario import Scenario
from simkit.model.timeline import BackgroundReply, Place, StreamReply
from simkit.model.trace import Event, Trace


def places(scenario: Scenario, trace: Trace, events: Iterable[Event]) -> Mapping[int, Place]:
    """Return the place of each of these events of a trace that has one, by the number of the event."""
    answers = {e.get("request"): e.get("answer") for e in trace.of("response") if isinstance(e.get("answer"), int)}
    found = ((event.n, _place(event, scenario, answers)) for event in events)
    return {n: place for n, place in found if place is not None}


def _place(event: Event, scenario: Scenario, answers: Mapping[object, object]) -> Place | None:
    match event.kind:
        case "user.says" | "user.cancels" | "user.leaves" | "user.note":
            return _of_user(event, scenario)
        case "tool.start" | "tool.end" | "tool.effect":
            tool = scenario.tools.get(str(event.get("tool")))
            return tool.place if tool else None
        case "request" | "response" | "frame" | "silence" | "stream.end" | "job.state" | "answer.unused":
            answer = (
                event.get(
                    "answer",
                )
                if event.kind == "answer.unused"
                else answers.get(event.get("request"))
            )
            return _of_answer(event, scenario, answer)
        case "link.fault" | "link.unused":
            return _of_link(event, scenario)
    return None


def _of_user(event: Event, scenario: Scenario) -> Place | None:
    acts = (act.place for act in scenario.user if act.place and act.place.line == event.get("line"))
    return next(acts, None)


def _of_answer(event: Event, scenario: Scenario, answer: object) -> Place | None:
    if not isinstance(answer, int) or not 0 <= answer < len(scenario.provider):
        return None
    chosen, step = scenario.provider[answer], event.get("step")
    steps = chosen.reply.steps if isinstance(chosen.reply, StreamReply | BackgroundReply) else ()
    return steps[step].place if isinstance(step, int) and 0 <= step < len(steps) else chosen.place


def _of_link(event: Event, scenario: Scenario) -> Place | None:
    faults = (fault.place for link in scenario.network.values() for fault in link.faults)
    return next((place for place in faults if place and place.line == event.get("line")), None)

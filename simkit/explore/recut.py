"""Re-cutting: the same bytes in other pieces, which must not change what comes of a run.

The idea: nobody promises a client where the pieces of a body end, so the run with every answer cut otherwise is a run
of the same scenario, and both have to end in the same state: what was asked, what tools were run, what the user read.
No author has to say what is right; the default run says it. The constraint: only the cut differs, and no instant does,
so an answer in which time passes is never kept back to its end: a client may rightly give up waiting for that.
Comparing whole traces was refused: they tell of connections and instants, and some of that may differ.

A failure is one of the re-cut scenario, which is a scenario like any other: it is replayed and pinned as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from simkit.checks.reading import quoted
from simkit.explore.outcome import Broken
from simkit.explore.running import as_broken
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, BackgroundReply, Chunking, KeepAlive, Pace, Stall, StreamReply, Wait
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding
from simkit.run import run_once

LAW: Final = "chunking_invariance"
CUTS: Final[tuple[Chunking | int, ...]] = ("byte", "burst", 7, "whole")
_PASSES_TIME: Final = (Wait, Stall, Pace, KeepAlive)

# What has to be the same: the kinds of events, each with its name in a sentence and the values that count.
_STATE: Final = {
    "request": ("request", ("method", "host", "path", "body")),
    "job.request": ("question about a job", ("op", "after", "status", "state")),
    "tool.start": ("tool call", ("tool", "args")),
    "tool.end": ("end of a tool", ("tool", "outcome", "result")),
    "tool.effect": ("effect of a tool", ("tool", "text")),
    "said": ("message", ("text",)),
    "turn.end": ("end of a turn", ("outcome", "text")),
    "subject.raised": ("error of the subject", ("error", "text")),
    "run.end": ("end of the run", ("reason",)),
}


@dataclass(frozen=True, slots=True)
class Recut:
    """A scenario whose answers are cut otherwise."""

    cut: Chunking | int
    scenario: Scenario


def recuts(scenario: Scenario) -> Iterator[Recut]:
    """Yield the scenario with each cut that makes it another one."""
    for cut in CUTS:
        answers = tuple(_recut(answer, cut) for answer in scenario.provider)
        if answers != scenario.provider:
            yield Recut(cut, replace(scenario, provider=answers))


def recut(
    scenario: Scenario, plan: Plan | None = None, *, subject: str | Callable[..., object] | None = None
) -> Iterator[tuple[Recut, tuple[Broken, ...]]]:
    """Run a scenario as it is and in every other cut; yield each cut with what it broke, which should be nothing.

    What the scenario breaks as it is, is not told again.
    """
    plan = plan or Plan()
    first = run_once(scenario, plan, subject=subject)
    known = {as_broken(finding).key for finding in first.findings}
    for other in recuts(scenario):
        result = run_once(other.scenario, plan, subject=subject)
        found = [*_difference(other, first.trace, result.trace), *result.findings]
        yield other, tuple(one for one in map(as_broken, found) if one.key not in known)


def _recut(answer: Answer, cut: Chunking | int) -> Answer:
    if not isinstance(answer.reply, StreamReply | BackgroundReply):
        return answer
    waits = isinstance(answer.reply, BackgroundReply) or any(isinstance(s, _PASSES_TIME) for s in answer.reply.steps)
    return answer if cut == "whole" and waits else replace(answer, chunks=cut)


def _difference(other: Recut, first: Trace, second: Trace) -> Iterator[Finding]:
    """Yield the first thing that is not the same."""
    for one, two in zip_longest(_state(first), _state(second)):
        if one is None or two is None or one[1:] != two[1:]:
            event = (two or one or (None,))[0]
            events = (event.n,) if two and event else ()
            yield Finding(law=LAW, text=_told(other.cut, one, two), events=events, place=other.scenario.explore.place)
            return


# An event of the final state, what it is called, and the values of it that count.
_Fact = tuple[Event, str, dict[str, object]]


def _state(trace: Trace) -> Iterator[_Fact]:
    for event in trace.of(*_STATE):
        name, values = _STATE[event.kind]
        yield event, name, {value: event.get(value) for value in values}


def _told(cut: Chunking | int, one: _Fact | None, two: _Fact | None) -> str:
    how = f"every {cut} bytes" if isinstance(cut, int) else f"as {cut!r}"
    return f"with the bodies cut {how} there came {_words(two)}, and as the scenario cuts them {_words(one)}"


def _words(fact: _Fact | None) -> str:
    return "nothing more" if fact is None else f"the {fact[1]} {quoted(fact[2])}"

"""Emptiness: what an exploration never reached, told before anybody believes that it found nothing.

The idea: a run gives names to what it reached (patterns of ``sometimes``, steps of the script), to the faults that
struck it and to the choices that it made; those of many runs are put together, and what is missing at the end becomes a
sentence with its line. The constraint: names are words and numbers of the scenario, so a worker can send them, a
campaign can keep them on disk, and the order in which they are put together does not matter. A percentage was refused:
nobody knows what to do about 93 %, and everybody about a line that never played.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simkit.checks.occurrences import described, fits
from simkit.explore.outcome import Outcome
from simkit.model.duration import format_duration
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, BackgroundReply, Disconnect, Pace, Place, Step, StreamReply
from simkit.model.trace import Event, Trace

if TYPE_CHECKING:
    from simkit.explore.attempts import Space

# The states in which a job has played all of its steps.
_JOB_OVER: Final = ("completed", "failed", "incomplete")
# Runs that the provider itself had to end; it says of those not what was left unused.
_BROKEN_OFF: Final = ("unmatched", "exhausted", "limit", "unplayable")


@dataclass(frozen=True, slots=True)
class Missing:
    """A sentence about what was never reached, and where the scenario asks for it."""

    text: str
    place: Place | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


@dataclass(frozen=True, slots=True)
class Coverage:
    """What some runs have reached: names, the kinds of faults that struck, and the kinds of choices met and varied.

    ``a | b`` is what the runs of both have reached.
    """

    runs: int = 0
    reached: frozenset[str] = frozenset()
    struck: frozenset[str] = frozenset()
    met: frozenset[str] = frozenset()
    varied: frozenset[str] = frozenset()

    def __or__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.runs + other.runs,
            self.reached | other.reached,
            self.struck | other.struck,
            self.met | other.met,
            self.varied | other.varied,
        )


def coverage_of(outcome: Outcome) -> Coverage:
    """Return what one run has reached."""
    return Coverage(
        runs=1,
        reached=outcome.reached,
        struck=frozenset(strike.kind for strike in outcome.plan.strikes),
        met=frozenset(choice.kind for choice in outcome.choices),
        varied=frozenset(choice.kind for choice in outcome.choices if choice.pick),
    )


# -- what a run reaches -----------------------------------------------------------------------------------------------
def reached(scenario: Scenario, trace: Trace) -> frozenset[str]:
    """Return the names of what a run has reached, counted from 1: ``sometimes1``, ``answer2``, ``answer2.step3``."""
    return frozenset([*_sometimes(scenario, trace), *_answers(scenario, trace)])


def _sometimes(scenario: Scenario, trace: Trace) -> Iterator[str]:
    for number, pattern in enumerate(scenario.sometimes, 1):
        if any(fits(event, pattern) for event in trace):
            yield f"sometimes{number}"


def _answers(scenario: Scenario, trace: Trace) -> Iterator[str]:
    """Yield every answer that was used, and those of its steps that were played."""
    played, unused = _played(scenario, trace), _unused(scenario, trace)
    for index in range(len(scenario.provider)):
        # That a connection was refused to the client is known by nothing but the answer's being used up.
        if index in played or index not in unused:
            yield f"answer{index + 1}"
            yield from (f"answer{index + 1}.step{n}" for n in range(1, played.get(index, 0) + 1))


def _unused(scenario: Scenario, trace: Trace) -> set[int]:
    """Return the answers of which no use is known beside what was played."""
    if any(end.get("reason") in _BROKEN_OFF for end in trace.of("run.end")):
        return set(range(len(scenario.provider)))
    left = {event.get("answer"): event.get("left") for event in trace.of("answer.unused")}
    return {i for i, answer in enumerate(scenario.provider) if left.get(i, 0) in (None, answer.times)}


def _played(scenario: Scenario, trace: Trace) -> dict[int, int]:
    """Return of each answer that was played how many of its steps were, in the run of it that went furthest."""
    furthest: dict[int, int] = {}
    answers: dict[object, int] = {}
    steps: dict[object, int] = {}
    for event in trace.of("response", "frame", "silence", "stream.end", "job.state"):
        request, index = event.get("request"), event.get("answer")
        if isinstance(index, int):
            answers[request] = index
        if 0 <= answers.get(request, -1) < len(scenario.provider):
            answer = scenario.provider[answers[request]]
            steps[request] = _steps_after(event, answer, steps.get(request, 0))
            furthest[answers[request]] = max(furthest.get(answers[request], 0), steps[request])
    return furthest


def _steps_after(event: Event, answer: Answer, before: int) -> int:
    """Return how many steps were played when this has happened."""
    steps, step = _steps(answer), event.get("step")
    if isinstance(step, int):
        return max(before, step + 1)
    if event.get("how") == "complete" or event.get("state") in _JOB_OVER:
        return len(steps)
    # What leaves no trace of its own is behind us when the step after it comes.
    closing = next((n for n, s in enumerate(steps) if n >= before and not isinstance(s, Pace)), before)
    hangs_up = closing < len(steps) and steps[closing] == Disconnect(how=event.get("how"))  # type: ignore[arg-type]  # or it is unequal
    return closing + 1 if hangs_up else before


def _steps(answer: Answer) -> tuple[Step, ...]:
    return answer.reply.steps if isinstance(answer.reply, StreamReply | BackgroundReply) else ()


# -- what many runs did not -------------------------------------------------------------------------------------------
def missing(space: Space, coverage: Coverage, scenario: Scenario | None = None) -> tuple[Missing, ...]:
    """Return what no run has reached, in the order of the scenario; a function that is no scenario has choices only."""
    place = scenario.explore.place if scenario else None
    found = [Missing(text, place) for text in (*_choices(space, coverage), *_faults(space, coverage))]
    if scenario is None:
        return tuple(found)
    return (*_never_happened(scenario, coverage), *_never_played(scenario, coverage), *found)


def _never_happened(scenario: Scenario, coverage: Coverage) -> Iterator[Missing]:
    for number, pattern in enumerate(scenario.sometimes, 1):
        if f"sometimes{number}" not in coverage.reached:
            yield Missing(f"sometimes: no run had {described(pattern)}", pattern.place)


def _never_played(scenario: Scenario, coverage: Coverage) -> Iterator[Missing]:
    for number, answer in enumerate(scenario.provider, 1):
        steps, name = _steps(answer), f"answer{number}"
        if name not in coverage.reached:
            yield Missing(f"answer {number} was never used", answer.place)
            continue
        left = [n for n, step in enumerate(steps, 1) if f"{name}.step{n}" not in coverage.reached]
        # A change of pace at the end is no loss, and leaves no trace.
        if [n for n in left if not isinstance(steps[n - 1], Pace)]:
            more = f", and {len(left) - 1} behind it" if left[1:] else ""
            yield Missing(f"answer {number} never came to its step {left[0]}{more}", steps[left[0] - 1].place)


def _faults(space: Space, coverage: Coverage) -> Iterator[str]:
    if unused := [kind for kind in space.faults if kind not in coverage.struck]:
        yield f"faults: {', '.join(unused)} never struck"
    elif space.sweep != "none" and not coverage.struck:
        yield "sweep: no fault ever struck, since the run has no place for one"


def _choices(space: Space, coverage: Coverage) -> Iterator[str]:
    if not coverage.met and not coverage.struck:
        yield "no run had a choice to make: nothing varied but the seed"
        return
    if space.order == "any" and "order" not in coverage.met:
        yield "order: never were two callbacks ready at once"
    if space.jitter_ns and "timing" not in coverage.met:
        yield f"jitter: nothing came within {format_duration(space.jitter_ns)} of a deadline"
    if space.shift_ns and "shift" not in coverage.met:
        yield "shift: the user does nothing that could be moved"
    if fixed := sorted(coverage.met - coverage.varied):
        yield f"choices of {', '.join(fixed)} went the default way in every run"

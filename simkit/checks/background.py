"""Laws about tool calls that were parked: how many may run, what becomes of each, and what "cancelled" means.

The idea: what the model was told of a parked call (see ``parking``) is held against what the tool really did. The
constraint: a model that never asks is told nothing, and that is no fault; and an answer may cross with the end of a
run, so only what was asked for at a later instant is expected to know of it. Asking the registry itself was refused:
whoever forgets a task does not list it either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from simkit.checks.parking import RESULTS, UNKNOWN, Listing, Parked, Parking, Word, parked_tasks
from simkit.checks.reading import ToolRun, at, limit, number, quoted, times, tool_runs
from simkit.contracts import Law
from simkit.model.scenario import Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable

# More names than this in one sentence are not read.
_NAMES_MAX: Final = 3

_Judge = Callable[[Parking, Trace, object], Iterator[Finding]]


def _of_parked(law: str, judge: _Judge) -> Callable[[Scenario, Trace, object], Iterator[Finding | NotApplicable]]:
    """Return the law as a function that has nothing to say where nothing was parked."""

    def judged(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
        parking = parked_tasks(trace)
        if not parking.tasks:
            yield NotApplicable(law=law, because="no tool call was parked")
        yield from judge(parking, trace, parameter)

    return judged


def _named(task: Parked) -> str:
    return f"{task.id} ({task.tool})"


def _in(request: Event) -> str:
    return f"request {number(request, 'request')} at {at(request)}"


# -- background_cap --------------------------------------------------------------------------------
def _background_cap(parking: Parking, trace: Trace, parameter: object) -> Iterator[Finding]:
    most = limit(parameter)
    for request in trace.of("request"):
        alive = [task for task in parking.known_in(request) if task.run and task.run.is_alive_at(request.n)]
        if len(alive) > most:
            yield _too_many(alive, most, request)
            return


def _too_many(alive: list[Parked], most: int, request: Event) -> Finding:
    names = ", ".join(map(_named, alive[:_NAMES_MAX])) + (" and others" if len(alive) > _NAMES_MAX else "")
    text = (
        f"{len(alive)} parked tool calls were running in {_in(request)}, which tells the model of the last of them, "
        f"and at most {most} are allowed: {names}"
    )
    return Finding(law="background_cap", text=text, events=tuple(sorted({alive[0].told.n, request.n})))


BACKGROUND_CAP: Final = Law(
    name="background_cap",
    says="There are never more parked tool calls running in one conversation than the cap allows.",
    judge=_of_parked("background_cap", _background_cap),
    parameter="count",
    # The cap of the registries in use.
    default=32,
)


# -- parked_ends_once ------------------------------------------------------------------------------
def _parked_ends_once(parking: Parking, trace: Trace, parameter: object) -> Iterator[Finding]:
    for task in parking.tasks.values():
        for text, events in _wrong_ends(task, parking):
            yield Finding(law="parked_ends_once", text=text, events=tuple(sorted({event.n for event in events})))


def _wrong_ends(task: Parked, parking: Parking) -> Iterator[tuple[str, list[Event]]]:
    """Say what is wrong with what the model heard of a parked call's end."""
    results = [word for word in task.finals if word.status in RESULTS]
    gone = [word for word in task.finals if word.status not in RESULTS]
    if len(results) > 1:
        where = " and ".join(dict.fromkeys(_in(word.request) for word in results))
        yield f"the result of {_named(task)} was given out {times(len(results))}, in {where}", _requests(results)
    if results and gone:
        both = sorted((results[0], gone[0]), key=lambda word: word.request.n)
        ends = " and ".join(f"{word.status} in {_in(word.request)}" for word in both)
        yield f"the model was told two ends of {_named(task)}: {ends}", _requests(both)
    denied = [word for word in task.words if word.status == UNKNOWN]
    if denied:
        known = f"which it had been told of at {at(task.told)}"
        text = f"the model asked for {_named(task)}, {known}, and in {_in(denied[0].request)} nobody knew the id"
        yield text, [task.told, denied[0].request]
    elif not task.finals:
        yield from _lost(task, parking)


def _requests(words: list[Word]) -> list[Event]:
    return [word.request for word in words]


def _lost(task: Parked, parking: Parking) -> Iterator[tuple[str, list[Event]]]:
    """See whether the model asked when the run had ended, and heard nothing of that."""
    end = task.run.end if task.run else None
    if end is None:
        return
    ended = f"ended ({end.get('outcome')}) at {at(end)}"
    late = next((w for w in task.words if _asked_later(w, end)), None)
    if late is not None:
        said = f"in {_in(late.request)} the model, which asked later, was told that it is {late.status!r}"
        yield f"{_named(task)} {ended}, but {said}, and its outcome was never told", [end, late.request]
        return
    lists = (one for one in parking.listings if _leaves_out(one, task, parking))
    without = next((one for one in lists if _asked_later(one, end)), None)
    if without is not None:
        said = f"the list in {_in(without.request)} does not hold it any more"
        yield f"{_named(task)} {ended}, but {said}, and its outcome was never told", [end, without.request]


def _asked_later(one: Word | Listing, end: Event) -> bool:
    return one.asked is not None and one.asked.at_ns > end.at_ns


def _leaves_out(listing: Listing, task: Parked, parking: Parking) -> bool:
    """Say whether a list of this task's own conversation does not name it."""
    return task.id not in listing.ids and task in parking.known_in(listing.request)


PARKED_ENDS_ONCE: Final = Law(
    name="parked_ends_once",
    says="A model that asks for a parked tool call hears of exactly one end of it, and of its result once.",
    judge=_of_parked("parked_ends_once", _parked_ends_once),
)


# -- cancelled_means_stopped -----------------------------------------------------------------------
def _cancelled_means_stopped(parking: Parking, trace: Trace, parameter: object) -> Iterator[Finding]:
    for task in parking.tasks.values():
        word = next((word for word in task.words if word.status == "cancelled"), None)
        after = _done_after(task.run, word.request.n) if word and task.run else None
        if word is None or after is None:
            continue
        did = f"did this at {at(after)}: {quoted(after.get('text'))}"
        if after.kind == "tool.end":
            did = f"ended only at {at(after)} ({after.get('outcome')})"
        text = f"the model was told in {_in(word.request)} that {_named(task)} was cancelled, but it {did}"
        yield Finding(law="cancelled_means_stopped", text=text, events=(word.request.n, after.n))


def _done_after(run: ToolRun, n: int) -> Event | None:
    """Return the first effect of a run after event ``n``, or else its end, if that came later too."""
    ends = [run.end] if run.end else []
    return next((event for event in (*run.effects, *ends) if event.n > n), None)


CANCELLED_MEANS_STOPPED: Final = Law(
    name="cancelled_means_stopped",
    says="A parked tool call of which the model was told that it is cancelled has stopped, and does nothing more.",
    judge=_of_parked("cancelled_means_stopped", _cancelled_means_stopped),
)


# -- parked_is_not_rerun ---------------------------------------------------------------------------
def _parked_is_not_rerun(parking: Parking, trace: Trace, parameter: object) -> Iterator[Finding]:
    runs = tool_runs(trace)
    for task in parking.tasks.values():
        first = task.run
        if first is None:
            continue
        again = [run for run in runs if run.start.n > task.told.n and run.key == first.key]
        double = next((run for run in again if first.is_alive_at(run.start.n)), None)
        if double is not None:
            text = (
                f"{task.tool} was started again at {at(double.start)} with {quoted(double.start.get('args'))}, while "
                f"the same call, begun at {at(first.start)}, was still running as {task.id}"
            )
            yield Finding(law="parked_is_not_rerun", text=text, events=(first.start.n, double.start.n))


PARKED_IS_NOT_RERUN: Final = Law(
    name="parked_is_not_rerun",
    says="While a tool call is parked and runs, the same call is not started a second time.",
    judge=_of_parked("parked_is_not_rerun", _parked_is_not_rerun),
)

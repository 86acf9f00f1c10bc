"""The rules that no table of shapes can say: what may follow what, and what could never come about.

The idea: each rule is a function of entries that were read already; it notes what it finds and stops nothing. The
constraint: whatever a scenario spells out can happen in its run - an answer that no request can get, or a step that
is never played, would let a green result say less than its author believes. Leaving that to the run was refused: a
run tells only of the road that it took.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simkit.extensions import nearest
from simkit.language.entry import Entry
from simkit.language.problems import Problems
from simkit.language.remedies import joined
from simkit.model.duration import FOREVER
from simkit.model.timeline import Place

# Steps that put a part of the answer on the wire, and all that give a frame. Some wires have no frame for a usage or
# for a closing marker; a dialect says so when it comes to that.
_ANSWER: Final = ("say", "think", "refuse", "call", "args", "name", "usage", "finish")
_FRAMES: Final = (*_ANSWER, "chunk", "done", "error", "raw")

# A finished stream closes by itself, unless one of these says otherwise.
_OWN_END: Final = ("done", "error", "disconnect")

# What is known while the client dials; everything else of a `when` stands in the request.
_DIALLING: Final = ("host", "connection")

_UP_OR_OUT: Final = "move it up or take it out"


def check(scenario: Entry, problems: Problems) -> None:
    """Note what no shape can say. Copes with values that are missing because they were wrong."""
    answers = list(scenario.entries("provider"))
    for answer in answers:
        _check_reply(answer, problems)
    _check_reached(answers, problems)
    _check_user(list(scenario.entries("user")), problems)
    _check_laws(list(scenario.entries("always")), problems)
    for key in ("skip", "xfail"):
        _check_excuse(scenario, key, problems)


# -- the user ---------------------------------------------------------------------------------------
def _check_user(acts: list[Entry], problems: Problems) -> None:
    left = min(((act.whole("at"), place) for place, act in enumerate(acts) if act.verb == "leaves"), default=None)
    for place, act in enumerate(acts):
        if left is not None and act.verb in ("says", "cancels") and (act.whole("at"), place) > left:
            problems.add(act.place, f"{act.verb!r} never happens: the user has left by then", _UP_OR_OUT)


# -- answers ---------------------------------------------------------------------------------------
def _check_reply(answer: Entry, problems: Problems) -> None:
    match answer.verb:
        case "stream":
            steps = list(answer.entries("stream"))
            _check_frames(_played(steps, ("disconnect", "stall"), problems), _closes(steps), problems)
        case "background":
            job = answer.inner("background")
            steps = list(job.entries("stream"))
            # Where a connection ends, the job goes on.
            _check_frames(_played(steps, ("stall",), problems), _job_closes(job, steps), problems)
            _check_job(job, problems)
        case "connection":
            _check_dialling(answer.inner("when"), problems)


def _check_job(job: Entry, problems: Problems) -> None:
    if "error" in job.places and job.values.get("ends", "completed") != "failed":
        text = "'error' says why a job failed, and this one does not fail"
        problems.add(job.places["error"], text, "write ends: failed beside it, or take it out")


def _check_dialling(when: Entry, problems: Problems) -> None:
    for name in when.values:
        if name not in _DIALLING:
            text = f"{name!r} is read from a request, and none has come when a connection fails"
            remedy = f"match on {' and '.join(_DIALLING)}, or answer with a status"
            problems.add(when.places[name], text, remedy)


def _check_reached(answers: Sequence[Entry], problems: Problems) -> None:
    endless: dict[tuple[tuple[str, object], ...], Entry] = {}
    for answer in answers:
        wanted = _conditions(answer)
        if wanted is None:
            continue
        before = endless.get(()) or endless.get(wanted)
        if before is not None:
            same = " with this `when`" if before is not endless.get(()) else ""
            text = f"this answer is never reached: the one on line {before.place.line} takes every request{same}"
            problems.add(answer.place, text, "move it above that one, or give that one a number of times")
        elif answer.values.get("times") == "any":
            endless[wanted] = answer


def _conditions(answer: Entry) -> tuple[tuple[str, object], ...] | None:
    """Return what a request must fit, in one order; None where something in it was wrong."""
    when = answer.inner("when")
    if ("when" in answer.places) != ("when" in answer.values) or len(when.values) != len(when.places):
        return None
    return tuple(sorted(when.values.items()))


# -- timelines -------------------------------------------------------------------------------------
def _closes(steps: Sequence[Entry]) -> bool:
    """Say whether a closing marker follows the steps of a stream by itself."""
    verbs = [step.verb for step in steps]
    return "finish" in verbs and not any(verb in _OWN_END for verb in verbs)


def _job_closes(job: Entry, steps: Sequence[Entry]) -> bool:
    """Say whether an event follows the steps of a job that tells how it ended; none tells of a cancelled one."""
    spans = [job.values.get("queued"), job.values.get("in_progress"), *(step.values.get("stall") for step in steps)]
    return job.values.get("ends") != "cancelled" and FOREVER not in spans


def _check_frames(steps: Sequence[Entry], closes: bool, problems: Problems) -> None:
    _check_open_calls(steps, problems)
    _check_damage(steps, closes, problems)
    _check_repeats(steps, problems)


def _played(steps: list[Entry], ends: Sequence[str], problems: Problems) -> list[Entry]:
    """Return the steps that can be played, and tell of the first one that cannot."""
    failed: Entry | None = None
    for count, step in enumerate(steps):
        before = steps[count - 1] if count else None
        if before is not None and _is_end(before, ends):
            text = f"this step is never played: the stream is over after {before.verb!r} on line {before.place.line}"
            problems.add(step.place, text, _UP_OR_OUT)
            return steps[:count]
        if failed is not None and step.verb in _ANSWER:
            text = f"this step is never played: no more of the answer follows the 'error' on line {failed.place.line}"
            problems.add(step.place, text, _UP_OR_OUT)
            return steps[:count]
        failed = step if step.verb == "error" else failed
    return steps


def _is_end(step: Entry, ends: Sequence[str]) -> bool:
    return step.verb in ends and (step.verb != "stall" or step.values.get("stall") == FOREVER)


def _check_open_calls(steps: Sequence[Entry], problems: Problems) -> None:
    called = False
    for step in steps:
        # With an index it is an orphan on purpose.
        if step.verb in ("args", "name") and not called and "index" not in step.places:
            these, them = ("these arguments", "them") if step.verb == "args" else ("this name", "it")
            text = f"no call is open that {these} could belong to"
            problems.add(step.place, text, f"write a call above {them}")
        called = called or step.verb == "call"


def _check_damage(steps: Sequence[Entry], closes: bool, problems: Problems) -> None:
    follows = closes
    for step in reversed(steps):
        if step.verb == "garble" and not follows:
            text = "no frame follows that could arrive damaged"
            problems.add(step.place, text, "write a step that sends something below it")
        follows = (follows or step.verb in _FRAMES) and step.verb != "garble"


def _check_repeats(steps: Sequence[Entry], problems: Problems) -> None:
    sent = False
    for step in steps:
        if step.verb == "repeat" and not sent:
            text = "no frame stands before this step that could be repeated"
            problems.add(step.place, text, "write a step that sends something above it")
        sent = sent or step.verb in _FRAMES


# -- laws ------------------------------------------------------------------------------------------
def _check_laws(laws: Sequence[Entry], problems: Problems) -> None:
    first: dict[str, Entry] = {}
    for law in laws:
        if law.verb in first:
            line = first[law.verb].place.line
            problems.add(law.place, f"the law {law.verb!r} stands twice", f"the first is on line {line}")
        first.setdefault(law.verb, law)


# -- the matrix ------------------------------------------------------------------------------------
def _check_excuse(scenario: Entry, key: str, problems: Problems) -> None:
    excuse = scenario.values.get(key)
    if not isinstance(excuse, Entry):
        return
    when, matrix = excuse.inner("when"), scenario.inner("matrix")
    if "when" in excuse.values and not when.places:
        problems.add(excuse.places["when"], "no column of the matrix is named here", f"write {key}: and the reason")
    for column, value in when.values.items():
        _check_column(matrix, column, value, when.places[column], problems)


def _check_column(matrix: Entry, column: str, value: object, place: Place, problems: Problems) -> None:
    if column not in matrix.places:
        remedy = nearest(column, matrix.places).removeprefix(" - ")
        problems.add(place, f"the matrix has no column {column!r}", remedy or "there is no matrix")
        return
    cells = matrix.values.get(column)
    # A column in which nothing was right has been told of.
    if isinstance(cells, tuple) and cells and not any(same_cell(value, cell) for cell in cells):
        problems.add(
            place, f"no row has {value!r} in the column {column!r}", f"it holds {joined(list(map(repr, cells)))}"
        )


def same_cell(one: object, other: object) -> bool:
    """Say whether two values of the matrix are the same, the number 1 and the word true being different things."""
    return type(one) is type(other) and one == other

"""What the runs of a scenario let one say: one function for each rule that asks them.

The idea: ``Trial`` knows what happened, and here it becomes a sentence with a place and a way out. The constraint:
every sentence says what was seen and in how many runs, so its reader can tell how much it is worth. Doing both in one
module was refused: how to run least and how to say it best change for different reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simkit.extensions import nearest
from simkit.language.nodes import Map
from simkit.linting.rules import Remark, remark
from simkit.linting.trees import key_place, place_of
from simkit.linting.trying import Trial
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place


def _runs(trial: Trial) -> str:
    return "the run" if trial.evidence.runs == 1 else f"{trial.evidence.runs} runs"


def unused_answers(trial: Trial, cases: Sequence[Scenario], root: Map) -> Iterator[Remark]:
    """Yield the answers, and the answers to polls, that are left over after every run."""
    first = cases[0]
    for index, left in trial.evidence.answers.items():
        answer = first.provider[index]
        most = 0 if left is None or answer.times is None else answer.times - left
        used = f"was used {most} of {answer.times} times at most" if most else "was never used"
        remedy = "lower its `times`" if most else "take it out"
        remedy += ", or name under `catches` the flaw that it waits for"
        yield remark("unused-answer", first, answer.place, f"after {_runs(trial)}, this answer {used}", remedy)
    for index, number, most in trial.evidence.polls:
        place = place_of(root, "provider", index, "background", "polls", str(number))
        came = f"{most} came at most" if most else "none came"
        text = f"after {_runs(trial)}, poll {number} of this job never came: {came}"
        yield remark("unused-answer", first, place, text, "take it out, or let the job run longer")


def unused_tools(trial: Trial, cases: Sequence[Scenario], root: Map) -> Iterator[Remark]:
    """Yield the tools that no answer names and no run started."""
    for name in trial.evidence.tools:
        yield unused_tool(cases[0], name, f"after {_runs(trial)}, nothing called")


def unused_tool(case: Scenario, name: str, why: str) -> Remark:
    """Return what is said of a tool that nobody needs."""
    text = f"{why} the tool {name!r}"
    return remark("unused-tool", case, case.tools[name].place, text, "take it out, or write an answer that calls it")


def unused_hosts(trial: Trial, cases: Sequence[Scenario], root: Map) -> Iterator[Remark]:
    """Yield the hosts that no run dialled and nothing names."""
    for name in trial.evidence.hosts:
        text = f"after {_runs(trial)}, nobody dialled the host {name!r}"
        yield remark("unused-host", cases[0], place_of(root, "hosts", name), text, "take it out")


def laws_without_facts(trial: Trial, cases: Sequence[Scenario], root: Map) -> Iterator[Remark]:
    """Yield the laws of the scenario that nothing in any run fell under."""
    for use, because in trial.evidence.laws:
        # Without a run that asked, nobody can say so.
        if because:
            text = f"after {_runs(trial)}, the law {use.law!r} had nothing to judge: {because}"
            remedy = f"take it out, or let happen what it looks at (simkit explain {use.law})"
            yield remark("law-cannot-apply", cases[0], use.place, text, remedy)


def not_passing(trial: Trial, cases: Sequence[Scenario], root: Map) -> Iterator[Remark]:
    """Tell of the first row that does not pass, and of how many others."""
    for row, why in list(trial.failed.items())[:1]:
        more = len(trial.failed) - 1
        others = f" (and {more} more)" if more else ""
        why = why.splitlines()[0]
        remedy = f"simkit run {cases[0].file} tells the whole story; a case that has to fail says so with xfail"
        text = f"the case {row!r}{others} does not pass: {why}"
        yield remark("does-not-pass", cases[0], key_place(root, "scenario"), text, remedy)


def nothing_caught(trial: Trial, cases: Sequence[Scenario], root: Map) -> Iterator[Remark]:
    """Yield the flaws under which no row fails, though the scenario says that it catches them."""
    if not trial.tested:
        return
    for place, flaw in enumerate(cases[0].catches):
        if flaw in trial.catches and flaw not in trial.caught:
            text = _refused(flaw, trial.refused[flaw]) if flaw in trial.refused else _passes(flaw, trial.tested)
            at = _in_catches(root, place)
            yield remark("catches-nothing", cases[0], at, text, "take it out, or expect what it gets wrong")


def _refused(flaw: str, text: str) -> str:
    return f"the flaw {flaw!r} cannot be tried here: {text}"


def _passes(flaw: str, rows: Sequence[str]) -> str:
    return f"the scenario passes with the flaw {flaw!r}" + (f" in all of its {len(rows)} rows" if len(rows) > 1 else "")


def unknown_flaws(case: Scenario, root: Map, flaws: Sequence[str]) -> Iterator[Remark]:
    """Yield what stands under ``catches`` and is no flaw of the subject; needs no run."""
    for place, flaw in enumerate(case.catches):
        if flaw not in flaws:
            near = nearest(flaw, flaws).removeprefix(" - ")
            remedy = near if near.startswith("did") else f"simkit explain lists the flaws of {case.subject!r}"
            text = f"subject {case.subject!r} has no flaw {flaw!r}"
            yield remark("catches-nothing", case, _in_catches(root, place), text, remedy if flaws else "take it out")


def _in_catches(root: Map, place: int) -> Place:
    return place_of(root, "catches", place)


def survived(trial: Trial, cases: Sequence[Scenario], root: Map) -> Iterator[Remark]:
    """Tell that no flaw makes the scenario fail."""
    if not trial.survived:
        return
    rows = f" in any of {len(trial.tested)} rows" if len(trial.tested) > 1 else ""
    text = f"no flaw of subject {cases[0].subject!r} makes this scenario fail{rows}, so it tests nothing"
    if trial.is_full:
        text = f"no flaw of subject {cases[0].subject!r} made this scenario fail in {trial.survived} runs"
    remedy = "expect something that a faulty agent gets wrong, or let the provider do something that is hard"
    yield remark("no-flaw-fails", cases[0], key_place(root, "scenario"), text, remedy)


def after_runs(trial: Trial, cases: Sequence[Scenario], root: Map) -> Iterator[Remark]:
    """Yield everything that the runs let one say."""
    # What a scenario is for that explores is not seen in a single run.
    explores = bool(cases[0].explore.runs)
    of_flaws = (not_passing, nothing_caught) if explores else (not_passing, nothing_caught, survived)
    of_waste = (unused_answers, unused_tools, unused_hosts, laws_without_facts)
    for say in (*of_flaws, *(of_waste if trial.shows_waste and not explores else ())):
        yield from say(trial, cases, root)

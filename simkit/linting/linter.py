"""The linter: reads every file, and says of each what the language refuses and what the rules doubt.

The idea: files come in, remarks go out, file by file, so whoever waits sees the first while the last is being run. The
constraint: a file that cannot be read keeps nothing back of the others, and what is doubted is only asked of a file
in which nothing is wrong. One list at the end was refused: with many files it is a long silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from simkit.contracts import Setting, Subject
from simkit.errors import ScenarioError, SimkitError, UsageError
from simkit.extensions import BUILT_IN
from simkit.kernel.machine import MACHINE
from simkit.language.nodes import Map
from simkit.linting.answers import unreachable
from simkit.linting.durations import suspicious
from simkit.linting.naming import is_named
from simkit.linting.order import astray
from simkit.linting.rules import RULES, Remark, in_order, refused, remark, unusable
from simkit.linting.trees import tree_of
from simkit.linting.trying import Trial, flaws_of
from simkit.linting.verdicts import after_runs, unknown_flaws, unused_tool
from simkit.model.scenario import Scenario
from simkit.options import Outside, read_file, scenario_files
from simkit.run import find_subject


@dataclass(frozen=True, slots=True)
class Checked:
    """One file, or what was given in the place of one: the cases that were meant, and everything to be told of it.

    ``rows`` are all cases of the file: whether an answer is needed, only all of them together can say.
    """

    name: str
    cases: tuple[Scenario, ...] = ()
    rows: tuple[Scenario, ...] = ()
    remarks: tuple[Remark, ...] = ()


# What stands around the work on a file: its name, how many are done, and how many there are.
Around = Callable[[str, int, int], AbstractContextManager[None]]


def lint(
    paths: Sequence[str],
    rules: Collection[str],
    *,
    run: bool = True,
    around: Around = lambda name, done, total: nullcontext(),
) -> Iterator[Checked]:
    """Yield every file that the paths mean with what is to be told of it; ``run`` says whether its cases may be run."""
    files = dict.fromkeys(one for path in paths for one in _files(path))
    read = [_read(name, row) for name, row in files]
    often = Counter(flaw for one in read for case in one.rows[:1] for flaw in case.catches)
    # Clocks are replaced once for all runs: that costs more than a run.
    with MACHINE.held() if run else nullcontext():
        for done, one in enumerate(read):
            with around(one.name, done, len(read)):
                found = list(_doubts(one.rows, rules, often, run=run)) if one.rows else []
            kept = (each for each in found if each.rule in rules)
            yield replace(one, remarks=tuple(in_order([*one.remarks, *kept])))


def _files(path: str) -> list[tuple[str, str | None]]:
    """Return the files that a path means; what means none is kept as it is, to be told in its turn."""
    try:
        return [(str(file), row) for file, row in scenario_files(path)]
    except UsageError:
        return [(path, None)]


def _read(name: str, row: str | None) -> Checked:
    try:
        ((path, _),) = scenario_files(name)
        cases = read_file(path, Outside(), row)
        return Checked(name, tuple(cases), tuple(cases if row is None else read_file(path, Outside())))
    except (SimkitError, ExceptionGroup) as error:
        return Checked(name, remarks=tuple(_told(error)))


def _told(error: BaseException) -> Iterator[Remark]:
    match error:
        case BaseExceptionGroup():
            for one in error.exceptions:
                yield from _told(one)
        case ScenarioError():
            yield from map(refused, error.problems)
        case _:
            yield unusable(str(error))


# -- doubts ----------------------------------------------------------------------------------------------------------
def _doubts(cases: Sequence[Scenario], rules: Collection[str], often: Counter[str], *, run: bool) -> Iterator[Remark]:
    """Yield what the rules say of a file in which nothing is wrong."""
    first = cases[0]
    root = tree_of(first.source, first.file)
    assert root is not None, f"{first.file} was read before"
    # Of a case that is skipped nobody has asked whether its subject is there.
    subject = None if first.skip else find_subject(first)
    flaws = flaws_of(subject) if subject is not None else None
    dead = dict(unreachable(cases))
    yield from _key_order(first, root)
    yield from suspicious(first, _table(subject))
    yield from dead.values()
    if flaws is not None:
        yield from unknown_flaws(first, root, flaws)
    if run and any(RULES[name].asks_runs for name in rules):
        trial = Trial(cases, dead, [flaw for flaw in first.catches if flaws is None or flaw in flaws])
        trial.run(flaws or () if "no-flaw-fails" in rules else (), often)
        yield from after_runs(trial, cases, root)
    elif first.subject in BUILT_IN["subjects"]:
        # simkit's own agents run what the model calls, and nothing else.
        yield from _never_called(cases)


def _table(subject: Subject | None) -> Mapping[str, Setting] | None:
    return subject.settings if subject is not None else None


def _key_order(case: Scenario, root: Map) -> Iterator[Remark]:
    for one in astray(root):
        where = "above" if one.above else "below"
        text = f"the key {one.key.text!r} belongs {where} {one.other!r}"
        yield remark("key-order", case, one.key.place, text, "simkit lint --fix moves it there with its comments")


def _never_called(cases: Sequence[Scenario]) -> Iterator[Remark]:
    for name in cases[0].tools:
        if not any(is_named(name, case) for case in cases):
            yield unused_tool(cases[0], name, "no answer calls")

"""What the command line and the pytest plugin share: which files are meant, what is set from outside, and the
check of everything before anything runs.

The idea: ``--set flaw=x`` means the same in both faces, so both ask here. The constraint: whatever is given from
outside is put into the scenario before the run and nowhere else, so the result still says everything about the
run; and whatever is wrong is told together, each mistake once. Reading options inside the machinery was refused:
a result would then depend on something that is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from simkit.contracts import Subject
from simkit.errors import Problem, ScenarioError, SimkitError, SubjectError, UsageError
from simkit.model.scenario import Scenario

SUFFIX: Final = ".sim.yaml"

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What is given from outside the files: settings with the option that they came by, and another subject."""

    settings: Mapping[str, str] = field(default_factory=dict)
    option: str = "--set"
    subject: str | None = None


def parse_overrides(texts: Iterable[str]) -> dict[str, str]:
    """Return settings from texts such as ``flaw=stub_finish_stop``. Raises ``UsageError`` for any other form."""
    overrides = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{text!r} is not a setting: expected KEY=VALUE, such as flaw=stub_finish_stop")
        overrides[key.strip()] = value.strip()
    return overrides


# -- which cases -----------------------------------------------------------------------------------------------------
def read_paths(paths: Sequence[str], outside: Outside) -> list[Scenario]:
    """Return every case that the paths mean, checked, each once however often it is named.

    A path is a folder, a file or ``FILE::ROW``; the order is that of the arguments, and by name inside a folder.
    Raises an ``ExceptionGroup`` of everything that is wrong; ``told`` makes one text of it.
    """

    def read_path(text: str) -> list[list[Scenario]]:
        return all_or_errors(lambda one: read_file(one[0], outside, one[1]), scenario_files(text))

    cases: dict[tuple[Path, str], Scenario] = {}
    for case in chain.from_iterable(chain.from_iterable(all_or_errors(read_path, paths))):
        cases.setdefault((Path(case.file).resolve(), case.case), case)
    return list(cases.values())


def scenario_files(text: str) -> list[tuple[Path, str | None]]:
    """Return the scenario files that a path means, each with the row that was named (``FILE::ROW``) or None.

    Raises ``UsageError`` for a path that is not there, a file that is no scenario, or a folder without any.
    """
    name, _, row = text.partition("::")
    path = Path(name)
    if not name or not path.exists():
        raise UsageError(f"no such file or folder: {name!r}")
    if path.is_dir():
        inside = sorted(p for p in path.rglob(f"*{SUFFIX}") if p.is_file() and not _is_hidden(p, path))
        if not inside:
            raise UsageError(f"no scenario in the folder {name!r}: expected files that end with {SUFFIX}")
        return [(p, None) for p in inside]
    if not path.name.endswith(SUFFIX):
        raise UsageError(f"{name!r} is not a scenario file: expected a name that ends with {SUFFIX}")
    return [(path, row or None)]


def _is_hidden(path: Path, below: Path) -> bool:
    """Say whether a folder on the way is hidden: a virtual environment may hold other people's scenarios."""
    return any(part.startswith(".") for part in path.relative_to(below).parts[:-1])


def read_file(path: Path, outside: Outside, row: str | None = None) -> list[Scenario]:
    """Return the cases of a file, or the one that is named, checked and with what is set from outside.

    Raises ``ScenarioError``, ``UsageError``, or an ``ExceptionGroup`` of several.
    """
    from simkit.extensions import nearest  # lazy: --help and a mistyped option need no kernel
    from simkit.run import load  # lazy: as above

    scenarios = load(path)
    rows = [s for s in scenarios if row in (None, s.case)]
    if not rows:
        raise UsageError(f"{path} has no row {row!r}{nearest(row or '', [s.case for s in scenarios])}")
    return all_or_errors(lambda case: _checked(case, outside), rows)


def _checked(case: Scenario, outside: Outside) -> Scenario:
    """Return the case with what is set from outside, after asking its subject whether all of that fits.

    Of a case that is skipped nobody is asked: that its subject is missing here may be the very reason.
    """
    if case.skip:
        return case
    from simkit.run import check_links, check_settings  # lazy: as above

    subject = _subject(case, outside)
    try:
        # Alone first: an error about them must not point into the file, where nobody wrote them.
        check_settings(replace(case, settings=outside.settings, settings_places={}), subject)
    except ScenarioError as error:
        raise _unplaced(error, outside.option) from error
    case = replace(case, settings={**case.settings, **outside.settings})
    check_settings(case, subject)
    check_links(case)
    return case


def _subject(case: Scenario, outside: Outside) -> Subject:
    """Find who is under test. An error says where the scenario names it, if it is the scenario that does."""
    from simkit.run import find_subject  # lazy: as above

    try:
        return find_subject(case, outside.subject)
    except SubjectError as error:
        text = str(error)
    except SystemExit as error:
        # A script without a guard around its last lines: importing it is running it.
        text = f"subject {outside.subject or case.subject!r} called sys.exit({error.code!r}) while it was imported"
    at = case.subject_place
    if outside.subject is not None or at is None:
        raise SubjectError(text)
    raise ScenarioError([Problem(at.file, at.line, at.column, text, case.line(at))])


def _unplaced(error: ScenarioError, option: str) -> ExceptionGroup[UsageError]:
    return ExceptionGroup("settings", [UsageError(f"{option}: {problem.text}") for problem in error.problems])


# -- errors, all together --------------------------------------------------------------------------------------------
def all_or_errors(step: Callable[[A], R], arguments: Iterable[A]) -> list[R]:
    """Return what the step gives for each argument. Raises the errors of all of them as one ``ExceptionGroup``."""
    done: list[R] = []
    errors: list[Exception] = []
    for each in arguments:
        try:
            done.append(step(each))
        except (SimkitError, ExceptionGroup) as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("several", errors)
    return done


def told(error: BaseException) -> str:
    """Return an error, or a group of them, as a text for people; what many files have in common is told once."""
    return "\n".join(dict.fromkeys(_texts(error)))


def _texts(error: BaseException) -> Iterator[str]:
    match error:
        case BaseExceptionGroup():
            for one in error.exceptions:
                yield from _texts(one)
        case ScenarioError():
            yield from (problem.render() for problem in error.problems)
        case _:
            yield f"simkit: {error}"

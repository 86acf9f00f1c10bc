"""The door of the language: a path or a text goes in, scenarios come out, one for each row of the matrix.

The idea: whoever loads scenarios sees two functions and two exceptions; ``UsageError`` says that there is no
such file, ``ScenarioError`` carries everything that is wrong inside it. The constraint: the laws are given by
the caller, since this room and the room of the laws are neighbours that do not know each other. Reading a
folder was refused here: which files belong to a run is a question of the faces, and pytest answers it by
itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from simkit.errors import UsageError
from simkit.language.bases import with_bases
from simkit.language.builder import Origin, build
from simkit.language.defaults import with_defaults
from simkit.language.entry import Entry
from simkit.language.files import decode, read_bytes, tree
from simkit.language.problems import Problems
from simkit.language.rows import Row, rows
from simkit.language.rules import check
from simkit.language.spec import SCENARIO
from simkit.language.walker import Walker
from simkit.model.scenario import Scenario


def load(path: Path | str, *, laws: Mapping[str, str | None]) -> tuple[Scenario, ...]:
    """Return the scenarios of a file, one for each row; ``laws`` maps each law to its parameter's kind.

    Raises ``UsageError`` when there is no such file, ``ScenarioError`` with everything wrong inside it.
    """
    shown = shown_path(Path(path))
    return loads(decode(_read(Path(path), shown), Problems(shown, "")), shown, laws=laws)


def loads(text: str, file: str, *, laws: Mapping[str, str | None]) -> tuple[Scenario, ...]:
    """Return the scenarios of a text that places and errors call ``file``. Raises ``ScenarioError``.

    Files that the text names are looked for from the folder of ``file``.
    """
    text = text.removeprefix("\ufeff")
    problems = Problems(file, text)
    whole = with_bases(tree(text, problems), problems)
    walker = Walker(problems, laws)
    read = [(row, _read_row(row, walker, problems)) for row in rows(whole.root, problems)]
    problems.check()
    return tuple(
        build(entry, Origin(file=file, source=text, bases=whole.texts, row=row.name, cells=row.values))
        for row, entry in read
    )


def shown_path(path: Path) -> str:
    """Return the path with forward slashes, and from the current directory where it lies below it."""
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix()


def _read_row(row: Row, walker: Walker, problems: Problems) -> Entry:
    entry = walker.read(row.root, SCENARIO)
    assert isinstance(entry, Entry)  # a mapping without verbs always gives an entry
    entry = with_defaults(entry)
    check(entry, problems)
    return entry


def _read(path: Path, shown: str) -> bytes:
    if path.is_dir():
        raise UsageError(f"{shown!r} is a directory, expected a scenario file (*.sim.yaml)")
    if not path.is_file():
        raise UsageError(f"there is no file {shown!r}")
    try:
        return read_bytes(path)
    except OSError as error:
        raise UsageError(f"{shown!r} cannot be read: {error.strerror or error}") from error

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
from typing import Final

from simkit.errors import UsageError
from simkit.language.builder import Origin, build
from simkit.language.entry import Entry
from simkit.language.nodes import Map, Scalar, compose, describe
from simkit.language.problems import Problems
from simkit.language.rows import Row, rows
from simkit.language.rules import check
from simkit.language.spec import FORMAT, SCENARIO
from simkit.language.walker import Walker
from simkit.model.scenario import Scenario

# A hundred times the largest scenario that anyone has written, and two seconds of reading.
FILE_BYTES_MAX: Final = 2**20


def load(path: Path | str, *, laws: Mapping[str, str | None]) -> tuple[Scenario, ...]:
    """Return the scenarios of a file, one for each row; ``laws`` maps each law to its parameter's kind.

    Raises ``UsageError`` when there is no such file, ``ScenarioError`` with everything wrong inside it.
    """
    shown = shown_path(Path(path))
    return loads(_decode(_read_bytes(Path(path), shown), shown), shown, laws=laws)


def loads(text: str, file: str, *, laws: Mapping[str, str | None]) -> tuple[Scenario, ...]:
    """Return the scenarios of a text that places and errors call ``file``. Raises ``ScenarioError``.

    Files that the text names are looked for from the folder of ``file``.
    """
    text = text.removeprefix("\ufeff")
    problems = Problems(file, text)
    root = _root(text, problems)
    walker = Walker(problems, laws)
    read = [(row, _read_row(row, walker, problems)) for row in rows(root, problems)]
    problems.check()
    return tuple(build(entry, Origin(file=file, source=text, row=row.name)) for row, entry in read)


def shown_path(path: Path) -> str:
    """Return the path with forward slashes, and from the current directory where it lies below it."""
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix()


def _read_row(row: Row, walker: Walker, problems: Problems) -> Entry:
    entry = walker.read(row.root, SCENARIO)
    assert isinstance(entry, Entry)  # a mapping without verbs always gives an entry
    check(entry, problems)
    return entry


def _root(text: str, problems: Problems) -> Map:
    root = compose(text, problems)
    if not isinstance(root, Map):
        remedy = "start with simkit: 1 and a key on each line"
        problems.stop(root.place, f"a scenario is a mapping of keys, got {describe(root)}", remedy)
    version = root.get("simkit")
    if isinstance(version, Scalar) and version.value != FORMAT and isinstance(version.value, int | float | str):
        problems.stop(
            version.place,
            f"format {version.text!r} is not read by this version of simkit",
            f"write simkit: {FORMAT}, or use the version of simkit that the file was written for",
        )
    return root


def _read_bytes(path: Path, shown: str) -> bytes:
    if path.is_dir():
        raise UsageError(f"{shown!r} is a directory, expected a scenario file (*.sim.yaml)")
    if not path.is_file():
        raise UsageError(f"there is no file {shown!r}")
    try:
        with path.open("rb") as file:
            # One byte more than is allowed shows that there is more, however much that is.
            return file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{shown!r} cannot be read: {error.strerror or error}") from error


def _decode(data: bytes, shown: str) -> str:
    if len(data) > FILE_BYTES_MAX:
        Problems(shown, "").stop(
            Problems(shown, "").place(0, 0),
            f"the file is larger than {FILE_BYTES_MAX // 2**20} MiB",
            "split it into several scenarios",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        problems = Problems(shown, before)
        place = problems.place(len(problems.lines) - 1, len(problems.lines[-1]))
        problems.stop(place, f"the byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8")

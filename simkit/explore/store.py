"""The store: failures that were found, as files that survive everything, until somebody replays or pins them.

The idea: one JSON file for each failure, named after what failed and its id, holding all that a replay needs: the case,
what was set from outside, the plan, and what broke. The constraint: a file is there whole or not at all, whatever kills
the process; what cannot be read is told with its name, and one of a later format is refused. A database was refused: a
person can read, copy and delete a file, and two processes cannot lock each other out of it.

It lies in ``.simkit/failures`` of the folder where the exploration was started, and ``.simkit`` keeps itself out of
version control: what is worth keeping is pinned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from simkit.errors import UsageError
from simkit.explore.failures import Failure
from simkit.explore.outcome import Broken
from simkit.model.plan import Plan
from simkit.model.redact import redact
from simkit.model.timeline import Place
from simkit.provider.vcrfiles import write_atomically

# Raised whenever an older simkit would misread what a newer one writes.
FORMAT: Final = 1
FOLDER: Final = ".simkit"
IGNORE: Final = "# What simkit found out on this machine; `simkit pin` makes a scenario of a failure.\n*\n"
# More ids than this are no help to whom mistyped one.
_LISTED_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A failure and how its case came about.

    ``file`` and ``row`` name the scenario; both are empty where the case is a function. ``settings`` and ``subject``
    were given from outside the file. ``shortened`` is the text of a shorter scenario that fails for the same
    reason under the plan in it, if somebody looked for one.
    """

    failure: Failure
    file: str = ""
    row: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    subject: str | None = None
    shortened: str = ""


class Store:
    """The failures of one project, whose folder is ``root``."""

    __slots__ = ("_root", "folder")

    def __init__(self, root: Path | str = ".") -> None:
        self._root = Path(root) / FOLDER
        self.folder = self._root / "failures"

    def save(self, stored: Stored) -> Path:
        """Write a failure, in the place of what was known of the same one, and return its file.

        Secrets are masked. Raises ``UsageError`` where the file cannot be written.
        """
        path = self.folder / f"{stored.failure.slug}.json"
        text = json.dumps(redact(_as_json(stored)), indent=2, ensure_ascii=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignored = self._root / ".gitignore"
            if not ignored.exists():
                write_atomically(str(ignored), IGNORE)
            write_atomically(str(path), f"{text}\n")
        except OSError as error:
            raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from error
        return path

    def files(self) -> list[Path]:
        """Return the files of all failures, by name."""
        return sorted(self.folder.glob("*.json"))

    def find(self, prefix: str) -> Stored:
        """Return the failure whose id begins so. Raises ``UsageError`` where there is none, or more than one."""
        found = [path for path in self.files() if prefix and _id_of(path).startswith(prefix)]
        if len(found) == 1:
            return load(found[0])
        if found:
            raise UsageError(f"{prefix!r} is the beginning of several ids - {_listed(found)}")
        there = self.files()
        known = _listed(there) if there else "run simkit explore first, or look in another folder"
        raise UsageError(f"no failure in {self.folder.as_posix()!r} has the id {prefix!r} - {known}")

    def known(self, case: str) -> tuple[Stored, ...]:
        """Return all failures of a case. Raises ``UsageError`` for a file that cannot be read."""
        return tuple(one for one in map(load, self.files()) if one.failure.case == case)


def _id_of(path: Path) -> str:
    return path.stem.rpartition("-")[2]


def _listed(paths: list[Path]) -> str:
    more = f" and {len(paths) - _LISTED_MAX} more" if len(paths) > _LISTED_MAX else ""
    return "there are: " + ", ".join(f"{_id_of(p)} ({p.stem.rpartition('-')[0]})" for p in paths[:_LISTED_MAX]) + more


# -- one file ----------------------------------------------------------------------------------------------------------
def load(path: Path | str) -> Stored:
    """Read the file of a failure. Raises ``UsageError`` with its name where that cannot be done."""
    path = Path(path)
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is not JSON: {error} - delete it, or explore again") from error
    return _Reading(str(path), data).stored()


def _as_json(stored: Stored) -> dict[str, object]:
    failure, broken = stored.failure, stored.failure.broken
    place = broken.place
    return {
        "simkit_failure": FORMAT,
        "id": failure.id,
        "case": failure.case,
        "file": stored.file,
        "row": stored.row,
        "settings": dict(stored.settings),
        "subject": stored.subject,
        "plan": failure.plan.text(),
        "law": broken.law,
        "text": broken.text,
        "key": broken.key,
        "unknown": broken.unknown,
        "place": None if place is None else {"file": place.file, "line": place.line, "column": place.column},
        "attempt": failure.number,
        "count": failure.count,
        "shortened": stored.shortened,
    }


class _Reading:
    """Reads the values of one file, and tells which of them is not what it has to be."""

    __slots__ = ("_data", "_path")

    def __init__(self, path: str, data: object) -> None:
        self._path = path
        if not isinstance(data, dict) or "simkit_failure" not in data:
            raise UsageError(f"{path!r} is no failure of simkit: expected a file that simkit explore has written")
        self._data = data
        version = self._whole("simkit_failure")
        if version != FORMAT:
            raise UsageError(
                f"{path!r} has the format {version}, and this simkit reads {FORMAT} - use the simkit that wrote it, or "
                "explore again"
            )

    def stored(self) -> Stored:
        broken = Broken(
            law=self._text("law"),
            text=self._text("text"),
            key=self._text("key"),
            place=self._place(),
            unknown=bool(self._data.get("unknown")),
        )
        failure = Failure(
            case=self._text("case"),
            broken=broken,
            plan=self._plan(),
            number=self._whole("attempt"),
            count=self._whole("count"),
        )
        return Stored(
            failure=failure,
            file=self._text("file"),
            row=self._text("row"),
            settings=self._settings(),
            subject=None if self._data.get("subject") is None else self._text("subject"),
            shortened=self._text("shortened"),
        )

    def _wrong(self, key: str, expected: str) -> UsageError:
        return UsageError(f"{self._path!r} has {self._data.get(key)!r} as {key!r}, expected {expected} - explore again")

    def _text(self, key: str) -> str:
        value = self._data.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value

    def _whole(self, key: str) -> int:
        value = self._data.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "a whole number")
        return value

    def _plan(self) -> Plan:
        try:
            return Plan.parse(self._text("plan"))
        except ValueError as error:
            raise self._wrong("plan", f"a plan ({error})") from error

    def _settings(self) -> dict[str, str]:
        value = self._data.get("settings")
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise self._wrong("settings", "texts by their names")
        return dict(value)

    def _place(self) -> Place | None:
        match self._data.get("place"):
            case None:
                return None
            case {"file": str(file), "line": int(line), "column": int(column)}:
                return Place(file, line, column)
        raise self._wrong("place", "a file, a line and a column")

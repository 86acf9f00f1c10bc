"""State: what a campaign has done, on disk, so that one that was killed goes on where it stood.

The idea: a file of JSON lines, each of which says what came of one unit, and is out of this process before the unit
counts; who reads it again has lost at most the units that were under way. The constraint: a line is whole or it is
not there, so the torn one that a kill leaves is cut off; and what was done under another text of a scenario, another
simkit or another behaviour of the agent counts for nothing. A database was refused: it locks, it is a dependency of
formats, and nobody can read it with ``tail -f``.

Campaigns lie in ``.simkit/campaigns``, in folders that are named after what is explored, and how, and numbered.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

from simkit.errors import UsageError
from simkit.explore.emptiness import Coverage
from simkit.explore.failures import Failure
from simkit.explore.outcome import Attempt, Broken, Outcome
from simkit.explore.store import FOLDER, IGNORE
from simkit.explore.units import Case, Parent, UnitDone
from simkit.model.plan import Plan
from simkit.model.redact import redact
from simkit.model.timeline import Place
from simkit.provider.vcrfiles import write_atomically

# Raised whenever an older simkit would misread what a newer one writes.
FORMAT: Final = 1
_FILE: Final = "units.jsonl"
_DIGEST_BYTES: Final = 6
# So many campaigns of the same kind are kept: to go on with one, the newest is enough.
_KEPT: Final = 3

# Anything that JSON can hold.
_Line = dict[str, Any]


def digest(*parts: object) -> str:
    """Return a short name for values, the same in every process."""
    text = json.dumps(parts, sort_keys=True, default=repr)
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def fingerprint(case: Case) -> str:
    """Return what has to be the same for what was done to count: the scenario, its space, and simkit.

    How many runs there are at most does not matter, since more of them begin with the same ones.
    """
    scenario, space = case.scenario, case.space
    varies = {name: getattr(space, name) for name in space.__slots__ if name != "runs"}
    texts = (scenario.source, dict(scenario.bases), scenario.row, {k: repr(v) for k, v in scenario.settings.items()})
    return digest(version("pytest-simkit"), *texts, case.subject or scenario.subject, varies)


def behaviour(first: Outcome) -> str:
    """Return what shows that an agent is another one, though its scenario is not: how its default run went."""
    return digest(first.choices, first.sites, sorted(first.reached), first.end_ns)


class Campaigns:
    """The campaigns of one project, whose folder is ``root``."""

    __slots__ = ("_root", "folder")

    def __init__(self, root: Path | str = ".") -> None:
        self._root = Path(root) / FOLDER
        self.folder = self._root / "campaigns"

    @contextlib.contextmanager
    def begin(self, key: str) -> Iterator[State]:
        """Begin a campaign of this kind. Raises ``UsageError`` where nothing can be written."""
        try:
            folder = self._new_folder(key)
            header = {"simkit_campaign": FORMAT, "simkit": version("pytest-simkit")}
            write_atomically(str(folder / _FILE), f"{json.dumps(header)}\n")
        except OSError as error:
            raise UsageError(f"{str(self.folder)!r} cannot be written: {error.strerror}") from error
        with _opened(folder) as state:
            self._forget_old(key)
            yield state

    def newest(self, key: str) -> Path | None:
        """Return the folder of the newest campaign of this kind, if there is one."""
        there = self._there(key)
        return there[-1] if there else None

    def resume(self, folder: Path) -> contextlib.AbstractContextManager[State]:
        """Go on with a campaign. Raises ``UsageError`` where somebody else does, or its file cannot be read."""
        return _opened(folder)

    def _there(self, key: str) -> list[Path]:
        found = [path for path in self.folder.glob(f"{key}-*") if (path / _FILE).is_file() and _number(path)]
        return sorted(found, key=_number)

    def _new_folder(self, key: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        ignored = self._root / ".gitignore"
        if not ignored.exists():
            write_atomically(str(ignored), IGNORE)
        last = max((_number(path) for path in self.folder.glob(f"{key}-*")), default=0)
        for number in count(last + 1):
            folder = self.folder / f"{key}-{number}"
            # Another process may have begun one meanwhile.
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                break
        return folder

    def _forget_old(self, key: str) -> None:
        for folder in self._there(key)[:-_KEPT]:
            # What another process goes on with stays.
            with contextlib.suppress(UsageError), _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _number(folder: Path) -> int:
    number = folder.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


class State:
    """The file of one campaign: what it held when it was opened, and a way to add to it."""

    def __init__(self, folder: Path, file: IO[bytes], lines: list[_Line]) -> None:
        self.folder = folder
        self._file = file
        self._is_settled = True
        self._texts: dict[str, str] = {}
        self._behaviours: dict[str, str] = {}
        self._done: dict[str, dict[str, UnitDone | str]] = {}
        for line in lines:
            self._read(line)

    def _read(self, line: _Line) -> None:
        if "unit" not in line:
            self._begin(line)
            return
        # Of the same unit done twice the later one counts.
        units = self._done.setdefault(line["case"], {})
        units[line["unit"]] = str(line["lost"]) if "lost" in line else _done(line)

    def done(self, case: str) -> Mapping[str, UnitDone | str]:
        """Return what came of the units of a case, by their names; of one that is never tried again, why."""
        return self._done.get(case, {})

    def has_changed(self, case: str, text: str) -> bool:
        """Say whether a case is another one than it was; then what was done counts for nothing any more."""
        before = self._texts.get(case)
        if before != text:
            self._add(self._begin({"case": case, "text": text}))
        return before not in (None, text)

    def behaves_otherwise(self, case: str, behaviour: str) -> bool:
        """Say whether a case went another way in its default run than it did; then nothing counts any more either."""
        before = self._behaviours.get(case)
        if before != behaviour:
            self._add(self._begin({"case": case, "text": self._texts[case], "behaviour": behaviour}))
        return before not in (None, behaviour)

    def _begin(self, line: _Line) -> _Line:
        case = line["case"]
        self._done.pop(case, None)
        self._texts[case] = line["text"]
        self._behaviours.pop(case, None)
        if "behaviour" in line:
            self._behaviours[case] = line["behaviour"]
        return line

    def add(self, done: UnitDone) -> None:
        """Keep what came of a unit."""
        self._add(_line(done))

    def lose(self, case: str, unit: str, why: str) -> None:
        """Keep that nothing will come of a unit."""
        self._add({"case": case, "unit": unit, "lost": why})

    def settle(self) -> None:
        """Wait until everything is on the disk itself, where anything was added."""
        if not self._is_settled:
            os.fsync(self._file.fileno())
            self._is_settled = True

    def _add(self, line: _Line) -> None:
        text = json.dumps(redact(line), ensure_ascii=False, separators=(",", ":"))
        try:
            self._file.write(f"{text}\n".encode())
            # From here on it survives the end of this process; that of the machine, after ``settle``.
            self._file.flush()
            self._is_settled = False
        except OSError as error:
            raise UsageError(f"{self._file.name!r} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[State]:
    with _locked(folder) as file:
        state = State(folder, file, _lines(file))
        yield state
        state.settle()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[IO[bytes]]:
    """Open the file for one process alone."""
    try:
        file = open(folder / _FILE, "r+b")  # noqa: SIM115  # closed below
    except OSError as error:
        raise UsageError(f"{str(folder / _FILE)!r} cannot be opened: {error.strerror}") from error
    with file:
        if os.name == "posix":
            import fcntl  # lazy: no other system has it

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                text = f"the campaign {folder.name} is under way in another process - wait for it, or begin another one"
                raise UsageError(text) from error
        yield file


def _lines(file: IO[bytes]) -> list[_Line]:
    """Return all lines that are whole, cut off what a kill has left behind the last one, and stand at the end."""
    data = file.read()
    whole = data.rpartition(b"\n")[0]
    header, *rest = (_parsed(line) for line in whole.split(b"\n"))
    if header is None or header.get("simkit_campaign") != FORMAT:
        raise UsageError(f"{file.name!r} is no campaign of this simkit - begin another one, without --resume")
    file.truncate(len(whole) + 1)
    file.seek(0, os.SEEK_END)
    return [line for line in rest if line is not None]


def _parsed(data: bytes) -> _Line | None:
    """Return a line; None where it is damaged, so that its unit is done again."""
    try:
        line = json.loads(data)
        if "unit" in line and "lost" not in line:
            _done(line)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


# -- one unit ----------------------------------------------------------------------------------------------------------
def _line(done: UnitDone) -> _Line:
    coverage = done.coverage
    return {
        "case": done.case,
        "unit": done.name,
        "runs": coverage.runs,
        "virtual_ns": done.virtual_ns,
        **{name: sorted(getattr(coverage, name)) for name in ("reached", "struck", "met", "varied")},
        "failures": [_failure_line(failure) for failure in done.failures],
        "parents": [[parent.attempt.number, parent.attempt.plan.text(), parent.count] for parent in done.parents],
    }


def _failure_line(failure: Failure) -> _Line:
    broken, place = failure.broken, failure.broken.place
    return {
        "law": broken.law,
        "text": broken.text,
        "key": broken.key,
        "place": None if place is None else [place.file, place.line, place.column],
        "unknown": broken.unknown,
        "plan": failure.plan.text(),
        "number": failure.number,
        "count": failure.count,
    }


def _done(line: _Line) -> UnitDone:
    sets = {name: frozenset(line[name]) for name in ("reached", "struck", "met", "varied")}
    return UnitDone(
        case=line["case"],
        name=line["unit"],
        virtual_ns=line["virtual_ns"],
        coverage=Coverage(runs=line["runs"], **sets),
        failures=tuple(_failure(line["case"], one) for one in line["failures"]),
        parents=tuple(
            Parent(attempt=Attempt(number=number, plan=Plan.parse(plan)), count=count)
            for number, plan, count in line["parents"]
        ),
    )


def _failure(case: str, line: _Line) -> Failure:
    broken = Broken(
        law=line["law"],
        text=line["text"],
        key=line["key"],
        place=None if line["place"] is None else Place(*line["place"]),
        unknown=line["unknown"],
    )
    return Failure(case=case, broken=broken, plan=Plan.parse(line["plan"]), number=line["number"], count=line["count"])

"""Two result files compared: what broke between them, what was mended, and what takes longer now.

The idea: a case is found again by its file and its name, and what changed about it is one word with both sides beside
it. The constraint: a case that is in one file only is told as new or gone and never counted as broken or mended, and a
figure that one side does not have is not compared. Comparing wall times was refused: they say more about the machine
than about the agent; virtual time and requests are the same on all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from simkit.errors import UsageError

# What a case can have become, in the order in which it is told.
CHANGES: Final[Mapping[str, str]] = {
    "broke": "passed before, and does not now",
    "differs": "failed before, and fails by other laws now",
    "mended": "did not pass before, and does now",
    "slower": "takes more virtual time, or more requests",
    "faster": "takes less virtual time, or fewer requests",
    "new": "was not there before",
    "gone": "is not there any more",
}
_BAD: Final = ("FAIL", "UNKNOWN")
_VERDICTS: Final = ("PASS", *_BAD, "SKIPPED", "XFAILED")
_FIGURES: Final[Mapping[str, str]] = {"end": "s", "requests": " requests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case as a result file tells of it; a figure is None where the file does not have it."""

    file: str
    case: str
    verdict: str
    laws: tuple[str, ...] = ()
    first: str = ""
    figures: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """File and case together, as they are typed."""
        return f"{self.file}::{self.case}"

    @property
    def is_bad(self) -> bool:
        """Say whether a suite with this case does not pass."""
        return self.verdict in _BAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a case: a word of ``CHANGES``, and the sentence about it."""

    kind: str
    name: str
    text: str


def changes(old: Sequence[Case], new: Sequence[Case], threshold: float) -> list[Change]:
    """Return every change in the order of ``CHANGES``; a figure counts when it moved by more than this share."""
    before, after = ({case.name: case for case in cases} for cases in (old, new))
    found = [change for name, case in after.items() for change in _changes(before.get(name), case, threshold)]
    gone = [case for name, case in before.items() if name not in after]
    found += [Change(kind="gone", name=case.name, text=f"was {case.verdict}") for case in gone]
    order = list(CHANGES)
    return sorted(found, key=lambda change: order.index(change.kind))


def _changes(old: Case | None, new: Case, threshold: float) -> Iterator[Change]:
    if old is None:
        yield Change(kind="new", name=new.name, text=_told(new))
    elif old.is_bad and new.is_bad:
        if set(old.laws) != set(new.laws):
            text = f"{_told(new)}, and it was {', '.join(old.laws)}"
            yield Change(kind="differs", name=new.name, text=text)
    elif old.is_bad != new.is_bad:
        kind, text = ("broke", _told(new)) if new.is_bad else ("mended", f"{new.verdict}, was {_told(old)}")
        yield Change(kind=kind, name=new.name, text=text)
    else:
        yield from _moved(old, new, threshold)


def _moved(old: Case, new: Case, threshold: float) -> Iterator[Change]:
    """Yield one change for all figures that grew, and one for all that shrank."""
    told: dict[str, list[str]] = {}
    for figure, unit in _FIGURES.items():
        before, after = old.figures.get(figure), new.figures.get(figure)
        if before is None or after is None or abs(after - before) <= threshold * before:
            continue
        kind = "slower" if after > before else "faster"
        told.setdefault(kind, []).append(f"{after:g}{unit}, was {before:g}")
    for kind, texts in told.items():
        yield Change(kind=kind, name=new.name, text="; ".join(texts))


def _told(case: Case) -> str:
    return f"{case.verdict} {case.first}" if case.first else case.verdict


# -- reading -----------------------------------------------------------------------------------------------------------
def read_results(path: Path) -> list[Case]:
    """Return the cases of a file that ``simkit run --format json`` has printed. Raises ``UsageError``."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is not JSON: {error} - write it with simkit run --format json") from error
    if not isinstance(data, dict) or not isinstance(data.get("results"), list):
        raise UsageError(f"{str(path)!r} holds no results, expected what simkit run --format json prints")
    cases = [_Reading(path, number, one).case() for number, one in enumerate(data["results"])]
    names = [case.name for case in cases]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{str(path)!r} holds {twice!r} twice, expected each case once")
    return cases


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads one result, and tells which of its values is not what it has to be."""

    path: Path
    number: int
    data: object

    def case(self) -> Case:
        laws = tuple(dict.fromkeys(str(finding.get("law")) for finding in self._findings()))
        first = next((f"{finding.get('law')}: {finding.get('text')}" for finding in self._findings()), "")
        return Case(
            file=self._text("file"),
            case=self._text("case"),
            verdict=self._text("verdict", _VERDICTS),
            laws=laws,
            first=first,
            figures={figure: self._figure(figure) for figure in _FIGURES},
        )

    def _value(self, key: str) -> object:
        return self.data.get(key) if isinstance(self.data, dict) else None

    def _text(self, key: str, words: Sequence[str] = ()) -> str:
        value = self._value(key)
        if not isinstance(value, str) or (words and value not in words):
            self._refuse(key, f"one of {', '.join(words)}" if words else "text")
        return value

    def _findings(self) -> list[Mapping[str, object]]:
        value = self._value("findings")
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self._refuse("findings", "a list of findings")
        return value

    def _figure(self, key: str) -> float | None:
        value = self._value(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(key, "a number")
        return value

    def _refuse(self, key: str, expected: str) -> NoReturn:
        got = self._value(key)
        raise UsageError(f"{str(self.path)!r} has {got!r} as {key!r} of result {self.number}, expected {expected}")

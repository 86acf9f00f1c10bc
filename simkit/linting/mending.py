"""Mechanical mending: what ``simkit lint --fix`` changes in a text, one change at a time, each proved by reading again.

The idea: every mend is a proposal, and it is kept only where the text can be read further after it, or has fewer
problems, or means exactly the same in better order. The constraint: only what has one likely meaning is proposed - a
word with one close neighbour, a unit that is spelt out, a variable that lacks its quotes - and a bare number never gets
a unit. Rewriting the file from its tree was refused: comments and layout are the author's.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import yaml

from simkit.checks.judge import laws
from simkit.extensions import names
from simkit.language.nodes import Map, Node, Scalar, Seq
from simkit.language.remedies import guess_duration
from simkit.language.shapes import Span
from simkit.linting.order import Astray, astray, reordered
from simkit.linting.slots import Slot, slots
from simkit.linting.standing import Standing, Step, data_of, settings_of, standing
from simkit.linting.texts import Edit, edited, written_at
from simkit.linting.trees import tree_of
from simkit.model.duration import parse_duration
from simkit.model.scenario import LINE_BREAK
from simkit.model.timeline import Place

# One mend can show the place of another: a misspelt key hides what stands below it, as deep as the language goes.
_PASSES_MAX: Final = 12

# How close a word must be to the one that was meant, which is closer than for a question, and how far all others must
# be from it.
_CLOSE: Final = 0.8
_CLEAR: Final = 0.15


@dataclass(frozen=True, slots=True)
class Change:
    """One change that was made: the line on which it was made, and what it was."""

    line: int
    says: str


@dataclass(frozen=True, slots=True)
class Mended:
    """A text after its mending, and the changes in the order in which they were made."""

    text: str
    changes: tuple[Change, ...] = ()


def mend(text: str, file: str) -> Mended:
    """Return the text with everything mended that is mechanical; without a change it is the very text."""
    mended = Mended(text)
    for _ in range(_PASSES_MAX):
        before = mended
        mended = _spelt(_quoted(mended, file), file)
        if mended == before:
            break
    return _ordered(mended, file)


def _with(mended: Mended, text: str, line: int, says: str) -> Mended:
    return Mended(text, (*mended.changes, Change(line, says)))


# -- quotes ------------------------------------------------------------------------------------------------------------
_VARIABLE: Final = re.compile(r"\$\{\w+\}")
_Spot = tuple[int, int]


def _quoted(mended: Mended, file: str) -> Mended:
    """Put quotes around each value in braces or brackets that YAML breaks off at its variable."""
    while (at := _breaks_at(mended.text)) is not None and _is_variable(mended.text, at):
        edit = _quotes(mended.text, file, *at)
        after = edited(mended.text, edit) if edit is not None else None
        if edit is None or after is None or not _goes_on(after, at):
            break
        mended = _with(mended, after, edit.place.line, edit.says())
    return mended


def _breaks_at(text: str) -> _Spot | None:
    """Return the (0-based) line and column where YAML stops reading, or None where it reads to the end."""
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        return (mark.line, mark.column) if mark is not None else (0, 0)
    return None


def _is_variable(text: str, at: _Spot) -> bool:
    line, column = at
    return column > 0 and _VARIABLE.match(LINE_BREAK.split(text)[line], column - 1) is not None


def _goes_on(text: str, at: _Spot) -> bool:
    """Say whether a text is read further than to this place."""
    now = _breaks_at(text)
    return now is None or now > at


def _quotes(text: str, file: str, line: int, column: int) -> Edit | None:
    """Return the edit that quotes the whole value around a variable; None where its bounds are not clear."""
    source = LINE_BREAK.split(text)[line]
    start = max(source.rfind(mark, 0, column) + len(mark) for mark in ("[", ",", ": "))
    start = max(start, _last_brace(source, column) + 1)
    start += len(source[start:]) - len(source[start:].lstrip())
    found = re.compile(r"(?:\$\{\w+\}|[^,\[\]{}:#\"'\\]|:(?=\S))*").match(source, start)
    value = found[0].rstrip() if found else ""
    if start + len(value) <= column or not source[start + len(value) :].lstrip().startswith((",", "}", "]")):
        return None
    return Edit(Place(file, line + 1, start + 1), value, f'"{value}"')


def _last_brace(source: str, column: int) -> int:
    """Return the last brace before a column that opens a mapping and no variable; -1 without one."""
    braces = (n for n, char in enumerate(source[:column]) if char == "{" and source[n - 1 : n] != "$")
    return max(braces, default=-1)


# -- words and units ---------------------------------------------------------------------------------------------------
def _spelt(mended: Mended, file: str) -> Mended:
    """Mend words and units, from the end of the file on, so that what is further up stays where it is."""
    root = tree_of(mended.text, file)
    if root is None:
        return mended
    now = standing(mended.text, file)
    if not now.problems:
        return mended
    changes: list[Change] = []
    text = mended.text
    for slot, new in sorted(_proposals(root, file), key=lambda pair: _at(pair[0]), reverse=True):
        edit = _respelt(text, slot.scalar, new)
        after = edited(text, edit) if edit is not None else None
        if edit is None or after is None:
            continue
        then = standing(after, file)
        if _is_better(now, then, slot):
            changes.insert(0, Change(edit.place.line, edit.says()))
            text, now = after, then
    return Mended(text, (*mended.changes, *changes))


def _at(slot: Slot) -> tuple[int, int]:
    return slot.scalar.place.line, slot.scalar.place.column


def _respelt(text: str, scalar: Scalar, new: str) -> Edit | None:
    written = written_at(text, scalar.place, scalar.text)
    return Edit(scalar.place, written, written.replace(scalar.text, new)) if written is not None else None


def _proposals(root: Map, file: str) -> Iterator[tuple[Slot, str]]:
    """Yield each slot that holds something else than it should, with what was likely meant."""
    for slot in (*slots(root, laws(file), settings_of(root)), *_subject(root)):
        new = _meant(slot)
        if new is not None and "${" not in slot.scalar.text and slot.scalar.place.file == file:
            yield slot, new


def _subject(root: Map) -> Iterator[Slot]:
    named = root.get("subject")
    if isinstance(named, Scalar) and ":" not in named.text:
        yield Slot(path=("subject",), scalar=named, words=tuple(names("subjects")))


def _meant(slot: Slot) -> str | None:
    text = slot.scalar.text
    if isinstance(slot.shape, Span):
        return _unit(text)
    return _one_close(text, slot.words) if slot.words and text not in slot.words else None


def _unit(text: str) -> str | None:
    """Return a duration whose unit is spelt out, or parted from its number, as the language writes it."""
    if _is_duration(text) or not re.search("[A-Za-z]", text):
        return None
    guess = re.match(r"did you mean '([^']+)'\?", guess_duration(text))
    short = guess[1] if guess else text.replace(" ", "")
    # A lone capital letter may be anything: M is a month, a minute or a million.
    return short if _is_duration(short) and not re.search(r"\d\s*[A-Z]\b", text) else None


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def _one_close(word: str, words: tuple[str, ...]) -> str | None:
    """Return the one word that this was likely meant to be; None where there is none, or two could be."""
    close = difflib.get_close_matches(word, [known for known in words if known], n=2, cutoff=_CLOSE - _CLEAR)
    # As the library compares them: which of two words comes first makes a difference.
    ratios = [difflib.SequenceMatcher(None, one, word).ratio() for one in close]
    if not close or ratios[0] < _CLOSE:
        return None
    return close[0] if len(close) == 1 or ratios[0] - ratios[1] >= _CLEAR else None


def _is_better(now: Standing, then: Standing, slot: Slot) -> bool:
    """Say whether a change did away with a problem and made none, but for those that a misspelt key has hidden."""
    if slot.path[0] == "settings" and (now.step, now.keys()) == (then.step, then.keys()) and now.step < Step.READ:
        # Nobody has asked the subject yet; its table, which the change comes from, is what it would say.
        return True
    if then.step != now.step:
        return then.step > now.step
    gone, new = now.keys() - then.keys(), then.keys() - now.keys()
    if not gone:
        return False
    hidden = _lines(slot.hides) if slot.hides is not None else range(0)
    return not new or then.keys().total() < now.keys().total() or all(line in hidden for line, _ in new)


def _lines(node: Node) -> range:
    """Return the lines that a value spans."""
    last = node.place.line
    match node:
        case Map():
            last = max((_lines(value).stop - 1 for _, value in node.entries), default=last)
        case Seq():
            last = max((_lines(item).stop - 1 for item in node.items), default=last)
    return range(node.place.line, last + 1)


# -- order -------------------------------------------------------------------------------------------------------------
def _ordered(mended: Mended, file: str) -> Mended:
    """Put the keys of the scenario in order, where the text says the very same after it."""
    root = tree_of(mended.text, file)
    after = reordered(mended.text, root) if root is not None else None
    new_root = tree_of(after, file) if after is not None else None
    if root is None or after is None or new_root is None or data_of(new_root) != data_of(root):
        return mended
    now, then = standing(mended.text, file), standing(after, file)
    if (now.step, now.texts(), now.cases) != (then.step, then.texts(), then.cases) or astray(new_root):
        return mended
    for one in astray(root):
        mended = _with(mended, after, one.key.place.line, _moved(one))
    return mended


def _moved(one: Astray) -> str:
    return f"{one.key.text!r} moved {'above' if one.above else 'below'} {one.other!r}"

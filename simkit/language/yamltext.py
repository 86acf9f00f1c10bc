"""YAML as a person writes it: trees of plain values as lines of text.

The idea: what is read from top to bottom stands as a block, what is one fact stands on one line in braces, and quotes
stand only where the reader would take a text for something else; the reader's own ``resolve`` says where. The
constraint: every text comes back as it was, whatever its characters, with the variables' ``${`` escaped; what no text
stands for is refused by name. PyYAML's emitter was refused: it quotes by the types of YAML 1.1, folds long lines, and
knows no comment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NoReturn, TypeVar

from simkit.errors import UsageError
from simkit.language.nodes import resolve

# A line in braces that is longer is read more easily as a block.
_LINE_MAX: Final = 100
# PyYAML takes a longer key for no key; a key this long is written behind a question mark.
KEY_MAX: Final = 1000
# What the reader takes for a number at most.
NUMBER_DIGITS_MAX: Final = 40

Tree = object
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Inline(Generic[T]):
    """Something that stands on one line where it fits."""

    value: T


@dataclass(frozen=True, slots=True)
class Noted:
    """A list with comments above some of its items."""

    items: Sequence[Tree]
    notes: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Commented:
    """The value of a key, with a comment above the key."""

    value: Tree
    comment: str


class _Null:
    """The type of ``NULL``: the word ``null`` where it is a word of the language."""


NULL: Final = _Null()


def refuse(text: str) -> NoReturn:
    """Raise ``UsageError`` for what no text stands for."""
    raise UsageError(f"this cannot be written in the language: {text}")


# -- lines ---------------------------------------------------------------------------------------------------------
def as_text(lines: Iterable[str]) -> str:
    """Return lines as the text of a file."""
    return "".join(f"{line}\n" for line in lines)


def comment_lines(text: str) -> Iterator[str]:
    """Yield a text as comments, one for each of its lines."""
    yield from (f"# {_one_line(line)}".rstrip() for line in text.splitlines())


def _one_line(text: str) -> str:
    # What YAML does not take in a comment either.
    return "".join(c if c.isprintable() else " " for c in text)


def mapping_lines(mapping: Mapping[Any, Tree]) -> list[str]:
    """Return the lines of a mapping."""
    return [line for key, value in mapping.items() for line in _entry_lines(key, value)]


def _entry_lines(key: object, value: Tree) -> list[str]:
    if isinstance(value, Commented):
        return [*comment_lines(value.comment), *_entry_lines(key, value.value)]
    written = _key(key)
    if len(written) < KEY_MAX:
        return _behind(f"{written}:", value)
    return [f"? {written}", *_behind(":", value)]


def list_lines(items: Sequence[Tree], notes: Mapping[int, str] | None = None) -> list[str]:
    """Return the lines of a list; ``notes`` are comments above items, by their index."""
    lines = []
    for place, item in enumerate(items):
        lines += [*comment_lines((notes or {}).get(place, "")), *_item_lines(item)]
    return lines


def _item_lines(item: Tree) -> list[str]:
    block = _block(item)
    if block is None:
        return _behind("-", item)
    return [f"- {block[0]}", *_indented(block[1:])]


def _behind(head: str, value: Tree) -> list[str]:
    """Return a value behind its key or dash: on the same line, or as a block below it."""
    block = _block(value)
    if block is not None:
        return [head, *_indented(block)]
    if isinstance(value, str) and (literal := _literal(filled(value))):
        return [f"{head} {literal[0]}", *_indented(literal[1:])]
    return [f"{head} {_flow(value, inside=False)}"]


def _block(value: Tree) -> list[str] | None:
    """Return the lines of what stands as a block; None for what stands on one line."""
    match value:
        case Inline(value=inner):
            return None if _fits(inner) else _block(inner)
        case Noted(items=items, notes=notes):
            return list_lines(items, notes) if items else None
        case str():
            return None
        case Mapping():
            return mapping_lines(value) if value else None
        case Sequence():
            return list_lines(value) if value else None
    return None


def _fits(value: Tree) -> bool:
    return not _holds_lines(value) and len(_flow(value, inside=False)) <= _LINE_MAX


def _holds_lines(value: Tree) -> bool:
    match value:
        case Inline(value=inner):
            return _holds_lines(inner)
        case str():
            return "\n" in value
        case Mapping():
            return any(map(_holds_lines, value.values()))
        case Sequence():
            return any(map(_holds_lines, value))
    return False


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


# -- one line ------------------------------------------------------------------------------------------------------
def _flow(value: Tree, *, inside: bool) -> str:
    """Return a value on one line; ``inside`` brackets and braces more characters have a meaning."""
    match value:
        case Inline(value=inner):
            return _flow(inner, inside=inside)
        case Noted(items=items):
            return _flow(items, inside=inside)
        case str():
            return _quoted(filled(value), inside=inside)
        case Mapping():
            pairs = (f"{_flow(key, inside=True)}: {_flow(item, inside=True)}" for key, item in value.items())
            return "{" + ", ".join(pairs) + "}"
        case Sequence():
            return "[" + ", ".join(_flow(item, inside=True) for item in value) + "]"
    return _atom(value)


def _atom(value: object) -> str:
    match value:
        case None | _Null():
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float() if math.isfinite(value) and len(str(value)) <= NUMBER_DIGITS_MAX:
            return str(value)
    refuse(f"the value {value!r}")


def _key(key: object) -> str:
    if key == "<<":
        refuse("the key '<<', which YAML has another use for")
    return _flow(key, inside=False)


# -- text ----------------------------------------------------------------------------------------------------------
# What text may not hold: the characters around a captured name, and half characters.
MARKS: Final = re.compile("[\ue000\ue001\ud800-\udfff]")
_HOLE: Final = re.compile("(\\$?)\ue000(\\w+)\ue001")
_INDICATORS: Final = frozenset("-?:,[]{}#&*!|>'\"%@`")
_INSIDE: Final = frozenset(",[]{}:?")
_NAMED_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def filled(text: str) -> str:
    """Return the text as an author writes it: captured names as ``${name}``, and an opening that is none as ``$${``."""
    written = _HOLE.sub(_hole, text.replace("${", "$${"))
    if mark := MARKS.search(written):
        refuse(f"a text that holds {mark[0]!r}")
    return written


def _hole(found: re.Match[str]) -> str:
    if found[1]:
        refuse(f"a '$' right before the captured name {found[2]!r}")
    return f"${{{found[2]}}}"


def _literal(text: str) -> list[str] | None:
    """Return text of several lines as a block that keeps them; None where only quotes show what it is."""
    lines = text.split("\n")
    if len(lines) < 2 or not lines[0].strip() or lines[0][0] == " ":
        return None
    if any(line != line.rstrip() or not line.isprintable() for line in lines):
        return None
    ends = len(text) - len(text.rstrip("\n"))
    header = "|" if ends == 1 else "|+" if ends else "|-"
    return [header, *(lines[:-1] if ends else lines)]


def _quoted(text: str, *, inside: bool) -> str:
    if _is_plain(text, inside=inside):
        return text
    if text.isprintable() and ("'" not in text or '"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _is_plain(text: str, *, inside: bool) -> bool:
    """Say whether a scalar without quotes is read as this very text."""
    if not text.isprintable() or not text or text[0] in _INDICATORS or text != text.strip():
        return False
    if ": " in text or " #" in text or text.endswith(":") or text.startswith("..."):
        return False
    if inside and not _INSIDE.isdisjoint(text):
        return False
    try:
        return resolve(text) == text
    except ValueError:
        return False


def _escaped(char: str) -> str:
    if char in _NAMED_ESCAPES:
        return _NAMED_ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""Variables and the matrix: one tree with ``${name}`` in it becomes one filled tree for each matrix row.

The idea: filling happens on the tree and not on the text, so every value keeps its place, a value that is
exactly ``${name}`` keeps its type, and no value can change the structure around it. The constraint: the
result stays within the same bounds as the file, however variables are stacked. A template language was
refused: a scenario that computes needs tests of its own.

A name that an answer captures is no variable: only the run knows its value. It may be used in the answers, where it
becomes a hole in the text that the provider fills; where else it is used, nobody would ever fill it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Final

from simkit.extensions import nearest
from simkit.language.nodes import (
    SIZE_MAX,
    TEXT_UNIT,
    Atom,
    Hole,
    Map,
    Node,
    Scalar,
    Seq,
    bound,
    describe,
    make_map,
    make_seq,
    short,
)
from simkit.language.problems import Problems
from simkit.model.timeline import Place, hole, holes

# A pytest session of more cases from one file is a mistake in the matrix.
ROWS_MAX: Final = 1000

# Values of all rows together: about two seconds of reading.
FILLED_MAX: Final = 1_000_000

# The longest part that one value gives to a row's name.
_NAME_MAX: Final = 40

# An escaped opening, a variable, or an opening that is neither.
_MARK: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
_REMEDY: Final = "declare it under vars or matrix, or write $${ for a plain ${"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What ``${name}`` can mean at one place of the file, and what to say of a name that means nothing there."""

    known: Mapping[str, Node]
    captured: Mapping[str, Scalar] = field(default_factory=dict)
    in_answers: bool = False
    remedy: str = _REMEDY


@dataclass(frozen=True, slots=True)
class Row:
    """One combination of the matrix: its name (empty without one), the tree filled with its values, and these."""

    name: str
    root: Map
    values: Mapping[str, Atom]


def rows(root: Map, problems: Problems) -> Iterator[Row]:
    """Yield every row of the matrix in order, the last column changing fastest; one row without a matrix.

    Shapes are not judged here: what is no column or no variable becomes a hole, and the walker says why.
    """
    columns = _columns(root, problems)
    _refuse_too_many(root, columns, problems)
    names: set[str] = set()
    for values in product(*columns.values()):
        name = "-".join(_slug(value) for value in values)
        if name in names:
            place = (root.get("matrix") or root).place
            problems.add(
                place,
                f"two rows of the matrix are called {name!r}",
                "make the values differ in their letters",
            )
        names.add(name)
        row = dict(zip(columns, values, strict=True))
        atoms = {column: value.value for column, value in row.items() if isinstance(value, Scalar)}
        yield Row(name, _fill_root(root, row, problems), atoms)


def _columns(root: Map, problems: Problems) -> dict[str, tuple[Node, ...]]:
    matrix = root.get("matrix")
    if not isinstance(matrix, Map):
        return {}
    filling = _Filling(_Names(known={}, remedy="the matrix holds plain values"), problems)
    columns: dict[str, tuple[Node, ...]] = {}
    for key, value in matrix.entries:
        items = value.items if isinstance(value, Seq) else ()
        columns[key.text] = tuple(_cell(filling.node(item)) for item in items) or (Hole(value.place),)
    return columns


def _cell(node: Node) -> Node:
    return node if isinstance(node, Scalar) else Hole(node.place)


def _refuse_too_many(root: Map, columns: Mapping[str, tuple[Node, ...]], problems: Problems) -> None:
    count = prod(len(values) for values in columns.values())
    place = (root.get("matrix") or root).place
    if count > ROWS_MAX:
        problems.stop(place, f"the matrix gives {count} rows, and {ROWS_MAX} is the limit", "split the file")
    if count * root.size > FILLED_MAX:
        problems.stop(
            place,
            f"the matrix gives {count} rows of a file of this size, which is too much",
            "split the file",
        )


def _slug(value: Node) -> str:
    """Return a value as a part of a name that every shell and every file system takes as it is."""
    text = value.text if isinstance(value, Scalar) else ""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:_NAME_MAX].strip("_") or "empty"


def _fill_root(root: Map, row: Mapping[str, Node], problems: Problems) -> Map:
    """Fill everything but the matrix, whose values are the row."""
    known, captured = dict(row), _captured(root)
    ready = {"matrix": root.get("matrix"), "vars": _fill_vars(root.get("vars"), known, captured, problems)}
    _refuse_twice_named(captured, known, problems)
    names = _Names(known=known, captured=captured)
    filling, answers = _Filling(names, problems), _Filling(replace(names, in_answers=True), problems)
    entries = [
        (key, ready.get(key.text) or (answers if key.text == "provider" else filling).node(value))
        for key, value in root.entries
    ]
    return make_map(root.place, entries, problems)


def _fill_vars(
    declared: Node | None, known: dict[str, Node], captured: Mapping[str, Scalar], problems: Problems
) -> Node | None:
    """Return the variables filled, each from what stands above it, and add them to ``known``."""
    if not isinstance(declared, Map):
        return declared
    remedy = "a variable can use the row and the variables above it"
    for key, value in declared.entries:
        if key.text in known:
            text = f"{key.text!r} is a variable and a column of the matrix"
            problems.add(key.place, text, "rename one of them")
        names = _Names(known=known, captured=captured, remedy=remedy)
        known[key.text] = _Filling(names, problems).node(value)
    return replace(declared, entries=tuple((key, known[key.text]) for key, _ in declared.entries))


# -- captured names --------------------------------------------------------------------------------
def _captured(root: Map) -> dict[str, Scalar]:
    """Return the names that the answers capture, each where it first stands; answers may come from variables."""
    declared = root.get("vars")
    variables = {key.text: value for key, value in declared.entries} if isinstance(declared, Map) else {}
    answers = _follow(root.get("provider"), variables)
    items = [_follow(item, variables) for item in answers.items] if isinstance(answers, Seq) else []
    defaults = _follow(root.get("defaults"), variables)
    items += [_follow(defaults.get("provider"), variables)] if isinstance(defaults, Map) else []
    maps = [_follow(item.get("capture"), variables) for item in items if isinstance(item, Map)]
    keys = [key for captures in maps if isinstance(captures, Map) for key, _ in captures.entries]
    return {key.text: key for key in reversed(keys)}


def _follow(node: Node | None, variables: Mapping[str, Node]) -> Node | None:
    """Return what a node stands for that is exactly ``${name}``."""
    for _ in variables:  # no chain of variables is longer
        whole = _MARK.fullmatch(node.text) if isinstance(node, Scalar) else None
        if whole is None or whole[1] not in variables:
            break
        node = variables[whole[1]]
    return node


def _refuse_twice_named(captured: Mapping[str, Scalar], known: Mapping[str, Node], problems: Problems) -> None:
    for name, key in captured.items():
        if name in known:
            text = f"{name!r} is captured here, and is declared under vars or matrix as well"
            problems.add(key.place, text, "rename one of them")


class _Filling:
    """Fills one tree with what names mean there, and stops when what it makes grows past the bound."""

    def __init__(self, names: _Names, problems: Problems) -> None:
        self._names = names
        self._problems = problems
        self._made = 0

    def node(self, node: Node) -> Node:
        """Return the node with every ``${name}`` in it replaced."""
        match node:
            case Scalar():
                return self._scalar(node)
            case Seq():
                return bound(make_seq(node.place, tuple(map(self.node, node.items))), node.place, self._problems)
            case Map():
                entries = [(filled, self.node(value)) for key, value in node.entries if (filled := self._key(key))]
                return bound(make_map(node.place, entries, self._problems), node.place, self._problems)
            case Hole():
                return node

    def _key(self, key: Scalar) -> Scalar | None:
        filled = self._scalar(key)
        if filled is key:
            return key
        if isinstance(filled, Scalar) and (names := holes(filled.text)):
            text = f"${{{names[0]}}} is captured while the run goes on, and cannot stand in a key"
            self._problems.add(key.place, text, "write the key out")
            return None
        if isinstance(filled, Scalar):
            return replace(filled, value=filled.text)
        if not isinstance(filled, Hole):
            self._problems.add(key.place, f"a key must be text, got {describe(filled)} (from {short(key.text)})")
        return None

    def _scalar(self, node: Scalar) -> Node:
        if "${" not in node.text or not isinstance(node.value, str):
            return node
        whole = _MARK.fullmatch(node.text)
        if whole and whole[1]:
            return _move(self._value(whole[1], node.place), node)
        text = self._text(node)
        return Hole(node.place) if text is None else Scalar(node.place, text, text, origin=node.text)

    def _text(self, node: Scalar) -> str | None:
        """Return the text with its variables written out, or None when one of them is wrong."""
        pieces, end, good = [], 0, True
        for mark in _MARK.finditer(node.text):
            piece = self._piece(mark, node.place)
            good = good and piece is not None
            pieces += [node.text[end : mark.start()], piece or ""]
            end = mark.end()
            # Counted piece by piece: the whole must never be built when it is too long.
            self._made += 1 + len(pieces[-1]) // TEXT_UNIT
            if self._made > SIZE_MAX:
                self._problems.stop(node.place, "variables make too much text here", "use fewer of them")
        return "".join([*pieces, node.text[end:]]) if good else None

    def _piece(self, mark: re.Match[str], place: Place) -> str | None:
        if mark[0] == "$${":
            return "${"
        if not mark[1]:
            self._problems.add(place, "'${' opens no variable", "write ${name}, or $${ for a plain ${")
            return None
        value = self._value(mark[1], place)
        if isinstance(value, Seq | Map):
            self._problems.add(place, f"${{{mark[1]}}} is {describe(value)} and cannot stand inside text")
        return value.text if isinstance(value, Scalar) else None

    def _value(self, name: str, place: Place) -> Node:
        names = self._names
        if name in names.known:
            return names.known[name]
        if name in names.captured:
            return self._captured_value(name, place)
        guess = nearest(name, [*names.known, *(names.captured if names.in_answers else ())]).removeprefix(" - ")
        remedy = guess if guess.startswith("did") else names.remedy
        self._problems.add(place, f"${{{name}}} is not declared", remedy)
        return Hole(place)

    def _captured_value(self, name: str, place: Place) -> Node:
        if self._names.in_answers:
            return Scalar(place, hole(name), hole(name))
        text = f"${{{name}}} is captured while the run goes on, so only the provider knows it"
        self._problems.add(place, text, "use it in the texts of an answer")
        return Hole(place)


def _move(value: Node, use: Scalar) -> Node:
    """Return the value as it stands where it is used."""
    if isinstance(value, Scalar):
        return replace(value, place=use.place, origin=use.text)
    return replace(value, place=use.place)

"""The places of a scenario's tree that the language has a say in, each with what may stand there.

The idea: the one table of the language is walked along a tree, and every key and every scalar is given out with its
shape or with the words that are known there; a check or a mend then looks at slots and knows no key. The constraint:
it never complains, since the language has its own walker for that, and goes on past what is wrong, because what is
to be mended is wrong. Reading the walker's problems instead was refused: they are sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from simkit.contracts import Setting
from simkit.language.nodes import Map, Node, Scalar, Seq
from simkit.language.shapes import (
    OPERATORS,
    Choice,
    Either,
    Fact,
    Key,
    LawItem,
    ListOf,
    Names,
    Nothing,
    Record,
    Shape,
    Span,
)
from simkit.language.spec import OFF, PARAMETERS, SCENARIO

Path = tuple[str | int, ...]
Laws = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A key, or a scalar: the way to it, the words that are known there (if it is to be one), and its shape.

    ``hides`` is what nobody reads while a key is wrong: its value, and in a step or an answer all that stands there.
    """

    path: Path
    scalar: Scalar
    words: tuple[str, ...] = ()
    shape: Shape | None = None
    hides: Node | None = None


def slots(root: Map, laws: Laws, settings: Mapping[str, Setting] | None) -> Iterator[Slot]:
    """Yield every slot of a scenario; ``settings`` is the table of its subject, if that publishes one."""
    yield from _record(root, SCENARIO, (), laws)
    given = root.get("settings")
    if settings is not None and isinstance(given, Map):
        yield from _settings(given, settings)


def _settings(given: Map, table: Mapping[str, Setting]) -> Iterator[Slot]:
    for key, value in given.entries:
        path = ("settings", key.text)
        yield Slot(path=path, scalar=key, words=tuple(table), hides=value)
        kind = table[key.text].kind if key.text in table else ""
        if isinstance(value, Scalar) and kind in ("duration", "choice"):
            shape = Span() if kind == "duration" else Choice(words=table[key.text].choices)
            yield Slot(path=path, scalar=value, words=table[key.text].choices, shape=shape)


def _slots(node: Node, shape: Shape, path: Path, laws: Laws) -> Iterator[Slot]:
    match shape, node:
        case Record(), Map():
            yield from _record(node, shape, path, laws)
        case Record(), Scalar():
            alone = tuple(verb.key.name for verb in shape.verbs if isinstance(verb.key.shape, Nothing))
            yield Slot(path=path, scalar=node, words=alone, shape=shape)
        case ListOf(), Seq():
            for place, item in enumerate(node.items):
                yield from _slots(item, shape.item, (*path, place), laws)
        case Names(), Map():
            for key, value in node.entries:
                yield from _slots(value, shape.item, (*path, key.text), laws)
        case Either(), _:
            yield from _slots(node, shape.mapping if isinstance(node, Map) else shape.scalar, path, laws)
        case Fact(), _:
            yield from _fact(node, shape, path, laws)
        case LawItem(), _:
            yield from _law(node, path, laws)
        case _, Scalar():
            yield Slot(path=path, scalar=node, words=shape.words if isinstance(shape, Choice) else (), shape=shape)


def _record(node: Map, shape: Record, path: Path, laws: Laws) -> Iterator[Slot]:
    known = {key.name: key.shape for key in _keys_of(node, shape)}
    for key, value in node.entries:
        yield Slot(path=(*path, key.text), scalar=key, words=tuple(known), hides=node if shape.verbs else value)
        if key.text in known:
            yield from _slots(value, known[key.text], (*path, key.text), laws)


def _keys_of(node: Map, shape: Record) -> list[Key]:
    """Return the keys that can stand in this mapping: beside its verb, where it has one."""
    present = {key.text for key, _ in node.entries}
    verbs = [verb for verb in shape.verbs if verb.key.name in present] or list(shape.verbs)
    found = [*shape.keys, *(verb.key for verb in verbs), *(extra for verb in verbs for extra in verb.extras)]
    # A name may be a verb and an extra of another: as a value both have one shape, and the verb's own comes first.
    return list({key.name: key for key in reversed(found)}.values())


def _fact(node: Node, shape: Fact, path: Path, laws: Laws) -> Iterator[Slot]:
    if not isinstance(node, Map):
        yield from _slots(node, shape.of, path, laws)
        return
    parts = shape.parts
    operators = {operator.name: operator for operator in OPERATORS}
    if isinstance(parts, Names) and not any(key.text in operators for key, _ in node.entries):
        yield from _slots(node, parts, path, laws)
        return
    known = {key.name: key.shape for key in parts.keys} if isinstance(parts, Record) else {}
    for key, value in node.entries:
        inner = (*path, key.text)
        yield Slot(path=inner, scalar=key, words=(*operators, *known), hides=value)
        if key.text in known:
            yield from _slots(value, known[key.text], inner, laws)
        elif key.text in operators and operators[key.text].operand != "pattern":
            yield from _slots(value, ListOf(item=shape.of) if isinstance(value, Seq) else shape.of, inner, laws)


def _law(node: Node, path: Path, laws: Laws) -> Iterator[Slot]:
    if isinstance(node, Scalar):
        yield Slot(path=path, scalar=node, words=tuple(laws), shape=LawItem())
    elif isinstance(node, Map) and node.get("off") is not None:
        yield from _record(node, OFF, path, laws)
        name = node.get("off")
        if isinstance(name, Scalar):
            yield Slot(path=(*path, "off"), scalar=name, words=tuple(laws), shape=LawItem())
    elif isinstance(node, Map):
        for key, value in node.entries:
            yield Slot(path=(*path, key.text), scalar=key, words=tuple(laws), hides=value)
            kind = laws.get(key.text)
            if kind is not None:
                yield from _slots(value, PARAMETERS[kind], (*path, key.text), laws)

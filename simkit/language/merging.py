"""A file laid over the one that it extends: two trees become one, in which every value keeps its own place.

The idea, in one sentence: mappings merge key by key all the way down, everything else is replaced by what the
extending file says, and so is whatever could not stand beside it (another verb, another comparison, a key that
excludes it). A key with nothing behind it takes the base's key away, except where nothing is a value itself: in
``settings``, ``vars`` and ``returns``. The constraint: the table of the language says what excludes what, so no key is
named here. Merging text was refused, as an error could then name no file; so was appending to lists, because nobody
could shorten one.
"""

from __future__ import annotations

from collections.abc import Mapping

from simkit.language.nodes import Map, Node, Scalar, bound, make_map
from simkit.language.problems import Problems
from simkit.language.shapes import Data, Either, Fact, Key, Names, Nothing, Record, Shape
from simkit.language.walker import holds_parts


def merged(base: Node, over: Node, shape: Shape | None, problems: Problems) -> Node:
    """Return ``over`` with what only ``base`` has; ``shape`` is what stands there, None for an unknown key."""
    if not isinstance(base, Map) or not isinstance(over, Map):
        return over
    match shape:
        case Record():
            return _merged(_compatible(base, over, shape), over, _shapes(shape), problems)
        case Names(item=item):
            return _merged(base, over, {key.text: item for key, _ in over.entries}, problems)
        case Data():
            return _merged(base, over, {key.text: shape for key, _ in over.entries}, problems)
        case Either(mapping=record):
            return merged(base, over, record, problems)
        case Fact(parts=parts) if parts is not None and holds_parts(base, parts) and holds_parts(over, parts):
            return merged(base, over, parts, problems)
    return over


def _merged(base: Map, over: Map, shapes: Mapping[str, Shape], problems: Problems) -> Map:
    """Merge key by key: the base's keys in their order, then those that only the extending file has."""
    above = {key.text: (key, value) for key, value in over.entries}
    entries = []
    for key, value in base.entries:
        shape = shapes.get(key.text)
        mine, new = above.pop(key.text, (key, value))
        if mine is key:
            entries.append((key, value))
        elif not _takes_away(new, shape):
            entries.append((mine, merged(value, new, shape, problems)))
    return _whole(over, [*entries, *above.values()], problems)


def _whole(over: Map, entries: list[tuple[Scalar, Node]], problems: Problems) -> Map:
    node = make_map(over.place, entries, problems)
    bound(node, over.place, problems)
    return node


def _takes_away(node: Node, shape: Shape | None) -> bool:
    if not isinstance(node, Scalar) or node.value is not None:
        return False
    return not (isinstance(shape, Data | Nothing) or (isinstance(shape, Fact) and bool(shape.main)))


def _compatible(base: Map, over: Map, shape: Record) -> Map:
    """Return the base without the keys that cannot stand beside those of the extending file."""
    mine = {key.text for key, _ in over.entries}
    verbs = {verb.key.name for verb in shape.verbs}
    if verbs & mine and not verbs & mine & {key.text for key, _ in base.entries}:
        return Map(base.place, (), base.size, base.depth)
    apart = {name for group in shape.either if not mine.isdisjoint(group) for name in group} - mine
    return Map(base.place, tuple(pair for pair in base.entries if pair[0].text not in apart), base.size, base.depth)


def _shapes(shape: Record) -> dict[str, Shape]:
    verbs: list[Key] = [key for verb in shape.verbs for key in (verb.key, *verb.extras)]
    return {key.name: key.shape for key in (*verbs, *shape.keys)}

"""YAML text as a tree of nodes, each with its place: YAML 1.2's core meaning, read from PyYAML's events.

The idea: PyYAML scans and parses, and everything with a meaning (types, keys, anchors, limits) is decided
here, so ``on``, ``no`` and ``1:30`` stay text and a key cannot stand twice. The constraint: whatever the
text, reading it ends soon, with a tree of bounded size (aliases counted as often as they are used) or with a
problem that has a place. PyYAML's own constructor was refused for its YAML 1.1 types; its C parser for
wording its errors otherwise, because a message must not depend on how a package was built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeGuard

import yaml

from simkit.language.problems import Problems
from simkit.language.slips import explain, explain_number
from simkit.model.timeline import Place

# Ten times the depth of the deepest key of the language: what is left is for tool arguments.
DEPTH_MAX: Final = 50

# Values of one scenario, an aliased one counted each time, and long text counted as several.
SIZE_MAX: Final = 100_000
TEXT_UNIT: Final = 32

# Longer numbers mean nothing to any API, and Python refuses to read them beyond 4300 digits.
_DIGITS_MAX: Final = 40

Atom = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value; ``text`` is how it was written, ``origin`` the text with ``${...}`` it was made from."""

    place: Place
    value: Atom
    text: str
    origin: str = ""

    @property
    def size(self) -> int:
        """How much it counts against ``SIZE_MAX``."""
        return 1 + len(self.text) // TEXT_UNIT

    @property
    def depth(self) -> int:
        """No level below."""
        return 0


@dataclass(frozen=True, slots=True)
class Hole:
    """A value that could not be found and has been told of: it fits everywhere, so nobody complains twice."""

    place: Place
    size: int = 1
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Seq:
    """A list."""

    place: Place
    items: tuple[Node, ...]
    size: int
    depth: int


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping, its keys in the order of the file, no two alike."""

    place: Place
    entries: tuple[tuple[Scalar, Node], ...]
    size: int
    depth: int

    def get(self, name: str) -> Node | None:
        """Return the value under this key, or None."""
        return next((value for key, value in self.entries if key.text == name), None)


Node = Scalar | Seq | Map | Hole


def describe(node: Node) -> str:
    """Say in a few words what stands there."""
    match node:
        case Seq():
            return "a list"
        case Map():
            return "a mapping"
        case Hole() | Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return node.text
        case Scalar(value=str()):
            return f"text {short(node.text)}"
        case Scalar():
            return f"the number {node.text}"


def short(text: str) -> str:
    """Return the text quoted, cut where it would fill the line."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def is_number(node: Scalar) -> bool:
    """Say whether a scalar is a whole number, which is a key where something is counted and nowhere else."""
    return isinstance(node.value, int) and not isinstance(node.value, bool)


def no_key(node: Node) -> tuple[str, str]:
    """Say that something cannot be a key, and the way out."""
    remedy = f'put it in quotes: "{node.text}"' if isinstance(node, Scalar) else ""
    return f"a key must be text, got {describe(node)}", remedy


def make_seq(place: Place, items: tuple[Node, ...]) -> Seq:
    """Return a list node that knows its size and depth."""
    return Seq(place, items, 1 + sum(i.size for i in items), 1 + max((i.depth for i in items), default=0))


def make_map(place: Place, entries: list[tuple[Scalar, Node]], problems: Problems) -> Map:
    """Return a mapping node that knows its size and depth; a key that stands twice is kept once."""
    seen: dict[str, tuple[Scalar, Node]] = {}
    for key, value in entries:
        if key.text in seen:
            first = seen[key.text][0].place.line
            problems.add(key.place, f"key {short(key.text)} stands twice", f"the first is on line {first}")
        seen.setdefault(key.text, (key, value))
    kept = tuple(seen.values())
    size = 1 + sum(key.size + value.size for key, value in kept)
    return Map(place, kept, size, 1 + max((value.depth for _, value in kept), default=0))


def bound(node: Node, place: Place, problems: Problems) -> Node:
    """Return the node, or stop reading when what it stands for is too large or too deep."""
    if node.depth > DEPTH_MAX:
        problems.stop(place, f"this is nested more than {DEPTH_MAX} levels deep")
    if node.size > SIZE_MAX:
        problems.stop(
            place,
            f"this stands for more than {SIZE_MAX} values once aliases and variables are filled in",
            "use fewer of them",
        )
    return node


# -- scalars ---------------------------------------------------------------------------------------
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Around a captured name in the model's texts: see ``hole`` of the timeline.
_MARKS: Final = re.compile("[\ue000\ue001]")


def resolve(text: str) -> Atom:
    """Return what a scalar without quotes means. Raises ``ValueError`` for a number that cannot be held.

    Departs from YAML 1.2's core schema in one point: ``.inf`` and ``.nan`` stay text, as JSON has none.
    """
    if text in _WORDS:
        return _WORDS[text]
    whole = _INT.fullmatch(text) is not None
    if not whole and not _FLOAT.fullmatch(text):
        return text
    if len(text) > _DIGITS_MAX:
        raise ValueError(f"the number {short(text)} is too long")
    if whole:
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    return number


# -- the tree --------------------------------------------------------------------------------------
def compose(text: str, problems: Problems) -> Node:
    """Return the tree of a text with one document. Raises ``ScenarioError`` where it cannot be read."""
    try:
        return _Composer(yaml.parse(text, Loader=yaml.SafeLoader), problems).document()
    except yaml.YAMLError as error:
        slip = explain(error, text, problems)
        if problems.told(slip.place):
            raise problems.error() from error
        problems.stop(slip.place, slip.text, slip.remedy)
    except (ValueError, OverflowError):
        # PyYAML takes escapes such as "\UFFFFFFFF" and the digits of %YAML for numbers of any size.
        slip = explain_number(text, problems)
        problems.stop(slip.place, slip.text, slip.remedy)


class _Composer:
    """Builds nodes from a parser's events. It recurses once for each level, and ``DEPTH_MAX`` bounds that."""

    def __init__(self, events: Iterator[yaml.Event], problems: Problems) -> None:
        self._events = events
        self._problems = problems
        self._nodes = 0
        # An anchor is None while its own value is being read.
        self._anchors: dict[str, Node | None] = {}

    def document(self) -> Node:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            start = self._problems.place(0, 0)
            self._problems.stop(start, "the file is empty", "a scenario starts with simkit: 1")
        root = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._problems.stop(self._place(after), "a second document starts here", "one file holds one scenario")
        return root

    def _place(self, event: yaml.Event) -> Place:
        assert event.start_mark is not None
        return self._problems.place(event.start_mark.line, event.start_mark.column)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._place(event)
        self._nodes += 1
        if self._nodes > SIZE_MAX:
            self._problems.stop(place, f"the file holds more than {SIZE_MAX} values", "split it")
        if depth > DEPTH_MAX:
            self._problems.stop(place, f"this is nested more than {DEPTH_MAX} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, place)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = bound(self._content(event, place, depth), place, self._problems)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
            self._problems.add(
                place,
                f"the tag {short(tag)} is not part of the language",
                "leave it out, or put text that starts with '!' in quotes",
            )
            return Hole(place)
        return node

    def _alias(self, name: str | None, place: Place) -> Node:
        if name is None or name not in self._anchors:
            remedy = f"for text that starts with '*' put it in quotes, for an alias write &{name} further up"
            self._problems.add(place, f"no anchor is called {name!r}", remedy)
            return Hole(place)
        node = self._anchors[name]
        if node is None:
            self._problems.add(place, f"the anchor {name!r} holds itself", "write the value out")
            return Hole(place)
        return node

    def _content(self, event: yaml.Event, place: Place, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return make_seq(place, tuple(self._items(depth)))
        return make_map(place, list(self._entries(depth)), self._problems)

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if self._is_key(key):
                yield key, value

    def _is_key(self, key: Node) -> TypeGuard[Scalar]:
        if isinstance(key, Scalar) and key.text == "<<":
            remedy = "share keys between answers or tools with defaults:, between files with extends:"
            self._problems.add(key.place, "merge keys ('<<') are not part of the language", remedy)
            return False
        if isinstance(key, Scalar) and (isinstance(key.value, str) or is_number(key)):
            return True
        if not isinstance(key, Hole):
            self._problems.add(key.place, *no_key(key))
        return False

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Node:
        text: str = event.value
        if half := _SURROGATE.search(text):
            remedy = "write the character itself, or as \\U and eight digits"
            self._problems.add(place, f"{half[0]!r} is half a character and cannot be sent", remedy)
        if mark := _MARKS.search(text):
            # From here on they mean a value that the run brings, so no author may write them.
            remedy = "leave it out: simkit uses U+E000 and U+E001 itself"
            self._problems.add(place, f"the character {mark[0]!r} cannot stand in a scenario", remedy)
            return Hole(place)
        if event.style is not None and event.style != "":
            return Scalar(place, text, text)
        self._refuse_stray_dash(event, place)
        try:
            return Scalar(place, resolve(text), text)
        except ValueError as error:
            self._problems.add(place, str(error), "put it in quotes if it is text")
            return Hole(place)

    def _refuse_stray_dash(self, event: yaml.ScalarEvent, place: Place) -> None:
        """Find the list item one column too far to the right, which YAML takes for more of the text above."""
        assert event.end_mark is not None
        for line in range(place.line, event.end_mark.line + 1):
            source = self._problems.line(line + 1)
            indent = len(source) - len(source.lstrip(" "))
            if source[indent:].startswith("- "):
                self._problems.add(
                    self._problems.place(line, indent),
                    "this dash stands deeper than the list above and is read as text",
                    "line it up with the other dashes",
                )

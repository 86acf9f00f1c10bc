"""The strict walker: holds a tree against the table and gives back plain values with their places.

The idea: one method for each shape of ``spec``, and no key of the language is named here, so a new key is a
line in the table. The constraint: a wrong value is told of once, with what was expected and what stands
there, and is then left out, so that the rest is still read. A JSON Schema validator was refused: it knows no
lines, and says of a misspelt verb that it fits none of twelve alternatives.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, assert_never

from simkit.extensions import nearest
from simkit.language.entry import Entry
from simkit.language.instants import FIRST_NS, FORM, LAST_NS, format_start, parse_instant
from simkit.language.nodes import Hole, Map, Node, Scalar, Seq, describe, is_number, no_key, short
from simkit.language.problems import Problems
from simkit.language.remedies import BETWEEN, DURATIONS, guess_duration, homes_of, how_to_write, joined, spaced
from simkit.language.shapes import (
    OPERATORS,
    Choice,
    Count,
    Data,
    Either,
    Fact,
    File,
    Flag,
    Instant,
    Json,
    Key,
    LawItem,
    ListOf,
    Names,
    Nothing,
    Operator,
    Pattern,
    Plain,
    PlanText,
    Record,
    RetryAfter,
    Shape,
    Span,
    Text,
    Verb,
)
from simkit.language.spec import OFF, PARAMETERS
from simkit.model.duration import FOREVER, NS_PER_S, parse_duration
from simkit.model.plan import Plan
from simkit.model.scenario import Matcher
from simkit.model.timeline import holes


class Bad:
    """The type of ``BAD``: what stands there was wrong and has been told of."""


BAD: Final = Bad()

_PLAN: Final = "write it as a report prints it, such as seed=0,cut@answer1.frame2"


class Walker:
    """Reads nodes by their shapes and notes what is wrong. ``laws`` maps a law to its parameter's kind."""

    def __init__(self, problems: Problems, laws: Mapping[str, str | None]) -> None:
        self._problems = problems
        self._laws = laws

    def read(self, node: Node, shape: Shape) -> object:
        """Return the value of this shape, or ``BAD``."""
        if isinstance(node, Hole):
            return BAD
        if isinstance(node, Scalar) and (names := holes(node.text)) and not _takes_captured(shape):
            text = f"${{{names[0]}}} is captured while the run goes on, and cannot stand here"
            return self._wrong(
                node, text, "it can stand in the texts of an answer: what its steps say or call, an error, a body"
            )
        match shape:
            case Text():
                return self._text(node, shape)
            case Count():
                return self._count(node, shape)
            case Span():
                return self._span(node, shape)
            case Choice():
                return self._choice(node, shape)
            case RetryAfter():
                return self._retry_after(node, shape)
            case Nothing():
                return self._nothing(node, shape)
            case Plain():
                return self._plain(node, shape)
            case Flag():
                return self._flag(node, shape)
            case Pattern():
                return self._pattern(node, shape)
            case File():
                return self._file(node, shape)
            case Instant():
                return self._instant(node, shape)
            case PlanText():
                return self._plan(node, shape)
            case Data():
                return self._data(node)
            case Json():
                return self._json(node, shape)
            case ListOf():
                return self._list(node, shape)
            case Names():
                return self._names(node, shape)
            case Record():
                return self._record(node, shape)
            case Either():
                return self._either(node, shape)
            case Fact():
                return self._fact(node, shape)
            case LawItem():
                return self._law(node, shape)
        assert_never(shape)

    def _wrong(self, node: Node, text: str, remedy: str = "") -> Bad:
        origin = f" (from {short(node.origin)})" if isinstance(node, Scalar) and node.origin else ""
        self._problems.add(node.place, text + origin, remedy)
        return BAD

    def _expected(self, node: Node, called: str, remedy: str = "") -> Bad:
        return self._wrong(node, f"expected {called}, got {describe(node)}", remedy)

    def _did_you_mean(self, word: str, words: Iterable[str]) -> str:
        # A guess costs more than everything else here, and nobody reads the ones beyond the bound.
        return "" if self._problems.full else nearest(word, words).removeprefix(" - ")

    # -- scalars -----------------------------------------------------------------------------------
    def _text(self, node: Node, shape: Text) -> object:
        if not isinstance(node, Scalar) or node.value is None:
            return self._expected(node, shape.called)
        number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        if not isinstance(node.value, str) and not (shape.numbers and number):
            return self._expected(node, shape.called, f'put it in quotes: "{node.text}"')
        if shape.pattern and not re.fullmatch(shape.pattern, node.text):
            return self._expected(node, shape.called)
        return node.text

    def _count(self, node: Node, shape: Count) -> object:
        if shape.word and isinstance(node, Scalar) and node.value == shape.word:
            return shape.word
        if not isinstance(node, Scalar) or not isinstance(node.value, int) or isinstance(node.value, bool):
            quoted = isinstance(node, Scalar) and node.text.isdecimal()
            return self._expected(node, shape.called, "leave the quotes out" if quoted else "")
        if node.value < shape.least or (shape.most is not None and node.value > shape.most):
            return self._expected(node, shape.called)
        return node.value

    def _span(self, node: Node, shape: Span) -> object:
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
            return self._expected(node, shape.called, DURATIONS)
        try:
            if not isinstance(node.value, str):
                raise ValueError(f"{node.text} is not a duration")
            ns = parse_duration(node.text)
        except ValueError:
            written = short(node.text) if isinstance(node.value, str) else node.text
            return self._wrong(node, f"{written} is not a duration", guess_duration(node.text))
        if ns >= FOREVER and not shape.forever:
            return self._wrong(node, f"{short(node.text)} is too long here", "write a duration that ends")
        if ns == 0 and not shape.zero:
            return self._wrong(node, f"{short(node.text)} is too short here", "write a duration above zero")
        return ns

    def _choice(self, node: Node, shape: Choice) -> object:
        if isinstance(node, Scalar) and node.value is None and node.text in shape.words:
            return node.text
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return self._expected(node, shape.called)
        if node.text not in shape.words:
            guess = self._did_you_mean(node.text, shape.words)
            # Without a close word the guess is a list, and the sentence has said that already.
            remedy = guess if guess.startswith("did") else ""
            return self._wrong(node, f"{short(node.text)} is not {shape.called}", remedy)
        return node.text

    def _flag(self, node: Node, shape: Flag) -> object:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        return self._expected(node, shape.called)

    def _file(self, node: Node, shape: File) -> object:
        name = self.read(node, Text(called=shape.called, pattern=r"(?s).+"))
        if not isinstance(name, str):
            return name
        # A value that comes from a base file means what it means there.
        path = (Path(node.place.file).parent / name).as_posix()
        # Not a method of Path: those raise for names that no file system takes.
        if not os.path.isfile(path):
            return self._wrong(node, f"there is no file {path!r}", "a path starts at the folder of the scenario")
        return path

    def _instant(self, node: Node, shape: Instant) -> object:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return self._expected(node, shape.called)
        try:
            ns = parse_instant(node.text)
        except ValueError as error:
            return self._wrong(node, str(error), FORM)
        if not FIRST_NS <= ns <= LAST_NS:
            first, last = format_start(FIRST_NS), format_start(LAST_NS)
            return self._wrong(node, f"{node.text!r} is out of reach", f"write an instant from {first} to {last}")
        return ns

    def _plan(self, node: Node, shape: PlanText) -> object:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return self._expected(node, shape.called, _PLAN)
        try:
            Plan.parse(node.text)
        except ValueError as error:
            return self._wrong(node, str(error), _PLAN)
        return node.text

    def _pattern(self, node: Node, shape: Pattern) -> object:
        text = self.read(node, Text(called=shape.called))
        if not isinstance(text, str):
            return text
        try:
            with warnings.catch_warnings():
                # A pattern that Python only warns about means something else in its next version.
                warnings.simplefilter("error")
                re.compile(text)
        except (re.error, Warning, RecursionError, OverflowError) as error:
            return self._wrong(node, f"{short(text)} is not a regular expression: {error}")
        return text

    def _retry_after(self, node: Node, shape: RetryAfter) -> object:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            remedy = guess_duration(node.text) if isinstance(node, Scalar) else ""
            return self._expected(node, shape.called, remedy)
        try:
            ns = parse_duration(node.text)
        except ValueError:
            return self._text(node, Text(called=shape.called, pattern=r"[\t\x20-\x7e\x80-\xff]*"))
        seconds, rest = divmod(ns, NS_PER_S)
        return f"{seconds}.{rest:09d}".rstrip("0").rstrip(".")

    def _nothing(self, node: Node, shape: Nothing) -> object:
        if isinstance(node, Scalar) and (node.value is None or node.value is True):
            return True
        return self._expected(node, shape.called, "leave it empty")

    def _plain(self, node: Node, shape: Plain) -> object:
        if not isinstance(node, Scalar) or node.value is None:
            return self._expected(node, shape.called)
        return node.value

    def _data(self, node: Node) -> object:
        """Return the node as plain Python data, after a look at its keys."""
        match node:
            case Scalar():
                return node.value
            case Seq():
                return [self._data(item) for item in node.items]
            case Map():
                return {key.text: self._data(value) for key, value in node.entries if self._is_key(key)}
            case Hole():
                return None

    def _is_key(self, key: Scalar) -> bool:
        if is_number(key):
            self._wrong(key, *no_key(key))
            return False
        return True

    def _is_name(self, key: Scalar, shape: Text) -> bool:
        return (shape.numbers or self._is_key(key)) and self._text(key, shape) is not BAD

    def _json(self, node: Node, shape: Json) -> object:
        if isinstance(node, Map):
            return json.dumps(self._data(node), ensure_ascii=False)
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.text
        return self._expected(node, shape.called)

    # -- lists and mappings ------------------------------------------------------------------------
    def _list(self, node: Node, shape: ListOf) -> object:
        if not isinstance(node, Seq):
            return self._expected(node, shape.called, "write each item behind a dash")
        if len(node.items) < shape.least:
            return self._wrong(node, f"expected {shape.least} or more items, got {len(node.items)}")
        values = [self.read(item, shape.item) for item in node.items]
        return tuple(value for value in values if value is not BAD)

    def _names(self, node: Node, shape: Names) -> object:
        if not isinstance(node, Map):
            return self._expected(node, shape.called, spaced(node) or f"write name: and {shape.item.called}")
        named = [(key, value) for key, value in node.entries if self._is_name(key, shape.name)]
        return self._entry(node, [(key, value, shape.item) for key, value in named])

    def _either(self, node: Node, shape: Either) -> object:
        if isinstance(node, Map):
            return self.read(node, shape.mapping)
        if isinstance(node, Scalar) and (isinstance(node.value, str) or isinstance(shape.scalar, Text)):
            return self.read(node, shape.scalar)
        return self._expected(node, shape.called)

    def _record(self, node: Node, shape: Record) -> object:
        verb_alone = self._bare_verb(node, shape)
        if verb_alone is not None:
            return self._alone(node, verb_alone.key.name, shape)
        if not isinstance(node, Map):
            return self._expected(node, shape.called, spaced(node) or self._meant_alone(node, shape))
        verb = self._verb(node, shape) if shape.verbs else None
        if isinstance(verb, Bad):
            return BAD
        allowed = (*shape.keys, *((verb.key, *verb.extras) if verb else ()))
        self._refuse_apart(node, shape)
        self._refuse_missing(node, shape)
        return self._entry(node, self._known(node, shape, allowed, verb), verb.key.name if verb else "")

    def _entry(self, node: Map, parts: list[tuple[Scalar, Node, Shape]], verb: str = "") -> Entry:
        values = {key.text: self.read(value, shape) for key, value, shape in parts}
        good = {name: value for name, value in values.items() if value is not BAD}
        return Entry(node.place, good, {key.text: key.place for key, _ in node.entries}, verb)

    def _known(
        self, node: Map, shape: Record, allowed: tuple[Key, ...], verb: Verb | None
    ) -> list[tuple[Scalar, Node, Shape]]:
        shapes = {key.name: key.shape for key in allowed}
        known = []
        for key, value in node.entries:
            if key.text in shapes:
                known.append((key, value, shapes[key.text]))
            else:
                self._unknown(key, shape, shapes, verb)
        return known

    def _unknown(self, key: Scalar, shape: Record, allowed: Mapping[str, Shape], verb: Verb | None) -> None:
        if not self._is_key(key):
            return
        owners = [v.key.name for v in shape.verbs if any(extra.name == key.text for extra in v.extras)]
        if verb is not None and owners:
            text = f"{key.text!r} does not go with {verb.key.name!r}"
            self._problems.add(key.place, text, f"it goes with {joined(owners)}")
            return
        self._astray(key, shape, allowed)

    def _astray(self, key: Scalar, shape: Record, known: Iterable[str]) -> Bad:
        """Tell of a key that is none of this record, and where it would be one."""
        if key.text in shape.barred:
            return self._wrong(key, f"{key.text!r} cannot stand in {shape.called}", shape.instead)
        if homes := homes_of(shape, key.text):
            remedy = f"it stands inside {joined(homes)}"
            return self._wrong(key, f"{key.text!r} cannot stand in {shape.called} itself", remedy)
        remedy = self._did_you_mean(key.text, known)
        return self._wrong(key, f"unknown key {short(key.text)} in {shape.called}", remedy)

    def _refuse_apart(self, node: Map, shape: Record) -> None:
        for group in shape.either:
            present = [key for key, _ in node.entries if key.text in group]
            if len(present) > 1:
                names = " and ".join(repr(key.text) for key in present)
                self._problems.add(present[1].place, f"{names} cannot both be there", "take one of them out")

    def _refuse_missing(self, node: Map, shape: Record) -> None:
        present = {key.text for key, _ in node.entries}
        names = [key.name for key in shape.keys]
        # A misspelt key is told of once, as that and not as a missing one.
        meant = {self._did_you_mean(name, names) for name in present.difference(names)}
        for key in shape.keys:
            if key.required and key.name not in present and f"did you mean {key.name!r}?" not in meant:
                text = f"{shape.called} needs the key {key.name!r}"
                self._problems.add(node.place, text, f"it holds {key.shape.called}")

    # -- verbs -------------------------------------------------------------------------------------
    def _bare_verb(self, node: Node, shape: Record) -> Verb | None:
        """A verb that needs no value may stand without its colon."""
        if not isinstance(node, Scalar):
            return None
        bare = (v for v in shape.verbs if needs_no_value(v.key.shape) and v.key.name == node.value)
        return next(bare, None)

    def _alone(self, node: Node, verb: str, shape: Record) -> object:
        needed = [key.name for key in shape.keys if key.required]
        if needed:
            how = ", ".join(f"{name}: ..." for name in needed)
            return self._wrong(node, f"{shape.called} needs the key {needed[0]!r}", f"write {{{how}, {verb}: true}}")
        return Entry(node.place, {verb: True}, {}, verb)

    def _meant_alone(self, node: Node, shape: Record) -> str:
        """Return the remedy for what is no mapping: the verb that it nearly is, or how a record is written."""
        alone = [verb.key.name for verb in shape.verbs if needs_no_value(verb.key.shape)]
        guess = self._did_you_mean(node.text, alone) if isinstance(node, Scalar) else ""
        return guess if guess.startswith("did") else how_to_write(shape)

    def _verb(self, node: Map, shape: Record) -> Verb | Bad:
        verbs = {verb.key.name: verb for verb in shape.verbs}
        present = [verbs[key.text] for key, _ in node.entries if key.text in verbs]
        # A key such as args is a verb when it stands alone and an extra beside call.
        leading = [v for v in present if not any(_is_extra(v, other) for other in present if other is not v)]
        if len(leading) == 1:
            return leading[0]
        if leading:
            names = " and ".join(repr(v.key.name) for v in leading)
            return self._wrong(node, f"{shape.called} does one thing, this one has {names}", _ONE)
        return self._no_verb(node, shape, verbs)

    def _no_verb(self, node: Map, shape: Record, verbs: Mapping[str, Verb]) -> Bad:
        """Tell of a key that looks like a misspelt verb; only without one say that the verb is missing."""
        known = {*(key.name for key in shape.keys), *(extra.name for v in shape.verbs for extra in v.extras)}
        for key, _ in node.entries:
            if key.text not in known and self._is_key(key):
                return self._astray(key, shape, [*verbs, *sorted(known)])
        return self._wrong(node, f"{shape.called} needs one of {', '.join(verbs)}")

    # -- facts -------------------------------------------------------------------------------------
    def _fact(self, node: Node, shape: Fact) -> object:
        if shape.main and isinstance(node, Scalar) and node.value is None:
            return True
        if shape.parts is not None and isinstance(node, Map) and holds_parts(node, shape.parts):
            return self.read(node, shape.parts)
        if shape.op or not isinstance(node, Map):
            value = self.read(node, shape.of)
            return BAD if value is BAD else Matcher(op=shape.op or "exactly", value=value)
        if len(node.entries) != 1:
            return self._wrong(node, f"a comparison is one word and its value, got {len(node.entries)}", BETWEEN)
        key, operand = node.entries[0]
        operator = next((o for o in OPERATORS if o.name == key.text and suits(o, shape)), None)
        if operator is None:
            known = [*(o.name for o in OPERATORS if suits(o, shape)), *_names_of(shape.parts)]
            return self._wrong(
                key, f"{short(key.text)} cannot compare {shape.called}", self._did_you_mean(key.text, known)
            )
        value = self._operand(operand, operator, shape)
        return BAD if value is BAD else Matcher(op=operator.name, value=value)

    def _operand(self, node: Node, operator: Operator, shape: Fact) -> object:
        if operator.operand == "one":
            return self.read(node, shape.of)
        if operator.operand == "pattern":
            return self.read(node, Pattern())
        values = self.read(node, ListOf(item=shape.of, least=2 if operator.operand == "two" else 1))
        if not isinstance(node, Seq) or not isinstance(values, tuple) or len(values) < len(node.items):
            return BAD
        if operator.operand == "two" and (len(values) != 2 or values[0] > values[1]):
            return self._wrong(node, f"{operator.name} takes two values, the smaller one first")
        return values

    # -- laws --------------------------------------------------------------------------------------
    def _law(self, node: Node, shape: LawItem) -> object:
        if isinstance(node, Scalar) and isinstance(node.value, str) and not spaced(node):
            return Entry(node.place, {}, {}, node.text) if self._is_law(node) else BAD
        if not isinstance(node, Map):
            return self._expected(node, shape.called, spaced(node))
        if node.get("off") is not None:
            return self._law_off(node)
        if len(node.entries) != 1:
            return self._wrong(
                node, f"expected {shape.called}, got {len(node.entries)} keys", "write one item for each"
            )
        return self._law_with_value(node, *node.entries[0])

    def _law_off(self, node: Map) -> object:
        entry = self.read(node, OFF)
        name = node.get("off")
        if not isinstance(entry, Entry) or "off" not in entry.values or not isinstance(name, Scalar):
            return BAD
        return Entry(node.place, entry.values, entry.places, name.text) if self._is_law(name) else BAD

    def _law_with_value(self, node: Map, key: Scalar, value: Node) -> object:
        if not self._is_law(key):
            return BAD
        kind = self._laws[key.text]
        if kind is None:
            return self._wrong(value, f"the law {key.text!r} takes no value", f"write - {key.text}")
        parameter = self.read(value, PARAMETERS[kind])
        return BAD if parameter is BAD else Entry(node.place, {"value": parameter}, {}, key.text)

    def _is_law(self, name: Scalar) -> bool:
        if name.text in self._laws:
            return True
        self._wrong(name, f"there is no law {short(name.text)}", self._did_you_mean(name.text, self._laws))
        return False


_ONE: Final = "keep one of them; in a list, write one item for each"


def _takes_captured(shape: Shape) -> bool:
    """Say whether a captured name may stand in a scalar of this shape, or that is told of further in."""
    return isinstance(shape, Json | Either) or (isinstance(shape, Text) and shape.captured)


def _is_extra(verb: Verb, of: Verb) -> bool:
    return any(extra.name == verb.key.name for extra in of.extras)


def suits(operator: Operator, shape: Fact) -> bool:
    """Say whether an operator can compare this fact."""
    if isinstance(shape.of, Flag):
        return False
    return operator.texts if isinstance(shape.of, Text | Plain) else operator.numbers


def needs_no_value(shape: Shape) -> bool:
    """Say whether a key of this shape may stand alone."""
    return isinstance(shape, Nothing) or (isinstance(shape, Fact) and bool(shape.main))


def holds_parts(node: Map, parts: Record | Names) -> bool:
    """Say whether a mapping in the place of a fact holds parts of it, and is no comparison."""
    keys = {key.text for key, _ in node.entries}
    if isinstance(parts, Names):
        return not keys & {operator.name for operator in OPERATORS}
    return not keys.isdisjoint(_names_of(parts))


def _names_of(parts: Record | Names | None) -> list[str]:
    return [key.name for key in parts.keys] if isinstance(parts, Record) else []

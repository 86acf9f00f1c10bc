"""The shapes that a value of the language can have, and the words that compare facts.

The idea: a shape is data - what it lets through, and how errors call it - so the walker can obey it, and the editor
schema and the reference page can be drawn from it. The constraint: a shape knows no key of the language and no
model class. Shapes with a ``parse`` method were refused: a method can be run, and nothing else can be told from it.

    Text Count Span Choice Flag    a scalar: words, a number, a duration, one of a list of words, true or false
    RetryAfter Pattern File Instant PlanText    a scalar with a meaning of its own
    Plain Nothing                  any scalar; none
    Data Json                      anything that YAML can write; JSON text, or a mapping that becomes JSON text
    ListOf Names                   a list of one shape; a mapping from free names to one shape
    Record Either                  a mapping with a closed set of keys, maybe with exactly one verb among them; a
                                   scalar, or such a mapping in its place
    Fact LawItem                   what a finished run is compared with; a law, with its parameter or switched off
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


# -- shapes ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text. ``pattern`` must match the whole of it; ``numbers`` lets a bare number stand for its digits.

    ``captured`` lets a name that an answer captures stand in it, whose value only the run knows.
    """

    called: str = "text"
    pattern: str = ""
    numbers: bool = False
    captured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A whole number within bounds, or one word in its place; ``most`` None means without a bound."""

    least: int = 0
    most: int | None = None
    word: str = ""

    @property
    def called(self) -> str:
        """The bounds in words."""
        if self.least == self.most:
            return f"the number {self.least}"
        bounds = f"a whole number from {self.least}" + ("" if self.most is None else f" to {self.most}")
        return f"{bounds}, or {self.word}" if self.word else bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A duration: text with a unit, read as nanoseconds; ``forever`` and ``zero`` say what else may stand."""

    forever: bool = False
    zero: bool = True
    called: str = "a duration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One word of a closed list; where ``null`` is one of them, it means the word."""

    words: tuple[str, ...]

    @property
    def called(self) -> str:
        """The words."""
        return f"one of {', '.join(self.words)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """True or false."""

    called: str = "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAfter:
    """The text of a ``retry-after`` header; a duration is written as its seconds."""

    called: str = "a duration or the text of the header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A Python regular expression, kept as its text."""

    called: str = "a regular expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """The path of a file that is there, written from the folder of the scenario."""

    called: str = "the path of a file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """A date and time with its offset from UTC, read as nanoseconds of the Unix epoch."""

    called: str = "a date and time such as 2026-03-29T00:59:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanText:
    """The text of a plan, as a report prints it."""

    called: str = "the text of a plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The key says it all: no value, or ``true``."""

    called: str = "no value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """One scalar of any type, kept as it is: a value that can name a matrix row."""

    called: str = "text, a number, true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Anything that YAML can write, kept as it is."""

    called: str = "a value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Json:
    """JSON text as a model writes it, taken as it is (it may be cut short); a mapping becomes JSON text.

    Names that an answer captures may stand in it.
    """

    called: str = "JSON text or a mapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list of one shape."""

    item: Shape
    least: int = 0
    called: str = "a list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """A mapping from names that the author chooses to one shape."""

    item: Shape
    name: Text = Text(called="a name", pattern=r".+")
    called: str = "a mapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a record: its shape, its sentence, whether it is required, and what holds without it."""

    name: str
    shape: Shape
    says: str
    required: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A key of which a record has exactly one, and the keys that may stand beside it."""

    key: Key
    extras: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A mapping with a closed set of keys: ``keys`` always, and one of ``verbs`` where there are any.

    Of the keys in one group of ``either``, at most one may be there. ``barred`` are keys that people look for here and
    that stand elsewhere; ``instead`` says where.
    """

    called: str
    keys: tuple[Key, ...] = ()
    verbs: tuple[Verb, ...] = ()
    either: tuple[tuple[str, ...], ...] = ()
    barred: tuple[str, ...] = ()
    instead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """A scalar of one shape, or in its place a mapping of another."""

    scalar: Text | Choice
    mapping: Record

    @property
    def called(self) -> str:
        """Both."""
        return f"{self.scalar.called}, or {self.mapping.called}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value of a finished run: exact, or one operator. With ``op`` it is a plain value, compared so.

    With ``parts`` a mapping of these may stand in its place. Where a value alone means one of the parts, ``main`` is
    the name of that one; then no value at all asks for nothing, and the key may stand alone.
    """

    of: Text | Count | Span | Plain | Flag
    op: str = ""
    parts: Record | Names | None = None
    main: str = ""

    @property
    def called(self) -> str:
        """What the fact itself is."""
        return self.of.called


@dataclass(frozen=True, slots=True, kw_only=True)
class LawItem:
    """A law by name, ``{law: value}``, or ``{off: law, because: text}``. The caller says which laws exist."""

    called: str = "a law"


Scalars = Text | Count | Span | Choice | Flag | RetryAfter | Pattern | File | Instant | PlanText | Plain | Nothing
Shape = Scalars | Data | Json | ListOf | Names | Record | Either | Fact | LawItem


# -- operators -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A word that compares a fact. ``operand`` is how many values of the fact's own shape it takes.

    ``operand`` is ``one``, ``two``, ``some`` or ``pattern``; ``numbers`` and ``texts`` say where it fits.
    """

    name: str
    says: str
    operand: str = "one"
    numbers: bool = True
    texts: bool = True


OPERATORS: Final = (
    Operator(name="at_most", says="The value is this or less.", texts=False),
    Operator(name="at_least", says="The value is this or more.", texts=False),
    Operator(name="between", says="The value lies between these two, ends included.", operand="two", texts=False),
    Operator(name="contains", says="The text holds this text, letter by letter.", numbers=False),
    Operator(
        name="matches",
        says="This Python regular expression is found in the text.",
        operand="pattern",
        numbers=False,
    ),
    Operator(name="one_of", says="The value is one of these.", operand="some"),
    Operator(name="not", says="The value is anything but this."),
)

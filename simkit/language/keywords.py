"""The words of JSON Schema that the schema is made of: one value, a text that fits, a variable in its place.

The idea: every value may be written as ``${name}``, and what a schema asks of it holds for whatever else stands there;
so that is said once, here, with the message that an editor shows. The constraint: a pattern means the same to Python,
which tests the schema, and to ECMAScript, in which editors read it; and a message stands where an editor will not show
it for something else. ``format`` was refused: each editor knows other formats, and none knows a duration such as 1h30m.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, assert_never

from simkit.language.remedies import DURATIONS
from simkit.language.shapes import (
    Choice,
    Count,
    File,
    Flag,
    Instant,
    Nothing,
    Pattern,
    Plain,
    PlanText,
    RetryAfter,
    Scalars,
    Span,
    Text,
)

Schema = dict[str, Any]

# A variable, which may stand in any text and in most keys.
VARIABLE: Final = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
# Conditions that stand in many places, by the names of their definitions: a text that holds no variable, a mapping
# without one among its keys, and a value at all.
CONDITIONS: Final[Schema] = {
    "plain_text": {"type": "string", "not": {"pattern": VARIABLE}},
    "plain_keys": {"type": "object", "propertyNames": {"not": {"pattern": VARIABLE}}},
    "something": {
        "type": ["boolean", "number", "string", "array", "object"],
        "errorMessage": "nothing stands here - in a file that extends another this takes a key away",
    },
}
_PLAIN_TEXT: Final = {"$ref": "#/$defs/plain_text"}
PLAIN_KEYS: Final = {"$ref": "#/$defs/plain_keys"}
SOMETHING: Final = {"$ref": "#/$defs/something"}

_NUMBER: Final = "[0-9]{1,20}([.][0-9]{1,9})?"
# The units as ``model.duration`` reads them: from large to small, each at most once.
_DURATION: Final = "(?!$)" + "".join(f"({_NUMBER}{unit})?" for unit in ("d", "h", "m", "s", "ms", "us", "ns"))
_INSTANT: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?\s*([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_PLAN: Final = r"\s*seed=[0-9]{1,80}(,[^,]+)*\s*"


# -- values ----------------------------------------------------------------------------------------------------------
def scalar(shape: Scalars) -> Schema:
    """Return the schema of one value."""
    said = f"expected {shape.called}"
    match shape:
        case Text():
            return {"type": ["string", "number"] if shape.numbers else "string", **fitting(shape.pattern, said)}
        case Count():
            return _count(shape, said)
        case Span():
            return _span(shape, said)
        case Choice():
            return _choice(shape)
        case Flag():
            return typed("boolean", said=said)
        case RetryAfter():
            return {"type": "string", **fitting(r"[\t\x20-\x7e\x80-\xff]*", said), "examples": ["7s"]}
        case Pattern():
            return {"type": "string", "errorMessage": said}
        case File():
            return {"type": "string", "minLength": 1, "errorMessage": said}
        case Instant():
            return {"type": "string", **fitting(_INSTANT, said), "examples": ["2026-01-01T00:00:00Z"]}
        case PlanText():
            return {"type": "string", **fitting(_PLAN, said), "examples": ["seed=0,cut@answer1.frame2"]}
        case Plain():
            return {"type": ["string", "number", "boolean"], "errorMessage": said}
        case Nothing():
            return _nothing(said)
    assert_never(shape)


def _count(shape: Count, said: str) -> Schema:
    bounds = {"minimum": shape.least} | ({} if shape.most is None else {"maximum": shape.most})
    drawn = {**typed("integer", words=[shape.word] if shape.word else [], said=said), **bounds}
    only = shape.word or (shape.least if shape.least == shape.most else None)
    return drawn if only is None else {**drawn, "examples": [only]}


def _span(shape: Span, said: str) -> Schema:
    ends = _DURATION if shape.zero else f"(?=.*[1-9]){_DURATION}"
    pattern = f"forever|{ends}" if shape.forever else ends
    examples = ["250ms", "90s", "15m", *(["forever"] if shape.forever else [])]
    return {"type": "string", **fitting(pattern, f"{said} - {DURATIONS}"), "examples": examples}


def _choice(shape: Choice) -> Schema:
    """Return the words first, since an editor offers and names those of the first alternative."""
    types: str | list[str] = ["string", "null"] if "null" in shape.words else "string"
    words = [*shape.words, None] if "null" in shape.words else [*shape.words]
    return {"type": types, "anyOf": [{"type": types, "enum": words}, {"pattern": VARIABLE}]}


def _nothing(said: str) -> Schema:
    other = typed("null", said=said)
    there = {"if": {"type": "boolean"}, "then": {"const": True, "errorMessage": said}}
    return {"type": ["boolean", "null", "string"], **there, "else": {"if": other["if"], "then": other["then"]}}


# -- words of JSON Schema --------------------------------------------------------------------------------------------
def typed(kind: str, *, words: Sequence[str] = (), said: str) -> Schema:
    """Return a schema of this type, in whose place a variable may stand, or one of these words.

    What is said of another text stands behind a condition: an editor says a message at the top of a schema of every
    key too that should not be there.
    """
    alone = (f"^{word.replace('.', '[.]')}$" for word in words)
    others = {"type": "string", "not": {"pattern": "|".join([*alone, VARIABLE])}}
    there = {"type": kind, "errorMessage": said}
    return {"type": [kind, "string"], "if": others if words else _PLAIN_TEXT, "then": there}


def fitting(pattern: str, said: str) -> Schema:
    """Return what asks of a text that it fits a pattern as a whole, or holds a variable."""
    if not pattern:
        return {"errorMessage": said}
    return {"pattern": f"^({portable(pattern)})$|{VARIABLE}", "patternErrorMessage": said, "errorMessage": said}


def _types(drawn: Schema) -> list[str]:
    types = drawn["type"]
    return [types] if isinstance(types, str) else list(types)


def may_be_nothing(drawn: Schema) -> bool:
    """Say whether a schema lets nothing through."""
    return "type" not in drawn or "null" in _types(drawn)


def or_nothing(drawn: Schema) -> Schema:
    """Return the schema with nothing let through as well."""
    if may_be_nothing(drawn):
        return drawn
    return {**drawn, "type": [*_types(drawn), "null"]}


def united(value: Schema, mapping: Schema) -> Schema:
    """Return what lets a scalar through, and in its place a mapping."""
    kept = {key: value for key, value in value.items() if key not in ("errorMessage", "if", "then")}
    both = {**kept, "type": [*_types(value), "object"], **mapping}
    if "if" not in value:
        return both
    rule = {"if": value["if"], "then": value["then"]}
    return {**both, "else": rule} if "if" in mapping else {**both, **rule}


_TOKEN: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\(\?i:([^()]*)\)|(\.)|[^\\]", re.DOTALL)


def portable(pattern: str) -> str:
    """Return a pattern of the table in the part of regular expressions that Python and ECMAScript share."""
    bare = pattern.removeprefix("(?s)")
    dot = r"[\s\S]" if bare != pattern else r"[^\n]"

    def written(token: re.Match[str]) -> str:
        if token[1] is not None:
            letters = (f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in token[1])
            return f"({''.join(letters)})"
        return dot if token[2] else token[0]

    return _TOKEN.sub(written, bare)

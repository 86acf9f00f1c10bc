"""How a value of a run is held against what was expected of it, and how both are said.

The idea: a matcher is one word with its operand, and two tables know every word: one compares, one says it. The
constraint: a value that is missing is None, which matches nothing but None and what is asked not to be. Comparing
with ``==`` wherever a value is looked at was refused: times come through floats, and would differ by a nanosecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from simkit.checks.reading import ROUNDING_NS, frozen, quoted
from simkit.model.duration import format_duration
from simkit.model.scenario import Matcher
from simkit.model.trace import Event


class Fact(NamedTuple):
    """A value of a finished run and the events behind it. ``spans``: the value is a time in nanoseconds."""

    value: object
    events: Sequence[Event] = ()
    spans: bool = False


def matches(fact: Fact, matcher: Matcher) -> bool:
    """Say whether the value meets the matcher. Raises ``KeyError`` for a word that is no matcher."""
    value = fact.value
    if fact.spans and isinstance(value, int):
        # The instants behind the value went through floats; whole microseconds are meant.
        value = (value + ROUNDING_NS // 2) // ROUNDING_NS * ROUNDING_NS
    return _OPS[matcher.op](value, matcher.value)


def _between(value: object, bounds: object) -> bool:
    low, high = _pair(bounds)
    return _at_least(value, low) and _at_most(value, high)


def _at_most(value: object, bound: object) -> bool:
    return isinstance(value, int | float) and isinstance(bound, int | float) and value <= bound


def _at_least(value: object, bound: object) -> bool:
    return isinstance(value, int | float) and isinstance(bound, int | float) and value >= bound


def _contains(value: object, part: object) -> bool:
    if isinstance(value, str):
        return str(part) in value
    return isinstance(value, list | tuple) and part in value


def _matches(value: object, pattern: object) -> bool:
    return isinstance(value, str) and re.search(str(pattern), value) is not None


def _one_of(value: object, choices: object) -> bool:
    return isinstance(choices, list | tuple) and value in choices


def _not(value: object, other: object) -> bool:
    return not _OPS[other.op](value, other.value) if isinstance(other, Matcher) else value != other


def _holds(value: object, parts: object) -> bool:
    """Say whether a mapping holds at least these keys, with these values."""
    if not isinstance(value, Mapping) or not isinstance(parts, Mapping):
        return frozen(value) == frozen(parts)
    return all(name in value and frozen(value[name]) == frozen(part) for name, part in parts.items())


_OPS: Final[dict[str, Callable[[object, object], bool]]] = {
    "exactly": lambda value, wanted: value == wanted,
    "at_most": _at_most,
    "at_least": _at_least,
    "between": _between,
    "contains": _contains,
    "matches": _matches,
    "one_of": _one_of,
    "not": _not,
    "holds": _holds,
}


# -- in words --------------------------------------------------------------------------------------
# Each word as an infinitive, for what was expected, and as a statement, for what is looked for.
_WORDS: Final = {
    "exactly": ("to be {}", "is {}"),
    "at_most": ("to be at most {}", "is at most {}"),
    "at_least": ("to be at least {}", "is at least {}"),
    "between": ("to be between {}", "is between {}"),
    "one_of": ("to be one of {}", "is one of {}"),
    "contains": ("to contain {}", "contains {}"),
    "matches": ("to match {}", "matches {}"),
    "holds": ("to hold {}", "holds {}"),
}


def to_be(matcher: Matcher, *, spans: bool) -> str:
    """Return the matcher as it stands behind ``expected NAME``."""
    inner = _inner(matcher)
    return f"not {to_be(inner, spans=spans)}" if inner else _WORDS[matcher.op][0].format(_operand(matcher, spans=spans))


def that_is(matcher: Matcher, *, spans: bool) -> str:
    """Return the matcher as it stands behind ``NAME``."""
    inner = _inner(matcher)
    if inner is None:
        return _WORDS[matcher.op][1].format(_operand(matcher, spans=spans))
    positive = that_is(inner, spans=spans)
    return f"is not {positive.removeprefix('is ')}" if positive.startswith("is ") else f"never {positive}"


def say(value: object, *, spans: bool = False) -> str:
    """Return a value as it stands in a sentence."""
    if spans and isinstance(value, int):
        return format_duration(value)
    return "missing" if value is None else quoted(value)


def _inner(matcher: Matcher) -> Matcher | None:
    """Return what must not be, for a matcher that is a negation."""
    if matcher.op != "not":
        return None
    return matcher.value if isinstance(matcher.value, Matcher) else Matcher(op="exactly", value=matcher.value)


def _operand(matcher: Matcher, *, spans: bool) -> str:
    if matcher.op == "between":
        return " and ".join(say(bound, spans=spans) for bound in _pair(matcher.value))
    if matcher.op == "one_of" and isinstance(matcher.value, list | tuple):
        return ", ".join(say(choice, spans=spans) for choice in matcher.value)
    return say(matcher.value, spans=spans)


def _pair(bounds: object) -> tuple[object, object]:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise ValueError(f"between has {bounds!r}, expected a low and a high bound")
    return bounds[0], bounds[1]

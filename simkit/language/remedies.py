"""The way out of mistakes that a shape cannot explain by itself: what to write instead, guessed where it is likely.

The idea: an error says what was expected, and here is what it says after the dash. The constraint: a guess is made
only where one reading is much more likely than all others, because a wrong guess costs more than none. Remedies
beside each key of the table were refused: one slip would be explained in thirty ways.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from simkit.language.nodes import Node, Scalar
from simkit.language.shapes import Record

DURATIONS: Final = "write a number and a unit: 250ms, 90s, 15m, 1h30m"
BETWEEN: Final = "for two bounds write between: [low, high]"

_UNITS: Final[dict[str, str]] = {
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
}


def guess_duration(text: str) -> str:
    """Return the remedy for a text that is no duration, with a guess where the meaning is likely."""
    if clock := re.fullmatch(r"([0-9]{1,4}):([0-5][0-9])", text):
        return f"did you mean '{clock[1]}m{clock[2]}s'? {DURATIONS}"
    number = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)", text.strip())
    unit = _UNITS.get(number[2].lower()) if number else None
    return f"did you mean '{number[1]}{unit}'? {DURATIONS}" if number and unit else DURATIONS


def spaced(node: Node) -> str:
    """Recognise ``key:value``, which YAML takes for one word."""
    glued = isinstance(node, Scalar) and re.match(r"[a-z_]+:(?=\S)", node.text)
    return f"write a space after {glued[0]!r}" if glued else ""


def how_to_write(shape: Record) -> str:
    """Return the remedy for what should have been a record."""
    if shape.verbs:
        return f"write it as a key and its value, with one of {', '.join(v.key.name for v in shape.verbs)}"
    default = "" if any(key.required for key in shape.keys) else ", or {} for the defaults"
    return f"write it as keys and values: {', '.join(key.name for key in shape.keys)}{default}"


def homes_of(shape: Record, name: str) -> list[str]:
    """Return the keys of a record inside which this name is a key."""
    keys = (*shape.keys, *(verb.key for verb in shape.verbs))
    return [k.name for k in keys if isinstance(k.shape, Record) and any(inner.name == name for inner in k.shape.keys)]


def joined(names: Sequence[str]) -> str:
    """Return names as a person lists them: ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))

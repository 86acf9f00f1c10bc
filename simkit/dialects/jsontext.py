"""JSON as the real APIs write and read it: compact, UTF-8, without NaN.

The idea: one way out and one way in for every dialect. The constraint: what comes in may be anything at all,
so every way of not being JSON (bad UTF-8, NaN, a number of a million digits, nesting beyond the stack) is one
``ValueError``; and what goes out is real UTF-8, because a stream that is pure ASCII would never be cut inside
a character. Plain ``json.loads`` at each place was refused: it takes ``NaN``, which is no JSON and is not
even equal to itself.
"""

from __future__ import annotations

import json
from typing import NoReturn


def write_json(value: object) -> bytes:
    """Return the value as compact UTF-8 JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair has no UTF-8 form; escaped it is still the same JSON text.
        return json.dumps(value, separators=(",", ":")).encode()


def read_json(text: str | bytes) -> object:
    """Return the value that the text stands for. Raises ``ValueError`` whatever is wrong with it."""
    try:
        value: object = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON text is nested too deeply") from None
    return value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")

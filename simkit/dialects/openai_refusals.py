"""The 400s of api.openai.com, in its own words: what each kind of wrong parameter is answered.

The idea: the API checks a request against one schema, so a missing parameter, a wrong type, a number out of its range
always read the same, and only the place differs; one function a kind, for every dialect of that host. The constraint:
agents and gateways look for these sentences and codes, so they are the real ones, taken from bodies quoted in public
issues. Free texts at each check were refused: they would be close in meaning and match nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simkit.contracts import Refusal
from simkit.dialects.openai_errors import refusal

# What the API calls the kinds of JSON values; a number without a fraction is an integer.
_KINDS: Final[dict[type, str]] = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def missing(where: str) -> Refusal:
    """Refuse a request that lacks a parameter."""
    return refusal(f"Missing required parameter: {where!r}.", where, "missing_required_parameter")


def wrong_type(where: str, expected: str, value: object) -> Refusal:
    """Refuse a value of the wrong kind; ``expected`` has its article (``a string``)."""
    got = "null" if value is None else _KINDS[type(value)]
    return refusal(f"Invalid type for {where!r}: expected {expected}, but got {got} instead.", where, "invalid_type")


def unknown(where: str, value: object, known: Sequence[str]) -> Refusal:
    """Refuse a word that is none of those known."""
    *most, last = map(repr, known)
    names = f"{', '.join(most)}, and {last}" if len(most) > 1 else f"{''.join(most)} and {last}"
    return refusal(f"Invalid value: {value!r}. Supported values are: {names}.", where, "invalid_value")


def empty_array(where: str) -> Refusal:
    """Refuse a list without items where one is needed."""
    text = "Expected an array with minimum length 1, but got an empty array instead."
    return refusal(f"Invalid {where!r}: empty array. {text}", where, "empty_array")


def empty_string(where: str) -> Refusal:
    """Refuse a text without characters where one is needed."""
    text = "Expected a string with minimum length 1, but got an empty string instead."
    return refusal(f"Invalid {where!r}: empty string. {text}", where, "empty_string")


def too_long(where: str, text: str, length_max: int) -> Refusal:
    """Refuse a text that is longer than allowed."""
    said = f"Expected a string with maximum length {length_max}, but got a string with length {len(text)} instead."
    return refusal(f"Invalid {where!r}: string too long. {said}", where, "string_above_max_length")


def no_match(where: str, pattern: str) -> Refusal:
    """Refuse a name with characters that are not allowed."""
    said = f"Expected a string that matches the pattern '{pattern}'."
    return refusal(f"Invalid {where!r}: string does not match pattern. {said}", where, "invalid_value")


def out_of_range(where: str, kind: str, value: float, low: float | None, high: float | None) -> Refusal | None:
    """Refuse a number below ``low`` or above ``high``; None for one that is neither. ``kind`` is integer or decimal."""
    if low is not None and value < low:
        text = f"{kind} below minimum value. Expected a value >= {low:g}, but got {value} instead."
        return refusal(f"Invalid {where!r}: {text}", where, f"{kind}_below_min_value")
    if high is not None and value > high:
        text = f"{kind} above maximum value. Expected a value <= {high:g}, but got {value} instead."
        return refusal(f"Invalid {where!r}: {text}", where, f"{kind}_above_max_value")
    return None

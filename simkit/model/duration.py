"""Durations: text with a unit outside, integer nanoseconds inside.

The idea: one way to write a span of time (``250ms``, ``90s``, ``1h30m``, ``forever``) and one way to hold it,
so that sums are exact and equal plans stay equal. The constraint: a bare number is never a duration, because
``180`` read as seconds in one place and milliseconds in another is the mistake this room exists to prevent.
``datetime.timedelta`` was refused for its microseconds and its many parsers, none of which reads ``1h30m`` and
rejects ``1:30``.
"""

from __future__ import annotations

import re
from typing import Final

NS_PER_US: Final = 1_000
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

# Later than every horizon (292 years), and still an ordinary integer that can be added and compared.
FOREVER: Final = 2**63 - 1

# Largest first: the order in which parts must be written, and in which they are printed.
_UNITS: Final[dict[str, int]] = {
    "d": 86_400 * NS_PER_S,
    "h": 3_600 * NS_PER_S,
    "m": 60 * NS_PER_S,
    "s": NS_PER_S,
    "ms": NS_PER_MS,
    "us": NS_PER_US,
    "ns": 1,
}
_PART: Final = re.compile(r"([0-9]+)(?:\.([0-9]{1,9}))?(d|h|ms|us|ns|m|s)")

# A thousand years of nanoseconds: longer inputs are typing errors, and a bound keeps the arithmetic honest.
_DIGITS_MAX: Final = 20


def parse_duration(text: str) -> int:
    """Return the nanoseconds that ``text`` stands for; ``FOREVER`` for ``forever``.

    Raises ``ValueError`` naming the text when it is not a number and a unit, or units do not go from large to small.
    """
    if text == "forever":
        return FOREVER
    total, place, rank = 0, 0, -1
    names = list(_UNITS)
    while place < len(text):
        part = _PART.match(text, place)
        if part is None or len(part[1]) > _DIGITS_MAX or names.index(part[3]) <= rank:
            raise ValueError(f"{text!r} is not a duration")
        rank, place = names.index(part[3]), part.end()
        total += _nanoseconds(part[1], part[2] or "", _UNITS[part[3]])
    if not text:
        raise ValueError(f"{text!r} is not a duration")
    return min(total, FOREVER)


def _nanoseconds(whole: str, decimals: str, unit: int) -> int:
    return int(whole) * unit + (int(decimals) * unit // 10 ** len(decimals) if decimals else 0)


def format_duration(ns: int) -> str:
    """Return the shortest text that ``parse_duration`` reads back as ``ns``: ``90s``, ``9m``, ``1h30m``, ``250ms``."""
    if ns >= FOREVER:
        return "forever"
    if ns == 0:
        return "0s"
    # Below ten minutes people say 90s and 181s; a round number of minutes reads better as minutes.
    if ns % NS_PER_S == 0 and ns < 600 * NS_PER_S and ns % (60 * NS_PER_S):
        return f"{ns // NS_PER_S}s"
    parts = []
    for name, size in _UNITS.items():
        count, ns = divmod(ns, size)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts)


def format_instant(ns: int) -> str:
    """Return an instant as seconds with at least milliseconds, exact: ``540.000s``, ``0.000000001s``."""
    seconds, rest = divmod(ns, NS_PER_S)
    decimals = f"{rest:09d}".rstrip("0")
    return f"{seconds}.{decimals:0<3}s"

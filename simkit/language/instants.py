"""Dates and times of the wall clock: text outside, nanoseconds of the Unix epoch inside.

The idea: a scenario may begin on the night when clocks change or in the last second of a year, so the instant is
written in full, as ISO 8601, and with its offset from UTC. The constraint: the same text is the same instant on every
machine, so a time without an offset is refused rather than taken for local. YAML's own timestamps were refused: in
them the offset may be left out, and then means UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from simkit.model.duration import NS_PER_S

FORM: Final = "write it as 2026-03-29T00:59:00Z, or with an offset such as +02:00 in place of Z"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WRITTEN: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(Z|z|[+-]\d\d:\d\d)?", re.ASCII
)
# The wall clocks that can be shown: no time zone makes one negative, and a run of any length ends before 64 bits do.
FIRST_NS: Final = 86_400 * NS_PER_S
LAST_NS: Final = 7_289_654_399 * NS_PER_S  # 2200-12-31T23:59:59Z


def parse_instant(text: str) -> int:
    """Return the nanoseconds of the epoch that a date and time means. Raises ``ValueError`` saying what is wrong."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(f"{text!r} is not a date and time")
    day, minutes, seconds, decimals, offset = written.groups()
    if offset is None:
        raise ValueError(f"{text!r} does not say in which time zone")
    try:
        moment = datetime.fromisoformat(f"{day}T{minutes}:{seconds or '00'}{offset.upper()}")
    except ValueError as error:
        raise ValueError(f"{text!r} is on no calendar and no clock") from error
    return (moment - _EPOCH) // timedelta(seconds=1) * NS_PER_S + int(f"{decimals or '':0<9}")


def format_start(ns: int) -> str:
    """Return the text, in UTC, that ``parse_instant`` reads back as ``ns``."""
    seconds, rest = divmod(ns, NS_PER_S)
    moment = _EPOCH + timedelta(seconds=seconds)
    decimals = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{decimals}Z"

"""The traces as JSON lines: for each case its name, then one event a line.

The idea: equal traces give equal bytes, on every machine, so a plain comparison of two files answers whether
two runs were the same. The constraint: nothing that JSON cannot hold gets in, and no ``repr()``, which would
carry addresses of objects; keys are sorted, since equal mappings may be ordered differently. Seconds as
floats were refused for the instants: they are written as exact decimals from the nanoseconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from simkit.model.duration import format_instant
from simkit.model.redact import redact
from simkit.model.trace import Event
from simkit.model.verdict import Result

_HEAD: Final = ("at", "who", "what")

# Values that name a place in code, as ``file:line``; where the file lies on this machine is nobody's
# business.
_PLACES: Final = ("where", "created")

# Line ends for some readers, ordinary characters for JSON: escaped, so that all see the same lines.
_LINE_ENDS: Final = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


@dataclass(frozen=True, slots=True)
class JsonLinesReporter:
    """Renders ``{"case": ...}`` and then ``{"at": ..., "who": ..., "what": ..., ...}`` for each event."""

    name: str = "jsonl"

    def render(self, results: Sequence[Result]) -> str:
        """Return all lines of all cases, each ended by a newline."""
        return "".join(f"{line}\n" for result in results for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    yield case_line(result)
    for event in result.trace:
        yield event_line(event)


def case_line(result: Result) -> str:
    """Return the line that begins a case, without the newline."""
    scenario = result.scenario
    return _dump({"case": redact(f"{scenario.title}/{scenario.row}" if scenario.row else scenario.title)})


def event_line(event: Event) -> str:
    """Return one event as one line of JSON, without the newline."""
    instant = format_instant(event.at_ns).removesuffix("s")
    rest = _dump({"who": event.actor, "what": event.kind, **_values(event)})
    return f'{{"at": {instant}, {rest[1:]}'


def _values(event: Event) -> dict[str, object]:
    """Return the values by sorted names; a name that the head of the line needs carries the event's kind."""
    safe = _safe(redact({key: _portable(key, value) for key, value in event.values.items()}))
    values = safe if isinstance(safe, dict) else {}
    return {f"{event.kind}.{key}" if key in _HEAD else key: value for key, value in values.items()}


def _portable(key: str, value: object) -> object:
    if key in _PLACES and isinstance(value, str) and PurePath(value).is_absolute():
        return "/".join(PurePath(value).parts[-2:])
    return value


def _dump(values: Mapping[str, object]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False).translate(_LINE_ENDS)


def _safe(value: object) -> object:
    """Return the value as JSON can hold it, the same for equal values."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        # Half a surrogate pair cannot be written as UTF-8.
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(_safe(str(key))): _safe(value[key]) for key in sorted(value, key=str)}
    return _safe_items(value)


def _safe_items(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_safe(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_safe(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return f"<{type(value).__name__}>"


JSONL: Final = JsonLinesReporter()

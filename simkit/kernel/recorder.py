"""The recorder: the only door through which an event reaches a trace.

The idea: one place stamps, numbers and redacts every event, so no room can forget one of the three. The constraint:
once the verdict's facts are complete the recorder is closed, and what teardown does is not part of the run. Logging
from each room into its own list was refused: the order between rooms is the very thing a race is made of.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from simkit.kernel.clock import Clock
from simkit.model.redact import redact
from simkit.model.trace import Event, Trace

# Texts up to this length are remembered once they were looked through.
_SHORT: Final = 64


class Recorder:
    """Collects the events of one run."""

    __slots__ = ("_clock", "_closed", "_events")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: list[Event] = []
        self._closed = False

    def record(self, actor: str, kind: str, **values: object) -> None:
        """Write one event at the present instant; nothing once the recorder is closed."""
        if not self._closed:
            told = {name: _told(value) for name, value in values.items()}
            event = Event(len(self._events), self._clock.now_ns, actor, kind, told)
            self._events.append(event)

    def record_choice(self, number: int, kind: str, picked: str) -> None:
        """Write that a choice did not go the default way: of all events the most frequent one in a search."""
        if not self._closed:
            told = {"number": number, "choice": kind, "picked": _told(picked)}
            event = (len(self._events), self._clock.now_ns, "world", "choice", told)
            self._events.append(tuple.__new__(Event, event))

    def close(self) -> None:
        """End the trace: what happens from here on is teardown."""
        self._closed = True

    @property
    def trace(self) -> Trace:
        """Everything recorded so far, as a value."""
        return Trace(tuple(self._events))


def _told(value: object) -> object:
    """Return a value as the trace holds it: with its secrets masked, and never changing again."""
    if value is None or type(value) in (int, bool, float):
        return value
    if type(value) is str and len(value) <= _SHORT:
        return _told_word(value)
    return redact(_copied(value))


# Names of tasks, tools, kinds and the like come again and again, in every event.
_told_word: Final = lru_cache(maxsize=4096)(redact)


def _copied(value: object) -> object:
    """Return a copy of containers: a trace must not change when the agent goes on writing into what it told."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_copied(item) for item in value)
    return value

"""What is told of a script that is played on real sockets: its events, and a line of text for each that people want.

The idea: the events are those of a simulated run, so whoever can read a trace can read what a server saw. The
constraint: secrets leave no room in anything that is told, and a server that runs for weeks keeps no more than it was
told to keep. A logging library was refused: a line here is made of an event, and nothing else is worth a line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from simkit.errors import RunEndedError
from simkit.model.duration import NS_PER_MS, format_duration, format_instant
from simkit.model.redact import redact
from simkit.model.trace import Event, Trace

_FAILED: Final = 400
# Enough to see whether it is always the same.
_FAILURES_MAX: Final = 10
# How a stream ends when nothing is wrong with it.
_WELL: Final = "complete"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is no event of a script: what a client did wrong, what the server does."""

    text: str


Told = Event | Remark


class Journal:
    """Collects what happens, and tells it."""

    def __init__(self, tell: Callable[[Told], object] | None = None, events_max: int | None = None) -> None:
        self._tell = tell or (lambda told: None)
        self._events: deque[Event] = deque(maxlen=events_max)
        self._count = 0
        # Why the script could not go on, the first time that it could not.
        self.ended: RunEndedError | None = None
        # What went wrong in simkit itself, as far as it is kept.
        self.failures: list[Exception] = []

    @property
    def trace(self) -> Trace:
        """The events so far, as far as they are kept."""
        return Trace(tuple(self._events))

    def record(self, at_ns: int, actor: str, kind: str, **values: object) -> Event:
        """Write an event down, without its secrets."""
        event = Event(self._count, at_ns, actor, kind, {name: redact(value) for name, value in values.items()})
        self._count += 1
        self._events.append(event)
        self._tell(event)
        return event

    def end(self, reason: str, text: str) -> RunEndedError:
        """Note that the script cannot go on; return what is to be raised, without secrets."""
        text = str(redact(text))
        # Not the one that is raised: it would keep everything alive that it passes through.
        self.ended = self.ended or RunEndedError(reason, text)
        return RunEndedError(reason, text)

    def fail(self, error: Exception) -> None:
        """Note a mistake of simkit's own."""
        if len(self.failures) < _FAILURES_MAX:
            self.failures.append(error)

    def remark(self, text: str) -> None:
        """Tell something that is no event."""
        self._tell(Remark(str(redact(text))))


# -- for people ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, and whether it tells of a failure."""

    text: str
    bad: bool = False


def line_of(event: Event, *, all_of_them: bool = False) -> Line | None:
    """Return the line for an event: requests, answers and their ends; ``all_of_them`` adds every other."""
    what = _USUAL.get(event.kind)
    if what is None and not all_of_them:
        return None
    line = (what or _any)(event)
    # Whole milliseconds: the digits below are the machine's and not the script's.
    at = format_instant(event.at_ns // NS_PER_MS * NS_PER_MS)
    return Line(f"{at:>10}  {line.text}", line.bad)


def _request(event: Event) -> Line:
    how = [str(event.get("model") or "no model"), "stream" if event.get("stream") else "whole"]
    how += ["background"] if event.get("background") else []
    how += [f"retry {event.get('retry')}"] if event.get("retry") else []
    return Line(f"#{event.get('request')} {event.get('method')} {event.get('path')}  {' '.join(how)}")


def _response(event: Event) -> Line:
    status = cast(int, event.get("status"))
    return Line(f"#{event.get('request')} {status}{_where(event)}", status >= _FAILED)


def _end(event: Event) -> Line:
    how = str(event.get("how"))
    return Line(f"#{event.get('request')} {how.replace('_', ' ')}", how != _WELL)


def _invalid(event: Event) -> Line:
    return Line(f"#{event.get('request')} {event.get('status')} refused as the API does: {event.get('text')}", bad=True)


def _other(event: Event) -> Line:
    status = cast(int, event.get("status"))
    return Line(f"{event.get('method')} {event.get('host')} {event.get('path')}  {status}", status >= _FAILED)


def _job_request(event: Event) -> Line:
    told = f"{event.get('op')} {event.get('job')}  {event.get('status') or 'no answer'}"
    status = cast("int | None", event.get("status"))
    return Line(told + (f" {event.get('state')}" if event.get("state") else ""), status is None or status >= _FAILED)


def _refused(event: Event) -> Line:
    # What a listening socket can do for it, which is not quite what a host does that is not there.
    does = "accepted, and silent from here on" if event.get("how") == "timeout" else "accepted, and reset at once"
    return Line(f"{event.get('host')}  connection: {event.get('how')} ({does})", bad=True)


def _unused(event: Event) -> Line:
    left = event.get("left")
    times = "" if left in (None, 1) else f", {left} times"
    return Line(f"never asked for: answer {cast(int, event.get('answer')) + 1}{times}{_where(event)}", bad=True)


def _any(event: Event) -> Line:
    told = [f"{name}={_short(value)}" for name, value in event.values.items() if value not in (None, "", [])]
    return Line(f"  {event.kind}  {' '.join(told)}")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def _where(event: Event) -> str:
    return f"  line {event.get('line')}" if event.get("line") else ""


def _silence(event: Event) -> Line:
    return Line(f"#{event.get('request')} silent for {format_duration(cast(int, event.get('ns')))}{_where(event)}")


_SHORT: Final = 60
_USUAL: Final[dict[str, Callable[[Event], Line]]] = {
    "request": _request,
    "request.invalid": _invalid,
    "response": _response,
    "stream.end": _end,
    "silence": _silence,
    "job.request": _job_request,
    "other.request": _other,
    "connection.refused": _refused,
    "answer.unused": _unused,
}

"""The timeline of a run as text: user, agent, provider and tools side by side, one row an event.

The idea: each event is told in a few words in the lane of the one who did it, pieces of one stream are
joined, long silences are folded to one row, and the rows around the deciding events are kept. The constraint:
a deciding event is always there, alone in its row and marked, however much is left out around it. Columns
that wrap were refused: a row that is one line can be searched, compared and pasted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.model.duration import NS_PER_MS, NS_PER_S, format_duration, format_instant
from simkit.model.plan import FAULT_KINDS
from simkit.model.redact import redact
from simkit.model.trace import Event, Trace

_LANES: Final = ("user", "agent", "provider", "tools")
USER, AGENT, PROVIDER, TOOLS = range(len(_LANES))

# Where each lane begins, in hundredths of the width beside the time: the provider says most, the user
# least.
_STARTS: Final = (0, 18, 44, 74)
# On a terminal that is narrower, each row names its lane, and all begin at one column.
_LANES_WIDTH_MIN: Final = 60
_MARK_WIDTH: Final = 3
_COUNT_WIDTH: Final = 5
_TIME_WIDTH: Final = 11

# A shorter pause is seen well enough in the time column.
_SILENCE_NS_MIN: Final = 10 * NS_PER_S
# Pieces of a stream that come closer than this are told in one row.
_JOINED_NS_MAX: Final = NS_PER_S
# Choices that did not go the default way are told where there are so few; a search makes thousands.
_CHOICES_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The events that happened too often, in order, and how many of them are allowed."""

    events: tuple[int, ...] = ()
    limit: int = 0


NOTHING_COUNTED: Final = Counted()


@dataclass(slots=True)
class _Row:
    """One row to be: an event, or several pieces of one stream that follow each other closely."""

    first: Event
    last: Event
    lane: int
    text: str
    mark: int = 0
    keepalives: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the columns of a timeline stand. ``limit`` is that of the events that are counted, or None."""

    width: int
    limit: int | None = None

    @property
    def has_lanes(self) -> bool:
        """Whether there is room for the lanes side by side."""
        return self.width >= _LANES_WIDTH_MIN

    @property
    def beside(self) -> int:
        """Where the lanes begin."""
        return _MARK_WIDTH + (0 if self.limit is None else _COUNT_WIDTH) + _TIME_WIDTH + 2

    def start(self, lane: int) -> int:
        """Return where a lane begins."""
        return self.beside + ((self.width - self.beside) * _STARTS[lane] // 100 if self.has_lanes else 0)

    def head(self, mark: str, count: str, time: str) -> str:
        """Return what stands beside the lanes."""
        counter = "" if self.limit is None else f"{count:>{_COUNT_WIDTH - 1}} "
        return f"{mark:<{_MARK_WIDTH}}{counter}{time:>{_TIME_WIDTH}}  "


def timeline(
    trace: Trace,
    deciding: Iterable[int],
    *,
    width: int,
    rows_max: int | None,
    counted: Counted = NOTHING_COUNTED,
) -> list[str]:
    """Return the header and at most ``rows_max`` rows around the deciding events; None keeps every row.

    Where events are counted, a column of its own says which of them each row is, and a line where their limit is.
    """
    rows = _rows(trace, numbered(deciding), {n: index for index, n in enumerate(counted.events, 1)})
    columns = _Columns(width, counted.limit if counted.events else None)
    head = [_heading(columns), " " * _MARK_WIDTH + "-" * (width - _MARK_WIDTH)]
    if rows_max is None:
        return head + list(_render(rows, range(len(rows)), columns))
    near = _most_telling(rows)
    for size in range(min(rows_max, len(rows)), 0, -1):
        lines = list(_render(rows, _without_gaps_of_one(near[:size]), columns))
        # Folded silences and gaps take rows of their own, so the fit is tried and not computed.
        if len(lines) <= rows_max:
            return head + lines
    return head


def _without_gaps_of_one(kept: Sequence[int]) -> list[int]:
    """Return the rows in order, with those between two of them: to say that one is left out takes a row as well."""
    there = set(kept)
    return sorted(there | {i + 1 for i in kept if i + 2 in there} | ({0} if 1 in there else set()))


def numbered(deciding: Iterable[int]) -> dict[int, int]:
    """Return the number by which each deciding event is marked: from 1, as they happened."""
    return {n: index for index, n in enumerate(sorted(set(deciding)), 1)}


def _most_telling(rows: Sequence[_Row]) -> list[int]:
    """Return the marked rows, then the first, then those that are counted, each sort by its distance from a mark."""
    marked = [i for i, row in enumerate(rows) if row.mark] or [len(rows) - 1]
    distance = [min(abs(i - m) for m in marked) for i in range(len(rows))]
    return sorted(range(len(rows)), key=lambda i: (distance[i] > 0, i > 0, not rows[i].count, distance[i]))


# -- from events to rows ------------------------------------------------------------------------------
def _rows(trace: Trace, marks: Mapping[int, int], counts: Mapping[int, int]) -> list[_Row]:
    rows: list[_Row] = []
    keepalives = 0
    says = _SAYS if len(trace.of("choice")) > _CHOICES_MAX else {**_SAYS, "choice": (PROVIDER, _choice)}
    for event in trace:
        mark = marks.get(event.n, 0)
        if event.get("is") == "keepalive" and not mark:
            keepalives += 1
        elif _is_quiet(event) and not mark:
            continue
        elif mark or (event.kind in says and not (rows and _joined(rows[-1], event, keepalives))):
            lane, words = says.get(event.kind) or _RARELY.get(event.kind) or _OTHERS
            rows.append(_Row(event, event, lane, printable(words(event)), mark, keepalives, counts.get(event.n, 0)))
            keepalives = 0
    return rows


def _is_quiet(event: Event) -> bool:
    """Say whether an event says nothing to people: structure of the wire, and the tokens that a turn has counted."""
    return event.get("is") == "mark" or (event.kind == "note" and event.get("name") == "usage")


def _joined(row: _Row, event: Event, keepalives: int) -> bool:
    """Add a piece to the row before it, where both are of one text or one call; say whether that was so."""
    last = row.last
    apart = row.mark or keepalives or event.at_ns - last.at_ns > _JOINED_NS_MAX
    if apart or any(last.get(name) != event.get(name) for name in ("request", "index")):
        return False
    if event.get("is") not in _CONTINUES or last.get("is") not in _CONTINUES[str(event.get("is"))]:
        return False
    # The first piece of arguments stands apart from the tool's name.
    apart_from_name = " " if last.get("is") == "call" and not last.get("text") else ""
    row.text += apart_from_name + printable(str(event.get("text") or ""))
    row.last = event
    return True


# What a piece can be added to.
_CONTINUES: Final = {"say": ("say",), "think": ("think",), "args": ("call", "name", "args")}


def printable(text: str) -> str:
    """Return a text as one line without secrets; what a terminal would obey instead of print is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(redact(text)))


# -- from rows to lines ---------------------------------------------------------------------------------
def _render(rows: Sequence[_Row], kept: Sequence[int], columns: _Columns) -> Iterator[str]:
    before = -1
    for i in kept:
        if i > before + 1:
            yield _folded(_left_out(i - before - 1, "more"), columns)
        elif i > 0:
            yield from _silence(rows[before], rows[i], columns)
        if columns.limit is not None and rows[i].count == columns.limit + 1:
            yield _limit(columns.limit, columns.width)
        yield _row(rows[i], columns)
        before = i
    if before < len(rows) - 1:
        yield _folded(_left_out(len(rows) - 1 - before, "later"), columns)


def _left_out(count: int, which: str) -> str:
    return f"... {count} {which} event{'' if count == 1 else 's'} ..."


def _limit(limit: int, width: int) -> str:
    return f"{'':{_MARK_WIDTH}}{f'---- limit: {limit} ':-<{width - _MARK_WIDTH}}"


def _silence(before: _Row, row: _Row, columns: _Columns) -> Iterator[str]:
    ns = row.first.at_ns - before.last.at_ns
    if ns < _SILENCE_NS_MIN:
        return
    if row.keepalives:
        yield _folded(f"... {about(ns)} of nothing but keep-alives ({row.keepalives}) ...", columns)
    else:
        yield _folded(f"... {about(ns)} of silence ...", columns)


def about(ns: int) -> str:
    """Return a span as people say it: whole seconds below ten minutes, no fractions that nobody asked for."""
    if ns < 600 * NS_PER_S:
        digits = 0 if ns % NS_PER_S < NS_PER_MS else 1
        return f"{ns / NS_PER_S:.{digits}f}s"
    return format_duration(round(ns / NS_PER_S) * NS_PER_S)


def _heading(columns: _Columns) -> str:
    line = columns.head("", "#", "time")
    if not columns.has_lanes:
        return f"{line}what happened"
    for lane, name in enumerate(_LANES):
        line = f"{line:<{columns.start(lane)}}{name}"
    return line


def _row(row: _Row, columns: _Columns) -> str:
    width = columns.width
    head = columns.head(f"{row.mark}>" if row.mark else "", str(row.count) if row.count else "", _time(row.first.at_ns))
    if not columns.has_lanes:
        return cut(f"{head}{_LANES[row.lane]}: {row.text}", width)
    # A text may run on into the empty lanes at its right, and moves left, into those, when it would not
    # fit.
    start = max(columns.start(min(row.lane, PROVIDER)), min(columns.start(row.lane), width - len(row.text)))
    return cut(f"{head:<{start}}{row.text}", width)


def _folded(text: str, columns: _Columns) -> str:
    return cut(" " * columns.start(AGENT) + text, columns.width)


def _time(at_ns: int) -> str:
    """Return an instant to the millisecond, rounded down like every clock."""
    return format_instant(at_ns - at_ns % NS_PER_MS)


def cut(text: str, width: int) -> str:
    """Return the text, shortened with dots to the width."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


# -- what each event says -------------------------------------------------------------------------------
def _request(event: Event) -> str:
    retry = f" (SDK retry {event.get('retry')})" if event.get("retry") else ""
    return f"request {event.get('request')}{retry} -->"


def _response(event: Event) -> str:
    after = f", retry-after {event.get('retry_after')}" if event.get("retry_after") else ""
    return f"{_tag(event)} {event.get('status')}{after}"


def _frame(event: Event) -> str:
    times = event.get("times")
    return f"{_tag(event)} {_piece(event)}" + (f" ({times} times)" if isinstance(times, int) and times > 1 else "")


def _piece(event: Event) -> str:
    what, text = event.get("is"), str(event.get("text") or "")
    if what == "say":
        return text
    if what == "call":
        return f"call {event.get('tool')} {text}".rstrip()
    if what == "args":
        return f"args {text}"
    return f"{what} {text}".rstrip()


def _stream_end(event: Event) -> str:
    finish = event.get("finish") or ("done" if event.get("done") else "no finish")
    if event.get("error") is not None:
        finish = f"error: {event.get('error')}"
    how = {"complete": "ends", "client_closed": "closed by the client"}.get(str(event.get("how")), event.get("how"))
    return f"{_tag(event)} {how} ({finish})"


def _job_request(event: Event) -> str:
    after = "" if event.get("after") is None else f" after {event.get('after')}"
    state = f" ({event.get('state')})" if event.get("state") else ""
    return f"{event.get('op')} {event.get('job')}{after}: {event.get('status')}{state}"


def _tag(event: Event) -> str:
    """Return the number of the request that the provider speaks of."""
    return f"[{event.get('request')}]"


def _tool_end(event: Event) -> str:
    return f"{event.get('tool')} {event.get('outcome')} {_short(event.get('result'))}".rstrip()


def safe_values(event: Event) -> Mapping[str, object]:
    """Return the values of an event with every secret among them masked."""
    safe = redact(event.values)
    return safe if isinstance(safe, Mapping) else {}


def _note(event: Event) -> str:
    # Masked while the names stand beside the values.
    values = (f"{key}={_short(value)}" for key, value in safe_values(event).items() if key != "name")
    return f"{event.get('name')} {' '.join(values)}".rstrip()


def _orphan(event: Event) -> str:
    waits = f", waiting for {event.get('waits')}" if event.get("waits") else ""
    return f"left over: {event.get('what')} {event.get('name')}{waits}"


def _loop_blocked(event: Event) -> str:
    ns = event.get("ns")
    span = f" for {format_duration(ns)}" if isinstance(ns, int) else ""
    return f"its event loop stood still{span}: {event.get('waits')}{_place(event)}"


def _spin(event: Event) -> str:
    return f"turns in circles, {event.get('steps')} steps at one instant{_place(event)}"


def _link_fault(event: Event) -> str:
    ns, connections = event.get("ns"), event.get("connections")
    span = f" for {format_duration(ns)}" if isinstance(ns, int) else ""
    many = f" ({connections} connection{'' if connections == 1 else 's'})" if connections else ""
    how = f" {event.get('how')}" if event.get("how") else ""
    return f"the link to {event.get('host')}: {event.get('fault')}{how}{span}{many}"


def _place(event: Event) -> str:
    return f", {event.get('where')}" if event.get("where") else ""


def _run_end(event: Event) -> str:
    # What there is to say of it is a finding.
    reason = str(event.get("reason")).replace("_", " ")
    return "the run ends" if reason == "returned" else f"the run ends: {reason}"


def _raised(event: Event) -> str:
    error, text = str(event.get("error")), str(event.get("text") or "")
    return f"raises {error}: {text.removeprefix(f'{error}: ')}"


def _choice(event: Event) -> str:
    return f"choice of {event.get('choice')}: {event.get('picked')}"


def _fault(event: Event) -> str:
    kind = str(event.get("fault"))
    says = FAULT_KINDS.get(kind, "").rstrip(".")
    return f"{kind}@{event.get('site')}: {says[:1].lower()}{says[1:]}"


def _turn_end(event: Event) -> str:
    return f"turn {event.get('turn')}: {event.get('outcome')}"


def _other(event: Event) -> str:
    values = (f"{key}={_short(value)}" for key, value in event.values.items() if value is not None)
    return f"{event.kind} {' '.join(values)}".rstrip()


def _short(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(redact(value), default=lambda odd: type(odd).__name__)


def _quoted(prefix: str) -> Callable[[Event], str]:
    return lambda event: f'{prefix}"{event.get("text")}"'


_OTHERS: Final[tuple[int, Callable[[Event], str]]] = (PROVIDER, _other)

# Kind -> lane and words, for what is shown only when it decides; everything else is told as it is.
_RARELY: Final[dict[str, tuple[int, Callable[[Event], str]]]] = {
    "link.unused": (PROVIDER, lambda e: f"the link to {e.get('host')}: {e.get('fault')} struck nothing"),
    "connection.close": (PROVIDER, lambda e: f"connection closed by the {e.get('by')} ({e.get('how')})"),
    "silence": (PROVIDER, lambda e: f"{_tag(e)} falls silent"),
    "answer.unused": (PROVIDER, lambda e: f"the answer in line {e.get('line')} was not used"),
}

# Kind -> lane and words, for what is always shown.
_SAYS: Final[dict[str, tuple[int, Callable[[Event], str]]]] = {
    "user.says": (USER, _quoted("")),
    "user.cancels": (USER, lambda e: "cancels" if e.get("heard") else "cancels, and nothing is under way"),
    "user.leaves": (USER, lambda e: "leaves"),
    "user.note": (USER, _quoted("note: ")),
    "tool.effect": (TOOLS, lambda e: f"{e.get('tool')} has done: {e.get('text')}"),
    "request": (AGENT, _request),
    "other.request": (PROVIDER, lambda e: f"{e.get('method')} {e.get('path')} {e.get('status')}"),
    "request.invalid": (PROVIDER, lambda e: f"{_tag(e)} {e.get('status')} {e.get('text')}"),
    "response": (PROVIDER, _response),
    "frame": (PROVIDER, _frame),
    "stream.end": (PROVIDER, _stream_end),
    "job.request": (PROVIDER, _job_request),
    "job.state": (PROVIDER, lambda e: f"job {e.get('job')} is {str(e.get('state')).replace('_', ' ')}"),
    "link.fault": (PROVIDER, _link_fault),
    "connection.refused": (PROVIDER, lambda e: f"connection {e.get('how')} ({e.get('host')})"),
    "tool.start": (TOOLS, lambda e: f"{e.get('tool')} starts"),
    "tool.end": (TOOLS, _tool_end),
    "turn.end": (AGENT, _turn_end),
    "said": (AGENT, _quoted("says ")),
    "note": (AGENT, _note),
    "subject.raised": (AGENT, _raised),
    "fault": (PROVIDER, _fault),
    "orphan": (AGENT, _orphan),
    "loop.blocked": (AGENT, _loop_blocked),
    "spin": (AGENT, _spin),
    "lost.error": (AGENT, lambda e: f"lost {e.get('error')}: {e.get('text')}"),
    "run.end": (AGENT, _run_end),
}

"""A run as a trace that Perfetto opens: lanes as tracks, spans as slices, everything else as instants.

The idea: whoever wants to zoom, search and measure has a tool for it already, so a run is written in the JSON form that
this tool, and every other reader of the Trace Event Format, takes. The constraint: slices of one track nest or do not
touch, as the format demands, so spans that overlap get tracks of their own. Perfetto's binary form was refused: it
needs a generated library, and nobody can read it without one. So were flow arrows: they join slices, and most causes
in a run are instants.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.model.redact import redact
from simkit.model.trace import Event
from simkit.model.verdict import Result
from simkit.reporters.jsonl import event_line
from simkit.reporters.lanes import printable
from simkit.reporters.sentences import LANES, tell
from simkit.reporters.spans import Span, spans

_NS_PER_US: Final = 1_000
# So many tracks fit into one lane before the numbers of the next one begin.
_TRACKS_PER_LANE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class PerfettoReporter:
    """Renders one JSON object of the Trace Event Format; each case is a process of its own."""

    name: str = "perfetto"

    def render(self, results: Sequence[Result]) -> str:
        """Return the document, with a final newline."""
        return perfetto(results)


def perfetto(results: Sequence[Result], kept: Sequence[int] | None = None) -> str:
    """Return the document for these results; ``kept`` names the events that are written, None meaning all of them."""
    events = [one for pid, result in enumerate(results, 1) for one in _process(result, pid, kept)]
    document = {"displayTimeUnit": "ms", "otherData": {"clock": "virtual"}, "traceEvents": events}
    return json.dumps(redact(document), ensure_ascii=False, separators=(",", ":")) + "\n"


def _process(result: Result, pid: int, kept: Sequence[int] | None) -> Iterator[dict[str, object]]:
    trace = result.trace
    shown = set(range(len(trace))) if kept is None else set(kept)
    slices = _tracks([span for span in spans(trace) if span.first in shown])
    yield _named("process_name", pid, 0, printable(result.scenario.name))
    tids = {_track(lane, 0) for lane in range(len(LANES))} | {tid for tid, _ in slices}
    for tid in sorted(tids):
        yield _named("thread_name", pid, tid, LANES[tid // _TRACKS_PER_LANE - 1])
        yield {"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "ts": 0, "args": {"sort_index": tid}}
    yield from (_slice(span, pid, tid) for tid, span in slices)
    yield from (_instant(event, pid) for event in trace if event.n in shown)


def _named(what: str, pid: int, tid: int, name: str) -> dict[str, object]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}}


def _track(lane: int, row: int) -> int:
    return (lane + 1) * _TRACKS_PER_LANE + row


def _tracks(found: Sequence[Span]) -> list[tuple[int, Span]]:
    """Give each span a track: below the lane's own, which has the instants, the first where it overlaps nothing."""
    ends: dict[int, list[int]] = {}
    placed = []
    for span in sorted(found, key=lambda span: (span.from_ns, span.first)):
        rows = ends.setdefault(span.lane, [])
        row = next((i for i, end in enumerate(rows) if end <= span.from_ns), len(rows))
        rows[row : row + 1] = [span.to_ns]
        placed.append((_track(span.lane, row + 1), span))
    return placed


def _slice(span: Span, pid: int, tid: int) -> dict[str, object]:
    name = f"{span.name} (still open)" if span.is_open else span.name
    return {
        "ph": "X",
        "name": name,
        "cat": span.sort,
        "pid": pid,
        "tid": tid,
        "ts": _us(span.from_ns),
        "dur": _us(span.to_ns - span.from_ns),
        "args": {"first event": span.first, "last event": span.last},
    }


def _instant(event: Event, pid: int) -> dict[str, object]:
    told = tell(event)
    return {
        "ph": "i",
        "s": "t",
        "name": told.text,
        "cat": event.kind,
        "pid": pid,
        "tid": _track(told.lane, 0),
        "ts": _us(event.at_ns),
        # The same values in the same form as the JSON lines have them.
        "args": {"n": event.n, **json.loads(event_line(event))},
    }


def _us(ns: int) -> float | int:
    """Return microseconds, the unit of the format: whole where they are, else with decimals."""
    return ns // _NS_PER_US if ns % _NS_PER_US == 0 else ns / _NS_PER_US


PERFETTO: Final = PerfettoReporter()

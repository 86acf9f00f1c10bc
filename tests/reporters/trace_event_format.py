"""What the Trace Event Format asks of a document, as a list of what is wrong with one.

The idea: the rules of the format's description (JSON object form) that concern what we write: the fields that every
event has, those of its phase, and that slices of one track nest. The constraint: a phase that is not in the table is a
fault, so nothing is taken for granted. Opening the viewer in a test was refused: it lives on a server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

# Phase -> the fields that an event of it must have beside those of every event.
PHASES: Mapping[str, tuple[str, ...]] = {"X": ("dur",), "i": ("s",), "M": ("args",)}
METADATA = ("process_name", "process_labels", "process_sort_index", "thread_name", "thread_sort_index")


def faults_of(text: str) -> list[str]:
    """Return what is wrong with a document, a sentence each."""
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("traceEvents"), list):
        return ["there is no list of events"]
    faults = [] if document.get("displayTimeUnit", "ms") in ("ms", "ns") else ["the time unit is neither ms nor ns"]
    if not document["traceEvents"]:
        faults.append("there are no events")
    faults += [f"event {i}: {fault}" for i, event in enumerate(document["traceEvents"]) for fault in _faults(event)]
    return faults or list(_crossing(document["traceEvents"]))


def _faults(event: Mapping[str, object]) -> Iterator[str]:
    phase = event.get("ph")
    if phase not in PHASES:
        yield f"{phase!r} is no phase"
        return
    for field in ("name", "ts", "pid", "tid", *PHASES[str(phase)]):
        if field not in event:
            yield f"has no {field}"
    for field in ("ts", "dur"):
        value = event.get(field, 0)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            yield f"{field} is {value!r}, expected microseconds"
    for field in ("pid", "tid"):
        if not isinstance(event.get(field, 0), int):
            yield f"{field} is {event[field]!r}, expected a whole number"
    if not isinstance(event.get("name", ""), str) or not isinstance(event.get("cat", ""), str):
        yield "its name and category are not text"
    if not isinstance(event.get("args", {}), dict):
        yield "its args are no object"
    if phase == "i" and event.get("s") not in ("g", "p", "t"):
        yield f"its scope is {event.get('s')!r}"
    if phase == "M" and event.get("name") not in METADATA:
        yield f"{event.get('name')!r} is no metadata"


def _crossing(events: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the slices of one track of which neither holds the other, though they overlap."""
    tracks: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for event in events:
        if event["ph"] == "X":
            spans = tracks.setdefault((event["pid"], event["tid"]), [])
            spans.append((event["ts"], event["ts"] + event["dur"]))
    for track, spans in tracks.items():
        for one in spans:
            for other in spans:
                if one[0] < other[0] < one[1] < other[1]:
                    yield f"track {track}: {one} crosses {other}"

from __future__ import annotations

from simkit.model.trace import Event, Trace

TRACE = Trace(
    tuple(Event(n, n * 10, "world", kind, {"i": n}) for n, kind in enumerate(["run.start", "note", "said", "note"]))
)


def test_events_are_picked_by_kind_in_order() -> None:
    assert [e.n for e in TRACE.of("note", "said")] == [1, 2, 3]


def test_a_value_that_an_event_does_not_carry_is_none() -> None:
    assert [TRACE.of("said")[0].get(name) for name in ("i", "text")] == [2, None]


def test_a_trace_ends_with_its_last_event() -> None:
    assert [(len(t), t.end_ns) for t in (Trace(), TRACE)] == [(0, 0), (4, 30)]


def test_traces_of_equal_events_are_one_run() -> None:
    assert Trace(tuple(Event(*e) for e in TRACE)) == TRACE

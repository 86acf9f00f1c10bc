"""The normal run beside the failing one."""

from __future__ import annotations

from simkit.model.trace import Trace
from simkit.reporters.page.difference import Difference, Row, difference
from tests.checks.traces import Story


def notes(*texts: str, at: str = "0s") -> Story:
    story = Story().at(at)
    for text in texts:
        story.event("subject", "note", name=text)
    return story


def told(found: Difference) -> list[tuple[str, object, object]]:
    """Return sort and names of each row; of a fold, how many rows are in it."""
    return [("folded", row.count, None) if row.sort == "folded" else _named(row) for row in found.rows]


def _named(row: Row) -> tuple[str, object, object]:
    normal, failing = (event.get("name") if event else None for event in (row.normal, row.failing))
    return row.sort, normal, failing


def test_equal_runs_have_no_divergence() -> None:
    found = difference(notes("a", "b").trace, notes("a", "b").trace)
    assert (told(found), found.first) == ([("same", "a", "a"), ("same", "b", "b")], None)


def test_an_event_that_only_one_run_has_stands_alone_and_is_the_first_divergence() -> None:
    found = difference(notes("a", "c").trace, notes("a", "b", "c").trace)
    assert (told(found), found.first) == ([("same", "a", "a"), ("only failing", None, "b"), ("same", "c", "c")], 1)


def test_the_same_event_at_another_instant_has_moved() -> None:
    found = difference(notes("a", at="1s").trace, notes("a", at="2s").trace)
    assert (told(found), found.first) == ([("moved", "a", "a")], 0)


def test_events_of_one_kind_with_other_values_stand_beside_each_other() -> None:
    one, other = Story().says("x").turn_ends("finished").trace, Story().says("x").turn_ends("failed").trace
    assert [row.sort for row in difference(one, other).rows] == ["same", "changed"]


def test_long_equal_stretches_are_folded() -> None:
    many = [f"n{i}" for i in range(20)]
    found = difference(notes(*many, "x").trace, notes(*many, "y").trace)
    assert told(found)[2:6] == [
        ("same", "n2", "n2"),
        ("folded", 14, None),
        ("same", "n17", "n17"),
        ("same", "n18", "n18"),
    ]
    assert found.rows[found.first or 0].sort == "only normal"


def test_a_run_that_goes_on_alone_is_folded_too_and_bounded() -> None:
    found = difference(notes("a").trace, notes("a", *["b"] * 5_000).trace)
    assert (len(found.rows), found.left) == (22, 4_400)


def test_a_run_can_be_compared_with_an_empty_one() -> None:
    found = difference(Trace(), notes("a").trace)
    assert (told(found), found.first) == ([("only failing", None, "a")], 0)

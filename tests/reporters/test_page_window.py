"""What of a long run a page holds."""

from __future__ import annotations

import json

import pytest

from simkit.model.trace import Event, Trace
from simkit.reporters.page.window import BYTES_MAX, EVENTS_MAX, Window, window


def trace(count: int, text: str = "") -> Trace:
    return Trace(tuple(Event(n, n, "subject", "note", {"text": text}) for n in range(count)))


def numbers(shown: Window) -> list[int]:
    return [event.n for event in shown.events]


def test_a_short_run_is_whole_and_nothing_is_said_of_it() -> None:
    shown = window(trace(EVENTS_MAX), [7])
    assert (numbers(shown), shown.said) == (list(range(EVENTS_MAX)), "")


def test_a_long_run_keeps_its_ends_and_what_surrounds_the_deciding_events() -> None:
    shown = window(trace(200_000), [70_000, 150_000])
    kept = numbers(shown)
    radius = EVENTS_MAX // 8
    assert len(kept) <= EVENTS_MAX
    assert [n in kept for n in (0, 199_999, 70_000 - radius, 70_000 + radius, 150_000, 100_000)] == [*[True] * 5, False]
    assert shown.said == (
        f"This page holds {len(kept):,} of the 200,000 events of the run: its beginning, its end, and what happened "
        "around the events that decided the verdict. simkit run with --trace writes all of it."
    )


def test_a_run_that_nothing_decided_keeps_its_ends() -> None:
    kept = numbers(window(trace(10_000), []))
    assert (kept[0], kept[-1], 5_000 in kept) == (0, 9_999, False)


def test_of_very_many_deciding_events_the_first_and_the_last_ones_are_kept() -> None:
    kept = numbers(window(trace(200_000), range(0, 200_000, 100)))
    assert (len(kept) <= EVENTS_MAX, 100 in kept, 199_900 in kept, 100_000 in kept) == (True, True, True, False)


def test_a_run_of_very_large_events_is_cut_to_the_bytes_that_a_page_may_have() -> None:
    shown = window(trace(500, "x" * 100_000), [250])
    assert sum(map(len, shown.lines)) <= BYTES_MAX
    assert [n in numbers(shown) for n in (0, 250, 499)] == [True, True, True]


def test_a_single_huge_event_is_shortened_and_says_so() -> None:
    body = {"messages": [{"content": "x" * 1_000_000}] * 50, "text": "y" * 300_000}
    shown = window(Trace((Event(0, 0, "provider", "request", {"body": body}),)), [0])
    values = json.loads(shown.lines[0])["body"]
    assert (len(shown.lines[0]) < 300_000, values["messages"][0]) == (True, "... 30 earlier items")
    assert values["text"].endswith("... 290,000 more characters")
    assert shown.said == "Very long texts are shortened. simkit run with --trace writes all of it."


@pytest.mark.parametrize("deciding", [[], [5], [-1]])
def test_a_run_without_events_has_an_empty_window(deciding: list[int]) -> None:
    assert numbers(window(Trace(), deciding)) == []

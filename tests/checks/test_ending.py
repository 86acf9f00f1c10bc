from __future__ import annotations

from simkit.checks.ending import ENDS
from tests.checks.traces import Story, asked


def test_a_run_that_was_stopped_is_found_with_the_worlds_own_words() -> None:
    story = Story().at("42.1s").returns("deadlock", "task 'main' waits for a lock")

    assert asked(ENDS, story) == ["nothing can happen any more at 42.100s: task 'main' waits for a lock"]


def test_a_subject_that_raises_is_found_once() -> None:
    story = Story().at("2s").event("subject", "subject.raised", error="KeyError", text="'x'", where="loop.py:3")

    assert asked(ENDS, story.returns("raised")) == ["the subject raised KeyError at loop.py:3 at 2.000s: 'x'"]


def test_a_reason_that_is_new_to_the_law_is_still_a_finding() -> None:
    assert asked(ENDS, Story().returns("meteor")) == ["the run was ended (meteor) at 0.000s"]


def test_a_subject_that_returns_has_ended_well() -> None:
    assert asked(ENDS, Story().turn().turn_ends().event("subject", "subject.returned").returns()) == []


def test_a_trace_without_an_end_holds_no_facts_about_it() -> None:
    assert asked(ENDS, Story().turn()) == ["not applicable: the trace does not say how the run ended"]

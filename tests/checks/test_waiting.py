from __future__ import annotations

import pytest

from simkit.checks.waiting import LOOP_NOT_BLOCKED, NO_BUSY_POLLING
from simkit.contracts import Law
from simkit.model.duration import parse_duration
from tests.checks.traces import Story, asked, found


def blocked(story: Story, span: str, where: str = "tools.py:7", waits: str = "time.sleep(2)") -> Story:
    return story.event("world", "loop.blocked", ns=parse_duration(span), where=where, waits=waits)


def spun(story: Story, steps: int, where: str = "agent.py:9") -> Story:
    return story.event("world", "spin", steps=steps, where=where, alive="alive: poll")


# -- loop_not_blocked -----------------------------------------------------------------------------------
def test_a_loop_that_stands_still_is_found_with_the_line_that_is_to_blame() -> None:
    findings = found(LOOP_NOT_BLOCKED, blocked(Story().at("5s"), "2s").returns())

    text = (
        "the event loop stood still for 2s, from 3.000s to 5.000s, because its own thread waited for time.sleep(2) at "
        "tools.py:7; at most 100ms is allowed"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (0,))]


def test_the_same_line_is_told_once_at_its_worst_with_its_number() -> None:
    story = Story()
    for second in range(1, 6):
        blocked(story.at(f"{second * 10}s"), f"{second}s", waits=f"time.sleep({second})")
    findings = found(LOOP_NOT_BLOCKED, blocked(story, "3s", where="", waits="run 2 of grep").returns())

    assert [(f.text.partition(", because ")[2], f.events) for f in findings] == [
        ("its own thread waited for time.sleep(5) at tools.py:7 (5 times in all); at most 100ms is allowed", (0, 1, 2)),
        ("its own thread waited for run 2 of grep; at most 100ms is allowed", (5,)),
    ]


@pytest.mark.parametrize("span", ["1ms", "99ms", "100ms"])
def test_a_short_wait_is_no_fault(span: str) -> None:
    assert asked(LOOP_NOT_BLOCKED, blocked(Story().at("5s"), span).returns()) == []


def test_the_limit_is_the_scenarios_to_set() -> None:
    assert asked(LOOP_NOT_BLOCKED, blocked(Story().at("5s"), "2s").returns(), parse_duration("2s")) == []


# -- no_busy_polling ------------------------------------------------------------------------------------
def test_each_stretch_of_turning_in_circles_is_found_once() -> None:
    story = Story().at("1s")
    for steps in (11_000, 21_000, 31_000):
        spun(story, steps)
    findings = found(NO_BUSY_POLLING, spun(story.at("9s"), 11_000, where="").returns())

    circles = "steps or more were taken without waiting for anything"
    so = "this asks again and again instead of waiting"
    assert [(f.text, f.events) for f in findings] == [
        (f"from 1.000s on, 31000 {circles}, at agent.py:9: {so}", (0, 2)),
        (f"from 9.000s on, 11000 {circles}, alive: poll: {so}", (3,)),
    ]


# -- both -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("law", [LOOP_NOT_BLOCKED, NO_BUSY_POLLING])
def test_a_subject_that_waits_as_it_should_is_not_accused(law: Law) -> None:
    assert asked(law, Story().turn().request(1).answer(1).turn_ends().at("9s").returns()) == []


@pytest.mark.parametrize("law", [LOOP_NOT_BLOCKED, NO_BUSY_POLLING])
def test_nothing_is_said_of_a_trace_that_no_world_has_written(law: Law) -> None:
    assert asked(law, Story().request(1).answer(1)) == [
        "not applicable: the trace is not that of a whole run in a world"
    ]

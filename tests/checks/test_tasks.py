from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.checks.tasks import NO_LOST_ERRORS, NO_ORPHANS
from simkit.contracts import Law
from simkit.model.scenario import ToolSpec
from tests.checks.traces import SCENARIO, Story, asked, found


def orphan(story: Story, name: str) -> Story:
    return story.event("world", "orphan", what="task", name=name, created="loop.py:12", waits="a timer at 60.000s")


def test_a_task_that_is_left_over_is_found_with_its_origin() -> None:
    findings = found(NO_ORPHANS, orphan(Story().at("3s"), "poll").returns())

    text = (
        "the task 'poll' was still alive when the run ended at 3.000s, created at loop.py:12, "
        "waiting for a timer at 60.000s"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (0,))]


def test_equal_leftovers_are_one_finding_with_their_number() -> None:
    story = Story()
    for _ in range(1000):
        orphan(story, "poll")
    findings = found(NO_ORPHANS, orphan(story, "other").returns())

    assert [(f.text[-14:], f.events) for f in findings] == [
        ("(1000 of them)", (0, 1, 2)),
        ("timer at 60.000s"[-14:], (1000,)),
    ]


def test_an_error_that_nobody_took_is_found() -> None:
    story = Story().event("world", "lost.error", error="ValueError", text="bad args", where="loop.py:9").returns()

    assert asked(NO_LOST_ERRORS, story) == ["ValueError from loop.py:9 was raised and never taken by anybody: bad args"]


@pytest.mark.parametrize("law", [NO_ORPHANS, NO_LOST_ERRORS])
@pytest.mark.parametrize("reason", ["returned", "raised"])
def test_a_subject_that_cleans_up_is_not_accused(law: Law, reason: str) -> None:
    assert asked(law, Story().turn().returns(reason)) == []


@pytest.mark.parametrize("law", [NO_ORPHANS, NO_LOST_ERRORS])
@pytest.mark.parametrize("story", [Story().turn(), Story().turn().returns("deadlock")])
def test_leftovers_are_not_judged_before_the_subject_ended(law: Law, story: Story) -> None:
    assert asked(law, story) == ["not applicable: the subject did not come to its end, so nothing was left behind yet"]


# -- what nobody could have ended --
DEAF = replace(SCENARIO, tools={"deploy": ToolSpec(name="deploy", ignores_cancel=True), "mail": ToolSpec(name="mail")})


def left_running(tool: str, *, struck: bool = True) -> Story:
    """A session that ends while this tool runs in a task called after it."""
    story = Story().event("world", "fault", site="user1", fault="cancel") if struck else Story()
    return orphan(story.starts(tool), f"tool {tool} call_1").returns()


@pytest.mark.parametrize(
    ("story", "alarms"),
    [
        (left_running("deploy"), 0),
        (left_running("deploy", struck=False), 1),
        (left_running("mail"), 1),
        (orphan(left_running("deploy"), "poll"), 1),
        (orphan(left_running("deploy").ends(1, "deploy"), "tool deploy call_2"), 2),
    ],
)
def test_a_deaf_tool_that_a_fault_left_running_is_no_orphan_of_the_subjects(story: Story, alarms: int) -> None:
    assert len(found(NO_ORPHANS, story, scenario=DEAF)) == alarms

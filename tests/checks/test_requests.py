from __future__ import annotations

import pytest

from simkit.checks.requests import BACKOFF_RESPECTS_RETRY_AFTER, BOUNDED_REQUESTS, NO_REPEATED_REQUEST
from tests.checks.traces import Story, asked, found


def several(count: int, story: Story | None = None, *, first: int = 1) -> Story:
    story = story or Story()
    for number in range(first, first + count):
        story.at(f"{number}s").request(number, f"message {number}")
    return story


# -- bounded_requests -----------------------------------------------------------------------------------
def test_a_turn_with_too_many_requests_is_found_at_the_first_one_too_many() -> None:
    findings = found(BOUNDED_REQUESTS, several(5, Story().turn()), 3)

    text = "turn 1 made 5 completion requests, and at most 3 are allowed: request 4 at 4.000s was the first too many"
    assert [(f.text, f.events) for f in findings] == [(text, (4,))]


def test_as_many_requests_as_allowed_are_no_fault() -> None:
    assert asked(BOUNDED_REQUESTS, several(3, Story().turn()), 3) == []


def test_each_turn_has_a_bound_of_its_own() -> None:
    story = several(3, Story().turn(1)).turn_ends(number=1).turn(2)

    assert asked(BOUNDED_REQUESTS, several(3, story, first=4).turn_ends(number=2), 3) == []


def test_requests_outside_of_all_turns_are_counted_together() -> None:
    story = several(4, Story().turn().turn_ends())

    assert asked(BOUNDED_REQUESTS, story, 3) == [
        "the time outside of all turns made 4 completion requests, and at most 3 are allowed: "
        "request 4 at 4.000s was the first too many"
    ]


def test_a_subject_that_reports_no_turns_is_bounded_by_the_run() -> None:
    assert asked(BOUNDED_REQUESTS, several(4), 3) == [
        "the run made 4 completion requests, and at most 3 are allowed: request 4 at 4.000s was the first too many"
    ]


def test_a_subject_that_reports_only_the_ends_of_turns_has_turns() -> None:
    story = several(3).turn_ends(number=1)

    assert asked(BOUNDED_REQUESTS, several(3, story, first=4).turn_ends(number=2), 3) == []


def test_a_bound_on_requests_says_nothing_of_a_run_without_any() -> None:
    assert asked(BOUNDED_REQUESTS, Story().turn()) == ["not applicable: the run made no completion request"]


# -- backoff_respects_retry_after -----------------------------------------------------------------------
def refused(
    retry_after: str | None, again: str, *, status: int = 429, host: str = "api.test", model: str = "m"
) -> Story:
    story = Story().turn().request(1).response(1, status, retry_after)
    return story.at(again).request(2, host=host, model=model)


def test_a_request_before_retry_after_has_passed_is_found() -> None:
    findings = found(BACKOFF_RESPECTS_RETRY_AFTER, refused("20", "19.5s"))

    text = (
        "request 2 came at 19.500s, but the 429 answer to request 1 at 0.000s asked to wait until 20.000s "
        "(retry-after 20): it came 500ms too early"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (2, 3))]


def test_a_host_that_is_down_is_down_for_every_model() -> None:
    story = refused("20", "1s", status=503, model="other")
    assert [f.events for f in found(BACKOFF_RESPECTS_RETRY_AFTER, story)] == [(2, 3)]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(refused("20", "20s"), id="in time"),
        pytest.param(refused("0.1", "99999999ns"), id="rounded by a float"),
        pytest.param(refused("20", "1s", host="other.test"), id="another host"),
        pytest.param(refused("20", "1s", model="other"), id="another model"),
        pytest.param(Story().turn().request(1).response(1, 503, "20"), id="given up"),
        pytest.param(
            Story().turn(1).request(1).response(1, 503, "20").turn_ends("failed", 1).turn(2).at("3s").request(2),
            id="the user asked again",
        ),
    ],
)
def test_a_loop_that_waits_or_gives_up_is_not_accused(story: Story) -> None:
    assert asked(BACKOFF_RESPECTS_RETRY_AFTER, story) == []


@pytest.mark.parametrize(
    "story",
    [
        refused("Wed, 21 Oct 2026 07:28:00 GMT", "1s"),
        refused(None, "1s"),
        refused("20", "1s", status=500),
    ],
)
def test_only_seconds_on_a_429_or_503_are_judged(story: Story) -> None:
    assert asked(BACKOFF_RESPECTS_RETRY_AFTER, story) == [
        "not applicable: no 429 or 503 carried a retry-after in seconds"
    ]


# -- no_repeated_request --------------------------------------------------------------------------------
def repeated(count: int, **changes: object) -> Story:
    story = Story()
    for number in range(1, count + 1):
        story.at(f"{number}s").request(number, "the same", **changes)
    return story


def test_the_same_request_over_and_over_is_found() -> None:
    findings = found(NO_REPEATED_REQUEST, repeated(5))

    text = (
        "the same POST /v1/chat/completions was sent 5 times with the same body, and at most 3 times is allowed: "
        "request 4 at 4.000s asked nothing new"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (0, 3))]


def test_three_equal_requests_are_allowed() -> None:
    assert asked(NO_REPEATED_REQUEST, repeated(3)) == []


def test_the_retries_of_an_sdk_are_not_repetitions() -> None:
    assert asked(NO_REPEATED_REQUEST, repeated(9, retry=2)) == []


def test_requests_that_ask_something_new_are_not_repetitions() -> None:
    assert asked(NO_REPEATED_REQUEST, several(9)) == []


def test_repetition_says_nothing_of_a_run_without_requests() -> None:
    assert asked(NO_REPEATED_REQUEST, Story()) == ["not applicable: the run made no completion request"]


# -- what a fault of a plan costs -------------------------------------------------------------------------
def struck(story: Story) -> Story:
    return story.event("world", "fault", site="answer1", fault="refused")


def test_each_fault_of_a_plan_is_good_for_one_request_more_than_the_law_allows_anyway() -> None:
    stories = [several(count, struck(Story()).turn()) for count in (21, 22)]

    assert [[f.events for f in found(BOUNDED_REQUESTS, story, 3)] for story in stories] == [[], [(23,)]]


def test_what_a_fault_kept_an_answer_from_may_be_asked_for_once_more() -> None:
    again = [struck(Story()), Story()]

    assert [len(asked(NO_REPEATED_REQUEST, story.request(1, "a").request(2, "a"), 1)) for story in again] == [0, 1]

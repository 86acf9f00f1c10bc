from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.checks.streams import BOUNDED_SILENCE, PARTIAL_IS_NOT_SUCCESS
from simkit.model.duration import parse_duration
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, Disconnect, Place, Say, Stall, Step, StreamReply, Wait
from simkit.model.verdict import Finding
from tests.checks.traces import CALL, FILE, Story, asked, found


# -- bounded_silence ------------------------------------------------------------------------------------
def kept_warm() -> Story:
    """A stream that says something, and then sends only keep-alives for twelve minutes."""
    story = Story().request(1).response(1).frame(1, "say", "I'll")
    for second in range(15, 721, 15):
        story.at(f"{second}s").frame(1, "keepalive", step=2)
    return story


def test_keep_alives_do_not_break_a_silence() -> None:
    findings = found(BOUNDED_SILENCE, kept_warm().stream_ends(1, "client_closed"))

    text = (
        "request 1 stayed open for 12m without content, from 0.000s to 720.000s; at most 10m is allowed, "
        "and keep-alives are no content"
    )
    assert [(f.text, f.events, f.place) for f in findings] == [(text, (2, 51), Place(FILE, 10))]


def test_a_slow_but_living_stream_is_left_in_peace() -> None:
    story = Story().request(1).response(1)
    for second in range(170, 1700, 170):
        story.at(f"{second}s").frame(1, "args", "x")

    assert asked(BOUNDED_SILENCE, story.stream_ends(1, finish="stop"), parse_duration("180s")) == []


def test_a_deadline_that_fires_exactly_at_the_limit_is_in_time() -> None:
    story = Story().request(1).response(1).at("180.0000002s").stream_ends(1, "client_closed")

    assert asked(BOUNDED_SILENCE, story, parse_duration("180s")) == []


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(Story().request(1).at("11m").returns("horizon"), id="no answer at all"),
        pytest.param(Story().request(1).at("11m").response(1), id="a late answer"),
        pytest.param(Story().request(1).response(1).at("11m").returns(), id="a stream that never ended"),
        pytest.param(
            Story().request(1).at("11m").event("network", "connection.close", connection=1), id="a late close"
        ),
    ],
)
def test_silence_is_found_in_every_phase_of_a_request(story: Story) -> None:
    assert [f.events for f in found(BOUNDED_SILENCE, story)] == [(len(story.trace) - 2, len(story.trace) - 1)]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(Story().request(1).response(1, 500).at("11m").returns(), id="an error"),
        pytest.param(Story().request(1, stream=False).response(1).at("11m").returns(), id="no stream"),
        pytest.param(
            Story().request(1).event("network", "connection.close", connection=1).at("11m").returns(), id="closed"
        ),
    ],
)
def test_a_request_that_is_over_is_not_silent(story: Story) -> None:
    assert asked(BOUNDED_SILENCE, story) == []


def test_silence_says_nothing_of_a_run_without_requests() -> None:
    assert asked(BOUNDED_SILENCE, Story().turn()) == ["not applicable: the run made no completion request"]


# -- partial_is_not_success -----------------------------------------------------------------------------
def test_a_turn_that_ends_as_finished_on_a_stalled_stream_is_found() -> None:
    story = Story().turn().request(1).stalled(1).turn_ends().returns()
    findings = found(PARTIAL_IS_NOT_SUCCESS, story)

    text = (
        'the turn ended as "finished" at 180.000s, but request 1 was given up in the middle of write_file, '
        "without a finish reason (at 180.000s)"
    )
    assert [(f.text, f.events, f.place) for f in findings] == [(text, (6, 7), Place(FILE, 10))]


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (Story().response(1).stream_ends(1, "reset"), "was reset before its first content"),
        (Story().response(1).frame(1, "say", "a").stream_ends(1, "cut"), "was cut in the middle of its text"),
        (Story().response(1).frame(1, "say", "a").stream_ends(1, "eof"), "ended in the middle of its text"),
        (
            Story().response(1).frame(1, "call", tool="write_file").stream_ends(1, "open", calls=[CALL]),
            "was still open after the call of write_file",
        ),
    ],
)
def test_the_sentence_says_how_and_where_the_stream_broke(story: Story, words: str) -> None:
    whole = Story().turn().request(1)
    for event in story.trace:
        whole.event(event.actor, event.kind, **event.values)

    assert [words in text for text in asked(PARTIAL_IS_NOT_SUCCESS, whole.turn_ends())] == [True]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(Story().turn().request(1).stalled(1).turn_ends("incomplete"), id="an honest end"),
        pytest.param(Story().turn().request(1).stalled(1).request(2).answer(2).turn_ends(), id="a later answer"),
        pytest.param(
            Story()
            .turn()
            .request(1)
            .event("provider", "stream.end", request=1, how="eof", finish=None, done=True)
            .turn_ends(),
            id="the closing marker alone",
        ),
        pytest.param(Story().turn().turn_ends(), id="a turn without a request"),
    ],
)
def test_a_whole_answer_or_an_honest_end_is_no_fault(story: Story) -> None:
    assert asked(PARTIAL_IS_NOT_SUCCESS, story) == []


def test_success_is_not_judged_where_the_subject_reports_no_turns() -> None:
    assert asked(PARTIAL_IS_NOT_SUCCESS, Story().request(1).stalled(1)) == [
        "not applicable: the subject reported no end of a turn"
    ]


def steps(*steps: Step) -> Scenario:
    placed = tuple(replace(step, place=Place(FILE, line)) for line, step in enumerate(steps, 8))
    return Scenario(title="", provider=(Answer(reply=StreamReply(steps=placed), place=Place(FILE, 7)),), file=FILE)


@pytest.mark.parametrize(
    ("script", "how", "line"),
    [
        ((Say(text="a"), Disconnect(how="eof")), "eof", 9),
        ((Say(text="a"), Wait(ns=1), Disconnect(how="reset")), "reset", 10),
        # What else ends a stream is no doing of the step.
        ((Say(text="a"), Disconnect(how="eof")), "client_closed", 8),
        ((Say(text="a"), Say(text="b"), Disconnect(how="cut")), "cut", 8),
        ((Say(text="a"),), "reset", 8),
    ],
)
def test_the_line_of_a_broken_stream_is_the_one_that_broke_it(script: tuple[Step, ...], how: str, line: int) -> None:
    story = Story().turn().request(1).response(1).frame(1, "say", "a").stream_ends(1, how).turn_ends()
    (finding,) = PARTIAL_IS_NOT_SUCCESS.judge(steps(*script), story.trace, None)

    assert isinstance(finding, Finding)
    assert finding.place == Place(FILE, line)


def test_the_line_of_a_silence_is_the_one_that_is_silent() -> None:
    script = steps(Say(text="a"), Stall(ns=parse_duration("5m")), Say(text="b"))
    story = Story().request(1).response(1).frame(1, "say", "a", step=0)
    story.event("provider", "silence", request=1, step=1, ns=parse_duration("5m"), line=9).at("5m")
    story.frame(1, "say", "b", step=2).stream_ends(1, "complete", "stop")
    (finding,) = BOUNDED_SILENCE.judge(script, story.trace, parse_duration("90s"))

    assert isinstance(finding, Finding)
    assert finding.place == Place(FILE, 9)

from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.checks.usage import USAGE_COUNTED_ONCE
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, Finish, Say, StreamReply, Usage
from tests.checks.traces import SCENARIO, Story, asked, found

COSTS = Usage(input_tokens=100, output_tokens=20)
PAID = StreamReply(steps=(Say(text="Here."), Finish(reason="stop"), COSTS))


def scenario(*replies: StreamReply) -> Scenario:
    return replace(SCENARIO, provider=tuple(Answer(reply=reply) for reply in replies or (PAID,)))


def answered(story: Story, number: int = 1) -> Story:
    """A streamed answer that tells what it costs, to a request that asked for that."""
    story.request(number).response(number).frame(number, "say", "Here.").frame(number, "finish", "stop")
    return story.frame(number, "usage").stream_ends(number, finish="stop")


def damaged(story: Story, number: int = 1) -> Story:
    """The same, with a frame that arrives damaged."""
    story.request(number).response(number).frame(number, "garbled").frame(number, "usage")
    return story.stream_ends(number, finish="stop")


def noted(story: Story, read: int, written: int) -> Story:
    return story.note("usage", input=read, output=written)


def test_tokens_that_are_counted_twice_are_found() -> None:
    story = noted(noted(answered(answered(Story()), 2).at("9s"), 100, 20), 200, 20).returns()
    findings = found(USAGE_COUNTED_ONCE, story, scenario=scenario())

    text = (
        "the subject counted 300 tokens of input, last at 9.000s, but the answers that told what they cost add up to "
        "200 (requests 1, 2)"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (6, 13))]


def test_tokens_that_are_never_counted_are_found() -> None:
    story = noted(answered(answered(Story()), 2), 200, 20).returns()

    assert asked(USAGE_COUNTED_ONCE, story, scenario=scenario()) == [
        "the subject counted 20 tokens of output, last at 0.000s, but the answers that told what they cost add up to "
        "40 (requests 1, 2)"
    ]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(noted(answered(answered(Story()), 2), 200, 40), id="in all"),
        pytest.param(noted(answered(noted(answered(Story()), 100, 20), 2), 100, 20), id="one by one"),
        pytest.param(answered(Story()).note("usage", output=20), id="of one kind"),
        pytest.param(noted(answered(Story().request(2).response(2, 429)), 100, 20), id="after a refusal"),
        pytest.param(noted(answered(Story().request(2).answer(2)), 100, 20), id="where one did not ask for them"),
        pytest.param(
            noted(answered(Story()).request(2, stream=False).response(2).stream_ends(2, finish="stop"), 200, 40),
            id="in one piece",
        ),
        pytest.param(
            noted(Story().request(1, dialect="anthropic").answer(1), 100, 20), id="on a wire that tells it by the way"
        ),
    ],
)
def test_tokens_that_are_counted_once_are_no_fault(story: Story) -> None:
    assert asked(USAGE_COUNTED_ONCE, story.returns(), scenario=scenario()) == []


BARE = StreamReply(steps=(Say(text="Here."), Finish(reason="stop")))


@pytest.mark.parametrize(
    ("story", "reply", "because"),
    [
        (answered(Story()).returns(), PAID, "the subject reported no usage"),
        (noted(Story().request(1).answer(1), 0, 0).returns(), PAID, "no answer told what it costs"),
        (
            noted(answered(Story()), 9, 9).returns(),
            BARE,
            "the script does not say what the answer to request 1 costs",
        ),
        (
            noted(answered(Story()), 9, 9).returns("horizon"),
            PAID,
            "the subject did not come to its end, so it may have been about to count",
        ),
        (
            noted(Story().request(1, dialect="anthropic").response(1).stream_ends(1, "cut"), 9, 9).returns(),
            PAID,
            "the answer to request 1 broke off, and may have told a part",
        ),
    ],
)
def test_nothing_is_said_where_nobody_knows_the_right_sum(story: Story, reply: StreamReply, because: str) -> None:
    assert asked(USAGE_COUNTED_ONCE, story, scenario=scenario(reply)) == [f"not applicable: {because}"]


@pytest.mark.parametrize(
    ("story", "said"),
    [
        (
            noted(answered(Story()).cancels(), 0, 0),
            ["not applicable: the user stopped the answer to request 1 while it arrived"],
        ),
        (
            noted(damaged(Story()), 0, 0),
            ["not applicable: the answer to request 1 arrived damaged, and may not have been read"],
        ),
    ],
    ids=["stopped at its end", "damaged"],
)
def test_what_may_not_have_been_read_is_not_judged(story: Story, said: list[str]) -> None:
    assert asked(USAGE_COUNTED_ONCE, story.returns(), scenario=scenario()) == said


def test_an_answer_that_was_whole_before_the_user_cancelled_is_judged() -> None:
    story = noted(answered(Story()).at("1s").cancels(), 0, 20).returns()

    assert len(found(USAGE_COUNTED_ONCE, story, scenario=scenario())) == 1

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simkit.dialects.anthropic_messages import ANTHROPIC
from simkit.dialects.anthropic_requests import sign
from simkit.dialects.turn import Turn, about, moves, turn_of
from simkit.model.timeline import (
    Args,
    Call,
    Chunk,
    Disconnect,
    Done,
    Fault,
    Finish,
    FinishReason,
    Refuse,
    Say,
    Step,
    Think,
    Usage,
    Wait,
)
from tests.dialects.anthropic_sdk import bodies, whole_body

TEXT = st.text(max_size=8)
REASONS: list[FinishReason] = ["stop", "length", "tool_calls", "refusal", "stop_sequence", "context_window", "pause"]
CONTENT = st.one_of(
    st.builds(Say, text=TEXT, pieces=st.integers(1, 3)),
    st.builds(Think, text=TEXT, signature=st.none() | st.text(min_size=1, max_size=4), pieces=st.integers(1, 3)),
    st.builds(Call, name=st.text(min_size=1, max_size=4), args=st.none() | st.text(max_size=6)),
)
COUNT = st.builds(
    Usage, input_tokens=st.integers(9, 99), output_tokens=st.integers(0, 99), cached_tokens=st.integers(0, 9)
)
ENDS = st.one_of(
    st.sampled_from(REASONS).map(lambda reason: (Finish(reason=reason),)),
    st.sampled_from([(Disconnect(how="eof"),), (Done(),), (Finish(reason="stop"), Disconnect(how="eof"))]),
    st.builds(Fault, text=TEXT, type=st.sampled_from([None, "overloaded_error"])).map(lambda fault: (fault,)),
)
STOP = Finish(reason="stop")


def turn(steps: tuple[Step, ...]) -> Turn:
    return turn_of(map(about, moves(steps, 1)))


def heard(*steps: Step) -> tuple[Step, ...]:
    return ANTHROPIC.hear(b"".join(bodies(*steps)), streamed=True)


def over(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of a body that is known to end there, so that no closing marker is added to it."""
    return (*steps, Disconnect(how="eof"))


@given(st.lists(CONTENT, max_size=6), st.lists(COUNT, max_size=1), ENDS)
def test_what_is_heard_gives_the_same_turn(content: list[Step], count: list[Step], end: tuple[Step, ...]) -> None:
    steps = (*content, *count, *end)
    assert turn(over(heard(*steps))) == turn(steps)


@given(st.lists(CONTENT, max_size=6), ENDS)
def test_what_was_heard_once_is_heard_again_and_again(content: list[Step], end: tuple[Step, ...]) -> None:
    once = heard(*content, *end)
    assert heard(*over(once)) == once


@given(st.binary(), st.booleans())
def test_any_bytes_are_heard(body: bytes, streamed: bool) -> None:
    assert ANTHROPIC.hear(body, streamed=streamed) == ()


@given(st.lists(CONTENT, max_size=4), st.data())
def test_a_damaged_body_is_heard_up_to_the_damage(content: list[Step], data: st.DataObject) -> None:
    body = b"".join(bodies(*content, STOP))
    place = data.draw(st.integers(0, len(body)))
    cut = ANTHROPIC.hear(body[:place], streamed=True)
    whole = ANTHROPIC.hear(body, streamed=True)
    texts = [(turn(steps).text, turn(steps).thoughts) for steps in (cut, whole)]
    assert [w.startswith(c) for c, w in zip(*texts, strict=True)] == [True, True]
    spoilt = body[:place] + b"\xff" + body[place:]
    assert isinstance(ANTHROPIC.hear(spoilt, streamed=True), tuple)


def test_pieces_stay_apart_and_the_pieces_of_two_calls_find_their_way() -> None:
    pieces = (Args(text='{"a":', index=0), Args(text="{}"), Args(text="1}", index=0))
    steps = (Wait(ns=1), Say(text="ab", pieces=2), Chunk(kind="comment"), Call(name="f"), Call(name="g"), *pieces)
    count = Usage(input_tokens=9, output_tokens=5, cached_tokens=2, thinking_tokens=1)
    assert heard(*steps, count, Finish(reason="tool_calls")) == (
        Say(text="a"),
        Say(text="b"),
        Call(name="f", id="call_1_0"),
        Call(name="g", id="call_1_1"),
        *pieces,
        count,
        Finish(reason="tool_calls"),
        Done(),
    )


def test_a_thought_is_heard_with_its_signature_wherever_it_comes_from() -> None:
    assert heard(Think(text="a", signature="mine"), Think(text="b"), Disconnect(how="eof")) == (
        Think(text="a", signature="mine"),
        Think(text="b"),
    )
    assert heard(Think(text="b"), Done())[:1] == (Think(text="b"),)
    assert heard(Think(text="b"), STOP)[:1] == (Think(text="b", signature=sign("b")),)


def test_only_a_marker_that_came_is_heard() -> None:
    frames = bodies(Say(text="a"), STOP)
    last = [ANTHROPIC.hear(b"".join(part), streamed=True)[-1] for part in (frames[:-1], frames)]
    assert last == [STOP, Done()]


def test_an_error_and_an_unknown_reason_are_heard_as_they_are() -> None:
    fault = Fault(text="Overloaded", type="overloaded_error", code="a_b")
    assert heard(Say(text="a"), fault) == (Say(text="a"), fault)
    assert heard(Finish(reason="stop", wire="compaction"))[-2:-1] == (Finish(reason="stop", wire="compaction"),)


def test_a_refusal_in_words_is_heard_as_text() -> None:
    assert heard(Refuse(text="No."), Disconnect(how="eof")) == (Say(text="No."),)


@given(st.lists(CONTENT.filter(lambda step: not isinstance(step, Call)), max_size=4), st.sampled_from(REASONS))
def test_a_whole_body_is_heard_as_the_same_turn(content: list[Step], reason: FinishReason) -> None:
    steps = (*content, Call(name="f", args='{"a":1}'), Finish(reason=reason))
    whole = ANTHROPIC.hear(whole_body(*steps), streamed=False)
    assert turn(whole) == replace(turn(steps), done=True)


def test_a_whole_body_that_is_no_message_is_heard_as_nothing() -> None:
    bodies = [b'{"type":"error","error":{"type":"api_error","message":"x"}}', b"[]", b"<html>", b'{"content":[1]}']
    assert [ANTHROPIC.hear(body, streamed=False) for body in bodies] == [()] * 4

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.dialects.turn import Turn, moves, told
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Done,
    Fault,
    Finish,
    Garble,
    Name,
    Raw,
    Refuse,
    Repeat,
    Say,
    Step,
    Think,
    Usage,
)
from tests.dialects.sdk import ask, bodies, whole_body

TEXTS = st.text(max_size=8)
INDEXES = st.sampled_from([None, 0, 1, 2, NO_INDEX])
# The reasons that have a word of their own on this wire.
FINISHES = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "error"])
PIECES = st.one_of(
    st.builds(Say, text=TEXTS, pieces=st.integers(1, 3)),
    st.builds(Think, text=TEXTS, pieces=st.integers(1, 3)),
    st.builds(Refuse, text=TEXTS),
    st.builds(Call, name=TEXTS, args=st.none() | TEXTS, index=INDEXES),
    st.builds(Args, text=TEXTS, index=INDEXES, pieces=st.integers(1, 3)),
    st.builds(Name, text=TEXTS, index=INDEXES),
    st.builds(Usage, input_tokens=st.integers(0, 9), output_tokens=st.integers(0, 9)),
)
ENDS = st.one_of(
    st.just(()),
    st.just((Done(),)),
    st.tuples(st.builds(Finish, reason=FINISHES)),
    st.tuples(st.builds(Fault, text=TEXTS, type=st.none() | TEXTS, code=st.none() | TEXTS)),
)


def hear(*steps: Step) -> list[Step]:
    return list(OPENAI_CHAT.hear(b"".join(bodies(*steps)), streamed=True))


def hear_whole(*steps: Step) -> list[Step]:
    return list(OPENAI_CHAT.hear(whole_body(*steps), streamed=False))


def chunk(**choice: object) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, **choice}]}).encode()


def hear_bytes(*frames: bytes) -> list[Step]:
    return list(OPENAI_CHAT.hear(b"".join(frames), streamed=True))


@given(st.lists(PIECES, max_size=8), ENDS)
def test_a_stream_is_heard_as_the_turn_that_was_scripted(pieces: list[Step], end: tuple[Step, ...]) -> None:
    steps = (*pieces, *end)
    assert told(moves(hear(*steps), 1)) == told(moves(steps, 1))


@given(st.lists(PIECES, max_size=8), FINISHES)
def test_a_whole_body_is_heard_as_the_turn_that_was_scripted(pieces: list[Step], reason: str) -> None:
    steps = (*pieces, Finish(reason=reason))  # type: ignore[arg-type]  # drawn from the reasons
    assert _without_indexes(told(moves(hear_whole(*steps), 1))) == _without_indexes(told(moves(steps, 1)))


def _without_indexes(turn: Turn) -> Turn:
    """A whole body has no indexes, only an order."""
    return replace(turn, calls=tuple(replace(call, index=None) for call in turn.calls))


@settings(max_examples=50)
@given(st.lists(PIECES, max_size=5), st.data())
def test_a_stream_cut_anywhere_is_heard_up_to_there(pieces: list[Step], data: st.DataObject) -> None:
    body = b"".join(bodies(*pieces, Finish(reason="stop")))
    cut = data.draw(st.integers(0, len(body)))
    whole = OPENAI_CHAT.hear(body, streamed=True)
    heard = OPENAI_CHAT.hear(body[:cut], streamed=True)
    assert heard == whole[: len(heard)]


@settings(max_examples=200)
@given(st.binary(max_size=60), st.booleans())
def test_whatever_it_is_hearing_never_raises(body: bytes, streamed: bool) -> None:
    assert isinstance(OPENAI_CHAT.hear(b"data: " + body + b"\n\n" if streamed else body, streamed=streamed), tuple)


KEYS = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "index",
        "id",
        "function",
        "name",
        "arguments",
        "usage",
        "error",
        "finish_reason",
        "reasoning_content",
        "refusal",
        "prompt_tokens",
        "completion_tokens",
        "code",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda v: st.lists(v, max_size=2) | st.dictionaries(KEYS, v, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.dictionaries(KEYS, JSON, max_size=4), st.booleans())
def test_json_of_any_shape_is_heard_without_a_fault(value: dict[str, object], streamed: bool) -> None:
    text = json.dumps(value).encode()
    assert isinstance(OPENAI_CHAT.hear(b"data: %b\n\n" % text if streamed else text, streamed=streamed), tuple)


def test_pieces_stay_apart_and_everything_has_its_step() -> None:
    counted = ask(stream_options={"include_usage": True})
    steps = (
        Think(text="Hm."),
        Say(text="Hel"),
        Say(text="lo"),
        Call(name="f", id="a", args='{"x":'),
        Call(name="g", id="b"),
        Args(text="1}", index=0),
        Args(text="{}", index=1),
        Usage(input_tokens=5, output_tokens=9, cached_tokens=2, thinking_tokens=3),
        Finish(reason="tool_calls"),
    )
    assert list(OPENAI_CHAT.hear(b"".join(bodies(*steps, request=counted)), streamed=True)) == [
        Think(text="Hm."),
        Say(text="Hel"),
        Say(text="lo"),
        Call(name="f", id="a", index=0),
        Args(text='{"x":', index=0),
        Call(name="g", id="b", index=1),
        Args(text="1}", index=0),
        Args(text="{}", index=1),
        Finish(reason="tool_calls"),
        Usage(input_tokens=5, output_tokens=9, cached_tokens=2, thinking_tokens=3),
        Done(),
    ]


def test_a_whole_body_has_its_steps_in_one_order() -> None:
    usage = Usage(input_tokens=5, output_tokens=9, cached_tokens=2, thinking_tokens=3)
    steps = (Call(name="f", id="a", args="{}"), Say(text="hi"), Think(text="Hm."), usage, Finish(reason="length"))
    assert hear_whole(*steps) == [
        Think(text="Hm."),
        Say(text="hi"),
        Call(name="f", id="a", args="{}"),
        Finish(reason="length"),
        usage,
    ]


def test_an_error_is_heard_in_all_its_forms() -> None:
    forms: list[object] = [
        {"message": "m", "type": "server_error", "param": None, "code": "c"},
        {"message": "m", "code": 502},
        "m",
    ]
    heard = [hear_bytes(b"data: %b\n\n" % json.dumps({"error": form}).encode()) for form in forms]
    assert heard == [[Fault(text="m", type="server_error", code="c")], [Fault(text="m", code="502")], [Fault(text="m")]]
    assert hear_whole(Say(text="lost"), Fault(text="m")) == [Fault(text="m", type="server_error")]


def test_a_word_that_is_not_known_ends_the_answer_and_is_kept() -> None:
    words = ["stop", "function_call", "eos", "", None]
    assert [hear_bytes(chunk(delta={}, finish_reason=word)) for word in words] == [
        [Finish(reason="stop")],
        [Finish(reason="tool_calls", wire="function_call")],
        [Finish(reason="stop", wire="eos")],
        [],
        [],
    ]


def test_what_compatible_servers_do_to_calls_is_understood() -> None:
    def call(**values: object) -> bytes:
        return chunk(delta={"tool_calls": [values]})

    again = call(index=0, id="a", function={"name": "", "arguments": "1}"})
    at_once = call(index=1, id="b", type="function", function={"name": "g", "arguments": "{}"})
    nameless = call(index=2, function={"name": "h", "arguments": ""})
    assert hear_bytes(call(index=0, id="a", function={"name": "f", "arguments": "{"}), again, at_once, nameless) == [
        Call(name="f", id="a", index=0),
        Args(text="{", index=0),
        Args(text="1}", index=0),
        Call(name="g", id="b", index=1),
        Args(text="{}", index=1),
        Call(name="h", id=None, index=2),
    ]


def test_thoughts_are_heard_under_both_their_names() -> None:
    frames = [chunk(delta={name: "Hm."}) for name in ("reasoning_content", "reasoning")]
    assert hear_bytes(*frames) == [Think(text="Hm.")] * 2


def test_other_choices_are_left_out() -> None:
    assert hear_bytes(chunk(delta={"content": "a"}), chunk(index=1, delta={"content": "b"})) == [Say(text="a")]


@pytest.mark.parametrize(
    "steps",
    [
        (Garble(how="json"), Say(text="lost")),
        (Garble(how="text"), Say(text="lost")),
        (Garble(how="utf8"), Say(text="lost")),
        (Raw(data=b'data: {"choices": 7}\n\n: comment\n\nevent: x\n\n'),),
    ],
    ids=["json", "text", "utf8", "unknown"],
)
def test_damage_is_left_out_and_what_is_around_it_is_heard(steps: Sequence[Step]) -> None:
    heard = hear(Say(text="a"), *steps, Say(text="b"), Finish(reason="stop"))
    assert heard == [Say(text="a"), Say(text="b"), Finish(reason="stop"), Done()]


def test_a_frame_without_its_end_takes_the_next_one_with_it() -> None:
    heard = hear(Say(text="a"), Garble(how="unended"), Say(text="b"), Say(text="c"), Say(text="d"), Done())
    assert heard == [Say(text="a"), Say(text="d"), Done()]


def test_a_repeated_frame_is_heard_once_for_each_time_it_was_sent() -> None:
    frames = bodies(Say(text="ha"), Repeat(times=1))
    assert hear_bytes(*frames) == [Say(text="ha")] * 2

from __future__ import annotations

import json
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.dialects.gemini import GEMINI
from simkit.dialects.turn import Turn, about, moves, turn_of
from simkit.model.timeline import Args, Call, Disconnect, Done, Fault, Finish, Garble, Raw, Say, Step, Think, Usage
from tests.dialects.gemini_sdk import STOP, TOOL_CALLS, array, bodies, whole_body

COUNT = Usage(input_tokens=7, output_tokens=5, cached_tokens=2, thinking_tokens=1)
CALLS = st.builds(
    lambda name, args, call: Call(name=name, args=json.dumps(args), id=call),
    st.text(min_size=1),
    st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none(), max_size=3),
    st.none() | st.text(min_size=1),
)
SPOKEN = st.builds(Say, text=st.text(), pieces=st.integers(1, 3)) | st.builds(Think, text=st.text())
ENDS = st.sampled_from(
    [STOP, Finish(reason="length"), Finish(reason="content_filter"), Finish(reason="error", wire="LANGUAGE")]
)
SCRIPTS = st.tuples(st.lists(SPOKEN | CALLS, max_size=5), ENDS)


def steps_of(script: tuple[list[Step], Finish]) -> tuple[Step, ...]:
    """The script with the end that its wire word means: STOP after calls is ``tool_calls``."""
    spoken, end = script
    called = any(isinstance(step, Call) for step in spoken)
    return (*spoken, TOOL_CALLS if called and end == STOP else end)


def turn(steps: tuple[Step, ...]) -> tuple[Turn, object]:
    """What the steps say to a client; calls compared as values."""
    heard = turn_of(map(about, moves(steps, 1)))
    return replace(heard, calls=()), heard.whole_calls()


def heard(body: bytes, *, streamed: bool = True) -> tuple[Step, ...]:
    return GEMINI.hear(body, streamed=streamed)


@given(SCRIPTS)
def test_every_form_is_heard_as_the_turn_that_was_scripted(script: tuple[list[Step], Finish]) -> None:
    steps = steps_of(script)
    found = [heard(b"".join(bodies(*steps))), heard(array(*steps)), heard(whole_body(*steps), streamed=False)]
    assert [turn(one) for one in found] == [turn(steps)] * 3


def test_pieces_stay_apart_and_one_count_is_left() -> None:
    steps = (Think(text="hm", signature="c2ln"), Say(text="a"), Say(text="b"), Call(name="f", args='{"a":'))
    found = heard(b"".join(bodies(*steps, Args(text="1}"), COUNT, TOOL_CALLS)))
    assert found == (*steps[:3], Call(name="f", args='{"a":1}', id="call_1_0"), COUNT, TOOL_CALLS)


def test_words_are_kept_where_the_reason_would_not_give_them() -> None:
    words = ("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "MALFORMED_FUNCTION_CALL", "NEVER_SEEN")
    found = [heard(array(Finish(reason="stop", wire=word)))[-1] for word in words]
    assert [(step.reason, step.wire) for step in found if isinstance(step, Finish)] == [
        ("stop", None),
        ("length", None),
        ("content_filter", None),
        ("content_filter", "RECITATION"),
        ("error", None),
        ("error", "MALFORMED_FUNCTION_CALL"),
        ("error", "NEVER_SEEN"),
    ]


def test_an_error_is_heard_in_both_forms() -> None:
    fault = Fault(text="busy", type="RESOURCE_EXHAUSTED", code="429")
    found = [heard(b"".join(bodies(Say(text="a"), fault))), heard(array(Say(text="a"), fault))]
    assert [one[-1] for one in found] == [fault, fault]


def test_a_body_cut_anywhere_is_heard_up_to_there() -> None:
    steps = (Say(text="Zoë {"), Call(name="f", args='{"error": {"a": [1]}}'), COUNT, TOOL_CALLS)
    for body in (b"".join(bodies(*steps)), array(*steps)):
        found = [[s for s in heard(body[:n]) if not isinstance(s, Usage)] for n in range(len(body) + 1)]
        assert [len(one) for one in found] == list(accumulate(map(len, found), max))
        assert all(one == found[-1][: len(one)] for one in found)
        assert len(found[-1]) == 3


@pytest.mark.parametrize("how", ["json", "text", "utf8"])
def test_a_damaged_frame_is_left_out(how: object) -> None:
    damage = {"json": Garble(how="json"), "text": Garble(how="text"), "utf8": Garble(how="utf8")}[str(how)]
    steps = (Say(text="a"), damage, Call(name="f", args='{"a": "x"}'), Say(text="b"), Disconnect(how="eof"))
    found = [heard(b"".join(bodies(*steps))), heard(array(*steps))]
    assert [[s.text for s in one if isinstance(s, Say)] for one in found] == [["a", "b"]] * 2
    assert not any(isinstance(s, Call) for one in found for s in one)


def test_a_recorded_body_of_another_layout_is_heard() -> None:
    frame = {"candidates": [{"content": {"parts": [{"text": "a"}, {"thoughtSignature": "c2ln", "text": ""}]}}]}
    plain = json.dumps(frame)
    found = [
        heard(f"data: {plain}\n\n".encode() * 2),
        heard(f"[{plain},{plain}]".encode()),
        heard(b"\r\n" + plain.encode()),
    ]
    one = (Say(text="a"), Say(text=""))
    assert found == [one * 2, one * 2, one]


def test_other_events_raw_bytes_and_silence_are_left_out() -> None:
    noise = b": comment\r\n\r\nevent: ping\n\n\r\n[]{}data: {}\r\n\r\n"
    assert heard(b"".join(bodies(Raw(data=noise), Say(text="a"), Done())))[0] == Say(text="a")


@given(st.binary() | st.text(alphabet='{}[]":,data \n1e9').map(str.encode))
def test_nothing_at_all_makes_it_raise(body: bytes) -> None:
    assert all(isinstance(step, Step) for step in heard(body))


def test_nesting_beyond_the_stack_is_left_out() -> None:
    assert heard(b'data: {"a": ' + b"[" * 100_000 + b"\r\n\r\n") == ()


def test_values_of_other_types_are_left_out() -> None:
    odd = [
        {"candidates": None, "usageMetadata": []},
        {"candidates": [None]},
        {"candidates": [{"content": [], "finishReason": 1}]},
        {"candidates": [{"content": {"parts": [1, {"text": 2}, {"functionCall": "f"}]}}]},
        {"error": "busy"},
    ]
    assert heard(json.dumps(odd).encode()) == ()

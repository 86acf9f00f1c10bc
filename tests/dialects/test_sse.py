from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from simkit.dialects.sse import Message, decode, encode_comment, encode_event, encode_json, keepalive_bytes


def test_a_frame_is_a_data_line_and_an_empty_line() -> None:
    assert encode_event("hi") == b"data: hi\n\n"


def test_an_event_type_stands_before_its_data() -> None:
    assert encode_event("hi", "ping") == b"event: ping\ndata: hi\n\n"


def test_json_and_text_are_framed_alike() -> None:
    assert encode_json(b'{"a":1}', "delta") == encode_event('{"a":1}', "delta")


@given(st.lists(st.tuples(st.text(), st.sampled_from(["message", "delta", "ping"]))))
def test_every_text_comes_back_with_its_line_ends_as_newlines(sent: list[tuple[str, str]]) -> None:
    body = b"".join(encode_event(text, event) for text, event in sent)
    heard = [Message(event, re.sub("\r\n|\r", "\n", text)) for text, event in sent]
    assert list(decode(body)) == heard


def test_a_character_that_only_python_takes_for_a_line_end_is_kept() -> None:
    assert [m.data for m in decode(encode_event("a\u2028b\x0bc\x85d"))] == ["a\u2028b\x0bc\x85d"]


def test_a_frame_without_its_empty_line_has_not_arrived() -> None:
    body = encode_event("one") + encode_event("two")
    assert [[m.data for m in decode(body[:cut])] for cut in (len(body), len(body) - 1, 11, 10)] == [
        ["one", "two"],
        ["one"],
        ["one"],
        [],
    ]


def test_comments_and_frames_without_data_are_no_events() -> None:
    body = keepalive_bytes() + encode_comment("a\nb") + b"event: ping\n\n" + encode_event("hi")
    assert list(decode(body)) == [Message("message", "hi")]


def test_a_keep_alive_is_a_comment() -> None:
    assert keepalive_bytes() == b": keep-alive\n\n"


def test_a_frame_that_is_no_utf8_is_left_out_and_the_others_are_not() -> None:
    body = encode_event("one") + b"data: tw\xffo\n\n" + b"event: \xff\ndata: x\n\n" + encode_event("three")
    assert [m.data for m in decode(body)] == ["one", "three"]

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.contracts import Frame
from simkit.dialects.framing import damaged, frames, hollow, whole_script
from simkit.dialects.jsontext import read_json, write_json
from simkit.dialects.sse import decode, encode_json
from simkit.dialects.turn import MARK, Move, about, moves, turn_of
from simkit.errors import UnplayableError
from simkit.model.timeline import (
    Call,
    Chunk,
    ChunkKind,
    Damage,
    Done,
    Finish,
    Garble,
    Raw,
    Repeat,
    Say,
    Step,
    Think,
)

HOWS: list[Damage] = ["json", "text", "utf8", "unended"]


def write(move: Move) -> Iterator[Frame]:
    """A wire of its own: before each thought a mark, then the text as JSON."""
    if isinstance(move.what, Think):
        yield Frame(move.step, encode_json(b'"mark"'), MARK)
    yield Frame(move.step, encode_json(b'"%b"' % str(about(move)["text"]).encode()), about(move))


def sent(*steps: Step) -> list[Frame]:
    return list(frames(moves(steps, 1), write))


def told(*steps: Step) -> list[tuple[int, bytes, object, int]]:
    return [(f.step, f.data, f.about["is"], f.times) for f in sent(*steps)]


def test_a_script_without_faults_is_what_the_dialect_writes() -> None:
    assert told(Say(text="a"), Say(text="b")) == [
        (0, b'data: "a"\n\n', "say", 1),
        (1, b'data: "b"\n\n', "say", 1),
    ]


def test_raw_bytes_go_out_as_they_are_and_can_be_repeated() -> None:
    assert told(Raw(data=b"\xff"), Repeat(times=2)) == [(0, b"\xff", "raw", 1), (1, b"\xff", "raw", 2)]


def test_a_repetition_is_the_frame_before_and_belongs_to_its_own_step() -> None:
    frames = sent(Say(text="ha"), Repeat(times=2))
    assert frames[1] == frames[0]._replace(step=1, times=2)
    assert turn_of({**f.about, "times": f.times} for f in frames).text == "hahaha"


@pytest.mark.parametrize(
    ("how", "data"),
    [("json", b'data: "abc\n\n'), ("text", b"data: overloaded\n\n"), ("utf8", b'data: "abc\xffdef"\n\n')],
)
def test_a_damaged_frame_is_wrong_in_one_way_and_ends_as_it_should(how: Damage, data: bytes) -> None:
    assert told(Garble(how=how), Say(text="abcdef"), Say(text="b")) == [
        (1, data, "garbled", 1),
        (2, b'data: "b"\n\n', "say", 1),
    ]


def test_a_frame_without_its_end_takes_the_next_one_with_it() -> None:
    steps = (Garble(how="unended"), Say(text="a"), Say(text="b"), Say(text="c"))
    assert told(*steps) == [
        (1, b'data: "a"', "garbled", 1),
        (2, b'data: "b"\n\n', "garbled", 1),
        (3, b'data: "c"\n\n', "say", 1),
    ]
    body = b"".join(f.data for f in sent(*steps))
    assert [m.data for m in decode(body)] == ['"a"data: "b"', '"c"']


def test_what_ran_into_a_frame_without_end_is_whole_when_it_is_repeated() -> None:
    kinds = [
        (f.data, f.about["is"]) for f in sent(Garble(how="unended"), Say(text="a"), Say(text="b"), Repeat(times=1))
    ]
    assert kinds == [(b'data: "a"', "garbled"), (b'data: "b"\n\n', "garbled"), (b'data: "b"\n\n', "say")]


def test_raw_bytes_may_end_what_has_no_end() -> None:
    steps = (Garble(how="unended"), Say(text="a"), Raw(data=b"\n\n"), Say(text="b"))
    assert [f.about["is"] for f in sent(*steps)] == ["garbled", "raw", "say"]


def test_damage_hits_what_carries_the_answer_and_not_the_mark_before_it() -> None:
    assert told(Garble(how="text"), Think(text="a")) == [
        (1, b'data: "mark"\n\n', "mark", 1),
        (1, b"data: overloaded\n\n", "garbled", 1),
    ]


def test_a_damaged_frame_is_not_understood_and_a_repeated_one_neither() -> None:
    steps = (Call(name="f", args="{}"), Garble(how="json"), Say(text="lost"), Repeat(times=3), Finish(reason="stop"))
    turn = turn_of(f.about for f in sent(*steps))
    assert (turn.text, len(turn.whole_calls()), turn.finish) == ("", 1, "stop")


@pytest.mark.parametrize(
    ("steps", "step"),
    [
        ((Repeat(times=1),), 0),
        ((Say(text="a"), Garble(how="json")), 1),
        ((Garble(how="json"), Raw(data=b"x")), 0),
        ((Garble(how="json"), Chunk(kind="comment")), 0),
    ],
    ids=["nothing-to-repeat", "nothing-to-damage", "raw-is-as-it-is", "no-data"],
)
def test_a_step_about_a_frame_that_is_not_there_is_refused_by_its_number(steps: tuple[Step, ...], step: int) -> None:
    def comments(move: Move) -> Iterator[Frame]:
        hollowed = hollow(move.what.kind) if isinstance(move.what, Chunk) else None
        yield Frame(move.step, hollowed or b"data: 1\n\n", about(move))

    with pytest.raises(UnplayableError) as raised:
        list(frames(moves(steps, 1), comments))
    assert raised.value.step == step


def test_hollow_frames_carry_nothing_and_two_kinds_are_the_dialects() -> None:
    kinds: list[ChunkKind] = ["blank", "comment", "meta", "empty", "null"]
    bodies = [hollow(kind) for kind in kinds]
    assert bodies == [b"data:\n\n", b": ping\n\n", b"event: ping\n\n", None, None]
    # A bare field is an event without text; the other two are none.
    assert [[m.data for m in decode(b)] for b in bodies if b] == [[""], [], []]


@given(st.recursive(st.none() | st.text() | st.integers(), lambda v: st.dictionaries(st.text(), v, max_size=3)))
def test_no_damage_leaves_json_that_can_be_read(value: object) -> None:
    text = write_json({"value": value})
    for how in HOWS:
        # The two ways in which JSON is sent: as an event, and as it is.
        for data in (encode_json(text, "delta"), text):
            heard = [m.data for m in decode(damaged(data, how))] if data is not text else [damaged(data, how)]
            assert [t for t in heard if _reads(t)] == ([text] if data is text and how == "unended" else [])


def _reads(text: str | bytes) -> bool:
    try:
        read_json(text)
    except ValueError:
        return False
    return True


def test_the_event_line_of_a_damaged_frame_stays() -> None:
    assert damaged(encode_json(b"{}", "ping"), "text") == b"event: ping\ndata: overloaded\n\n"


def test_a_frame_of_json_that_speaks_of_data_is_damaged_in_the_middle() -> None:
    assert damaged(b'["data: x"]\r\n', "json") == b'["dat\r\n'


# -- whole bodies --
def test_a_whole_body_may_arrive_damaged() -> None:
    script = moves((Say(text="a"), Garble(how="utf8"), Finish(reason="stop")), 1)
    rest, damage = whole_script(script)
    assert ([type(m.what) for m in rest], damage) == ([Say, Finish, Done], "utf8")


@pytest.mark.parametrize("step", [Raw(data=b"x"), Repeat(times=1), Chunk(kind="empty"), Garble(how="unended")])
def test_what_is_about_one_frame_has_no_place_in_a_whole_body(step: Step) -> None:
    with pytest.raises(UnplayableError, match="one frame of a stream") as raised:
        whole_script(moves((Say(text="a"), step), 1))
    assert raised.value.step == 1

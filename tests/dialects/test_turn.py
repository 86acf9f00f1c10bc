from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from simkit.dialects.turn import CallHeard, Turn, about, moves, told, turn_of
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Chunk,
    Disconnect,
    Done,
    Fault,
    Finish,
    Garble,
    KeepAlive,
    Name,
    Pace,
    Place,
    Raw,
    Refuse,
    Repeat,
    Say,
    Stall,
    Step,
    Think,
    Usage,
    Wait,
)

TOOL_CALLS = Finish(reason="tool_calls")
STOP = Finish(reason="stop")


def heard(*steps: Step, delivered: int = 1_000) -> Turn:
    return turn_of([about(m) for m in moves(steps, 7) if m.step < delivered])


def script(*steps: Step) -> list[tuple[int, str, str, str | None]]:
    """Each move as (step, what it is, its text, the call it belongs to)."""
    told = [(m, about(m)) for m in moves(steps, 7)]
    return [(m.step, str(a["is"]), str(a["text"]), m.call.id if m.call else None) for m, a in told]


def test_calls_are_numbered_and_their_pieces_follow_them() -> None:
    steps = (Say(text="hi"), Call(name="f", args='{"a":'), Args(text="1}"), Call(name="g"), Args(text="{}"))
    assert script(*steps, TOOL_CALLS) == [
        (0, "say", "hi", None),
        (1, "call", "", "call_7_0"),
        (1, "args", '{"a":', "call_7_0"),
        (2, "args", "1}", "call_7_0"),
        (3, "call", "", "call_7_1"),
        (4, "args", "{}", "call_7_1"),
        (5, "finish", "tool_calls", None),
        (5, "done", "", None),
    ]


def test_interleaved_pieces_go_to_the_call_with_their_index() -> None:
    steps = (
        Call(name="f"),
        Call(name="g"),
        Args(text='{"a":', index=0),
        Args(text='{"b":', index=1),
        Args(text="1}", index=0),
        Args(text="2}", index=1),
    )
    assert heard(*steps).whole_calls() == [
        {"id": "call_7_0", "tool": "f", "args": {"a": 1}},
        {"id": "call_7_1", "tool": "g", "args": {"b": 2}},
    ]


def test_two_calls_on_one_index_stay_two_calls() -> None:
    steps = (Call(name="f", args='{"a":1}', index=0), Call(name="g", args='{"b":2}', index=0))
    assert [c["tool"] for c in heard(*steps).whole_calls()] == ["f", "g"]


def test_two_calls_with_one_id_stay_two_calls() -> None:
    steps = (Call(name="f", args="{}", id="a"), Call(name="g", args="{}", id="a"))
    assert [(c["id"], c["tool"]) for c in heard(*steps).whole_calls()] == [("a", "f"), ("a", "g")]


def test_a_piece_without_a_call_belongs_to_nobody() -> None:
    assert script(Args(text="{}"), Call(name="f"), Args(text="{}", index=3)) == [
        (0, "args", "{}", None),
        (1, "call", "", "call_7_0"),
        (2, "args", "{}", None),
    ]


def test_a_call_is_whole_when_its_last_piece_was_delivered() -> None:
    steps = (Say(text="hi"), Call(name="f", args='{"a":'), Stall(ns=1), Args(text="1}"), TOOL_CALLS)
    assert [len(heard(*steps, delivered=n).whole_calls()) for n in range(6)] == [0, 0, 0, 0, 1, 1]


def test_a_call_without_arguments_is_whole_once_the_model_finished() -> None:
    assert [
        heard(Call(name="f"), TOOL_CALLS).whole_calls(),
        heard(Call(name="f", args=""), TOOL_CALLS).whole_calls(),
        heard(Call(name="f"), Disconnect(how="cut")).whole_calls(),
        heard(Call(name="f"), Finish(reason="length")).whole_calls(),
        heard(Call(name="f", args=""), Finish(reason="length")).whole_calls(),
    ] == [[{"id": "call_7_0", "tool": "f", "args": {}}]] * 2 + [[], [], []]


def test_arguments_that_are_no_json_object_are_not_whole() -> None:
    texts = ['{"a": 1', "[1]", "null", '"x"', '{"a": NaN}', "{}{}"]
    assert [heard(Call(name="f", args=t), TOOL_CALLS).whole_calls() for t in texts] == [[]] * len(texts)


def test_steps_that_only_pass_time_are_no_moves() -> None:
    steps = (Wait(ns=1), Stall(ns=1), Pace(ns=1), KeepAlive(every_ns=1, for_ns=2), Disconnect(how="eof"))
    assert script(*steps) == []


def test_the_closing_marker_comes_by_itself_unless_the_script_ends_otherwise() -> None:
    endings: list[Sequence[Step]] = [
        (STOP,),
        (STOP, Usage(input_tokens=1, output_tokens=1)),
        (STOP, Stall(ns=1)),
        (STOP, Wait(ns=1), Done()),
        (STOP, Disconnect(how="cut")),
        (Done(),),
        (Say(text="x"),),
    ]
    assert [[(n, kind) for n, kind, _, _ in script(*e)] for e in endings] == [
        [(0, "finish"), (0, "done")],
        [(0, "finish"), (1, "usage"), (1, "done")],
        [(0, "finish"), (0, "done")],
        [(0, "finish"), (2, "done")],
        [(0, "finish")],
        [(0, "done")],
        [(0, "say")],
    ]


def test_only_what_takes_the_answer_further_is_progress() -> None:
    steps = (
        Say(text=""),
        Say(text="x"),
        Call(name="f", args=""),
        Args(text="{}"),
        STOP,
        Usage(input_tokens=1, output_tokens=1),
    )
    assert [(about(m)["is"], about(m)["progress"]) for m in moves(steps, 1)] == [
        ("say", False),
        ("say", True),
        ("call", True),
        ("args", False),
        ("args", True),
        ("finish", True),
        ("usage", False),
        ("done", False),
    ]


def test_a_frame_of_a_call_says_which() -> None:
    opening = about(moves((Call(name="f", id="mine", index=4),), 1)[0])
    assert opening == {"is": "call", "text": "", "tool": "f", "call": "mine", "index": 4, "progress": True}


def test_thoughts_and_refusals_are_no_text() -> None:
    steps = (Think(text="Hm. "), Think(text="No."), Say(text="Sorry: "), Refuse(text="I can't "), Refuse(text="help."))
    assert heard(*steps, STOP) == Turn(
        text="Sorry: ", finish="stop", done=True, thoughts="Hm. No.", refusal="I can't help."
    )


def test_a_name_in_pieces_is_one_name_and_the_call_is_whole() -> None:
    steps = (Call(name="wri", id="a"), Name(text="te_"), Name(text="file"), Args(text="{}"), TOOL_CALLS)
    assert heard(*steps).whole_calls() == [{"id": "a", "tool": "write_file", "args": {}}]


def test_a_name_that_is_sent_again_is_heard_once() -> None:
    steps = (Call(name="read", id="a"), Name(text="read"), Args(text="{}"), Name(text="read_file"), TOOL_CALLS)
    assert [(c.tool, c.args) for c in heard(*steps).calls] == [("read_file", "{}")]


def test_pieces_of_a_name_go_to_the_call_with_their_index() -> None:
    steps = (Call(name="f"), Call(name="g"), Name(text="1", index=0), Name(text="2", index=1))
    assert [c.tool for c in heard(*steps).calls] == ["f1", "g2"]


def test_arguments_that_nobody_wrote_follow_the_last_piece_of_the_name() -> None:
    assert script(Call(name="f"), Name(text="g"), TOOL_CALLS)[:3] == [
        (0, "call", "", "call_7_0"),
        (1, "name", "g", "call_7_0"),
        (1, "args", "{}", "call_7_0"),
    ]


def test_two_calls_that_are_alike_in_everything_get_arguments_each() -> None:
    twice = (Call(name="f", id="a", index=0), Call(name="f", id="a", index=0))
    assert [c.args for c in heard(*twice, TOOL_CALLS).calls] == ["{}", "{}"]


def test_a_text_comes_in_as_many_pieces_as_asked_and_never_more_than_characters() -> None:
    assert [
        [text for _, _, text, _ in script(step)]
        for step in (
            Say(text="abcdefg", pieces=3),
            Think(text="ab", pieces=5),
            Say(text="", pieces=4),
            Args(text="{}", pieces=2),
        )
    ] == [["ab", "cd", "efg"], ["a", "b"], [""], ["{", "}"]]


@given(st.text(max_size=30), st.integers(1, 40))
def test_pieces_put_together_are_the_text_and_differ_by_one_at_most(text: str, count: int) -> None:
    pieces = [piece for _, _, piece, _ in script(Say(text=text, pieces=count))]
    lengths = {len(p) for p in pieces}
    assert ("".join(pieces), max(lengths) - min(lengths) <= 1) == (text, True)
    assert len(pieces) == min(count, len(text) or 1)


def test_the_signature_of_a_thought_comes_with_its_last_piece() -> None:
    thoughts = [m.what for m in moves((Think(text="abcd", signature="sig", pieces=2),), 1)]
    assert thoughts == [Think(text="ab"), Think(text="cd", signature="sig")]


def test_every_piece_keeps_the_place_of_its_step() -> None:
    place = Place("x.sim.yaml", 7)
    steps = (Say(text="ab", pieces=2, place=place), Call(name="f", args="{}", place=place))
    assert [m.what.place for m in moves(steps, 1)] == [place] * 4


def test_a_call_without_an_index_takes_the_pieces_that_have_none() -> None:
    steps = (
        Call(name="f", index=NO_INDEX),
        Args(text='{"a":', index=NO_INDEX),
        Args(text="1}"),
        Call(name="g", index=NO_INDEX),
        Args(text="{}", index=NO_INDEX),
    )
    turn = heard(*steps, TOOL_CALLS)
    assert turn.calls == (CallHeard("call_7_0", "f", None, '{"a":1}'), CallHeard("call_7_1", "g", None, "{}"))
    assert [m.what for m in moves(steps, 1)][1:3] == [
        Args(text='{"a":', index=NO_INDEX),
        Args(text="1}", index=NO_INDEX),
    ]


def test_a_piece_without_an_index_belongs_to_what_is_open() -> None:
    assert heard(Call(name="f"), Args(text="{}", index=NO_INDEX)).calls == (CallHeard("call_7_0", "f", 0, "{}"),)


def test_an_error_is_told_and_nothing_closes_after_it() -> None:
    steps = (Say(text="Hel"), Fault(text="It broke."))
    assert [script(*steps), script(STOP, Fault(text="x")), heard(*steps)] == [
        [(0, "say", "Hel", None), (1, "error", "It broke.", None)],
        [(0, "finish", "stop", None), (1, "error", "x", None)],
        Turn(text="Hel", error="It broke."),
    ]


def test_what_only_the_wire_knows_is_a_move_and_tells_nothing() -> None:
    steps = (Say(text="a"), Garble(how="json"), Repeat(times=2), Raw(data=b"x"), Chunk(kind="null"), STOP)
    script = moves(steps, 1)
    assert [type(m.what) for m in script] == [Say, Garble, Repeat, Raw, Chunk, Finish, Done]
    assert told(script) == Turn(text="a", finish="stop", done=True)


def test_raw_bytes_may_be_progress_and_empty_frames_are_none() -> None:
    script = moves((Raw(data=b"x"), Chunk(kind="empty"), Think(text="x"), Refuse(text="x"), Fault(text="x")), 1)
    assert [(about(m)["is"], about(m)["progress"]) for m in script] == [
        ("raw", True),
        ("empty", False),
        ("think", True),
        ("refuse", True),
        ("error", True),
    ]


def test_what_was_sent_several_times_was_understood_as_often() -> None:
    sent = moves((Say(text="ha"), Call(name="f", id="a"), Args(text="1"), STOP), 1)
    turn = turn_of({**about(m), "times": 3} for m in sent)
    assert turn == Turn(text="hahaha", calls=(CallHeard("a", "f", 0, "111"),), finish="stop", done=True)


def test_an_opening_that_comes_again_at_once_is_the_same_call() -> None:
    opening, piece = (about(m) for m in moves((Call(name="f", id="a"), Args(text="{}")), 1))
    assert [len(turn_of(sent).calls) for sent in ([opening, opening, piece], [opening, piece, opening, piece])] == [
        1,
        2,
    ]


@given(st.lists(st.text(), max_size=4), st.dictionaries(st.text(), st.integers()), st.data())
def test_a_cut_anywhere_in_the_arguments_gives_no_call(
    says: list[str], args: dict[str, int], data: st.DataObject
) -> None:
    text = json.dumps(args)
    cut = data.draw(st.integers(1, len(text) - 1))
    turn = heard(*(Say(text=s) for s in says), Call(name="f", args=text[:cut]), Disconnect(how="cut"))
    assert (turn.text, turn.finish, turn.done, turn.whole_calls()) == ("".join(says), None, False, [])

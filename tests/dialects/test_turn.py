from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from simkit.dialects.turn import Turn, about, moves, turn_of
from simkit.model.timeline import (
    Args,
    Call,
    Disconnect,
    Done,
    Finish,
    KeepAlive,
    Pace,
    Say,
    Stall,
    Step,
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


@given(st.lists(st.text(), max_size=4), st.dictionaries(st.text(), st.integers()), st.data())
def test_a_cut_anywhere_in_the_arguments_gives_no_call(
    says: list[str], args: dict[str, int], data: st.DataObject
) -> None:
    text = json.dumps(args)
    cut = data.draw(st.integers(1, len(text) - 1))
    turn = heard(*(Say(text=s) for s in says), Call(name="f", args=text[:cut]), Disconnect(how="cut"))
    assert (turn.text, turn.finish, turn.done, turn.whole_calls()) == ("".join(says), None, False, [])

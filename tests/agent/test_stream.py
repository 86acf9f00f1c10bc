from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.agent.history import Call, Opaque
from simkit.agent.stream import Answer, Assembly, CallPart, Finish, Piece, Refusal, Running, Text, Thought, Usage

DONE = Finish("tool_calls")


def assemble(*pieces: Piece) -> Answer:
    assembly = Assembly()
    for piece in pieces:
        assembly.add(piece)
    return assembly.answer()


def called(*pieces: Piece) -> list[tuple[str, str, object]]:
    """The calls as (id, name, arguments, or the word fault)."""
    return [(c.id, c.name, "fault" if c.fault else dict(c.arguments)) for c in assemble(*pieces).calls]


def opens(index: int | None, call_id: str | None, name: str, args: str = "") -> CallPart:
    return CallPart(index=index, id=call_id, name=name, args=args)


def more(args: str, index: int | None = None, call_id: str | None = None, name: str = "") -> CallPart:
    return CallPart(index=index, id=call_id, name=name, args=args)


ROWS: dict[str, tuple[list[Piece], list[tuple[str, str, object]]]] = {
    "15 no arguments at all": ([opens(0, "a", "f")], [("a", "f", {})]),
    "16 one id used twice": (
        [opens(0, "a", "f", '{"n":1}'), opens(1, "a", "g", '{"n":2}')],
        [("a", "f", {"n": 1}), ("a", "g", {"n": 2})],
    ),
    "17 all at index 0": (
        [opens(0, "a", "f"), more("{}", 0), opens(0, "b", "g"), more('{"n":', 0), more("2}", 0)],
        [("a", "f", {}), ("b", "g", {"n": 2})],
    ),
    "17 all at index 0 without ids": (
        [opens(0, None, "f", '{"n":1}'), opens(0, None, "f", '{"n":2}')],
        [("", "f", {"n": 1}), ("", "f", {"n": 2})],
    ),
    "18 no index": (
        [opens(None, "a", "f"), more('{"n":'), more("1}"), opens(None, "b", "g"), more("{}")],
        [("a", "f", {"n": 1}), ("b", "g", {})],
    ),
    "18 no index, pieces by id": (
        [opens(None, "a", "f"), opens(None, "b", "g"), more("{}", None, "a"), more('{"n":2}', None, "b")],
        [("a", "f", {}), ("b", "g", {"n": 2})],
    ),
    "19 arguments at an index nobody opened": (
        [opens(0, "a", "f"), more('{"n":1}', 3)],
        [("a", "f", {"n": 1})],
    ),
    "20 interleaved": (
        [opens(0, "a", "f"), opens(1, "b", "g"), more('{"n"', 0), more("{", 1), more(":1}", 0), more("}", 1)],
        [("a", "f", {"n": 1}), ("b", "g", {})],
    ),
    "21 name resent": (
        [opens(0, "a", "read_file"), more('{"n":', 0, "a", "read_file"), more("1}", 0, "a", "read_file")],
        [("a", "read_file", {"n": 1})],
    ),
    "22 name in fragments": (
        [opens(0, "a", "edit_ex"), more("", 0, None, "isting_file"), more("{}", 0)],
        [("a", "edit_existing_file", {})],
    ),
    "22 name growing": (
        [opens(0, "a", "edit_ex"), more("", 0, None, "edit_existing_file"), more("{}", 0)],
        [("a", "edit_existing_file", {})],
    ),
    "23 cumulative list": (
        [
            opens(0, "a", "f", '{"n":1}'),
            opens(0, "a", "f", '{"n":1}'),
            opens(1, "b", "g", "{}"),
            opens(0, "a", "f", '{"n":1}'),
            opens(1, "b", "g", "{}"),
        ],
        [("a", "f", {"n": 1}), ("b", "g", {})],
    ),
    "id comes late": ([opens(0, None, "f"), more("{}", 0, "a")], [("a", "f", {})]),
    "index starts at 1": ([opens(1, "a", "f"), more("{}", 1)], [("a", "f", {})]),
    "arguments before any call": ([more("{}")], [("", "", {})]),
}


@pytest.mark.parametrize("row", ROWS)
def test_every_way_of_sending_calls_gives_the_calls_that_were_meant(row: str) -> None:
    pieces, expected = ROWS[row]
    assert called(*pieces, DONE) == expected


@pytest.mark.parametrize(
    "args", ['{"path": "x', '{"a":1}{}', "[1]", "null", '"text"', '{"n": NaN}', "{'a': 1}", '{"a":' * 100_000]
)
def test_arguments_that_are_no_json_object_make_a_fault_and_leave_nothing_to_run(args: str) -> None:
    call = assemble(opens(0, "a", "f", args), DONE).calls[0]
    assert (call.arguments, call.fault != "") == ({}, True)


def test_a_call_without_arguments_is_whole_only_when_the_model_itself_ended() -> None:
    ends: list[list[Piece]] = [[DONE], [Finish("stop")], [Finish("length")], []]
    assert [called(opens(0, "a", "f"), *end)[0][2] for end in ends] == [{}, {}, "fault", "fault"]


def test_text_and_finish_are_kept_and_the_last_usage_counts() -> None:
    answer = assemble(Text("a"), Thought("hm"), Usage(1, 1), Text("b"), Finish("length"), Finish("stop"), Usage(3, 2))
    assert answer == Answer(text="ab", finish="length", usage=Usage(3, 2))


def test_only_content_that_was_not_there_before_is_progress() -> None:
    assembly = Assembly()
    pieces: list[Piece] = [
        Text("a"),
        Text(""),
        Thought("hm"),
        opens(0, "a", "f"),
        opens(0, "a", "f"),
        more("{}", 0),
        more("{}", 0, "a", "f"),
        Refusal("no"),
        Opaque("w", {}),
        Running({"id": 1}),
        Usage(1, 1),
        DONE,
        DONE,
    ]
    assert [assembly.add(p) for p in pieces] == [
        True, False, True, True, False, True, False, True, True, False, False, True, False,
    ]  # fmt: skip


def test_arguments_that_come_whole_take_the_place_of_what_came_before() -> None:
    whole = CallPart(index=0, id="a", args='{"n":1}', whole=True)
    assert called(opens(0, "a", "f"), more('{"n', 0), whole, DONE) == [("a", "f", {"n": 1})]


def test_what_goes_back_unchanged_knows_its_place_among_words_and_calls() -> None:
    first, second = Opaque("w", {"n": 1}), Opaque("w", {"n": 2})
    answer = assemble(first, Text("One"), opens(0, "a", "f"), more("{}", 0), second, Text("two"), DONE)
    assert answer.opaque == (first, Opaque("w", {"n": 2}, text_at=3, calls_at=1))


@pytest.mark.parametrize(("end", "finish"), [([Finish("stop")], "refusal"), ([Finish("length")], "length"), ([], None)])
def test_words_of_refusal_make_a_refusal_of_an_answer_that_ended(end: list[Piece], finish: str | None) -> None:
    answer = assemble(Text("Well. "), Refusal("I will"), Refusal(" not."), *end)
    assert (answer.text, answer.refusal, answer.finish) == ("Well. ", "I will not.", finish)


def test_an_answer_runs_on_until_its_finish() -> None:
    tokens = [assemble(Text("a"), Running({"id": 1}), Running({"id": 1, "n": 2}), *end).token for end in ([], [DONE])]
    assert tokens == [{"id": 1, "n": 2}, None]


@pytest.mark.parametrize(
    ("answer", "blank"),
    [
        (Answer(), True),
        (Answer(text=" \n"), True),
        (Answer(opaque=(Opaque("w", {}),)), True),
        (Answer(text="a"), False),
        (Answer(refusal="a"), False),
        (Answer(calls=(Call("a", "f"),)), False),
        (Answer(dropped=("f",)), False),
    ],
)
def test_an_answer_is_blank_without_words_and_calls_whatever_was_thought(answer: Answer, blank: bool) -> None:
    assert answer.is_blank == blank


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(max_size=3), JSON, max_size=3)


@given(st.data(), st.lists(ARGUMENTS, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_any_cut_of_the_arguments_in_any_interleaving_gives_the_same_calls(
    data: st.DataObject, objects: list[dict[str, object]], resend: bool, with_ids: bool
) -> None:
    texts = [json.dumps(value) for value in objects]
    ids = [f"call_{i}" if with_ids else None for i in range(len(texts))]
    pieces: list[Piece] = [opens(i, ids[i], f"tool_{i}") for i in range(len(texts))]
    while any(texts):
        index = data.draw(st.sampled_from([i for i, text in enumerate(texts) if text]))
        cut = data.draw(st.integers(1, len(texts[index])))
        name, call_id = (f"tool_{index}", ids[index]) if resend else ("", None)
        pieces.append(more(texts[index][:cut], index, call_id, name))
        texts[index] = texts[index][cut:]
    expected = tuple(Call(ids[i] or "", f"tool_{i}", value) for i, value in enumerate(objects))
    assert assemble(*pieces, DONE).calls == expected

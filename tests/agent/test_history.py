from __future__ import annotations

import pytest

from simkit.agent.history import AssistantMessage, Call, History, Opaque, ToolResult
from tests.agent.scripted import outline


def test_a_round_goes_in_whole_and_in_order() -> None:
    history = History()
    history.add_question("do it")
    history.add_round("", [Call("a", "f"), Call("b", "g")], [ToolResult("a", "1"), ToolResult("b", "2", is_error=True)])
    history.add_text("done")
    assert outline(history.items) == ["user", "assistant f g", "result a", "result b error", "assistant"]


def test_a_round_with_a_lost_result_is_refused_and_changes_nothing() -> None:
    history = History()
    with pytest.raises(ValueError, match=r"\['a'\] do not pair with the calls \['a', 'b'\]"):
        history.add_round("", [Call("a", "f"), Call("b", "g")], [ToolResult("a", "1")])
    assert history.items == ()


def test_blank_text_is_no_message() -> None:
    history = History()
    history.add_text(" \n")
    assert history.items == ()


def test_ids_that_are_missing_or_taken_within_the_session_become_its_own() -> None:
    history = History()
    history.add_round("", [Call("a", "f")], [ToolResult("a", "1")])
    wished = ["a", "", "", "b", "b", "call_2"]
    calls = history.with_own_ids([Call(wish, "f") for wish in wished])
    assert [c.id for c in calls] == ["a_2", "call", "call_2", "b", "b_2", "call_2_2"]


def test_an_own_id_is_one_that_every_wire_takes() -> None:
    ids = [c.id for c in History().with_own_ids([Call(wish, "f") for wish in ["a.b/c", "a_b_c", "x" * 99, "x" * 99]])]
    assert (ids, {len(one) for one in ids[2:]}) == (["a_b_c", "a_b_c_2", "x" * 64, "x" * 62 + "_2"], {64})


A, B = Call("a", "f"), Call("b", "g")
ONE, TWO = Opaque("w", {"n": 1}), Opaque("w", {"n": 2}, text_at=3, calls_at=1)


def test_the_parts_of_a_message_stand_as_they_came_and_those_of_other_wires_are_left_out() -> None:
    message = AssistantMessage("Onetwo", (A, B), (ONE, TWO))
    assert (message.parts("w"), message.parts("other")) == ([ONE, "One", A, TWO, "two", B], ["Onetwo", A, B])


def test_a_message_whose_calls_were_dropped_still_has_its_parts() -> None:
    assert AssistantMessage("On", (), (ONE, TWO)).parts("w") == [ONE, "On", TWO]


def test_a_paused_answer_is_a_message_also_without_words() -> None:
    history = History()
    history.add_pause("", [ONE])
    assert history.items == (AssistantMessage("", (), (ONE,)),)

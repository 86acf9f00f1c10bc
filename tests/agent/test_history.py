from __future__ import annotations

import pytest

from simkit.agent.history import Call, History, ToolResult
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

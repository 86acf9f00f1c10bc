from __future__ import annotations

import pytest

from simkit.agent.continuation import form_of, is_cut, prompt, stub
from simkit.agent.history import Call, Opaque
from simkit.agent.stream import Answer

WHOLE, CUT = Call("a", "f", {"n": 1}), Call("b", "write_file", fault="the arguments are not valid JSON")


@pytest.mark.parametrize(
    ("answer", "cut"),
    [
        (Answer(text="hello"), True),
        (Answer(calls=(WHOLE,)), True),
        (Answer(calls=(WHOLE, CUT), finish="length"), True),
        (Answer(calls=(WHOLE,), finish="length"), False),
        (Answer(text="hello", finish="length"), False),
        (Answer(calls=(CUT,), finish="tool_calls"), False),
        (Answer(text="hello", finish="stop"), False),
    ],
)
def test_an_answer_is_cut_without_a_finish_or_by_the_limit_within_a_call(answer: Answer, cut: bool) -> None:
    assert is_cut(answer) == cut


def test_the_stub_of_a_broken_stream_keeps_the_text_and_only_the_names_of_calls() -> None:
    kept = stub(Answer(text="I'll write", calls=(WHOLE, CUT), opaque=(Opaque("w", {"signed": True}),)))
    assert kept == Answer(text="I'll write", finish="length", partial=True, dropped=("f", "write_file"))


def test_the_output_limit_within_a_call_is_no_broken_stream() -> None:
    assert not stub(Answer(calls=(CUT,), finish="length")).partial


@pytest.mark.parametrize(
    ("answer", "form", "words"),
    [
        (Answer(text="a", finish="length"), "truncated", ["output limit", "Continue"]),
        (Answer(text="a", finish="length", partial=True), "broken_text", ["connection broke", "Continue"]),
        (stub(Answer(calls=(CUT,))), "dropped_calls", ["write_file", "8,000 tokens", "smaller"]),
    ],
)
def test_each_kind_of_cut_is_asked_on_with_its_own_words(answer: Answer, form: str, words: list[str]) -> None:
    text = prompt(answer)
    assert (form_of(answer), [w for w in words if w not in text]) == (form, [])


def test_the_prompt_names_at_most_three_tools_each_once() -> None:
    names = ["a_tool", "b_tool", "a_tool", "c_tool", "d_tool", "e_tool"]
    text = prompt(stub(Answer(calls=tuple(Call("", name) for name in names))))
    assert "a_tool, b_tool, c_tool and 2 more" in text

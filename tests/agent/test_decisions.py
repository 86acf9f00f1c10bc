from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.agent.continuation import is_cut, stub
from simkit.agent.decisions import Continue, End, Limits, Resend, RunTools, Spent, Step, next_step, spend
from simkit.agent.history import Call
from simkit.agent.stream import Answer

CALL = Call("a", "f")
LIMITS = Limits(max_requests=20, max_continuations=3, max_resends=2)
ONE = Spent(requests=1)


@pytest.mark.parametrize(
    ("answer", "spent", "step"),
    [
        (Answer(text="hi", finish="stop"), ONE, End("finished")),
        (Answer(finish="tool_calls"), ONE, End("finished")),
        (Answer(calls=(CALL,), finish="stop"), ONE, RunTools()),
        (Answer(calls=(CALL,), finish="length"), ONE, RunTools()),
        (
            Answer(calls=(CALL,), finish="content_filter"),
            ONE,
            End("failed", "the provider's content filter ended the answer"),
        ),
        (Answer(text="hi", finish="length"), ONE, Continue(1, "truncated")),
        (stub(Answer(text="hi")), replace(ONE, continuations=2), Continue(3, "broken_text")),
        (stub(Answer(calls=(CALL,))), ONE, Continue(1, "dropped_calls")),
        (
            stub(Answer(text="hi")),
            replace(ONE, continuations=3),
            End("incomplete", "the answer was still cut off after 3 continuations"),
        ),
        (stub(Answer()), ONE, Resend(1, 0.5)),
        (stub(Answer(text="\n")), replace(ONE, resends=1), Resend(2, 1.0)),
        (
            stub(Answer()),
            replace(ONE, resends=2),
            End("failed", "the stream broke 3 times before anything arrived"),
        ),
        (
            Answer(calls=(CALL,), finish="tool_calls"),
            Spent(requests=20),
            End("failed", "the turn has used all its 20 requests"),
        ),
        (Answer(text="hi", finish="stop"), Spent(requests=20), End("finished")),
    ],
)
def test_each_answer_has_one_step_that_follows(answer: Answer, spent: Spent, step: Step) -> None:
    assert next_step(answer, spent, LIMITS) == step


ANSWERS = st.builds(
    Answer,
    text=st.sampled_from(["", "hi"]),
    calls=st.sampled_from([(), (CALL,), (replace(CALL, fault="cut"),)]),
    finish=st.sampled_from(["length", "tool_calls", None]),
)
BOUNDS = st.builds(
    Limits,
    max_requests=st.integers(1, 9),
    max_continuations=st.integers(0, 4),
    max_resends=st.integers(0, 3),
)


@given(st.data(), BOUNDS)
def test_whatever_a_provider_answers_the_turn_ends_within_its_limits(data: st.DataObject, limits: Limits) -> None:
    spent, step = Spent(), None
    while not isinstance(step, End):
        answer = data.draw(ANSWERS)
        spent = replace(spent, requests=spent.requests + 1)
        step = next_step(stub(answer) if is_cut(answer) else answer, spent, limits)
        spent = spend(spent, answer, step)
        assert spent.requests <= limits.max_requests
    assert (spent.continuations <= limits.max_continuations, spent.resends <= limits.max_resends) == (
        True,
        True,
    )

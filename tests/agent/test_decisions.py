from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.agent.continuation import is_cut, stub
from simkit.agent.decisions import (
    Continue,
    End,
    FallBack,
    GoOn,
    Limits,
    NoAnswer,
    Nudge,
    Resend,
    Retry,
    RunTools,
    Spent,
    Step,
    after_error,
    next_step,
    spend,
)
from simkit.agent.history import Call, Opaque
from simkit.agent.stream import Answer

CALL = Call("a", "f")
LIMITS = Limits(max_requests=20, max_continuations=3, max_resends=2, max_own_retries=2, max_nudges=2, max_pauses=2)
SEARCH = Opaque("anthropic", {"type": "server_tool_use"})
ONE = Spent(requests=1)


@pytest.mark.parametrize(
    ("answer", "spent", "step"),
    [
        (Answer(text="hi", finish="stop"), ONE, End("finished")),
        (Answer(text="hi", finish="tool_calls"), ONE, End("finished")),
        (Answer(finish="tool_calls"), ONE, Nudge(1)),
        (Answer(text="\n", finish="stop"), replace(ONE, nudges=1), Nudge(2)),
        (
            Answer(finish="stop"),
            replace(ONE, nudges=2),
            End("failed", "the model gave 3 answers with nothing in them"),
        ),
        # The rest of an answer may be nothing: then it was all there.
        (Answer(finish="stop"), replace(ONE, begun=True), End("finished")),
        (Answer(text="no", finish="refusal"), ONE, End("failed", "refused by the model: no")),
        (Answer(refusal="no", calls=(CALL,), finish="refusal"), ONE, End("failed", "refused by the model: no")),
        (Answer(finish="refusal"), ONE, End("failed", "refused by the model")),
        (Answer(text="hi", finish="pause"), ONE, GoOn(1)),
        (Answer(opaque=(SEARCH,), finish="pause"), replace(ONE, pauses=1), GoOn(2)),
        (
            Answer(text="hi", finish="pause"),
            replace(ONE, pauses=2),
            End("incomplete", "the provider paused the answer 3 times"),
        ),
        (Answer(finish="pause"), ONE, Nudge(1)),
        (Answer(calls=(CALL,), finish="pause"), ONE, RunTools()),
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


DOWN = NoAnswer("503: later", passing=True)


@pytest.mark.parametrize(
    ("error", "spent", "fallback", "step"),
    [
        (NoAnswer("400: bad"), ONE, True, End("failed", "400: bad")),
        (DOWN, ONE, True, Retry(1, 0.5)),
        (DOWN, replace(ONE, retries=1), True, Retry(2, 1.0)),
        (DOWN, replace(ONE, retries=2), True, FallBack(0.0, "503: later")),
        (DOWN, replace(ONE, retries=2), False, End("failed", "503: later")),
        (replace(DOWN, wait_s=7.0), ONE, False, Retry(1, 7.0)),
        (replace(DOWN, wait_s=0.2), replace(ONE, retries=1), False, Retry(2, 1.0)),
        (replace(DOWN, wait_s=7.0), replace(ONE, retries=2), True, FallBack(7.0, "503: later")),
        (
            replace(DOWN, wait_s=121.0),
            ONE,
            True,
            End("failed", "503: later (the provider asks to be left alone for 121 s)"),
        ),
        (DOWN, Spent(requests=20), True, End("failed", "the turn has used all its 20 requests")),
    ],
)
def test_without_an_answer_there_is_one_step_that_follows(
    error: NoAnswer, spent: Spent, fallback: bool, step: Step
) -> None:
    assert after_error(error, spent, LIMITS, fallback=fallback) == step


def test_a_stream_that_broke_too_often_before_anything_arrived_is_left_to_the_other_model() -> None:
    reason = "the stream broke 3 times before anything arrived"
    assert next_step(stub(Answer()), replace(ONE, resends=2), LIMITS, fallback=True) == FallBack(0.0, reason)


def test_words_that_have_come_count_until_tools_have_run() -> None:
    steps: list[tuple[Answer | None, Step]] = [
        (Answer(text="hi"), Continue(1, "truncated")),
        (Answer(), Resend(1, 0.5)),
        (None, Retry(1, 0.5)),
        (Answer(text="hi"), RunTools()),
        (Answer(text=" "), GoOn(1)),
        (Answer(text="hi"), GoOn(2)),
    ]
    spent, begun = ONE, []
    for answer, step in steps:
        spent = spend(spent, answer, step)
        begun.append(spent.begun)
    assert begun == [True, True, True, False, False, True]


ANSWERS = st.builds(
    Answer,
    text=st.sampled_from(["", "hi"]),
    calls=st.sampled_from([(), (CALL,), (replace(CALL, fault="cut"),)]),
    finish=st.sampled_from(["length", "tool_calls", "pause", None]),
)
ERRORS = st.builds(NoAnswer, st.just("503"), st.booleans(), st.sampled_from([None, 1.0, 500.0]))
BOUNDS = st.builds(
    Limits,
    max_requests=st.integers(1, 9),
    max_continuations=st.integers(0, 4),
    max_resends=st.integers(0, 3),
    max_own_retries=st.integers(0, 3),
    max_nudges=st.integers(0, 3),
    max_pauses=st.integers(0, 3),
)


@given(st.data(), BOUNDS)
def test_whatever_a_provider_does_the_turn_ends_within_its_limits(data: st.DataObject, limits: Limits) -> None:
    spent, step, fallback = Spent(), None, True
    while not isinstance(step, End):
        came = data.draw(ANSWERS | ERRORS)
        spent = replace(spent, requests=spent.requests + 1)
        if isinstance(came, Answer):
            step = next_step(stub(came) if is_cut(came) else came, spent, limits, fallback=fallback)
            spent = spend(spent, came, step)
        else:
            step = after_error(came, spent, limits, fallback=fallback)
            spent = spend(spent, None, step)
        # Whoever plays the step has only one other model.
        fallback = fallback and not isinstance(step, FallBack)
    used = (spent.requests, spent.continuations, spent.resends, spent.retries, spent.nudges, spent.pauses)
    most = (
        limits.max_requests,
        limits.max_continuations,
        limits.max_resends,
        limits.max_own_retries,
        limits.max_nudges,
        limits.max_pauses,
    )
    assert [(u, m) for u, m in zip(used, most, strict=True) if u > m] == []

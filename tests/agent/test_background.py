"""Answers that run on at the provider: the decisions by themselves, and the agent over the wire (rows 35 to 38)."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.agent.background import Ask, Came, GiveUp, Heard, Pursuit, next_move
from simkit.agent.clients import ClientOptions, connect
from simkit.agent.decisions import Limits
from simkit.agent.stream import Assembly, Finish, Piece, Running, Text
from tests.agent.worlds import RESPONSES, asked, bodies, ends, notes, run, wrong

LIMITS = Limits(poll_every_s=2.0, poll_deadline_s=60.0, poll_failures_max=2)
STREAMED, POLLED = Pursuit(resumable=True), Pursuit(resumable=False)
LOOK = "tools: {look: {takes: 1s}}\n"


# -- decisions --
@pytest.mark.parametrize(
    ("pursuit", "heard", "after", "move"),
    [
        (POLLED, Heard("running", 0.0), POLLED, Ask(2.0, resume=False)),
        (STREAMED, Heard("news", 10.0), STREAMED, Ask(0.5, resume=True)),
        (STREAMED, Heard("silence", 10.0), POLLED, Ask(2.0, resume=False)),
        (STREAMED, Heard("no_stream", 10.0), POLLED, Ask(2.0, resume=False)),
        (STREAMED, Heard("failed", 10.0), Pursuit(True, 1), Ask(2.0, resume=True)),
        (Pursuit(False, 1), Heard("failed", 10.0, wait_s=7.0), Pursuit(False, 2), Ask(7.0, resume=False)),
        (Pursuit(False, 2), Heard("running", 10.0), POLLED, Ask(2.0, resume=False)),
        (POLLED, Heard("running", 59.5), POLLED, Ask(0.5, resume=False)),
        (
            POLLED,
            Heard("running", 60.0),
            POLLED,
            GiveUp("the answer was still running at the provider 60 s after its request"),
        ),
        (
            Pursuit(False, 2),
            Heard("failed", 10.0),
            Pursuit(False, 3),
            GiveUp("asking for the running answer failed 3 times in a row"),
        ),
        (
            POLLED,
            Heard("failed", 10.0, wait_s=51.0),
            Pursuit(False, 1),
            GiveUp("the provider asks to be left alone for 51 s, beyond the answer's deadline"),
        ),
    ],
)
def test_each_thing_that_comes_has_one_move_that_follows(
    pursuit: Pursuit, heard: Heard, after: Pursuit, move: Ask | GiveUp
) -> None:
    assert next_move(pursuit, heard, LIMITS) == (after, move)


CAME: st.SearchStrategy[Came] = st.sampled_from(get_args(Came))


@given(st.data(), st.booleans(), st.floats(0.1, 10.0))
def test_whatever_a_provider_does_the_asking_ends_and_never_goes_back_to_streams(
    data: st.DataObject, resumable: bool, poll_every_s: float
) -> None:
    limits = Limits(poll_every_s=poll_every_s, poll_deadline_s=60.0)
    pursuit, elapsed_s, asks = Pursuit(resumable), 0.0, list[bool]()
    while True:
        pursuit, move = next_move(pursuit, Heard(data.draw(CAME), elapsed_s), limits)
        if isinstance(move, GiveUp):
            break
        elapsed_s += move.delay_s
        asks.append(move.resume)
    # The end of a sum of fractions is a little off.
    assert (elapsed_s <= 60.001, asks) == (True, sorted(asks, reverse=True))


def test_the_token_stays_with_every_update_and_leaves_with_the_end() -> None:
    assembly, tokens = Assembly(), []
    first, second = {"task_id": "t", "context_id": 1}, {"task_id": "t"}
    pieces: list[Piece] = [Running(first), Text("a"), Running(second, resumable=True), Finish("stop")]
    for piece in pieces:
        assembly.add(piece)
        tokens.append(assembly.answer().token)
    assert tokens == [first, first, second, None]


def test_a_client_that_has_no_such_answers_says_so() -> None:
    options = ClientOptions(base_url="", api_key="", model="", background=True)
    with pytest.raises(ValueError, match="over 'anthropic' cannot run in the background, only over: openai-responses"):
        connect("anthropic", options)


def test_an_answer_that_is_not_stored_cannot_run_on() -> None:
    with pytest.raises(ValueError, match="has to be stored"):
        connect(RESPONSES, ClientOptions(base_url="", api_key="", model="", background=True, store=False))


# -- 35: after the end, the next request is a new one --
CALLS = (
    LOOK
    + """
provider:
  - background: {queued: 2s, in_progress: 4s, stream: [{call: look, args: {}}, {finish: tool_calls}]}
  - background: {queued: 1s, in_progress: 1s, stream: [{say: Done.}, {finish: stop}]}
expect: {requests: 2, tool_calls: {look: 1}, tool_results_sent: 1, last_message: Done., outcome: finished}
"""
)


@pytest.mark.parametrize(
    ("stream", "questions"),
    [
        (True, [(0.0, "post"), (7.0, "post")]),
        (
            False,
            [(0.0, "post"), *[(at, "retrieve") for at in (2.0, 4.0, 6.0)], (7.0, "post"), (9.0, "retrieve")],
        ),
    ],
)
def test_35_after_an_answer_is_over_the_results_are_posted_in_the_background_too(
    stream: bool, questions: list[tuple[float, str]]
) -> None:
    result = run(CALLS, RESPONSES, background=True, stream=stream)
    assert (wrong(result), asked(result)) == ([], questions)
    assert [body.get("background") for body in bodies(result)] == [True, True]


def test_a_request_in_the_foreground_never_sees_a_token() -> None:
    result = run(CALLS, RESPONSES)
    assert (wrong(result), notes(result, "answer_runs_on"), [b.get("background") for b in bodies(result)]) == (
        [],
        [],
        [None, None],
    )


def test_an_answer_that_is_over_at_once_is_never_asked_for() -> None:
    text = "provider: [{stream: [{say: Done.}, {finish: stop}]}]\nexpect: {outcome: finished}"
    results = [run(text, RESPONSES, background=True, stream=stream) for stream in (True, False)]
    assert [(wrong(r), asked(r)) for r in results] == [([], [(0.0, "post")])] * 2


# -- 36: too late to resume --
def test_36_when_the_window_has_closed_the_answer_is_polled() -> None:
    text = """
    provider:
      - background: {window: 100s, stream: [{say: "On "}, {stall: 390s}, {say: time.}, {finish: stop}]}
    expect: {requests: 1, last_message: On time., messages: 1, outcome: finished}
    """
    result = run(text, RESPONSES, background=True, poll_every="60s")
    assert (wrong(result), [what for _, what in asked(result)][:3]) == ([], ["post", "stream after 5", "retrieve"])
    assert notes(result, "question_failed")[0][2:] == (
        "BadRequestError: Error code: 400 - This response can no longer be streamed because it is more than 5 minutes "
        "old.",
    )


def test_36_an_answer_that_nobody_knows_any_more_fails_the_turn_and_is_not_made_again() -> None:
    text = """
    provider:
      - background: {in_progress: 20m, expires: 30s, stream: [{say: Late.}, {finish: stop}]}
    expect: {requests: 1, outcome: failed, ends_within: 31s}
    """
    result = run(text, RESPONSES, background=True, stream=False)
    assert (wrong(result), [what for _, what in asked(result)][-1]) == ([], "retrieve")


# -- 37: nothing twice, nothing lost --
def test_37_a_stream_that_breaks_is_resumed_behind_the_last_event() -> None:
    text = (
        LOOK
        + """
provider:
  - background:
      stream: [{say: One}, {wait: 1s}, {say: " two"}, {disconnect: cut}, {wait: 1s}, {say: " three"}, {wait: 1s},
               {call: look}, {disconnect: reset}, {args: '{"n":'}, {wait: 1s}, {disconnect: cut}, {args: " 1}"},
               {wait: 1s}, {finish: tool_calls}]
  - stream: [{say: Done.}, {finish: stop}]
expect: {requests: 2, tool_calls: {look: 1}, outcome: finished}
"""
    )
    result = run(text, RESPONSES, background=True)
    assert (wrong(result), [e.get("text") for e in result.trace.of("said")]) == ([], ["One two three", "Done."])
    assert [e.get("args") for e in result.trace.of("tool.start")] == [{"n": 1}]
    assert [what.partition(" after")[0] for _, what in asked(result)] == ["post", *["stream"] * 3, "post"]


def test_37_an_error_event_breaks_the_stream_and_not_the_answer() -> None:
    text = """
    provider:
      - background: {in_progress: 9s, stream: [{say: One}, {wait: 1s}, {error: Overloaded}]}
    expect: {requests: 1, last_message: One, outcome: finished, ends_within: 9s}
    """
    result = run(text, RESPONSES, background=True)
    assert (wrong(result), asked(result)) == ([], [(0.0, "post"), (1.5, "stream after 6")])


# -- 38: polls --
HTML = "{status: 200, body: '<html>', headers: {content-type: text/html}}"
ERROR = '{status: 200, body: \'{"error": {"code": "invalid_prompt"}}\'}'


@pytest.mark.parametrize("instead", ["{status: 502}", "{connection: reset}", "{status: 200, body: ''}", HTML, ERROR])
def test_38_some_failed_polls_do_not_end_an_answer_that_is_well(instead: str) -> None:
    polls = ", ".join(f"{n}: {instead}" for n in range(2, 7))
    text = f"""
    provider:
      - background: {{queued: 5s, in_progress: 20s, polls: {{{polls}}}, stream: [{{say: Done.}}, {{finish: stop}}]}}
    expect: {{requests: 1, last_message: Done., outcome: finished, ends_within: 27s}}
    """
    assert wrong(run(text, RESPONSES, background=True, stream=False)) == []


def test_38_too_many_failed_polls_in_a_row_end_it_and_stop_it_at_the_provider() -> None:
    polls = ", ".join(f"{n}: {{status: 502}}" for n in range(1, 7))
    text = f"""
    provider:
      - background: {{queued: forever, polls: {{{polls}}}}}
    expect: {{requests: 1, outcome: failed}}
    """
    result = run(text, RESPONSES, background=True, stream=False)
    assert (wrong(result), asked(result)[-2:]) == ([], [(12.0, "retrieve"), (12.0, "cancel")])


def test_38_a_poll_that_is_told_to_wait_waits() -> None:
    text = """
    provider:
      - background: {in_progress: 10s, polls: {1: {status: 429, retry_after: 9s}}, stream: [{say: Hi}, {finish: stop}]}
    expect: {requests: 1, outcome: finished}
    """
    result = run(text, RESPONSES, background=True, stream=False)
    assert (wrong(result), [at for at, _ in asked(result)]) == ([], [0.0, 2.0, 11.0])


@pytest.mark.parametrize("stream", [True, False])
def test_38_at_its_deadline_an_answer_is_given_up_and_stopped(stream: bool) -> None:
    text = "provider: [{background: {queued: forever}}]\nexpect: {requests: 1, outcome: failed}"
    result = run(text, RESPONSES, background=True, stream=stream, poll_deadline="60s")
    assert (wrong(result), asked(result)[-1], notes(result, "idle_deadline")) == ([], (60.0, "cancel"), [])
    assert [e.get("state") for e in result.trace.of("job.state")][-1] == "cancelled"


@pytest.mark.parametrize("stream", [True, False])
def test_a_cancelled_turn_stops_its_answer_at_the_provider(stream: bool) -> None:
    text = """
    user: [{says: go}, {at: 5s, cancels: true}, {at: 6s, says: again}]
    provider:
      - background: {queued: 2s, in_progress: 400s, stream: [{say: Half}]}
      - stream: [{say: Done.}, {finish: stop}]
    expect: {requests: 2, last_message: Done., outcome: finished}
    """
    result = run(text, RESPONSES, background=True, stream=stream)
    assert (wrong(result), (5.0, "cancel") in asked(result), ends(result)[0][0]) == ([], True, "cancelled")


def test_the_end_of_the_turns_time_stops_the_answer_too() -> None:
    text = "provider: [{background: {queued: forever}}]\nexpect: {requests: 1, outcome: failed}"
    result = run(text, RESPONSES, background=True, stream=False, turn_deadline="11s")
    assert (wrong(result), asked(result)[-1]) == ([], (11.0, "cancel"))


@pytest.mark.parametrize(
    ("job", "outcome"),
    [
        ("ends: failed, error: server_error", "finished"),
        ("ends: failed, error: invalid_prompt", "failed"),
        ("ends: cancelled", "failed"),
        ("ends: incomplete", "finished"),
    ],
)
def test_an_answer_that_did_not_come_to_its_own_end_is_no_success(job: str, outcome: str) -> None:
    text = f"""
    provider:
      - background: {{queued: 2s, in_progress: 4s, {job}, stream: [{{say: Half}}]}}
      - stream: [{{say: Done.}}, {{finish: stop}}]
    expect: {{outcome: {outcome}}}
    """
    assert wrong(run(text, RESPONSES, background=True, stream=False)) == []


def test_a_token_lives_through_json() -> None:
    text = "provider: [{background: {queued: 9s, stream: [{say: Hi}, {finish: stop}]}}]"
    token = notes(run(text, RESPONSES, background=True, stream=False), "answer_runs_on")[0][2]
    assert json.loads(json.dumps(token)) == token == {"response_id": "resp_sim_000001"}

"""The agent over every wire: what stands in the history after each end, and what it does when no answer comes.

The idea: a second message follows each odd end, and the provider takes the history or refuses it as the real API does.
The constraint: that judge is the dialects' own reading of requests, so nothing here knows what a valid history is.
"""

from __future__ import annotations

import pytest

from tests.agent.worlds import ANTHROPIC, CHAT, RESPONSES, WIRES, bodies, ends, notes, run, wrong

THEN = "user: [{says: go}, {at: 10m, says: and now}]\n"
HI = "stream: [{say: Hi.}, {finish: stop}]"
DONE = "{stream: [{say: Done.}, {finish: stop}]}"
TOOLS = "tools: {look: {takes: 1s}, wait: {takes: 60s}}\n"

# What may end a turn -> the answers until then, and the turn's outcome.
ENDS: dict[str, tuple[str, str]] = {
    "words": ("{stream: [{think: hm}, {say: Hello}, {finish: stop}]}", "finished"),
    "words with space behind them": ("{stream: [{say: 'Hello '}, {finish: stop}]}", "finished"),
    "a refusal": ("{stream: [{refuse: I will not.}, {finish: refusal}]}", "failed"),
    "a filter": ("{stream: [{say: Well}, {finish: content_filter}]}", "failed"),
    "nothing": ("{times: 3, stream: [{think: hm}, {finish: stop}]}", "failed"),
    "a request that is refused": ("{status: 400, error: no}", "failed"),
    "a provider that is not there": ("{times: 3, status: 503}", "failed"),
    "a cut in a thought": ("{times: 3, stream: [{think: hm}, {disconnect: reset}]}", "failed"),
    "a cut behind a thought": (
        "{times: 4, stream: [{think: hm, signature: c2ln}, {say: Half}, {disconnect: cut}]}",
        "incomplete",
    ),
    "a cut in a call": ("{times: 4, stream: [{think: hm}, {call: look, args: '{'}, {disconnect: eof}]}", "incomplete"),
    "thoughts between words and calls": (
        "{stream: [{think: a}, {say: One}, {think: b}, {call: look, args: {n: 1}}, {think: c}, {call: look},"
        f" {{finish: tool_calls}}]}}, {DONE}",
        "finished",
    ),
    "a call of no such tool": (f"{{stream: [{{call: 'lo.ok'}}, {{finish: tool_calls}}]}}, {DONE}", "finished"),
    "a call with a strange id": (
        f"{{stream: [{{call: look, id: 'a.b/c'}}, {{finish: tool_calls}}]}}, {DONE}",
        "finished",
    ),
    "arguments that are none": (
        f"{{stream: [{{call: look, args: '[1'}}, {{finish: tool_calls}}]}}, {DONE}",
        "finished",
    ),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("how", ENDS)
def test_after_every_end_the_history_is_one_that_the_provider_takes(how: str, wire: str) -> None:
    answers, outcome = ENDS[how]
    result = run(f"{THEN}{TOOLS}provider: [{answers}, {DONE}]\nexpect: {{outcome: finished}}", wire)
    assert (wrong(result), ends(result)[0][0], result.trace.of("request.invalid")) == ([], outcome, [])


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("at", ["1s", "3s", "30s"])
def test_a_turn_that_is_cancelled_anywhere_leaves_such_a_history_too(at: str, wire: str) -> None:
    text = f"""
    user: [{{says: go}}, {{at: {at}, cancels: true}}, {{at: 10m, says: and now}}]
    {TOOLS}
    provider:
      - stream: [{{think: hm}}, {{say: Wait.}}, {{wait: 2s}}, {{call: look}}, {{call: wait}}, {{wait: 5s}},
                 {{finish: tool_calls}}]
      - {DONE}
    expect: {{requests: 2, outcome: finished}}
    """
    result = run(text, wire)
    assert (wrong(result), ends(result)[0][0], result.trace.of("request.invalid")) == ([], "cancelled", [])


# -- 48: signatures --
def test_a_signed_thought_goes_back_as_it_came() -> None:
    text = f"""
    {TOOLS}
    provider:
      - stream: [{{think: Step by step, signature: c2lnbmVk}}, {{call: look}}, {{finish: tool_calls}}]
      - {DONE}
    """
    blocks = bodies(run(text, ANTHROPIC))[1]["messages"][1]["content"]  # type: ignore[index]  # as it was sent
    assert blocks == [
        {"type": "thinking", "thinking": "Step by step", "signature": "c2lnbmVk"},
        {"type": "tool_use", "id": "call_1_0", "name": "look", "input": {}},
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_reasoning_goes_back_in_cipher_where_the_provider_keeps_nothing(stream: bool) -> None:
    text = f"""
    {TOOLS}
    provider:
      - stream: [{{think: Step by step, signature: c2lnbmVk}}, {{call: look}}, {{finish: tool_calls}}]
      - {DONE}
    """
    items = bodies(run(text, RESPONSES, store=False, stream=stream))[1]["input"]
    assert items[1] == {  # type: ignore[index]  # as it was sent
        "id": "rs_sim_000001_0",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Step by step"}],
        "encrypted_content": "c2lnbmVk",
    }


def test_the_thought_of_a_broken_answer_does_not_go_back() -> None:
    text = f"provider: [{{stream: [{{think: hm}}, {{say: Half}}, {{disconnect: reset}}]}}, {DONE}]"
    said = bodies(run(text, ANTHROPIC))[1]["messages"][1]  # type: ignore[index]  # as it was sent
    assert said == {"role": "assistant", "content": [{"type": "text", "text": "Half"}]}


# -- 46, 47 --
@pytest.mark.parametrize("wire", WIRES)
def test_46_an_answer_of_reasoning_alone_is_asked_about_twice(wire: str) -> None:
    empty = "{times: 2, stream: [{think: What shall I say}, {finish: stop}]}"
    good = run(f"provider: [{empty}, {DONE}]\nexpect: {{requests: 3, outcome: finished}}", wire)
    bad = run("provider: [{times: any, stream: [{think: hm}, {finish: stop}]}]\nexpect: {outcome: failed}", wire)
    assert (wrong(good), wrong(bad), notes(bad, "nudge", "turn_fell_short")) == (
        [],
        [],
        [
            (0.0, "nudge", 1),
            (0.0, "nudge", 2),
            (0.0, "turn_fell_short", "the model gave 3 answers with nothing in them"),
        ],
    )


def test_47_a_paused_answer_goes_back_unchanged() -> None:
    text = f"""
    provider: [{{times: 2, stream: [{{think: hm}}, {{say: Searching.}}, {{finish: pause}}]}}, {DONE}]
    expect: {{requests: 3, outcome: finished}}
    """
    result = run(text, ANTHROPIC)
    assert (wrong(result), ends(result)) == ([], [("finished", "Searching.Searching.Done.")])
    messages = bodies(result)[2]["messages"]
    assert [(m["role"], [b["type"] for b in m["content"]]) for m in messages] == [  # type: ignore[attr-defined]  # as sent
        ("user", ["text"]),
        ("assistant", ["thinking", "text"]),
        ("assistant", ["thinking", "text"]),
    ]


def test_47_an_answer_that_is_paused_for_ever_ends_incomplete() -> None:
    result = run("provider: [{times: any, stream: [{say: Hm.}, {finish: pause}]}]\nexpect: {requests: 6}", ANTHROPIC)
    assert (wrong(result), ends(result)) == ([], [("incomplete", "Hm." * 6)])


# -- refusals --
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("wire", WIRES)
def test_a_refusal_is_shown_and_fails_the_turn(wire: str, stream: bool) -> None:
    text = "provider: [{stream: [{refuse: I will not.}, {finish: refusal}]}]\nexpect: {last_message: I will not.}"
    result = run(text, wire, stream=stream)
    assert (wrong(result), ends(result), notes(result, "turn_fell_short")) == (
        [],
        [("failed", "I will not.")],
        [(0.0, "turn_fell_short", "refused by the model: I will not.")],
    )


# -- 45 and the rest of the time --
@pytest.mark.parametrize("wire", WIRES)
def test_45_a_short_wait_is_waited_for_by_the_sdk_and_then_by_the_loop(wire: str) -> None:
    text = f"""
    provider: [{{times: 4, status: 429, retry_after: 7s}}, {DONE}]
    expect: {{requests: 5, waits: [7s, 7s, 7s, 7s], outcome: finished}}
    """
    assert wrong(run(text, wire, max_own_retries=1)) == []


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("answer", ["{status: 429, retry_after: 1h}", "{status: 503, retry_after: 121s}"])
def test_45_an_hour_is_not_slept_through_nor_asked_into(answer: str, wire: str) -> None:
    text = f"provider: [{answer}]\nexpect: {{requests: 1, outcome: failed, ends_within: 1s}}"
    result = run(text, wire, max_own_retries=3, fallback_model="other")
    assert (wrong(result), "left alone for" in str(notes(result, "turn_fell_short"))) == ([], True)


@pytest.mark.parametrize("wire", [CHAT, RESPONSES])
def test_45_a_used_up_quota_is_not_asked_again(wire: str) -> None:
    text = "provider: [{status: 429, code: insufficient_quota}]\nexpect: {requests: 1, outcome: failed}"
    assert wrong(run(text, wire, max_own_retries=3)) == []


@pytest.mark.parametrize("wire", WIRES)
def test_49_a_full_context_is_told_once(wire: str) -> None:
    text = "provider: [{status: 400, code: context_length_exceeded}]\nexpect: {requests: 1, outcome: failed}"
    assert wrong(run(text, wire, fallback_model="other")) == []


# -- 54: another model --
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("first", ["status: 503", "stream: [{disconnect: eof}]", "connection: refused"])
def test_54_another_model_is_asked_when_the_first_gives_no_answer(first: str, wire: str) -> None:
    user = "user: [{says: go}, {at: 1m, says: again}]"
    if first.startswith("connection"):
        # A dial knows no model: the first three are the first model's.
        script, models = f"[{{times: 3, {first}}}, {{times: 2, {HI}}}]", ["second", "first"]
    else:
        script = f"[{{times: any, when: {{model: first}}, {first}}}, {{times: any, when: {{model: second}}, {HI}}}]"
        models = ["first", "first", "first", "second"] * 2
    text = f"{user}\nprovider: {script}\nexpect: {{outcome: finished}}"
    result = run(text, wire, model="first", fallback_model="second")
    assert (wrong(result), [body["model"] for body in bodies(result)]) == ([], models)


@pytest.mark.parametrize("wire", WIRES)
def test_54_the_first_error_stays_in_sight(wire: str) -> None:
    text = """
    provider:
      - {times: any, when: {model: first}, status: 503, error: out to lunch}
      - {status: 400, error: unknown model}
    expect: {requests: 4, outcome: failed}
    """
    result = run(text, wire, model="first", fallback_model="second")
    reason = str(notes(result, "turn_fell_short"))
    assert (wrong(result), "unknown model" in reason, "out to lunch" in reason) == ([], True, True)


# -- 52 and deadlines --
@pytest.mark.parametrize("wire", WIRES)
def test_52_a_turn_that_is_cancelled_before_anything_came_settles_at_once(wire: str) -> None:
    text = """
    user: [{says: go}, {at: 2s, cancels: true}]
    provider: [{stream: [{stall: forever}]}]
    expect: {outcome: cancelled, ends_within: 2s}
    """
    assert wrong(run(text, wire)) == []


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "answer",
    [
        "{stream: [{say: Half}, {keepalive: {every: 1s, for: forever}}]}",
        "{stream: [{call: wait}, {finish: tool_calls}]}",
        "{times: 2, status: 429, retry_after: 15s}",
        "{after: forever, stream: []}",
    ],
)
def test_a_turn_ends_at_its_deadline_and_the_session_goes_on(answer: str, wire: str) -> None:
    result = run(
        f"{THEN}{TOOLS}provider: [{answer}, {DONE}]\nexpect: {{last_message: Done.}}", wire, turn_deadline="20s"
    )
    assert (wrong(result), [outcome for outcome, _ in ends(result)], notes(result, "turn_fell_short")) == (
        [],
        ["failed", "finished"],
        [(20.0, "turn_fell_short", "the turn has used all its 20 s")],
    )


@pytest.mark.parametrize("wire", WIRES)
def test_no_connection_is_thrown_away_after_an_answer(wire: str) -> None:
    text = f"user: [{{says: one}}, {{at: 1s, says: two}}, {{at: 2s, says: three}}]\nprovider: [{', '.join([DONE] * 3)}]"
    result = run(text, wire)
    assert (wrong(result), len(result.trace.of("connection.open"))) == ([], 1)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("first_event", "requests"), [("60s", 1), ("40s", 2)])
def test_silence_before_the_first_event_has_its_own_limit(first_event: str, requests: int, wire: str) -> None:
    slow = "{stream: [{stall: 50s}, {say: 'Slow '}, {stall: 100s}, {say: but sure.}, {finish: stop}]}"
    text = f"provider: [{slow}, {DONE}]\nexpect: {{requests: {requests}, outcome: finished}}"
    assert wrong(run(text, wire, first_event=first_event)) == []

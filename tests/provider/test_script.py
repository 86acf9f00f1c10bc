from __future__ import annotations

from typing import Any

import pytest

from simkit.contracts import CallSent, CompletionRequest, Message, ResultSent
from simkit.errors import RunEndedError
from simkit.model.timeline import (
    Answer,
    BackgroundReply,
    Place,
    Raw,
    Reply,
    Say,
    StatusReply,
    StreamReply,
    UnreachableReply,
    When,
    hole,
)
from simkit.provider.script import Asked, Script
from tests.provider.played import events, last_word, play, reader

BUSY = StatusReply(status=429)
GONE = UnreachableReply(how="refused")
PLAIN = StreamReply(steps=())

HELLO = Message(role="user", text="hello")
CALLED = Message(role="assistant", calls=(CallSent("c1", "f", '{"x": 1}'),))
RESULT = Message(role="tool", results=(ResultSent("c1", "job id=abc"),))


def asked(*messages: Message, number: int = 1, **changes: Any) -> Asked:
    request = CompletionRequest(
        model=changes.pop("model", "gpt-test"),
        stream=changes.pop("stream", True),
        body=changes.pop("body", {"model": "gpt-test"}),
        messages=messages or (HELLO,),
    )
    usual: dict[str, Any] = {
        "host": "api.openai.com",
        "path": "/v1/chat/completions",
        "connection": 1,
        "retry": 0,
        "dialect": "openai-chat",
    }
    return Asked(number=number, request=request, **{**usual, **changes})


def taken(script: Script, *requests: Asked) -> list[object]:
    """The indexes of the answers of these requests; of one that has none, why the run ends."""
    found: list[object] = []
    for request in requests:
        try:
            found.append(script.take(request).index)
        except RunEndedError as error:
            found.append(error.reason)
    return found


def refused(script: Script, request: Asked) -> str:
    with pytest.raises(RunEndedError) as error:
        script.take(request)
    return error.value.text


def test_answers_are_used_in_order_and_each_as_often_as_it_says() -> None:
    script = Script([Answer(reply=BUSY, times=2), Answer(reply=GONE), Answer(reply=PLAIN)])
    assert taken(script, *[asked()] * 5) == [0, 0, 1, 2, "exhausted"]


def test_an_answer_for_any_number_of_requests_is_never_used_up() -> None:
    script = Script([Answer(reply=BUSY, times=None), Answer(reply=PLAIN)])
    assert taken(script, *[asked()] * 50) == [0] * 50


# -- conditions --
@pytest.mark.parametrize(
    ("when", "fits", "fits_not"),
    [
        (When(host="API.openai.com"), asked(), asked(host="openai.com")),
        (When(host="*.openai.com"), asked(), asked(host="openai.com")),
        (When(path="/v1/*"), asked(), asked(path="/v2/chat/completions")),
        (When(model="gpt-*"), asked(), asked(model="o9")),
        (When(model="a.c"), asked(model="a.c"), asked(model="abc")),
        (When(dialect="openai-*"), asked(), asked(dialect="anthropic")),
        (When(stream=False), asked(stream=False), asked(stream=True)),
        (When(turn=2), asked(HELLO, CALLED, RESULT, HELLO), asked(HELLO, CALLED, RESULT)),
        (When(contains="id=abc"), asked(HELLO, CALLED, RESULT), asked(RESULT, HELLO)),
        (When(contains="ell"), asked(HELLO), asked(HELLO, CALLED)),
        (When(conversation="ell"), asked(HELLO, CALLED, RESULT), asked(Message(role="system", text="hello"))),
        (When(has_tool_result=True), asked(HELLO, CALLED, RESULT, HELLO), asked(CALLED, RESULT, CALLED)),
        (When(has_tool_result=False), asked(HELLO), asked(RESULT)),
        (When(connection=2), asked(connection=2), asked(connection=1)),
        (When(retry=0, turn=1), asked(), asked(retry=1)),
    ],
)
def test_an_answer_is_for_the_requests_that_fit_its_conditions(when: When, fits: Asked, fits_not: Asked) -> None:
    answers = [Answer(reply=PLAIN, times=None, when=when)]
    assert taken(Script(answers), fits, fits_not) == [0, "unmatched"]


def test_the_first_answer_that_fits_is_taken_and_the_others_stay() -> None:
    script = Script([Answer(reply=BUSY, when=When(turn=2)), Answer(reply=PLAIN), Answer(reply=GONE)])
    assert taken(script, asked(), asked(HELLO, HELLO), asked()) == [1, 0, 2]


def test_what_could_still_have_been_used_is_counted() -> None:
    never = When(host="never")
    answers = [
        Answer(reply=BUSY, times=3),
        Answer(reply=BUSY, times=None, when=never),
        Answer(reply=PLAIN, times=None),
    ]
    script = Script(answers)
    taken(script, *[asked()])
    unused = [(index, left) for index, _, left in script.unused()]
    taken(script, *[asked()] * 3)
    assert (unused, [(index, left) for index, _, left in script.unused()]) == (
        [(0, 2), (1, None), (2, None)],
        [(1, None)],
    )


# -- dialling --
@pytest.mark.parametrize(
    ("answers", "dials", "hows"),
    [
        ([Answer(reply=GONE, times=2), Answer(reply=PLAIN)], [("a", 1), ("a", 1), ("a", 1)], ["refused"] * 2 + [None]),
        ([Answer(reply=PLAIN), Answer(reply=GONE)], [("a", 1)], [None]),
        ([Answer(reply=GONE, when=When(host="b"))], [("a", 1), ("b", 1)], [None, "refused"]),
        ([Answer(reply=GONE, when=When(connection=2))], [("a", 1), ("a", 2)], [None, "refused"]),
        # Whether this one fits only the request can say, so the connection is made.
        ([Answer(reply=PLAIN, when=When(turn=2)), Answer(reply=GONE)], [("a", 1)], [None]),
        ([Answer(reply=GONE, when=When(turn=2))], [("a", 1)], [None]),
        ([Answer(reply=GONE, after_ns=1)], [("a", 1)], [None]),
        ([Answer(reply=UnreachableReply(how="unknown_host"))], [("a", 1)], [None]),
    ],
)
def test_a_dial_fails_where_the_first_answer_that_it_could_be_for_says_so(
    answers: list[Answer], dials: list[tuple[str, int]], hows: list[str | None]
) -> None:
    script = Script(answers)
    assert [script.dial(host, connection, "connect") for host, connection in dials] == hows


def test_an_unknown_host_is_said_where_names_are_asked_for() -> None:
    script = Script([Answer(reply=UnreachableReply(how="unknown_host"))])
    assert [script.dial("a", 1, stage) for stage in ("name", "name")] == ["unknown_host", None]


# -- captured names --
@pytest.mark.parametrize(
    ("pattern", "messages", "value"),
    [
        (r"id=(\w+)", [HELLO, CALLED, RESULT], "abc"),
        (r"id=\w+", [RESULT, HELLO], "id=abc"),
        (r"[jh]\w+", [HELLO, CALLED, RESULT], "job"),
        (r"[jh]\w+", [RESULT, HELLO], "hello"),
        (r'"x": (\d)', [HELLO, CALLED], "1"),
        (r'"model":"([^"]+)"', [HELLO], "gpt-test"),
        (r"(no)?thing|hello", [HELLO], ""),
    ],
)
def test_a_name_is_captured_from_the_newest_message_that_holds_it(
    pattern: str, messages: list[Message], value: str
) -> None:
    answers = [
        Answer(reply=StatusReply(status=500, error=hole("v")), capture={"v": pattern}),
        Answer(reply=StreamReply(steps=(Say(text=f"<{hole('v')}>"), Raw(data=f"\xff{hole('v')}".encode())))),
    ]
    script = Script(answers)
    assert [script.take(asked(*messages)).answer.reply, script.take(asked()).answer.reply] == [
        StatusReply(status=500, error=value),
        StreamReply(steps=(Say(text=f"<{value}>"), Raw(data=f"\xff{value}".encode()))),
    ]


@pytest.mark.parametrize(
    ("reply", "filled"),
    [
        (StatusReply(status=500, headers={"a": hole("v")}), StatusReply(status=500, headers={"a": "hello"})),
        (StatusReply(status=500, body=hole("v")), StatusReply(status=500, body="hello")),
        (StreamReply(steps=(), headers={"a": hole("v")}), StreamReply(steps=(), headers={"a": "hello"})),
        (StreamReply(steps=(Raw(data=b"\xff"),)), StreamReply(steps=(Raw(data=b"\xff"),))),
        (
            BackgroundReply(error=hole("v"), polls={1: StatusReply(status=500, error=hole("v"))}),
            BackgroundReply(error="hello", polls={1: StatusReply(status=500, error="hello")}),
        ),
        (GONE, GONE),
    ],
)
def test_every_text_of_an_answer_is_filled(reply: Reply, filled: Reply) -> None:
    assert Script([Answer(reply=reply, capture={"v": "hello"})]).take(asked()).answer.reply == filled


def test_a_capture_that_finds_nothing_ends_the_run() -> None:
    answer = Answer(reply=PLAIN, capture={"job": "id=(.*)"}, place=Place("a.sim.yaml", 7))
    assert refused(Script([answer]), asked()) == (
        "request 1 gets a stream in line 7, which captures 'job' with 'id=(.*)', and nothing in the request fits that. "
        "Its last message: user: 'hello'. Look for why the agent does not send it, or mend the expression"
    )


def test_a_text_that_waits_for_what_nobody_brought_ends_the_run() -> None:
    answers = [
        Answer(reply=BUSY, capture={"a": "hello"}),
        Answer(reply=StatusReply(status=500, error=hole("job")), place=Place("a.sim.yaml", 9)),
    ]
    script = Script(answers)
    script.take(asked())
    assert refused(script, asked(number=2)) == (
        "request 2 gets status 500 in line 9, whose text waits for 'job', and no request has brought that yet "
        "(captured so far: a) - `capture:` it with an answer that is used before this one"
    )


# -- what is said --
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (PLAIN, "the last one, a stream in line 7, is used up"),
        (BUSY, "the last one, status 429 in line 7, is used up"),
        (GONE, "the last one, a connection that is refused in line 7, is used up"),
        (BackgroundReply(), "the last one, a background job in line 7, is used up"),
    ],
)
def test_an_exhausted_script_names_the_answer_that_was_the_last(reply: Reply, said: str) -> None:
    script = Script([Answer(reply=reply, times=3, place=Place("a.sim.yaml", 7))])
    taken(script, *[asked()] * 3)
    text = refused(script, asked(Message(role="user", text="again"), number=4))
    assert [part in text for part in ("request 4 came", "the script has 3 answers", said, "user: 'again'")] == [
        True
    ] * 4


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (Message(role="assistant"), "assistant: ''."),
        (RESULT, "tool: 'job id=abc'."),
        (Message(role="user", text="x" * 200), f"user: '{'x' * 77}...'."),
    ],
)
def test_an_exhausted_script_shows_the_last_message_that_came(last: Message, said: str) -> None:
    assert f"Its last message: {said}" in refused(Script([]), asked(last))


def test_an_unmatched_request_is_told_with_the_nearest_answers_and_what_did_not_fit() -> None:
    conditions = [
        When(turn=2, model="o9", contains="bye"),
        When(turn=2, model="o9"),
        When(conversation="bye"),
        When(turn=2, has_tool_result=True),
    ]
    script = Script([Answer(reply=PLAIN, when=w, place=Place("a", 3 + n)) for n, w in enumerate(conditions)])
    assert refused(script, asked(HELLO)) == (
        "request 1 came, and no answer that is left is for it. Nearest: "
        "a stream in line 5 (conversation 'bye' is not in 'hello'); "
        "a stream in line 4 (model 'o9', came 'gpt-test', turn 2, came 1); "
        "a stream in line 6 (turn 2, came 1, has_tool_result True, came False). "
        "Its last message: user: 'hello'. "
        "Write an answer whose `when` fits it under `provider:`, or look for why the agent asks this"
    )


# -- in a run --
def test_an_exhausted_script_ends_the_run_though_the_sdk_retries_everything() -> None:
    result = play("provider:\n  - {status: 500, error: broken}\n", reader())
    reason, text = last_word(result)
    assert (events(result, request="retry"), reason, result.verdict.name) == (
        [(0.0, "request", 0), (0.432748001, "request", 1)],
        "exhausted",
        "FAIL",
    )
    assert str(text).startswith(
        "request 2 came, but the script has 1 answer; the last one, status 500 in line 4, is used up. "
        "Its last message: user: 'hello'."
    )


def test_a_script_without_answers_ends_the_run_at_the_first_request() -> None:
    result = play("provider: []\n", reader())
    assert (last_word(result)[0], len(result.trace.of("response"))) == ("exhausted", 0)


def test_an_unmatched_request_ends_the_run_and_nothing_is_called_unused() -> None:
    result = play("provider:\n  - {when: {turn: 2}, stream: [say: a, finish: stop]}\n", reader())
    assert (last_word(result)[0], events(result, response="", answer_unused="")) == ("unmatched", [])


def test_answers_that_were_not_used_are_told_at_the_end() -> None:
    answers = (
        "provider:\n  - stream: [say: a, finish: stop]\n  - {times: 2, status: 500}\n  - {times: any, status: 400}\n"
    )
    result = play(answers, reader())
    assert events(result, run_end="", answer_unused="answer left line") == [
        (0.0, "run.end"),
        (0.0, "answer.unused", 1, 2, 5),
        (0.0, "answer.unused", 2, None, 6),
    ]


def test_one_script_holds_an_answer_for_a_retry_and_one_for_the_first_try() -> None:
    answers = """
        provider:
          - {when: {retry: 1}, stream: [say: again, finish: stop]}
          - {when: {retry: 0}, status: 503}
        """
    assert events(play(answers, reader()), response="status answer") == [
        (0.0, "response", 503, 1),
        (0.432748001, "response", 200, 0),
    ]

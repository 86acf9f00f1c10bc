from __future__ import annotations

import pytest

from simkit.contracts import CompletionRequest
from simkit.model.timeline import Answer, Place, StatusReply, StreamReply, UnreachableReply
from simkit.provider.script import Script
from tests.provider.played import events, last_word, play, reader

BUSY = StatusReply(status=429)
GONE = UnreachableReply(how="refused")
PLAIN = StreamReply(steps=())


def ask(*messages: object) -> CompletionRequest:
    return CompletionRequest(model="m", stream=True, body={"messages": list(messages)})


def test_answers_are_used_in_order_and_each_as_often_as_it_says() -> None:
    script = Script([Answer(reply=BUSY, times=2), Answer(reply=GONE), Answer(reply=PLAIN)])
    taken = [script.take() for _ in range(5)]
    assert [(t[0], t[1].reply) if t else None for t in taken] == [(0, BUSY), (0, BUSY), (1, GONE), (2, PLAIN), None]


def test_looking_at_the_next_answer_uses_nothing_up() -> None:
    script = Script([Answer(reply=BUSY)])
    looked = [script.peek(), script.peek()]
    script.take()
    assert ([a.reply if a else None for a in looked], script.peek()) == ([BUSY, BUSY], None)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (PLAIN, "the last one, a stream in line 7, is used up"),
        (BUSY, "the last one, status 429 in line 7, is used up"),
        (GONE, "the last one, a connection that is refused in line 7, is used up"),
    ],
)
def test_an_exhausted_script_names_the_answer_that_was_the_last(reply: StatusReply, said: str) -> None:
    script = Script([Answer(reply=reply, times=3, place=Place("a.sim.yaml", 7))])
    text = script.exhausted_text(4, ask({"role": "user", "content": "again"}))
    assert [part in text for part in ("request 4 came", "the script has 3 answers", said, "user: 'again'")] == [
        True
    ] * 4


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "Its last message: none."),
        (["hello"], "Its last message: none."),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "user: 'ab'."),
        ([{"role": "assistant", "content": None}], "assistant: ''."),
        ([{"role": "user", "content": "x" * 200}], f"user: '{'x' * 77}...'."),
    ],
)
def test_an_exhausted_script_shows_the_last_message_that_came(messages: list[object], said: str) -> None:
    assert said in Script([]).exhausted_text(1, ask(*messages))


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

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from simkit.agent.clients import (
    BrokenStreamError,
    LostAnswerError,
    NoResumeError,
    RefusedError,
    Request,
    UnavailableError,
    Watch,
)
from simkit.agent.decisions import Limits
from simkit.agent.history import AssistantMessage, Call, Opaque, UserMessage
from simkit.agent.loop import Turn
from simkit.agent.session import Session
from simkit.agent.stream import CallPart, Finish, Piece, Refusal, Running, Text, Thought, Usage
from simkit.agent.tools import Tool
from tests.agent.jump import now, run
from tests.agent.scripted import (
    FOREVER,
    RETRY,
    Facts,
    Move,
    ScriptedClient,
    Status,
    calls,
    outline,
    says,
    tool,
)

CUT_CALL: list[Move] = [
    Text("I'll write the page now."),
    CallPart(index=0, id="call_w", name="write_file", args='{"path": "index.html", "content": "<!doc'),
]


def play(client: ScriptedClient, *tools: Tool, limits: Limits | None = None) -> tuple[Turn, Facts, list[str]]:
    """One turn: how it ended, what was heard, and the outline of the history after it."""
    facts = Facts()

    async def main() -> tuple[Turn, list[str]]:
        async with Session(client, tools=tools, limits=limits or Limits(), observe=facts) as session:
            turn = await session.send("write it")
            return turn, outline(session.history)

    turn, history = run(main())
    return turn, facts, history


def test_three_stalls_in_mid_call_then_an_answer_run_the_tool_once_and_finish() -> None:
    ran: list[str] = []
    stall: list[Move] = [*CUT_CALL, FOREVER]
    client = ScriptedClient(stall, stall, stall, calls(("write_file", "{}")), says("Done, index.html is ready."))
    turn, facts, history = play(client, tool("write_file", ran))
    assert (turn.outcome, turn.text, ran) == ("finished", "Done, index.html is ready.", ["write_file"])
    assert facts.of("idle_deadline", "partial_stub", "continuation")[:3] == [
        (180.0, "idle_deadline", {"after_s": 180.0, "open": ["write_file"]}),
        (180.0, "partial_stub", {"finish_reason": "length", "dropped": ["write_file"]}),
        (180.0, "continuation", {"number": 1, "form": "dropped_calls"}),
    ]
    assert [at for at, _, _ in facts.of("idle_deadline")] == [180.0, 360.0, 540.0]
    assert history == [
        "user",
        *["assistant", "user"] * 3,
        "assistant write_file",
        "result call_0",
        "assistant",
    ]


def test_when_continuations_are_used_up_the_turn_ends_incomplete_with_what_it_has() -> None:
    ran: list[str] = []
    client = ScriptedClient(*[[*CUT_CALL, FOREVER]] * 4)
    turn, _, history = play(client, tool("write_file", ran))
    assert (turn.outcome, turn.reason) == (
        "incomplete",
        "the answer was still cut off after 3 continuations",
    )
    assert (turn.text, ran, history) == (
        "I'll write the page now." * 4,
        [],
        ["user", *["assistant", "user"] * 3, "assistant"],
    )


def test_each_request_after_a_cut_answer_differs_from_the_one_before() -> None:
    client = ScriptedClient(*[[*CUT_CALL, FOREVER]] * 4)
    play(client)
    assert [len(r.items) for r in client.requests] == [1, 3, 5, 7]


def test_a_slow_but_living_stream_is_not_given_up() -> None:
    ran: list[str] = []
    pieces = ['{"path"', ': "a', ".html", '"}']
    slow: list[Move] = [CallPart(index=0, id="a", name="write_file")]
    for piece in pieces:
        slow += [170.0, CallPart(index=0, args=piece)]
    client = ScriptedClient([*slow, Finish("tool_calls")], says("ok"))
    turn, facts, _ = play(client, tool("write_file", ran))
    assert (turn.outcome, ran, facts.of("idle_deadline")) == ("finished", ["write_file"], [])


def test_reasoning_is_progress_and_repeated_usage_is_not() -> None:
    thinking: list[Move] = [Thought("hm"), 170.0, Thought("so"), 170.0, Text("a")]
    counting: list[Move] = [100.0, Usage(1, 1), 100.0, Usage(1, 2)]
    client = ScriptedClient([*thinking, *counting], says("b"))
    _, facts, _ = play(client)
    assert [at for at, _, _ in facts.of("idle_deadline")] == [520.0]


def test_a_stream_that_breaks_before_anything_arrives_is_sent_again_twice_and_then_fails() -> None:
    broken = BrokenStreamError("reset")
    turn, facts, history = play(ScriptedClient([FOREVER], [broken], [broken]))
    assert (turn.outcome, turn.reason) == ("failed", "the stream broke 3 times before anything arrived")
    assert facts.of("resend") == [
        (180.0, "resend", {"number": 1, "delay_s": 0.5}),
        (180.5, "resend", {"number": 2, "delay_s": 1.0}),
    ]
    assert history == ["user"]


def test_the_sdk_waiting_between_its_retries_is_not_silence_of_the_provider() -> None:
    client = ScriptedClient([Status(429), 120.0, RETRY, Status(503), 120.0, RETRY, 100.0, *says("ok")])
    turn, facts, _ = play(client)
    assert (turn.outcome, facts.of("idle_deadline")) == ("finished", [])


def test_a_stream_that_breaks_in_its_text_goes_on_and_the_pieces_are_joined() -> None:
    client = ScriptedClient([Text("The answer is "), BrokenStreamError("reset")], says("42."))
    turn, facts, history = play(client)
    assert (turn.outcome, turn.text) == ("finished", "The answer is 42.")
    assert facts.names[1:] == ["broken_stream", "partial_stub", "said", "continuation", "said", "usage", "turn_ended"]
    assert history == ["user", "assistant", "user", "assistant"]


def test_what_breaks_after_the_finish_reason_has_lost_nothing() -> None:
    client = ScriptedClient([*says("all"), BrokenStreamError("reset")])
    assert play(client)[0].outcome == "finished"


def test_an_answer_cut_by_the_output_limit_is_continued() -> None:
    client = ScriptedClient([Text("one, "), Finish("length")], says("two"))
    turn, facts, _ = play(client)
    assert (turn.text, facts.of("continuation")[0][2]["form"]) == ("one, two", "truncated")


def test_the_text_before_a_tool_call_is_no_part_of_the_answer() -> None:
    client = ScriptedClient([Text("Let me look. "), *calls(("look", "{}"))], says("Found."))
    turn, facts, _ = play(client, tool("look", []))
    assert (turn.text, [v["text"] for _, _, v in facts.of("said")]) == ("Found.", ["Let me look. ", "Found."])


def test_a_turn_that_has_used_its_requests_fails_without_running_the_last_calls() -> None:
    ran: list[str] = []
    client = ScriptedClient(*[calls(("look", "{}"))] * 3)
    turn, _, history = play(client, tool("look", ran), limits=Limits(max_requests=3))
    assert (turn.outcome, turn.reason) == ("failed", "the turn has used all its 3 requests")
    assert (ran, history) == (
        ["look", "look"],
        ["user", "assistant look", "result call_0", "assistant look", "result call_0_2"],
    )


def test_bad_arguments_are_told_to_the_model_and_run_nothing() -> None:
    ran: list[str] = []
    client = ScriptedClient(calls(("look", '{"path": "x'), ("look", "{}")), says("ok"))
    turn, facts, history = play(client, tool("look", ran))
    assert (turn.outcome, ran) == ("finished", ["look"])
    assert history[1:] == ["assistant look look", "result call_0 error", "result call_1", "assistant"]
    assert [v["call"] for _, _, v in facts.of("tool_refused")] == ["call_0"]


@pytest.mark.parametrize("error", [RefusedError("400: bad"), UnavailableError("503: later")])
def test_a_provider_that_does_not_answer_fails_the_turn_and_the_session_goes_on(error: Exception) -> None:
    client = ScriptedClient([error], says("now"))  # type: ignore[list-item]  # both are provider errors

    async def main() -> tuple[str, str, str, list[str]]:
        async with Session(client) as session:
            first, second = await session.send("one"), await session.send("two")
            return first.outcome, first.reason, second.text, outline(session.history)

    assert run(main()) == ("failed", str(error), "now", ["user", "user", "assistant"])


def test_usage_is_counted_once_for_each_request() -> None:
    client = ScriptedClient(
        [*calls(("look", "{}")), Usage(5, 1), Usage(5, 2)],
        [*says("ok"), Usage(7, 3)],
    )
    turn, _, _ = play(client, tool("look", []))
    assert (turn.spent.requests, turn.spent.usage) == (2, Usage(12, 5))


@pytest.mark.parametrize(
    ("at_s", "history"),
    [
        (5.0, ["user"]),
        (12.0, ["user", "assistant fast slow", "result call_0", "result call_1 error"]),
        (25.0, ["user", "assistant fast slow", "result call_0", "result call_1"]),
    ],
)
def test_a_turn_cancelled_anywhere_leaves_a_history_that_can_be_sent(at_s: float, history: list[str]) -> None:
    client = ScriptedClient([10.0, *calls(("fast", "{}"), ("slow", "{}"))], [10.0], says("back"))
    facts, ran = Facts(), list[str]()

    async def main() -> tuple[list[str], int]:
        tools = [tool("fast", ran, takes_s=1), tool("slow", ran, takes_s=5)]
        async with Session(client, tools=tools, observe=facts) as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(at_s):
                    await session.send("do it")
            client.answers[len(client.requests) :] = [says("back")]
            seen = outline(session.history)
            assert (await session.send("again")).text == "back"
            return seen, client.open

    assert run(main()) == (history, 0)
    assert facts.of("turn_ended")[0][2]["outcome"] == "cancelled"


def test_a_stalled_stream_is_closed_before_the_next_request_goes_out() -> None:
    client = ScriptedClient([*CUT_CALL, FOREVER], says("ok"))
    still_open: list[int] = []
    stream = client.stream

    def counted(*args: object) -> object:
        still_open.append(client.open)
        return stream(*args)  # type: ignore[arg-type]  # passed on as it came

    client.stream = counted  # type: ignore[assignment,method-assign]  # a spy
    play(client)
    assert (still_open, client.open) == ([0, 0], 0)


def test_a_session_plays_one_turn_at_a_time_and_none_after_it_is_closed() -> None:
    client = ScriptedClient([5.0, *says("ok")])

    async def main() -> list[str]:
        errors = []
        async with Session(client) as session:
            first = asyncio.create_task(session.send("one"))
            await asyncio.sleep(1)
            for text in ("two", "three"):
                with pytest.raises(RuntimeError) as caught:
                    await session.send(text)
                errors.append(str(caught.value))
                await first
                await session.aclose()
            assert now() == 5.0
        return errors

    assert run(main()) == [
        "the session is still busy with another turn, so 'two' cannot be sent",
        "the session is closed, so 'three' cannot be sent",
    ]
    assert client.closed == 1


# -- when no answer comes --
DOWN = UnavailableError("503: later")


def test_the_loop_tries_again_as_often_as_it_may_and_waits_as_it_is_told() -> None:
    client = ScriptedClient([DOWN], [UnavailableError("429: later", 7.0)], says("ok"))
    turn, facts, history = play(client, limits=Limits(max_own_retries=2))
    assert (turn.outcome, turn.spent.requests, turn.spent.retries, history) == ("finished", 3, 2, ["user", "assistant"])
    assert [(at, values["delay_s"]) for at, _, values in facts.of("retry")] == [(0.0, 0.5), (0.5, 7.0)]


def converse(
    first: ScriptedClient, second: ScriptedClient, *texts: str, limits: Limits | None = None
) -> tuple[list[Turn], Facts]:
    """A session with a fallback, one turn for each text."""
    facts = Facts()

    async def main() -> list[Turn]:
        async with Session(first, fallback=second, observe=facts, limits=limits or Limits()) as session:
            return [await session.send(text) for text in texts]

    return run(main()), facts


def test_the_other_model_is_asked_for_the_rest_of_the_turn_and_the_first_one_in_the_next() -> None:
    first = ScriptedClient([Text("Half"), BrokenStreamError("reset")], [DOWN], says("me again"))
    second = ScriptedClient([Text(" of"), Finish("length")], says(" it"))
    turns, facts = converse(first, second, "one", "two")
    assert [(t.outcome, t.text) for t in turns] == [("finished", "Half of it"), ("finished", "me again")]
    assert (len(first.requests), len(second.requests), first.closed, second.closed) == (3, 2, 1, 1)
    assert [values["error"] for _, _, values in facts.of("fallback")] == ["503: later"]


def test_an_error_of_the_other_model_keeps_the_first_as_its_cause() -> None:
    (turn,), _ = converse(ScriptedClient([DOWN]), ScriptedClient([RefusedError("400: bad")]), "one")
    assert (turn.outcome, turn.reason) == (
        "failed",
        "400: bad - from the other model, asked after: 503: later",
    )
    assert (turn.error is not None and turn.error.__cause__) is DOWN


def test_streams_that_break_before_anything_arrives_are_a_reason_to_ask_the_other_model() -> None:
    broken = BrokenStreamError("reset")
    (turn,), facts = converse(ScriptedClient(*[[broken]] * 3), ScriptedClient(says("ok")), "one")
    assert (turn.text, [at for at, _, _ in facts.of("fallback")]) == ("ok", [1.5])


def test_a_refused_request_is_no_reason_to_ask_the_other_model() -> None:
    second = ScriptedClient()
    (turn,), _ = converse(ScriptedClient([RefusedError("400: bad")]), second, "one")
    assert (turn.reason, str(turn.error), second.requests) == ("400: bad", "400: bad", [])


# -- answers with nothing in them, and pauses --
def test_an_answer_with_nothing_in_it_is_told_to_the_model_and_leaves_no_message() -> None:
    client = ScriptedClient([Thought("hm"), Finish("stop")], says("ok"))
    turn, facts, history = play(client)
    assert (turn.text, facts.names, history) == (
        "ok",
        ["turn_started", "nudge", "said", "usage", "turn_ended"],
        ["user", "user", "assistant"],
    )


def test_a_paused_answer_goes_back_with_all_its_parts_and_the_pieces_are_joined() -> None:
    search = Opaque("w", {"search": 1})
    client = ScriptedClient([Text("Let me see. "), search, Finish("pause")], says("Found."))
    turn, _, _ = play(client)
    assert (turn.text, client.requests[1].items[1]) == (
        "Let me see. Found.",
        AssistantMessage("Let me see. ", opaque=(Opaque("w", {"search": 1}, text_at=12),)),
    )


def test_what_goes_with_a_call_stands_in_the_history_with_it() -> None:
    thought = Opaque("w", {"signed": True})
    client = ScriptedClient([thought, *calls(("look", "{}"))], says("ok"))
    play(client, tool("look", []))
    assert client.requests[1].items[1] == AssistantMessage("", (Call("call_0", "look"),), (thought,))


def test_a_refusal_is_said_and_kept_where_it_has_words_of_its_own() -> None:
    client = ScriptedClient([Refusal("I will not."), Finish("stop")])
    turn, facts, history = play(client)
    assert (turn.outcome, turn.text, turn.reason) == ("failed", "I will not.", "refused by the model: I will not.")
    assert ([v["text"] for _, _, v in facts.of("said")], history) == (["I will not."], ["user", "assistant"])


def test_what_a_provider_broke_off_as_a_refusal_is_not_kept() -> None:
    assert play(ScriptedClient([Text("Well, you take"), Finish("refusal")]))[2] == ["user"]


# -- an answer that runs on at the provider --
def running(number: int) -> Running:
    return Running({"id": "r", "number": number}, resumable=True)


def test_a_running_answer_is_resumed_and_its_next_request_carries_no_token() -> None:
    start: list[Move] = [Text("One"), CallPart(index=0, id="a", name="look"), running(1), BrokenStreamError("reset")]
    rest: list[Move] = [CallPart(index=0, args="{}"), running(2), Finish("tool_calls")]
    client, ran = ScriptedClient(start, rest, says("ok")), list[str]()
    turn, _, _ = play(client, tool("look", ran))
    assert (turn.text, turn.spent.requests, ran) == ("ok", 2, ["look"])
    assert [(r.token, r.whole) for r in client.requests] == [
        (None, False),
        ({"id": "r", "number": 1}, False),
        (None, False),
    ]


def test_when_a_stream_is_refused_the_answer_comes_as_a_whole_and_nothing_of_it_twice() -> None:
    client = ScriptedClient(
        [Text("One"), running(1), BrokenStreamError("reset")], [NoResumeError("too old")], [running(1)], says("One two")
    )
    turn, facts, _ = play(client)
    assert (turn.text, [r.whole for r in client.requests]) == ("One two", [False, False, True, True])
    assert [(at, v["how"]) for at, _, v in facts.of("answer_runs_on")] == [(0.0, "resume"), (0.5, "poll")]


def test_a_running_answer_that_is_lost_fails_the_turn_without_another_request() -> None:
    second = ScriptedClient()
    first = ScriptedClient([running(1), BrokenStreamError("reset")], [LostAnswerError("404: gone")])
    (turn,), _ = converse(first, second, "one", limits=Limits(max_own_retries=3))
    assert (turn.outcome, turn.reason, first.cancelled, second.requests) == ("failed", "404: gone", [], [])


def test_a_provider_that_does_not_stop_a_running_answer_has_so_long_and_is_named() -> None:
    client = ScriptedClient([running(1), FOREVER])
    facts = Facts()

    async def stuck(token: object) -> None:
        await asyncio.sleep(FOREVER)

    client.cancel = stuck  # type: ignore[method-assign]  # a provider that does not answer

    async def main() -> float:
        async with Session(client, observe=facts, limits=Limits(cancel_grace_s=5.0)) as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await session.send("go")
            return now()

    assert run(main()) == 8.0
    assert [(at, v["token"], v["error"] != "") for at, _, v in facts.of("answer_stopped")] == [
        (8.0, {"id": "r", "number": 1}, True)
    ]


# -- deadlines --
@pytest.mark.parametrize(
    ("answers", "history"),
    [
        ([[Text("Half"), FOREVER]], ["user"]),
        ([calls(("slow", "{}"))], ["user", "assistant slow", "result call_0 error"]),
        ([[DOWN]] * 60, ["user"]),
    ],
)
def test_a_turn_that_has_used_its_time_fails_and_its_history_can_be_sent(
    answers: list[list[Move]], history: list[str]
) -> None:
    limits = Limits(turn_deadline_s=30.0, max_own_retries=99, max_requests=99)
    turn, facts, outline_ = play(ScriptedClient(*answers), tool("slow", [], takes_s=90.0), limits=limits)
    assert (turn.outcome, turn.reason, outline_) == ("failed", "the turn has used all its 30 s", history)
    assert facts.of("turn_ended")[0][0] == 30.0


def test_a_timeout_that_is_not_the_turns_own_is_let_through() -> None:
    class Impatient(ScriptedClient):
        def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
            raise TimeoutError("not ours")

    with pytest.raises(TimeoutError, match="not ours"):
        play(Impatient(), limits=Limits(turn_deadline_s=30.0))


def test_the_first_event_may_have_a_shorter_deadline() -> None:
    client = ScriptedClient([FOREVER], [20.0, *says("ok")])
    turn, facts, _ = play(client, limits=Limits(first_event_s=30.0))
    assert (turn.text, facts.of("idle_deadline")) == ("ok", [(30.0, "idle_deadline", {"after_s": 30.0, "open": []})])


def test_the_system_prompt_goes_with_every_request() -> None:
    client = ScriptedClient(says("ok"))

    async def main() -> None:
        async with Session(client, system="be brief") as session:
            await session.send("hi")

    run(main())
    assert [(r.system, r.items) for r in client.requests] == [("be brief", (UserMessage("hi"),))]

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from simkit.agent.clients import BrokenStreamError, ClientOptions, RefusedError, Request, connect
from simkit.agent.decisions import Limits
from simkit.agent.history import AssistantMessage, Call, ToolResult, UserMessage
from simkit.agent.openai_chat import messages_of, pieces_of, pieces_of_completion
from simkit.agent.openai_sdk import Bytes
from simkit.agent.session import Session
from simkit.agent.stream import CallPart, Finish, Piece, Refusal, Text, Thought, Usage
from tests.agent.scripted import Facts, outline, tool
from tests.agent.wire import DONE, Move, delta, frame, part, provider, reply

ANSWER: list[Move] = [delta(role="assistant", content=""), delta(content="hello"), delta("stop"), DONE]
# Outcome, text, reason, facts, the tools that ran, and how many streams the client hung up on.
Talk = tuple[str, str, str, Facts, list[str], int]

CUT_CALL: list[Move] = [delta(content="Writing. "), part(0, "", "write", "a"), part(0, '{"path": "x')]


async def _talk(*scripts: list[Move], stale_after_s: float) -> Talk:
    facts, ran = Facts(), list[str]()
    async with provider(*scripts) as server:
        client = connect("openai-chat", ClientOptions(base_url=server.base_url, api_key="sk-test", model="m"))
        limits = Limits(stale_after_s=stale_after_s, max_resends=0)
        async with Session(client, tools=[tool("write", ran)], limits=limits, observe=facts) as session:
            turn = await session.send("hi")
        await server.idle.wait()
    return turn.outcome, turn.text, turn.reason, facts, ran, server.hung_up


def talk(*scripts: list[Move], stale_after_s: float = 5.0) -> Talk:
    """Play one turn over a real socket."""
    return asyncio.run(_talk(*scripts, stale_after_s=stale_after_s))


def test_parallel_calls_run_and_their_results_finish_the_turn() -> None:
    both: list[Move] = [
        part(0, "", "write", "a"),
        part(1, "", "write", "b"),
        part(0, '{"n":'),
        part(1, "{"),
        part(0, "1}"),
        part(1, "}"),
        delta("tool_calls"),
        DONE,
    ]
    outcome, text, _, _, ran, _ = talk(both, ANSWER)
    assert (outcome, text, ran) == ("finished", "hello", ["write", "write"])


def test_a_stall_in_mid_call_closes_the_stream_and_is_continued() -> None:
    outcome, text, _, facts, ran, hung_up = talk([*CUT_CALL, "wait"], ANSWER, stale_after_s=0.1)
    assert (outcome, text, ran, hung_up) == ("finished", "Writing. hello", [], 1)
    assert [v["open"] for _, _, v in facts.of("idle_deadline")] == [["write"]]


def test_keepalives_and_empty_chunks_are_not_progress() -> None:
    empty = frame({"id": "", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": []})
    alive: list[Move] = [b": keep-alive\n\n", 0.03, empty, delta(role="assistant", content=""), 0.03] * 30
    _, _, _, facts, _, _ = talk([*CUT_CALL, *alive, "wait"], ANSWER, stale_after_s=0.3)
    assert len(facts.of("idle_deadline")) == 1


def test_silence_before_the_first_event_is_ended_too() -> None:
    outcome, _, reason, facts, _, hung_up = talk(["wait"], stale_after_s=0.1)
    assert (outcome, reason, hung_up) == ("failed", "the stream broke 1 times before anything arrived", 1)
    assert facts.names == ["turn_started", "idle_deadline", "partial_stub", "usage", "turn_ended"]


BREAKS: dict[str, list[Move]] = {
    "reset": ["reset"],
    "connection closed inside the body": ["cut"],
    "malformed frame": [b"data: overloaded\n\n"],
    "error frame": [frame({"error": {"message": "overloaded", "type": "server_error"}})],
    "finish reason error": [delta("error"), DONE],
    "choices that are no list": [frame({"choices": 7})],
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_stream_that_breaks_in_any_way_is_one_fact_and_is_continued(how: str) -> None:
    outcome, text, _, facts, ran, _ = talk([*CUT_CALL, *BREAKS[how]], ANSWER)
    assert (outcome, text, ran) == ("finished", "Writing. hello", [])
    assert facts.names[1:5] == ["broken_stream", "partial_stub", "said", "continuation"]


def test_a_stream_that_ends_without_a_finish_reason_and_without_its_marker_is_cut() -> None:
    outcome, text, _, facts, _, _ = talk([delta(content="Hel")], ANSWER)
    assert (outcome, text) == ("finished", "Helhello")
    assert facts.of("partial_stub")[0][2] == {"finish_reason": "length", "dropped": []}


CUT_DONE: list[Move] = [DONE[:9], 0.02, DONE[9:]]


@pytest.mark.parametrize("end", [[DONE], CUT_DONE, [b"data:[DONE]\r\n\r\n"]])
def test_a_stream_that_ends_with_its_marker_alone_is_whole(end: list[Move]) -> None:
    outcome, text, _, facts, _, _ = talk([delta(content="data: [DONE]"), *end])
    assert (outcome, text, facts.names) == ("finished", "data: [DONE]", ["turn_started", "said", "usage", "turn_ended"])


@pytest.mark.parametrize(
    ("chunks", "came"),
    [
        ([b"data: [DONE]\n\n"], True),
        ([b"data: {}\n\n", b"data: [DO", b"NE]\n\n"], True),
        ([b"data: {}\r\n\r\ndata:[DONE]"], True),
        ([b'data: {"text": "', b"data: [DONE]", b'"}\n\n'], False),
        ([b": data: [DONE]\n\n"], False),
        ([b"x" * 40, b"data: [DONE]"], False),
    ],
)
def test_the_marker_is_a_line_of_its_own_wherever_it_is_cut(chunks: list[bytes], came: bool) -> None:
    heard = Bytes()
    for chunk in chunks:
        heard.hear(chunk)
    assert heard.done == came


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_frames_without_data_are_left_out_wherever_they_are_cut(end: bytes, size: int) -> None:
    frames = [b"data: {}", b": ping", b"data:", b"event: ping", b"data: ", b"event: x\ndata:1", b"data"]
    sent, heard = b"".join(frame + end for frame in frames) + b"data: cut", Bytes()
    passed = [heard.hear(sent[at : at + size]) for at in range(0, len(sent), size)]
    assert b"".join([*passed, heard.rest()]) == b"data: {}" + end + b"event: x\ndata:1" + end + b"data: cut"


def test_frames_without_data_break_no_answer() -> None:
    hollow = [b"data:\n\n", b"event: ping\n\n", b": ping\n\n"]
    assert talk([*hollow, *ANSWER[:1], *hollow, *ANSWER[1:]])[:2] == ("finished", "hello")


def test_a_status_that_the_sdk_retries_is_no_business_of_the_loop() -> None:
    busy = reply("429 Too Many Requests", b"{}", "content-type: application/json\r\nretry-after-ms: 10")
    assert talk([busy], [busy], ANSWER)[:2] == ("finished", "hello")


def test_a_refusal_fails_the_turn_with_the_providers_words() -> None:
    body = json.dumps({"error": {"message": "no such model", "type": "invalid_request_error"}}).encode()
    outcome, _, reason, _, _, _ = talk([reply("404 Not Found", body)])
    assert (outcome, "no such model" in reason, reason.partition(":")[0]) == ("failed", True, "NotFoundError")


def test_a_page_instead_of_a_stream_is_no_answer() -> None:
    page = reply("200 OK", b"<html>maintenance</html>", "content-type: text/html")
    assert talk([page])[0] == "failed"


def test_a_provider_that_is_not_there_fails_the_turn() -> None:
    async def main() -> tuple[str, str]:
        client = connect(
            "openai-chat", ClientOptions(base_url="http://127.0.0.1:9", api_key="k", model="m", max_retries=0)
        )
        async with Session(client) as session:
            turn = await session.send("hi")
            return turn.outcome, turn.reason.partition(":")[0]

    assert asyncio.run(main()) == ("failed", "APIConnectionError")


def test_the_request_names_model_tools_and_stream() -> None:
    async def main() -> dict[str, object]:
        async with provider(ANSWER) as server:
            options = ClientOptions(base_url=server.base_url, api_key="sk-test", model="gpt-5-mini")
            client, limits = connect("openai-chat", options), Limits(tool_budget_s=None)
            # Without budgets nothing goes to the background, so there is no tool to ask for it.
            async with Session(client, tools=[tool("write", [])], limits=limits) as session:
                await session.send("hi")
            await server.idle.wait()
        return server.bodies[0]

    assert asyncio.run(main()) == {
        "model": "gpt-5-mini",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "write",
                    "description": "does something",
                    "parameters": {"type": "object"},
                },
            }
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_history_is_said_in_the_words_of_the_wire() -> None:
    calls = (Call("a", "f", {"path": "ü"}), Call("b", "web.search", fault="cut"), Call("c", ""))
    items = (UserMessage("hi"), AssistantMessage("", calls), ToolResult("a", "ok"), AssistantMessage("bye"))

    def named(call_id: str, name: str, arguments: str) -> object:
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    assert messages_of(Request(items=items, tools={}, system="be brief")) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                named("a", "f", '{"path": "ü"}'),
                named("b", "web_search", "{}"),
                named("c", "unnamed", "{}"),
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
        {"role": "assistant", "content": "bye"},
    ]


def chunk(choices: object, usage: object = None) -> ChatCompletionChunk:
    # As the SDK does it: nothing is checked.
    return ChatCompletionChunk.construct(id="c", choices=choices, usage=usage)


@pytest.mark.parametrize(
    ("given", "pieces"),
    [
        (chunk(None), []),
        (chunk([]), []),
        (chunk([{"index": 0, "delta": None}]), []),
        (chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}}]), []),
        (
            chunk([{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]),
            [Text("a"), Finish("stop")],
        ),
        (chunk([{"index": 0, "delta": {"refusal": "no"}}]), [Refusal("no")]),
        (chunk([{"index": 0, "delta": {"reasoning_content": "hm"}}]), [Thought("hm")]),
        (chunk([{"index": 0, "delta": {"tool_calls": [{"id": ""}]}}]), [CallPart()]),
        (chunk([{"index": 0, "delta": {}, "finish_reason": "eos"}]), [Finish("stop")]),
        (chunk([{"index": 0, "delta": {}, "finish_reason": "function_call"}]), [Finish("tool_calls")]),
        (chunk([], usage={"prompt_tokens": 3, "completion_tokens": None}), [Usage(3, 0)]),
    ],
)
def test_a_chunk_gives_its_content_and_nothing_else(given: ChatCompletionChunk, pieces: list[Piece]) -> None:
    assert list(pieces_of(given)) == pieces


def test_a_gateways_error_finish_is_a_broken_stream() -> None:
    with pytest.raises(BrokenStreamError, match="finish reason 'error'"):
        list(pieces_of(chunk([{"index": 0, "delta": {}, "finish_reason": "error"}])))


def completion(finish: str | None, **message: object) -> ChatCompletion:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return ChatCompletion.construct(id="c", choices=[choice], usage=usage)


def test_a_whole_answer_gives_the_same_pieces() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"n": 1}'}}
    given = completion("length", content="so", refusal="no", reasoning_content="hm", tool_calls=[call])
    assert list(pieces_of_completion(given)) == [
        Thought("hm"),
        Text("so"),
        Refusal("no"),
        CallPart(index=0, id="a", name="f", args='{"n": 1}', whole=True),
        Usage(3, 4),
        Finish("length"),
    ]


def test_a_whole_answer_without_a_finish_reason_is_whole() -> None:
    assert list(pieces_of_completion(completion(None, content="so")))[-1] == Finish("stop")


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ("<html><title>maintenance</title>", BrokenStreamError, "the answer is none: maintenance"),
        (ChatCompletion.construct(choices=[]), BrokenStreamError, "the answer is none"),
        (ChatCompletion.construct(error={"message": "no capacity"}), BrokenStreamError, "no capacity"),
        (ChatCompletion.construct(error={"type": "invalid_request_error", "message": "no"}), RefusedError, "no"),
    ],
)
def test_what_is_no_completion_is_an_error_that_says_whether_it_may_pass(
    given: object, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        list(pieces_of_completion(given))


def test_an_unknown_dialect_is_named_with_those_that_are_spoken() -> None:
    with pytest.raises(ValueError, match="no client speaks 'smoke' - known: openai-chat"):
        connect("smoke", ClientOptions(base_url="", api_key="", model=""))


def test_the_sdk_is_loaded_only_when_a_client_is_made() -> None:
    code = "import sys, simkit.agent.session, simkit.subjects.agent; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_history_after_a_real_conversation_is_in_order() -> None:
    async def main() -> list[str]:
        write: list[Move] = [part(0, "{}", "write", "a"), delta("tool_calls"), DONE]
        async with provider(write, ANSWER, ANSWER) as server:
            options = ClientOptions(base_url=server.base_url, api_key="sk-test", model="m")
            async with Session(connect("openai-chat", options), tools=[tool("write", [])]) as session:
                await session.send("one")
                await session.send("two")
                history = outline(session.history)
            await server.idle.wait()
        return history

    assert asyncio.run(main()) == ["user", "assistant write", "result a", "assistant", "user", "assistant"]

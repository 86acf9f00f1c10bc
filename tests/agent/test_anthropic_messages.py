from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from simkit.agent.anthropic_messages import WIRE, EventReader, messages_of, pieces_of_message
from simkit.agent.clients import BrokenStreamError, RefusedError, Request
from simkit.agent.history import AssistantMessage, Call, Item, Opaque, ToolResult, UserMessage
from simkit.agent.stream import CallPart, Finish, Piece, Text, Thought, Usage

EVENTS: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "x"}
SEARCH = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}


def read(*events: Mapping[str, object]) -> list[Piece]:
    """What these events carry."""
    reader = EventReader()
    return [piece for event in events for piece in reader.read(EVENTS.validate_python(event))]


def start(block: dict[str, object], index: int = 0) -> dict[str, object]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(kind: str, index: int = 0, **values: object) -> dict[str, object]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **values}}


def stop(index: int = 0) -> dict[str, object]:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str | None, **usage: object) -> dict[str, object]:
    end = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": end, "usage": {"output_tokens": 0, **usage}}


@pytest.mark.parametrize(
    ("events", "pieces"),
    [
        ([start({"type": "text", "text": ""}), delta("text_delta", text="a"), stop()], [Text(""), Text("a")]),
        (
            [
                start({"type": "thinking", "thinking": "", "signature": ""}),
                delta("thinking_delta", thinking="h"),
                delta("thinking_delta", thinking="m"),
                delta("signature_delta", signature="c2ln"),
                stop(),
            ],
            [Thought("h"), Thought("m"), Opaque(WIRE, SIGNED)],
        ),
        # A thought without its signature cannot go back, and one that is still open neither.
        ([start({"type": "thinking", "thinking": "hm", "signature": ""}), stop()], []),
        ([start(dict(SIGNED))], []),
        ([start(dict(REDACTED)), stop()], [Opaque(WIRE, REDACTED)]),
        (
            [
                start({"type": "tool_use", "id": "a", "name": "f", "input": {}}, 1),
                delta("input_json_delta", 1, partial_json=""),
                delta("input_json_delta", 1, partial_json='{"n":'),
                stop(1),
            ],
            [
                CallPart(index=1, id="a", name="f"),
                CallPart(index=1),
                CallPart(index=1, args='{"n":'),
            ],
        ),
        (
            [start({"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1}})],
            [CallPart(index=0, id="a", name="f", args='{"n": 1}')],
        ),
        (
            [
                start({**SEARCH, "input": {}}),
                delta("input_json_delta", partial_json='{"query": '),
                delta("input_json_delta", partial_json='"x"}'),
                stop(),
                start(dict(FOUND), 1),
                stop(1),
            ],
            [Opaque(WIRE, SEARCH), Opaque(WIRE, FOUND)],
        ),
        ([start({**SEARCH, "input": {}}), delta("input_json_delta", partial_json='{"que'), stop()], []),
        ([ended("tool_use")], [Usage(), Finish("tool_calls")]),
        ([ended("max_tokens")], [Usage(), Finish("length")]),
        ([ended("model_context_window_exceeded")], [Usage(), Finish("length")]),
        ([ended("stop_sequence")], [Usage(), Finish("stop")]),
        ([ended("pause_turn")], [Usage(), Finish("pause")]),
        ([ended("refusal")], [Usage(), Finish("refusal")]),
        ([ended(None)], [Usage()]),
        ([{"type": "message_stop"}], [Finish("stop")]),
    ],
)  # fmt: skip
def test_an_event_gives_its_content_and_nothing_else(events: list[dict[str, object]], pieces: list[Piece]) -> None:
    assert read(*events) == pieces


def test_the_counts_of_the_end_overwrite_those_of_the_start_where_they_are_there() -> None:
    begun = {"input_tokens": 5, "cache_read_input_tokens": 20, "output_tokens": 1}
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": begun}
    opening = {"type": "message_start", "message": {**head, "stop_reason": None, "stop_sequence": None}}
    assert read(opening, ended(None, output_tokens=9), ended(None, input_tokens=30, output_tokens=12)) == [
        Usage(25, 1),
        Usage(25, 9),
        Usage(30, 12),
    ]


def whole(*content: Mapping[str, object], reason: str = "end_turn") -> Message:
    return Message.model_validate(
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 4},
        }
    )


CALL = {"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1}}


def test_a_whole_answer_gives_its_blocks_in_order() -> None:
    message = whole(SIGNED, {"type": "text", "text": "so"}, CALL, reason="tool_use")
    assert list(pieces_of_message(message)) == [
        Thought("hm"),
        Opaque(WIRE, SIGNED),
        Text("so"),
        CallPart(index=2, id="a", name="f", args='{"n": 1}', whole=True),
        Usage(3, 4),
        Finish("tool_calls"),
    ]


def test_the_last_call_of_a_whole_answer_that_ran_out_of_tokens_counts_as_cut() -> None:
    calls = [p.args for p in pieces_of_message(whole(CALL, CALL, reason="max_tokens")) if isinstance(p, CallPart)]
    assert calls == ['{"n": 1}', ""]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("<html><title>maintenance</title></html>", BrokenStreamError),
        (Message.model_construct(content=None), BrokenStreamError),
        (Message.model_construct(content=None, error={"type": "overloaded_error"}), BrokenStreamError),
        (Message.model_construct(content=None, error={"type": "invalid_request_error"}), RefusedError),
    ],
)
def test_what_is_no_message_is_an_error_that_says_whether_it_may_pass(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(pieces_of_message(given))


# -- requests --
def sent(*items: Item) -> list[Any]:
    return [(m["role"], m["content"]) for m in messages_of(Request(items=items, tools={}))]


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_results_of_one_round_stand_together_and_nothing_else_is_joined() -> None:
    calls = (Call("a", "f"), Call("b", "web.search", {"n": 1}))
    items = UserMessage("hi"), AssistantMessage("", calls), ToolResult("a", "ok"), ToolResult("b", "bad", is_error=True)
    assert sent(*items, UserMessage("so"), UserMessage("?"), AssistantMessage("bye"), UserMessage("go")) == [
        ("user", [text("hi")]),
        (
            "assistant",
            [
                {"type": "tool_use", "id": "a", "name": "f", "input": {}},
                {"type": "tool_use", "id": "b", "name": "web_search", "input": {"n": 1}},
            ],
        ),
        (
            "user",
            [
                {"type": "tool_result", "tool_use_id": "a", "content": "ok"},
                {"type": "tool_result", "tool_use_id": "b", "content": "bad", "is_error": True},
            ],
        ),
        ("user", [text("so")]),
        ("user", [text("?")]),
        ("assistant", [text("bye")]),
        ("user", [text("go")]),
    ]


def test_a_message_that_would_be_empty_is_not_sent() -> None:
    assert sent(UserMessage("hi"), AssistantMessage("\n"), UserMessage(" ")) == [("user", [text("hi")])]


def test_what_belongs_to_the_wire_stands_where_it_came_and_what_is_of_others_is_left_out() -> None:
    opaque = (Opaque(WIRE, SIGNED), Opaque("smoke", {"puff": 1}), Opaque(WIRE, {**SIGNED, "thinking": "b"}, 3, 1))
    message = AssistantMessage("Onetwo", (Call("a", "f"), Call("b", "g")), opaque)
    ((_, _), (_, blocks), (_, _)) = sent(UserMessage("hi"), message, UserMessage("go"))
    assert [b.get("thinking") or b.get("text") or b.get("id") for b in blocks] == ["hm", "One", "a", "b", "two", "b"]


def test_a_thought_at_the_end_and_a_search_without_its_result_stay_behind_unless_the_answer_goes_on() -> None:
    paused = AssistantMessage("Hm. ", opaque=(Opaque(WIRE, SEARCH, 4), Opaque(WIRE, SIGNED, 4)))
    both = sent(UserMessage("hi"), paused), sent(UserMessage("hi"), paused, UserMessage("go"))
    assert [[b["type"] for b in messages[1][1]] for messages in both] == [
        ["text", "server_tool_use", "thinking"],
        ["text"],
    ]


def test_a_search_goes_back_with_its_result_also_when_that_came_in_the_next_answer() -> None:
    first, second = (
        AssistantMessage("Hm.", opaque=(Opaque(WIRE, SEARCH, 3),)),
        AssistantMessage("So.", opaque=(Opaque(WIRE, FOUND),)),
    )
    assert [[b["type"] for b in blocks] for _, blocks in sent(UserMessage("hi"), first, second, UserMessage("go"))] == [
        ["text"],
        ["text", "server_tool_use"],
        ["web_search_tool_result", "text"],
        ["text"],
    ]


def test_words_that_end_in_space_are_trimmed_only_where_they_end_the_request() -> None:
    said = AssistantMessage("Hm. ")
    assert (sent(UserMessage("hi"), said)[1], sent(UserMessage("hi"), said, UserMessage("go"))[1]) == (
        ("assistant", [text("Hm.")]),
        ("assistant", [text("Hm. ")]),
    )


def test_an_agent_of_another_wire_does_not_load_this_sdk() -> None:
    code = "import sys, simkit.agent.openai_responses, simkit.subjects.agent; sys.exit('anthropic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from simkit.agent.clients import BrokenStreamError, LostAnswerError, RefusedError, Request
from simkit.agent.history import AssistantMessage, Call, Item, Opaque, ToolResult, UserMessage
from simkit.agent.openai_responses import WIRE, EventReader, input_of, pieces_of_response
from simkit.agent.stream import CallPart, Finish, Piece, Refusal, Running, Text, Thought, Token, Usage

EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"n": 1}'}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "so", "annotations": []}, {"type": "refusal", "refusal": "no"}],
}


def response(status: str | None, *output: Mapping[str, object], **more: object) -> Response:
    return Response.model_validate(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 0,
            "model": "m",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "status": status,
            **more,
        }
    )


def event(kind: str, number: int = 0, **values: object) -> ResponseStreamEvent:
    return EVENTS.validate_python({"type": f"response.{kind}", "sequence_number": number, **values})


def said(text: str, number: int = 0) -> ResponseStreamEvent:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    return event("output_text.delta", number, delta=text, **place)


def item(kind: str, value: Mapping[str, object], index: int = 0) -> ResponseStreamEvent:
    return event(f"output_item.{kind}", item=value, output_index=index)


def more(args: str, of: str = "fc_1", index: int = 0) -> ResponseStreamEvent:
    return event("function_call_arguments.delta", delta=args, item_id=of, output_index=index)


def read(*events: ResponseStreamEvent, token: Token | None = None, background: bool = False) -> list[Piece]:
    """What these events carry."""
    reader = EventReader(token, background=background)
    return [piece for one in events for piece in reader.read(one)]


OPENING = {**CALL, "arguments": ""}
OF_REASONING: dict[str, Any] = {"item_id": "rs_1", "output_index": 0}


@pytest.mark.parametrize(
    ("events", "pieces"),
    [
        ([event("created", response=response("in_progress"))], []),
        ([said("a")], [Text("a")]),
        ([event("refusal.delta", delta="no", item_id="m", output_index=0, content_index=0)], [Refusal("no")]),
        ([event("reasoning_summary_text.delta", delta="hm", summary_index=0, **OF_REASONING)], [Thought("hm")]),
        ([event("reasoning_text.delta", delta="hm", content_index=0, **OF_REASONING)], [Thought("hm")]),
        ([item("added", REASONING), item("done", REASONING)], [Opaque(WIRE, REASONING)]),
        (
            [item("added", OPENING, 2), more('{"n": 1}', "fc_1", 2), item("done", CALL, 2)],
            [
                CallPart(index=2, id="call_1", name="f"),
                CallPart(index=2, id="call_1", args='{"n": 1}'),
                CallPart(index=2, id="call_1", name="f", args='{"n": 1}', whole=True),
            ],
        ),
        # In a resumed stream nobody has said whose item it is.
        ([more("{}", "fc_9", 3)], [CallPart(index=3, args="{}")]),
        ([item("added", SAID), item("done", SAID)], []),
    ],
)  # fmt: skip
def test_an_event_gives_its_content_and_nothing_else(events: list[ResponseStreamEvent], pieces: list[Piece]) -> None:
    assert read(*events) == pieces


USAGE = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 7,
}
WHY: dict[str, object] = {"incomplete_details": {"reason": "max_output_tokens"}}
FILTERED: dict[str, object] = {"incomplete_details": {"reason": "content_filter"}}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("status", "more", "pieces"),
    [
        ("completed", {"usage": USAGE}, [Usage(3, 4), Finish("stop")]),
        ("incomplete", WHY, [Finish("length")]),
        ("incomplete", FILTERED, [Finish("content_filter")]),
        ("incomplete", {}, [Finish("length")]),
    ],
)
def test_how_a_response_ended_is_how_the_answer_ended(
    status: str, more: dict[str, object], pieces: list[Piece], streamed: bool
) -> None:
    whole = response(status, **more)
    assert (read(event(status, response=whole)) if streamed else list(pieces_of_response(whole))) == pieces


def failed(code: str) -> Response:
    return response("failed", error={"code": code, "message": "because"})


@pytest.mark.parametrize(
    ("whole", "error", "text"),
    [
        (failed("server_error"), BrokenStreamError, "the response failed: server_error: because"),
        (failed("rate_limit_exceeded"), BrokenStreamError, "rate_limit_exceeded"),
        (failed("invalid_prompt"), RefusedError, "invalid_prompt"),
        (failed("image_too_large"), RefusedError, "image_too_large"),
        (response("cancelled"), RefusedError, "cancelled at the provider"),
        (response("queued"), BrokenStreamError, "'queued', without a word of why"),
    ],
)
def test_a_response_that_did_not_end_well_is_an_error_and_over(
    whole: Response, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        list(pieces_of_response(whole))
    assert getattr(caught.value, "over", True)


def told(code: str, message: str = "because") -> ResponseStreamEvent:
    return EVENTS.validate_python(
        {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 7}
    )


@pytest.mark.parametrize(
    ("code", "error"), [("server_error", BrokenStreamError), ("context_length_exceeded", RefusedError)]
)
def test_an_error_that_the_sdk_yields_like_any_event_is_an_error(code: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{code}: because"):
        read(told(code))


# -- in the background --
def test_every_event_comes_with_a_token_until_the_end() -> None:
    begun = event("created", response=response("queued"))
    last = event("completed", 2, response=response("completed"))
    assert read(begun, said("a", 1), last, background=True) == [
        Running({"response_id": "resp_1", "sequence_number": 0}, resumable=True),
        Text("a"),
        Running({"response_id": "resp_1", "sequence_number": 1}, resumable=True),
        Finish("stop"),
    ]


def test_what_was_read_before_is_not_read_again() -> None:
    token = {"response_id": "resp_1", "sequence_number": 3}
    texts = [p for p in read(said("a", 3), said("b", 4), said("b", 4), token=token, background=True) if p == Text("a")]
    again = [p for p in read(said("a", 1), said("b", 2), said("b", 2)) if isinstance(p, Text)]
    assert (texts, again) == ([], [Text("a"), Text("b")])


def test_a_gap_is_a_broken_stream_where_it_can_be_resumed() -> None:
    token = {"response_id": "resp_1", "sequence_number": 3}
    with pytest.raises(BrokenStreamError, match="events 4 to 5 did not come"):
        read(said("c", 6), token=token, background=True)
    assert read(said("a", 1), said("c", 6)) == [Text("a"), Text("c")]


@pytest.mark.parametrize("numbers", [[0, 0, 0], [-1, -1, -1]])
def test_a_server_that_does_not_count_loses_nothing(numbers: list[int]) -> None:
    assert read(*[said("a", n) for n in numbers]) == [Text("a")] * 3


def test_an_error_event_in_the_background_is_only_the_streams_and_moves_the_cursor() -> None:
    reader = EventReader({"response_id": "resp_1", "sequence_number": 6}, background=True)
    pieces = reader.read(told("server_error"))
    assert next(pieces) == Running({"response_id": "resp_1", "sequence_number": 7}, resumable=True)
    with pytest.raises(BrokenStreamError) as caught:
        next(pieces)
    assert not caught.value.over


def test_a_poll_of_a_running_response_gives_its_token_alone() -> None:
    assert list(pieces_of_response(response("queued", SAID), background=True)) == [Running({"response_id": "resp_1"})]


def test_a_token_of_another_provider_is_refused_by_name() -> None:
    with pytest.raises(LostAnswerError, match=r"\{'task_id': 't'\} is of another provider"):
        EventReader({"task_id": "t"})


# -- whole --
def test_a_whole_response_gives_its_items_in_order() -> None:
    assert list(pieces_of_response(response(None, REASONING, SAID, CALL))) == [
        Thought("hm"),
        Opaque(WIRE, REASONING),
        Text("so"),
        Refusal("no"),
        CallPart(index=2, id="call_1", name="f", args='{"n": 1}', whole=True),
        Finish("stop"),
    ]


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ("<html><title>maintenance</title>", BrokenStreamError, "the answer is none: maintenance"),
        (Response.model_construct(), BrokenStreamError, "the answer is none"),
        (Response.model_construct(output=None, error={"code": "server_error", "message": "x"}), BrokenStreamError, "x"),
        (Response.model_construct(output=None, error={"code": "invalid_prompt", "message": "x"}), RefusedError, "x"),
    ],
)
def test_what_is_no_response_is_an_error_that_says_whether_it_may_pass(
    given: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        list(pieces_of_response(given))


# -- requests --
def sent(*items: Item) -> list[Any]:
    return list(input_of(Request(items=items, tools={})))


def test_the_history_is_said_in_the_words_of_the_wire() -> None:
    calls = (Call("a", "f", {"path": "ü"}), Call("b", "web.search", fault="cut"))
    message = AssistantMessage("Look.", calls, (Opaque(WIRE, REASONING), Opaque("smoke", {"puff": 1})))
    assert sent(UserMessage("hi"), message, ToolResult("a", "ok"), ToolResult("b", "no", is_error=True)) == [
        {"role": "user", "content": "hi"},
        REASONING,
        {"role": "assistant", "content": "Look."},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"path": "ü"}'},
        {"type": "function_call", "call_id": "b", "name": "web_search", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "ok"},
        {"type": "function_call_output", "call_id": "b", "output": "no"},
    ]


def test_reasoning_that_nothing_follows_stays_behind() -> None:
    assert sent(AssistantMessage("so", opaque=(Opaque(WIRE, REASONING, 2),))) == [
        {"role": "assistant", "content": "so"}
    ]

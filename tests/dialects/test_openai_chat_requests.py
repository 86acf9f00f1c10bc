from __future__ import annotations

import json

import pytest

from simkit.contracts import CompletionRequest, Refusal
from simkit.dialects.openai_chat import OPENAI_CHAT

USER = {"role": "user", "content": "hi"}
A, B = ({"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ("call_a", "call_b"))
CALLS = {"role": "assistant", "content": None, "tool_calls": [A, B]}


def result(call: str) -> dict[str, object]:
    return {"role": "tool", "tool_call_id": call, "content": "ok"}


def read(*messages: object, **parameters: object) -> CompletionRequest | Refusal:
    return OPENAI_CHAT.read(json.dumps({"model": "m", "messages": messages, **parameters}).encode())


def calling(**function: object) -> dict[str, object]:
    return {**CALLS, "tool_calls": [{**A, "function": function}]}


def test_a_request_is_understood() -> None:
    request = read(USER, stream=True, stream_options={"include_usage": True}, temperature=0, unknown=[])
    assert isinstance(request, CompletionRequest)
    assert (request.model, request.stream, request.include_usage, request.body["temperature"]) == (
        "m",
        True,
        True,
        0,
    )


def test_without_a_word_about_it_nothing_is_streamed_or_counted() -> None:
    request = read(USER)
    assert isinstance(request, CompletionRequest)
    assert (request.stream, request.include_usage) == (False, False)


WELL_FORMED: dict[str, list[object]] = {
    "system and user": [{"role": "system", "content": "s"}, USER],
    "parts instead of text": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "calls and all their results": [USER, CALLS, result("call_a"), result("call_b"), USER],
    "results in another order": [USER, CALLS, result("call_b"), result("call_a")],
    "calls again after results": [
        USER,
        CALLS,
        result("call_a"),
        result("call_b"),
        CALLS,
        result("call_a"),
        result("call_b"),
    ],
    "a refusal instead of content": [USER, {"role": "assistant", "refusal": "no"}, USER],
    "an answer with empty content": [USER, {"role": "assistant", "content": ""}, USER],
    "a custom tool call": [
        USER,
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}],
        },
        result("c"),
    ],
}


@pytest.mark.parametrize("name", WELL_FORMED)
def test_what_the_api_takes_is_not_refused(name: str) -> None:
    assert isinstance(read(*WELL_FORMED[name]), CompletionRequest)


# name -> (messages, param, code)
MALFORMED: dict[str, tuple[list[object], str, str | None]] = {
    "no messages": ([], "messages", "empty_array"),
    "a message that is text": (["hi"], "messages[0]", "invalid_type"),
    "no role": ([{"content": "x"}], "messages[0].role", "missing_required_parameter"),
    "an unknown role": ([{"role": "bot", "content": "x"}], "messages[0].role", "invalid_value"),
    "no content": ([{"role": "user"}], "messages.[0].content", None),
    "an assistant who says nothing": ([USER, {"role": "assistant"}], "messages.[1].content", None),
    "a result of no call": ([USER, result("call_a")], "messages.[1].role", None),
    "a result behind a user": (
        [CALLS, result("call_a"), result("call_b"), USER, result("call_a")],
        "messages.[4].role",
        None,
    ),
    "a result of another call": ([CALLS, result("call_x")], "messages.[1].tool_call_id", None),
    "a result without an id": (
        [{"role": "tool", "content": "x"}],
        "messages[0].tool_call_id",
        "missing_required_parameter",
    ),
    "calls without results": ([USER, CALLS], "messages.[2].role", None),
    "one result missing": ([USER, CALLS, result("call_b"), USER], "messages.[3].role", None),
    "no calls in the list": ([{**CALLS, "tool_calls": []}], "messages[0].tool_calls", "empty_array"),
    "calls that are no list": ([{**CALLS, "tool_calls": {}}], "messages[0].tool_calls", "invalid_type"),
    "a call that is no object": ([{**CALLS, "tool_calls": [1]}], "messages[0].tool_calls[0]", "invalid_type"),
    "a call without id": (
        [{**CALLS, "tool_calls": [{"type": "function"}]}],
        "messages[0].tool_calls[0].id",
        "missing_required_parameter",
    ),
    "a call without type": (
        [{**CALLS, "tool_calls": [{"id": "x"}]}],
        "messages[0].tool_calls[0].type",
        "missing_required_parameter",
    ),
    "a call without function": (
        [{**CALLS, "tool_calls": [{"id": "x", "type": "function"}]}],
        "messages[0].tool_calls[0].function",
        "missing_required_parameter",
    ),
    "a call without name": (
        [calling(arguments="{}")],
        "messages[0].tool_calls[0].function.name",
        "missing_required_parameter",
    ),
    "a call with an empty name": (
        [calling(name="", arguments="{}")],
        "messages[0].tool_calls[0].function.name",
        "empty_string",
    ),
    "a call without arguments": (
        [calling(name="f")],
        "messages[0].tool_calls[0].function.arguments",
        "missing_required_parameter",
    ),
    "arguments that are an object": (
        [calling(name="f", arguments={})],
        "messages[0].tool_calls[0].function.arguments",
        "invalid_type",
    ),
    "arguments cut in the middle": (
        [calling(name="f", arguments='{"a')],
        "messages[0].tool_calls[0].function.arguments",
        "invalid_value",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_conversation_is_refused_with_the_place(name: str) -> None:
    messages, param, code = MALFORMED[name]
    refused = read(*messages)
    assert isinstance(refused, Refusal)
    assert (refused.status, json.loads(refused.body)) == (
        400,
        {"error": {"message": refused.text, "type": "invalid_request_error", "param": param, "code": code}},
    )


def test_the_missing_results_are_named() -> None:
    refused = read(USER, CALLS, result("call_b"), USER)
    assert isinstance(refused, Refusal)
    assert refused.text.endswith("did not have response messages: call_a")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"[" * 100_000, None),
        (b'{"messages": []}', None),
        (b'{"model": "m"}', "messages"),
        (b'{"model": "m", "messages": "hi"}', "messages"),
        (b'{"model": "m", "messages": [], "stream": "yes"}', "stream"),
        (b'{"model": "m", "messages": [], "stream_options": {}}', "stream_options"),
    ],
    ids=["cut", "list", "nested", "no-model", "no-messages", "text", "stream", "stream-options"],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, param: str | None) -> None:
    refused = OPENAI_CHAT.read(body)
    assert isinstance(refused, Refusal)
    assert json.loads(refused.body)["error"]["param"] == param

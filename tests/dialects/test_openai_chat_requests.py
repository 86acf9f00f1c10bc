from __future__ import annotations

import json
from collections.abc import Iterable

import pydantic
import pytest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from simkit.contracts import CallSent, CompletionRequest, HttpRequest, Message, Refusal, ResultSent
from simkit.dialects.openai_chat import OPENAI_CHAT

KEY = ("authorization", "Bearer sk-sim")
USER = {"role": "user", "content": "hi"}
A, B = ({"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ("call_a", "call_b"))
CALLS = {"role": "assistant", "content": None, "tool_calls": [A, B]}


def result(call: str) -> dict[str, object]:
    return {"role": "tool", "tool_call_id": call, "content": "ok"}


def read(*messages: object, **parameters: object) -> CompletionRequest | Refusal:
    return read_body({"model": "m", "messages": messages, **parameters})


def read_body(body: object, *headers: tuple[str, str]) -> CompletionRequest | Refusal:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OPENAI_CHAT.read(HttpRequest("POST", "/v1/chat/completions", headers or (KEY,), data))


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
    refused = read_body(body)
    assert isinstance(refused, Refusal)
    assert json.loads(refused.body)["error"]["param"] == param


# -- the history in neutral words --
def test_the_history_is_told_in_words_of_no_wire() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    request = read(
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Look: "}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "content": "Looking.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "ok"}]},
        {"role": "assistant", "refusal": "I can't."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    )
    assert isinstance(request, CompletionRequest)
    assert request.messages == (
        Message(role="system", text="Be brief."),
        Message(role="system", text="Be kind."),
        Message(role="user", text="Look: "),
        Message(role="assistant", text="Looking.", calls=(CallSent("a", "f", '{"x":1}'),)),
        Message(role="tool", results=(ResultSent("a", "ok"),)),
        Message(role="assistant", text="I can't."),
        Message(role="assistant", text="No."),
    )


def test_calls_of_the_old_kind_and_with_free_text_are_told_too() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": 'select "x"'}}
    old = {"name": "f", "arguments": "{}"}
    request = read(
        {"role": "assistant", "tool_calls": [custom]},
        result("c"),
        {"role": "assistant", "function_call": old},
        {"role": "function", "name": "f", "content": "ok"},
    )
    assert isinstance(request, CompletionRequest)
    assert [(m.calls, m.results) for m in request.messages] == [
        ((CallSent("c", "sql", '"select \\"x\\""'),), ()),
        ((), (ResultSent("c", "ok"),)),
        ((CallSent("", "f", "{}"),), ()),
        ((), (ResultSent("f", "ok"),)),
    ]


# -- parameters --
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
# Bodies that the real API takes, as the SDK's own types describe them.
GOOD: dict[str, dict[str, object]] = {
    "a question": {},
    "numbers": {"temperature": 0, "top_p": 1, "n": 1, "max_tokens": 10, "seed": -1, "presence_penalty": -2},
    "numbers that are null": {"temperature": None, "n": None, "max_tokens": None, "max_completion_tokens": None},
    "one limit of two": {"max_tokens": None, "max_completion_tokens": 1},
    "a tool": {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    "a tool without parameters": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    "a chosen tool": {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    "a tool of free text": {"tools": [{"type": "custom", "custom": {"name": "sql"}}]},
    "a schema": {"response_format": FORMAT},
    "any json": {
        "messages": [{"role": "user", "content": "Answer in JSON."}],
        "response_format": {"type": "json_object"},
    },
    "text": {"response_format": {"type": "text"}},
    "a stream": {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    "no stream": {"stream": False},
    "a picture": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    "calls and results": {"messages": [USER, CALLS, result("call_a"), result("call_b")]},
    "stops": {"stop": ["a", "b"], "metadata": {"a": "b"}, "user": "x", "service_tier": "flex"},
}
# Bodies that are wrong in their structure, with the param, the code and the sentence of the refusal.
BAD: dict[str, tuple[dict[str, object], str, str, str]] = {
    "a limit that is text": (
        {"max_tokens": "ten"},
        "max_tokens",
        "invalid_type",
        "Invalid type for 'max_tokens': expected an integer, but got a string instead.",
    ),
    "a warmth that is a list": (
        {"temperature": []},
        "temperature",
        "invalid_type",
        "Invalid type for 'temperature': expected a decimal, but got an array instead.",
    ),
    "a broken count": (
        {"n": 1.5},
        "n",
        "invalid_type",
        "Invalid type for 'n': expected an integer, but got a decimal number instead.",
    ),
    "tools that are an object": (
        {"tools": {"f": TOOL}},
        "tools",
        "invalid_type",
        "Invalid type for 'tools': expected an array of objects, but got an object instead.",
    ),
    "a tool without a type": (
        {"tools": [{"function": {"name": "f"}}]},
        "tools[0].type",
        "missing_required_parameter",
        "Missing required parameter: 'tools[0].type'.",
    ),
    "a tool of an unknown type": (
        {"tools": [{"type": "magic"}]},
        "tools[0].type",
        "invalid_value",
        "Invalid value: 'magic'. Supported values are: 'function' and 'custom'.",
    ),
    "a tool without its function": (
        {"tools": [{"type": "function", "name": "f"}]},
        "tools[0].function",
        "missing_required_parameter",
        "Missing required parameter: 'tools[0].function'.",
    ),
    "a function without a name": (
        {"tools": [TOOL, {"type": "function", "function": {}}]},
        "tools[1].function.name",
        "missing_required_parameter",
        "Missing required parameter: 'tools[1].function.name'.",
    ),
    "parameters that are text": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": "{}"}}]},
        "tools[0].function.parameters",
        "invalid_type",
        "Invalid type for 'tools[0].function.parameters': expected an object, but got a string instead.",
    ),
    "a format without a type": (
        {"response_format": {}},
        "response_format.type",
        "missing_required_parameter",
        "Missing required parameter: 'response_format.type'.",
    ),
    "an unknown format": (
        {"response_format": {"type": "yaml"}},
        "response_format.type",
        "invalid_value",
        "Invalid value: 'yaml'. Supported values are: 'json_object', 'json_schema', and 'text'.",
    ),
    "a schema that is not there": (
        {"response_format": {"type": "json_schema"}},
        "response_format.json_schema",
        "missing_required_parameter",
        "Missing required parameter: 'response_format.json_schema'.",
    ),
    "a schema without a name": (
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        "response_format.json_schema.name",
        "missing_required_parameter",
        "Missing required parameter: 'response_format.json_schema.name'.",
    ),
    "content that is an object": (
        {"messages": [{"role": "user", "content": {"text": "hi"}}]},
        "messages[0].content",
        "invalid_type",
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an object "
        "instead.",
    ),
    "a part that is text": (
        {"messages": [{"role": "user", "content": ["hi"]}]},
        "messages[0].content[0]",
        "invalid_type",
        "Invalid type for 'messages[0].content[0]': expected an object, but got a string instead.",
    ),
    "a part of another API": (
        {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]},
        "messages[0].content[0].type",
        "invalid_value",
        "Invalid value: 'input_text'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', "
        "and 'file'.",
    ),
    "a part of text without text": (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
        "missing_required_parameter",
        "Missing required parameter: 'messages[0].content[0].text'.",
    ),
    "a flag that is text": (
        {"parallel_tool_calls": "yes", "tools": [TOOL]},
        "parallel_tool_calls",
        "invalid_type",
        "Invalid type for 'parallel_tool_calls': expected a boolean, but got a string instead.",
    ),
    "an id that is a number": (
        {"messages": [USER, CALLS, {"role": "tool", "tool_call_id": 1, "content": "x"}]},
        "messages[2].tool_call_id",
        "invalid_type",
        "Invalid type for 'messages[2].tool_call_id': expected a string, but got an integer instead.",
    ),
}
# Bodies whose structure is right, and that the real API refuses for what they say.
REFUSED: dict[str, tuple[dict[str, object], str, str | None, str]] = {
    "two limits": (
        {"max_tokens": 1, "max_completion_tokens": 1},
        "max_tokens",
        "invalid_parameter_combination",
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
    ),
    "a limit of nothing": (
        {"max_tokens": 0},
        "max_tokens",
        "integer_below_min_value",
        "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
    ),
    "no answer": (
        {"n": 0},
        "n",
        "integer_below_min_value",
        "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
    ),
    "too warm": (
        {"temperature": 3},
        "temperature",
        "decimal_above_max_value",
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
    ),
    "no tools in the list": (
        {"tools": []},
        "tools",
        "empty_array",
        "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    "a choice without tools": (
        {"tool_choice": "auto"},
        "tool_choice",
        None,
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
    ),
    "parallel calls without tools": (
        {"parallel_tool_calls": False},
        "parallel_tool_calls",
        None,
        "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.",
    ),
    "a name with a space": (
        {"tools": [{"type": "function", "function": {"name": "my tool"}}]},
        "tools[0].function.name",
        "invalid_value",
        "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches the pattern "
        r"'^[a-zA-Z0-9_\.-]+$'.",
    ),
    "a long name": (
        {"tools": [{"type": "function", "function": {"name": "f" * 65}}]},
        "tools[0].function.name",
        "string_above_max_length",
        "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64, but got a "
        "string with length 65 instead.",
    ),
    "a schema of a list": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
        "tools[0].function.parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
    ),
    "json that nobody speaks of": (
        {"response_format": {"type": "json_object"}},
        "messages",
        None,
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
    ),
    "options of a stream without one": (
        {"stream_options": {"include_usage": True}},
        "stream_options",
        None,
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    "two results of one call": (
        {"messages": [USER, CALLS, result("call_a"), result("call_a"), result("call_b")]},
        "messages.[3].tool_call_id",
        None,
        "Invalid parameter: Duplicate value for 'tool_call_id' of 'call_a', in messages[2] and messages[3].",
    ),
}
TYPES = {
    False: pydantic.TypeAdapter[object](CompletionCreateParamsNonStreaming),
    True: pydantic.TypeAdapter[object](CompletionCreateParamsStreaming),
}


def body_of(parameters: dict[str, object]) -> dict[str, object]:
    return {"model": "m", "messages": [USER], **parameters}


def the_sdk_takes(body: dict[str, object]) -> bool:
    try:
        _walk(TYPES[body.get("stream") is True].validate_python(body, strict=True))
    except pydantic.ValidationError:
        return False
    return True


def _walk(value: object) -> None:
    """Read to the end what pydantic checks only when it is read: the iterables of the SDK's types."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, Iterable) and not isinstance(value, str):
        for item in value:
            _walk(item)


@pytest.mark.parametrize("name", GOOD)
def test_what_the_types_of_the_sdk_describe_is_taken(name: str) -> None:
    body = body_of(GOOD[name])
    assert (the_sdk_takes(body), type(read_body(body))) == (True, CompletionRequest)


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_in_structure_is_refused_as_the_types_of_the_sdk_do(name: str) -> None:
    parameters, param, code, message = BAD[name]
    body = body_of(parameters)
    assert (the_sdk_takes(body), error_of(body)) == (False, (param, code, message))


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_the_api_refuses_gets_its_own_words(name: str) -> None:
    parameters, param, code, message = REFUSED[name]
    body = body_of(parameters)
    assert (the_sdk_takes(body), error_of(body)) == (True, (param, code, message))


def error_of(body: dict[str, object]) -> tuple[str, str | None, str]:
    refused = read_body(body)
    assert isinstance(refused, Refusal)
    error = json.loads(refused.body)["error"]
    assert (refused.status, refused.text, error["type"]) == (400, error["message"], "invalid_request_error")
    return error["param"], error["code"], error["message"]


def test_two_calls_that_share_an_id_may_have_two_results() -> None:
    twice = {**CALLS, "tool_calls": [A, A]}
    answers = [read(USER, twice, *[result("call_a")] * n) for n in (1, 2, 3)]
    assert [isinstance(a, CompletionRequest) for a in answers] == [True, True, False]


def test_a_call_without_any_arguments_is_taken_back() -> None:
    assert isinstance(read(calling(name="f", arguments=""), result("call_a")), CompletionRequest)

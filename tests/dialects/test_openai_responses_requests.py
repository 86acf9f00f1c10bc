from __future__ import annotations

import json
from typing import get_args, get_origin, get_type_hints

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseInputContentParam, ResponseInputItemParam
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from simkit.contracts import CallSent, CompletionRequest, HttpRequest, Message, Refusal, ResultSent
from simkit.dialects.openai_responses import OPENAI_RESPONSES
from simkit.dialects.openai_responses_requests import ITEM_TYPES, PART_TYPES
from tests.dialects.responses_sdk import ResponsesSdk, answered

KEY = (("authorization", "Bearer none"),)
USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": '{"a":1}'}
OTHER = {**CALL, "call_id": "call_b"}
RESULT = {"type": "function_call_output", "call_id": "call_a", "output": "ok"}
CUSTOM = {"type": "custom_tool_call", "call_id": "call_c", "name": "g", "input": "free"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
ANSWER = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}


def send(body: object, headers: tuple[tuple[str, str], ...] = KEY) -> CompletionRequest | Refusal:
    return OPENAI_RESPONSES.read(HttpRequest("POST", "/v1/responses", headers, json.dumps(body).encode()))


def read(*items: object, **parameters: object) -> CompletionRequest | Refusal:
    return send({"model": "m", "input": list(items), **parameters})


def refused(answer: CompletionRequest | Refusal) -> dict[str, object]:
    assert isinstance(answer, Refusal), answer
    error = json.loads(answer.body)["error"]
    assert error["message"] == answer.text
    return {**error, "status": answer.status}


# -- what is understood --
def test_a_request_is_understood() -> None:
    request = read(USER, stream=True, background=True, temperature=0, unknown=[])
    assert isinstance(request, CompletionRequest)
    seen = (request.model, request.stream, request.background, request.body["temperature"])
    assert seen == ("m", True, True, 0)


def test_without_a_word_about_it_nothing_is_streamed_nor_run_in_the_background() -> None:
    request = read(USER)
    assert isinstance(request, CompletionRequest)
    assert (request.stream, request.background) == (False, False)


def test_the_history_is_told_in_neutral_words() -> None:
    request = read(
        {
            "role": "developer",
            "content": [{"type": "input_text", "text": "Be "}, {"type": "input_text", "text": "kind."}],
        },
        USER,
        REASONING,
        {**ANSWER, "content": [*ANSWER["content"], {"type": "refusal", "refusal": "!"}]},
        CALL,
        OTHER,
        RESULT,
        {**RESULT, "call_id": "call_b", "output": [{"type": "input_text", "text": "fine"}]},
        CUSTOM,
        {"type": "custom_tool_call_output", "call_id": "call_c", "output": "so"},
        instructions="Be brief.",
    )
    assert isinstance(request, CompletionRequest)
    args = '{"a":1}'
    assert request.messages == (
        Message(role="system", text="Be brief."),
        Message(role="system", text="Be kind."),
        Message(role="user", text="hi"),
        Message(role="assistant", text="Hello!", calls=(CallSent("call_a", "f", args), CallSent("call_b", "f", args))),
        Message(role="tool", results=(ResultSent("call_a", "ok"),)),
        Message(role="tool", results=(ResultSent("call_b", "fine"),)),
        Message(role="assistant", calls=(CallSent("call_c", "g", '"free"'),)),
        Message(role="tool", results=(ResultSent("call_c", "so"),)),
    )


def test_a_text_is_a_message_of_the_user() -> None:
    request = send({"model": "m", "input": "hi"})
    assert isinstance(request, CompletionRequest)
    assert request.messages == (Message(role="user", text="hi"),)


WELL_FORMED: dict[str, dict[str, object]] = {
    "text": {"input": "hi"},
    "a stored prompt that names the model": {"model": None, "prompt": {"id": "pmpt_1"}},
    "a continuation without input": {"previous_response_id": "resp_1"},
    "no items": {"input": []},
    "a call and its result": {"input": [USER, CALL, RESULT]},
    "results in another order": {"input": [CALL, OTHER, {**RESULT, "call_id": "call_b"}, RESULT]},
    "a message between call and result": {"input": [CALL, USER, RESULT]},
    "a call whose arguments were cut": {"input": [{**CALL, "arguments": '{"a'}, RESULT]},
    "a result of a call that only the API knows": {"previous_response_id": "resp_1", "input": [RESULT]},
    "a result of a conversation's call": {"conversation": "conv_1", "input": [RESULT]},
    "a result of a referenced call": {"input": [{"id": "fc_1"}, RESULT]},
    "a result of a call before a compaction": {
        "input": [{"type": "compaction", "encrypted_content": "x"}, RESULT],
    },
    "reasoning at the end": {"input": [USER, REASONING]},
    "reasoning without an id": {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "x"}, USER]},
    "an answer sent back whole": {"input": [USER, ANSWER, {**CALL, "id": "fc_1", "status": "completed"}, RESULT]},
    "an image": {"input": [{"role": "user", "content": [{"type": "input_image", "detail": "auto", "image_url": "x"}]}]},
    "tools of every kind": {"tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}]},
    "the background and a stream": {"background": True, "stream": True},
    "an answer that is not stored": {"store": False, "input": [USER]},
    "the smallest answer": {"max_output_tokens": 16},
}


@pytest.mark.parametrize("name", WELL_FORMED)
def test_what_the_api_takes_is_not_refused(name: str) -> None:
    body = {"model": "m", "input": "hi", **WELL_FORMED[name]}
    assert isinstance(send(body), CompletionRequest)


# Bodies that the API takes and the SDK's types, which are stricter here, do not.
LOOSER = ("a stored prompt that names the model", "reasoning without an id")


@pytest.mark.parametrize("name", [n for n in WELL_FORMED if n not in LOOSER])
def test_what_is_taken_here_is_a_request_of_the_sdk(name: str) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(ResponseCreateParams)
    adapter.validate_python({"model": "m", "input": "hi", **WELL_FORMED[name]})


def literals(annotation: object) -> set[str]:
    return {literal for arg in get_args(annotation) for literal in ({arg} if isinstance(arg, str) else literals(arg))}


def types_of(union: object) -> set[str]:
    return {t for member in get_args(union) for t in literals(get_type_hints(member)["type"])}


def test_every_type_of_item_and_part_that_the_sdk_knows_is_taken() -> None:
    assert types_of(ResponseInputItemParam) == set(ITEM_TYPES)
    assert types_of(ResponseInputContentParam) <= set(PART_TYPES)
    assert get_origin(ResponseInputItemParam) is not None


# -- what is refused --
# name -> (body over {"model": "m", "input": "hi"}, message, param, code)
ROLES = "'assistant', 'system', 'developer', and 'user'"
MALFORMED: dict[str, tuple[dict[str, object], str, str | None, str | None]] = {
    "no model": ({"model": None}, "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
    "a model that is a number": (
        {"model": 5},
        "Invalid type for 'model': expected a string, but got an integer instead.",
        "model",
        "invalid_type",
    ),
    "no input": (
        {"input": None},
        "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
        "input",
        "missing_required_parameter",
    ),
    "an input that is an object": (
        {"input": USER},
        "Invalid type for 'input': expected one of a string or array of input items, but got an object instead.",
        "input",
        "invalid_type",
    ),
    "messages instead of input": (
        {"messages": [USER]},
        "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'. Try again with "
        "the new parameter. See the API documentation for more information: "
        "https://platform.openai.com/docs/api-reference/responses/create.",
        None,
        "unsupported_parameter",
    ),
    "a stream that is a text": (
        {"stream": "yes"},
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
        "stream",
        "invalid_type",
    ),
    "a background answer that is not stored": (
        {"background": True, "store": False},
        "Background mode requires 'store' to be true.",
        "store",
        None,
    ),
    "too few tokens": (
        {"max_output_tokens": 10},
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 10 instead.",
        "max_output_tokens",
        "integer_below_min_value",
    ),
    "a tool of chat completions": (
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        "Missing required parameter: 'tools[0].name'.",
        "tools[0].name",
        "missing_required_parameter",
    ),
    "an item that is text": (
        {"input": ["hi"]},
        "Invalid type for 'input[0]': expected an object, but got a string instead.",
        "input[0]",
        "invalid_type",
    ),
    "an item of nothing": (
        {"input": [{}]},
        "Missing required parameter: 'input[0].type'.",
        "input[0].type",
        "missing_required_parameter",
    ),
    "a message of the role tool": (
        {"input": [{"role": "tool", "content": "ok", "tool_call_id": "call_a"}]},
        f"Invalid value: 'tool'. Supported values are: {ROLES}.",
        "input[0]",
        "invalid_value",
    ),
    "a message with tool calls": (
        {"input": [USER, {"role": "assistant", "content": "", "tool_calls": []}]},
        "Unknown parameter: 'input[1].tool_calls'.",
        "input[1].tool_calls",
        "unknown_parameter",
    ),
    "a message whose content is null": (
        {"input": [{"role": "assistant", "content": None}]},
        "Invalid type for 'input[0].content': expected one of an array of objects or string, but got null instead.",
        "input[0].content",
        "invalid_type",
    ),
    "a message without content": (
        {"input": [{"role": "user"}]},
        "Missing required parameter: 'input[0].content'.",
        "input[0].content",
        "missing_required_parameter",
    ),
    "a call without arguments": (
        {"input": [{"type": "function_call", "call_id": "c", "name": "f"}]},
        "Missing required parameter: 'input[0].arguments'.",
        "input[0].arguments",
        "missing_required_parameter",
    ),
    "arguments that are an object": (
        {"input": [{**CALL, "arguments": {}}, RESULT]},
        "Invalid type for 'input[0].arguments': expected a string, but got an object instead.",
        "input[0].arguments",
        "invalid_type",
    ),
    "a result without output": (
        {"input": [CALL, {"type": "function_call_output", "call_id": "call_a"}]},
        "Missing required parameter: 'input[1].output'.",
        "input[1].output",
        "missing_required_parameter",
    ),
    "reasoning without a summary": (
        {"input": [{"type": "reasoning", "id": "rs_1"}]},
        "Missing required parameter: 'input[0].summary'.",
        "input[0].summary",
        "missing_required_parameter",
    ),
    "a call id where an item id belongs": (
        {"input": [{**CALL, "id": "call_a"}, RESULT]},
        "Invalid 'input[0].id': 'call_a'. Expected an ID that begins with 'fc'.",
        "input[0].id",
        "invalid_value",
    ),
    "a call id that is too long": (
        {"input": [{**CALL, "call_id": "c" * 65}]},
        "Invalid 'input[0].call_id': string too long. Expected a string with maximum length 64, but got a string with "
        "length 65 instead.",
        "input[0].call_id",
        "string_above_max_length",
    ),
    "an item twice": (
        {"input": [ANSWER, ANSWER]},
        "Duplicate item found with id msg_1. Remove duplicate items from your input and try again.",
        "input",
        None,
    ),
    "a result without its call": (
        {"input": [USER, RESULT]},
        "No tool call found for function call output with call_id call_a.",
        "input",
        None,
    ),
    "a call without its result": (
        {"input": [USER, CALL, OTHER, RESULT]},
        "No tool output found for function call call_b.",
        "input",
        None,
    ),
    "a custom call without its result": (
        {"input": [CUSTOM]},
        "No tool output found for custom tool call call_c.",
        "input",
        None,
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_the_api_refuses_gets_its_real_body(name: str) -> None:
    body, message, param, code = MALFORMED[name]
    assert refused(send({"model": "m", "input": "hi", **body})) == {
        "status": 400,
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }


def test_a_part_of_chat_completions_is_refused_by_its_name() -> None:
    error = refused(read({"role": "user", "content": [{"type": "text", "text": "hi"}]}))
    assert (error["param"], error["code"]) == ("input[0].content[0]", "invalid_value")
    assert str(error["message"]).startswith("Invalid value: 'text'. Supported values are: 'input_text', ")


def test_an_unknown_type_of_item_is_refused_by_its_name() -> None:
    error = refused(read({"type": "tool_result", "content": "ok"}))
    assert (error["param"], error["code"]) == ("input[0]", "invalid_value")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null", b"NaN"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    answer = OPENAI_RESPONSES.read(HttpRequest("POST", "/v1/responses", KEY, body))
    assert refused(answer)["status"] == 400


KEYS = st.sampled_from(
    [
        *("model", "input", "type", "role", "content", "id", "call_id", "name", "arguments", "output", "summary"),
        *("tools", "instructions", "conversation", "prompt", "text"),
    ],
)
WORDS = st.sampled_from(["message", "function_call", "function_call_output", "custom_tool_call", "user", "input_text"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
)


@given(st.dictionaries(KEYS, JUNK, max_size=6))
def test_every_body_is_understood_or_refused_with_a_400(body: dict[str, object]) -> None:
    answer = send({"model": "m", **body})
    assert isinstance(answer, CompletionRequest) or refused(answer)["status"] == 400


def test_a_request_without_a_key_is_refused_before_anything_else_is_looked_at() -> None:
    answers = [send({}, ()), send({}, (("authorization", "Bearer "),)), send("x", ())]
    assert [refused(answer)["status"] for answer in answers] == [401] * 3


def test_the_sdk_raises_what_the_refusal_means() -> None:
    answer = read(USER, RESULT)
    assert isinstance(answer, Refusal)
    sdk = ResponsesSdk(lambda _: answered(answer.status, {"content-type": "application/json"}, answer.body))
    with pytest.raises(openai.BadRequestError, match="No tool call found") as raised:
        sdk.sync.responses.create(model="m", input="hi")
    assert raised.value.param == "input"


def test_what_the_sdk_sends_is_understood() -> None:
    seen: list[HttpRequest] = []

    def answer(request: object) -> object:
        sent = HttpRequest("POST", request.url.path, tuple(request.headers.items()), request.content)  # type: ignore[attr-defined]  # the transport's own request
        seen.append(sent)
        return answered(404, {}, b"{}")

    sdk = ResponsesSdk(answer)  # type: ignore[arg-type]  # it is asked with the transport's request
    with pytest.raises(openai.NotFoundError):
        sdk.sync.responses.create(model="m", input=[{"role": "user", "content": "hi"}], background=True)
    request = OPENAI_RESPONSES.read(seen[0])
    assert isinstance(request, CompletionRequest)
    assert (request.background, request.messages) == (True, (Message(role="user", text="hi"),))

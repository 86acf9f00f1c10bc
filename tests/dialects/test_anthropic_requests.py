from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

import pytest
from anthropic.types import ContentBlockParam, MessageParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from pydantic import TypeAdapter, ValidationError

from simkit.contracts import CallSent, CompletionRequest, HttpRequest, Message, Refusal, ResultSent
from simkit.dialects.anthropic_messages import ANTHROPIC
from simkit.dialects.anthropic_requests import sign
from simkit.model.timeline import Call, Finish, Say, Think
from tests.dialects.anthropic_sdk import MODEL, Sdk, bodies

PARAMS: TypeAdapter[object] = TypeAdapter(MessageCreateParamsStreaming | MessageCreateParamsNonStreaming)
HEADERS = (("x-api-key", "none"), ("anthropic-version", "2023-06-01"))
USER: dict[str, object] = {"role": "user", "content": "hello"}
Json = dict[str, Any]


def use(call: str, name: str = "f", **changes: object) -> Json:
    return {"type": "tool_use", "id": call, "name": name, "input": {}, **changes}


def result(call: str, content: object = "ok") -> Json:
    return {"type": "tool_result", "tool_use_id": call, "content": content}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def says(role: str, *content: object) -> Json:
    return {"role": role, "content": list(content)}


def request(body: object, headers: Sequence[tuple[str, str]] = HEADERS) -> HttpRequest:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpRequest("POST", "/v1/messages?beta=true", tuple(headers), data)


def body(*messages: object, **changes: object) -> Json:
    whole = {"model": MODEL, "max_tokens": 64, "messages": list(messages or [USER]), **changes}
    return {name: value for name, value in whole.items() if value is not ...}


def read(*messages: object, **changes: object) -> CompletionRequest | Refusal:
    return ANTHROPIC.read(request(body(*messages, **changes)))


def refused(answer: CompletionRequest | Refusal) -> str:
    assert isinstance(answer, Refusal), answer
    error = {"type": "invalid_request_error", "message": answer.text}
    assert (answer.status, json.loads(answer.body)) == (400, {"type": "error", "error": error})
    return answer.text


def taken(answer: CompletionRequest | Refusal) -> CompletionRequest:
    assert isinstance(answer, CompletionRequest), answer
    return answer


# -- what is understood --
def test_a_request_is_understood() -> None:
    plain, streamed = read(), read(stream=True)
    assert [(taken(r).model, taken(r).stream, taken(r).background) for r in (plain, streamed)] == [
        (MODEL, False, False),
        (MODEL, True, False),
    ]
    assert taken(plain).body == body()


def test_the_history_is_told_in_neutral_words() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "x"}
    answer = read(
        USER,
        says("assistant", thinking, text("I "), text("look."), use("a", input={"p": "ü"}), use("b")),
        says("user", result("b", [text("2"), text("3")]), {"type": "tool_result", "tool_use_id": "a"}, text("and?")),
        system=[text("be "), text("brief")],
    )
    assert taken(answer).messages == (
        Message(role="system", text="be brief"),
        Message(role="user", text="hello"),
        Message(role="assistant", text="I look.", calls=(CallSent("a", "f", '{"p":"ü"}'), CallSent("b", "f", "{}"))),
        Message(role="tool", text="and?", results=(ResultSent("b", "23"), ResultSent("a", ""))),
    )


def test_what_the_sdk_sends_is_taken_and_so_is_what_it_received(sdk: Sdk) -> None:
    final = sdk.helper(bodies(Think(text="hm"), Say(text="hi"), Call(name="f", id="a"), Finish(reason="tool_calls")))
    history: list[MessageParam] = [
        {"role": "user", "content": "hello"},
        final.to_param(),
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "ok"}]},
    ]
    sent = sdk.request_of(history)
    headers = tuple((name.lower(), value) for name, value in sent.headers.items())
    answer = ANTHROPIC.read(HttpRequest(sent.method, sent.url.path, headers, sent.content))
    assert [m.role for m in taken(answer).messages] == ["user", "assistant", "tool"]


@pytest.fixture(scope="module")
def sdk() -> Sdk:
    return Sdk()


# -- what the API takes is taken --
TAKEN: Mapping[str, Json] = {
    "plain": body(),
    "stream": body(stream=True),
    "an unknown parameter": body(top_k=3, output_config={"effort": "low"}),
    "a model that nobody knows": body(model="m"),
    "consecutive messages of the user": body(USER, USER),
    "an answer that is begun": body(USER, {"role": "assistant", "content": "The"}),
    "an answer that is not begun": body(USER, {"role": "assistant", "content": ""}),
    "results in two messages": body(
        USER, says("assistant", use("a"), use("b")), says("user", result("a")), says("user", result("b"), text("?"))
    ),
    "a turn of two messages": body(
        USER, says("assistant", use("a")), says("assistant", text("and")), says("user", result("a"))
    ),
    "two rounds": body(
        USER,
        says("assistant", use("a")),
        says("user", result("a")),
        says("assistant", use("b")),
        says("user", result("b")),
    ),
    "a message of the system": body(USER, says("system", text("be brief")), model="claude-opus-4-8"),
    "a message of the system between": body(
        USER, {"role": "system", "content": "x"}, {"role": "assistant", "content": "a"}, USER, model="claude-opus-5"
    ),
    "a thought of somebody else": body(
        USER, says("assistant", {"type": "thinking", "thinking": "", "signature": "abc"}, text("a")), USER
    ),
    "a hidden thought": body(USER, says("assistant", {"type": "redacted_thinking", "data": "x"}, text("a")), USER),
    "cached blocks": body(says("user", {**text("a"), "cache_control": {"type": "ephemeral"}})),
    "tools": body(tools=[{"name": "f", "input_schema": {"type": "object"}}, {"type": "bash_20250124", "name": "bash"}]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_sdk_types_take_is_taken(name: str) -> None:
    assert not sees(TAKEN[name])
    assert taken(ANTHROPIC.read(request(TAKEN[name]))).body == TAKEN[name]


def test_every_block_of_the_sdk_is_known() -> None:
    kinds = [get_args(get_type_hints(block)["type"])[0] for block in get_args(ContentBlockParam)]
    told = {kind: read(says("user", {"type": kind})) for kind in kinds}
    assert [k for k, answer in told.items() if isinstance(answer, Refusal) and "Input tag" in answer.text] == []
    assert "text" in kinds


def test_a_request_that_names_a_beta_may_hold_anything() -> None:
    headers = (*HEADERS, ("anthropic-beta", "new-2026-01-01"))
    novel = body(
        {**USER, "id": "x"}, says("assistant", {"type": "novel"}, {**use("a"), "more": 1}), says("user", result("a"))
    )
    assert taken(ANTHROPIC.read(request(novel, headers))).body == novel


# -- what the API refuses --
SYSTEM = (
    'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an '
    "input message role."
)
EMPTY = "all messages must have non-empty content except for the optional final assistant message"
UNANSWERED = (
    "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block "
    "must have a corresponding `tool_result` block in the next message."
)
ORPHAN = (
    "{}: unexpected `tool_use_id` found in `tool_result` blocks: {}. Each `tool_result` block must have a "
    "corresponding `tool_use` block in the previous message."
)
# the fault -> the sentence, and whether the SDK's own types see it
REFUSED: Sequence[tuple[Json, str, bool]] = [
    (body(model=...), "model: Field required", True),
    (body(max_tokens=...), "max_tokens: Field required", True),
    (body(messages=...), "messages: Field required", True),
    (body(model=""), "model: String should have at least 1 character", False),
    (body(model=3), "model: Input should be a valid string", True),
    (body(max_tokens=[]), "max_tokens: Input should be a valid integer", True),
    (body(stream="yes"), "stream: Input should be a valid boolean", True),
    (body(messages="hi"), "messages: Input should be a valid list", True),
    (body(messages=[]), "messages: at least one message is required", False),
    (body("hi"), "messages.0: Input should be a valid dictionary", True),
    (body({"content": "a"}), "messages.0.role: Field required", True),
    (body({"role": "user"}), "messages.0.content: Field required", True),
    (body({"role": "user", "content": 3}), "messages.0.content: Input should be a valid list", True),
    (body({"role": "user", "content": ["a"]}), "messages.0.content.0: Input should be a valid dictionary", True),
    (
        body(USER, {"role": "tool", "content": "a"}),
        'messages: Unexpected role "tool". Allowed roles are "user" or "assistant".',
        True,
    ),
    (body({"role": "system", "content": "a"}, USER), SYSTEM, False),
    (
        body(USER, {"role": "system", "content": "a"}, model="claude-sonnet-4-6"),
        "role 'system' is not supported on this model",
        False,
    ),
    (
        body(USER, {"role": "system", "content": "a"}, USER),
        "messages.1: role 'system' must precede an 'assistant' message or end the array",
        False,
    ),
    (body({"role": "assistant", "content": "a"}, USER), 'messages: first message must use the "user" role', False),
    (body({"role": "user", "content": ""}), f"messages.0: {EMPTY}", False),
    (body(USER, {"role": "assistant", "content": []}, USER), f"messages.1: {EMPTY}", False),
    (body(says("user", text(""))), "messages: text content blocks must be non-empty", False),
    (
        body(USER, {"role": "assistant", "content": "The "}),
        "messages: final assistant content cannot end with trailing whitespace",
        False,
    ),
    (body({**USER, "name": "a"}), "messages.0.name: Extra inputs are not permitted", False),
    (body(says("user", {"text": "a"})), "messages.0.content.0.type: Field required", True),
    (body(says("user", {"type": "text"})), "messages.0.content.0.text.text: Field required", True),
    (body(says("user", text(3))), "messages.0.content.0.text.text: Input should be a valid string", True),  # type: ignore[arg-type]  # the fault
    (
        body(USER, says("assistant", {**use("a"), "index": 0})),
        "messages.1.content.0.tool_use.index: Extra inputs are not permitted",
        False,
    ),
    (
        body(USER, says("assistant", {**text("a"), "parsed_output": None}), USER),
        "messages.1.content.0.text.parsed_output: Extra inputs are not permitted",
        False,
    ),
    # -- calls and results --
    (
        body(USER, says("assistant", use("a", input="{}"))),
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
        True,
    ),
    (body(USER, says("assistant", use("a", input=None))), "messages.1.content.0.tool_use.input: Field required", True),
    (
        body(USER, says("assistant", use("functions.f:0"))),
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        False,
    ),
    (
        body(USER, says("assistant", use("a")), says("user", result("a.b"))),
        "messages.2.content.0.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        False,
    ),
    (
        body(USER, says("assistant", text("x"), use("a"), use("b")), USER),
        UNANSWERED.format("a, b"),
        False,
    ),
    (
        body(USER, says("assistant", use("a"), use("b")), says("user", result("b"))),
        UNANSWERED.format("a"),
        False,
    ),
    (
        body(USER, says("assistant", use("a")), says("user", text("here:"), result("a"))),
        UNANSWERED.format("a"),
        False,
    ),
    (
        body(USER, says("assistant", use("a"))),
        UNANSWERED.format("a"),
        False,
    ),
    (
        body(says("user", result("a"))),
        ORPHAN.format("messages.0.content.0", "a"),
        False,
    ),
    (
        body(USER, says("assistant", use("a")), says("user", result("a"), result("b"))),
        ORPHAN.format("messages.2.content.1", "b"),
        False,
    ),
    (
        body(USER, says("assistant", use("a")), says("user", result("a"), result("a"))),
        "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: a",
        False,
    ),
    (body(USER, says("assistant", use("a"), use("a"))), "messages.1.content.1: `tool_use` ids must be unique", False),
    (
        body(USER, says("assistant", use("a")), says("user", result("a")), says("assistant", text("x"), use("a"))),
        "messages.3.content.1: `tool_use` ids must be unique",
        False,
    ),
    (
        body(says("user", use("a"))),
        "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages",
        False,
    ),
    (
        body(USER, says("assistant", result("a"))),
        "messages.1.content.0: `tool_result` blocks can only be in `user` messages",
        False,
    ),
    # -- thoughts --
    (
        body(USER, says("assistant", {"type": "thinking", "thinking": "hm"}, text("a")), USER),
        "messages.1.content.0.thinking.signature: Field required",
        True,
    ),
    (
        body(USER, says("assistant", {"type": "thinking", "thinking": "hm", "signature": ""}, text("a")), USER),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        False,
    ),
    (
        body(USER, says("assistant", {"type": "thinking", "thinking": "hm!", "signature": sign("hm")}), USER),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        False,
    ),
    # -- tools --
    (body(tools={}), "tools: Input should be a valid list", False),
    (body(tools=["f"]), "tools.0: Input should be a valid dictionary", True),
    (body(tools=[{"name": "f"}]), "tools.0.custom.input_schema: Field required", True),
    (body(tools=[{"input_schema": {}}]), "tools.0.custom.name: Field required", True),
    (body(tools=[{"name": "f", "input_schema": {}}] * 2), "tools: Tool names must be unique.", False),
]


@pytest.mark.parametrize(("wrong", "sentence", "seen"), REFUSED, ids=[s[:60] for _, s, _ in REFUSED])
def test_what_the_api_refuses_gets_its_sentence(wrong: Json, sentence: str, seen: bool) -> None:
    assert refused(ANTHROPIC.read(request(wrong))) == sentence
    assert sees(wrong) is seen


def sees(wrong: Json) -> bool:
    """Say whether the SDK's own types refuse this body: what they cannot see is why there are rules of ours."""
    try:
        exhaust(PARAMS.validate_python(wrong))
    except ValidationError:
        return True
    return False


def exhaust(value: object) -> None:
    """Look at everything: the lists in the SDK's types are judged as they are read, and not before."""
    if isinstance(value, Mapping):
        exhaust(list(value.values()))
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for item in value:
            exhaust(item)


def test_a_block_of_another_wire_is_refused_with_the_blocks_of_this_one() -> None:
    told = refused(read(says("user", {"type": "image_url", "image_url": {"url": "x"}})))
    expected = (
        "messages.0.content.0: Input tag 'image_url' found using 'type' does not match any of the expected tags: "
    )
    assert (told.startswith(expected), "'tool_result'" in told) == (True, True)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The request body is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"a": NaN}', "The request body is not valid JSON: NaN is not JSON"),
        (b"[" * 100_000, "The request body is not valid JSON: the JSON text is nested too deeply"),
        (b'{"a": "\\ud83d"}', "The request body is not valid JSON: no low surrogate in string"),
        (b"[]", "Input should be a valid dictionary"),
    ],
    ids=["nothing", "not a number", "too deep", "half an emoji", "a list"],
)
def test_a_body_that_is_no_json_object_is_refused(data: bytes, sentence: str) -> None:
    assert refused(ANTHROPIC.read(request(data))) == sentence


def test_a_request_needs_a_key_and_a_version_before_anything_else() -> None:
    key, version = HEADERS
    without = [ANTHROPIC.read(request(b"", headers)) for headers in ([version], [key])]
    assert [(r.status, r.text) for r in without if isinstance(r, Refusal)] == [
        (401, "x-api-key header is required"),
        (400, "anthropic-version: header is required"),
    ]
    first = without[0]
    assert isinstance(first, Refusal)
    assert json.loads(first.body)["error"]["type"] == "authentication_error"


def test_a_bearer_token_is_a_key() -> None:
    headers = (("authorization", "Bearer x"), HEADERS[1])
    assert taken(ANTHROPIC.read(request(body(), headers))).model == MODEL

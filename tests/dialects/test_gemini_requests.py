from __future__ import annotations

import json

import pytest

from simkit.contracts import CallSent, CompletionRequest, HttpRequest, Message, Refusal, ResultSent
from simkit.dialects.gemini import GEMINI

HI: dict[str, object] = {"role": "user", "parts": [{"text": "hi"}]}
KEY = (("x-goog-api-key", "k"),)
WHOLE = "/v1beta/models/gemini-x:generateContent"
STREAM = "/v1beta/models/gemini-x:streamGenerateContent"


def read(body: object, target: str = WHOLE, headers: tuple[tuple[str, str], ...] = KEY) -> CompletionRequest | Refusal:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return GEMINI.read(HttpRequest("POST", target, headers, data))


def contents(*given: object) -> CompletionRequest | Refusal:
    return read({"contents": list(given)})


def refused(found: CompletionRequest | Refusal) -> tuple[int, str]:
    assert isinstance(found, Refusal), found
    error = json.loads(found.body)["error"]
    assert (error["code"], error["message"]) == (found.status, found.text)
    return found.status, found.text


def messages(found: CompletionRequest | Refusal) -> tuple[Message, ...]:
    assert isinstance(found, CompletionRequest), found
    return found.messages


def called(*names: str, **more: object) -> dict[str, object]:
    return {"role": "model", "parts": [{"functionCall": {"name": name, "args": {}, **more}} for name in names]}


def answered(*names: str, **more: object) -> dict[str, object]:
    response = {"result": "ok"}
    return {"role": "user", "parts": [{"functionResponse": {"name": n, "response": response, **more}} for n in names]}


# -- what is asked for --
def test_model_and_form_stand_in_the_target() -> None:
    vertex = "/v1/projects/p/locations/l/publishers/google/models/gemini-y:streamGenerateContent"
    targets = (WHOLE, f"{WHOLE}?alt=sse", STREAM, f"{STREAM}?alt=json", f"{STREAM}?alt=sse", f"{vertex}?alt=sse")
    found = [read({"contents": [HI]}, target) for target in targets]
    assert [(r.model, r.stream, r.detail) for r in found if isinstance(r, CompletionRequest)] == [
        ("gemini-x", False, ""),
        ("gemini-x", False, ""),
        ("gemini-x", True, "array"),
        ("gemini-x", True, "array"),
        ("gemini-x", True, "sse"),
        ("gemini-y", True, "sse"),
    ]


# -- who asks --
def test_a_request_needs_a_key_or_a_token() -> None:
    asked: list[tuple[str, tuple[tuple[str, str], ...]]] = [
        (WHOLE, KEY),
        (f"{WHOLE}?key=k", ()),
        (WHOLE, (("authorization", "Bearer t"),)),
        (WHOLE, ()),
        (f"{WHOLE}?key=", ()),
    ]
    found = [read({"contents": [HI]}, target, headers) for target, headers in asked]
    assert [isinstance(one, Refusal) for one in found] == [False, False, False, True, True]
    status, text = refused(found[-1])
    assert (status, text.partition(" (")[0]) == (403, "Method doesn't allow unregistered callers")


# -- what cannot be read --
def test_unknown_names_are_told_all_at_once() -> None:
    found = read({"contents": [HI], "stream": True, "messages": []})
    texts = [
        f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.' for name in ("stream", "messages")
    ]
    assert refused(found) == (400, "\n".join(texts))
    assert isinstance(found, Refusal)
    (detail,) = json.loads(found.body)["error"]["details"]
    assert detail["fieldViolations"] == [{"description": text} for text in texts]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "Invalid JSON payload received. Unexpected token."),
        (b"[]", 'Invalid JSON payload received. Unknown name "": Root element must be a message.'),
        (b"", "* GenerateContentRequest.contents: contents is not specified\n"),
        ({}, "* GenerateContentRequest.contents: contents is not specified\n"),
        ({"contents": []}, "* GenerateContentRequest.contents: contents is not specified\n"),
        (
            {"contents": ["hi"]},
            "Invalid value at 'contents[0]' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content), \"hi\"",
        ),
        (
            {"contents": [{"parts": ["hi"]}]},
            "Invalid value at 'contents[0].parts[0]' "
            '(type.googleapis.com/google.ai.generativelanguage.v1beta.Part), "hi"',
        ),
        (
            {"contents": [HI, {"role": "model", "parts": []}]},
            "* GenerateContentRequest.contents[1].parts: contents.parts must not be empty.\n",
        ),
        (
            {"contents": [{"parts": [{}]}]},
            "* GenerateContentRequest.contents[0].parts[0].data: required oneof field 'data' must have one initialized "
            "field\n",
        ),
        ({"contents": [{**HI, "role": "system"}]}, "Please use a valid role: user, model."),
        ({"contents": [{**HI, "role": "assistant"}]}, "Please use a valid role: user, model."),
    ],
)
def test_a_malformed_request_gets_the_real_body(body: object, text: str) -> None:
    assert refused(read(body)) == (400, text)


def test_a_refusal_of_an_array_is_a_list_of_one() -> None:
    found = [read({}, target) for target in (STREAM, f"{STREAM}?alt=sse")]
    listed, plain = (json.loads(one.body) for one in found if isinstance(one, Refusal))
    assert listed == [plain]


# -- turns --
NOT_FIRST = (
    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
)
NOT_AFTER = "Please ensure that function response turn comes immediately after a function call turn."
NOT_AS_MANY = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((called("f"), answered("f")), NOT_FIRST),
        ((HI, answered("f")), NOT_AFTER),
        ((HI, {"role": "model", "parts": [{"text": "x"}]}, answered("f")), NOT_AFTER),
        ((HI, called("f"), HI), NOT_AS_MANY),
        ((HI, called("f", "g"), answered("f")), NOT_AS_MANY),
        ((HI, called("f"), answered("f", "f")), NOT_AS_MANY),
    ],
)
def test_calls_and_results_must_be_as_many_and_follow_each_other(given: tuple[object, ...], text: str) -> None:
    assert refused(contents(*given)) == (400, text)


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [{"parts": [{"text": "hi"}]}]},
        {"contents": {"role": "user", "parts": {"text": "hi"}}},
        {"contents": [HI, HI], "system_instruction": {"parts": {"text": "s"}}, "generation_config": {}},
        {"contents": [HI], "tools": [], "toolConfig": {}, "safetySettings": [], "cachedContent": "c", "store": False},
        {"contents": [HI, called("f"), answered("f"), HI]},
        {"contents": [HI, called("f", "g"), answered("f"), answered("g"), called("h"), answered("h")]},
        {"contents": [HI, called("f"), {"role": "model", "parts": [{"text": ""}]}, answered("f")]},
        {"contents": [HI, called("f"), {**answered("f"), "role": "function"}]},
        {"contents": [HI, {"role": "model", "parts": [{"text": "x"}]}]},
        {"contents": [HI, called("f")]},
        {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": ""}}]}]},
    ],
)
def test_what_the_real_api_takes_is_not_refused(body: object) -> None:
    assert isinstance(read(body), CompletionRequest)


# -- what the history says --
def test_the_history_is_told_in_neutral_words() -> None:
    thought = {"text": "hm", "thought": True, "thoughtSignature": "c2ln"}
    call = {"functionCall": {"name": "f", "args": {"a": "ä"}, "id": "c1"}}
    result = {"functionResponse": {"name": "f", "id": "c1", "response": {"output": "fine"}}}
    body = {
        "systemInstruction": {"parts": [{"text": "be "}, {"text": "kind"}]},
        "contents": [
            HI,
            {"role": "model", "parts": [thought, {"text": "One"}]},
            {"role": "model", "parts": [{"text": " moment."}, call]},
            {"role": "user", "parts": [result, {"text": "go on"}]},
            {"role": "model", "parts": [{"text": "Done."}]},
        ],
    }
    assert messages(read(body)) == (
        Message(role="system", text="be kind"),
        Message(role="user", text="hi"),
        Message(role="assistant", text="One moment.", calls=(CallSent("c1", "f", '{"a":"ä"}'),)),
        Message(role="tool", results=(ResultSent("c1", "fine"),)),
        Message(role="user", text="go on"),
        Message(role="assistant", text="Done."),
    )


def test_results_without_an_id_belong_to_the_call_of_their_name_or_to_the_next() -> None:
    given = (HI, called("f", "g", "f"), answered("g", "f", "other"), called("f"), answered("f"))
    told = messages(contents(*given))
    assert [[call.id for call in m.calls] or [result.id for result in m.results] for m in told[1:]] == [
        ["call_0", "call_1", "call_2"],
        ["call_1", "call_0", "call_2"],
        ["call_3"],
        ["call_3"],
    ]


def test_a_result_that_is_wrapped_alone_is_its_text_and_any_other_its_json() -> None:
    responses: list[object] = [
        {"result": "a"},
        {"error": "b"},
        {"output": 1},
        {"other": "c"},
        {"result": "a", "n": 1},
        None,
    ]
    parts = [{"functionResponse": {"name": "f", "response": response}} for response in responses]
    told = messages(contents(HI, called(*"ffffff"), {"role": "user", "parts": parts}))
    assert [result.text for result in told[-1].results] == [
        "a",
        "b",
        '{"output":1}',
        '{"other":"c"}',
        '{"result":"a","n":1}',
        "{}",
    ]

from __future__ import annotations

import json

import pytest
from google.genai import errors

from simkit.dialects.gemini import GEMINI
from simkit.model.timeline import StatusReply
from tests.dialects.gemini_sdk import MODEL, GeminiSdk


def body_of(reply: StatusReply) -> dict[str, object]:
    error: dict[str, object] = json.loads(GEMINI.error(reply, number=1)[1])["error"]
    return error


def test_every_status_has_its_name() -> None:
    statuses = (400, 401, 403, 404, 409, 418, 429, 499, 500, 501, 502, 503, 504, 529)
    told = [body_of(StatusReply(status=status)) for status in statuses]
    assert [(error["code"], error["status"]) for error in told] == [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (409, "ABORTED"),
        (418, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (499, "CANCELLED"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (502, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        (529, "INTERNAL"),
    ]
    assert all(error["message"] for error in told)


def test_a_number_to_wait_stands_in_the_header_and_in_the_details() -> None:
    headers, body = GEMINI.error(StatusReply(status=429, retry_after="38.5"), number=1)
    error = json.loads(body)["error"]
    assert headers == {"content-type": "application/json; charset=UTF-8", "retry-after": "38.5"}
    assert error["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38.5s"}]
    assert error["message"].endswith("\nPlease retry in 38.5s.")


@pytest.mark.parametrize(
    "reply",
    [
        StatusReply(status=429),
        StatusReply(status=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
        StatusReply(status=429, retry_after="inf"),
        StatusReply(status=503, retry_after="3"),
    ],
)
def test_other_waits_are_no_details(reply: StatusReply) -> None:
    assert "details" not in body_of(reply)


def test_an_error_is_a_status_a_reason_or_a_message() -> None:
    replies = [
        StatusReply(status=400, type="FAILED_PRECONDITION"),
        StatusReply(status=400, code="API_KEY_INVALID"),
        StatusReply(status=400, error="the tank is empty"),
    ]
    told = [body_of(reply) for reply in replies]
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    assert [(error["status"], error["message"], error.get("details")) for error in told] == [
        ("FAILED_PRECONDITION", "User location is not supported for the API use.", None),
        ("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [info]),
        ("INVALID_ARGUMENT", "the tank is empty", None),
    ]


def test_the_script_has_the_last_word_on_headers_and_body() -> None:
    reply = StatusReply(status=502, headers={"Content-Type": "text/html"}, body="<h1>Bad Gateway</h1>")
    assert GEMINI.error(reply, number=1) == ({"content-type": "text/html"}, b"<h1>Bad Gateway</h1>")


def test_no_header_names_the_request() -> None:
    assert [GEMINI.headers(1), list(GEMINI.headers(1))] == [GEMINI.headers(2), ["vary", "server-timing"]]


@pytest.mark.parametrize(("status", "kind"), [(429, errors.ClientError), (503, errors.ServerError)])
def test_the_sdk_tells_code_status_message_and_details(status: int, kind: type[errors.APIError]) -> None:
    reply, sdk = StatusReply(status=status, error="busy", retry_after="3"), GeminiSdk()
    sdk.script(reply, reply)
    for ask in (sdk.client.models.generate_content, sdk.client.models.generate_content_stream):
        with pytest.raises(kind) as raised:
            list(ask(model=MODEL, contents="hello"))
        assert raised.value.details == json.loads(GEMINI.error(reply, number=1)[1])
        assert (raised.value.code, raised.value.status) == (status, body_of(reply)["status"])

from __future__ import annotations

import json
from collections.abc import Mapping

import openai
import pytest

from simkit.contracts import HttpRequest, Refusal
from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.model.timeline import StatusReply
from tests.dialects.sdk import Sdk


def error_of(reply: StatusReply) -> Mapping[str, object]:
    error: Mapping[str, object] = json.loads(OPENAI_CHAT.error(reply, number=1)[1])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


# The SDK makes text of a code that is a number.
STATUSES = {
    400: ("BadRequestError", "invalid_request_error", None),
    401: ("AuthenticationError", "invalid_request_error", "invalid_api_key"),
    403: ("PermissionDeniedError", "request_forbidden", "unsupported_country_region_territory"),
    404: ("NotFoundError", "invalid_request_error", "model_not_found"),
    408: ("APIStatusError", "server_error", None),
    409: ("ConflictError", "invalid_request_error", None),
    413: ("APIStatusError", "invalid_request_error", None),
    422: ("UnprocessableEntityError", "invalid_request_error", None),
    429: ("RateLimitError", "tokens", "rate_limit_exceeded"),
    500: ("InternalServerError", "server_error", None),
    502: ("InternalServerError", "cf_bad_gateway", "502"),
    503: ("InternalServerError", "cf_service_unavailable", "503"),
    504: ("InternalServerError", "cf_gateway_timeout", "504"),
}


@pytest.mark.parametrize("status", STATUSES)
def test_the_sdk_raises_its_error_for_each_status(sdk: Sdk, status: int) -> None:
    headers, body = OPENAI_CHAT.error(StatusReply(status=status), number=1)
    with pytest.raises(openai.APIStatusError) as raised:
        sdk.refused(status, headers, body)
    error = raised.value
    assert (type(error).__name__, error.type, error.code) == STATUSES[status]


def test_a_status_without_a_row_gets_the_row_of_its_class() -> None:
    assert [error_of(StatusReply(status=s))["type"] for s in (418, 529)] == [
        "invalid_request_error",
        "server_error",
    ]


def test_a_script_names_the_code_or_writes_the_message() -> None:
    quota = error_of(StatusReply(status=429, code="insufficient_quota"))
    other = error_of(StatusReply(status=400, code="my_code"))
    sentence = error_of(StatusReply(status=500, error="It broke."))
    assert [(e["type"], e["code"]) for e in (quota, other, sentence)] == [
        ("insufficient_quota", "insufficient_quota"),
        ("invalid_request_error", "my_code"),
        ("server_error", None),
    ]
    assert sentence["message"] == "It broke."


def test_headers_of_the_script_win_and_its_body_replaces_ours() -> None:
    reply = StatusReply(
        status=503, retry_after="7", headers={"Content-Type": "text/html", "X-Edge": "a"}, body="<h1>no</h1>"
    )
    assert OPENAI_CHAT.error(reply, number=1) == (
        {"content-type": "text/html", "retry-after": "7", "x-edge": "a"},
        b"<h1>no</h1>",
    )


def test_a_rate_limit_and_a_quota_are_told_apart_by_type_and_code() -> None:
    errors = [
        error_of(StatusReply(status=429, type=word)) for word in (None, "tokens", "requests", "insufficient_quota")
    ]
    assert [(e["type"], e["code"]) for e in errors] == [
        ("tokens", "rate_limit_exceeded"),
        ("tokens", "rate_limit_exceeded"),
        ("requests", "rate_limit_exceeded"),
        ("insufficient_quota", "insufficient_quota"),
    ]


def test_the_wait_in_the_text_is_the_wait_in_the_header() -> None:
    waits = [None, "7", "0.5", "Fri, 31 Jul 2026 12:00:00 GMT", "soon"]
    texts = [str(error_of(StatusReply(status=429, retry_after=wait))["message"]) for wait in waits]
    assert [text.partition("try again in ")[2].partition(". ")[0] for text in texts] == [
        "20s",
        "7s",
        "0.5s",
        "20s",
        "20s",
    ]


@pytest.mark.parametrize("wait", ["7", "0.2", "-1", "inf", "soon", "Fri, 31 Jul 2026 12:00:00 GMT"])
def test_the_header_to_wait_is_the_text_of_the_scenario(wait: str) -> None:
    headers, _ = OPENAI_CHAT.error(
        StatusReply(status=429, retry_after=wait, headers={"Retry-After-Ms": "500"}), number=1
    )
    assert (headers["retry-after"], headers["retry-after-ms"]) == (wait, "500")


EDGE = {520: "Web server is returning an unknown error", 522: "Connection timed out", 524: "A timeout occurred"}


@pytest.mark.parametrize("status", EDGE)
def test_the_edge_sends_a_page_with_the_name_of_its_fault(sdk: Sdk, status: int) -> None:
    headers, body = OPENAI_CHAT.error(StatusReply(status=status), number=1)
    with pytest.raises(openai.InternalServerError) as raised:
        sdk.refused(status, headers, body)
    assert headers == {"content-type": "text/html; charset=UTF-8"}
    assert f"<title>api.openai.com | {status}: {EDGE[status]}</title>" in str(raised.value.body)


def test_every_status_from_520_to_529_has_a_body_and_the_sdk_raises(sdk: Sdk) -> None:
    kinds = []
    for status in range(520, 530):
        headers, body = OPENAI_CHAT.error(StatusReply(status=status), number=1)
        with pytest.raises(openai.InternalServerError):
            sdk.refused(status, headers, body)
        kinds.append(headers["content-type"])
    assert kinds == ["text/html; charset=UTF-8"] * 8 + ["application/json"] * 2


def test_an_error_that_the_script_words_itself_is_json_at_every_status() -> None:
    headers, body = OPENAI_CHAT.error(StatusReply(status=524, error="Took too long."), number=1)
    assert (headers["content-type"], json.loads(body)["error"]["message"]) == ("application/json", "Took too long.")


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ((), True),
        ((("authorization", ""),), True),
        ((("authorization", "Bearer"),), True),
        ((("authorization", "Bearer "),), True),
        ((("authorization", "Bearer anything"),), False),
        ((("authorization", "bearer anything"),), False),
        ((("authorization", "Basic OmtleQ=="),), False),
        ((("api-key", "anything"),), False),
    ],
)
def test_a_request_without_any_key_gets_the_real_401(headers: tuple[tuple[str, str], ...], refused: bool) -> None:
    read = OPENAI_CHAT.read(HttpRequest("POST", "/v1/chat/completions", headers, b"{"))
    assert isinstance(read, Refusal)
    error = json.loads(read.body)["error"]
    # Without a key nobody looks at the body; with one, this body is what is wrong.
    assert (read.status, str(error["message"])[:33]) == (
        (401, "You didn't provide an API key. Yo") if refused else (400, "We could not parse the JSON body ")
    )
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, None)

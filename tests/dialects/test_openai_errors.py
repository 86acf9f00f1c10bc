from __future__ import annotations

import json
from collections.abc import Mapping

import openai
import pytest

from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.model.timeline import StatusReply
from tests.dialects.sdk import Sdk


def error_of(reply: StatusReply) -> Mapping[str, object]:
    error: Mapping[str, object] = json.loads(OPENAI_CHAT.error(reply)[1])["error"]
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
    headers, body = OPENAI_CHAT.error(StatusReply(status=status))
    with pytest.raises(openai.APIStatusError) as raised:
        sdk.refused(status, headers, body)
    error = raised.value
    assert (type(error).__name__, error.type, error.code) == STATUSES[status]


def test_a_status_without_a_row_gets_the_row_of_its_class() -> None:
    assert [error_of(StatusReply(status=s))["type"] for s in (418, 529)] == [
        "invalid_request_error",
        "server_error",
    ]


def test_one_word_is_a_code_and_a_sentence_is_the_message() -> None:
    quota = error_of(StatusReply(status=429, error="insufficient_quota"))
    other = error_of(StatusReply(status=400, error="my_code"))
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
    assert OPENAI_CHAT.error(reply) == (
        {"content-type": "text/html", "retry-after": "7", "x-edge": "a"},
        b"<h1>no</h1>",
    )

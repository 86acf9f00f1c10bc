from __future__ import annotations

import json
from collections.abc import Mapping

import anthropic
import pytest
from anthropic.types.shared import ErrorResponse

from simkit.dialects.anthropic_messages import ANTHROPIC
from simkit.model.timeline import StatusReply
from tests.dialects.anthropic_sdk import Sdk


@pytest.fixture(scope="module")
def sdk() -> Sdk:
    return Sdk()


# status -> the class that the SDK raises, and the type in the body
RAISED: Mapping[int, tuple[type[anthropic.APIStatusError], str]] = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    402: (anthropic.PaymentRequiredError, "billing_error"),
    403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"),
    408: (anthropic.RequestTimeoutError, "invalid_request_error"),
    409: (anthropic.ConflictError, "conflict_error"),
    413: (anthropic.ContentTooLargeError, "request_too_large"),
    418: (anthropic.APIStatusError, "invalid_request_error"),
    422: (anthropic.UnprocessableEntityError, "invalid_request_error"),
    429: (anthropic.RateLimitError, "rate_limit_error"),
    500: (anthropic.InternalServerError, "api_error"),
    502: (anthropic.InternalServerError, "api_error"),
    503: (anthropic.ServiceUnavailableError, "api_error"),
    504: (anthropic.GatewayTimeoutError, "timeout_error"),
    529: (anthropic.OverloadedError, "overloaded_error"),
}
# The types that the SDK has a class for; the others it takes as they are.
TYPED = {"conflict_error", "request_too_large"}


def raised(sdk: Sdk, reply: StatusReply) -> anthropic.APIStatusError:
    headers, body = ANTHROPIC.error(reply, number=7)
    with pytest.raises(anthropic.APIStatusError) as error:
        sdk.refused(reply.status, {**ANTHROPIC.headers(7), **headers}, body)
    return error.value


@pytest.mark.parametrize("status", RAISED)
def test_every_status_reaches_the_client_as_its_error(sdk: Sdk, status: int) -> None:
    error = raised(sdk, StatusReply(status=status))
    assert (type(error), error.type, error.status_code, error.request_id) == (*RAISED[status], status, "req_sim_000007")
    assert isinstance(error.body, dict)
    if error.type not in TYPED:
        assert ErrorResponse.model_validate(error.body).model_extra == {}


def test_an_error_is_a_message_a_type_or_a_code(sdk: Sdk) -> None:
    replies = [
        StatusReply(status=429, error="Number of tokens has been exceeded."),
        StatusReply(status=429, error="Overloaded"),
        StatusReply(status=429, type="overloaded_error"),
        StatusReply(status=429, code="ramp_limit_exceeded"),
    ]
    errors = [raised(sdk, reply) for reply in replies]
    usual = "This request would exceed your account's rate limit. Please try again later."
    assert [(e.type, e.error_code, e.api_message) for e in errors] == [
        ("rate_limit_error", None, "Number of tokens has been exceeded."),
        ("rate_limit_error", None, "Overloaded"),
        ("overloaded_error", None, "Overloaded"),
        ("rate_limit_error", "ramp_limit_exceeded", usual),
    ]
    assert type(errors[-1]).__name__ == "RampLimitExceededError"


def test_the_script_has_the_last_word_on_headers_and_body() -> None:
    reply = StatusReply(status=503, retry_after="7", headers={"X-Should-Retry": "false"}, body="<html>")
    assert ANTHROPIC.error(reply, number=1) == (
        {"content-type": "application/json", "x-should-retry": "false", "retry-after": "7"},
        b"<html>",
    )


def test_the_body_has_the_fields_of_the_api_in_its_order() -> None:
    assert ANTHROPIC.error(StatusReply(status=529), number=1)[1] == (
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_sim_000001"}'
    )


def test_errors_say_whether_another_attempt_is_worth_it() -> None:
    told = {s: ANTHROPIC.error(StatusReply(status=s), number=1)[0]["x-should-retry"] for s in RAISED}
    assert [s for s, retried in told.items() if retried == "true"] == [408, 409, 429, 500, 502, 503, 504, 529]


def test_every_response_has_an_id_and_what_is_left_of_the_limits() -> None:
    first, third, late = (ANTHROPIC.headers(number) for number in (1, 3, 10_000))
    assert [h["request-id"] for h in (first, third)] == ["req_sim_000001", "req_sim_000003"]
    left = {k.removeprefix("anthropic-ratelimit-"): v for k, v in third.items() if k.startswith("anthropic-ratelimit-")}
    assert left == {
        "requests-limit": "50",
        "requests-remaining": "47",
        "input-tokens-limit": "30000",
        "input-tokens-remaining": "29952",
        "output-tokens-limit": "8000",
        "output-tokens-remaining": "7952",
        "tokens-limit": "38000",
        "tokens-remaining": "37904",
    }
    assert {v for k, v in late.items() if k.endswith("-remaining")} == {"0"}


def test_an_error_body_is_json_whatever_its_message() -> None:
    body = ANTHROPIC.error(StatusReply(status=400, error='a "quoted" ü'), number=1)[1]
    assert json.loads(body)["error"]["message"] == 'a "quoted" ü'

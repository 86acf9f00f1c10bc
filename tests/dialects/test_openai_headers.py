from __future__ import annotations

import re

import openai
import pytest

from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.dialects.openai_headers import request_id, response_headers
from simkit.model.timeline import Finish, Say, StatusReply
from tests.dialects.sdk import Sdk, whole_body


def test_every_response_says_its_id_version_time_and_limits() -> None:
    headers = response_headers(1)
    assert list(headers) == [
        "x-request-id",
        "openai-processing-ms",
        "openai-version",
        "x-ratelimit-limit-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
    ]
    assert OPENAI_CHAT.headers(1) == headers


def test_a_reset_is_a_duration_of_minutes_and_seconds() -> None:
    resets = [response_headers(n)[f"x-ratelimit-reset-{what}"] for n in (1, 90) for what in ("requests", "tokens")]
    assert [bool(re.fullmatch(r"(\d+m)?\d+s", reset)) for reset in resets] == [True] * 4


def test_what_remains_goes_down_and_never_below_zero() -> None:
    left = [response_headers(n)["x-ratelimit-remaining-requests"] for n in (1, 2, 60, 61, 1000)]
    assert left == ["59", "58", "0", "0", "0"]


def test_the_sdk_tells_the_request_id_of_an_answer_and_of_an_error(sdk: Sdk) -> None:
    good = sdk.whole(whole_body(Say(text="hi"), Finish(reason="stop")), headers=response_headers(7))
    headers, body = OPENAI_CHAT.error(StatusReply(status=500), number=8)
    with pytest.raises(openai.InternalServerError) as raised:
        sdk.refused(500, {**response_headers(8), **headers}, body)
    assert [good._request_id, raised.value.request_id] == [request_id(7), request_id(8)]


def test_the_sdk_tells_the_limits_through_its_raw_response(sdk: Sdk) -> None:
    raw = sdk.raw_response(whole_body(Finish(reason="stop")), response_headers(1))
    assert {name: raw[name] for name in response_headers(1)} == response_headers(1)

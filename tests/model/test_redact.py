from __future__ import annotations

import pytest

from simkit.model.redact import MASK, is_secret, redact, redact_source

# Put together here, so that no text in this repo looks like somebody's key.
KEY = "sk-" + "abcdef123456"


@pytest.mark.parametrize(
    "key",
    ["api_key", "apiKey", "X-Api-Key", "Authorization", "token", "access_token", "password", "client_secret", "Cookie"],
)
def test_what_stands_under_a_telling_key_is_masked(key: str) -> None:
    assert redact({key: "whatever"}) == {key: MASK}


@pytest.mark.parametrize("key", ["max_tokens", "tokens", "token_count", "continuation_token", "author", "keys", "path"])
def test_a_key_that_only_resembles_a_secret_stays(key: str) -> None:
    value = {key: "whatever"}

    assert redact(value) is value


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (f"my key is {KEY}, yes", "my key is ***, yes"),
        (f"Authorization: Bearer {KEY[3:]}", "Authorization: Bearer ***"),
        ('{"path": "a", "api_key": "x\\"y"}', '{"path": "a", "api_key": "***"}'),
        ('{"password": "hun', '{"password": "***'),
        ("/v1/models?key=abc&page=2", "/v1/models?key=***&page=2"),
        ("gh" + "p_" + "a1" * 12, MASK),
        ("refused password='hunter2', sorry", "refused password='***', sorry"),
        ("--set token=abc --set flaw=x", "--set token=*** --set flaw=x"),
    ],
)
def test_secrets_inside_text_are_masked(text: str, safe: str) -> None:
    assert redact(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        *("a task-management-system", "Bearer authentication", "it is a risk-free thing", '{"max_tokens": "9"}'),
        *("continuation_token=abc", "max_tokens=9", "key=value"),
    ],
)
def test_ordinary_text_comes_back_as_the_same_object(text: str) -> None:
    assert redact(text) is text


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        ("  api_key: abc  # mine", "  api_key: ***"),
        ("settings: {password: 'a b', model: m}", "settings: {password: ***, model: m}"),
        ('    headers = {"X-Api-Key": "abc"}', '    headers = {"X-Api-Key": ***}'),
        ("  max_tokens: 9", "  max_tokens: 9"),
    ],
)
def test_in_a_line_of_source_a_telling_key_needs_no_quotes(line: str, safe: str) -> None:
    assert redact_source(line) == safe


def test_secrets_are_found_at_any_depth() -> None:
    value = {"body": [{"headers": ({"Cookie": {"id": "1"}}, KEY)}, 5]}

    assert redact(value) == {"body": [{"headers": ({"Cookie": MASK}, MASK)}, 5]}


def test_a_schema_that_names_a_secret_parameter_is_no_secret() -> None:
    value = {"properties": {"password": {"type": "string", "description": "the password"}}}

    assert redact(value) is value


@pytest.mark.parametrize("value", [None, "", True])
def test_that_a_secret_was_given_at_all_is_no_secret(value: object) -> None:
    assert redact({"api_key": value}) == {"api_key": value}


def test_nesting_without_end_is_cut_and_does_not_crash() -> None:
    value: list[object] = []
    for _ in range(5000):
        value = [value]

    assert str(redact(value)).count(MASK) == 1


def test_keys_are_compared_without_case_and_punctuation() -> None:
    assert [is_secret(key) for key in ("API-KEY", "api.key", "Set-Cookie", "cookies_eaten")] == [
        True,
        True,
        True,
        False,
    ]

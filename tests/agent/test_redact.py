from __future__ import annotations

import pytest

from simkit.agent.redact import is_sensitive, redact


@pytest.mark.parametrize(
    "key",
    [
        *["api_key", "apiKey", "X-Api-Key", "APIKEY", "token", "access_token", "authToken", "password", "db.password"],
        *["secret", "client_secrets", "credentials", "credential", "Authorization", "auth", "basic auth"],
    ],
)
def test_a_telling_key_is_sensitive_in_any_spelling(key: str) -> None:
    assert is_sensitive(key)


@pytest.mark.parametrize("key", ["max_tokens", "author", "authority", "secretary", "keys", "monkey", "path", ""])
def test_a_key_that_only_looks_alike_is_not_sensitive(key: str) -> None:
    assert not is_sensitive(key)


def test_secrets_are_masked_at_any_depth_and_the_rest_stays() -> None:
    value = {"url": "a", "auth": {"user": "b"}, "tries": [{"token": "c", "n": 1}], "password": ["d"], "secret": None}
    assert redact(value) == {"url": "a", "auth": "***", "tries": [{"token": "***", "n": 1}], "password": "***"} | {
        "secret": None
    }


def test_long_texts_are_cut_and_others_are_not() -> None:
    assert [redact("x" * n) for n in (200, 201)] == ["x" * 200, "x" * 200 + "..."]


def test_what_lies_too_deep_to_be_looked_at_is_not_shown() -> None:
    value: object = {"password": "a"}
    for _ in range(2_000):
        value = [value]
    assert str(redact(value)).strip("[]") == "'***'"

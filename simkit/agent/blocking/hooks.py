"""The hooks of a blocking HTTP client, by which every attempt of an SDK is heard of; what they do is in ``attempts``.

The idea: the twin of the two asynchronous hooks, which differ in how a body is read. The constraint it protects: an SDK
stops trying for the same reasons in both twins. One hook for both was refused: HTTP libraries await theirs or do not.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Protocol

from simkit.agent.attempts import attempt_goes_out, body_matters, headers_came, stop_the_futile


class _Answered(Protocol):
    """An HTTP response of whichever library the SDK uses."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> MutableMapping[str, str]: ...

    def read(self) -> bytes: ...


def tell_sent(_request: object) -> None:
    """Tell that an attempt goes out: a hook for requests."""
    attempt_goes_out()


def tell_answered(response: _Answered) -> None:
    """Tell that headers came, and stop the SDK where it had better not try again: a hook for responses."""
    if headers_came(response.status_code):
        body = response.read() if body_matters(response.status_code) else b""
        stop_the_futile(response.status_code, response.headers, body)

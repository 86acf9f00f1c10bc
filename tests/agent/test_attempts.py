from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from simkit.agent.attempts import drain, is_futile, short, status_error, stream_error, tell_answered, wait_of, watched
from simkit.agent.clients import BrokenStreamError, RefusedError, UnavailableError
from tests.agent.jump import now, run

NOON = "Thu, 01 Jan 2026 12:00:00 GMT"
LATER = "Thu, 01 Jan 2026 12:02:05 GMT"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "7", "retry-after-ms": "500"}, 0.5),
        ({"retry-after": LATER, "date": NOON}, 125.0),
        ({"retry-after": NOON, "date": LATER}, 0.0),
        ({"retry-after": LATER}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, float("inf")),
    ],
)
def test_the_wait_is_read_in_every_form_that_providers_use(headers: Mapping[str, str], wait_s: float | None) -> None:
    assert wait_of(headers) == wait_s


@pytest.mark.parametrize(
    ("headers", "body", "futile"),
    [
        ({}, b"", False),
        ({"retry-after": "120"}, b"", False),
        ({"retry-after": "121"}, b"", True),
        ({"retry-after": "inf"}, b"", True),
        ({}, b'{"error": {"code": "insufficient_quota"}}', True),
    ],
)
def test_a_further_attempt_is_of_no_use_behind_a_long_wait_or_a_used_up_quota(
    headers: Mapping[str, str], body: bytes, futile: bool
) -> None:
    assert is_futile(headers, body) == futile


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, None, RefusedError),
        (404, None, RefusedError),
        (408, None, UnavailableError),
        (409, None, UnavailableError),
        (429, None, UnavailableError),
        (429, "insufficient_quota", RefusedError),
        (500, None, UnavailableError),
        (529, None, UnavailableError),
    ],
)
def test_a_status_says_whether_the_same_request_may_succeed_later(
    status: int, code: str | None, error: type[Exception]
) -> None:
    assert type(status_error("no", status, {}, code)) is error


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (("server_error",), BrokenStreamError),
        (("overloaded_error", None), BrokenStreamError),
        ((None, None), BrokenStreamError),
        (("never_heard_of",), BrokenStreamError),
        ((None, "invalid_request_error"), RefusedError),
        (("context_length_exceeded",), RefusedError),
        (("not_found_error",), RefusedError),
    ],
)
def test_an_error_in_mid_answer_says_whether_it_will_come_again(
    codes: tuple[str | None, ...], error: type[Exception]
) -> None:
    assert type(stream_error("no", *codes)) is error


def test_a_page_is_told_by_its_title_and_nothing_at_length() -> None:
    page = "<html><head><title>521: Web server\n is down</title></head><body>long</body></html>"
    assert (short(page), len(short("x" * 1000)), short(" a\n b ")) == ("521: Web server is down", 300, "a b")


class Response:
    """An answer of the HTTP library."""

    def __init__(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.status_code = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._body = body

    async def aread(self) -> bytes:
        return self._body


class Heard:
    """A watch that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def sent(self, *, whole: bool = False) -> None:
        self.told.append(whole)

    def answered(self, status: int) -> None:
        self.told.append(status)


def test_the_watch_hears_of_every_answer_and_the_sdk_is_stopped_where_it_should_be() -> None:
    answers = [Response(200), Response(503), Response(429, retry_after="3600"), Response(429, b"insufficient_quota")]

    async def main() -> list[object]:
        watch = Heard()
        with watched(watch):
            for answer in answers:
                await tell_answered(answer)
        await tell_answered(Response(500))
        return watch.told

    assert run(main()) == [200, 503, 429, 429]
    assert [a.headers.get("x-should-retry") for a in answers] == [None, None, "false", "false"]


@pytest.mark.parametrize(("lasts_s", "took_s"), [(0.0, 0.0), (0.05, 0.05), (60.0, 0.1)])
def test_a_stream_that_is_over_is_read_to_its_end_but_not_for_long(lasts_s: float, took_s: float) -> None:
    async def rest() -> AsyncIterator[object]:
        await asyncio.sleep(lasts_s)
        yield 1

    async def main() -> float:
        await drain(rest())
        return now()

    assert run(main()) == took_s


def test_what_breaks_behind_the_end_of_a_stream_is_nobodys_business() -> None:
    async def rest() -> AsyncIterator[object]:
        yield 1
        raise ConnectionResetError

    run(drain(rest()))

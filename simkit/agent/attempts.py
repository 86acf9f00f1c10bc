"""What adapters share about a request on its way: who watches it, when an SDK should stop trying, what went wrong.

The idea: the SDKs retry by themselves, and an HTTP hook sees every attempt of theirs: it tells the watch, and where a
further attempt would be of no use it says so in the answer (``x-should-retry``, which both SDKs obey). The constraint
it protects: nobody sleeps for an hour because a header says so - the anthropic SDK would - and nobody retries a used-up
quota. Setting the SDKs' retries to none and doing it all here was refused: users rely on what their SDK does.

==============================  =============================  =================================================
status                          the SDK                        here
==============================  =============================  =================================================
408, 409, 429, 500 and above    tries again                    ``UnavailableError`` when its retries are used up
the same, to wait more than     openai gives up,               no further attempt, ``UnavailableError`` with the
``WAIT_S_MAX``                  anthropic sleeps               wait
429 ``insufficient_quota``      tries again                    no further attempt, ``RefusedError``
every other                     gives up                       ``RefusedError``
==============================  =============================  =================================================
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from simkit.agent.clients import BrokenStreamError, ProviderError, RefusedError, UnavailableError, Watch
from simkit.agent.decisions import WAIT_S_MAX

# Statuses that the SDKs retry by themselves; each other one below 500 is a refusal.
_RETRIED: Final = frozenset({408, 409, 429})

# Sent with a 429, and no matter of patience.
_QUOTA: Final = "insufficient_quota"

# Errors in the middle of a stream that the same request would meet again; what is not known here may pass.
_LASTING: Final = re.compile(
    r"invalid_.*|image_.*|.*_image.*|.*not_found.*|authentication_error|permission_error|billing_error|"
    r"request_too_large|context_length_exceeded|bio_policy|content_policy.*|unsupported_.*|" + _QUOTA
)

# What people still read of an error, and the name of an error page.
_TEXT_MAX: Final = 300
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)

# How long a stream that is over may take to end before its connection is given up. As the openai SDK does it.
_DRAIN_S: Final = 0.1

# Generators that an SDK reads half and drops, one inside the other, each of which takes two turns of the loop to close.
_DROPPED_TURNS: Final = 12

# Who watches the request that this task has under way: HTTP hooks belong to the client, which many may share.
_WATCH: Final[ContextVar[tuple[Watch, bool] | None]] = ContextVar("watch", default=None)


class _Answered(Protocol):
    """An HTTP response of whichever library the SDK uses."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> MutableMapping[str, str]: ...

    async def aread(self) -> bytes: ...


@contextmanager
def watched(watch: Watch, *, whole: bool = False) -> Iterator[None]:
    """Have every attempt that is made inside told to the watch."""
    token = _WATCH.set((watch, whole))
    try:
        yield
    finally:
        _WATCH.reset(token)


async def tell_sent(_request: object) -> None:
    """Tell that an attempt goes out: a hook for requests."""
    attempt_goes_out()


async def tell_answered(response: _Answered) -> None:
    """Tell that headers came, and stop the SDK where it had better not try again: a hook for responses."""
    if headers_came(response.status_code):
        body = await response.aread() if body_matters(response.status_code) else b""
        stop_the_futile(response.status_code, response.headers, body)


def attempt_goes_out() -> None:
    """Tell whoever watches that an attempt goes out."""
    told = _WATCH.get()
    if told is not None:
        told[0].sent(whole=told[1])


def headers_came(status: int) -> bool:
    """Tell whoever watches that headers came, and say whether anybody does."""
    told = _WATCH.get()
    if told is not None:
        told[0].answered(status)
    return told is not None


def body_matters(status: int) -> bool:
    """Say whether the body tells if a further attempt is of use: reading it is no loss, the SDK would read it next."""
    return status == 429


def stop_the_futile(status: int, headers: MutableMapping[str, str], body: bytes) -> None:
    """Tell the SDK by the headers of an answer when it had better not try again."""
    if status >= 400 and is_futile(headers, body):
        headers["x-should-retry"] = "false"


def is_futile(headers: Mapping[str, str], body: bytes) -> bool:
    """Say whether a further attempt after such an answer is of no use, or not worth the wait."""
    return (wait_of(headers) or 0.0) > WAIT_S_MAX or _QUOTA.encode() in body


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds the provider asks to be left alone; None when it does not say.

    A date is held against the answer's own, for the clocks of both ends may differ.
    """
    number = _number(headers.get("retry-after-ms"))
    if number is not None:
        return number / 1_000
    text = headers.get("retry-after", "")
    number = _number(text)
    return _until(text, headers.get("date", "")) if number is None else number


def _number(text: str | None) -> float | None:
    try:
        return max(float(text or ""), 0.0)
    except ValueError:
        return None


def _until(at: str, now: str) -> float | None:
    try:
        return max((parsedate_to_datetime(at) - parsedate_to_datetime(now)).total_seconds(), 0.0)
    except (ValueError, TypeError):  # no date, or only one of the two has a time zone
        return None


# -- errors ----------------------------------------------------------------------------------------
def status_error(text: str, status: int, headers: Mapping[str, str], code: object = None) -> ProviderError:
    """Return what a request that was answered with an error status has come to."""
    if code == _QUOTA or not (status in _RETRIED or status >= 500):
        return RefusedError(text)
    return UnavailableError(text, wait_of(headers))


def stream_error(text: str, *codes: object) -> ProviderError:
    """Return what an error is that the provider tells in the middle of an answer, by its type and code."""
    if any(_LASTING.fullmatch(code) for code in codes if isinstance(code, str)):
        return RefusedError(text)
    return BrokenStreamError(text, over=True)


def text_of(error: BaseException) -> str:
    """Return an error in words: its class, its text, and its cause; of a page only the title, and nothing at length."""
    cause = f" ({type(error.__cause__).__name__}: {short(str(error.__cause__))})" if error.__cause__ else ""
    return f"{type(error).__name__}: {short(str(error))}{cause}"


def short(text: str) -> str:
    """Return a text as it can stand in a sentence."""
    title = _TITLE.search(text)
    words = " ".join((title[1] if title else text).split())
    return words if len(words) <= _TEXT_MAX else f"{words[: _TEXT_MAX - 3]}..."


# -- ends ------------------------------------------------------------------------------------------
async def drain(events: AsyncIterator[object]) -> None:
    """Read a stream that has said its last word to its end, so that its connection can be used again."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in events:
                pass
    except Exception:  # noqa: BLE001  # the answer is whole: whatever becomes of the connection changes nothing
        pass


async def settle() -> None:
    """Let asyncio close what an SDK has dropped: it takes a task for each, and the program may end now."""
    for _ in range(_DROPPED_TURNS):
        await asyncio.sleep(0)

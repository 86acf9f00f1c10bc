"""The clients of the twin: each library asked in its own words, and what it says told in one form.

The idea: a caller is a context manager that gives a function from a request to its answer in pieces, first the
status, then bytes, so that all of them, blocking or not, are driven by the same few lines. The constraint: the
clients are as their users make them; only the timeout is short. One adapter for all of them was refused: what
differs between them is what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import time
import traceback
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anthropic
import httpx
import httpx2
import openai
import requests

from tests.clients.behaviour import Ask, Case, checksum

# A slow reader pauses after each of its first pieces.
_SLOW_PIECES = 10
_SLOW_S = 0.01
_PIECE = 64 * 1024

Pieces = Iterator[int | bytes]
AsyncPieces = AsyncIterator[int | bytes]
Caller = Callable[[str, float], AbstractContextManager[Callable[[Ask], Pieces]]]
AsyncCaller = Callable[[str, float], AbstractAsyncContextManager[Callable[[Ask], AsyncPieces]]]
# Status, size and checksum of the bytes, and the errors: the one raised first, then what caused it.
Outcome = tuple[int | None, tuple[int, int], tuple[str, ...]]


def errors(error: BaseException | None) -> tuple[str, ...]:
    """Return an error and what caused it, by their types; let go of what it held."""
    names: list[str] = []
    while error is not None:
        # An error in a cycle with its frames keeps urllib3's pool open until the collector comes, whenever that is.
        traceback.clear_frames(error.__traceback__)
        number = f" {error.errno}" if isinstance(error, OSError) and error.errno else ""
        names.append(f"{type(error).__module__}.{type(error).__qualname__}{number}")
        error = error.__cause__ or error.__context__
    return tuple(names)


class Hearing:
    """Collects the pieces of one answer."""

    def __init__(self, ask: Ask) -> None:
        self._slow_left = _SLOW_PIECES if ask.reads_slowly else 0
        self._status: int | None = None
        self._data = bytearray()

    def hear(self, piece: int | bytes) -> float:
        """Take a piece and return how long the client rests after it."""
        if isinstance(piece, int):
            self._status = piece
            return 0.0
        self._data += piece
        self._slow_left -= 1
        return _SLOW_S if self._slow_left >= 0 else 0.0

    def outcome(self, error: Exception | None) -> Outcome:
        """Say what was heard."""
        return self._status, checksum(bytes(self._data)), errors(error)


def call(caller: Caller, base_url: str, case: Case) -> list[Outcome]:
    """Ask one thing after the other through one blocking client."""
    outcomes = []
    with caller(base_url, case.timeout_s) as fetch:
        for ask in case.asks:
            hearing, raised = Hearing(ask), None
            try:
                for piece in fetch(ask):
                    time.sleep(hearing.hear(piece))
            except Exception as error:  # noqa: BLE001  # what it raises is the very thing that is compared
                raised = error
            outcomes.append(hearing.outcome(raised))
            del raised
            time.sleep(ask.pause)
    return outcomes


async def call_async(caller: AsyncCaller, base_url: str, case: Case) -> list[Outcome]:
    """Ask one thing after the other through one client of asyncio."""
    outcomes = []
    async with caller(base_url, case.timeout_s) as fetch:
        for ask in case.asks:
            hearing, raised = Hearing(ask), None
            try:
                async for piece in fetch(ask):
                    await asyncio.sleep(hearing.hear(piece))
            except Exception as error:  # noqa: BLE001  # as above
                raised = error
            outcomes.append(hearing.outcome(raised))
            del raised
            await asyncio.sleep(ask.pause)
    return outcomes


def _body(ask: Ask) -> bytes:
    return bytes(range(256)) * (ask.body // 256)


# -- plain clients --------------------------------------------------------------------------------------------------
def _httpx_like(library: Any) -> Caller:
    @contextlib.contextmanager
    def caller(base_url: str, timeout_s: float) -> Iterator[Callable[[Ask], Pieces]]:
        with library.Client(base_url=base_url, timeout=timeout_s, follow_redirects=True) as client:

            def fetch(ask: Ask) -> Pieces:
                how: Any = {"content": _body(ask)} if ask.body else {}
                with client.stream("POST" if ask.body else "GET", "/", headers=dict(ask.headers), **how) as response:
                    yield response.status_code
                    yield from response.iter_bytes()

            yield fetch

    return caller


def _httpx_like_async(library: Any) -> AsyncCaller:
    @contextlib.asynccontextmanager
    async def caller(base_url: str, timeout_s: float) -> AsyncIterator[Callable[[Ask], AsyncPieces]]:
        async with library.AsyncClient(base_url=base_url, timeout=timeout_s, follow_redirects=True) as client:

            async def fetch(ask: Ask) -> AsyncPieces:
                how: Any = {"content": _body(ask)} if ask.body else {}
                method = "POST" if ask.body else "GET"
                async with client.stream(method, "/", headers=dict(ask.headers), **how) as response:
                    yield response.status_code
                    async for piece in response.aiter_bytes():
                        yield piece

            yield fetch

    return caller


@contextlib.asynccontextmanager
async def _aiohttp(base_url: str, timeout_s: float) -> AsyncIterator[Callable[[Ask], AsyncPieces]]:
    timeout = aiohttp.ClientTimeout(sock_connect=timeout_s, sock_read=timeout_s)
    async with aiohttp.ClientSession(base_url, timeout=timeout) as session:

        async def fetch(ask: Ask) -> AsyncPieces:
            headers = {name: value for name, value in ask.headers if name != "expect"}
            how: Any = {"data": _body(ask), "expect100": headers != dict(ask.headers)} if ask.body else {}
            async with session.request("POST" if ask.body else "GET", "/", headers=headers, **how) as response:
                yield response.status
                async for piece in response.content.iter_chunked(_PIECE):
                    yield piece

        yield fetch


@contextlib.contextmanager
def _requests(base_url: str, timeout_s: float) -> Iterator[Callable[[Ask], Pieces]]:
    with requests.Session() as session:

        def fetch(ask: Ask) -> Pieces:
            how: Any = {"data": _body(ask)} if ask.body else {}
            method = "POST" if ask.body else "GET"
            with session.request(
                method, base_url, headers=dict(ask.headers), stream=True, timeout=timeout_s, **how
            ) as response:
                yield response.status_code
                yield from response.iter_content(_PIECE)

        yield fetch


@contextlib.contextmanager
def _urllib(base_url: str, timeout_s: float) -> Iterator[Callable[[Ask], Pieces]]:
    def fetch(ask: Ask) -> Pieces:
        request = urllib.request.Request(base_url, _body(ask) or None, dict(ask.headers))
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            yield response.status
            while piece := response.read(_PIECE):
                yield piece

    yield fetch


@contextlib.contextmanager
def _http_client(base_url: str, timeout_s: float) -> Iterator[Callable[[Ask], Pieces]]:
    where = urlsplit(base_url)
    with contextlib.closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout_s)) as client:

        def fetch(ask: Ask) -> Pieces:
            client.request("POST" if ask.body else "GET", "/", _body(ask) or None, dict(ask.headers))
            response = client.getresponse()
            yield response.status
            while piece := response.read(_PIECE):
                yield piece

        yield fetch


# -- SDKs -------------------------------------------------------------------------------------------------------------
def _asking(create: Any, ask: Ask, **more: Any) -> Any:
    """Call an SDK's method with a message of the size that is asked for."""
    said: Any = [{"role": "user", "content": "x" * max(ask.body, 1)}]
    return create(model="a-model", messages=said, extra_headers=dict(ask.headers), **more)


@contextlib.contextmanager
def _openai(base_url: str, timeout_s: float) -> Iterator[Callable[[Ask], Pieces]]:
    with openai.OpenAI(base_url=base_url, api_key="none", timeout=timeout_s) as client:

        def fetch(ask: Ask) -> Pieces:
            with _asking(client.chat.completions.with_streaming_response.create, ask) as response:
                yield response.status_code
                yield from response.iter_bytes()

        yield fetch


@contextlib.asynccontextmanager
async def _openai_async(base_url: str, timeout_s: float) -> AsyncIterator[Callable[[Ask], AsyncPieces]]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", timeout=timeout_s) as client:

        async def fetch(ask: Ask) -> AsyncPieces:
            async with _asking(client.chat.completions.with_streaming_response.create, ask) as response:
                yield response.status_code
                async for piece in response.iter_bytes():
                    yield piece

        yield fetch


@contextlib.contextmanager
def _anthropic(base_url: str, timeout_s: float) -> Iterator[Callable[[Ask], Pieces]]:
    with anthropic.Anthropic(base_url=base_url, api_key="none", timeout=timeout_s) as client:

        def fetch(ask: Ask) -> Pieces:
            with _asking(client.messages.with_streaming_response.create, ask, max_tokens=10) as response:
                yield response.status_code
                yield from response.iter_bytes()

        yield fetch


@contextlib.asynccontextmanager
async def _anthropic_async(base_url: str, timeout_s: float) -> AsyncIterator[Callable[[Ask], AsyncPieces]]:
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key="none", timeout=timeout_s) as client:

        async def fetch(ask: Ask) -> AsyncPieces:
            async with _asking(client.messages.with_streaming_response.create, ask, max_tokens=10) as response:
                yield response.status_code
                async for piece in response.iter_bytes():
                    yield piece

        yield fetch


SYNC: dict[str, Caller] = {
    "httpx": _httpx_like(httpx),
    "httpx2": _httpx_like(httpx2),
    "requests": _requests,
    "urllib": _urllib,
    "http.client": _http_client,
    "openai": _openai,
    "anthropic": _anthropic,
}
ASYNC: dict[str, AsyncCaller] = {
    "httpx async": _httpx_like_async(httpx),
    "httpx2 async": _httpx_like_async(httpx2),
    "aiohttp": _aiohttp,
    "openai async": _openai_async,
    "anthropic async": _anthropic_async,
}

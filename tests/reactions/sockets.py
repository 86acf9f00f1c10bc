"""The real machine: the same cases through the same provider, on loopback sockets and in real time.

The idea: ``serving`` plays a scenario on a port, and the same clients ask there. The constraint: what a client sees of
its provider is real to the last byte. Only what would make a test wait is replaced (see ``hurried``): how the SDKs
sleep between attempts, which is noted and counts as slept, also for the clock by which the same SDK reads a date; and
the trust stores, of which plain HTTP needs none. A shorter back-off was refused: it would not be the SDK's own.

Where a script is about a host that cannot be reached, there is none: a port where nobody listens, a name that nobody
knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import ModuleType, SimpleNamespace
from typing import Any, Final, cast
from unittest.mock import patch
from urllib.parse import urlsplit

import anthropic._base_client
import anyio
import openai._base_client
from google.genai import _api_client

from simkit.contracts import Dialect
from simkit.extensions import find
from simkit.provider.serve import Server, serving
from tests.reactions.cases import Case
from tests.reactions.cells import Reaction
from tests.reactions.faces import Asked, Face, Seen, Way
from tests.reactions.simulated import scenario_of
from tests.reactions.table import Meeting

# The cases that real sockets cannot play, and why.
NOT_ON_SOCKETS: Final[Mapping[str, str]] = {
    "reset while it is made": "an operating system completes a connection before a program can break it",
}
# How many clients ask at the same time: most of the time they are silent.
_AT_A_TIME: Final = 4
_NOWHERE: Final = "nowhere.invalid"
# What each client has slept, as far as it is the SDK's own sleep.
_SLEPT: Final[ContextVar[list[float]]] = ContextVar("slept")


async def all_on_sockets(meetings: Sequence[Meeting]) -> list[Reaction]:
    """Let several clients meet their cases, some at the same time."""
    gate = asyncio.Semaphore(_AT_A_TIME)

    async def meet(meeting: Meeting) -> Reaction:
        async with gate:
            return await on_sockets(*meeting)

    # Each is a task, so that what it slept is its own.
    return await asyncio.gather(*map(meet, meetings))


async def on_sockets(case: Case, face: Face, way: Way) -> Reaction:
    """Play a case to one client on real sockets."""
    seen, slept = Seen(), list[float]()
    _SLEPT.set(slept)
    async with _provider(case, face) as base_url:
        asked = Asked(base_url, case.timeout_s)
        if way == "async":
            await face.ask_async(asked, seen)
        else:
            await asyncio.to_thread(face.ask, asked, seen)
    return Reaction(seen, tuple(slept), face.random_waits)


@contextlib.asynccontextmanager
async def _provider(case: Case, face: Face) -> AsyncIterator[str]:
    """Be the provider of a case, and check that it saw every attempt; yield where it is."""
    places = {"connection: refused": _closed_port(), "connection: unknown_host": _NOWHERE}
    place = places.get(case.answers[face.dialect])
    if place is not None:
        dialect = cast(Dialect, find("dialects", face.dialect))
        yield urlsplit(dialect.base_url)._replace(scheme="http", netloc=place).geturl()
        return
    async with serving(scenario_of(case, face.dialect, time.time())) as server:
        yield server.base_url(face.dialect)
        _check(server, 1 + len(_SLEPT.get()))


def _check(server: Server, attempts: int) -> None:
    assert (server.ended, server.failures) == (None, [])
    assert len(server.events.of("request")) == attempts, [e.kind for e in server.events]


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


# -- what cannot be waited for ----------------------------------------------------------------------------------------
@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """Let the SDKs note their sleeps, load no trust store, and ask no name server for the name that is nowhere."""
    with contextlib.ExitStack() as stack:
        for module in (openai._base_client, anthropic._base_client):
            stack.enter_context(_replaced(module, "time", time, sleep=_sleep, time=_time_of_day))
            stack.enter_context(_replaced(module, "anyio", anyio, sleep=_sleep_async))
        stack.enter_context(_replaced(_api_client, "asyncio", asyncio, sleep=_sleep_async))
        stack.enter_context(patch.object(socket, "getaddrinfo", _getaddrinfo))
        stack.enter_context(patch.object(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None))
        yield


def _replaced(module: ModuleType, name: str, own: ModuleType, **functions: object) -> Any:
    """Let a module see another one with some functions of ours, as long as this is entered."""
    return patch.object(module, name, SimpleNamespace(**{**vars(own), **functions}))


def _sleep(seconds: float) -> None:
    _SLEPT.get().append(seconds)


async def _sleep_async(seconds: float) -> None:
    _SLEPT.get().append(seconds)


def _time_of_day() -> float:
    return time.time() + sum(_SLEPT.get())


_real_getaddrinfo: Final = socket.getaddrinfo


def _getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
    if host in (_NOWHERE, _NOWHERE.encode()):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return _real_getaddrinfo(host, *args, **options)

"""The loopback twin: clients of every library meet one server, once in a world and once on real sockets.

The idea: what a client reports (status, bytes, errors with their causes) and what the server saw of it (connections,
bodies, how each was ended) must be the same on both machines. The constraint: client code and behaviour are the same
objects; only the driver differs. Pauses and timeouts are short, because on one of the machines they are real.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic._base_client
import openai._base_client
import pytest

from simkit.kernel.world import World
from tests.clients.behaviour import Ask, Case, HangUp, Log, serve_on_sockets, serve_scripted
from tests.clients.callers import ASYNC, SYNC, Outcome, call, call_async

Seen = tuple[list[Outcome], list[list[object]]]

# So that on real sockets what was sent before is read before: longer than any scheduling of threads takes.
GAP_S = 0.04
TIMEOUT_S = 0.15
STALL_S = 0.3
# In a world: how long the server gets to see how the client ended its connections. Virtual, so it costs nothing.
LAST_S = 5.0
# As many as do not slow each other down to their timeouts on a small machine.
CLIENTS_AT_ONCE = 6
BIG = 3 * 1024 * 1024


def head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def whole(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> bytes:
    return head(f"content-length: {len(body)}", *headers, status=status) + body


CHUNKED = head("transfer-encoding: chunked")
PROMISED = head("content-length: 100")
OK = (whole(),)

CASES = {
    "answered": Case((OK,)),
    "refused": Case((), refuses=True),
    "silent until the read timeout": Case(((STALL_S,),), timeout_s=TIMEOUT_S),
    "silent in the middle of the head": Case(((head()[:10], STALL_S),), timeout_s=TIMEOUT_S),
    "silent in the middle of the body": Case(((PROMISED + b"some", STALL_S),), timeout_s=TIMEOUT_S),
    "reset before the head": Case(((GAP_S, HangUp.RESET),)),
    "reset in the middle of the head": Case(((head()[:10], GAP_S, HangUp.RESET),)),
    "reset after the head": Case(((PROMISED, GAP_S, HangUp.RESET),)),
    "reset in the middle of the body": Case(((PROMISED + b"some", GAP_S, HangUp.RESET),)),
    "reset in the middle of a chunked body": Case(((CHUNKED + b"4\r\nsome\r\n", GAP_S, HangUp.RESET),)),
    "eof before the head": Case(((GAP_S, HangUp.EOF),)),
    "eof in the middle of the head": Case(((head()[:10], GAP_S, HangUp.EOF),)),
    "eof before the promised length": Case(((PROMISED + b"some", GAP_S, HangUp.EOF),)),
    "eof in the middle of a chunk": Case(((CHUNKED + b"8\r\nsome", GAP_S, HangUp.EOF),)),
    "eof between two chunks": Case(((CHUNKED + b"4\r\nsome\r\n", GAP_S, HangUp.EOF),)),
    "a body that the eof ends": Case(((head() + b"some", GAP_S, b" more", HangUp.EOF),)),
    "no http at all": Case(((b"* OK IMAP4 ready\r\n\r\n", GAP_S, HangUp.EOF),)),
    "eof, then answered": Case(((GAP_S, HangUp.EOF), OK), asks=(Ask(), Ask())),
    "500, then answered": Case(((whole(status="500 Internal Server Error"),), OK), asks=(Ask(), Ask())),
    "kept alive": Case((OK,), asks=(Ask(), Ask(pause=GAP_S), Ask())),
    "closed while idle": Case(((*OK, GAP_S, HangUp.EOF), OK), asks=(Ask(pause=3 * GAP_S), Ask())),
    "reset while idle": Case(((*OK, GAP_S, HangUp.RESET), OK), asks=(Ask(pause=3 * GAP_S), Ask())),
    "connection: close": Case(((whole(b"{}", "connection: close"), HangUp.EOF),), asks=(Ask(), Ask())),
    "204": Case(((head(status="204 No Content"),), OK), asks=(Ask(), Ask())),
    "redirected": Case(((whole(b"", "location: /there", status="307 Temporary Redirect"),), OK)),
    "redirected to another connection": Case(
        ((whole(b"", "location: /there", "connection: close", status="302 Found"), HangUp.EOF), OK)
    ),
    "redirected in a circle": Case(((whole(b"", "location: /", status="307 Temporary Redirect"),),)),
    "leave to send the body": Case((OK,), asks=(Ask(body=BIG, headers=(("expect", "100-continue"),)),)),
    "large bodies both ways": Case(((whole(b"0123456789abcdef" * (BIG // 16)),),), asks=(Ask(body=BIG), Ask(body=BIG))),
    "a client that reads slowly": Case(((whole(b"x" * BIG),),), asks=(Ask(reads_slowly=True),)),
    "a server that reads slowly": Case((OK,), asks=(Ask(body=BIG),), reads_slowly=True),
    "a body in many pieces": Case(((CHUNKED, *(b"1\r\nx\r\n", 0.001) * 20, b"0\r\n\r\n"),)),
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs' own back-off of half a second and more would be waited for in real time."""
    for module in (openai._base_client, anthropic._base_client):
        monkeypatch.setattr(module, "INITIAL_RETRY_DELAY", 0.01)


def ask(client: str, base_url: str, case: Case) -> Any:
    """Return what asks: a coroutine for a client of asyncio, else the outcome."""
    if client in ASYNC:
        return call_async(ASYNC[client], base_url, case)
    return call(SYNC[client], base_url, case)


def in_a_world(client: str, case: Case) -> Seen:
    world, log = World(), Log()
    base_url = serve_scripted(world, case, log)

    async def main() -> list[Outcome]:
        outcomes: list[Outcome] = await ask(client, base_url, case)
        await asyncio.sleep(LAST_S)
        return outcomes

    def function() -> list[Outcome]:
        outcomes: list[Outcome] = ask(client, base_url, case)
        time.sleep(LAST_S)
        return outcomes

    return world.run(main) if client in ASYNC else world.run(function), log.connections


def on_sockets(client: str, case: Case) -> Seen:
    log = Log()
    with serve_on_sockets(case, log) as base_url:
        found = ask(client, base_url, case)
        outcomes = asyncio.run(found) if client in ASYNC else found
    return outcomes, log.connections


CLIENTS = [*SYNC, *ASYNC]


@pytest.mark.parametrize("name", CASES)
def test_a_client_reports_in_a_world_what_it_reports_on_real_sockets(name: str) -> None:
    case = CASES[name]
    with ThreadPoolExecutor(CLIENTS_AT_ONCE) as pool:
        real = dict(zip(CLIENTS, pool.map(lambda client: on_sockets(client, case), CLIENTS), strict=True))
    assert {client: in_a_world(client, case) for client in CLIENTS} == real


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_of_simulated_threads_and_sockets_is_seen_as_one_on_the_network(client: str) -> None:
    def threaded(case: Case) -> Seen:
        seen: Seen = World().run(lambda: on_sockets(client, case))
        return seen

    assert [threaded(case) for case in CASES.values()] == [in_a_world(client, case) for case in CASES.values()]


def test_the_twin_would_show_a_difference() -> None:
    cases = [CASES[name] for name in ("eof before the head", "reset before the head")]
    assert on_sockets("httpx", cases[0]) != in_a_world("httpx", cases[1])

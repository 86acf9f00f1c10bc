from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import openai
import pytest

from simkit.contracts import Sim
from simkit.errors import UsageError
from tests.provider.played import events, last_word, play, read, reader, told

# Two back-offs of the SDK with seed 0: up to a quarter less than 0.5 s and 1 s. A connect timeout takes its 5 s.
FIRST, SECOND = 0.432748001, 1.192097909
ANSWER = "stream: [say: a, finish: stop]"


@pytest.mark.parametrize(
    ("how", "tries", "end"),
    [
        ("refused", [0.0, FIRST, SECOND], (SECOND, "APIConnectionError")),
        ("reset", [0.0, FIRST, SECOND], (SECOND, "APIConnectionError")),
        ("unknown_host", [0.0, FIRST, SECOND], (SECOND, "APIConnectionError")),
        ("timeout", [0.0, 5 + FIRST, 10 + SECOND], (15 + SECOND, "APITimeoutError")),
    ],
)
def test_the_sdk_tries_three_times_to_connect(how: str, tries: list[float], end: tuple[float, str]) -> None:
    result = play(f"provider:\n  - {{connection: {how}, times: 3}}\n", reader())
    assert (events(result, connection_refused="how"), events(result, request=""), told(result)) == (
        [(at, "connection.refused", how) for at in tries],
        [],
        [end],
    )


@pytest.mark.parametrize("how", ["refused", "reset", "unknown_host"])
def test_a_host_that_comes_back_is_reached_by_the_next_try(how: str) -> None:
    result = play(f"provider:\n  - {{connection: {how}}}\n  - {ANSWER}\n", reader())
    assert (events(result, connection_open="connection"), told(result)[-1]) == (
        [(FIRST, "connection.open", 1)],
        (FIRST, "end"),
    )


def test_two_requests_share_one_connection() -> None:
    result = play(f"provider:\n  - {ANSWER}\n  - {ANSWER}\n", reader(2))
    assert events(result, connection_open="connection", request="request connection", connection_close="by how") == [
        (0.0, "connection.open", 1),
        (0.0, "request", 1, 1),
        (0.0, "request", 2, 1),
        (0.0, "connection.close", "client", "eof"),
    ]


def test_a_server_that_is_gone_breaks_the_connection_that_the_client_kept() -> None:
    result = play(f"provider:\n  - {ANSWER}\n  - {{connection: refused}}\n  - {ANSWER}\n", reader(2))
    assert events(result, connection_open="connection", connection_refused="how", request="connection") == [
        (0.0, "connection.open", 1),
        (0.0, "request", 1),
        (0.0, "request", 1),
        (0.0, "connection.refused", "refused"),
        (FIRST, "connection.open", 2),
        (FIRST, "request", 2),
    ]


def test_a_connection_that_broke_in_mid_stream_is_not_used_again() -> None:
    result = play(f"provider:\n  - stream: [say: a, disconnect: cut]\n  - {ANSWER}\n", reader(2))
    assert events(result, request="request connection") == [(0.0, "request", 1, 1), (0.0, "request", 2, 2)]


# -- other hosts --
def getter(*urls: str) -> Callable[[Sim], Awaitable[None]]:
    """An agent that gets these, one after the other, and notes what it saw."""

    async def agent(sim: Sim) -> None:
        async with httpx2.AsyncClient() as http:
            for url in urls:
                try:
                    seen = await http.get(url)
                    sim.note("over", how=(seen.status_code, seen.text, seen.headers.get("retry-after")))
                except Exception as error:  # noqa: BLE001  # as an agent's tool does that must never fail
                    sim.note("over", how=type(error).__name__)

    return agent


HOSTS = """
provider: []
hosts:
  docs.test: {status: 200, body: hello}
  busy.test: {status: 503, error: come back later, retry_after: 3s}
  dead.test: {connection: refused}
  none.test: {connection: unknown_host}
"""


def test_a_declared_host_gives_its_answer_to_every_request_on_every_port() -> None:
    urls = ["http://docs.test/a", "https://docs.test:8443/b", "http://docs.test/c", "https://busy.test/"]
    result = play(HOSTS, getter(*urls))
    assert (told(result), events(result, other_request="host path status")) == (
        [(0.0, (200, "hello", None))] * 3 + [(0.0, (503, "come back later", "3"))],
        [
            (0.0, "other.request", "docs.test", "/a", 200),
            (0.0, "other.request", "docs.test", "/b", 200),
            (0.0, "other.request", "docs.test", "/c", 200),
            (0.0, "other.request", "busy.test", "/", 503),
        ],
    )


def test_a_declared_host_can_be_out_of_reach() -> None:
    result = play(HOSTS, getter("http://dead.test/", "http://none.test/"))
    assert (told(result), events(result, connection_refused="host how")) == (
        [(0.0, "ConnectError"), (0.0, "ConnectError")],
        [(0.0, "connection.refused", "dead.test", "refused"), (0.0, "connection.refused", "none.test", "unknown_host")],
    )


def test_headers_of_a_host_replace_its_own_whatever_their_case() -> None:
    async def agent(sim: Sim) -> None:
        async with httpx2.AsyncClient() as http:
            sim.note("over", how=(await http.get("http://a.test/")).headers.get_list("content-type"))

    text = "provider: []\nhosts:\n  a.test: {status: 200, body: '{}', headers: {Content-Type: application/json}}\n"
    assert told(play(text, agent)) == [(0.0, ["application/json"])]


def _parallel(swallowed: type[BaseException]) -> Callable[[Sim], Awaitable[None]]:
    async def agent(sim: Sim) -> None:
        async with httpx2.AsyncClient() as http:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(http.get("http://evil.test/"))
                    group.create_task(asyncio.sleep(5))
            except swallowed:
                sim.said("all is well")
            await asyncio.sleep(10)

    return agent


@pytest.mark.parametrize(
    "agent", [getter("http://evil.test/"), _parallel(Exception), _parallel(BaseException)], ids=["one", "group", "all"]
)
def test_dialling_an_undeclared_host_ends_the_run_whatever_the_agent_swallows(agent: object) -> None:
    result = play(HOSTS, agent)  # type: ignore[arg-type]  # all take a sim
    reason, text = last_word(result)
    assert (reason, result.verdict.name, result.trace.end_ns, result.trace.of("said")) == (
        "undeclared_host",
        "FAIL",
        0,
        [],
    )
    assert [part in str(text) for part in ("evil.test:80", "docs.test", "`hosts: {evil.test: {status: 200")] == [
        True
    ] * 3


# -- what is no HTTP --
def speaker(*said: bytes) -> Callable[[Sim], Awaitable[None]]:
    """An agent that says these bytes to the provider, 1 s apart, and notes what it hears until the end."""

    async def agent(sim: Sim) -> None:
        reading, writing = await asyncio.open_connection("api.openai.com", 80)
        for data in said:
            writing.write(data)
            await asyncio.sleep(1)
        head = (await reading.read()).partition(b"\r\n")[0]
        sim.note("over", how=head.decode())
        writing.close()

    return agent


def test_garbage_gets_a_400_and_the_connection_is_closed() -> None:
    result = play("provider: []\n", speaker(b"\x16\x03\x01 hello\r\n\r\n"))
    assert (told(result), events(result, connection_close="by")) == (
        [(1.0, "HTTP/1.1 400 Bad Request")],
        [(0.0, "connection.close", "server")],
    )


def test_a_request_in_pieces_is_one_request() -> None:
    text = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    result = play("provider: []\n", speaker(text[:5], text[5:30], text[30:]))
    assert (told(result), events(result, other_request="path")) == (
        [(3.0, "HTTP/1.1 404 Not Found")],
        [(2.0, "other.request", "/v1/models")],
    )


def test_pipelined_requests_are_answered_one_after_the_other() -> None:
    text = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\nGET /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert events(play("provider: []\n", speaker(text)), other_request="path", connection_close="by") == [
        (0.0, "other.request", "/a"),
        (0.0, "other.request", "/b"),
        (0.0, "connection.close", "server"),
    ]


# -- the provider's hosts --
def test_a_host_that_an_answer_is_for_is_the_providers_own() -> None:
    answers = """
        provider:
          - {when: {host: llm.test}, stream: [say: there, finish: stop]}
          - {when: {host: "*.openai.com"}, stream: [say: here, finish: stop]}
        """

    async def agent(sim: Sim) -> None:
        for url in (sim.base_url("openai-chat"), "http://LLM.test/v1"):
            async with openai.AsyncOpenAI(base_url=url, api_key="none") as sdk:
                await read(sim, sdk)

    result = play(answers, agent)
    assert (events(result, request="host"), [what for _, what in told(result)]) == (
        [(0.0, "request", "api.openai.com"), (0.0, "request", "llm.test")],
        ["", "here", "finish stop", "end", "", "there", "finish stop", "end"],
    )


def test_a_host_cannot_be_the_providers_and_another() -> None:
    text = "provider:\n  - {when: {host: a.test}, status: 500}\nhosts:\n  A.test: {status: 200}\n"
    with pytest.raises(UsageError, match=r"declares 'A\.test', the provider's own host"):
        play(text, reader())


def test_one_of_two_hosts_can_be_out_of_reach() -> None:
    answers = """
        provider:
          - {when: {host: b.test}, connection: refused, times: any}
          - {when: {host: a.test}, stream: [say: a, finish: stop]}
        """

    async def agent(sim: Sim) -> None:
        for host in ("b.test", "a.test"):
            async with openai.AsyncOpenAI(base_url=f"http://{host}/v1", api_key="none", max_retries=0) as sdk:
                await read(sim, sdk)

    assert told(play(answers, agent))[::3] == [(0.0, "APIConnectionError"), (0.0, "finish stop")]


def test_answers_can_be_for_one_connection_to_the_provider() -> None:
    answers = """
        provider:
          - {when: {connection: 2}, stream: [say: second, finish: stop]}
          - {when: {connection: 1}, times: 2, stream: [say: first, finish: stop]}
        """

    async def agent(sim: Sim) -> None:
        for requests in (2, 1):
            await reader(requests)(sim)

    assert events(play(answers, agent), request="connection", response="answer")[1::2] == [
        (0.0, "response", 1),
        (0.0, "response", 1),
        (0.0, "response", 0),
    ]

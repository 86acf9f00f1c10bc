"""Unmodified HTTP clients in a world: their own pools and timeouts are what runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from simkit.contracts import HttpRequest
from simkit.kernel.world import World
from tests.kernel.wire import Http, serve_http

HOST = "api.example.com"
Client = httpx2.AsyncClient


def run(world: World, use: Callable[[Client], Awaitable[object]], **options: float | httpx2.Timeout) -> object:
    async def main() -> object:
        async with Client(**options) as client:  # type: ignore[arg-type]  # only a timeout is ever given
            return await use(client)

    return world.run(main)


def opened(world: World) -> int:
    return len(world.trace.of("connection.open"))


def silent(http: Http, request: HttpRequest) -> None:
    pass


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_is_answered_and_a_kept_connection_used_again(scheme: str) -> None:
    world = World()
    serve_http(world, HOST)

    async def use(client: Client) -> list[str]:
        texts = list[str]()
        for path in ("a", "b", "c"):
            texts.append((await client.get(f"{scheme}://{HOST}/{path}")).text)
            await asyncio.sleep(1)
        return texts

    assert (run(world, use), opened(world)) == (["hello /a", "hello /b", "hello /c"], 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_closes_while_idle_gets_a_new_connection(scheme: str) -> None:
    world = World()

    def answer(http: Http, request: HttpRequest) -> None:
        http.say("once")
        world.call_later_ns(2 * 10**9, http.endpoint.close)

    serve_http(world, HOST, answer)

    async def use(client: Client) -> list[int]:
        statuses = list[int]()
        for _ in range(2):
            statuses.append((await client.get(f"{scheme}://{HOST}/")).status_code)
            await asyncio.sleep(3)
        return statuses

    assert (run(world, use), opened(world)) == ([200, 200], 2)


def test_a_pool_lets_a_connection_go_after_its_idle_time() -> None:
    world = World()
    serve_http(world, HOST)

    async def use(client: Client) -> list[int]:
        counts = list[int]()
        for idle in (4.9, 5.1, 0):
            await client.get(f"http://{HOST}/")
            counts.append(opened(world))
            await asyncio.sleep(idle)
        return counts

    # Five seconds is the client's own keep-alive expiry.
    assert run(world, use) == [1, 1, 2]


def test_a_read_timeout_strikes_at_its_exact_instant() -> None:
    world = World()
    serve_http(world, HOST, silent)

    async def use(client: Client) -> float:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(f"https://{HOST}/")
        return world.now

    assert run(world, use, timeout=60.0) == 60.0


def test_a_stall_between_two_pieces_is_a_read_timeout_of_that_piece() -> None:
    world = World()

    def answer(http: Http, request: HttpRequest) -> None:
        http.endpoint.send(http.connection.head(200, {}) + http.connection.chunk(b"one"))
        world.call_later_ns(4 * 10**9, lambda: http.endpoint.send(http.connection.chunk(b"two")))

    serve_http(world, HOST, answer)

    async def use(client: Client) -> list[tuple[float, object]]:
        log = list[tuple[float, object]]()
        try:
            async with client.stream("GET", f"http://{HOST}/") as response:
                async for piece in response.aiter_raw():
                    log.append((world.now, piece))
        except httpx2.ReadTimeout:
            log.append((world.now, "timeout"))
        return log

    assert run(world, use, timeout=5.0) == [(0.0, b"one"), (4.0, b"two"), (9.0, "timeout")]


def test_a_connect_timeout_strikes_at_its_exact_instant() -> None:
    world = World()
    world.network.declare(HOST).serve(
        lambda endpoint: Http(endpoint, silent), lambda _, stage: "timeout" if stage == "connect" else None
    )

    async def use(client: Client) -> float:
        with pytest.raises(httpx2.ConnectTimeout):
            await client.get(f"http://{HOST}/")
        return world.now

    assert run(world, use, timeout=httpx2.Timeout(60.0, connect=7.5)) == 7.5


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda http: http.endpoint.close(), httpx2.RemoteProtocolError),
        (lambda http: http.endpoint.reset(), httpx2.ReadError),
    ],
)
def test_a_connection_lost_before_the_answer_is_the_clients_own_error(
    act: Callable[[Http], None], error: type[Exception]
) -> None:
    world = World()
    serve_http(world, HOST, lambda http, request: act(http))

    async def use(client: Client) -> bool:
        with pytest.raises(error):
            await client.get(f"http://{HOST}/")
        return True

    assert run(world, use) is True


def test_requests_at_one_time_take_a_connection_each_and_answers_find_their_way() -> None:
    world = World()

    def answer(http: Http, request: HttpRequest) -> None:
        delay_s = int(request.path.strip("/"))
        world.call_later_ns(delay_s * 10**9, lambda: http.say(request.path))

    serve_http(world, HOST, answer)

    async def use(client: Client) -> list[tuple[float, str]]:
        log = list[tuple[float, str]]()

        async def get(path: str) -> None:
            response = await client.get(f"http://{HOST}/{path}")
            log.append((world.now, response.text))

        await asyncio.gather(*(get(path) for path in ("3", "1", "2")))
        return log

    assert (run(world, use, timeout=30.0), opened(world)) == ([(1.0, "/1"), (2.0, "/2"), (3.0, "/3")], 3)

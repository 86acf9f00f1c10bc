"""openai and anthropic, unmodified, blocking and not: streams, timeouts and retries in virtual time."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest

from simkit.kernel.world import World
from tests.clients.sdks import (
    blocking,
    create,
    fails,
    on_asyncio,
    provide,
    says,
    silent,
    streams,
    texts,
    texts_async,
    whole_text,
)

Log = list[tuple[float, object]]

SDKS = ("openai", "anthropic")
TIMEOUTS = (openai.APITimeoutError, anthropic.APITimeoutError)


def read(world: World, sdk: str, **options: Any) -> Log:
    """Read a stream with the blocking client and note when each piece came, and how it ended."""
    log: Log = []
    with blocking(sdk, **options) as client:
        try:
            for piece in texts(create(client)):
                log.append((world.now, piece))
        except Exception as error:  # noqa: BLE001  # which one it is stands in the log
            log.append((world.now, type(error).__name__))
    return log


async def read_async(world: World, sdk: str, **options: Any) -> Log:
    """The same with the client of asyncio."""
    log: Log = []
    async with on_asyncio(sdk, **options) as client:
        try:
            async for piece in texts_async(await create(client)):
                log.append((world.now, piece))
        except Exception as error:  # noqa: BLE001  # as above
            log.append((world.now, type(error).__name__))
    return log


def run(world: World, sdk: str, how: str, **options: Any) -> Log:
    """Read a stream in one of the places in which programs do it."""

    def function() -> Log:
        return read(world, sdk, **options)

    async def coroutine() -> Log:
        return await read_async(world, sdk, **options)

    async def to_thread() -> Log:
        return await asyncio.to_thread(function)

    def pool() -> Log:
        with ThreadPoolExecutor(1) as workers:
            return workers.submit(function).result()

    def own_loop() -> Log:
        return asyncio.run(coroutine())

    places: list[Any] = [function, coroutine, to_thread, pool, own_loop]
    log: Log = world.run(next(place for place in places if place.__name__ == how))
    return log


everywhere = pytest.mark.parametrize("how", ["function", "coroutine", "to_thread", "pool", "own_loop"])
each_sdk = pytest.mark.parametrize("sdk", SDKS)


@each_sdk
@everywhere
def test_a_stream_is_read_piece_by_piece_as_it_comes(sdk: str, how: str) -> None:
    world = World()
    provide(world, sdk, streams(world, sdk, "a", "b", "c"))
    assert run(world, sdk, how) == [(1.0, "a"), (2.0, "b"), (3.0, "c")]


@each_sdk
@everywhere
def test_a_read_timeout_strikes_at_its_exact_instant(sdk: str, how: str) -> None:
    world = World()
    provide(world, sdk, silent)
    assert run(world, sdk, how, timeout=60.0, max_retries=0) == [(60.0, "APITimeoutError")]


@each_sdk
@everywhere
def test_a_stall_in_a_stream_is_a_timeout_of_that_piece(sdk: str, how: str) -> None:
    world = World()
    provide(world, sdk, streams(world, sdk, "a", "b", every_s=7.0))
    name = {"openai": "APITimeoutError", "anthropic": "ReadTimeout"}[sdk]
    assert run(world, sdk, how, timeout=6.5) == [(6.5, name)]


@each_sdk
@everywhere
def test_retries_wait_in_virtual_time_as_long_as_the_provider_asks(sdk: str, how: str) -> None:
    world = World()
    busy, broken = fails(429, retry_after="7"), fails(503, retry_after_ms="2500")
    asked = provide(world, sdk, busy, broken, streams(world, sdk, "a"))
    assert (run(world, sdk, how), asked) == ([(10.5, "a")], [0.0, 7.0, 9.5])


@each_sdk
@everywhere
def test_the_jitter_of_retries_follows_the_seed(sdk: str, how: str) -> None:
    def asked(seed: int) -> list[float]:
        world = World(seed)
        times = provide(world, sdk, fails(500))
        run(world, sdk, how)
        return times

    first, second = asked(1)[1:]
    # Half a second and then a second, each less up to a quarter.
    assert (asked(1), 0.375 <= first <= 0.5, 0.75 <= second - first <= 1.0) == (asked(1), True, True)
    assert asked(1) != asked(2)


@each_sdk
def test_a_timeout_that_is_retried_takes_its_time_again(sdk: str) -> None:
    world = World()
    asked = provide(world, sdk, silent, says(sdk, "late"))

    def function() -> str:
        with blocking(sdk, timeout=60.0) as client:
            return whole_text(create(client, stream=False))

    assert (world.run(function), len(asked), asked[1] > 60.0, world.now) == ("late", 2, True, asked[1])


@each_sdk
def test_several_threads_stream_side_by_side(sdk: str) -> None:
    world = World()
    provide(world, sdk, streams(world, sdk, "a", "b"))
    log: list[tuple[float, str, str]] = []

    def agent() -> None:
        name = threading.current_thread().name
        time.sleep(int(name) / 4)
        with blocking(sdk) as client:
            log.extend((world.now, name, piece) for piece in texts(create(client)))

    def main() -> None:
        threads = [threading.Thread(target=agent, name=str(number)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    world.run(main)
    assert sorted(log) == [
        (1.0, "0", "a"), (1.25, "1", "a"), (1.5, "2", "a"), (2.0, "0", "b"), (2.25, "1", "b"), (2.5, "2", "b"),
    ]  # fmt: skip


@each_sdk
def test_threads_share_one_client_and_a_loop_goes_on_beside_them(sdk: str) -> None:
    world = World()
    provide(world, sdk, streams(world, sdk, "a"))
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.5)
            ticks.append(world.now)

    async def main() -> list[list[str]]:
        ticking = asyncio.create_task(tick())
        with blocking(sdk) as client:
            found = await asyncio.gather(*(asyncio.to_thread(lambda: list(texts(create(client)))) for _ in range(3)))
        ticking.cancel()
        return list(found)

    assert (world.run(main), ticks[:3]) == ([["a"]] * 3, [0.5, 1.0, 1.5])


@each_sdk
def test_a_reader_that_another_thread_cuts_off_hears_of_it_at_once(sdk: str) -> None:
    """As hermes does: a watchdog in another thread shuts the sockets of the pool down."""
    world = World()
    provide(world, sdk, silent)

    def function() -> object:
        client = blocking(sdk, max_retries=0)
        outcome: list[object] = []

        def reading() -> None:
            try:
                create(client)
            except (openai.APIConnectionError, anthropic.APIConnectionError) as error:
                outcome.append((world.now, isinstance(error, TIMEOUTS)))

        thread = threading.Thread(target=reading)
        thread.start()
        time.sleep(30)
        for connection in client._client._transport._pool.connections:
            sock = connection._connection._network_stream.get_extra_info("socket")
            sock.shutdown(2)
        thread.join()
        client.close()
        return outcome

    assert world.run(function) == [(30.0, False)]

"""The network: hosts by name, and connections whose bytes keep their order."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from simkit.errors import RunEndedError
from simkit.kernel.world import World
from tests.kernel.wire import Diary, Peer, serve_peer, steps

HOST = "peer.example.com"


def dial(world: World, name: str = HOST, port: int = 80) -> Callable[[], Coroutine[Any, Any, str]]:
    async def main() -> str:
        began = world.now
        try:
            async with asyncio.timeout(60):
                _, writer = await asyncio.open_connection(name, port)
        except (OSError, TimeoutError) as error:
            return f"{type(error).__name__} after {world.now - began}s"
        writer.close()
        return "connected"

    return main


def connections(world: World) -> list[tuple[str, dict[str, object]]]:
    return [(e.kind, dict(e.values)) for e in world.trace if e.kind.startswith("connection.")]


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("refused", "ConnectionRefusedError after 0.02s"),
        ("reset", "ConnectionResetError after 0.02s"),
        ("timeout", "TimeoutError after 60.0s"),
        ("unknown_host", "gaierror after 0.0s"),
    ],
)
def test_an_attempt_fails_as_a_real_one_does(how: str, outcome: str) -> None:
    world = World()
    world.network.declare(HOST).link.latency_ns = 10_000_000
    stage = "name" if how == "unknown_host" else "connect"
    world.network.declare(HOST).serve(Peer, lambda port, at: how if at == stage else None)
    assert world.run(dial(world)) == outcome
    assert connections(world) == [("connection.refused", {"host": HOST, "port": 80, "how": how})]


def test_a_host_that_serves_nothing_refuses_and_so_does_this_machine() -> None:
    world = World()
    world.network.declare(HOST)
    outcomes = [world.run(dial(world, name)) for name in (HOST, "localhost", "127.0.0.1")]
    # A name with two addresses gives asyncio two different texts, which it sums up.
    refused = "ConnectionRefusedError after 0.0s"
    assert outcomes == [refused, "OSError after 0.0s", refused]


def test_an_undeclared_host_ends_the_run_and_says_what_to_declare() -> None:
    world = World()
    serve_peer(world)
    with pytest.raises(RunEndedError) as caught:
        world.run(dial(world, "api.elsewhere.com", 443))
    assert (caught.value.reason, caught.value.text) == (
        "undeclared_host",
        "the agent dialled api.elsewhere.com:443, which this world does not have (it has: peer.example.com) - "
        "declare it under `hosts:` in the scenario, such as "
        "`hosts: {api.elsewhere.com: {status: 200, body: ok}}`, or as "
        "world.network.declare('api.elsewhere.com') in Python (at 0.000s)",
    )


def test_names_have_no_case_and_may_end_in_a_dot() -> None:
    world = World()
    serve_peer(world, "Peer.Example.com")
    assert [world.run(dial(world, name)) for name in ("PEER.example.COM", "peer.example.com.")] == ["connected"] * 2


def test_a_name_resolves_to_an_address_that_can_be_dialled() -> None:
    world = World()
    serve_peer(world)

    async def main() -> object:
        infos = await asyncio.get_running_loop().getaddrinfo(HOST, "https", type=socket.SOCK_STREAM)
        (family, kind, proto, _, address) = infos[0]
        _, writer = await asyncio.open_connection(*address)
        writer.close()
        return [family, kind, proto, address, writer.get_extra_info("peername")]

    assert world.run(main) == [
        socket.AF_INET,
        socket.SOCK_STREAM,
        socket.IPPROTO_TCP,
        ("198.18.0.1", 443),
        ("198.18.0.1", 443),
    ]


@pytest.mark.parametrize(("host", "port"), [(HOST, "gopher"), (HOST, 80)])
def test_what_cannot_be_resolved_is_a_resolver_error(host: str, port: int | str) -> None:
    world = World()
    serve_peer(world)

    async def main() -> None:
        family = socket.AF_INET6 if port == 80 else socket.AF_UNSPEC
        await asyncio.get_running_loop().getaddrinfo(host, port, family=family)

    with pytest.raises(socket.gaierror):
        world.run(main)


# What the server does, one step after the other with 1 s between them, and what the client's protocol sees.
EXCHANGES: dict[str, tuple[list[Callable[[Peer], object]], list[object]]] = {
    "eof": ([lambda p: p.endpoint.close()], ["made", "eof", ("lost", "NoneType")]),
    "reset": ([lambda p: p.endpoint.reset()], ["made", ("lost", "ConnectionResetError")]),
    "half close": ([lambda p: p.endpoint.end()], ["made", "eof", ("lost", "NoneType")]),
    "order": (
        [lambda p: p.endpoint.send(b"a"), lambda p: p.endpoint.send(b"b"), lambda p: p.endpoint.close()],
        ["made", b"a", b"b", "eof", ("lost", "NoneType")],
    ),
    "bytes, then reset": (
        [lambda p: steps(lambda: p.endpoint.send(b"a"), p.endpoint.reset)()],
        ["made", b"a", ("lost", "ConnectionResetError")],
    ),
    "nothing after close": (
        [lambda p: steps(p.endpoint.close, lambda: p.endpoint.send(b"late"), p.endpoint.end, p.endpoint.reset)()],
        ["made", "eof", ("lost", "NoneType")],
    ),
}


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_client_sees_what_its_server_does(name: str) -> None:
    acts, expected = EXCHANGES[name]
    world = World()
    peers = serve_peer(world)

    async def main() -> list[object]:
        _, diary = await asyncio.get_running_loop().create_connection(Diary, HOST, 80)
        for number, step in enumerate(acts, 1):
            world.call_later_ns(number * 10**9, lambda step=step: step(peers[0]))  # type: ignore[misc]
        await diary.over
        return diary.calls

    assert world.run(main) == expected


def test_an_end_is_heard_once_however_often_it_is_said() -> None:
    world = World()
    peers = serve_peer(world)

    async def main() -> list[object]:
        transport, diary = await asyncio.get_running_loop().create_connection(lambda: Diary(keep_open=True), HOST, 80)
        for act in (peers[0].endpoint.end, peers[0].endpoint.end, peers[0].endpoint.close):
            act()
            await asyncio.sleep(1)
        transport.write_eof()
        transport.close()
        await diary.over
        await asyncio.sleep(1)
        return diary.calls

    assert (world.run(main), peers[0].heard) == (["made", "eof", ("lost", "NoneType")], [])


def test_a_half_closed_client_still_reads() -> None:
    world = World()
    peers = serve_peer(world)

    async def main() -> bytes:
        reader, writer = await asyncio.open_connection(HOST, 80)
        writer.write(b"question")
        writer.write_eof()
        await asyncio.sleep(1)
        peers[0].endpoint.send(b"answer")
        peers[0].endpoint.close()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    assert (world.run(main), peers[0].heard) == (b"answer", [b"question", "end"])


def test_writing_to_a_server_that_has_closed_is_reset() -> None:
    world = World()
    peers = serve_peer(world)

    async def main() -> list[object]:
        transport, diary = await asyncio.get_running_loop().create_connection(lambda: Diary(keep_open=True), HOST, 80)
        peers[0].endpoint.close()
        for _ in range(2):
            await asyncio.sleep(1)
            transport.write(b"anybody?")
        await diary.over
        return list(diary.calls)

    # As on a real socket: the first write meets no objection, its answer is a reset, and the next one hears of it.
    assert world.run(main) == ["made", "eof", ("lost", "BrokenPipeError")]


def test_bytes_take_the_latency_of_the_link() -> None:
    world = World()
    serve_peer(world, first=b"hello", latency_ns=250_000_000)

    async def main() -> list[float]:
        reader, writer = await asyncio.open_connection(HOST, 80)
        times = [world.now]
        await reader.read(5)
        writer.close()
        return [*times, world.now]

    # There and back to connect; the greeting is on its way while the word of the connection is.
    assert world.run(main) == [0.5, 0.75]


def test_a_server_that_speaks_first_is_heard_after_connection_made() -> None:
    world = World()
    serve_peer(world, first=b"220 ready")

    async def busy() -> None:
        while True:
            await asyncio.sleep(0)

    async def main() -> list[object]:
        spinner = asyncio.create_task(busy())
        transport, diary = await asyncio.get_running_loop().create_connection(Diary, HOST, 80)
        await asyncio.sleep(0.001)
        spinner.cancel()
        transport.abort()
        return list(diary.calls)

    assert world.run(main) == ["made", b"220 ready"]


def test_connections_are_in_the_trace_from_open_to_close() -> None:
    world = World()
    peers = serve_peer(world)

    async def main() -> None:
        kept.extend([await asyncio.open_connection(HOST, 80) for _ in range(3)])
        peers[0].endpoint.close()
        peers[1].endpoint.reset()
        await asyncio.sleep(1)

    kept = list[object]()
    world.run(main)
    with warnings.catch_warnings():
        # The third one was never closed by anybody, as asyncio says when its garbage is collected.
        warnings.simplefilter("ignore", ResourceWarning)
        kept.clear()
        gc.collect()
    assert connections(world) == [
        *(("connection.open", {"connection": n, "host": HOST, "port": 80}) for n in (1, 2, 3)),
        ("connection.close", {"connection": 1, "by": "server", "how": "eof"}),
        ("connection.close", {"connection": 2, "by": "server", "how": "reset"}),
        ("connection.left", {"connection": 3, "host": HOST, "port": 80}),
    ]


@pytest.mark.parametrize("turns", range(1, 12))
def test_a_client_that_gives_up_while_it_connects_leaves_no_connection(turns: int) -> None:
    world = World()
    serve_peer(world)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(loop.create_connection(Diary, HOST, 80))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not task.cancel():
            (await task)[0].close()
        await asyncio.wait([task])
        await asyncio.sleep(1)

    world.run(main)
    assert [kind for kind, _ in connections(world) if kind == "connection.left"] == []


@pytest.mark.parametrize("arguments", [{}, {"host": HOST, "port": 80, "server_hostname": HOST}])
def test_arguments_that_asyncio_refuses_are_refused(arguments: dict[str, Any]) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_connection(Diary, **arguments)

    with pytest.raises(ValueError, match=r"server_hostname|host and port"):
        World().run(main)

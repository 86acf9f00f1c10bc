"""Links: latency and faults, as a client meets them and as the trace tells them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from typing import Any

import pytest

from simkit.kernel.links import lay
from simkit.kernel.world import World
from simkit.model.duration import FOREVER, NS_PER_S
from simkit.model.plan import Deviation, Plan
from simkit.model.scenario import Link, LinkDown, LinkFault, LinkHeld, LinkReset
from simkit.model.timeline import Place, Unreachable
from tests.kernel.wire import Peer, serve_peer

HOST = "peer.example.com"
OTHER = "other.example.com"


def seconds(count: float) -> int:
    return round(count * NS_PER_S)


def linked(*faults: LinkFault, latency: float = 0.0, name: str = HOST, plan: Plan | None = None) -> World:
    """A world with two hosts that answer every second with a dot, the first of them behind a link."""
    world = World(plan=plan)
    for host in (HOST, OTHER):
        world.network.declare(host).serve(lambda endpoint: Dots(world, endpoint))
    lay(world, {name: Link(latency_ns=seconds(latency), faults=faults)})
    return world


class Dots(Peer):
    """Sends a dot every second for ten seconds."""

    def __init__(self, world: World, endpoint: Any) -> None:
        super().__init__(endpoint)
        for second in range(1, 11):
            world.call_later_ns(seconds(second), lambda: endpoint.send(b"."), label="a dot")


async def dots(world: World, count: int, name: str = HOST) -> list[object]:
    """Dial and say when so many dots came, and how it ended."""
    seen: list[object] = []
    with contextlib.ExitStack() as stack:
        try:
            async with asyncio.timeout(30):
                reader, writer = await asyncio.open_connection(name, 80)
                stack.callback(writer.close)
                seen.append(world.now)
                for _ in range(count):
                    await reader.readexactly(1)
                    seen.append(world.now)
        except (OSError, TimeoutError) as error:
            seen.append(f"{type(error).__name__} at {world.now}")
    return seen


def run(world: World, count: int) -> object:
    """Do that as the only thing in the world."""
    return world.run(functools.partial(dots, world, count))


def told(world: World) -> list[tuple[object, ...]]:
    names = ("host", "fault", "how", "connections", "came")
    found = world.trace.of("link.fault", "link.unused")
    return [(e.at_ns / NS_PER_S, e.kind, *(e.get(n) for n in names if n in e.values)) for e in found]


# -- latency --
def test_latency_is_on_every_byte_in_each_direction_and_twice_in_setting_up() -> None:
    world = linked(latency=0.25)
    assert run(world, 2) == [0.5, 1.75, 2.75]


def test_a_star_is_the_link_to_every_host_that_is_not_named_and_not_to_this_machine() -> None:
    world = linked(latency=0.25, name="*")

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b".")
        writer.close()

    async def main() -> list[object]:
        async with await asyncio.start_server(greet, "127.0.0.1", 8080):
            local, began = await asyncio.open_connection("127.0.0.1", 8080), world.now
            await local[0].readexactly(1)
            local[1].close()
        return [world.now - began, await dots(world, 1), await dots(world, 1, OTHER)]

    assert world.run(main) == [0.0, [0.5, 1.75], [2.25, 3.5]]


def test_a_link_to_one_host_leaves_others_alone_and_names_have_no_case() -> None:
    world = linked(latency=0.25, name="PEER.example.com.")

    async def main() -> list[object]:
        return [await dots(world, 0), await dots(world, 0, OTHER)]

    assert world.run(main) == [[0.5], [0.5]]


def test_the_link_to_this_machine_may_be_named() -> None:
    world = World()
    lay(world, {"localhost": Link(latency_ns=seconds(0.5))})

    def main() -> float:
        with socket.create_server(("127.0.0.1", 8080)), socket.create_connection(("localhost", 8080)):
            return time.monotonic()

    assert world.run(main) == 1.0


# -- resets --
def test_a_reset_breaks_every_open_connection_at_both_ends_and_no_later_one() -> None:
    world = linked(LinkReset(at_ns=seconds(2.5), place=Place("a.sim.yaml", 7)))

    async def main() -> list[object]:
        broken = await asyncio.gather(dots(world, 3), dots(world, 3), dots(world, 3, OTHER))
        return [*broken, await dots(world, 1)]

    assert world.run(main) == [
        [0.0, 1.0, 2.0, "ConnectionResetError at 2.5"],
        [0.0, 1.0, 2.0, "ConnectionResetError at 2.5"],
        [0.0, 1.0, 2.0, 3.0],
        [3.0, 4.0],
    ]
    assert told(world) == [(2.5, "link.fault", HOST, "reset", None, 2)]
    assert [(e.get("connection"), e.get("by"), e.get("how")) for e in world.trace.of("connection.close")][:2] == [
        (1, "link", "reset"),
        (2, "link", "reset"),
    ]


def test_a_server_hears_of_a_reset_by_the_link_and_bytes_on_their_way_are_lost() -> None:
    world = World()
    peers = serve_peer(world)
    lay(world, {HOST: Link(latency_ns=seconds(1), faults=(LinkReset(at_ns=seconds(3.5)),))})

    async def main() -> None:
        _, writer = await asyncio.open_connection(HOST, 80)
        await asyncio.sleep(1)
        writer.write(b"lost")
        await asyncio.sleep(2)

    world.run(main)
    assert [(p.heard, p.endpoint.cut_off) for p in peers] == [(["ConnectionResetError"], True)]


def test_a_connection_that_its_server_has_closed_can_still_be_reset_while_the_last_bytes_are_on_their_way() -> None:
    world = World()
    peers = serve_peer(world)
    lay(world, {HOST: Link(latency_ns=seconds(2), faults=(LinkReset(at_ns=seconds(6)),))})

    async def main() -> str:
        reader, _ = await asyncio.open_connection(HOST, 80)
        world.call_later_ns(seconds(1), lambda: peers[0].endpoint.send(b"bye"))
        world.call_later_ns(seconds(1), lambda: peers[0].endpoint.close())
        try:
            return (await reader.read()).decode()
        except ConnectionResetError:
            return f"reset at {world.now}"

    assert world.run(main) == "reset at 6.0"


def test_a_star_tells_of_each_host_whose_connections_it_reset() -> None:
    world = linked(LinkReset(at_ns=seconds(1.5)), LinkReset(at_ns=seconds(9)), name="*")

    async def main() -> None:
        await asyncio.gather(dots(world, 3), dots(world, 3, OTHER))
        await asyncio.sleep(10)

    world.run(main)
    assert told(world) == [
        (1.5, "link.fault", HOST, "reset", None, 1),
        (1.5, "link.fault", OTHER, "reset", None, 1),
        (9.0, "link.fault", "*", "reset", None, 0),
        (11.5, "link.unused", "*", "reset", True),
    ]


def test_a_blocking_client_meets_a_reset_too() -> None:
    world = linked(LinkReset(at_ns=seconds(1.5)))

    def main() -> list[object]:
        with socket.create_connection((HOST, 80)) as sock:
            first = sock.recv(1)
            try:
                return [first, sock.recv(1)]
            except ConnectionResetError:
                return [first, f"reset at {time.monotonic()}"]

    assert world.run(main) == [b".", "reset at 1.5"]


# -- holds --
def test_what_is_sent_while_a_link_is_held_arrives_when_it_is_over_and_in_order() -> None:
    world = linked(LinkHeld(at_ns=seconds(1.5), for_ns=seconds(3)))
    assert run(world, 6) == [0.0, 1.0, 4.5, 4.5, 4.5, 5.0, 6.0]
    assert told(world) == [(1.5, "link.fault", HOST, "hold", None, 1)]


def test_bytes_that_are_on_the_link_when_it_is_held_wait_too() -> None:
    world = linked(LinkHeld(at_ns=seconds(3), for_ns=seconds(2)), latency=0.75)
    # Sent at 2.5, 3.5 and so on: the first is on its way when the link is held, the others are sent meanwhile.
    assert run(world, 4) == [1.5, 5.0, 5.0, 5.25, 6.25]


@pytest.mark.parametrize(("latency", "made"), [(0.0, 5.0), (1.5, 6.5), (4.0, 10.5)])
def test_a_connection_that_is_made_while_a_link_is_held_waits(latency: float, made: float) -> None:
    world = linked(LinkHeld(at_ns=seconds(2), for_ns=seconds(3)), latency=latency)

    async def main() -> object:
        await asyncio.sleep(2.5)
        return await dots(world, 0)

    assert world.run(main) == [made]


def test_a_dial_that_is_on_its_way_when_a_link_is_held_waits() -> None:
    world = linked(LinkHeld(at_ns=seconds(1), for_ns=seconds(5)), latency=1.0)
    assert run(world, 0) == [6.0]


def test_what_is_held_for_ever_never_comes_and_whoever_waits_for_it_is_not_stopped_from_giving_up() -> None:
    world = linked(LinkHeld(at_ns=seconds(1.5), for_ns=FOREVER), latency=0.25)
    assert run(world, 3) == [0.5, "TimeoutError at 30.0"]


def test_a_shorter_hold_within_a_longer_one_changes_nothing() -> None:
    world = linked(LinkHeld(at_ns=seconds(1.5), for_ns=seconds(5)), LinkHeld(at_ns=seconds(2), for_ns=seconds(1)))
    assert run(world, 2) == [0.0, 1.0, 6.5]


# -- out of reach --
@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("refused", "ConnectionRefusedError at 2.5"),
        ("reset", "ConnectionResetError at 2.5"),
        ("timeout", "TimeoutError at 32.0"),
        ("unknown_host", "gaierror at 2.0"),
    ],
)
def test_while_a_link_is_down_new_connections_fail_and_open_ones_live_on(how: Unreachable, outcome: str) -> None:
    world = linked(LinkDown(at_ns=seconds(1), for_ns=seconds(3), how=how), latency=0.25)

    async def main() -> list[object]:
        open_one = asyncio.create_task(dots(world, 3))
        await asyncio.sleep(2)
        while_down, lives_on = await dots(world, 0), await open_one
        await asyncio.sleep(1)
        return [lives_on, while_down, len(await dots(world, 1))]

    assert world.run(main) == [[0.5, 1.75, 2.75, 3.75], [outcome], 2]
    assert told(world) == [(1.0, "link.fault", HOST, "connection", how, 0)]
    assert [e.get("how") for e in world.trace.of("connection.refused")] == [how]


# -- what strikes nothing --
@pytest.mark.parametrize(
    ("fault", "word", "came"),
    [
        (LinkReset(at_ns=seconds(1)), "reset", True),
        (LinkHeld(at_ns=seconds(1), for_ns=seconds(1)), "hold", True),
        (LinkDown(at_ns=seconds(1), for_ns=seconds(1), how="refused"), "connection", True),
        (LinkReset(at_ns=seconds(100)), "reset", False),
    ],
)
def test_a_fault_that_strikes_nothing_is_told_at_the_end(fault: LinkFault, word: str, came: bool) -> None:
    world = linked(fault)
    world.run(lambda: time.sleep(3))
    assert [t for t in told(world) if t[1] == "link.unused"] == [(3.0, "link.unused", HOST, word, came)]


# -- beside the rest of the machine --
def test_a_world_that_runs_again_has_no_trouble_left_from_the_run_before() -> None:
    world = linked(LinkHeld(at_ns=seconds(0.5), for_ns=FOREVER))
    assert [run(world, 1) for _ in range(2)] == [[0.0, "TimeoutError at 30.0"], [0.0, 1.0]]


def test_a_reset_and_a_byte_at_one_instant_come_in_either_order() -> None:
    def seen(plan: Plan) -> list[object]:
        world = linked(LinkReset(at_ns=seconds(2.5)), latency=0.5, plan=plan)

        def main() -> list[object]:
            with socket.create_connection((HOST, 80)) as sock:
                came: list[object] = []
                with contextlib.suppress(ConnectionResetError):
                    while True:
                        came.append(sock.recv(1))
                return came

        return world.run(main)

    byte_first = Plan(deviations=(Deviation(number=0, kind="tie", pick=1),))
    assert [seen(Plan()), seen(byte_first)] == [[], [b"."]]

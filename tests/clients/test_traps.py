"""Traps of real programs: each of these once cost somebody an hour."""

from __future__ import annotations

import asyncio
import importlib
import platform
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy
import openai
import pytest
import tenacity
import uvloop

from simkit.contracts import Sim
from simkit.errors import NotSimulatedError
from simkit.kernel.aliases import Aliases
from simkit.kernel.network import Link
from simkit.kernel.world import World
from simkit.model.duration import NS_PER_MS
from tests.clients.sdks import create, on_asyncio, provide, streams, texts_async
from tests.kernel.wire import serve_http, serve_peer
from tests.provider.played import HELLO, play

HOST = "api.example.com"


# -- time -----------------------------------------------------------------------------------------------------------
def test_tenacity_stops_after_its_delay_of_virtual_time() -> None:
    world = World()
    calls: list[float] = []

    @tenacity.retry(stop=tenacity.stop_after_delay(100), wait=tenacity.wait_fixed(30), reraise=True)
    def fail() -> None:
        calls.append(world.now)
        raise ConnectionError

    @tenacity.retry(stop=tenacity.stop_after_delay(100), wait=tenacity.wait_fixed(40), reraise=True)
    async def fail_too() -> None:
        calls.append(world.now)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        world.run(fail)
    with pytest.raises(ConnectionError):
        world.run(fail_too)
    # Asked at 120 s whether 100 s are over; the first run's calls, then the second's.
    assert calls == [0.0, 30.0, 60.0, 90.0, 120.0, 0.0, 40.0, 80.0, 120.0]


@pytest.mark.parametrize(("idle", "connections"), [(4.9, 1), (5.1, 2)])
@pytest.mark.parametrize("blocks", [False, True])
def test_httpx_lets_a_connection_go_after_its_idle_time(idle: float, connections: int, *, blocks: bool) -> None:
    world = World()
    serve_http(world, HOST)

    def function() -> None:
        with httpx.Client() as client:
            client.get(f"https://{HOST}/")
            time.sleep(idle)
            client.get(f"https://{HOST}/")

    async def coroutine() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(f"https://{HOST}/")
            await asyncio.sleep(idle)
            await client.get(f"https://{HOST}/")

    main: Any = function if blocks else coroutine
    world.run(main)
    assert len(world.trace.of("connection.open")) == connections


class Clocked:
    """Keeps the clock and the sleep of its machine, as many libraries do to be testable."""

    now = time.monotonic
    wall = staticmethod(time.time)
    sleep = staticmethod(time.sleep)
    draw = random.random


@dataclass
class Started:
    at: float = field(default_factory=time.monotonic)


def by_default(clock: Callable[[], float] = time.monotonic, *, sleep: Callable[[float], None] = time.sleep) -> float:
    sleep(2)
    return clock()


def test_clocks_kept_in_defaults_and_classes_follow_the_world_and_are_given_back() -> None:
    def main() -> tuple[object, ...]:
        clocked = Clocked()
        clocked.sleep(1)
        return Clocked.now(), clocked.wall() % 86400, by_default(), Started().at

    assert (World().run(main), World(1).run(lambda: Clocked().draw())) == (
        (1.0, 1.0, 3.0, 3.0),
        World(1).run(random.random),
    )


KEPT = """
class Kept:
    bare, method, static = real, classmethod(lambda cls, kept=real: kept), staticmethod(real)

def function(first, default=real, *, keyword=real):
    pass

def closing(real):
    return lambda: real

closed = closing(real)
"""


def test_what_is_kept_in_classes_defaults_and_closures_is_replaced_and_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A function that nobody else has, in a module of its own.
    real, fake, module = {1: "real"}.get, {1: "fake"}.get, ModuleType("simkit_kept")
    module.__dict__["real"] = real
    exec(KEPT, module.__dict__)
    monkeypatch.setitem(sys.modules, "simkit_kept", module)

    def kept() -> list[object]:
        names, found = vars(module), vars(module)["Kept"]
        function, closed = names["function"], names["closed"]
        places = [found.bare, found.method(), found.static, *function.__defaults__, *function.__kwdefaults__.values()]
        return [vars(found)["bare"], *(place(1) for place in (*places, closed()))]

    aliases = Aliases({real: fake})
    aliases.on()
    inside = kept()
    aliases.off()
    assert (inside, kept()) == ([fake, *["fake"] * 6], [real, *["real"] * 6])


def test_what_the_machine_is_called_is_told_inside_as_outside() -> None:
    """The SDKs send it with every request; a part of it comes from a child process, which a world refuses."""
    assert World().run(lambda: list(platform.uname())) == list(platform.uname())


# -- modules ----------------------------------------------------------------------------------------------------------
LATE = """
import asyncio, queue, random, socket, threading, time, uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from random import random as draw
from threading import Event, Lock
from time import monotonic, sleep

LOCK, RLOCK, EVENT, CONDITION, QUEUE = Lock(), threading.RLock(), Event(), threading.Condition(), queue.Queue()
POOL = ThreadPoolExecutor(1)
LOCAL = threading.local()
BORN = datetime.now()

class Worker(threading.Thread):
    clock = monotonic

    def __init__(self, sleep=sleep):
        super().__init__()
        self.sleep = sleep

    def run(self):
        with LOCK, RLOCK:
            self.sleep(0.01)
            QUEUE.put(self.clock())
            EVENT.set()

def work():
    EVENT.clear()
    begun = monotonic()
    worker = Worker()
    worker.start()
    assert EVENT.wait(5)
    worker.join()
    with CONDITION:
        CONDITION.wait(0.01)
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"x")
        right.recv(1)
    draw()
    QUEUE.get(timeout=5)
    return monotonic() - begun
"""


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ModuleType]:
    (tmp_path / "simkit_late.py").write_text(LATE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "simkit_late", raising=False)
    return lambda: importlib.import_module("simkit_late")


def test_a_module_first_imported_inside_a_world_works_there_after_it_and_in_the_next(
    late: Callable[[], ModuleType],
) -> None:
    inside = World().run(lambda: late().work())
    after = late().work()
    assert (inside, 0.02 <= after < 5, World().run(late().work)) == (0.02, True, 0.02)


LATE_SDK = """
import datetime
import sys

import simkit


def work():
    import {sdk}
    import pydantic

    class Note(pydantic.BaseModel):
        at: datetime.datetime
        day: datetime.date

    note = Note(at="2026-01-02T03:04:05", day="2026-01-02")
    return [{sdk}.__name__, note.model_dump_json()]


before = "{sdk}" in sys.modules
inside = simkit.World().run(work)
print(before, inside[1], inside == work())
"""


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_an_sdk_first_imported_inside_a_world_can_make_its_models_there_and_after_it(sdk: str) -> None:
    done = subprocess.run([sys.executable, "-c", LATE_SDK.format(sdk=sdk)], capture_output=True, text=True, check=False)
    written = '{"at":"2026-01-02T03:04:05","day":"2026-01-02"}'
    assert (done.stdout.strip(), done.stderr) == (f"False {written} True", "")


# -- ends -------------------------------------------------------------------------------------------------------------
# As outside a world: asyncio warns of a transport that nobody closed when its garbage is collected.
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_a_stream_that_is_dropped_without_a_close_is_an_open_stream_at_the_end_of_a_passing_run() -> None:
    async def agent(sim: Sim) -> None:
        client = openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key="none")
        async for _ in await client.chat.completions.create(model="m", messages=HELLO, stream=True):
            break
        await asyncio.sleep(1)

    result = play("provider:\n  - stream: [say: a, wait: 1m, say: b, finish: stop]\n", agent)
    orphans = [(e.get("what"), e.get("name")) for e in result.trace.of("orphan")]
    assert ([what for what, _ in orphans], [f.law for f in result.findings]) == (["stream"], ["no_orphans"])


def test_a_stream_that_is_closed_is_no_orphan() -> None:
    async def agent(sim: Sim) -> None:
        async with (
            openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key="none") as client,
            await client.chat.completions.create(model="m", messages=HELLO, stream=True) as stream,
        ):
            async for _ in stream:
                break

    result = play("provider:\n  - stream: [say: a, wait: 1m, say: b, finish: stop]\n", agent)
    assert (result.trace.of("orphan"), result.findings) == ([], ())


def test_a_stream_that_blocking_code_closes_at_the_last_instant_is_no_orphan() -> None:
    def agent(sim: Sim) -> None:
        client = openai.OpenAI(base_url=sim.base_url("openai-chat"), api_key="none")
        stream = client.chat.completions.create(model="m", messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()
        client.close()

    result = play("provider:\n  - stream: [say: a, wait: 1m, say: b, finish: stop]\n", agent)
    assert (result.trace.of("orphan"), result.findings) == ([], ())


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_generators_that_an_sdk_lets_go_of_at_the_last_instant_are_nobodys_orphans() -> None:
    # The SDK stops at [DONE] and drops what it read with: asyncio closes that in a task of its own.
    async def agent(sim: Sim) -> None:
        client = openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key="none")
        async for _ in await client.chat.completions.create(model="m", messages=HELLO, stream=True):
            pass

    result = play("provider:\n  - stream: [say: a, finish: stop]\n", agent)
    assert (result.trace.of("orphan"), result.findings) == ([], ())


# -- loops ------------------------------------------------------------------------------------------------------------
async def idle() -> None:
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    "ask",
    [
        uvloop.new_event_loop,
        lambda: uvloop.Loop(),
        lambda: uvloop.run(idle()),
        lambda: asyncio.Runner(loop_factory=uvloop.new_event_loop).run(idle()),
    ],
    ids=["new_event_loop", "Loop", "run", "Runner"],
)
def test_uvloop_is_refused_by_name(ask: Callable[[], object], recwarn: pytest.WarningsRecorder) -> None:
    # The coroutine of a refused run is never awaited, which Python warns of.
    with pytest.raises(NotSimulatedError, match="uvloop is not simulated inside a world"):
        World().run(ask)


def test_a_blocking_agent_runs_loops_of_its_own_one_after_the_other() -> None:
    world = World()
    provide(world, "openai", streams(world, "openai", "a", "b"))

    async def turn() -> list[str]:
        async with on_asyncio("openai") as client:
            return [piece async for piece in texts_async(await create(client))]

    def agent() -> list[tuple[float, list[str]]]:
        log = []
        for _ in range(3):
            log.append((world.now, asyncio.run(turn())))
            time.sleep(10)
        return log

    # Three seconds a turn: an opening, two pieces and an end.
    assert world.run(agent) == [(at, ["a", "b"]) for at in (0.0, 13.0, 26.0)]


def test_loops_in_several_threads_share_the_clock_and_talk_to_each_other() -> None:
    world = World()
    log: list[tuple[float, str]] = []

    async def tick(name: str, every: float) -> str:
        for _ in range(2):
            await asyncio.sleep(every)
            log.append((world.now, name))
        return name

    async def main() -> list[str]:
        there = asyncio.new_event_loop()
        thread = threading.Thread(target=there.run_forever)
        thread.start()
        asked = asyncio.run_coroutine_threadsafe(tick("there", 3), there)
        others = [asyncio.to_thread(asyncio.run, tick(name, every)) for name, every in (("x", 1.0), ("y", 2.5))]
        names = await asyncio.gather(*others, asyncio.wrap_future(asked))
        there.call_soon_threadsafe(there.stop)
        await asyncio.to_thread(thread.join)
        there.close()
        return list(names)

    assert world.run(main) == ["x", "y", "there"]
    assert log == [(1.0, "x"), (2.0, "x"), (2.5, "y"), (3.0, "there"), (5.0, "y"), (6.0, "there")]


# -- chance -----------------------------------------------------------------------------------------------------------
DRAWS: dict[str, Callable[[], object]] = {
    "functions": lambda: [numpy.random.rand(), numpy.random.randint(1000), list(numpy.random.permutation(9))],
    "the shared generator": lambda: numpy.random.mtrand._rand.normal(),
    "a generator of one's own": lambda: numpy.random.default_rng().random(),
    "a state of one's own": lambda: numpy.random.RandomState().random(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_numpys_chance_follows_the_seed(draw: Callable[[], object]) -> None:
    assert (World(1).run(draw), World(1).run(draw) == World(2).run(draw)) == (World(1).run(draw), False)


def test_numpys_shared_generator_goes_on_outside_as_if_no_world_had_been() -> None:
    def drawn(between: Callable[[], object]) -> list[float]:
        numpy.random.seed(7)
        first = numpy.random.normal()
        between()
        # Normal numbers come in pairs, and the second of them is kept.
        return [first, numpy.random.normal(), numpy.random.rand()]

    def in_a_world() -> list[float]:
        return World().run(lambda: drawn(lambda: None))

    assert (drawn(in_a_world), in_a_world()) == (drawn(lambda: None), drawn(lambda: None))


# -- the network --------------------------------------------------------------------------------------------------
def test_a_name_with_an_address_of_each_version_is_reached_by_both() -> None:
    world = World()
    # Whoever serves a host that is declared already finds it with both its addresses.
    world.network.declare("six.example.com", ipv6=True)
    serve_http(world, "six.example.com")

    def main() -> list[object]:
        found = socket.getaddrinfo("six.example.com", 80, type=socket.SOCK_STREAM)
        address = str(found[1][4][0])
        with socket.create_connection((address, 80)) as sock:
            peer = sock.getpeername()
        texts = [httpx.get(url).text for url in ("http://six.example.com/a", f"http://[{address}]/b")]
        return [[family.name for family, *_ in found], peer[0] == address, texts]

    assert world.run(main) == [["AF_INET", "AF_INET6"], True, ["hello /a", "hello /b"]]


def test_a_name_without_a_sixth_version_cannot_be_reached_by_it() -> None:
    world = World()
    serve_http(world, HOST)

    async def main() -> str:
        with pytest.raises(socket.gaierror) as caught:
            await asyncio.open_connection(HOST, 80, family=socket.AF_INET6)
        return str(caught.value)

    assert "Address family for hostname not supported" in world.run(main)


@pytest.mark.parametrize(
    ("link", "arrivals"),
    [
        # A round trip to connect, and half of one for what the server then says.
        (Link(latency_ns=100 * NS_PER_MS), [(0.2, "connected"), (0.3, 500), (0.3, 500)]),
        # Half a second for each piece; the second waits for the first.
        (Link(bytes_per_second=1000), [(0.0, "connected"), (0.5, 500), (1.0, 500)]),
        (Link(100 * NS_PER_MS, 1000), [(0.2, "connected"), (0.8, 500), (1.3, 500)]),
    ],
    ids=["latency", "bandwidth", "both"],
)
@pytest.mark.parametrize("blocks", [False, True])
def test_bytes_arrive_when_latency_and_bandwidth_let_them(
    link: Link, arrivals: list[tuple[float, object]], *, blocks: bool
) -> None:
    world = World()
    peers = serve_peer(world, HOST, first=bytes(500))
    world.network.declare(HOST).link = link
    log: list[tuple[float, object]] = []

    def function() -> None:
        with socket.create_connection((HOST, 80)) as sock:
            log.append((world.now, "connected"))
            peers[0].endpoint.send(bytes(500))
            for _ in range(2):
                size = len(sock.recv(500))
                log.append((world.now, size))

    async def coroutine() -> None:
        reader, writer = await asyncio.open_connection(HOST, 80)
        log.append((world.now, "connected"))
        peers[0].endpoint.send(bytes(500))
        for _ in range(2):
            data = await reader.readexactly(500)
            log.append((world.now, len(data)))
        writer.close()

    main: Any = function if blocks else coroutine
    world.run(main)
    assert log == arrivals

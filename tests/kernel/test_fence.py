"""The fence: what cannot be simulated is refused by name, and only inside."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from simkit.errors import NotSimulatedError
from simkit.kernel.fence import REFUSED
from simkit.kernel.world import World

HERE = ("127.0.0.1", 9)


def udp(call: Callable[[socket.socket], object]) -> Callable[[], object]:
    def use() -> object:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as real:
            return call(real)

    return use


USES: dict[str, Callable[[], object]] = {
    "socket.connect": udp(lambda s: s.connect(HERE)),
    "socket.connect_ex": udp(lambda s: s.connect_ex(HERE)),
    "socket.bind": udp(lambda s: s.bind(("127.0.0.1", 0))),
    "socket.sendto": udp(lambda s: s.sendto(b"", HERE)),
    "socket.sendmsg": udp(lambda s: s.sendmsg([b""], [], 0, HERE)),
    "socket.getaddrinfo": lambda: socket.getaddrinfo("127.0.0.1", 80),
    "socket.gethostbyname": lambda: socket.gethostbyname("127.0.0.1"),
    "socket.gethostbyname_ex": lambda: socket.gethostbyname_ex("127.0.0.1"),
    "socket.gethostbyaddr": lambda: socket.gethostbyaddr("127.0.0.1"),
    "socket.getnameinfo": lambda: socket.getnameinfo(HERE, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV),
    "asyncio.new_event_loop": lambda: asyncio.new_event_loop().close(),
    "subprocess.Popen": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "os.system": lambda: os.system("true"),  # noqa: S605  # what is refused
    "os.fork": os.fork,
    "os.forkpty": os.forkpty,
    "os.posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "os.posix_spawnp": lambda: os.posix_spawnp("true", ["true"], {}),
}
# Left out outside: they would leave a child, or ask a resolver of this machine.
HARMLESS_OUTSIDE = sorted(
    set(USES) - {"os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp", "os.system", "socket.gethostbyaddr"}
)


def test_every_refusal_of_the_table_has_its_use_here() -> None:
    assert {name for _, _, name, _ in REFUSED} == set(USES)


@pytest.mark.parametrize("name", sorted(USES))
def test_what_is_not_simulated_is_refused_by_name_with_the_way_round(name: str) -> None:
    way = next(way for _, _, shown, way in REFUSED if shown == name)
    with pytest.raises(NotSimulatedError) as caught:
        World().run(USES[name])
    assert str(caught.value) == f"{name} is not simulated inside a world - {way}"


@pytest.mark.parametrize("name", sorted(USES))
def test_a_thread_of_the_world_is_refused_too(name: str) -> None:
    async def main() -> None:
        await asyncio.to_thread(USES[name])

    with pytest.raises(NotSimulatedError, match=name):
        World().run(main)


@pytest.mark.parametrize("name", HARMLESS_OUTSIDE)
def test_outside_everything_works_as_before(name: str) -> None:
    World().run(lambda: None)
    try:
        USES[name]()
    except OSError:
        # A machine without a network answers so; that the question reached it is what counts.
        pass


def test_a_refused_class_is_still_a_class() -> None:
    def main() -> list[bool]:
        kind: Any = subprocess.Popen
        return [isinstance(kind, type), issubclass(kind, real), kind.__name__ == "Popen"]

    real = subprocess.Popen
    assert (World().run(main), subprocess.Popen is real) == ([True, True, True], True)


def test_a_second_loop_is_refused_instead_of_waiting_for_ever() -> None:
    async def inner() -> None: ...

    def main() -> None:
        coroutine = inner()
        try:
            asyncio.run(coroutine)
        finally:
            coroutine.close()

    with pytest.raises(NotSimulatedError, match="asyncio.new_event_loop"):
        World().run(main)


def test_a_pool_of_processes_is_refused() -> None:
    def main() -> None:
        with concurrent.futures.ProcessPoolExecutor(1) as pool:
            pool.submit(print).result()

    with pytest.raises(NotSimulatedError):
        World().run(main)

"""The fence: what cannot be simulated is refused by name, and only inside."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import util
from typing import Any

import pytest

from simkit.errors import NotSimulatedError
from simkit.kernel.fence import REFUSED
from simkit.kernel.world import World

# Asked for at the time of use: a function that is kept anywhere but in a module's names is the real one.
USES: dict[str, Callable[[], object]] = {
    "subprocess.Popen": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "os.system": lambda: os.system("true"),
    "os.popen": lambda: os.popen("true").close(),
    "os.fork": lambda: os.fork(),
    "os.forkpty": lambda: os.forkpty(),
    "os.posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "os.posix_spawnp": lambda: os.posix_spawnp("true", ["true"], {}),
    "_posixsubprocess.fork_exec": lambda: util.spawnv_passfds(b"/bin/true", [b"true"], []),
    "os.execv": lambda: os.execv("/bin/true", ["true"]),
    "os.execve": lambda: os.execve("/bin/true", ["true"], {}),
    "select.epoll": lambda: select.epoll().close(),
    "select.kqueue": lambda: getattr(select, "kqueue")().close(),  # noqa: B009  # not on every platform
    "signal.alarm": lambda: signal.alarm(0),
    "signal.setitimer": lambda: signal.setitimer(signal.ITIMER_REAL, 0),
    "signal.pause": lambda: signal.pause(),
    "signal.sigwait": lambda: signal.sigwait([signal.SIGUSR1]),
}
WAYS = {f"{owner.__name__}.{name}": way for owner, name, way in REFUSED if hasattr(owner, name)}
# What leaves nothing behind when it is done for real.
HARMLESS = ("subprocess.Popen", "os.system", "os.popen", "select.epoll", "signal.alarm", "signal.setitimer")


def test_every_refusal_of_the_table_has_its_use_here() -> None:
    assert set(WAYS) <= set(USES)


@pytest.mark.parametrize("name", WAYS)
def test_what_is_not_simulated_is_refused_by_name_with_the_way_round(name: str) -> None:
    with pytest.raises(NotSimulatedError) as caught:
        World().run(USES[name])
    assert str(caught.value) == f"{name} is not simulated inside a world - {WAYS[name]}"


@pytest.mark.parametrize("name", WAYS)
def test_a_thread_of_the_world_is_refused_too(name: str) -> None:
    async def main() -> None:
        await asyncio.to_thread(USES[name])

    with pytest.raises(NotSimulatedError, match=name):
        World().run(main)


@pytest.mark.parametrize("name", [name for name in HARMLESS if name in WAYS])
def test_outside_everything_works_as_before(name: str) -> None:
    World().run(lambda: None)
    assert USES[name]() is not NotImplemented


def test_a_refused_class_is_still_a_class() -> None:
    def main() -> list[bool]:
        kind: Any = subprocess.Popen
        return [isinstance(kind, type), kind.__name__ == "Popen", not isinstance(3, kind)]

    assert World().run(main) == [True, True, True]


def test_signal_handlers_and_child_processes_of_a_loop_are_refused() -> None:
    async def main() -> list[str]:
        said, loop = list[str](), asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except NotSimulatedError as error:
            said.append(str(error).split(" (")[0])
        try:
            await asyncio.create_subprocess_exec("true")
        except NotSimulatedError as error:
            said.append(str(error).split(" - ")[0])
        return said

    assert World().run(main) == ["signal handlers", "child processes are not simulated inside a world"]

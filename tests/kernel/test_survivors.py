"""Survivors: named in words that are the same on every machine."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from simkit.kernel.survivors import describe, place
from simkit.kernel.world import World

HERE = os.path.join(os.getcwd(), "agent", "loop.py")


@pytest.mark.parametrize(
    ("site", "shown"),
    [
        (None, ""),
        (("", 0), ""),
        ((HERE, 7), "agent/loop.py:7"),
        ((os.path.join(os.sep, "elsewhere", "deep", "x.py"), 3), "x.py:3"),
        (("<string>", 1), "<string>:1"),
    ],
)
def test_a_place_is_told_without_the_machines_own_folders(site: tuple[str, int] | None, shown: str) -> None:
    assert place(site) == shown


def test_the_nearest_folder_of_the_path_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [os.path.dirname(HERE), os.sep])
    assert place((HERE, 7)) == "loop.py:7"


def test_a_task_is_described_by_name_place_and_wait() -> None:
    async def inner() -> None:
        await asyncio.sleep(9)

    async def outer() -> None:
        await inner()

    async def main() -> list[str]:
        task = asyncio.create_task(outer(), name="agent")
        await asyncio.sleep(1)
        name, created, waits = describe(task)
        task.cancel()
        return [name, created.split(":")[0], waits.split(":")[0], str(int(created.split(":")[1]) > 0)]

    this = "tests/kernel/test_survivors.py"
    qualified = f"agent ({outer.__qualname__})"
    assert World().run(main) == [qualified, this, this, "True"]


def test_a_long_list_of_the_living_is_cut() -> None:
    world = World()

    async def main() -> str:
        tasks = [asyncio.create_task(asyncio.sleep(1), name=f"t{n}") for n in range(7)]
        text = world.survivors.brief()
        await asyncio.gather(*tasks)
        return text

    names = ", ".join(f"t{n} (sleep)" for n in range(5))
    assert (world.run(main), world.survivors.brief()) == (
        f"alive: {names} and 2 more",
        "alive: the main function only",
    )

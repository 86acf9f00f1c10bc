"""``simkit_world``: a world in somebody's own test, and a scenario that is played and judged in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import simkit
from simkit.errors import RunEndedError, UsageError
from simkit.testing.playing import PlayedError, PlayWorld
from tests.conftest import Folder


def plays(world: PlayWorld, path: str, **more: Any) -> Callable[[], Any]:
    """Return a main function that plays a scenario and answers each message with one word."""

    async def main() -> list[str]:
        sim = world.play(path, **more)
        heard = []
        async for text in sim.user:
            heard.append(text)
            sim.said(str(sim.settings.get("word", "hello")))
            sim.turn_ended("finished")
        return heard

    return main


def told(world: PlayWorld, main: Callable[[], Any], kind: type[BaseException] = UsageError) -> str:
    with pytest.raises(kind) as caught:
        world.run(main)
    return str(caught.value)


def test_a_world_runs_what_it_is_given_and_shows_its_time_and_its_trace(simkit_world: PlayWorld) -> None:
    async def main() -> float:
        await asyncio.sleep(90)
        return simkit_world.now

    ran = simkit_world.run(main)
    assert (ran, simkit_world.now, simkit_world.trace.of("run.end")[0].get("reason")) == (90, 90, "returned")


def test_a_played_scenario_gives_user_settings_and_provider_to_the_test(
    simkit_world: PlayWorld, folder: Folder
) -> None:
    path = folder.scenario(user="[{at: 1s, says: hi}, {at: 9s, says: there}]", settings="{word: hello}")
    assert (simkit_world.run(plays(simkit_world, path)), simkit_world.now) == (["hi", "there"], 9)


def test_a_blocking_function_can_play_too(simkit_world: PlayWorld, folder: Folder) -> None:
    def main() -> list[str]:
        sim = simkit_world.play(folder.scenario())
        sim.said("hello")
        sim.turn_ended("finished")
        return list(sim.user)

    assert simkit_world.run(main) == ["hi"]


def test_what_is_played_is_judged_at_the_end(simkit_world: PlayWorld, folder: Folder) -> None:
    path = folder.scenario(settings="{word: bye}")
    error = told(simkit_world, plays(simkit_world, path), PlayedError)
    assert [error.splitlines()[0], "simkit run" in error] == [
        'expect.last_message: expected last_message to be "hello", but it was "bye"',
        False,
    ]


def test_the_limits_of_what_is_played_hold(simkit_world: PlayWorld, folder: Folder) -> None:
    path = folder.scenario(limits="{time: 1s}", user="[{at: 2s, says: hi}]")
    assert told(simkit_world, plays(simkit_world, path), RunEndedError).startswith("horizon: ")


def test_a_cancellation_by_the_user_reaches_the_test_itself(simkit_world: PlayWorld, folder: Folder) -> None:
    path = folder.scenario(user="[{at: 0s, says: hi}, {at: 5s, cancels: true}]", expect="{outcome: cancelled}")

    async def main() -> float:
        sim = simkit_world.play(path)
        async for _ in sim.user:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                sim.turn_ended("cancelled")
                return simkit_world.now
        return 0

    assert simkit_world.run(main) == 5


def test_each_run_can_play_anew(simkit_world: PlayWorld, folder: Folder) -> None:
    path = folder.scenario()
    assert [simkit_world.run(plays(simkit_world, path)) for _ in range(2)] == [["hi"], ["hi"]]


@simkit.simulated(runs=10)
async def test_in_a_simulated_test_the_world_is_the_one_of_each_run(simkit_world: PlayWorld, tmp_path: Path) -> None:
    (tmp_path / "a.sim.yaml").write_text("simkit: 1\nscenario: Is it heard?\nprovider: []\nuser: [{at: 7s, says: x}]\n")
    sim = simkit_world.play(tmp_path / "a.sim.yaml")
    heard = [text async for text in sim.user]
    assert (heard, simkit_world.now, asyncio.get_running_loop().time()) == (["x"], 7, 7)


# -- what cannot be --
def test_one_row_of_several_has_to_be_named(simkit_world: PlayWorld, folder: Folder) -> None:
    path = folder.scenario(matrix="{x: [p, q]}", about="${x}")
    assert "rows: p, q" in told(simkit_world, plays(simkit_world, path))
    assert simkit_world.run(plays(simkit_world, path, row="q")) == ["hi"]


def test_a_scenario_is_played_in_a_run_and_not_before(simkit_world: PlayWorld, folder: Folder) -> None:
    with pytest.raises(UsageError, match="cannot be played yet: call play in what runs in the world"):
        simkit_world.play(folder.scenario())


def test_a_scenario_is_played_from_the_beginning(simkit_world: PlayWorld, folder: Folder) -> None:
    path = folder.scenario()

    async def main() -> None:
        await asyncio.sleep(5)
        simkit_world.play(path)

    assert "cannot be played at 5.000s: its times count from the beginning" in told(simkit_world, main)


def test_one_run_plays_one_scenario(simkit_world: PlayWorld, folder: Folder) -> None:
    path = folder.scenario()

    async def main() -> None:
        simkit_world.play(path), simkit_world.play(path)

    assert "one run plays one scenario" in told(simkit_world, main)


def test_a_clock_that_shows_a_time_already_is_not_set(simkit_world: PlayWorld, folder: Folder) -> None:
    path = folder.scenario(starts="2020-01-01T00:00:00Z")
    assert "has `starts:`" in told(simkit_world, plays(simkit_world, path))


def test_a_world_runs_one_thing_at_a_time(simkit_world: PlayWorld) -> None:
    async def main() -> None:
        simkit_world.run(main)

    assert "is running already" in told(simkit_world, main)

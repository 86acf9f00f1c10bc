"""Chance: all of it follows the seed inside a world, and none of it outside."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import uuid

import pytest

from simkit.kernel.entropy import stream
from simkit.kernel.world import World


def draws() -> list[object]:
    generator = random.Random()
    random.seed()
    shuffled = list(range(20))
    random.shuffle(shuffled)
    return [
        *(random.random(), random.randint(0, 10**9), shuffled, generator.random(), random.SystemRandom().random()),
        *(uuid.uuid4(), uuid.uuid1(), os.urandom(8), secrets.token_hex(8), secrets.randbelow(10**9)),
        random.Random().random(),
    ]


SOURCES = range(len(World().run(draws)))


@pytest.mark.parametrize("source", SOURCES)
def test_one_seed_gives_one_chance_and_two_seeds_two(source: int) -> None:
    first, again, other = (World(seed=seed).run(draws)[source] for seed in (1, 1, 2))
    assert (first == again, first == other) == (True, False)


def test_a_world_draws_the_same_in_each_of_its_runs() -> None:
    world = World(seed=4)
    assert world.run(draws) == world.run(draws)


def test_the_global_generator_goes_on_outside_as_if_no_world_had_been() -> None:
    random.seed(7)
    expected = [random.random() for _ in range(2)]
    random.seed(7)
    drawn = [random.random()]
    World().run(draws)
    assert [*drawn, random.random()] == expected


def test_chance_outside_is_chance() -> None:
    def outside() -> list[object]:
        return [os.urandom(8), uuid.uuid4(), random.Random().random(), secrets.token_hex(8)]

    first = outside()
    World().run(draws)
    second = outside()
    assert [a == b for a, b in zip(first, second, strict=True)] == [False] * 4


def test_streams_of_one_seed_are_each_their_own() -> None:
    drawn = {stream(seed, name).random() for seed in (0, 1) for name in ("a", "b")}
    assert (len(drawn), stream(0, "a").random() in drawn) == (4, True)


def test_a_draw_more_in_one_task_does_not_change_the_hashes_of_others() -> None:
    def hashes(draw: bool) -> list[int]:
        async def main() -> list[int]:
            if draw:
                random.random()
                os.urandom(1)
            return [hash(asyncio.create_task(asyncio.sleep(0))) for _ in range(3)]

        return World().run(main)

    assert hashes(True) == hashes(False)

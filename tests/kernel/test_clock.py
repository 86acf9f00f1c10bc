"""The clock: whole nanoseconds inside, and no float that reads early."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.kernel.clock import Clock, to_ns
from simkit.kernel.world import World
from simkit.model.duration import FOREVER


def test_a_clock_starts_at_zero_and_moves_in_whole_nanoseconds() -> None:
    clock = Clock()
    clock.advance(1_500_000_001)
    assert (clock.now_ns, clock.seconds) == (1_500_000_001, 1.500000001)


def test_a_clock_does_not_go_back() -> None:
    clock = Clock()
    clock.advance(2)
    with pytest.raises(AssertionError, match="time would go back from 2 to 1 ns"):
        clock.advance(1)


def test_a_shown_deadline_is_read_until_the_next_nanosecond() -> None:
    clock, read = Clock(), []
    clock.advance(300_000_000)
    clock.show(0.1 + 0.2)
    read.append(clock.seconds)
    clock.show(0.3)
    read.append(clock.seconds)
    clock.advance(300_000_001)
    read.append(clock.seconds)
    assert read == [0.1 + 0.2, 0.1 + 0.2, 0.300000001]


def test_what_is_too_late_to_ever_come_is_forever() -> None:
    assert [to_ns(s) for s in (0.0, 1e-9, 0.1 + 0.2, 9e9, float("inf"))] == [0, 1, 300_000_000, FOREVER, FOREVER]


def test_one_tenth_and_two_tenths_fire_at_their_exact_nanosecond() -> None:
    world = World()

    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        fired = loop.create_future()
        loop.call_at(0.1 + 0.2, fired.set_result, None)
        await fired
        return world.clock.now_ns, loop.time()

    assert world.run(main) == (300_000_000, 0.1 + 0.2)


@given(st.lists(st.floats(min_value=-1, max_value=1e6, allow_nan=False), min_size=1, max_size=30))
def test_a_timer_never_fires_early_and_order_is_deadline_then_arming(deadlines: list[float]) -> None:
    async def main() -> list[tuple[int, int]]:
        loop, fired, early = asyncio.get_running_loop(), list[tuple[int, int]](), list[float]()

        def fire(number: int, when: float) -> None:
            fired.append((to_ns(when), number))
            early.extend([when] if loop.time() < when else [])

        for number, when in enumerate(deadlines):
            loop.call_at(when, fire, number, when)
        await asyncio.sleep(2e6 / 2)
        await asyncio.sleep(1)
        assert early == []
        return fired

    assert World(horizon_ns=10**18).run(main) == sorted((to_ns(w), n) for n, w in enumerate(deadlines))


def test_ten_thousand_sleeps_of_a_tenth_end_at_a_thousand_seconds_to_the_nanosecond() -> None:
    world = World()

    async def main() -> int:
        for _ in range(10_000):
            await asyncio.sleep(0.1)
        return world.clock.now_ns

    assert world.run(main) == 1_000_000_000_000

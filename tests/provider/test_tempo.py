from __future__ import annotations

import asyncio
from collections.abc import Callable

from simkit.model.duration import FOREVER, NS_PER_S
from simkit.provider.tempo import MAX, Tempo, tempo


def run(speed: float, script: Callable[[Tempo, list[object]], object], *, turns: int = 20) -> list[object]:
    """What a script noted within so many turns of the loop."""
    noted = list[object]()

    async def main() -> None:
        script(tempo(asyncio.get_running_loop(), speed), noted)
        for _ in range(turns):
            await asyncio.sleep(0)

    asyncio.run(main())
    return noted


def test_without_waiting_pauses_end_in_the_order_of_their_instants_and_the_clock_stands_there() -> None:
    def script(clock: Tempo, noted: list[object]) -> None:
        for seconds in (3600, 1, 60, 1):
            clock.call_later_ns(seconds * NS_PER_S, lambda n=seconds: noted.append((n, clock.now_ns)))  # type: ignore[misc]  # bound now

    assert run(MAX, script) == [(n, n * NS_PER_S) for n in (1, 1, 60, 3600)]


def test_without_waiting_each_pause_takes_a_turn_of_the_loop() -> None:
    def script(clock: Tempo, noted: list[object]) -> None:
        def pause() -> None:
            noted.append("pause")
            asyncio.get_running_loop().call_soon(noted.append, "the rest")

        for _ in range(2):
            clock.call_later_ns(NS_PER_S, pause)

    assert run(MAX, script) == ["pause", "the rest", "pause", "the rest"]


def test_what_is_cancelled_or_for_ever_never_comes() -> None:
    def script(clock: Tempo, noted: list[object]) -> None:
        clock.call_later_ns(1, lambda: noted.append("cancelled")).cancel()
        clock.call_later_ns(FOREVER, lambda: noted.append("for ever"))
        clock.call_later_ns(2, lambda: clock.call_later_ns(FOREVER, lambda: noted.append("for ever")))
        clock.call_later_ns(3, lambda: noted.append(clock.now_ns))

    assert run(MAX, script) == [3]


def test_a_speed_makes_the_same_time_shorter() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        clock, over = tempo(loop, 1000.0), asyncio.Event()
        clock.call_later_ns(20 * NS_PER_S, over.set)
        await over.wait()
        return clock.now_ns // (20 * NS_PER_S)

    # Late by less than as long again, however busy the machine is within 20 ms times a hundred.
    assert 1 <= asyncio.run(main()) < 100

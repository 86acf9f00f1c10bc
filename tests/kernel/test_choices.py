"""What can vary: every kind of choice is found by a seed, is told in words, and replays from the text of its plan."""

from __future__ import annotations

import asyncio
import functools
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from simkit.errors import RunEndedError
from simkit.kernel.world import World
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario, ToolSpec, UserSays
from simkit.subjects.sim import ScenarioSim
from tests.kernel.wire import Http, serve_http, steps

MS = 1_000_000
Program = Callable[[World], Callable[[], Any]]


def outcome(program: Program, **keywords: Any) -> tuple[object, World]:
    """What a program returns in a world made with these keywords, and that world."""
    world = World(**keywords)
    return world.run(program(world)), world


def outcomes(program: Program, seeds: int, **keywords: Any) -> list[object]:
    """What it returns under each of so many seeds."""
    return [outcome(program, seed=seed, strategy="uniform", **keywords)[0] for seed in range(seeds)]


def found(program: Program, wanted: object, seeds: int = 50, **keywords: Any) -> World:
    """The first world under whose seed the program returns this."""
    for seed in range(seeds):
        result, world = outcome(program, seed=seed, strategy="uniform", **keywords)
        if result == wanted:
            return world
    raise AssertionError(f"none of {seeds} seeds gives {wanted!r}")


def picked(world: World) -> list[tuple[object, object]]:
    return [(e.get("choice"), e.get("picked")) for e in world.trace.of("choice")]


def sim_of(world: World, *tools: ToolSpec, says: tuple[UserSays, ...] = ()) -> ScenarioSim:
    scenario = Scenario(title="a case", provider=(), tools={t.name: t for t in tools}, user=says)
    return ScenarioSim(world, scenario, {}, str)


# -- near misses: a result at 4.999 s against a deadline of 5 s -------------------------------------------------------
def sleep_in_task(world: World) -> Callable[[], Any]:
    async def main() -> str:
        task = asyncio.create_task(asyncio.sleep(4.999, "result"), name="worker")
        try:
            async with asyncio.timeout(5):
                return await task
        except TimeoutError:
            return "timeout"

    return main


def scenario_tool(world: World) -> Callable[[], Any]:
    sim = sim_of(world, ToolSpec(name="slow", takes_ns=4_999 * MS, returns="result"))

    async def main() -> object:
        try:
            return await asyncio.wait_for(sim.tools["slow"](), 5)
        except TimeoutError:
            return "timeout"

    return main


def reply_to_httpx2(world: World) -> Callable[[], Any]:
    def answer(http: Http, request: object) -> None:
        world.call_later_ns(4_999 * MS, lambda: http.say("result"))

    serve_http(world, "api.example.com", answer)

    async def main() -> str:
        async with httpx2.AsyncClient(timeout=5) as client:
            try:
                return (await client.get("http://api.example.com/")).text
            except httpx2.ReadTimeout:
                return "timeout"

    return main


def blocking_reply_to_httpx2(world: World) -> Callable[[], Any]:
    reply_to_httpx2(world)

    def main() -> str:
        with httpx2.Client(timeout=5) as client:
            try:
                return client.get("http://api.example.com/").text
            except httpx2.ReadTimeout:
                return "timeout"

    return main


def queue_between_threads(world: World) -> Callable[[], Any]:
    def main() -> str:
        box = queue.Queue[str]()
        make = steps(lambda: time.sleep(4.999), lambda: box.put("result"))
        threading.Thread(target=make, name="maker").start()
        try:
            return box.get(timeout=5)
        except queue.Empty:
            return "timeout"

    return main


NEAR_MISSES: list[Program] = [
    sleep_in_task,
    scenario_tool,
    reply_to_httpx2,
    blocking_reply_to_httpx2,
    queue_between_threads,
]


@pytest.mark.parametrize("program", NEAR_MISSES)
def test_a_near_miss_is_found_and_replays_from_the_text_of_its_plan(program: Program) -> None:
    world = found(program, "timeout", jitter=0.005)
    replayed, again = outcome(program, plan=Plan.parse(world.taken.text()))
    assert (replayed, again.trace) == ("timeout", world.trace)


@pytest.mark.parametrize("program", NEAR_MISSES)
def test_without_a_window_nothing_is_missed(program: Program) -> None:
    seeds = 200 if program in (sleep_in_task, scenario_tool) else 40
    assert set(outcomes(program, seeds)) == {"result"}


@pytest.mark.parametrize("program", NEAR_MISSES)
def test_the_default_run_makes_no_choice_however_wide_the_window(program: Program) -> None:
    wide, narrow = outcome(program, jitter=0.005), outcome(program)
    assert (wide[0], wide[1].trace, wide[1].taken.deviations) == ("result", narrow[1].trace, ())


@pytest.mark.parametrize("late_ms", [6, 9, 1_000])
def test_what_is_further_from_the_deadline_than_the_window_never_crosses_it(late_ms: int) -> None:
    def program(world: World) -> Callable[[], Any]:
        sim = sim_of(world, ToolSpec(name="slow", takes_ns=(5_000 - late_ms) * MS))

        async def main() -> object:
            loop = asyncio.get_running_loop()
            # Other deadlines on the way, which could carry an event from window to window.
            for step in range(3):
                loop.call_at(5 - late_ms / 1000 + (step + 1) * 0.0029, lambda: None)
            return await asyncio.wait_for(sim.tools["slow"](), 5)

        return main

    assert set(outcomes(program, 50, jitter=0.005)) == {"ok"}


@pytest.mark.parametrize("wanted", ["result", "timeout"])
def test_an_event_just_after_a_deadline_may_come_before_it(wanted: str) -> None:
    def program(world: World) -> Callable[[], Any]:
        sim = sim_of(world, ToolSpec(name="slow", takes_ns=5_001 * MS, returns="result"))

        async def main() -> object:
            try:
                return await asyncio.wait_for(sim.tools["slow"](), 5)
            except TimeoutError:
                return "timeout"

        return main

    world = found(program, wanted, jitter=0.005)
    assert outcome(program, plan=world.taken)[1].trace == world.trace


# -- ties -------------------------------------------------------------------------------------------------------------
def two_tools(world: World) -> Callable[[], Any]:
    sim = sim_of(world, *(ToolSpec(name=name, takes_ns=10**9) for name in "ab"))
    order = list[str]()

    async def use(name: str) -> None:
        await sim.tools[name]()
        order.append(name)

    async def main() -> str:
        await asyncio.gather(use("a"), use("b"))
        return "".join(order)

    return main


def test_events_of_one_instant_come_in_either_order_and_the_choice_names_them() -> None:
    world = found(two_tools, "ba")
    assert ("tie", "run 2 of b") in picked(world) or ("suspend", "run 1 of a suspends once more") in picked(world)
    assert outcome(two_tools)[0] == "ab"


@pytest.mark.parametrize(
    ("wanted", "choice"), [("event", []), ("timer", [("deadline", "the deadline of MainThread first")])]
)
def test_a_timer_may_come_before_an_event_of_its_instant(wanted: str, choice: list[tuple[str, str]]) -> None:
    def program(world: World) -> Callable[[], Any]:
        async def main() -> str:
            loop, order = asyncio.get_running_loop(), list[str]()
            world.call_at_ns(10**9, lambda: loop.call_soon_threadsafe(order.append, "event"))
            loop.call_at(1, order.append, "timer")
            await asyncio.sleep(2)
            return order[0]

        return main

    assert picked(found(program, wanted)) == choice


def test_what_one_user_says_keeps_its_order() -> None:
    def program(world: World) -> Callable[[], Any]:
        sim = sim_of(world, says=tuple(UserSays(at_ns=10**9, text=text) for text in "abcd"))

        async def main() -> str:
            return "".join([text async for text in sim.user])

        return main

    assert set(outcomes(program, 20, jitter=0.005)) == {"abcd"}


def test_bytes_of_one_connection_keep_their_order_while_connections_overtake_each_other() -> None:
    def program(world: World) -> Callable[[], Any]:
        def answer(http: Http, request: Any) -> None:
            for part in range(4):
                send = functools.partial(http.endpoint.send, f"{request.path}{part} ".encode())
                world.call_later_ns(part * MS, send)
            world.call_later_ns(5 * MS, http.endpoint.close)

        serve_http(world, "api.example.com", answer)

        async def ask(path: str, log: list[str]) -> None:
            reader, writer = await asyncio.open_connection("api.example.com", 80)
            writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            while text := (await reader.read(1000)).decode():
                log.extend(text.split())
            writer.close()

        async def main() -> tuple[str, ...]:
            log = list[str]()
            await asyncio.gather(ask("/a", log), ask("/b", log))
            return tuple(log)

        return main

    logs: set[Any] = set(outcomes(program, 20, jitter=0.002))
    by_path = {tuple(word for word in log if word.startswith(path)) for log in logs for path in ("/a", "/b")}
    assert (len(logs) > 5, by_path) == (True, {tuple(f"{path}{n}" for n in range(4)) for path in ("/a", "/b")})


# -- threads, one suspension more, any order --------------------------------------------------------------------------
def test_which_thread_goes_on_is_chosen_by_name() -> None:
    def program(world: World) -> Callable[[], Any]:
        def main() -> str:
            order = list[str]()

            def work(name: str) -> None:
                time.sleep(1)
                order.append(name)

            threads = [threading.Thread(target=work, args=(name,), name=f"worker-{name}") for name in "abc"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return "".join(order)

        return main

    world = found(program, "cba")
    assert {("thread", "worker-c")} <= set(picked(world))
    assert (outcome(program)[0], outcome(program, plan=world.taken)[1].trace) == ("abc", world.trace)


@pytest.mark.parametrize(
    ("wanted", "choice"), [("tool", []), ("other", [("suspend", "run 1 of fast suspends once more")])]
)
def test_a_tool_may_suspend_once_more(wanted: str, choice: list[tuple[str, str]]) -> None:
    def program(world: World) -> Callable[[], Any]:
        sim, order = sim_of(world, ToolSpec(name="fast")), list[str]()

        async def use() -> None:
            await sim.tools["fast"]()
            order.append("tool")

        async def other() -> None:
            await asyncio.sleep(0)
            order.append("other")

        async def main() -> str:
            await asyncio.gather(use(), other())
            return order[0]

        return main

    assert picked(found(program, wanted)) == choice


def three_tasks(world: World) -> Callable[[], Any]:
    async def main() -> str:
        order = list[str]()

        async def work(name: str) -> None:
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(work(name), name=name)
        return "".join(order)

    return main


def test_ready_callbacks_keep_their_order_unless_any_order_is_asked_for() -> None:
    timing, anyhow = set(outcomes(three_tasks, 30)), set(outcomes(three_tasks, 30, order="any"))
    assert (timing, anyhow) == ({"abc"}, {"abc", "acb", "bac", "bca", "cab", "cba"})


def test_any_order_names_the_tasks_and_its_plan_says_so() -> None:
    world = found(three_tasks, "cba", order="any")
    assert (world.taken.order, ("order", "c") in picked(world)) == ("any", True)
    assert outcome(three_tasks, plan=Plan.parse(world.taken.text()))[1].trace == world.trace


# -- what no plan may change ------------------------------------------------------------------------------------------
def test_a_thousand_equal_sleeps_end_in_the_order_of_their_start() -> None:
    def program(world: World) -> Callable[[], Any]:
        async def main() -> bool:
            order = list[int]()

            async def sleeper(number: int) -> None:
                await asyncio.sleep(1)
                order.append(number)

            await asyncio.gather(*(sleeper(number) for number in range(1000)))
            return order == list(range(1000))

        return main

    assert [outcome(program)[0], *outcomes(program, 20, jitter=0.005)] == [True] * 21


def test_a_spin_until_a_deadline_ends_at_the_deadline() -> None:
    def program(world: World) -> Callable[[], Any]:
        async def main() -> float:
            loop = asyncio.get_running_loop()
            end = loop.time() + 0.25
            while loop.time() < end:
                await asyncio.sleep(0)
            return loop.time()

        return main

    assert [outcome(program)[0], *outcomes(program, 2)] == [0.25] * 3


# -- plans ------------------------------------------------------------------------------------------------------------
def ended(plan: str, program: Program = two_tools) -> str:
    world = World(plan=Plan.parse(plan))
    with pytest.raises(RunEndedError) as caught:
        world.run(program(world))
    assert [e.get("reason") for e in world.trace.of("run.end")] == [caught.value.reason]
    return str(caught.value)


def test_a_deviation_that_does_not_fit_ends_the_run_and_names_the_choice() -> None:
    assert [ended(f"seed=0,{deviation}") for deviation in ("thread@0:1", "tie@0:2")] == [
        f"plan: the plan's {deviation} does not fit: choice 0 is a choice of tie among 2 (run 1 of a, run 2 of b) "
        "(at 1.000s)"
        for deviation in ("thread@0:1", "tie@0:2")
    ]


def test_a_deviation_that_is_never_reached_ends_the_run_and_is_named() -> None:
    assert ended("seed=0,tie@0:1,tie@9:1") == (
        "plan: the plan's tie@9:1 was never reached: the run made 3 choices (the run ended: returned)"
    )


def test_a_plan_that_is_not_reached_is_told_also_where_the_program_fails() -> None:
    def program(world: World) -> Callable[[], Any]:
        return lambda: dict[str, str]()["no"]

    assert ended("seed=0,tie@0:1", program) == (
        "plan: the plan's tie@0:1 was never reached: the run made 0 choices (the run ended: raised, KeyError: 'no')"
    )


def test_a_plan_overrides_the_strategy() -> None:
    assert {outcome(two_tools, seed=s, strategy="uniform", plan=Plan(s))[1].taken for s in range(9)} == set(
        map(Plan, range(9))
    )


def test_what_teardown_does_is_no_choice() -> None:
    def program(world: World) -> Callable[[], Any]:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            for _ in range(3):
                loop.run_in_executor(None, threading.Event().wait)
            await asyncio.sleep(1)

        return main

    runs = [outcome(program, seed=seed, strategy="uniform")[1] for seed in range(5)]
    assert [outcome(program, plan=world.taken)[1].trace for world in runs] == [world.trace for world in runs]

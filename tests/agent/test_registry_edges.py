"""The registry where its rules meet: the cap and those who will not stop, a waiter and an eviction, two ends at once.

The idea: each test is one such meeting, in a world, with exact times. The constraint: what one rule gives, another
must not take away. What one rule says alone stands in ``test_registry``.
"""

from __future__ import annotations

import asyncio

import pytest

from simkit.agent.decisions import Limits
from simkit.agent.history import Call
from simkit.agent.session import Session
from simkit.agent.tools import FunctionTool, Round
from tests.agent.jump import now
from tests.agent.parking import Desk, Model, OnCancel, Work, at, raising, seen
from tests.agent.scripted import Facts, calls, says

STUCK: OnCancel = "goes on"


def test_where_nobody_can_be_made_to_go_a_call_stays_in_the_foreground() -> None:
    async def main() -> object:
        desk = Desk(limits=Limits(background_cap=2))
        for n in range(2):
            await desk.park(desk.work.tool(f"stuck {n}", 60 + 10 * n, on_cancel=STUCK))
        waits = await desk.call(desk.work.tool("waits", 40)), now()
        reply = await desk.call(desk.work.tool("parked", 100))
        parked = len(reply["evicted"]), now(), desk.work.alive
        await desk.registry.aclose(60)
        return waits, parked

    # The first of the two ends at 60 s, with a result that has to go.
    assert seen(main) == ((("waits ok", 50.0), (1, 60.0, 2)), [])


def test_several_calls_that_need_room_at_one_instant_do_not_take_the_same_place() -> None:
    async def main() -> object:
        desk = Desk(limits=Limits(background_cap=2))
        for n in range(2):
            await desk.park(desk.work.tool(f"old {n}", 1_000))
        tools = {f"new {n}": desk.work.tool(f"new {n}", 1_000, on_cancel="tidies") for n in range(4)}
        await Round([Call(name, name) for name in tools], tools, desk.facts, desk.registry).run()
        alive, most = desk.work.alive, len(desk.registry.ledger.parked)
        await desk.registry.aclose()
        return alive, most, len(desk.facts.of("evicted")), now()

    assert seen(main) == ((2, 2, 4, 15 + 2 + 2 + 2), [])


def test_a_result_that_somebody_waits_for_is_not_dropped_in_the_instant_of_its_end() -> None:
    async def main() -> object:
        desk = Desk(limits=Limits(background_cap=1))
        background_id = await desk.park(desk.work.tool("old", 10))
        waiter = asyncio.create_task(desk.status(background_id, wait_seconds=60))
        reply = await desk.call(desk.work.tool("new", 60))
        heard = await waiter
        await desk.registry.aclose()
        return heard, "evicted" in reply

    assert seen(main) == ((("completed", "old ok"), False), [])


def test_a_call_that_tidies_up_is_not_disturbed_by_a_second_cancel() -> None:
    async def main() -> object:
        desk = Desk()
        background_id = await desk.park(desk.work.tool("slow", 60, on_cancel="tidies"))
        first = asyncio.create_task(desk.status(background_id, cancel=True))
        second = await at(1, lambda: desk.status(background_id, cancel=True))
        await desk.registry.aclose()
        return await first, second, desk.work.log

    assert seen(main) == ((("cancelled", None), ("cancelled", None), [(7.0, "slow stopped")]), [])


def test_a_call_that_did_not_stop_is_asked_again_by_a_cancel_long_after() -> None:
    asked: list[float] = []

    async def deaf() -> object:
        while len(asked) < 2:
            try:
                await asyncio.sleep(1_000)
            except asyncio.CancelledError:
                asked.append(now())
        raise asyncio.CancelledError

    async def main() -> object:
        desk = Desk()
        background_id = await desk.park(FunctionTool("deaf", "", {}, deaf, timeout_s=5))
        heard = [(await desk.status(background_id, cancel=True), now()) for _ in range(2)]
        await desk.registry.aclose()
        return heard, asked

    heard = [(("cancelling", None), 10.0), (("cancelled", None), 10.0)]
    assert seen(main) == ((heard, [5.0, 10.0]), [])


def test_the_end_of_a_session_asks_twice_within_its_grace() -> None:
    asked: list[float] = []

    async def deaf() -> object:
        while len(asked) < 2:
            try:
                await asyncio.sleep(1_000)
            except asyncio.CancelledError:
                asked.append(now())
        return "at last"

    async def main() -> object:
        desk = Desk()
        await desk.park(FunctionTool("deaf", "", {}, deaf, timeout_s=5))
        return await desk.registry.aclose(), asked

    assert seen(main) == (((), [5.0, 10.0]), [])


def test_without_a_background_every_call_runs_to_its_end() -> None:
    async def main() -> object:
        desk = Desk(limits=Limits(background_cap=0))
        reply = await desk.call(desk.work.tool("slow", 100)), now()
        await desk.registry.aclose()
        return reply

    assert seen(main) == (("slow ok", 100.0), [])


def test_a_call_whose_round_is_torn_down_while_it_waits_for_room_is_stopped() -> None:
    async def main() -> object:
        desk = Desk(limits=Limits(background_cap=1))
        await desk.park(desk.work.tool("stuck", 60, on_cancel=STUCK))
        waits = asyncio.create_task(desk.call(desk.work.tool("waits", 100)))
        await asyncio.sleep(20)
        waits.cancel()
        await asyncio.wait([waits])
        log = list(desk.work.log)
        await desk.registry.aclose(60)
        return log, desk.work.log[len(log) :]

    assert seen(main) == (([(25.0, "waits stopped")], [(60.0, "stuck did")]), [])


def test_a_round_that_is_torn_down_twice_still_leaves_its_calls_known() -> None:
    async def main() -> object:
        desk = Desk()
        round_ = asyncio.create_task(desk.call(desk.work.tool("stuck", 60, on_cancel=STUCK)))
        for _ in range(2):
            await asyncio.sleep(1)
            round_.cancel()
        await asyncio.wait([round_])
        torn_down_s = now()
        left = [status.tool for status in await desk.registry.aclose(1)]
        await asyncio.sleep(60)
        return torn_down_s, left

    assert seen(main) == ((2.0, ["stuck"]), [])


def test_an_end_that_is_itself_cancelled_has_asked_everybody_and_can_be_asked_again() -> None:
    async def main() -> object:
        desk = Desk()
        for n in range(3):
            await desk.park(desk.work.tool(f"slow {n}", 1_000, on_cancel="tidies"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await desk.registry.aclose()
        left = await desk.registry.aclose()
        return left, desk.work.log

    assert seen(main) == (((), [(17.0, f"slow {n} stopped") for n in range(3)]), [])


def test_after_the_end_nothing_is_run() -> None:
    async def main() -> object:
        desk = Desk()
        await desk.registry.aclose()
        return await desk.call(desk.work.tool("late", 1)), desk.work.log

    assert seen(main) == (({"error": "the session is closed, so nothing was run"}, []), [])


def test_what_is_meant_to_end_the_program_is_an_error_of_a_call_that_is_parked() -> None:
    class WorldEnd(BaseException):
        pass

    async def main() -> object:
        desk = Desk()
        background_id = await desk.park(desk.work.tool("slow", 7, gives=raising(WorldEnd("now"))))
        status = await desk.status(background_id)
        await desk.registry.aclose()
        return status

    assert seen(main) == (("error", "WorldEnd: now"), [])


def test_every_parked_call_is_told_to_have_ended_once() -> None:
    async def main() -> Facts:
        desk = Desk(limits=Limits(background_cap=2))
        ids = [await desk.park(desk.work.tool(f"slow {n}", 30)) for n in range(3)]
        await desk.check(ids[1], cancel=True)
        await desk.check(ids[2], wait_seconds=60)
        await desk.park(desk.work.tool("last", 30))
        await desk.registry.aclose()
        return desk.facts

    told = seen(main)[0].of("background_ended")
    assert [(values["tool"], values["status"]) for _, _, values in told] == [
        ("slow 0", "evicted"),
        ("slow 1", "cancelled"),
        ("slow 2", "completed"),
        ("last", "cancelled"),
    ]


def test_facts_hold_no_secrets_and_no_long_texts() -> None:
    async def main() -> Facts:
        desk = Desk()
        await desk.park(desk.work.tool("slow", 60), url="a", auth={"api_key": "b"}, text="x" * 300)
        await desk.registry.aclose()
        return desk.facts

    (parked,) = seen(main)[0].of("parked")
    assert parked[2]["args"] == {"url": "a", "auth": "***", "text": "x" * 200 + "..."}


def test_ids_are_chance_and_follow_the_seed() -> None:
    async def main() -> str:
        desk = Desk()
        background_id = await desk.park(desk.work.tool("slow", 6))
        await desk.registry.aclose()
        return background_id

    ids = [seen(main, seed=seed)[0] for seed in (1, 1, 2)]
    assert (ids[0] == ids[1], ids[1] == ids[2], ids[0][:3], len(bytes.fromhex(ids[0][3:]))) == (True, False, "bg-", 6)


# -- in a session ----------------------------------------------------------------------------------
def offered(*tools: FunctionTool, limits: Limits | None = None) -> list[str]:
    """The tools that the model is offered."""
    model = Model(says("ok"))

    async def main() -> None:
        async with Session(model, tools=tools, limits=limits or Limits()) as talk:
            await talk.send("hi")

    seen(main)
    return list(model.requests[0].tools)


def test_the_check_tool_is_offered_where_a_call_may_be_parked() -> None:
    work = Work()
    budgeted, free = work.tool("budgeted", 1), work.tool("free", 1, budget_s=None)
    assert [
        offered(budgeted, free),
        offered(free),
        offered(),
        offered(budgeted, limits=Limits(background_cap=0)),
    ] == [["budgeted", "free", "check_background_tool"], ["free"], [], ["budgeted"]]


def test_a_tool_that_takes_the_name_of_the_check_tool_is_refused() -> None:
    with pytest.raises(ValueError, match="a tool is called 'check_background_tool', which is the session's own"):
        Session(Model(), tools=[Work().tool("check_background_tool", 1)])


def test_a_tool_without_a_budget_of_its_own_has_the_sessions() -> None:
    async def main() -> object:
        work, facts = Work(), Facts()
        tool = FunctionTool("slow", "", {}, work.tool("slow", 700).run)
        model = Model(calls(("slow", "{}")), says("ok"))
        async with Session(model, tools=[tool], observe=facts) as talk:
            await talk.send("go")
        return [(at_s, values["after_s"]) for at_s, _, values in facts.of("parked")], work.log

    assert seen(main) == (([(600.0, 600.0)], [(600.0, "slow stopped")]), [])


def test_the_error_of_a_call_that_outlives_its_round_is_told_to_the_observer() -> None:
    async def main() -> object:
        desk = Desk()
        late = desk.work.tool("late", 12, budget_s=60, on_cancel=STUCK, gives=raising(RuntimeError("no disk")))
        turn = asyncio.create_task(desk.call(late))
        await asyncio.sleep(3)
        turn.cancel()
        await asyncio.wait([turn])
        left = await desk.registry.aclose()
        return left, [(values["tool"], values["error"]) for _, _, values in desk.facts.of("tool_failed")], now()

    assert seen(main) == (((), [("late", "RuntimeError: no disk")], 12.0), [])

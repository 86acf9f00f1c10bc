"""The thirty-three invariants of a background-task registry, each played in a world, and without its safeguard.

The idea: an invariant is a coroutine that returns what can be seen of it, so the same one is played with the sound
parts, in twenty other orders, and with the planted fault that it is there to find. The constraint: what is seen is
what the model reads and what the tools did, with virtual times, and what was left over; never a private field.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from simkit.agent.decisions import Limits
from simkit.agent.history import Call
from simkit.agent.tools import Round
from tests.agent.jump import now
from tests.agent.parking import (
    CANCELLED_ITSELF,
    SOUND,
    Desk,
    Model,
    Parts,
    Work,
    asks,
    at,
    raising,
    results_in,
    seen,
    seen_in_any_order,
    session,
    word,
)
from tests.agent.registry_flaws import FLAWS
from tests.agent.scripted import calls, says

Play = Callable[[Parts], Awaitable[object]]


def sound(play: Play) -> object:
    """What is seen with the sound parts, nothing being left over."""
    result, left = seen(lambda: play(SOUND))
    assert left == []
    return result


def sound_in_any_order(play: Play) -> list[object]:
    """The different things that are seen with the sound parts in other orders, nothing being left over."""
    outcomes = seen_in_any_order(lambda: play(SOUND))
    assert [left for _, left in outcomes if left] == []
    return [result for result, _ in outcomes]


def always(play: Play) -> object:
    """The one thing that is seen with the sound parts in every order."""
    first = sound(play)
    assert sound_in_any_order(play) == [first]
    return first


# -- whose calls they are --------------------------------------------------------------------------
async def inv_01(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 10))
    status = await desk.status(background_id, wait_seconds=60)
    await desk.registry.aclose()
    return status


def test_01_a_call_parked_in_one_task_is_found_by_the_next() -> None:
    assert always(inv_01) == ("completed", "slow ok")


async def inv_02(parts: Parts) -> object:
    desk = Desk(parts)
    await desk.park(desk.work.tool("slow", 10))
    left = await desk.registry.aclose()
    return [s.tool for s in left], desk.work.log, desk.work.alive


def test_02_the_end_of_a_session_ends_what_was_parked_in_other_contexts() -> None:
    assert always(inv_02) == ([], [(5.0, "slow stopped")], 0)


async def inv_03(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 10))

    async def sub_agent() -> object:
        own = Desk(parts)
        listed = await own.check(list=True)
        cancelled = await own.status(background_id, cancel=True)
        await own.registry.aclose()
        return listed["tasks"], cancelled[0]

    of_the_child = await asyncio.create_task(sub_agent())
    of_the_parent = await desk.status(background_id, wait_seconds=60)
    await desk.registry.aclose()
    return of_the_child, of_the_parent


def test_03_a_sub_agent_neither_sees_nor_cancels_its_parents_calls() -> None:
    assert always(inv_03) == (([], "unknown_id"), ("completed", "slow ok"))


async def inv_04(parts: Parts) -> object:
    work = Work()
    model = Model(calls(("slow", "{}")), says("one"), says("two"))
    async with session(parts, model, work.tool("slow", 60)) as talk:
        await talk.send("go")
        await talk.send("go on")
    return work.log


def test_04_a_second_turn_leaves_no_untracked_call() -> None:
    assert always(inv_04) == [(5.0, "slow stopped")]


async def stream(parts: Parts, work: Work, name: str) -> AsyncGenerator[str, None]:
    model = Model(calls((name, "{}")), says("parked"), says("never"))
    async with session(parts, model, work.tool(name, 60)) as talk:
        yield (await talk.send("go")).text
        yield (await talk.send("go on")).text


async def inv_30(parts: Parts) -> object:
    work = Work()
    dropped, kept = stream(parts, work, "a"), stream(parts, work, "b")
    said = [await anext(dropped), await anext(kept)]
    del dropped
    gc.collect()
    await asyncio.sleep(1)
    after_the_drop = list(work.log)
    await kept.aclose()
    return said, after_the_drop, work.log[len(after_the_drop) :]


def test_30_dropping_the_stream_of_one_session_ends_its_calls_and_no_others() -> None:
    assert always(inv_30) == (["parked", "parked"], [(10.0, "a stopped")], [(11.0, "b stopped")])


async def inv_31(parts: Parts) -> object:
    work = Work()
    model = Model(
        calls(("slow", "{}")),
        says("parked"),
        lambda read: asks(background_id=read[0]["background_id"], wait_seconds=60),
        says("done"),
    )
    async with session(parts, model, work.tool("slow", 10)) as talk:
        await talk.send("go")
        await talk.send("go on")
        return word(results_in(talk.history)[-1]), work.log


def test_31_an_id_of_one_turn_can_be_asked_for_in_the_next() -> None:
    assert always(inv_31) == (("completed", "slow ok"), [(10.0, "slow did")])


# -- the cap ---------------------------------------------------------------------------------------
async def inv_05(parts: Parts) -> object:
    desk = Desk(parts)
    for n in range(33):
        await desk.park(desk.work.tool(f"slow {n}", 1000, budget_s=1, on_cancel="tidies"))
    alive = desk.work.alive
    await desk.registry.aclose()
    return alive, now(), desk.work.alive


def test_05_when_a_call_has_been_parked_no_more_than_the_cap_are_alive() -> None:
    assert always(inv_05) == (32, 33 + 2 + 2, 0)


async def inv_06(parts: Parts) -> object:
    desk = Desk(parts)
    await desk.park(desk.work.tool("long", 1000, budget_s=1))
    ended = [await desk.park(desk.work.tool(f"short {n}", 2, budget_s=1)) for n in range(31)]
    await asyncio.sleep(1)
    reply = await desk.call(desk.work.tool("last", 1000, budget_s=1))
    stopped = [did for did in desk.work.log if "stopped" in did[1]]
    await desk.registry.aclose()
    return reply.get("evicted") == ended[:1], stopped


def test_06_what_has_ended_goes_before_what_runs_is_cancelled() -> None:
    assert always(inv_06) == (True, [])


async def inv_07(parts: Parts) -> object:
    desk = Desk(parts, Limits(background_cap=2))
    first, second = [await desk.park(desk.work.tool(f"short {n}", 2, budget_s=1)) for n in range(2)]
    await asyncio.sleep(1)
    reply = await desk.call(desk.work.tool("last", 10))
    listed = [task["status"] for task in (await desk.check(list=True))["tasks"]]
    asked = await desk.check(first), await desk.status(second)
    await desk.registry.aclose()
    return reply.get("evicted") == [first], listed, word(asked[0]), "it was completed" in asked[0]["message"], asked[1]


def test_07_a_result_that_had_to_go_is_told_to_the_agent() -> None:
    listed = ["evicted", "completed", "still_running"]
    assert always(inv_07) == (True, listed, ("evicted", None), True, ("completed", "short 1 ok"))


async def inv_08(parts: Parts) -> object:
    desk = Desk(parts, Limits(background_cap=3))
    tools = {name: desk.work.tool(name, 1000) for name in ("a", "b", "c")}
    await Round([Call(name, name) for name in tools], tools, desk.facts, desk.registry).run()
    parked = [values["background_id"] for _, _, values in desk.facts.of("parked")]
    evicted = [(await desk.call(desk.work.tool(name, 1000)))["evicted"] for name in ("d", "e")]
    await desk.registry.aclose()
    return len(parked), {at_s for at_s, _, _ in desk.facts.of("parked")[:3]}, [[p] for p in parked[:2]] == evicted


def test_08_calls_parked_at_one_instant_are_evicted_in_their_order() -> None:
    assert always(inv_08) == (3, {5.0}, True)


async def inv_29(parts: Parts) -> object:
    desk = Desk(parts, Limits(background_cap=1))
    background_id = await desk.park(desk.work.tool("old", 1000))
    waiter = asyncio.create_task(desk.status(background_id, wait_seconds=100))
    await desk.park(desk.work.tool("new", 1000))
    heard = await waiter, now()
    await desk.registry.aclose()
    return heard


def test_29_a_waiter_hears_that_its_call_was_evicted() -> None:
    assert always(inv_29) == (("evicted", None), 10.0)


# -- cancelling ------------------------------------------------------------------------------------
async def inv_09(parts: Parts) -> object:
    desk = Desk(parts)
    heard = []
    for on_cancel in ("tidies", "goes on"):
        background_id = await desk.park(desk.work.tool(on_cancel, 20, on_cancel=on_cancel))
        heard.append((await desk.status(background_id, cancel=True), now()))
    heard.append((await desk.status(background_id, wait_seconds=60), now()))
    await desk.registry.aclose()
    return heard, desk.work.log


def test_09_cancelled_is_said_when_nothing_can_happen_any_more() -> None:
    heard = [(("cancelled", None), 7.0), (("cancelling", None), 17.0), (("completed", "goes on ok"), 27.0)]
    assert always(inv_09) == (heard, [(7.0, "tidies stopped"), (27.0, "goes on did")])


async def inv_10(parts: Parts) -> object:
    desk = Desk(parts)
    ids: list[str] = []
    # Armed before the tool, so that it wakes in the same turn of the loop, and first.
    cancelling = asyncio.create_task(at(7, lambda: desk.registry.cancel(ids[0])))
    await asyncio.sleep(0)
    ids.append(await desk.park(desk.work.tool("slow", 7)))
    status = await cancelling
    await desk.registry.aclose()
    return status.state, status.output, desk.work.log


def test_10_a_cancel_that_meets_a_result_gives_the_result() -> None:
    done = ("completed", "slow ok", [(7.0, "slow did")])
    assert sound(inv_10) == done
    # Beyond asyncio's orders the tool may be told to stop before it could read that its time had passed.
    stopped = ("cancelled", None, [(7.0, "slow stopped")])
    assert [o for o in sound_in_any_order(inv_10) if o not in (done, stopped)] == []


async def inv_13(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 60))
    waiter = asyncio.create_task(desk.status(background_id, wait_seconds=100))
    await asyncio.sleep(2)
    both = await desk.status(background_id, cancel=True), await waiter, now()
    await desk.registry.aclose()
    return both


def test_13_a_waiter_hears_that_another_call_cancelled() -> None:
    assert always(inv_13) == (("cancelled", None), ("cancelled", None), 7.0)


async def inv_24(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 20))
    waiter = asyncio.create_task(desk.check(background_id, wait_seconds=100))
    await asyncio.sleep(2)
    waiter.cancel()
    await asyncio.wait([waiter])
    status = await desk.status(background_id, wait_seconds=60)
    await desk.registry.aclose()
    return waiter.cancelled(), status, desk.work.log


def test_24_a_check_that_is_cancelled_leaves_the_call_alone() -> None:
    assert always(inv_24) == (True, ("completed", "slow ok"), [(20.0, "slow did")])


async def inv_25(parts: Parts) -> object:
    desk = Desk(parts, dry_run=True)
    background_id = await desk.park(desk.work.tool("slow", 10))
    cancelled = await desk.check(background_id, cancel=True)
    heard = [word(cancelled), await desk.status(background_id, wait_seconds=0)]
    heard.append(await desk.status(background_id, wait_seconds=60))
    await desk.registry.aclose()
    return heard, "dry run" in cancelled["message"], desk.work.log


def test_25_a_cancel_in_a_dry_run_agrees_with_the_next_check() -> None:
    running = ("still_running", None)
    assert always(inv_25) == ([running, running, ("completed", "slow ok")], True, [(10.0, "slow did")])


async def inv_33(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 10, gives=raising(asyncio.CancelledError())))
    status = await desk.status(background_id, wait_seconds=60)
    await desk.registry.aclose()
    return status


def test_33_a_call_cancelled_from_inside_has_failed() -> None:
    assert always(inv_33) == ("error", CANCELLED_ITSELF)


# -- results ---------------------------------------------------------------------------------------
async def inv_11(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 10))
    waiting = [desk.status(background_id, wait_seconds=60) for _ in range(3)]
    heard = sorted(await asyncio.gather(*waiting), key=str)
    await desk.registry.aclose()
    return heard


def test_11_of_those_who_wait_one_is_given_the_result_and_the_others_hear_so() -> None:
    assert always(inv_11) == [*[("already_delivered", None)] * 2, ("completed", "slow ok")]


async def inv_12(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 10))
    heard = [(await desk.status(i, wait_seconds=60))[0] for i in (background_id, background_id, "bg-000000000000")]
    heard.append((await desk.status(None))[0])
    await desk.registry.aclose()
    return heard


def test_12_ids_that_were_given_out_never_were_and_are_missing_are_told_apart() -> None:
    assert always(inv_12) == ["completed", "already_delivered", "unknown_id", "missing_id"]


async def inv_14(parts: Parts) -> object:
    desk = Desk(parts)
    await desk.park(desk.work.tool("short", 6))
    await desk.park(desk.work.tool("broken", 6, gives=raising(OSError("disk full"))))
    await desk.park(desk.work.tool("slow", 60))
    stuck = await desk.park(desk.work.tool("stuck", 60, on_cancel="goes on"))
    await desk.status(stuck, cancel=True)
    listed = await desk.check(list=True)
    await desk.registry.aclose()
    await asyncio.sleep(60)
    return listed["active"], [[task[k] for k in ("tool", "status", "done", "age_seconds")] for task in listed["tasks"]]


def test_14_the_list_tells_what_runs_from_what_has_ended() -> None:
    assert always(inv_14) == (
        2,
        [
            ["short", "completed", True, 20.0],
            ["broken", "error", True, 15.0],
            ["slow", "still_running", False, 10.0],
            ["stuck", "cancelling", False, 5.0],
        ],
    )


async def inv_16(parts: Parts) -> object:
    desk = Desk(parts)
    await desk.park(desk.work.tool("broken", 10, gives=raising(OSError("disk full"))))
    await asyncio.sleep(10)
    await desk.registry.aclose()
    return [values["error"] for _, _, values in desk.facts.of("background_ended")]


def test_16_what_a_call_raises_that_nobody_asks_for_is_not_lost() -> None:
    assert always(inv_16) == ["OSError: disk full"]


async def inv_26(parts: Parts) -> object:
    desk = Desk(parts)
    slow = desk.work.tool("slow", 20)
    first = await desk.call(slow, path="a", n=1)
    again = await desk.call(slow, n=1, path="a")
    other = await desk.call(slow, path="b", n=1)
    ids = [reply["background_id"] for reply in (first, again, other)]
    await asyncio.sleep(60)
    await desk.status(ids[0])
    once_more = await desk.call(slow, path="a", n=1)
    await desk.registry.aclose()
    return [ids.index(i) for i in [*ids, once_more["background_id"]] if i in ids], again.get("duplicate"), desk.work.log


def test_26_the_same_call_is_not_run_again_while_the_first_is_parked() -> None:
    log = [(20.0, "slow did"), (25.0, "slow did"), (75.0, "slow stopped")]
    assert always(inv_26) == ([0, 0, 2], True, log)


async def inv_27(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("odd", 10, gives=object))
    heard = [await desk.status(background_id, wait_seconds=60) for _ in range(2)]
    await desk.registry.aclose()
    return heard


def test_27_a_result_of_an_odd_type_is_an_error_that_is_told() -> None:
    error = ("error", "TypeError: Object of type object is not JSON serializable")
    assert always(inv_27) == [error, ("already_delivered", None)]


# -- waiting ---------------------------------------------------------------------------------------
async def inv_19(parts: Parts) -> object:
    desk = Desk(parts)

    async def once() -> object:
        return await desk.call(desk.work.tool("quick", 0, budget_s=0))

    result = await once(), now()
    await desk.registry.aclose()
    return result


def test_19_a_budget_of_nothing_lets_an_immediate_tool_end_in_the_foreground() -> None:
    assert sound(inv_19) == ("quick ok", 0.0)


async def inv_20(parts: Parts) -> object:
    desk = Desk(parts)
    reply = await desk.call(desk.work.tool("even", 5))
    status = await desk.status(reply["background_id"]) if isinstance(reply, dict) else ("completed", reply)
    await desk.registry.aclose()
    return status


def test_20_a_tool_that_ends_with_its_budget_is_not_lost() -> None:
    assert always(inv_20) == ("completed", "even ok")


async def inv_21(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 60))
    heard = await desk.status(background_id, wait_seconds=-3), now()
    await desk.registry.aclose()
    return heard


def test_21_a_negative_wait_does_not_wait_and_gives_a_status() -> None:
    assert always(inv_21) == (("still_running", None), 5.0)


async def inv_22(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 60))
    waits = ("soon", "30", None, True, [5], math.nan)
    heard = [(await desk.status(background_id, wait_seconds=wait))[0] for wait in waits]
    heard.append((await desk.check(background_id, wait_seconds="soon")).get("message"))
    await desk.registry.aclose()
    return heard, now()


def test_22_a_wait_that_is_no_number_is_answered() -> None:
    text = "wait_seconds is 'soon', expected a number of seconds from 0 to 540"
    assert always(inv_22) == ([*["bad_argument"] * 6, text], 5.0)


async def inv_23(parts: Parts) -> object:
    desk = Desk(parts)
    background_id = await desk.park(desk.work.tool("slow", 100_000))
    heard = [(await desk.status(background_id, wait_seconds=wait), now()) for wait in (541, 10**400, math.inf, 540)]
    await desk.registry.aclose()
    return heard


def test_23_a_wait_above_the_most_is_exactly_the_most() -> None:
    assert always(inv_23) == [(("still_running", None), 5.0 + 540 * n) for n in (1, 2, 3, 4)]


# -- ends ------------------------------------------------------------------------------------------
async def inv_15(parts: Parts) -> object:
    desk = Desk(parts)
    await desk.park(desk.work.tool("tidies", 1000, on_cancel="tidies"))
    await desk.park(desk.work.tool("goes on", 50, on_cancel="goes on"))
    foreground = asyncio.create_task(desk.call(desk.work.tool("asked", 1000)))
    await asyncio.sleep(1)
    left = [(s.tool, s.state) for s in await desk.registry.aclose()]
    alive, ended_s = desk.work.alive, now()
    told = [values["tool"] for _, _, values in desk.facts.of("unstoppable")]
    reply = await foreground
    await asyncio.sleep(60)
    return left, told, alive, ended_s, reply, desk.work.log


def test_15_after_the_end_nothing_runs_but_what_is_named() -> None:
    reply = {"error": "cancelled before it ended: the session is closed"}
    log = [(11.0, "asked stopped"), (13.0, "tidies stopped"), (55.0, "goes on did")]
    assert always(inv_15) == ([("goes on", "cancelling")], ["goes on"], 1, 21.0, reply, log)


async def inv_17(parts: Parts) -> object:
    desk = Desk(parts)
    tools = {
        "odd": desk.work.tool("odd", 1, gives=raising(asyncio.CancelledError())),
        "even": desk.work.tool("even", 2),
    }
    round_ = Round([Call("a", "odd"), Call("b", "even")], tools, desk.facts, desk.registry)
    await round_.run()
    await desk.registry.aclose()
    return [result.text for result in round_.results()]


def test_17_a_tool_that_cancels_itself_has_failed_and_its_round_goes_on() -> None:
    assert always(inv_17) == [f'{{"error": "{CANCELLED_ITSELF}"}}', "even ok"]


async def inv_18(parts: Parts) -> object:
    desk = Desk(parts)
    tools = (desk.work.tool("tidies", 60, on_cancel="tidies"), desk.work.tool("goes on", 60, on_cancel="goes on"))
    rounds = [asyncio.create_task(desk.call(tool)) for tool in tools]
    await asyncio.sleep(3)
    for task in rounds:
        task.cancel()
    await asyncio.wait(rounds)
    torn_down_s = now()
    left = [status.tool for status in await desk.registry.aclose(1)]
    await asyncio.sleep(60)
    return torn_down_s, left, desk.work.log


def test_18_a_round_that_is_torn_down_stops_its_calls_and_they_stay_known() -> None:
    assert always(inv_18) == (8.0, ["goes on"], [(5.0, "tidies stopped"), (60.0, "goes on did")])


async def inv_28(parts: Parts) -> object:
    desk = Desk(parts)
    heard = []
    for error in (SystemExit(3), KeyboardInterrupt()):
        background_id = await desk.park(desk.work.tool("exits", 10, gives=raising(error)))
        heard.append(await desk.status(background_id, wait_seconds=60))
    heard.append(word(await desk.call(desk.work.tool("exits", 1, gives=raising(SystemExit(3))))))
    await desk.registry.aclose()
    return heard


def test_28_a_tool_that_exits_the_program_has_failed() -> None:
    assert always(inv_28) == [("error", "SystemExit: 3"), ("error", "KeyboardInterrupt: "), ("SystemExit: 3", None)]


async def inv_32(parts: Parts) -> object:
    work = Work()
    talk = session(parts, Model(calls(("slow", "{}")), says("never")), work.tool("slow", 60))
    turn = asyncio.create_task(talk.send("go"))
    await asyncio.sleep(3)
    await talk.aclose()
    ended = await turn
    return ended.outcome, ended.reason, work.log, now()


def test_32_a_call_whose_budget_ends_after_the_session_is_not_left_running() -> None:
    assert always(inv_32) == ("failed", "the session was closed", [(3.0, "slow stopped")], 3.0)


# -- every safeguard is seen when it is gone -------------------------------------------------------
PLAYS: dict[int, Play] = {int(name[4:]): play for name, play in list(globals().items()) if name.startswith("inv_")}


def test_every_invariant_is_played() -> None:
    assert sorted(PLAYS) == list(range(1, 34))


@pytest.mark.parametrize("number", FLAWS)
def test_without_its_safeguard_an_invariant_is_seen_to_be_broken(number: int) -> None:
    assert outcome(number, FLAWS[number]) != outcome(number, SOUND)


def outcome(number: int, parts: Parts) -> Any:
    try:
        return seen(lambda: PLAYS[number](parts))
    except BaseException as error:  # noqa: BLE001  # a fault may end the run in any way
        return type(error).__name__

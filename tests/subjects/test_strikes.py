"""Faults of a plan at tools and at what the user does.

The idea: a small agent that notes what it sees of its tool, asynchronous and blocking. The constraint: what a fault
does to a tool is in the trace as the tool's own end, so that laws judge it like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from simkit.contracts import Sim
from simkit.model.plan import Plan
from simkit.model.verdict import Result
from simkit.run import Steering, run_once
from tests.provider.played import events, scenario, told

TOOL = "user: [{says: go}]\nprovider: []\ntools: {work: {takes: 1s, side_effect: done, blocks: BLOCKS}}"


async def waiting(sim: Sim) -> None:
    async for _ in sim.user:
        try:
            sim.note("over", how=await asyncio.wait_for(sim.tools["work"](), 60))
        except (RuntimeError, TimeoutError) as error:
            sim.note("over", how=type(error).__name__)


def blocking(sim: Sim) -> None:
    for _ in sim.user:
        try:
            sim.note("over", how=sim.tools["work"]())
        except RuntimeError as error:
            sim.note("over", how=type(error).__name__)


def run(plan: str, subject: Any, text: str = TOOL) -> Result:
    text = text.replace("BLOCKS", str(subject is blocking).lower())
    return run_once(scenario(text), Plan.parse(plan), subject=subject)


@pytest.mark.parametrize("subject", [waiting, blocking])
@pytest.mark.parametrize(("when", "at"), [("start", 0.0), ("end", 1.0)])
def test_a_tool_that_raises_does_so_in_front_of_its_work_or_behind_it(
    when: str, at: float, subject: Callable[[Sim], object]
) -> None:
    result = run(f"seed=0,tool_raises@tool1.{when}", subject)
    assert (told(result), events(result, tool_end="outcome"), events(result, fault="site")) == (
        [(at, "RuntimeError")],
        [(at, "tool.end", "error")],
        [(at, "fault", f"tool1.{when}")],
    )


@pytest.mark.parametrize(("when", "from_s"), [("start", 0), ("end", 1)])
def test_a_tool_that_hangs_is_there_until_somebody_cancels_it(when: str, from_s: int) -> None:
    result = run(f"seed=0,tool_hangs@tool1.{when}", waiting)
    assert (told(result), events(result, tool_end="outcome"), events(result, fault="")) == (
        [(60.0, "TimeoutError")],
        [(60.0, "tool.end", "cancelled")],
        [(float(from_s), "fault")],
    )


def test_a_blocking_tool_that_hangs_is_the_end_of_a_program_without_threads() -> None:
    end = run("seed=0,tool_hangs@tool1.start", blocking).trace.of("run.end")[-1]
    said = "nothing can ever happen again: the main function waits for ever (at 0.000s)"
    assert (end.get("reason"), end.get("text")) == ("deadlock", said)


@pytest.mark.parametrize(("site", "at"), [("user1", 0.0), ("tool1.start", 0.0), ("tool1.end", 1.0)])
def test_the_user_cancels_at_the_instant_of_a_site(site: str, at: float) -> None:
    result = run(f"seed=0,cancel@{site}", waiting)
    assert events(result, user_cancels="heard line") == [(at, "user.cancels", True, None)]


def test_a_user_who_has_left_cancels_nothing() -> None:
    deaf = "{takes: 1s, ignores_cancel: true}"
    text = f"user: [{{says: go}}, {{at: 100ms, leaves: true}}]\nprovider: []\ntools: {{work: {deaf}}}"
    assert events(run("seed=0,cancel@tool1.end", waiting, text), user_cancels="") == []


def test_a_fault_whose_site_is_not_reached_is_not_the_plan_of_this_run() -> None:
    end = run("seed=0,tool_raises@tool2.start", waiting).trace.of("run.end")[-1]
    said = "the plan's tool_raises@tool2.start never struck: its site was not reached (the run ended: returned)"
    assert (end.get("reason"), end.get("text")) == ("plan", said)


def test_the_sites_of_users_and_tools_are_told_in_the_order_in_which_they_come() -> None:
    sites: list[str] = []
    text = "user: [{says: go}, {at: 500ms, note: still here}]\nprovider: []\ntools: {work: {takes: 1s}}"
    run_once(scenario(text), Plan(), subject=waiting, steering=Steering(sites=sites))
    assert sites == ["user1", "tool1.start", "user2", "tool1.end"]

"""A machine that does anything, in any order, to the real registry and to a model of it, and compares.

The idea: hypothesis chooses what is called, for how long, and what is asked and when; each step runs in one world
whose clock goes on, and must give the model's answer at the model's time. The constraint: the machine must find the
faults that it is there for, so it is run against registries that have them. A list of cases was refused: the races
that are known are in ``test_registry``, these are the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from simkit.agent.decisions import Limits
from simkit.agent.tools import FunctionTool, Tool
from simkit.kernel.world import new_event_loop
from tests.agent.parking import CANCELLED_ITSELF, SOUND, Desk, OnCancel, Parts, raising
from tests.agent.registry_flaws import FLAWS
from tests.agent.registry_model import Model, Word, Work

T = TypeVar("T")

CAP, GRACE_S, TEARDOWN_S = 3, 4.0, 8.0
LIMITS = Limits(background_cap=CAP, cancel_grace_s=GRACE_S, teardown_grace_s=TEARDOWN_S)

# Halves of seconds: sums of them are exact, and ties are frequent.
SHORT = st.integers(0, 12).map(lambda n: n / 2)
LONG = st.integers(0, 60).map(lambda n: n / 2)
ON_CANCEL = st.sampled_from(("ends", "tidies", "goes on"))
FAILURE = st.sampled_from(("", "OSError: disk full", CANCELLED_ITSELF))
WHICH = st.integers(0, 1_000)

STEPS = 50
RUNS = 110

FOUND = settings(
    max_examples=400,
    stateful_step_count=30,
    phases=(Phase.generate,),
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class Machine(RuleBasedStateMachine):
    """Drives a registry and its model."""

    parts: Parts = SOUND

    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        self.loop = new_event_loop(seed)
        self.desk = Desk(self.parts, LIMITS)
        self.model = Model(cap=CAP, grace_s=GRACE_S, teardown_s=TEARDOWN_S)
        self.ids: list[str] = []
        self.tools: dict[str, Tool] = {}

    def do(self, main: Callable[[], Awaitable[T]]) -> T:
        """Do this in the world, and let as much time pass as it takes."""

        async def run() -> T:
            return await main()

        return self.loop.run_until_complete(run())

    def tool(self, takes_s: float, on_cancel: OnCancel, failure: str, depth: int) -> tuple[FunctionTool, Work]:
        name = f"t{len(self.tools) + 1}"
        error = OSError("disk full") if failure.startswith("OSError") else asyncio.CancelledError()
        gives = raising(error) if failure else None
        tool = self.desk.work.tool(name, takes_s, budget_s=None, gives=gives, on_cancel=on_cancel, depth=depth)
        self.tools[name] = tool
        return tool, Work(name, self.model.now_s, takes_s, on_cancel, failure)

    # -- calls -------------------------------------------------------------------------------------
    @rule(takes_s=LONG, budget_s=SHORT, on_cancel=ON_CANCEL, failure=FAILURE, depth=st.integers(0, 2))
    def call(self, takes_s: float, budget_s: float, on_cancel: OnCancel, failure: str, depth: int) -> None:
        """Call a tool that may outlive its budget."""
        tool, work = self.tool(takes_s, on_cancel, failure, depth)
        reply = self.do(lambda: self.desk.call(replace(tool, timeout_s=budget_s)))
        expected = self.model.call(work, budget_s)
        if expected is None:
            assert reply["type"] == "background"
            self.ids.append(reply["background_id"])
            self.model.park(work, reply["background_id"])
        else:
            assert reply == ({"error": expected[1]} if expected[0] == "error" else expected[1])
        strays = sum(work.end[0] >= self.model.now_s for work in self.model.strays)
        assert self.desk.work.alive <= CAP + strays

    @rule(left_s=LONG, after_s=SHORT, on_cancel=ON_CANCEL)
    def tear_down(self, left_s: float, after_s: float, on_cancel: OnCancel) -> None:
        """Call a tool, and tear its round down in the middle."""
        # Both a little later: a tool that never began has nothing to tidy up.
        after_s, left_s = after_s + 0.5, left_s + 0.5
        tool, work = self.tool(after_s + left_s, on_cancel, "", 0)

        async def torn() -> None:
            task = asyncio.create_task(self.desk.call(tool))
            await asyncio.sleep(after_s)
            task.cancel()
            await asyncio.wait([task])

        self.do(torn)
        self.model.tear(work, after_s)

    @precondition(lambda self: self.model.listed())
    @rule(which=WHICH)
    def call_again(self, which: int) -> None:
        """Make the same call as one that is parked."""
        parked = self.model.listed()
        background_id = parked[which % len(parked)][0]
        tool = self.tools[self.model.parked[background_id].name]
        reply = self.do(lambda: self.desk.call(tool))
        assert (reply["background_id"], reply["duplicate"]) == (background_id, True)

    # -- questions ---------------------------------------------------------------------------------
    @rule(which=WHICH, wait_s=SHORT)
    def check(self, which: int, wait_s: float) -> None:
        """Wait for a call."""
        background_id = self.id(which)
        heard = self.do(lambda: self.desk.status(background_id, wait_seconds=wait_s))
        assert [heard] == self.model.check(background_id, wait_s)

    @rule(which=WHICH, first_s=LONG, second_s=LONG)
    def check_twice_at_once(self, which: int, first_s: float, second_s: float) -> None:
        """Wait for one call in two places."""
        background_id = self.id(which)
        waits_s = (first_s, second_s)

        async def both() -> list[Word]:
            asked = (self.desk.status(background_id, wait_seconds=wait_s) for wait_s in waits_s)
            return sorted(await asyncio.gather(*asked), key=str)

        assert self.do(both) == self.model.check(background_id, *waits_s)

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        """Cancel a call."""
        background_id = self.id(which)
        heard = self.do(lambda: self.desk.status(background_id, cancel=True))
        assert heard == self.model.cancel(background_id)

    @rule(which=WHICH)
    def cancel_when_it_ends(self, which: int) -> None:
        """Cancel a call at the very instant at which its result is there."""
        background_id = self.id(which)
        work = self.model.parked.get(background_id)
        until_s = max(work.end[0] - self.model.now_s, 0.0) if work else 0.0

        async def late() -> Word:
            await asyncio.sleep(until_s)
            status = await self.desk.registry.cancel(background_id)
            return NAMES.get(status.state, status.state), status.failure or status.output

        heard = self.do(late)
        self.model.now_s += until_s
        assert heard == self.model.cancel(background_id)

    @rule()
    def list_them(self) -> None:
        """Ask for the list."""
        reply = self.do(lambda: self.desk.check(list=True))
        expected = self.model.listed()
        seen = [(t["background_id"], t["status"]) for t in reply["tasks"] if t["status"] != "evicted"]
        active = sum(status in ("still_running", "cancelling") for _, status in expected)
        assert (seen, reply["active"]) == (expected, active)

    @rule(pause_s=SHORT)
    def let_time_pass(self, pause_s: float) -> None:
        """Do nothing for a while."""
        self.do(lambda: asyncio.sleep(pause_s))
        self.model.now_s += pause_s

    def id(self, which: int) -> str:
        """One of the ids that were given out, or one that never was."""
        ids = [*self.ids[-8:], "bg-000000000000"]
        return ids[which % len(ids)]

    # -- always ------------------------------------------------------------------------------------
    @invariant()
    def time_is_the_same(self) -> None:
        """Nothing took longer, or less long, than it must."""
        if hasattr(self, "loop"):
            assert self.loop.time() == self.model.now_s

    def teardown(self) -> None:
        """End the session: what runs on is named, and did only what it had not been asked to leave."""
        if not hasattr(self, "loop"):
            return
        try:
            left = [status.tool for status in self.do(self.desk.registry.aclose)]
            assert (left, self.loop.time()) == (self.model.close(), self.model.now_s)
            alive = self.desk.work.alive
            assert alive == len(left)
        finally:
            self.do(lambda: asyncio.sleep(200))
            self.loop.close()
        assert self.desk.work.alive == 0


# What the check tool says in place of what the registry calls it.
NAMES = {"delivered": "already_delivered", "unknown": "unknown_id"}


Machine.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestTheRegistryAgreesWithItsModel = Machine.TestCase


@pytest.mark.parametrize("number", [5, 9, 10, 11, 18, 33])
def test_the_machine_finds_a_planted_fault(number: int) -> None:
    class Faulty(Machine):
        parts = FLAWS[number]

    with pytest.raises(AssertionError):
        run_state_machine_as_test(Faulty, settings=FOUND)

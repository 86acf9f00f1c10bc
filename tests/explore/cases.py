"""Agents that fail under some plans, and scenarios for them.

The idea: each agent has one fault that one kind of plan finds, and needs no SDK, so a test of what is made of failures
costs milliseconds. The constraint: at plan 0 they all pass.
"""

from __future__ import annotations

import asyncio
from textwrap import dedent

from simkit.contracts import Sim
from simkit.language.reader import loads
from simkit.model.scenario import Scenario
from tests.language.laws import LAWS


async def racing(sim: Sim) -> None:
    """Breaks when the tool that was started second comes back first."""
    async for _ in sim.user:
        ended: list[str] = []
        await asyncio.gather(*(_note(sim, name, ended) for name in ("first", "second")))
        if ended[0] == "second":
            raise RuntimeError("the second was first")
        sim.said("done")


async def _note(sim: Sim, name: str, ended: list[str]) -> None:
    await sim.tools[name]()
    ended.append(name)


async def fragile(sim: Sim) -> None:
    """Breaks when one of its tools does."""
    async for _ in sim.user:
        for tool in sim.tools.values():
            await tool()
        sim.said("done")


async def sleepy(sim: Sim) -> None:
    """Breaks when its tool takes a second or more."""
    async for text in sim.user:
        began = asyncio.get_running_loop().time()
        await sim.tools["work"]()
        if asyncio.get_running_loop().time() - began >= 1 and "please" in text:
            raise RuntimeError("that took too long")


def text_of(agent: str, keys: str = "") -> str:
    """A scenario for one of the agents above, with further keys."""
    head = f"simkit: 1\nscenario: Is it done?\nsubject: tests.explore.cases:{agent}\n"
    tools = "tools: {first: {takes: 1s}, second: {takes: 1s}}\n"
    return head + "user: [{says: go}]\nprovider: []\n" + (dedent(keys) if "tools:" in keys else tools + dedent(keys))


def case_of(agent: str, keys: str = "") -> Scenario:
    """The scenario of that text."""
    (scenario,) = loads(text_of(agent, keys), "a.sim.yaml", laws=LAWS)
    return scenario

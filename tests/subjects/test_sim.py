from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from simkit.contracts import Sim
from simkit.errors import UsageError
from simkit.run import run_scenario
from tests.provider.played import events, play, scenario

TALK = """
provider: []
user:
  - {at: 5s, says: second}
  - {at: 0s, says: first}
"""


# -- the user --
async def _busy(sim: Sim) -> None:
    async for text in sim.user:
        sim.turn_started(text)
        await asyncio.sleep(10)


def _busy_blocking(sim: Sim) -> None:
    for text in sim.user:
        sim.turn_started(text)
        time.sleep(10)


@pytest.mark.parametrize("agent", [_busy, _busy_blocking])
def test_the_user_speaks_while_the_agent_is_busy_and_is_heard_afterwards(agent: object) -> None:
    assert events(play(TALK, agent), user_says="text line", turn_start="turn text", run_end="reason") == [  # type: ignore[arg-type]
        (0.0, "user.says", "first", 7),
        (0.0, "turn.start", 1, "first"),
        (5.0, "user.says", "second", 6),
        (10.0, "turn.start", 2, "second"),
        (20.0, "run.end", "returned"),
    ]


async def _idle(sim: Sim) -> None:
    async for text in sim.user:
        sim.said(text)


def _idle_blocking(sim: Sim) -> None:
    for text in sim.user:
        sim.said(text)


@pytest.mark.parametrize("agent", [_idle, _idle_blocking])
def test_an_idle_agent_hears_each_message_at_its_instant_and_ends_with_the_last(agent: object) -> None:
    assert events(play(TALK, agent), said="text", run_end="reason") == [  # type: ignore[arg-type]  # both take a sim
        (0.0, "said", "first"),
        (5.0, "said", "second"),
        (5.0, "run.end", "returned"),
    ]


@pytest.mark.parametrize("agent", [_idle, _idle_blocking])
def test_without_a_user_there_is_nothing_to_wait_for(agent: object) -> None:
    assert events(play("provider: []\n", agent), said="text", run_end="reason") == [(0.0, "run.end", "returned")]  # type: ignore[arg-type]


def test_a_wait_for_the_user_that_was_given_up_loses_no_message() -> None:
    async def agent(sim: Sim) -> None:
        sim.said(await anext(aiter(sim.user)))
        try:
            async with asyncio.timeout(2):
                await anext(aiter(sim.user))
        except TimeoutError:
            sim.said("nobody speaks")
        async for text in sim.user:
            sim.said(text)

    assert events(play(TALK, agent), said="text") == [
        (0.0, "said", "first"),
        (2.0, "said", "nobody speaks"),
        (5.0, "said", "second"),
    ]


# -- the tools --
def caller(name: str, **arguments: object) -> Callable[[Sim], Awaitable[None]]:
    """An agent that calls this tool once and says what came of it."""

    async def agent(sim: Sim) -> None:
        try:
            sim.said(repr(await sim.tools[name](**arguments)))
        except RuntimeError as error:
            sim.said(f"error: {error}")

    return agent


TOOLS = """
provider: []
tools:
  quick: {returns: {rows: [1, 2]}}
  slow: {takes: 90s}
  broken: {takes: 1s, raises: disk full}
  endless: {takes: forever}
"""


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (
            "quick",
            [
                (0.0, "tool.start", "quick", {"path": "a"}),
                (0.0, "tool.end", "quick", "ok", {"rows": [1, 2]}),
                (0.0, "said", "{'rows': [1, 2]}"),
            ],
        ),
        (
            "slow",
            [
                (0.0, "tool.start", "slow", {"path": "a"}),
                (90.0, "tool.end", "slow", "ok", "ok"),
                (90.0, "said", "'ok'"),
            ],
        ),
        (
            "broken",
            [
                (0.0, "tool.start", "broken", {"path": "a"}),
                (1.0, "tool.end", "broken", "error", "disk full"),
                (1.0, "said", "error: disk full"),
            ],
        ),
    ],
)
def test_a_tool_takes_its_time_and_does_what_the_scenario_says(tool: str, told: list[object]) -> None:
    result = play(TOOLS, caller(tool, path="a"))
    assert events(result, tool_start="tool args", tool_end="tool outcome result", said="text") == told


def test_runs_are_counted_over_all_tools() -> None:
    async def agent(sim: Sim) -> None:
        await asyncio.gather(sim.tools["slow"](), sim.tools["quick"](), sim.tools["slow"]())

    assert events(play(TOOLS, agent), tool_start="run tool", tool_end="run") == [
        (0.0, "tool.start", 1, "slow"),
        (0.0, "tool.start", 2, "quick"),
        (0.0, "tool.start", 3, "slow"),
        (0.0, "tool.end", 2),
        (90.0, "tool.end", 1),
        (90.0, "tool.end", 3),
    ]


def test_a_tool_of_no_duration_still_lets_others_go_first() -> None:
    async def agent(sim: Sim) -> None:
        asyncio.get_running_loop().call_soon(sim.said, "somebody else")
        await sim.tools["quick"]()
        sim.said("the agent")

    assert [e.get("text") for e in play(TOOLS, agent).trace.of("said")] == ["somebody else", "the agent"]


def test_a_cancelled_tool_says_so_at_its_instant() -> None:
    async def agent(sim: Sim) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await sim.tools["endless"]()

    assert events(play(TOOLS, agent), tool_end="tool outcome") == [(7.0, "tool.end", "endless", "cancelled")]


def test_what_a_subject_does_to_arguments_and_results_stays_with_it() -> None:
    async def agent(sim: Sim) -> None:
        rows = [0]
        result = await sim.tools["quick"](rows=rows)
        rows.append(1)
        result["rows"].append(3)  # type: ignore[index]  # a dict by the scenario

    case = scenario(TOOLS)
    runs = [run_scenario(case, subject=agent) for _ in range(2)]
    assert [(r.trace.of("tool.start")[0].get("args"), r.trace.of("tool.end")[0].get("result")) for r in runs] == [
        ({"rows": [0]}, {"rows": [1, 2]})
    ] * 2


# -- what the subject reports, and where the provider is --
def test_reports_of_the_subject_are_traced_as_they_come() -> None:
    async def agent(sim: Sim) -> None:
        sim.turn_started("hello")
        sim.note("decided", what_it_was="to sleep")
        await asyncio.sleep(1)
        sim.said("hi")
        sim.turn_ended("incomplete", "hi")

    result = play("provider: []\n", agent)
    assert events(
        result, turn_start="turn text", note="name what_it_was", said="text", turn_end="turn outcome text"
    ) == [
        (0.0, "turn.start", 1, "hello"),
        (0.0, "note", "decided", "to sleep"),
        (1.0, "said", "hi"),
        (1.0, "turn.end", 1, "incomplete", "hi"),
    ]


def test_the_provider_is_where_it_is_in_production() -> None:
    async def agent(sim: Sim) -> None:
        sim.said(sim.base_url("openai-chat"))
        with pytest.raises(
            UsageError, match="no dialects extension is called 'openai-chta' - did you mean 'openai-chat'"
        ):
            sim.base_url("openai-chta")

    assert [e.get("text") for e in play("provider: []\n", agent).trace.of("said")] == ["https://api.openai.com/v1"]

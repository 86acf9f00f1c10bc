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


@pytest.mark.parametrize(
    ("raises", "raised"),
    [
        ("{raises: disk full}", "RuntimeError('disk full')"),
        ("{raises: too late, raises_as: TimeoutError}", "TimeoutError('too late')"),
        ('{raises: "3", raises_as: SystemExit}', "SystemExit('3')"),
        ("{raises_as: CancelledError}", "CancelledError()"),
    ],
)
def test_a_tool_raises_the_type_that_the_scenario_names(raises: str, raised: str) -> None:
    def agent(sim: Sim) -> None:
        try:
            sim.tools["t"]()
        except BaseException as error:  # noqa: BLE001  # two of them are no Exception
            sim.said(repr(error))

    told = events(play(f"provider: []\ntools:\n  t: {raises}\n", agent), tool_end="outcome", said="text")
    assert told == [(0.0, "tool.end", "error"), (0.0, "said", raised)]


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
        result["rows"].append(3)

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


# -- a user who cancels and leaves --
ACTS = """
provider: []
user:
  - says: go
  - {at: 3s, cancels: true}
  - {at: 4s, note: nobody hears this}
  - {at: 5s, says: and now}
tools:
  quick: {takes: 10s}
  late: {takes: 10s, cancel_takes: 2s, side_effect: half of it}
  deaf: {takes: 10s, ignores_cancel: true, side_effect: all of it}
"""


def _stoppable(tool: str) -> Callable[[Sim], Awaitable[None]]:
    """An agent that plays each message in a task, and cancels it when it is told to."""

    async def agent(sim: Sim) -> None:
        under_way: list[asyncio.Task[object]] = []
        sim.on_cancel(lambda: [task.cancel() for task in under_way])
        async for text in sim.user:
            under_way[:] = [asyncio.ensure_future(sim.tools[tool]())]
            await asyncio.wait(under_way)
            sim.said(text)

    return agent


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ("quick", [(3.0, "tool.end", "cancelled", None), (15.0, "tool.end", "ok", None)]),
        ("late", [(5.0, "tool.end", "cancelled", None), (15.0, "tool.effect", None, "half of it"),
                  (15.0, "tool.end", "ok", None)]),
        ("deaf", [(10.0, "tool.effect", None, "all of it"), (10.0, "tool.end", "ok", None),
                  (20.0, "tool.effect", None, "all of it"), (20.0, "tool.end", "ok", None)]),
    ],
)  # fmt: skip
def test_a_cancellation_is_obeyed_at_once_or_late_or_not_at_all(tool: str, told: list[object]) -> None:
    result = play(ACTS, _stoppable(tool))
    assert events(result, tool_end="outcome text", tool_effect="outcome text") == told


def test_what_the_user_does_stands_in_the_trace_at_its_instant() -> None:
    result = play(ACTS, _stoppable("quick"))
    assert events(result, user_says="text", user_cancels="heard", user_note="text") == [
        (0.0, "user.says", "go"),
        (3.0, "user.cancels", True),
        (4.0, "user.note", "nobody hears this"),
        (5.0, "user.says", "and now"),
    ]


async def _one_task(sim: Sim) -> None:
    async for text in sim.user:
        sim.said(text)
        await sim.tools["quick"]()


def test_without_a_handler_the_task_of_the_subject_is_cancelled_and_that_is_no_fault() -> None:
    result = play(ACTS, _one_task)
    assert (events(result, tool_end="outcome", subject_raised="error", run_end="reason"), result.findings) == (
        [
            (3.0, "tool.end", "cancelled"),
            (3.0, "subject.raised", "CancelledError"),
            (3.0, "run.end", "returned"),
        ],
        (),
    )


def test_a_cancellation_while_nothing_is_under_way_changes_nothing() -> None:
    text = "provider: []\nuser: [{says: go}, {at: 3s, cancels: true}, {at: 5s, says: again}]"
    assert events(play(text, _idle), user_cancels="heard", said="text", run_end="reason") == [
        (0.0, "said", "go"),
        (3.0, "user.cancels", False),
        (5.0, "said", "again"),
        (5.0, "run.end", "returned"),
    ]


@pytest.mark.parametrize("agent", [_idle, _idle_blocking])
def test_a_user_who_leaves_says_nothing_more(agent: object) -> None:
    text = "provider: []\nuser: [{says: go}, {at: 3s, leaves: true}, {at: 3s, note: gone}]"
    assert events(play(text, agent), said="text", run_end="reason") == [  # type: ignore[arg-type]  # both take a sim
        (0.0, "said", "go"),
        (3.0, "run.end", "returned"),
    ]


# -- tools that block, and tools that are called by blocking code --
BOTH_WAYS = """
provider: []
tools:
  plain: {takes: 2s}
  blocking: {takes: 2s, blocks: true}
  failing: {fails: no such file}
"""


def test_a_tool_called_by_blocking_code_gives_its_result_after_its_time() -> None:
    def agent(sim: Sim) -> None:
        sim.said(str(sim.tools["plain"]()))
        sim.said(str(sim.tools["failing"]()))

    assert events(play(BOTH_WAYS, agent), said="text") == [
        (2.0, "said", "ok"),
        (2.0, "said", "{'success': False, 'error': 'no such file'}"),
    ]


@pytest.mark.parametrize(("tool", "ticks"), [("plain", [1.0, 2.0, 3.0]), ("blocking", [2.0, 3.0, 4.0])])
def test_a_blocking_tool_stops_the_loop_while_it_runs(tool: str, ticks: list[float]) -> None:
    async def tick(sim: Sim) -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            sim.said("tick")

    async def agent(sim: Sim) -> None:
        await asyncio.gather(tick(sim), sim.tools[tool]())

    assert [at for at, *_ in events(play(BOTH_WAYS, agent), said="text")] == ticks


async def _only_ends(sim: Sim) -> None:
    async for text in sim.user:
        sim.turn_ended("finished", text)


async def _two_at_once(sim: Sim) -> None:
    sim.turn_started("one")
    sim.turn_started("two")
    sim.turn_ended("finished")
    sim.turn_ended("finished")


@pytest.mark.parametrize(("agent", "turns"), [(_only_ends, [1, 2]), (_two_at_once, [2, 2])])
def test_a_turn_that_nobody_began_has_a_number_of_its_own(agent: object, turns: list[int]) -> None:
    result = play(TALK, agent)  # type: ignore[arg-type]  # as above
    assert [end.get("turn") for end in result.trace.of("turn.end")] == turns

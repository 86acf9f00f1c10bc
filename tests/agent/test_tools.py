from __future__ import annotations

import asyncio

import pytest

from simkit.agent.history import Call, ToolResult
from simkit.agent.tools import FunctionTool, Round, Tool
from tests.agent.jump import now, run
from tests.agent.scripted import Facts, tool


def returning(value: object) -> FunctionTool:
    async def give() -> object:
        return value

    return FunctionTool("give", "gives", {}, give)


async def results(calls: list[Call], *tools: Tool) -> list[tuple[str, str, bool]]:
    round_ = Round(calls, {t.name: t for t in tools}, Facts())
    await round_.run()
    return [(r.call_id, r.text, r.is_error) for r in round_.results()]


def test_calls_run_side_by_side_and_results_keep_the_order_of_the_calls() -> None:
    ran: list[str] = []

    async def main() -> tuple[list[tuple[str, str, bool]], float]:
        slow, fast = tool("slow", ran, takes_s=5), tool("fast", ran, takes_s=2)
        return await results([Call("a", "slow"), Call("b", "fast")], slow, fast), now()

    assert (run(main()), ran) == (
        ([("a", "slow ok", False), ("b", "fast ok", False)], 5.0),
        ["fast", "slow"],
    )


def test_every_call_that_cannot_run_or_fails_has_an_error_result_and_the_others_go_on() -> None:
    ran: list[str] = []
    calls = [
        Call("a", "write"),
        Call("b", "boom"),
        Call("c", "wrote"),
        Call("d", "write", fault="the arguments are not valid JSON"),
    ]
    tools = tool("write", ran, takes_s=9), tool("boom", ran, raises=OSError("disk full"))
    assert run(results(calls, *tools)) == [
        ("a", "write ok", False),
        ("b", '{"error": "OSError: disk full"}', True),
        ("c", '{"error": "there is no tool \'wrote\', only: write, boom"}', True),
        ("d", '{"error": "the arguments are not valid JSON"}', True),
    ]
    assert ran == ["boom", "write"]


def test_arguments_that_the_function_does_not_take_are_an_error_result() -> None:
    assert [r[2] for r in run(results([Call("a", "give", {"x": 1})], returning(1)))] == [True]


@pytest.mark.parametrize(
    ("value", "text", "is_error"),
    [
        ("plain", "plain", False),
        ({"n": [1, None]}, '{"n": [1, null]}', False),
        (None, "null", False),
        (object, '{"error": "TypeError: Object of type type is not JSON serializable"}', True),
    ],
)
def test_a_result_is_sent_as_it_is_or_as_json(value: object, text: str, is_error: bool) -> None:
    assert run(results([Call("a", "give")], returning(value))) == [("a", text, is_error)]


def test_a_cancelled_round_waits_for_its_tools_and_still_has_every_result() -> None:
    ran: list[str] = []

    async def main() -> tuple[ToolResult, ...]:
        tools: dict[str, Tool] = {"fast": tool("fast", ran, takes_s=1), "slow": tool("slow", ran, takes_s=9)}
        round_ = Round([Call("a", "fast"), Call("b", "slow")], tools, Facts())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await round_.run()
        return round_.results()

    assert run(main()) == (
        ToolResult("a", "fast ok"),
        ToolResult("b", '{"error": "cancelled before it ended"}', is_error=True),
    )
    assert ran == ["fast", "slow cancelled"]


def test_what_is_meant_to_end_the_program_is_no_result() -> None:
    class WorldEnd(BaseException):
        pass

    async def end() -> object:
        raise WorldEnd

    with pytest.raises(WorldEnd):
        run(results([Call("a", "end")], FunctionTool("end", "ends", {}, end)))

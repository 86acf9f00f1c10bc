from __future__ import annotations

import asyncio
import json
import math

import pytest

from simkit.agent.budgets import Cancelled, Ended, Raised, Reply, Returned, budget_of, key_of, outcome_of, wait_of
from simkit.agent.tools import FunctionTool


async def nothing() -> None: ...


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class OddMapping(dict[str, object]):
    def items(self) -> object:  # type: ignore[override]  # that it is odd is what it is for
        raise RuntimeError("no items")


@pytest.mark.parametrize(
    ("ended", "state", "text", "is_error"),
    [
        (Returned("plain"), "completed", "plain", False),
        (Returned({"n": 1}), "completed", '{"n": 1}', False),
        (Returned({"success": False, "why": "full"}), "error", '{"success": false, "why": "full"}', False),
        (Returned({"success": True}), "completed", '{"success": true}', False),
        (Returned(Reply("no", is_error=True)), "error", "no", True),
        (Returned(Reply("yes")), "completed", "yes", False),
        (Raised(OSError("disk full")), "error", '{"error": "OSError: disk full"}', True),
        (Raised(UnprintableError()), "error", '{"error": "UnprintableError"}', True),
        (Raised(SystemExit(3)), "error", '{"error": "SystemExit: 3"}', True),
        (
            Cancelled(),
            "error",
            '{"error": "CancelledError: the tool cancelled itself, nobody had asked for it"}',
            True,
        ),
    ],
)
def test_every_end_has_an_outcome(ended: Ended, state: str, text: str, is_error: bool) -> None:
    outcome = outcome_of(ended)
    assert (outcome.state, outcome.reply) == (state, Reply(text, is_error))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", OddMapping(n=1)])
def test_what_is_no_json_is_an_error_and_not_an_exception(value: object) -> None:
    outcome = outcome_of(Returned(value))
    assert (outcome.state, outcome.reply.is_error, bool(outcome.failure)) == ("error", True, True)


def test_a_value_that_holds_itself_is_an_error() -> None:
    value: list[object] = []
    value.append(value)
    assert outcome_of(Returned(value)).failure == "ValueError: Circular reference detected"


@pytest.mark.parametrize(
    ("tool", "default_s", "budget_s"),
    [
        (FunctionTool("a", "", {}, nothing), 600.0, 600.0),
        (FunctionTool("a", "", {}, nothing), None, None),
        (FunctionTool("a", "", {}, nothing, timeout_s=5), 600.0, 5),
        (FunctionTool("a", "", {}, nothing, timeout_s=0), 600.0, 0),
        (FunctionTool("a", "", {}, nothing, timeout_s=None), 600.0, None),
        (FunctionTool("a", "", {}, nothing, timeout_s=5, manages_itself=True), 600.0, None),
        (object(), 600.0, 600.0),
    ],
)
def test_a_tool_has_its_own_budget_the_sessions_or_none(
    tool: object, default_s: float | None, budget_s: float | None
) -> None:
    assert budget_of(tool, default_s) == budget_s


@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [
        *[(0, 0.0), (-1, 0.0), (12.5, 12.5), (540, 540.0), (541, 540.0), (10**400, 540.0), (math.inf, 540.0)],
        *[(-math.inf, 0.0), (math.nan, None), ("60", None), (None, None), (True, None), ([], None), ({}, None)],
    ],
)
def test_a_wait_is_clamped_and_anything_else_is_none(asked: object, wait_s: float | None) -> None:
    assert wait_of(asked) == wait_s


def test_the_same_call_has_the_same_key_however_its_arguments_are_ordered() -> None:
    keys = [key_of("a", {"x": 1, "y": [2]}), key_of("a", {"y": [2], "x": 1}), key_of("a", {"x": 1}), key_of("b", {})]
    assert [keys.index(key) for key in keys] == [0, 0, 2, 3]


def test_arguments_that_are_no_json_have_a_key_too() -> None:
    assert key_of("a", {"x": asyncio}) == f"a {json.dumps({'x': repr(asyncio)})}"

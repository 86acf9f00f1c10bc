from __future__ import annotations

import json
from typing import Any

import pytest

from simkit.agent.budgets import Reply
from simkit.agent.check import CheckTool
from simkit.agent.decisions import Limits
from tests.agent.parking import Desk, raising, seen
from tests.agent.scripted import Facts


def answer(**arguments: object) -> Any:
    """What the tool answers to these arguments when one call, of seven seconds, was parked at five."""

    async def main() -> Any:
        desk = Desk()
        background_id = await desk.park(desk.work.tool("slow", 7))
        if arguments.get("background_id") == "ID":
            arguments["background_id"] = background_id
        reply = await CheckTool(desk.registry)(**arguments)
        await desk.registry.aclose()
        return json.loads(reply.text.replace(background_id, "ID")), reply.is_error

    return seen(main)[0]


@pytest.mark.parametrize(
    ("arguments", "reply"),
    [
        (
            {"background_id": "ID"},
            {
                "type": "background_status",
                "background_id": "ID",
                "tool": "slow",
                "status": "completed",
                "message": "slow has completed. Its output is given out this once.",
                "output": "slow ok",
            },
        ),
        (
            {"background_id": "ID", "wait_seconds": 0},
            {
                "type": "background_status",
                "background_id": "ID",
                "tool": "slow",
                "status": "still_running",
                "message": "slow is still running. Ask again to wait longer, or cancel it.",
            },
        ),
        (
            {"background_id": "ID", "wait_seconds": 60, "cancel": True},
            {
                "type": "background_status",
                "background_id": "ID",
                "tool": "slow",
                "status": "cancelled",
                "message": "slow was cancelled and has stopped.",
            },
        ),
        (
            {"background_id": "ID", "list": True, "cancel": True},
            {
                "type": "background_list",
                "active": 1,
                "tasks": [
                    {
                        "background_id": "ID",
                        "tool": "slow",
                        "status": "still_running",
                        "age_seconds": 0.0,
                        "done": False,
                    }
                ],
            },
        ),
    ],
)
def test_a_question_has_its_answer(arguments: dict[str, object], reply: object) -> None:
    assert answer(**arguments) == (reply, False)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, "missing_id", "background_id is missing: give it, or list: true to find it"),
        ({"list": False}, "missing_id", "background_id is missing: give it, or list: true to find it"),
        (
            {"background_id": "bg-1"},
            "unknown_id",
            "no call in the background was ever called 'bg-1' - list: true shows those there are",
        ),
        ({"background_id": 7}, "bad_argument", "background_id is 7, expected the text of an id"),
        ({"background_id": "ID", "cancel": "yes"}, "bad_argument", "cancel is 'yes', expected true or false"),
        ({"list": 1}, "bad_argument", "list is 1, expected true or false"),
        (
            {"background_id": "ID", "wait_seconds": None},
            "bad_argument",
            "wait_seconds is None, expected a number of seconds from 0 to 540",
        ),
        (
            {"background_id": "ID", "wait": 5},
            "bad_argument",
            "there is no argument 'wait', only: background_id, list, wait_seconds, cancel",
        ),
    ],
)
def test_what_cannot_be_answered_is_told_with_the_way_out(
    arguments: dict[str, object], error: str, message: str
) -> None:
    assert answer(**arguments) == ({"type": "error", "error": error, "message": message}, True)


def test_an_error_of_a_parked_call_is_a_status_and_no_error_of_the_check() -> None:
    async def main() -> list[Reply]:
        desk = Desk()
        ids = [
            await desk.park(desk.work.tool("broken", 7, gives=raising(OSError("disk full")))),
            await desk.park(desk.work.tool("short", 7, gives=lambda: {"success": False, "why": "full"})),
        ]
        replies = [await CheckTool(desk.registry)(background_id=i) for i in ids]
        await desk.registry.aclose()
        return replies

    replies = seen(main)[0]
    words = [(r.is_error, json.loads(r.text)["status"], json.loads(r.text)["output"]) for r in replies]
    assert words == [(False, "error", "OSError: disk full"), (False, "error", {"success": False, "why": "full"})]


def test_every_question_is_told_to_the_observer() -> None:
    async def main() -> Facts:
        desk = Desk(limits=Limits())
        background_id = await desk.park(desk.work.tool("slow", 60))
        for arguments in ({"list": True}, {"wait_seconds": 0}, {"cancel": True}, {"cancel": 1}):
            await desk.check(background_id, **arguments)
        await desk.registry.aclose()
        return desk.facts

    told = seen(main)[0].of("background_checked")
    assert [(values["status"], values["cancel"]) for _, _, values in told] == [
        ("listed", False),
        ("still_running", False),
        ("cancelled", True),
        ("refused", False),
    ]

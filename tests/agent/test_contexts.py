"""A stream that is closed by another task than the one that opened it: nothing leaks from one context into another."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import Final

import pytest

from simkit.agent.clients import ClientOptions, Request, connect
from simkit.agent.history import UserMessage
from simkit.contracts import Sim
from simkit.model.verdict import Verdict
from tests.provider.played import play

WIRES: Final = ("openai-chat", "openai-responses", "anthropic")
STREAM: Final = "provider:\n  - stream: [say: a, wait: 1m, say: b, finish: stop]\n"


class Watch:
    """Hears of attempts, and does nothing."""

    def sent(self, *, whole: bool = False) -> None: ...

    def answered(self, status: int) -> None: ...


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_closed_by_another_task_leaves_nothing_open_and_no_context_changed(wire: str) -> None:
    left: list[object] = []

    async def agent(sim: Sim) -> None:
        client = connect(wire, ClientOptions(base_url=sim.base_url(wire), api_key="none", model="m"))
        before = dict(copy_context().items())
        pieces = client.stream(Request(items=(UserMessage("hello"),), tools={}), Watch())
        await anext(pieces)
        await asyncio.create_task(pieces.aclose(), name="somebody else")
        left.extend(name for name, value in copy_context().items() if before.get(name) is not value)
        await client.aclose()

    result = play(STREAM, agent)
    assert (left, result.trace.of("lost.error", "orphan", "subject.raised"), result.verdict) == ([], [], Verdict.PASS)

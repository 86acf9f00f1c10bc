"""The page that says how each failure is written: every row of it is played as it stands.

The idea: the third column names the wires, the fourth holds the scenario; each pair of them is one case, and the
wire's own SDK reads what comes. The constraint: the page is read and not copied, so it cannot say what does not work.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import anthropic
import openai
import pytest

import simkit
from simkit.checks.judge import laws
from simkit.contracts import Sim
from simkit.language.reader import loads
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import BackgroundReply, Raw, StreamReply
from simkit.model.verdict import Verdict
from simkit.run import run_once

PAGE: Final = Path(simkit.__file__).parent / "docs" / "catalogue.md"
ROW: Final = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| `(.+)` \|$")
ROWS: Final = [found.groups() for line in PAGE.read_text().splitlines() if (found := ROW.match(line))]
# The SDK of the fourth wire warns about its own HTTP library; it is played where its own tests are.
WIRES: Final = ("openai-chat", "openai-responses", "anthropic")
CASES: Final = [
    (row, wire, text) for row, _, wires, text in ROWS for wire in WIRES if wires == "any" or wire in wires.split(", ")
]
HELLO: Final[Any] = [{"role": "user", "content": "hello"}]
KEY: Final = "none"


def scenario(text: str) -> Scenario:
    keys = text if text.startswith("{") else f"{{provider: {text}}}"
    body = keys.removeprefix("{").removesuffix("}")
    (only,) = loads(f"{{simkit: 1, scenario: a row of the catalogue, {body}}}", "row.sim.yaml", laws=laws())
    return only


async def _chat(sim: Sim) -> AsyncIterator[object]:
    async with openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key=KEY, timeout=900) as sdk:
        async for chunk in await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True):
            yield chunk


async def _responses(sim: Sim) -> AsyncIterator[object]:
    async with openai.AsyncOpenAI(base_url=sim.base_url("openai-responses"), api_key=KEY, timeout=900) as sdk:
        async for event in await sdk.responses.create(model="gpt-test", input=HELLO, stream=True, background=True):
            yield event


async def _messages(sim: Sim) -> AsyncIterator[object]:
    async with anthropic.AsyncAnthropic(base_url=sim.base_url("anthropic"), api_key=KEY, timeout=900) as sdk:
        stream = await sdk.messages.create(model="claude-test", max_tokens=1000, messages=HELLO, stream=True)
        async for event in stream:
            yield event


ASK: Final[dict[str, Callable[[Sim], AsyncIterator[object]]]] = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _messages,
}


def reader(wire: str) -> Callable[[Sim], Awaitable[None]]:
    """An agent that asks once and notes what comes, and how it ends."""

    async def agent(sim: Sim) -> None:
        sim.on_cancel(lambda: None)
        try:
            async for _ in ASK[wire](sim):
                sim.note("piece")
            sim.note("over", how="end")
        except Exception as error:  # noqa: BLE001  # whatever the SDK makes of the fault
            sim.note("over", how=type(error).__name__)

    return agent


def test_the_page_has_a_row_for_every_failure_of_the_catalogue() -> None:
    assert [int(row) for row, *_ in ROWS] == list(range(1, 55))


def test_no_row_needs_raw_bytes() -> None:
    replies = [answer.reply for _, _, _, text in ROWS for answer in scenario(text).provider]
    steps = [step for reply in replies if isinstance(reply, StreamReply | BackgroundReply) for step in reply.steps]
    assert [step for step in steps if isinstance(step, Raw)] == []


@pytest.mark.parametrize(("row", "wire", "text"), CASES, ids=[f"{row}-{wire}" for row, wire, _ in CASES])
def test_a_row_is_played_to_the_sdk_of_its_wire(row: str, wire: str, text: str) -> None:
    """It reaches its provider, ends as the SDK ends it, and nothing of it is unplayable or simkit's own fault."""
    result = run_once(scenario(text), Plan(), subject=reader(wire))
    ends = [e.get("reason") for e in result.trace.of("run.end")]
    overs = [e.get("how") is not None for e in result.trace.of("note") if e.get("name") == "over"]
    assert (ends, overs, result.verdict is Verdict.UNKNOWN, bool(result.trace.of("request"))) == (
        ["returned"],
        [True],
        False,
        True,
    )

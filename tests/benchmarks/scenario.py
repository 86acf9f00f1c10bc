"""One scenario through the unmodified openai SDK: three requests, of which two time out."""

from __future__ import annotations

from typing import Any, Final

import openai

from simkit.checks.judge import laws
from simkit.contracts import Sim
from simkit.language.reader import loads
from simkit.model.scenario import Scenario

_TEXT: Final = """
simkit: 1
scenario: Is an answer found after two timeouts?
user: [{at: 0s, says: hello}]
provider:
  - times: 2
    stream: [{stall: 10m}, {say: too late}, {finish: stop}]
  - stream: [{say: hello}, {finish: stop}]
expect: {requests: 3, last_message: hello}
"""
_HELLO: Final[Any] = [{"role": "user", "content": "hello"}]


def scenario() -> Scenario:
    """Read the scenario."""
    (only,) = loads(_TEXT, "benchmark.sim.yaml", laws=laws())
    return only


async def agent(sim: Sim) -> None:
    """Ask once, with the SDK's own retries, and say what came."""
    async for text in sim.user:
        sim.turn_started(text)
        async with openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key="none", timeout=30) as client:
            answer = await client.chat.completions.create(model="gpt-test", messages=_HELLO)
        said = answer.choices[0].message.content or ""
        sim.said(said)
        sim.turn_ended("finished", said)

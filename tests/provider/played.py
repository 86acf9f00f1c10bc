"""One scripted answer, played to the real openai SDK, told as a list of (when, who, what).

The idea: a test writes the `provider:` of a scenario and a client, and gets back what both sides saw, in order. The
constraint: the client is the unmodified SDK, and what it saw goes through the trace, so that both sides share one
clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from textwrap import dedent
from typing import Any

import openai

from simkit.checks.judge import laws
from simkit.contracts import Sim
from simkit.language.reader import loads
from simkit.model.duration import NS_PER_S
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.verdict import Result
from simkit.run import run_once

HELLO: Any = [{"role": "user", "content": "hello"}]
Agent = Callable[[Sim], Awaitable[object]] | Callable[[Sim], object]


def scenario(text: str) -> Scenario:
    """The one scenario of this text, which begins below the title."""
    (only,) = loads(f"simkit: 1\nscenario: a case\n{dedent(text)}", "case.sim.yaml", laws=laws())
    return only


def play(text: str, agent: Agent, seed: int = 0) -> Result:
    """Run the agent against the scenario of this text."""
    return run_once(scenario(text), Plan(seed=seed), subject=agent)


def client(sim: Sim, **options: Any) -> openai.AsyncOpenAI:
    """The SDK as its users make it."""
    return openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key="none", **options)


async def read(sim: Sim, sdk: openai.AsyncOpenAI, **options: Any) -> None:
    """Ask for a stream and note every piece, and how it ended."""
    try:
        stream = await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True, **options)
        async for chunk in stream:
            sim.note("piece", piece=_piece(chunk))
        sim.note("over", how="end")
    except openai.OpenAIError as error:
        sim.note("over", how=type(error).__name__)


def reader(requests: int = 1, **options: Any) -> Callable[[Sim], Awaitable[None]]:
    """An agent that asks this many times, one after the other, through one client."""

    async def agent(sim: Sim) -> None:
        async with client(sim, **options) as sdk:
            for _ in range(requests):
                await read(sim, sdk)

    return agent


def _piece(chunk: Any) -> object:
    if not chunk.choices:
        return f"usage {chunk.usage.prompt_tokens}+{chunk.usage.completion_tokens}"
    choice = chunk.choices[0]
    for call in choice.delta.tool_calls or ():
        return f"{call.index}:{call.function.name or ''}({call.function.arguments})"
    return f"finish {choice.finish_reason}" if choice.finish_reason else choice.delta.content


def told(result: Result) -> list[tuple[object, ...]]:
    """What the client noted: seconds, and the value."""
    return [(e.at_ns / NS_PER_S, e.get("piece") or e.get("how") or "") for e in result.trace.of("note")]


def events(result: Result, **kinds: str) -> list[tuple[object, ...]]:
    """The events of these kinds: seconds, kind, and the values that are named for the kind (``stream_end="how"``)."""
    wanted = {kind.replace("_", "."): names.split() for kind, names in kinds.items()}
    return [(e.at_ns / NS_PER_S, e.kind, *(e.get(name) for name in wanted[e.kind])) for e in result.trace.of(*wanted)]


def last_word(result: Result) -> tuple[object, object]:
    """Why the run ended, and the sentence."""
    end = result.trace.of("run.end")[-1]
    return end.get("reason"), end.get("text")

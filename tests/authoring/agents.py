"""Agents that somebody might bring to a template: careful ones on two SDKs, and for each template a careless one.

The idea: a template for an agent that nobody here knows is worth something when a sensible agent passes it as it stands
and a careless one does not. The constraint: each careless agent makes one mistake, the one that its template is about.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

import openai

from simkit.agent import ClientOptions, Limits, Session, connect
from simkit.contracts import Sim

Agent = Callable[[Sim], Coroutine[Any, Any, None]]

_KEY: Final = "test"
_MODELS: Final = {"openai-chat": "gpt-5-mini", "openai-responses": "gpt-5-mini", "anthropic": "claude-sonnet-5"}


def careful(dialect: str, *, background: bool = False, limits: Limits | None = None) -> Agent:
    """An agent on ``simkit.agent``, as somebody would write it for production."""

    async def run(sim: Sim) -> None:
        options = ClientOptions(
            base_url=sim.base_url(dialect),
            api_key=_KEY,
            model=_MODELS[dialect],
            background=background,
            stream=not background,
        )
        async with Session(connect(dialect, options), tools=sim.tools.values(), limits=limits or Limits()) as session:
            async for text in sim.user:
                sim.turn_started(text)
                turn = await session.send(text)
                sim.said(turn.text)
                sim.turn_ended(turn.outcome, turn.text)

    return run


# -- one mistake each ------------------------------------------------------------------------------------------------
def _client(sim: Sim, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key=_KEY, **options)


async def _ask(client: openai.AsyncOpenAI, sim: Sim, messages: list[Any]) -> tuple[str, list[Any]]:
    """Return text and calls of one answer, whether or not it is whole."""
    text, calls = "", dict[int, Any]()
    functions: list[Any] = [
        {"type": "function", "function": {"name": tool.name, "parameters": dict(tool.schema)}}
        for tool in sim.tools.values()
    ]
    stream = await client.chat.completions.create(
        model="gpt-5-mini", messages=messages, tools=functions or openai.omit, stream=True
    )
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for piece in choice.delta.tool_calls or []:
                assert piece.function
                function = {"name": piece.function.name, "arguments": ""}
                call = calls.setdefault(piece.index, {"id": piece.id, "type": "function", "function": function})
                call["function"]["arguments"] += piece.function.arguments or ""
    return text, list(calls.values())


async def _converse(sim: Sim, client: openai.AsyncOpenAI, call_tool: Callable[..., Coroutine[Any, Any, str]]) -> None:
    async for question in sim.user:
        sim.turn_started(question)
        messages: list[Any] = [{"role": "user", "content": question}]
        text, calls = await _ask(client, sim, messages)
        while calls:
            messages.append({"role": "assistant", "content": text or None, "tool_calls": calls})
            for call in calls:
                result = await call_tool(call["function"]["name"], json.loads(call["function"]["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            text, calls = await _ask(client, sim, messages)
        sim.said(text)
        sim.turn_ended("finished")


def _running(sim: Sim) -> Callable[..., Coroutine[Any, Any, str]]:
    async def run(name: str, arguments: dict[str, object]) -> str:
        return str(await sim.tools[name](**arguments))

    return run


async def waits_for_ever(sim: Sim) -> None:
    """Switches the SDK's read timeout off."""
    async with _client(sim, timeout=None) as client:
        await _converse(sim, client, _running(sim))


async def takes_what_comes(sim: Sim) -> None:
    """Never looks for a finish reason."""
    async with _client(sim) as client:
        await _converse(sim, client, _running(sim))


async def retries_at_once(sim: Sim) -> None:
    """Retries by itself, and does not read what the provider says about it."""
    async with _client(sim, max_retries=0) as client:
        for _ in range(3):
            with contextlib.suppress(openai.RateLimitError):
                await _converse_once(sim, client)
                return


async def _converse_once(sim: Sim, client: openai.AsyncOpenAI) -> None:
    text, _ = await _ask(client, sim, [{"role": "user", "content": "Hello"}])
    sim.said(text)
    sim.turn_ended("finished")


async def polls_without_a_pause(sim: Sim) -> None:
    """Asks for a background answer as fast as it can."""
    async with openai.AsyncOpenAI(base_url=sim.base_url("openai-responses"), api_key=_KEY) as client:
        async for question in sim.user:
            answer = await client.responses.create(model="gpt-5-mini", input=question, background=True)
            while answer.status in ("queued", "in_progress"):
                await asyncio.sleep(0.01)
                answer = await client.responses.retrieve(answer.id)
            sim.said(answer.output_text)
            sim.turn_ended("finished")


async def forgets_its_tools(sim: Sim) -> None:
    """Gives up waiting for a tool after half a minute, and leaves it running."""
    left = []

    async def run(name: str, arguments: dict[str, object]) -> str:
        task = asyncio.ensure_future(sim.tools[name](**arguments))
        left.append(task)
        done, _ = await asyncio.wait([task], timeout=30)
        return str(task.result()) if done else "it takes too long"

    async with _client(sim) as client:
        await _converse(sim, client, run)


async def goes_on_after_a_cancellation(sim: Sim) -> None:
    """Takes the cancellation of a turn for an error of the tool that it met, and tells the model about it."""

    async def run(name: str, arguments: dict[str, object]) -> str:
        try:
            return str(await sim.tools[name](**arguments))
        except asyncio.CancelledError:
            return "the tool failed"

    async with _client(sim) as client:
        await _converse(sim, client, run)


# For each template the careless agent, and the law that it breaks.
CARELESS: Final[dict[str, tuple[Agent, str]]] = {
    "stall": (waits_for_ever, "ends"),
    "broken-stream": (takes_what_comes, "partial_is_not_success"),
    "rate-limit": (retries_at_once, "backoff_respects_retry_after"),
    "background-polling": (polls_without_a_pause, "polls_respect_interval"),
    "tool-overruns": (forgets_its_tools, "no_orphans"),
    "cancel-race": (goes_on_after_a_cancellation, "nothing_after_cancel"),
}

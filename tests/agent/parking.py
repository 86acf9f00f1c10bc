"""A desk at which tool calls are made, parked and asked for, in a simulated world.

The idea: what a test sees is what the model would read, and what the tools really did, both with their virtual
times; what is left over when the main function returns is part of it. The constraint: calls run as in a session,
each round in tasks of its own, or the races of contexts and handlers would not be there. A mock of the event loop's
timers was refused: the races are between its turns.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from simkit.agent.check import CHECK_TOOL, CheckTool
from simkit.agent.clients import Request, Watch
from simkit.agent.decisions import Limits
from simkit.agent.history import Call, Item, ToolResult
from simkit.agent.loop import Loop
from simkit.agent.registry import Registry
from simkit.agent.session import Session
from simkit.agent.stream import Piece
from simkit.agent.tools import FunctionTool, Round, Tool
from simkit.kernel.world import World
from tests.agent.jump import now
from tests.agent.scripted import Facts, Move, ScriptedClient, calls

T = TypeVar("T")

# What a tool does when it is cancelled: end at once, end after it has tidied up for so many seconds, or go on.
OnCancel = Literal["ends", "tidies", "goes on"]
TIDY_S = 2.0

SEEDS = range(20)

CANCELLED_ITSELF = "CancelledError: the tool cancelled itself, nobody had asked for it"


@dataclass(frozen=True)
class Parts:
    """What a session is made of; a planted fault puts another class in place of one of them."""

    registry_class: type[Registry] = Registry
    loop_class: type[Loop] = Loop


SOUND = Parts()


@dataclass
class Work:
    """What the tools did, each with its time, and how many of them are alive."""

    log: list[tuple[float, str]] = field(default_factory=list)
    alive: int = 0
    alive_most: int = 0

    def tool(
        self,
        name: str,
        takes_s: float,
        *,
        budget_s: float | None = 5.0,
        gives: Callable[[], object] | None = None,
        on_cancel: OnCancel = "ends",
        depth: int = 0,
    ) -> FunctionTool:
        """A tool that notes what it did when its time has passed, or that it was cancelled.

        It waits in a task inside a task, ``depth`` deep, so its end takes as many turns of the loop to come out.
        """

        async def run(**arguments: object) -> object:
            self.alive += 1
            self.alive_most = max(self.alive_most, self.alive)
            try:
                await self._work(takes_s, on_cancel, depth)
                self.log.append((now(), f"{name} did"))
                return gives() if gives else f"{name} ok"
            except asyncio.CancelledError:
                self.log.append((now(), f"{name} stopped"))
                raise
            finally:
                self.alive -= 1

        return FunctionTool(name, "works", {"type": "object"}, run, timeout_s=budget_s)

    async def _work(self, takes_s: float, on_cancel: OnCancel, depth: int) -> None:
        until = now() + takes_s
        while True:
            try:
                await nested(depth, until - now())
                return
            except asyncio.CancelledError:
                if on_cancel == "tidies":
                    await asyncio.sleep(TIDY_S)
                if on_cancel != "goes on":
                    raise


async def nested(depth: int, wait_s: float) -> None:
    if depth:
        await asyncio.create_task(nested(depth - 1, wait_s), name="inside a tool")
    else:
        await asyncio.sleep(wait_s)


class Desk:
    """One session's registry with its check tool, and rounds that run in it."""

    def __init__(self, parts: Parts = SOUND, limits: Limits | None = None, *, dry_run: bool = False) -> None:
        self.facts = Facts()
        self.work = Work()
        self.registry = parts.registry_class(limits or Limits(), self.facts, dry_run=dry_run)
        self._calls = 0

    async def call(self, tool: Tool, **arguments: object) -> Any:
        """Call a tool as the model would, and return what it reads."""
        self._calls += 1
        call = Call(f"call_{self._calls}", tool.name, arguments)
        round_ = Round([call], {tool.name: tool}, self.facts, self.registry)
        await asyncio.create_task(round_.run(), name=f"round of {tool.name}")
        return read(round_.results()[0].text)

    async def park(self, tool: Tool, **arguments: object) -> str:
        """Call a tool that outlives its budget, and return its id."""
        return str((await self.call(tool, **arguments))["background_id"])

    async def check(self, background_id: object = None, **arguments: object) -> Any:
        """Ask for a call in the background, as the model would."""
        if background_id is not None:
            arguments["background_id"] = background_id
        return await self.call(CheckTool(self.registry), **arguments)

    async def status(self, background_id: object, **arguments: object) -> tuple[str, object]:
        """Ask for a call, and return the two words that matter: what it is called, and what it had."""
        return word(await self.check(background_id, **arguments))


def word(reply: Any) -> tuple[str, object]:
    if not isinstance(reply, dict):
        return "result", reply
    kind = reply.get("status") or reply.get("error") or reply.get("type")
    return str(kind), reply.get("output")


def read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


class Model(ScriptedClient):
    """A scripted model whose answers may depend on what it has read so far: on the results of its calls."""

    def __init__(self, *answers: Sequence[Move] | Callable[[list[Any]], Sequence[Move]]) -> None:
        super().__init__()
        self._scripts = answers

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        script = self._scripts[len(self.requests)]
        self.answers.append(script(results_in(request.items)) if callable(script) else script)
        return super().stream(request, watch)


def results_in(items: Sequence[Item]) -> list[Any]:
    return [read(item.text) for item in items if isinstance(item, ToolResult)]


def asks(**arguments: object) -> list[Move]:
    """An answer of the model that asks for its calls in the background."""
    return calls((CHECK_TOOL, json.dumps(arguments)))


def session(parts: Parts, client: ScriptedClient, *tools: Tool) -> Session:
    return Session(client, tools=tools, loop_class=parts.loop_class, registry_class=parts.registry_class)


def seen(main: Callable[[], Awaitable[T]], **how: Any) -> tuple[T, list[str]]:
    """Run in a world, and return what came back, and what was left over or lost."""
    world = World(**how)

    async def run() -> T:
        return await main()

    result = world.run(run)
    left = [str(event.get("name") or event.get("text")) for event in world.trace.of("orphan", "lost.error")]
    return result, left


def seen_in_any_order(main: Callable[[], Awaitable[T]]) -> list[tuple[T, list[str]]]:
    """Run in twenty worlds that go their own ways, and return what differs."""
    different: list[tuple[T, list[str]]] = []
    for seed in SEEDS:
        outcome = seen(main, seed=seed, strategy="uniform", order="any")
        if outcome not in different:
            different.append(outcome)
    return different


def raising(error: BaseException) -> Callable[[], object]:
    """What a tool gives that raises this."""

    def give() -> object:
        raise error

    return give


async def at(delay_s: float, later: Callable[[], Awaitable[T]]) -> T:
    """Do this after so many seconds."""
    await asyncio.sleep(delay_s)
    return await later()

"""A client that plays a script, for tests that need no wire.

The idea: one list for each request, of pieces, pauses in seconds, statuses that the watch is told, and
errors. The constraint: it honours the whole contract of ``clients.Client``, so a test that passes here speaks
about the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from simkit.agent.clients import ProviderError, Request, Watch
from simkit.agent.history import AssistantMessage, Item, ToolResult
from simkit.agent.stream import CallPart, Finish, Piece, Text, Token
from simkit.agent.tools import FunctionTool
from tests.agent.jump import now

FOREVER = 1_000_000.0


@dataclass(frozen=True)
class Status:
    """The headers of an attempt that the SDK will repeat."""

    code: int


Move = Piece | float | Status | ProviderError


class ScriptedClient:
    def __init__(self, *answers: Sequence[Move]) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.cancelled: list[Token] = []
        self.open = 0
        self.closed = 0

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        self.requests.append(request)
        self.open += 1
        try:
            watch.sent()
            for move in self.answers[len(self.requests) - 1]:
                match move:
                    case float():
                        await asyncio.sleep(move)
                    case Status(code=code):
                        watch.answered(code)
                    case Exception():
                        raise move
                    case _:
                        if move is RETRY:
                            watch.sent()
                        else:
                            yield move
        finally:
            self.open -= 1

    async def cancel(self, token: Token) -> None:
        self.cancelled.append(token)

    async def aclose(self) -> None:
        self.closed += 1


# A further attempt of the SDK within the same request.
RETRY = Text("retry")


class Facts:
    """An observer that keeps what it hears, each with its time."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str, dict[str, object]]] = []

    def __call__(self, name: str, /, **values: object) -> None:
        self.heard.append((now(), name, values))

    def of(self, *names: str) -> list[tuple[float, str, dict[str, object]]]:
        return [fact for fact in self.heard if fact[1] in names]

    @property
    def names(self) -> list[str]:
        return [name for _, name, _ in self.heard]


def says(text: str) -> list[Move]:
    return [Text(text), Finish("stop")]


def calls(*calls: tuple[str, str]) -> list[Move]:
    """An answer that makes these calls of (tool, arguments)."""
    parts = [CallPart(index=i, id=f"call_{i}", name=name, args=args) for i, (name, args) in enumerate(calls)]
    return [*parts, Finish("tool_calls")]


def tool(name: str, ran: list[str], *, takes_s: float = 0.0, raises: Exception | None = None) -> FunctionTool:
    """A tool that notes its own name when it ends, and its result when it is cancelled."""

    async def run(**arguments: object) -> object:
        try:
            await asyncio.sleep(takes_s)
        except asyncio.CancelledError:
            ran.append(f"{name} cancelled")
            raise
        ran.append(name)
        if raises:
            raise raises
        return f"{name} ok"

    return FunctionTool(name, "does something", {"type": "object"}, run)


def outline(items: Sequence[Item]) -> list[str]:
    """The history in short: one word or two for each item."""
    lines = []
    for item in items:
        if isinstance(item, ToolResult):
            lines.append(f"result {item.call_id}{' error' if item.is_error else ''}")
        elif isinstance(item, AssistantMessage):
            lines.append(" ".join(["assistant", *(c.name for c in item.calls)]))
        else:
            lines.append("user")
    return lines

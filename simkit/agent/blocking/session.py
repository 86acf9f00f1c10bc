"""A session for blocking programs: ``send`` returns when the turn is over, ``cancel`` ends it from another thread.

The idea: it is the asynchronous session, played by threads; here is only the door. The constraint it protects: ``send``
settles within the grace after a ``cancel``, whatever its tools and its provider do: tools that will not stop go on in
threads that keep no program alive, and are told as the fact ``unstoppable``. An exception for a cancelled turn was
refused: whoever called ``send`` is not the one who cancelled it, and a turn that ended has an outcome.

    with BlockingSession(client, clock=time.monotonic, tools=[read_file]) as session:
        turn = session.send("What does the readme say?")
        print(turn.outcome, turn.text)
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Final, Protocol

from simkit.agent.blocking.clients import BlockingClient
from simkit.agent.blocking.reader import ReadByThreads
from simkit.agent.blocking.threads import Flow, Threads
from simkit.agent.budgets import DEFAULT, Budget
from simkit.agent.decisions import Limits
from simkit.agent.facts import Observe, unobserved
from simkit.agent.history import Item
from simkit.agent.loop import Turn
from simkit.agent.registry import Registry
from simkit.agent.session import Session

# The defaults of a session: frozen, so one value serves all.
_LIMITS: Final = Limits()


class BlockingTool(Protocol):
    """Something that the model may call: as ``tools.Tool``, but it returns its result."""

    @property
    def name(self) -> str:
        """The name that the model calls it by."""
        ...

    @property
    def description(self) -> str:
        """What it does, for the model."""
        ...

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON schema of its arguments."""
        ...

    def __call__(self, **arguments: object) -> object:
        """Run it, in a thread of its own."""
        ...


class ToolInThread:
    """A blocking tool as the session's coroutines know tools: it runs while others have the session's lock."""

    def __init__(self, tool: BlockingTool, threads: Threads) -> None:
        self._tool = tool
        self._threads = threads
        self.name = tool.name
        self.description = tool.description
        self.schema = tool.schema
        self.timeout_s: Budget = getattr(tool, "timeout_s", DEFAULT)
        self.manages_itself: bool = getattr(tool, "manages_itself", False)

    async def __call__(self, **arguments: object) -> object:
        """Call the tool. Raises ``TypeError`` for one that is asynchronous."""
        result = await self._threads.outside(functools.partial(self._tool, **arguments))
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(f"tool {self.name!r} is a coroutine function, expected one that returns its result")
        return result


class BlockingSession:
    """A conversation. Use it as a context manager, or call ``close``; it closes its clients too.

    ``clock`` tells seconds and only goes forward, such as ``time.monotonic``. The rest is as for ``Session``.
    ``observe`` is called with the session's lock held, by whichever thread has a fact to tell.
    """

    def __init__(
        self,
        client: BlockingClient,
        *,
        clock: Callable[[], float],
        tools: Iterable[BlockingTool] = (),
        limits: Limits = _LIMITS,
        system: str = "",
        observe: Observe = unobserved,
        dry_run: bool = False,
        fallback: BlockingClient | None = None,
    ) -> None:
        self._threads = threads = Threads(clock)
        self._session = Session(
            ReadByThreads(client, threads, limits, observe),
            tools=[ToolInThread(tool, threads) for tool in tools],
            limits=limits,
            system=system,
            observe=observe,
            dry_run=dry_run,
            fallback=None if fallback is None else ReadByThreads(fallback, threads, limits, observe),
            registry_class=functools.partial(Registry, driver=threads),
        )
        self._turn: Flow | None = None

    @property
    def history(self) -> tuple[Item, ...]:
        """The conversation so far: at every moment one that a provider accepts."""
        with self._threads.lock:
            return self._session.history

    def send(self, text: str) -> Turn:
        """Play one turn, in the calling thread. Raises ``RuntimeError`` while another one runs and after ``close``."""
        flow = Flow()
        try:
            return self._threads.play(self._play(text, flow), flow)
        except asyncio.CancelledError:
            return Turn(outcome="cancelled", text="", reason="cancelled")

    def cancel(self) -> None:
        """End the turn that is being played, if there is one: ``send`` returns with the outcome ``cancelled``."""
        with self._threads.lock:
            if self._turn is not None:
                self._threads.cancel(self._turn)

    def close(self) -> None:
        """End every tool call, also of a turn that is being played, and close the clients.

        What would not stop is told as the fact ``unstoppable``. Further calls only ask that again.
        """
        self._threads.play(self._session.aclose())

    async def _play(self, text: str, flow: Flow) -> Turn:
        turn = self._session.send(text)
        if self._turn is not None:
            # The session says so itself; whose turn it is stays as it is.
            return await turn
        self._turn = flow
        try:
            return await turn
        finally:
            self._turn = None

    def __enter__(self) -> BlockingSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

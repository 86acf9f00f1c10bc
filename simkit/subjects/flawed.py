"""Historical faults of agent loops, each planted into simkit's own agent from outside.

The idea: a fault is a function from blueprint to blueprint that changes one limit, wraps the client, or puts
a small subclass with one overridden seam in place of the loop. The constraint it protects: nothing in
``simkit.agent`` knows of faults, so the sound agent has no switch that could be left on. A scenario that
passes under the fault it was written for is not a test; that is what these are for.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from simkit.agent.clients import Client, ClientOptions, Request, UnavailableError, Watch
from simkit.agent.history import Call, ToolResult
from simkit.agent.loop import Loop
from simkit.agent.stream import Answer, Assembly, Piece, parse_arguments
from simkit.agent.tools import Round
from simkit.contracts import Flaw
from simkit.errors import UsageError
from simkit.extensions import nearest
from simkit.subjects.blueprint import Blueprint

# More than any script answers: the fault is that nothing of ours ends the turn.
_WITHOUT_END: Final = 1_000_000

# What a helpful parser puts behind arguments that were cut off, shortest first.
_MENDS: Final = ("", "}", '"}', "]}", '"]}', "null}", '":null}', "}}", '"}}')


@dataclass(frozen=True, slots=True)
class Plantable:
    """A flaw and the function that plants it."""

    flaw: Flaw
    plant: Callable[[Blueprint], Blueprint]


def planted(name: str, blueprint: Blueprint) -> Blueprint:
    """Return the blueprint with this flaw, or as it is for an empty name; else raise ``UsageError``."""
    if not name:
        return blueprint
    if name not in FLAWS:
        raise UsageError(f"no flaw of subject 'agent' is called {name!r}{nearest(name, FLAWS)}")
    return FLAWS[name].plant(blueprint)


# -- faults of the loop ----------------------------------------------------------------------------
class StubFinishStop(Loop):
    """A cut answer ends with ``stop``, as if the model had ended it."""

    def stub(self, answer: Answer) -> Answer:
        """Return the stub with the wrong finish reason."""
        return replace(super().stub(answer), finish="stop")


class RunPartialCalls(Loop):
    """Cut arguments are mended, and the calls run."""

    def assembly(self) -> Assembly:
        """Return an assembly that mends."""
        return MendingAssembly()


class MendingAssembly(Assembly):
    """Closes open strings and objects instead of refusing them."""

    def answer(self) -> Answer:
        """Return a cut answer as one that ended with tool calls."""
        answer = super().answer()
        if not self.calls or answer.finish not in (None, "length"):
            return answer
        calls = tuple(Call(call.id or "", call.name, _mended(call.args)) for call in self.calls)
        return replace(answer, calls=calls, finish="tool_calls")


class RunToolsTwice(Loop):
    """Every call runs a second time, as after a retry that forgot what had run."""

    def round(self, calls: Sequence[Call]) -> Round:
        """Return a round that runs everything twice."""
        return RoundTwice(calls, self.tools, self.observe)


class RoundTwice(Round):
    """Settles every call twice and keeps the second result."""

    async def settle(self, call: Call) -> ToolResult:
        """Return the result of the second run."""
        await super().settle(call)
        return await super().settle(call)


# -- faults of the client --------------------------------------------------------------------------
class WrappedClient:
    """A client that passes everything on to a sound one; the faults below change one of its two methods."""

    def __init__(self, sound: Client) -> None:
        self.sound = sound

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Pass the request on."""
        return self.sound.stream(request, watch)

    async def aclose(self) -> None:
        """Close the sound client."""
        await self.sound.aclose()


class LoseParallelResult(WrappedClient):
    """When several calls ran side by side, the last result is not sent back."""

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request without every result that directly follows another one."""
        items = request.items
        kept = tuple(
            item
            for before, item in zip((None, *items), items, strict=False)
            if not (isinstance(before, ToolResult) and isinstance(item, ToolResult))
        )
        return self.sound.stream(replace(request, items=kept), watch)


class IgnoreRetryAfter(WrappedClient):
    """Retries at once, whatever the provider asked for."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Try three times without a pause."""
        for left in (2, 1, 0):
            try:
                async with aclosing(self.sound.stream(request, watch)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except UnavailableError:
                if not left:
                    raise


class LeaveReaderRunning(WrappedClient):
    """A task of its own reads each stream, and nobody ends it when its reader has gone."""

    def __init__(self, sound: Client) -> None:
        super().__init__(sound)
        self.readers: list[asyncio.Task[None]] = []

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Yield what the reading task puts into a queue."""
        queue: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()
        reading = self._read(request, watch, queue)
        self.readers.append(asyncio.create_task(reading, name="stream reader"))
        while (piece := await queue.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        """Leave the connections open, for the readers still use them."""

    async def _read(self, request: Request, watch: Watch, queue: asyncio.Queue[Piece | Exception | None]) -> None:
        try:
            async with aclosing(self.sound.stream(request, watch)) as pieces:
                async for piece in pieces:
                    queue.put_nowait(piece)
            queue.put_nowait(None)
        except Exception as error:  # noqa: BLE001  # whatever it is, the consumer's side raises it
            queue.put_nowait(error)


# -- the table -------------------------------------------------------------------------------------
def _with_loop(loop_class: type[Loop]) -> Callable[[Blueprint], Blueprint]:
    return lambda blueprint: replace(blueprint, loop_class=loop_class)


def _with_client(wrap: Callable[[Client], Client]) -> Callable[[Blueprint], Blueprint]:
    def plant(blueprint: Blueprint) -> Blueprint:
        def connect(options: ClientOptions) -> Client:
            return wrap(blueprint.connect(options))

        return replace(blueprint, connect=connect)

    return plant


def _leave_deadline_to_sdk(blueprint: Blueprint) -> Blueprint:
    options = replace(blueprint.options, read_timeout_s=blueprint.limits.stale_after_s)
    return replace(blueprint, options=options, limits=replace(blueprint.limits, stale_after_s=math.inf))


def _without_bounds(blueprint: Blueprint) -> Blueprint:
    limits = replace(blueprint.limits, max_continuations=_WITHOUT_END, max_requests=_WITHOUT_END)
    return replace(blueprint, limits=limits)


def _retry_at_once(blueprint: Blueprint) -> Blueprint:
    own = replace(blueprint, options=replace(blueprint.options, max_retries=0))
    return _with_client(IgnoreRetryAfter)(own)


def _mended(text: str) -> dict[str, object]:
    for mend in _MENDS:
        arguments = parse_arguments(text + mend)
        if not isinstance(arguments, str):
            return dict(arguments)
    return {}


_PLANTABLE: Final = (
    Plantable(
        Flaw(
            name="stub_finish_stop",
            says="a cut answer gets the finish reason stop, so the turn counts as finished",
            source="NousResearch/hermes-agent 0.14.0, issue 31998",
            breaks=("partial_is_not_success",),
        ),
        _with_loop(StubFinishStop),
    ),
    Plantable(
        Flaw(
            name="keepalive_is_progress",
            says="the idle deadline is left to the HTTP client's read timeout, which any byte resets",
            source="anthropics/anthropic-sdk-typescript issue 998; anthony-chaudhary/fak issue 5486",
            breaks=("bounded_silence",),
        ),
        _leave_deadline_to_sdk,
    ),
    Plantable(
        Flaw(
            name="run_partial_calls",
            says="arguments that were cut off are mended into valid JSON, and the call runs",
            source="langchain-ai/langchainjs pull 11471; NousResearch/hermes-agent pull 7693",
            breaks=("no_partial_tool_call_runs",),
        ),
        _with_loop(RunPartialCalls),
    ),
    Plantable(
        Flaw(
            name="unbounded_continuations",
            says="a turn asks for the rest of a cut answer for as long as it is cut",
            source="openai/codex issue 3229",
            breaks=("bounded_requests",),
        ),
        _without_bounds,
    ),
    Plantable(
        Flaw(
            name="leave_reader_running",
            says="a stream that was given up is still read by a task of its own, on an open connection",
            source="strands-agents/harness-sdk issue 2266; HKUDS/nanobot pull 2765",
            breaks=("no_orphans",),
        ),
        _with_client(LeaveReaderRunning),
    ),
    Plantable(
        Flaw(
            name="lose_parallel_result",
            says="of several calls that ran side by side, only the first result is sent back",
            source="openai/openai-agents-python pull 2584",
            breaks=("results_pair_with_calls", "history_well_formed"),
        ),
        _with_client(LoseParallelResult),
    ),
    Plantable(
        Flaw(
            name="ignore_retry_after",
            says="a request that was turned away is repeated at once, whatever retry-after says",
            source="github/copilot-cli issue 2760",
            breaks=("backoff_respects_retry_after",),
        ),
        _retry_at_once,
    ),
    Plantable(
        Flaw(
            name="run_tools_twice",
            says="every call runs a second time, as after a retry that forgot what had run",
            source="MervinPraison/PraisonAI issue 4256; crewAIInc/crewAI issue 5802",
            breaks=("tools_run_once",),
        ),
        _with_loop(RunToolsTwice),
    ),
)

FLAWS: Final[dict[str, Plantable]] = {p.flaw.name: p for p in _PLANTABLE}

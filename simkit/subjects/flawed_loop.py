"""Faults of the loop: of how an answer is read, of what follows from it, and of what outlives a turn.

The idea: each class changes one seam of ``simkit.agent.loop`` back to what a published agent did. The constraint: an
override changes its method and nothing else, so what a scenario sees under it is that one fault. A loop with switches
was refused: the sound one would carry them, and one could be left on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from simkit.agent import continuation
from simkit.agent.clients import Request
from simkit.agent.facts import Observe
from simkit.agent.history import Call, History, ToolResult
from simkit.agent.loop import Loop, Turn
from simkit.agent.registry import Registry
from simkit.agent.stream import (
    Answer,
    Assembly,
    CallPart,
    Finish,
    Piece,
    Refusal,
    Running,
    Text,
    Token,
    Usage,
    parse_arguments,
)
from simkit.agent.tools import Round, Tool

# How often an empty answer is asked for again: as often as the published agent did.
_EMPTY_RETRIES: Final = 3

# What a helpful parser puts behind arguments that were cut off, shortest first.
_MENDS: Final = ("", "}", '"}', "]}", '"]}', "null}", '":null}', "}}", '"}}')


# -- one answer ------------------------------------------------------------------------------------
class StubFinishStop(Loop):
    """A cut answer ends with ``stop``, as if the model had ended it."""

    def stub(self, answer: Answer) -> Answer:
        """Return the stub with the wrong finish reason."""
        return replace(super().stub(answer), finish="stop")


class TrustWholeArguments(Loop):
    """A call whose arguments are valid JSON runs, also from an answer that never ended."""

    def stub(self, answer: Answer) -> Answer:
        """Return the stub with every call that looks whole."""
        whole = tuple(call for call in answer.calls if call.arguments)
        stub = super().stub(answer)
        return replace(stub, calls=whole, dropped=()) if whole else stub


class RunPartialCalls(Loop):
    """Cut arguments are mended, and the calls run."""

    def assembly(self) -> Assembly:
        """Return an assembly that mends."""
        return MendingAssembly()


class MendingAssembly(Assembly):
    """Closes open strings and objects instead of refusing them."""

    def answer(self) -> Answer:
        """Return an answer with cut arguments as one that ended well, whatever its finish reason says."""
        answer = super().answer()
        cut = answer.finish in (None, "length") or any(call.fault for call in answer.calls)
        if not answer.calls or not cut:
            return answer
        calls = tuple(Call(call.id or "", call.name, _mended(call.args)) for call in self.calls)
        return replace(answer, calls=calls, finish="tool_calls")


def _mended(text: str) -> dict[str, object]:
    for mend in _MENDS:
        arguments = parse_arguments(text + mend)
        if not isinstance(arguments, str):
            return dict(arguments)
    return {}


class WordsAreProgress(Loop):
    """Only what the user is shown moves the idle deadline."""

    def assembly(self) -> Assembly:
        """Return an assembly that looks at words only."""
        return AssemblyOfWords()


class AssemblyOfWords(Assembly):
    """Gathers thoughts and the pieces of calls in silence."""

    def add(self, piece: Piece) -> bool:
        """Take a piece in; it was progress if it can be shown."""
        return super().add(piece) and isinstance(piece, Text | Refusal)


class DeadlineForWholeAnswer(Loop):
    """The deadline is set with the request, and nothing moves it."""

    def assembly(self) -> Assembly:
        """Return an assembly that tells of no progress."""
        return AssemblyWithoutProgress()


class AssemblyWithoutProgress(Assembly):
    """Takes for a time limit what is a limit of silence."""

    def add(self, piece: Piece) -> bool:
        """Take a piece in, and let the deadline stand."""
        super().add(piece)
        return False


class SortCallsByIndex(Loop):
    """Pieces of calls are sorted by their index."""

    def assembly(self) -> Assembly:
        """Return an assembly that sorts."""
        return AssemblyByIndex()


class AssemblyByIndex(Assembly):
    """Looks at no id and no name once an index is open, and takes a missing index for the first."""

    def add(self, piece: Piece) -> bool:
        """Take a piece in; of a call, under its index."""
        if not isinstance(piece, CallPart):
            return super().add(piece)
        piece = replace(piece, index=piece.index or 0)
        if any(call.index == piece.index for call in self.calls):
            piece = replace(piece, id=None, name="")
        return super().add(piece)


class DemandReasonAndMarker(Loop):
    """An answer is whole where its wire has said so twice."""

    def assembly(self) -> Assembly:
        """Return an assembly that waits for both words."""
        return AssemblyOfBothEnds()


class AssemblyOfBothEnds(Assembly):
    """Counts ends: on wires that have a reason and a marker, each of them is one."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = 0

    def add(self, piece: Piece) -> bool:
        """Take a piece in, and count it if it is an end."""
        self.ends += isinstance(piece, Finish)
        return super().add(piece)

    def answer(self) -> Answer:
        """Return the answer as a cut one, unless both have come."""
        answer = super().answer()
        return answer if self.ends > 1 else replace(answer, finish=None)


class LimitDropsCalls(Loop):
    """The calls of an answer that reached the output limit are lost."""

    def assembly(self) -> Assembly:
        """Return an assembly that makes a stub of such an answer."""
        return AssemblyWithinLimit()


class AssemblyWithinLimit(Assembly):
    """Takes no call from an answer that ended at the limit, whole or not."""

    def answer(self) -> Answer:
        """Return the answer, or its stub."""
        answer = super().answer()
        return continuation.stub(answer) if answer.finish == "length" and answer.calls else answer


class RefuseEmptyArguments(Loop):
    """Arguments without any text are no valid JSON."""

    def assembly(self) -> Assembly:
        """Return an assembly that wants an object in every call."""
        return AssemblyOfObjects()


class AssemblyOfObjects(Assembly):
    """Reads the arguments of every call, also where there are none."""

    def answer(self) -> Answer:
        """Return the answer, with a fault in each call that came without arguments."""
        answer, empty = super().answer(), "the arguments are not valid JSON: there are none"
        pairs = zip(answer.calls, self.calls, strict=True)
        return replace(answer, calls=tuple(c if came.args.strip() else replace(c, fault=empty) for c, came in pairs))


class AskAgainWhenEmpty(Loop):
    """An empty answer is asked for again, and the model hears nothing of it."""

    async def read(self) -> Answer:
        """Send the same request until something comes."""
        answer = await super().read()
        for _ in range(_EMPTY_RETRIES):
            if answer.finish != "stop" or not answer.is_blank:
                break
            answer = await super().read()
        return answer


class AddUpUsage(Loop):
    """Every count of tokens that comes is added to those before it."""

    def assembly(self) -> Assembly:
        """Return an assembly that adds up."""
        return AssemblyThatAddsUp()


class AssemblyThatAddsUp(Assembly):
    """Takes the counts of one answer for parts of its cost, where each repeats the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.total = Usage()

    def add(self, piece: Piece) -> bool:
        """Take a piece in; of counts, their sum."""
        if not isinstance(piece, Usage):
            return super().add(piece)
        self.total += piece
        return super().add(self.total)


# -- the calls of one answer -----------------------------------------------------------------------
class RunToolsTwice(Loop):
    """Every call runs a second time, as after a retry that forgot what had run."""

    def round(self, calls: Sequence[Call]) -> Round:
        """Return a round that runs everything twice."""
        return RoundTwice(calls, self.tools, self.observe, self.registry)


class RoundTwice(Round):
    """Settles every call twice and keeps the second result."""

    async def settle(self, call: Call) -> ToolResult:
        """Return the result of the second run."""
        await super().settle(call)
        return await super().settle(call)


class ResultsByArrival(Loop):
    """Results are given to the calls of an answer in the order in which they came."""

    def round(self, calls: Sequence[Call]) -> Round:
        """Return a round that goes by the order."""
        return RoundByArrival(calls, self.tools, self.observe, self.registry)


class RoundByArrival(Round):
    """Keeps the results in a row, and looks at no id."""

    def __init__(
        self, calls: Sequence[Call], tools: Mapping[str, Tool], observe: Observe, registry: Registry | None = None
    ) -> None:
        super().__init__(calls, tools, observe, registry)
        self.came: list[ToolResult] = []

    async def settle(self, call: Call) -> ToolResult:
        """Return the result, and put it at the end of the row."""
        result = await super().settle(call)
        self.came.append(result)
        return result

    def results(self) -> tuple[ToolResult, ...]:
        """Give the first call the first result that came, and so on, where there is one for each."""
        if len(self.came) < len(self.calls):
            return super().results()
        pairs = zip(self.calls, self.came, strict=True)
        return tuple(replace(result, call_id=call.id) for call, result in pairs)


class CancelIsToolError(Loop):
    """A cancellation that meets running tools is an error of these tools, and the turn goes on."""

    def round(self, calls: Sequence[Call]) -> Round:
        """Return a round that cannot be cancelled."""
        return RoundThatGoesOn(calls, self.tools, self.observe, self.registry)


class RoundThatGoesOn(Round):
    """Ends its calls when it is cancelled, and tells nobody."""

    async def run(self) -> None:
        """Run all calls, and take a cancellation for the end of them."""
        with contextlib.suppress(asyncio.CancelledError):
            await super().run()


class KeepGivenIds(Loop):
    """Calls keep the ids that the provider gave them."""

    async def play(self, text: str) -> Turn:
        """Play the turn; the first one begins the history."""
        if not self.history.items:
            self.history = HistoryOfGivenIds()
        return await super().play(text)


class HistoryOfGivenIds(History):
    """Leaves ids as they are, also where two calls share one."""

    def with_own_ids(self, calls: Iterable[Call]) -> tuple[Call, ...]:
        """Return the calls as they came."""
        return tuple(calls)


class UniqueIdsPerAnswer(Loop):
    """Ids are made unique within an answer, and nobody looks at the answers before it."""

    async def play(self, text: str) -> Turn:
        """Play the turn; the first one begins the history."""
        if not self.history.items:
            self.history = HistoryThatForgetsIds()
        return await super().play(text)


class HistoryThatForgetsIds(History):
    """Compares the ids of one answer with each other only."""

    def with_own_ids(self, calls: Iterable[Call]) -> tuple[Call, ...]:
        """Return the calls as if they were the first of the session."""
        return History().with_own_ids(calls)


# -- a turn, and what outlives it ------------------------------------------------------------------------------------
class LeakContinuationToken(Loop):
    """The token of an answer that is over stays in the options, so the next request asks for that answer again."""

    leaked: Token | None = None

    async def play(self, text: str) -> Turn:
        """Begin the turn without a token: each has options of its own."""
        self.leaked = None
        return await super().play(text)

    def assembly(self) -> Assembly:
        """Return an assembly whose tokens are kept."""
        return AssemblyThatLeaks(self)

    def request(self) -> Request:
        """Return a request with the last token that came, whether or not its answer is over."""
        request = super().request()
        return request if self.leaked is None else replace(request, token=self.leaked, whole=True)


class AssemblyThatLeaks(Assembly):
    """Hands every token on to its loop."""

    def __init__(self, loop: LeakContinuationToken) -> None:
        super().__init__()
        self.loop = loop

    def add(self, piece: Piece) -> bool:
        """Take a piece in, and keep its token for the next request."""
        if isinstance(piece, Running):
            self.loop.leaked = piece.token
        return super().add(piece)


class NewRegistryEachTurn(Loop):
    """Each turn begins with a registry of its own, and the one before is forgotten with what runs in it."""

    async def play(self, text: str) -> Turn:
        """Play the turn with empty books."""
        self.registry = type(self.registry)(self.limits, self.observe)
        return await super().play(text)


class EndCallsWithTurn(Loop):
    """What is in the background is cancelled when the turn ends."""

    async def play(self, text: str) -> Turn:
        """Play the turn, and end whatever it has parked."""
        try:
            return await super().play(text)
        finally:
            await self.registry.cancel_all()

"""Faults of reading one answer: of how its calls are put together, and of what its end, or its error, is taken for.

The idea: a call comes in pieces, an end in one word, and published agents were wrong about both; each class here is
one such reading, put in place of the assembly or around the client's pieces. The constraint: what comes over the wire
is the sound client's, so the fault is in what is made of it and nowhere else. Faulty adapters were refused: there would
be one for each wire, and each a copy of the sound one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from simkit.agent.clients import BrokenStreamError, ProviderError, RefusedError, Request, UnavailableError, Watch
from simkit.agent.loop import Loop
from simkit.agent.stream import Answer, Assembly, CallPart, Finish, OpenCall, Piece
from simkit.subjects.flawed_client import WrappedClient


# -- the pieces of a call --------------------------------------------------------------------------------------------
class Misreading(Assembly):
    """An assembly that takes the pieces of calls for something else; the faults below say for what."""

    def add(self, piece: Piece) -> bool:
        """Take in what the piece is taken for."""
        if not isinstance(piece, CallPart):
            return super().add(piece)
        taken = self.misread(piece)
        return taken is not None and super().add(taken)

    def misread(self, part: CallPart) -> CallPart | None:
        """Return what the piece is taken for; None where it is lost."""
        return part

    def opened_at(self, part: CallPart) -> OpenCall | None:
        """Return the call that stands at the index of this piece."""
        return next((call for call in self.calls if call.index == part.index), None)


class DropOrphanArguments(Misreading):
    """Arguments for an index at which no call was begun are lost."""

    def misread(self, part: CallPart) -> CallPart | None:
        """Lose the piece unless it begins a call or its index is known."""
        return part if part.id or part.name or self.opened_at(part) else None


class ArgumentsToLastCall(Misreading):
    """Arguments belong to the call that was begun last, whatever they say themselves; what follows does not mend it."""

    def misread(self, part: CallPart) -> CallPart | None:
        """Take away what says where the piece belongs."""
        if part.whole and self.opened_at(part):
            return None
        return part if part.name else replace(part, index=None, id=None)


class JoinNames(Misreading):
    """Every name that comes is a further piece of the name."""

    def misread(self, part: CallPart) -> CallPart | None:
        """Put the name behind what is there."""
        call = self.opened_at(part)
        return replace(part, name=call.name + part.name) if call and part.name and not part.whole else part


class KeepFirstName(Misreading):
    """The first piece of a name is the name."""

    def misread(self, part: CallPart) -> CallPart | None:
        """Take the name away from all further pieces."""
        return replace(part, name="") if self.opened_at(part) else part


class CountEveryMention(Misreading):
    """Whatever has an id and a name is a further call, also where that id was there before."""

    def misread(self, part: CallPart) -> CallPart | None:
        """Begin a call with the piece."""
        if not (part.id and part.name) or part.whole:
            return part
        self.calls.append(OpenCall(part.index, part.id, part.name, part.args))
        return None


class DropEqualCalls(Assembly):
    """Of calls that ask for the same, only the first is left."""

    def answer(self) -> Answer:
        """Return the answer with each pair of name and arguments once."""
        answer = super().answer()
        wanted = [(call.name, call.arguments) for call in answer.calls]
        calls = tuple(call for n, call in enumerate(answer.calls) if wanted.index(wanted[n]) == n)
        return replace(answer, calls=calls)


# -- the end of an answer --------------------------------------------------------------------------------------------
class ObeyFinishStop(Loop):
    """An answer that ends with ``stop`` has no calls, whatever it holds."""

    async def read(self) -> Answer:
        """Return the answer, its calls taken away where the reason does not speak of any."""
        answer = await super().read()
        return replace(answer, calls=()) if answer.finish == "stop" else answer


class GoOnByReason(Loop):
    """As long as the reason speaks of calls the turn goes on, also where there are none."""

    async def read(self) -> Answer:
        """Send the same request until the reason is another, or the turn has no requests left."""
        answer = await super().read()
        for _ in range(self.limits.max_requests):
            if answer.finish != "tool_calls" or answer.calls:
                break
            answer = await super().read()
        return answer


class IncompleteIsSuccess(Loop):
    """An answer that the provider ended early, and says so, counts as one that the model ended."""

    async def read(self) -> Answer:
        """Return the answer with the wrong finish reason."""
        answer = await super().read()
        return replace(answer, finish="stop") if answer.finish in ("length", "content_filter") else answer


class ErrorIsAnswer(Loop):
    """What the provider says of its trouble is shown as the model's answer, and the turn has finished."""

    async def read(self) -> Answer:
        """Return the words of an error that may pass as an answer."""
        try:
            return await super().read()
        except UnavailableError as error:
            return Answer(text=str(error), finish="stop")


class StopReadingAtFinish(WrappedClient):
    """Reads a stream to its finish reason and not behind it."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Yield what comes until the reason has."""
        async with aclosing(self.sound.stream(request, watch)) as pieces:
            async for piece in pieces:
                yield piece
                if isinstance(piece, Finish):
                    return


class FinishNeedsCleanEnd(WrappedClient):
    """The finish reason counts when the stream has ended well behind it."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Hold the reason back until nothing more comes."""
        held: list[Piece] = []
        async with aclosing(self.sound.stream(request, watch)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    held.append(piece)
                else:
                    yield piece
        for piece in held:
            yield piece


# -- errors in the middle of an answer -------------------------------------------------------------------------------
class StreamErrorIsFinal(WrappedClient):
    """An error that comes in a stream has the status of the stream, 200, which nobody tries again."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Yield what comes, and take the provider's own error for a refusal."""
        try:
            async with aclosing(self.sound.stream(request, watch)) as pieces:
                async for piece in pieces:
                    yield piece
        except BrokenStreamError as error:
            raise _as_refusal(error) from error


class RetryEveryStreamError(WrappedClient):
    """Whatever ends an answer that has begun may pass, also what the provider refuses for good."""

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Yield what comes, and take a refusal in the middle of it for a broken stream."""
        try:
            async with aclosing(self.sound.stream(request, watch)) as pieces:
                async for piece in pieces:
                    yield piece
        except RefusedError as error:
            raise BrokenStreamError(str(error), over=True) from error


def _as_refusal(error: BrokenStreamError) -> ProviderError:
    return RefusedError(str(error)) if error.over else error

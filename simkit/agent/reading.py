"""Reading one answer: from its request to its last word, through broken streams and questions about it.

The idea: this file only does things - opens streams, sleeps, asks, stops; when to ask again is decided by
``background``, and what the answer means by ``decisions``. The constraint it protects: whatever ends the reading, no
stream is left open, and an answer that nobody will fetch any more is stopped at the provider. Resuming inside the
client was refused: its back-off would count as silence, and no other driver could share the decisions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from simkit.agent.background import Ask, Came, GiveUp, Heard, Pursuit, next_move
from simkit.agent.clients import (
    BrokenStreamError,
    Client,
    LostAnswerError,
    NoResumeError,
    Request,
    UnavailableError,
)
from simkit.agent.decisions import Limits
from simkit.agent.driver import Driver
from simkit.agent.facts import Observe
from simkit.agent.stream import Answer, Assembly, Running, Token


class Reading:
    """Reads one answer; ``assembly`` makes what puts it together, anew for every time that it comes as a whole."""

    def __init__(
        self, client: Client, limits: Limits, observe: Observe, assembly: Callable[[], Assembly], driver: Driver
    ) -> None:
        self._client = client
        self._limits = limits
        self._observe = observe
        self._make = assembly
        self._assembly = assembly()
        self._driver = driver
        self._began_s = driver.now_s()

    async def read(self, request: Request) -> Answer:
        """Send the request and return what came of it, cut off or not. Raises ``ProviderError`` where nothing did."""
        try:
            came = await self._listen(request)
            await self._pursue(request, came)
        except asyncio.CancelledError:
            await self._stop()
            raise
        # A stream that broke after its finish reason has lost nothing.
        return self._assembly.answer()

    # -- an answer that runs on ----------------------------------------------------------------------------------
    async def _pursue(self, request: Request, came: Came) -> None:
        """Ask for the answer again and again, until it runs no more or is given up."""
        pursuit, wait_s, how = Pursuit(self._resumable), None, ""
        while (running := self._assembly.running) is not None:
            heard = Heard(came, self._driver.now_s() - self._began_s, wait_s)
            pursuit, move = next_move(pursuit, heard, self._limits)
            if isinstance(move, GiveUp):
                await self._stop()
                raise LostAnswerError(move.reason)
            how = self._tell(running.token, move, how)
            await self._driver.sleep(move.delay_s)
            came, wait_s = await self._ask(replace(request, token=running.token, whole=not move.resume))

    async def _ask(self, request: Request) -> tuple[Came, float | None]:
        """Ask for the running answer, and return what came of it and the wait that the provider asks for."""
        if request.whole:
            # It will come as a whole, with what has been heard of it already.
            self._assembly, before = self._make(), self._assembly
            self._assembly.running = before.running
        try:
            return await self._listen(request), None
        except UnavailableError as error:
            self._observe("question_failed", error=str(error))
            return "failed", error.wait_s
        except NoResumeError as error:
            self._observe("question_failed", error=str(error))
            return "no_stream", None

    async def _stop(self) -> None:
        """Stop an answer that still runs: nobody will come for it. Does not raise for what the provider does."""
        running, error = self._assembly.running, ""
        if running is None:
            return
        try:
            async with self._driver.deadline(self._limits.cancel_grace_s):
                await self._client.cancel(running.token)
        except Exception as failure:  # noqa: BLE001  # the turn is over; all that is left is to say that it runs on
            error = f"{type(failure).__name__}: {failure}"
        self._observe("answer_stopped", token=dict(running.token), error=error)

    def _tell(self, token: Token, move: Ask, before: str) -> str:
        how = "resume" if move.resume else "poll"
        if how != before:
            self._observe("answer_runs_on", token=dict(token), how=how)
        return how

    # -- one exchange --------------------------------------------------------------------------------------------
    async def _listen(self, request: Request) -> Came:
        """Take in what one request brings, and say what has come of it should the answer still be running."""
        before, broke = self._assembly.running, False
        limits = self._limits
        idle = self._driver.idle(limits)
        try:
            async with idle, aclosing(self._client.stream(request, idle)) as pieces:
                async for piece in pieces:
                    if self._assembly.add(piece):
                        idle.progress()
                    if isinstance(piece, Running):
                        idle.end_by(self._began_s + limits.poll_deadline_s)
        except TimeoutError:
            if not idle.fired:
                raise
            broke = True
            if not idle.overdue:
                names = [call.name for call in self._assembly.calls]
                self._observe("idle_deadline", after_s=idle.after_s, open=names)
        except BrokenStreamError as error:
            broke = True
            self._observe("broken_stream", error=str(error))
            if error.over:
                self._assembly.running = None
        if request.whole or not self._resumable:
            return "failed" if broke else "running"
        return "news" if self._assembly.running != before else "silence"

    @property
    def _resumable(self) -> bool:
        return self._assembly.running is not None and self._assembly.running.resumable

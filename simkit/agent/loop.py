"""The bounded loop of one turn: ask, read, decide, act, until a decision ends it.

The idea: this file only does things - streams, sleeps, runs tools, writes the history; what to do comes from
``decisions`` and ``continuation``. The constraint it protects: at every await the history is fit to be sent,
so a turn may be cancelled anywhere and the session goes on. Recursion on tool calls was refused: its bound is
the stack.

The methods without an underscore are the seams: a subclass may change one of them and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from simkit.agent import continuation
from simkit.agent.clients import BrokenStreamError, Client, ProviderError, Request
from simkit.agent.decisions import Continue, End, Limits, Outcome, Resend, RunTools, Spent, next_step, spend
from simkit.agent.facts import Observe
from simkit.agent.history import Call, History
from simkit.agent.idle import IdleDeadline
from simkit.agent.stream import Answer, Assembly
from simkit.agent.tools import Round, Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How a turn ended.

    ``text`` is the last answer, its continued pieces joined; ``reason`` says why the turn fell short.
    """

    outcome: Outcome
    text: str
    reason: str = ""
    spent: Spent = field(default_factory=Spent)


class Loop:
    """Plays the turns of one session, one at a time."""

    def __init__(
        self, client: Client, *, tools: Mapping[str, Tool], limits: Limits, system: str, observe: Observe
    ) -> None:
        self.client = client
        self.tools = tools
        self.limits = limits
        self.system = system
        self.observe = observe
        self.history = History()

    async def play(self, text: str) -> Turn:
        """Play one turn to its end. Raises only what is no fault of the provider or of a tool."""
        self.history.add_question(text)
        spent = Spent()
        pieces: list[str] = []  # of the answer that is being continued
        while True:
            try:
                answer = await self.read()
            except ProviderError as error:
                return Turn(outcome="failed", text="".join(pieces), reason=str(error), spent=spent)
            spent = replace(spent, requests=spent.requests + 1, usage=spent.usage + answer.usage)
            answer = self._settle(answer)
            pieces.append(answer.text)
            step = next_step(answer, spent, self.limits)
            spent = spend(spent, answer, step)
            match step:
                case End(outcome=outcome, reason=reason):
                    self.history.add_text(answer.text)
                    return Turn(outcome=outcome, text="".join(pieces), reason=reason, spent=spent)
                case RunTools():
                    pieces.clear()
                    await self._run_tools(answer)
                case Continue():
                    self._ask_for_the_rest(answer, step)
                case Resend(number=number, delay_s=delay_s):
                    self.observe("resend", number=number, delay_s=delay_s)
                    await asyncio.sleep(delay_s)

    async def read(self) -> Answer:
        """Send the history and return what came of it, cut off or not."""
        assembly = self.assembly()
        idle = IdleDeadline(self.limits.stale_after_s)
        request = Request(items=self.history.items, tools=self.tools, system=self.system)
        try:
            async with idle, aclosing(self.client.stream(request, idle)) as pieces:
                async for piece in pieces:
                    if assembly.add(piece):
                        idle.progress()
        except TimeoutError:
            names = [call.name for call in assembly.calls]
            self.observe("idle_deadline", after_s=self.limits.stale_after_s, open=names)
        except BrokenStreamError as error:
            self.observe("broken_stream", error=str(error))
        # A stream that broke after its finish reason has lost nothing.
        return assembly.answer()

    def assembly(self) -> Assembly:
        """Return what puts one answer together."""
        return Assembly()

    def stub(self, answer: Answer) -> Answer:
        """Return what is kept of a cut answer."""
        return continuation.stub(answer)

    def round(self, calls: Sequence[Call]) -> Round:
        """Return what runs the calls of one answer."""
        return Round(calls, self.tools, self.observe)

    def _settle(self, answer: Answer) -> Answer:
        if continuation.is_cut(answer):
            answer = self.stub(answer)
            self.observe("partial_stub", finish_reason=answer.finish, dropped=list(answer.dropped))
        if answer.text:
            self.observe("said", text=answer.text)
        return answer

    def _ask_for_the_rest(self, answer: Answer, step: Continue) -> None:
        self.observe("continuation", number=step.number, form=step.form)
        self.history.add_text(answer.text)
        self.history.add_question(continuation.prompt(answer))

    async def _run_tools(self, answer: Answer) -> None:
        calls = self.history.with_own_ids(answer.calls)
        tools = self.round(calls)
        try:
            await tools.run()
        finally:
            # Also when the turn is cancelled: what has run must stand in the history, or it would be run
            # again.
            self.history.add_round(answer.text, calls, tools.results())

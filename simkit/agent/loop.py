"""The bounded loop of one turn: ask, read, decide, act, until a decision ends it.

The idea: this file only does things - sends, sleeps, runs tools, writes the history; what to do comes from
``decisions`` and ``continuation``. The constraint it protects: at every await the history is fit to be sent,
so a turn may be cancelled anywhere and the session goes on. Recursion on tool calls was refused: its bound is
the stack.

The methods without an underscore are the seams: a subclass may change one of them and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from simkit.agent import continuation
from simkit.agent.clients import BrokenStreamError, Client, ProviderError, Request, UnavailableError
from simkit.agent.decisions import (
    Continue,
    End,
    FallBack,
    GoOn,
    Limits,
    NoAnswer,
    Nudge,
    Outcome,
    Resend,
    Retry,
    RunTools,
    Spent,
    Step,
    after_error,
    next_step,
    spend,
)
from simkit.agent.driver import Driver
from simkit.agent.facts import Observe
from simkit.agent.history import Call, History
from simkit.agent.reading import Reading
from simkit.agent.registry import Registry
from simkit.agent.stream import Answer, Assembly, Usage
from simkit.agent.tools import Round, Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How a turn ended.

    ``text`` is the last answer, its continued pieces joined; ``reason`` says why the turn fell short, and ``error`` is
    what the provider failed with. Where another model was asked too, the cause of ``error`` is the first one's.
    """

    outcome: Outcome | Literal["cancelled"]
    text: str
    reason: str = ""
    spent: Spent = field(default_factory=Spent)
    error: ProviderError | None = None


class Course:
    """What a turn has come to so far."""

    def __init__(self) -> None:
        self.spent = Spent()
        # Of the answer that is being continued.
        self.pieces: list[str] = []
        # Why another model was asked.
        self.first_error: ProviderError | None = None

    def count(self, usage: Usage | None = None) -> None:
        """Count a request, and what its answer cost."""
        spent = self.spent
        self.spent = replace(spent, requests=spent.requests + 1, usage=spent.usage + (usage or Usage()))

    def over(self, outcome: Outcome, reason: str = "", error: ProviderError | None = None) -> Turn:
        """Return how the turn ended, if it ends here."""
        if outcome == "failed" and self.first_error is not None:
            reason = f"{reason} - from the other model, asked after: {self.first_error}"
            error = ProviderError(reason)
            error.__cause__ = self.first_error
        return Turn(outcome=outcome, text="".join(self.pieces), reason=reason, spent=self.spent, error=error)


class Loop:
    """Plays the turns of one session, one at a time."""

    def __init__(
        self,
        client: Client,
        *,
        tools: Mapping[str, Tool],
        registry: Registry,
        limits: Limits,
        system: str,
        observe: Observe,
        fallback: Client | None = None,
    ) -> None:
        self.client = client
        # Asked for the rest of a turn in which ``client`` gave no answer.
        self.fallback = fallback
        self.tools = tools
        # One for all turns: a call that was parked in one of them is asked for in the next.
        self.registry = registry
        self.limits = limits
        self.system = system
        self.observe = observe
        self.history = History()
        self._asked = client

    @property
    def driver(self) -> Driver:
        """Who plays the turns: whoever plays their calls."""
        return self.registry.driver

    async def play(self, text: str) -> Turn:
        """Play one turn to its end. Raises only what is no fault of the provider or of a tool."""
        self.history.add_question(text)
        self._asked = self.client
        course, limit_s = Course(), self.limits.turn_deadline_s
        deadline = self.driver.deadline(None if math.isinf(limit_s) else limit_s)
        try:
            async with deadline:
                return await self._run(course)
        except TimeoutError:
            if not deadline.expired():
                raise
            return course.over("failed", f"the turn has used all its {limit_s:g} s")
        finally:
            # However the turn ends: what its answers have cost is spent, also of one that was cancelled.
            usage = course.spent.usage
            self.observe("usage", input=usage.input_tokens, output=usage.output_tokens)

    async def read(self) -> Answer:
        """Send the history and return what came of it, cut off or not. Raises ``ProviderError`` where nothing did."""
        reading = Reading(self._asked, self.limits, self.observe, self.assembly, self.driver)
        return await reading.read(self.request())

    def request(self) -> Request:
        """Return the next request: always a new one, for an answer that is over is never asked for again."""
        return Request(items=self.history.items, tools=self.tools, system=self.system)

    def assembly(self) -> Assembly:
        """Return what puts one answer together."""
        return Assembly()

    def stub(self, answer: Answer) -> Answer:
        """Return what is kept of a cut answer."""
        return continuation.stub(answer)

    def round(self, calls: Sequence[Call]) -> Round:
        """Return what runs the calls of one answer."""
        return Round(calls, self.tools, self.observe, self.registry)

    # -- steps ---------------------------------------------------------------------------------------------------
    async def _run(self, course: Course) -> Turn:
        turn = None
        while turn is None:
            try:
                answer = self._settle(await self.read())
            except ProviderError as error:
                turn = await self._without_answer(course, error)
            else:
                turn = await self._with_answer(course, answer)
        return turn

    async def _with_answer(self, course: Course, answer: Answer) -> Turn | None:
        course.count(answer.usage)
        course.pieces.append(answer.text + answer.refusal)
        step = next_step(answer, course.spent, self.limits, fallback=self._may_fall_back)
        course.spent = spend(course.spent, answer, step)
        match step:
            case End(outcome=outcome, reason=reason):
                self._keep(answer)
                return course.over(outcome, reason)
            case RunTools():
                course.pieces.clear()
                await self._run_tools(answer)
                return course.over("failed", "the session was closed") if self.registry.closed else None
            case Continue():
                self._ask_for_the_rest(answer, step)
            case GoOn(number=number):
                self.observe("pause", number=number)
                self.history.add_pause(answer.text, answer.opaque)
            case Nudge(number=number):
                self.observe("nudge", number=number)
                self.history.add_question(continuation.NUDGE)
            case _:
                await self._try_again(course, step)
        return None

    async def _without_answer(self, course: Course, error: ProviderError) -> Turn | None:
        course.count()
        passing = isinstance(error, UnavailableError)
        trouble = NoAnswer(str(error), passing, error.wait_s if isinstance(error, UnavailableError) else None)
        step = after_error(trouble, course.spent, self.limits, fallback=self._may_fall_back)
        course.spent = spend(course.spent, None, step)
        if isinstance(step, End):
            return course.over(step.outcome, step.reason, error)
        await self._try_again(course, step, error)
        return None

    @property
    def _may_fall_back(self) -> bool:
        return self.fallback is not None and self._asked is not self.fallback

    async def _try_again(self, course: Course, step: Step, error: ProviderError | None = None) -> None:
        """Wait, and have the same request go out again, perhaps to the other model."""
        match step:
            case Resend(number=number, delay_s=delay_s):
                self.observe("resend", number=number, delay_s=delay_s)
                await self.driver.sleep(delay_s)
            case Retry(number=number, delay_s=delay_s):
                self.observe("retry", number=number, delay_s=delay_s, error=str(error))
                await self.driver.sleep(delay_s)
            case FallBack(delay_s=delay_s, reason=reason):
                self.observe("fallback", delay_s=delay_s, error=reason)
                course.first_error = error or BrokenStreamError(reason)
                assert self.fallback is not None, "nobody to fall back on"
                self._asked = self.fallback
                await self.driver.sleep(delay_s)

    def _settle(self, answer: Answer) -> Answer:
        if continuation.is_cut(answer):
            answer = self.stub(answer)
            self.observe("partial_stub", finish_reason=answer.finish, dropped=list(answer.dropped))
        if answer.text or answer.refusal:
            self.observe("said", text=answer.text + answer.refusal)
        return answer

    def _keep(self, answer: Answer) -> None:
        """Keep the words of an answer that ends its turn."""
        if answer.finish == "refusal" and not answer.refusal:
            # Where declining has no words of its own, the provider asks to leave out what it broke off.
            return
        whole = answer.finish == "stop" and not answer.calls
        self.history.add_text(answer.text + answer.refusal, answer.opaque if whole else ())

    def _ask_for_the_rest(self, answer: Answer, step: Continue) -> None:
        self.observe("continuation", number=step.number, form=step.form)
        self.history.add_text(answer.text, answer.opaque)
        self.history.add_question(continuation.prompt(answer))

    async def _run_tools(self, answer: Answer) -> None:
        calls = self.history.with_own_ids(answer.calls)
        tools = self.round(calls)
        try:
            await tools.run()
        finally:
            # Also when the turn is cancelled: what has run must stand in the history, or it would be run
            # again.
            self.history.add_round(answer.text, calls, tools.results(), answer.opaque)

"""What follows from an answer, and from an error: pure decisions, to be played by any driver.

The idea: answer, what the turn has spent, and the limits go in; one step comes out. The constraint
it protects: every way round the loop is counted, so every turn ends. Deciding inside the loop, between its
awaits, was refused: a blocking twin could not share it, and it could only be tested with a provider at hand.

==============================================  ============================================================
the answer                                      the step
==============================================  ============================================================
refused by the model or filtered                the turn ends ``failed``
has calls                                       run them, whatever the finish reason says
paused by the provider                          send it back to be gone on with; then ``incomplete``
broke off before anything came                  send the same again, later; then as without an answer
cut off                                         ask for the rest; then ``incomplete``
ended with nothing in it                        say so to the model; then ``failed``
ended by itself                                 the turn ends ``finished``
==============================================  ============================================================

==============================================  ============================================================
no answer, because                              the step
==============================================  ============================================================
the provider refuses the request                the turn ends ``failed``
the provider is not there                       send the same again, later; then ask another model; then
                                                ``failed``
it asks to be left alone for very long          the turn ends ``failed``: another model is no way round that
==============================================  ============================================================

Whatever needs one request too many ends the turn ``failed``, and its calls are not run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from simkit.agent.continuation import Form, form_of
from simkit.agent.stream import Answer, Usage

Outcome = Literal["finished", "incomplete", "failed"]

# As the SDKs wait between their own retries: half a second, doubled each time, eight at most.
_DELAY_FIRST_S: Final = 0.5
_DELAY_MAX_S: Final = 8.0

# A provider that asks for more than this is not waited for: its user would rather know. The openai SDK's own limit.
WAIT_S_MAX: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one turn may spend, and what its tools may.

    ``stale_after_s`` is how long a request may go without content (``inf``: for ever), ``first_event_s`` how long until
    the first of it (None: as long), ``whole_answer_s`` how long an answer in one piece may take. ``turn_deadline_s``
    is for the whole turn.

    ``max_requests`` counts the loop's requests, not the SDK's own retries within one. ``max_resends`` counts identical
    requests after streams that broke before anything arrived: as many as an SDK retries by default.
    ``max_own_retries`` are the loop's own after the SDK's are used up, ``max_nudges`` answers to answers with nothing
    in them, ``max_pauses`` answers that the provider interrupts.

    An answer that runs on at the provider is asked for every ``poll_every_s``, until ``poll_deadline_s`` after its
    request or until more than ``poll_failures_max`` of these questions in a row have failed. Then, and when the turn is
    cancelled, it is stopped.

    ``tool_budget_s`` is how long a tool call may keep the turn waiting before it is parked (None: for ever),
    ``background_cap`` how many may be parked at once (0: none). A tool that is asked to stop has
    ``cancel_grace_s`` for it, and all those of a session that ends have ``teardown_grace_s`` together. The provider has
    ``cancel_grace_s`` to stop an answer, so a turn that is cancelled has settled after the longer of both.
    """

    stale_after_s: float = 180.0
    first_event_s: float | None = None
    whole_answer_s: float = 600.0
    turn_deadline_s: float = math.inf
    max_continuations: int = 3
    max_requests: int = 20
    max_resends: int = 2
    max_own_retries: int = 0
    max_nudges: int = 2
    max_pauses: int = 5
    poll_every_s: float = 2.0
    poll_deadline_s: float = 1_800.0
    poll_failures_max: int = 5
    tool_budget_s: float | None = 600.0
    background_cap: int = 32
    cancel_grace_s: float = 5.0
    teardown_grace_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the turn has spent so far; ``begun``: the next answer goes on with one that has words already."""

    requests: int = 0
    continuations: int = 0
    resends: int = 0
    retries: int = 0
    nudges: int = 0
    pauses: int = 0
    begun: bool = False
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class End:
    """The turn is over."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunTools:
    """Run the answer's calls and send their results."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Keep the stub and ask for the rest, for the ``number``-th time in this turn."""

    number: int
    form: Form


@dataclass(frozen=True, slots=True)
class Resend:
    """Send the same request again after a pause, for the ``number``-th time in this turn."""

    number: int
    delay_s: float


@dataclass(frozen=True, slots=True)
class Retry:
    """No answer came: send the same request again after a pause, for the ``number``-th time in this turn."""

    number: int
    delay_s: float


@dataclass(frozen=True, slots=True)
class FallBack:
    """Ask the other model from here on, after a pause."""

    delay_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Nudge:
    """Tell the model that its answer was empty, for the ``number``-th time in this turn."""

    number: int


@dataclass(frozen=True, slots=True)
class GoOn:
    """Send the paused answer back as it is, for the ``number``-th time in this turn."""

    number: int


Step = End | RunTools | Continue | Resend | Retry | FallBack | Nudge | GoOn


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A request that brought none: why, whether the same may succeed later, and the wait that was asked for."""

    reason: str
    passing: bool = False
    wait_s: float | None = None


def next_step(answer: Answer, spent: Spent, limits: Limits, *, fallback: bool = False) -> Step:
    """Return what follows from this answer. ``spent`` includes the request that brought it.

    ``fallback`` says that there is another model to ask.
    """
    return _bounded(_wanted(answer, spent, limits, fallback=fallback), spent, limits)


def after_error(error: NoAnswer, spent: Spent, limits: Limits, *, fallback: bool = False) -> Step:
    """Return what follows where no answer came. ``spent`` includes the request that failed."""
    return _bounded(_remedy(error, spent, limits, fallback=fallback), spent, limits)


def spend(spent: Spent, answer: Answer | None, step: Step) -> Spent:
    """Return what the turn has spent after taking this step; ``answer`` is None where none came."""
    begun = spent.begun or (answer is not None and bool(answer.text.strip()))
    match step:
        case RunTools():
            return replace(spent, begun=False)
        case Continue(number=number):
            return replace(spent, continuations=number, begun=begun)
        case GoOn(number=number):
            return replace(spent, pauses=number, begun=begun)
        case Resend(number=number):
            return replace(spent, resends=number)
        case Retry(number=number):
            return replace(spent, retries=number)
        case Nudge(number=number):
            return replace(spent, nudges=number)
    return spent


def _bounded(step: Step, spent: Spent, limits: Limits) -> Step:
    if isinstance(step, End) or spent.requests < limits.max_requests:
        return step
    return End("failed", f"the turn has used all its {limits.max_requests} requests")


def _wanted(answer: Answer, spent: Spent, limits: Limits, *, fallback: bool) -> Step:
    if answer.finish == "content_filter":
        return End("failed", "the provider's content filter ended the answer")
    if answer.finish == "refusal":
        words = answer.refusal or answer.text
        return End("failed", f"refused by the model: {words}" if words else "refused by the model")
    if answer.calls:
        return RunTools()
    if answer.finish == "length":
        return _rest(answer, spent, limits, fallback=fallback)
    if answer.finish == "pause" and (answer.opaque or not answer.is_blank):
        return _go_on(spent, limits)
    if answer.is_blank and not spent.begun:
        return _nudge(spent, limits)
    return End("finished")


def _rest(answer: Answer, spent: Spent, limits: Limits, *, fallback: bool) -> Step:
    if answer.partial and answer.is_blank:
        return _again(spent, limits, fallback=fallback)
    if spent.continuations >= limits.max_continuations:
        return End("incomplete", f"the answer was still cut off after {spent.continuations} continuations")
    return Continue(spent.continuations + 1, form_of(answer))


def _again(spent: Spent, limits: Limits, *, fallback: bool) -> Step:
    if spent.resends < limits.max_resends:
        return Resend(spent.resends + 1, _delay_s(spent.resends))
    reason = f"the stream broke {spent.resends + 1} times before anything arrived"
    return FallBack(0.0, reason) if fallback else End("failed", reason)


def _go_on(spent: Spent, limits: Limits) -> Step:
    if spent.pauses >= limits.max_pauses:
        return End("incomplete", f"the provider paused the answer {spent.pauses + 1} times")
    return GoOn(spent.pauses + 1)


def _nudge(spent: Spent, limits: Limits) -> Step:
    if spent.nudges >= limits.max_nudges:
        return End("failed", f"the model gave {spent.nudges + 1} answers with nothing in them")
    return Nudge(spent.nudges + 1)


def _remedy(error: NoAnswer, spent: Spent, limits: Limits, *, fallback: bool) -> Step:
    wait_s = error.wait_s or 0.0
    if wait_s > WAIT_S_MAX:
        return End("failed", f"{error.reason} (the provider asks to be left alone for {wait_s:g} s)")
    if error.passing and spent.retries < limits.max_own_retries:
        return Retry(spent.retries + 1, max(wait_s, _delay_s(spent.retries)))
    if error.passing and fallback:
        return FallBack(wait_s, error.reason)
    return End("failed", error.reason)


def _delay_s(number: int) -> float:
    return min(_DELAY_FIRST_S * 2.0**number, _DELAY_MAX_S)

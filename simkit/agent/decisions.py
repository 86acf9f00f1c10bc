"""What follows from an answer: pure decisions, to be played by any driver.

The idea: answer, what the turn has spent, and the limits go in; one of four steps comes out. The constraint
it protects: every way round the loop is counted, so every turn ends. Deciding inside the loop, between its
awaits, was refused: a blocking twin could not share it, and it could only be tested with a provider at hand.

==============================================  ============================================================
the answer                                      the step
==============================================  ============================================================
filtered by the provider                        the turn ends ``failed``
has calls                                       run them, whatever the finish reason says
ended by itself                                 the turn ends ``finished``
broke off before anything came                  send the same again, later; then ``failed``
cut off                                         ask for the rest; then ``incomplete``
anything that needs one request too many        the turn ends ``failed``, and its calls are not run
==============================================  ============================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from simkit.agent.continuation import Form, form_of
from simkit.agent.stream import Answer, Usage

Outcome = Literal["finished", "incomplete", "failed"]

# As the SDKs wait between their own retries: half a second, doubled each time, eight at most.
_DELAY_FIRST_S: Final = 0.5
_DELAY_MAX_S: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one turn may spend.

    ``stale_after_s`` is how long a request may go without content (``inf``: for ever). ``max_requests``
    counts the loop's requests, not the SDK's own retries within one. ``max_resends`` counts identical
    requests after streams that broke before anything arrived: as many as an SDK retries by default.
    """

    stale_after_s: float = 180.0
    max_continuations: int = 3
    max_requests: int = 20
    max_resends: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the turn has spent so far."""

    requests: int = 0
    continuations: int = 0
    resends: int = 0
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


Step = End | RunTools | Continue | Resend


def next_step(answer: Answer, spent: Spent, limits: Limits) -> Step:
    """Return what follows from this answer. ``spent`` includes the request that brought it."""
    step = _wanted(answer, spent, limits)
    if isinstance(step, End) or spent.requests < limits.max_requests:
        return step
    return End("failed", f"the turn has used all its {limits.max_requests} requests")


def spend(spent: Spent, answer: Answer, step: Step) -> Spent:
    """Return what the turn has spent after taking this step."""
    match step:
        case Continue(number=number):
            return replace(spent, continuations=number)
        case Resend(number=number):
            return replace(spent, resends=number)
    return spent


def _wanted(answer: Answer, spent: Spent, limits: Limits) -> Step:
    if answer.finish == "content_filter":
        return End("failed", "the provider's content filter ended the answer")
    if answer.calls:
        return RunTools()
    if answer.finish != "length":
        return End("finished")
    if answer.partial and not answer.text.strip() and not answer.dropped:
        return _again(spent, limits)
    if spent.continuations >= limits.max_continuations:
        return End("incomplete", f"the answer was still cut off after {spent.continuations} continuations")
    return Continue(spent.continuations + 1, form_of(answer))


def _again(spent: Spent, limits: Limits) -> Step:
    if spent.resends >= limits.max_resends:
        return End("failed", f"the stream broke {spent.resends + 1} times before anything arrived")
    return Resend(spent.resends + 1, min(_DELAY_FIRST_S * 2**spent.resends, _DELAY_MAX_S))

"""What follows while an answer runs on at the provider: when to ask again, how, and when to stop.

The idea: what came of the last question and the time that has passed go in, one move comes out. The constraint it
protects: an answer that has cost money is not lost to one failed poll, not waited for without end, and never generated
a second time because nobody knew what had become of the first. Leaving it to the SDK was refused: it has no helper for
polls, and its resumed stream reads everything from the start.

=================  ==============================================  =====================================================
what came          it means                                        the move
=================  ==============================================  =====================================================
``running``        a poll says that it still runs                  poll again, after the interval
``news``           a stream broke off, and had brought something   resume it from where it broke off, shortly after
``silence``        a stream broke off, and had brought nothing     from now on poll: a poll knows whether it lives
``no_stream``      the provider streams it no more                 from now on poll
``failed``         the question did not come through               ask again, after the interval or what the provider
                                                                   asks for; after too many in a row give up
=================  ==============================================  =====================================================

At the deadline it is given up, which stops it at the provider. One that is over has no token any more, and nobody asks
for it again; one that the provider does not know (``LostAnswerError``) fails the turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from simkit.agent.decisions import Limits

Came = Literal["running", "news", "silence", "no_stream", "failed"]

# A stream that broke is taken up again almost at once: what it brings meanwhile is kept by the provider.
_RESUME_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pursuit:
    """How far the asking is: whether the stream may be resumed, and how many questions in a row have failed."""

    resumable: bool
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of the last question, how long ago the request was, and the wait that the provider asks for."""

    came: Came
    elapsed_s: float
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for the answer after so long: by resuming its stream, or else for how it stands."""

    delay_s: float
    resume: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop the answer at the provider, and end the turn."""

    reason: str


def next_move(pursuit: Pursuit, heard: Heard, limits: Limits) -> tuple[Pursuit, Ask | GiveUp]:
    """Return how the asking goes on."""
    failures = pursuit.failures + 1 if heard.came == "failed" else 0
    after = Pursuit(pursuit.resumable and heard.came not in ("silence", "no_stream"), failures)
    return after, _why_not(after, heard, limits) or _ask(after, heard, limits)


def _why_not(pursuit: Pursuit, heard: Heard, limits: Limits) -> GiveUp | None:
    left_s = limits.poll_deadline_s - heard.elapsed_s
    if left_s <= 0:
        return GiveUp(f"the answer was still running at the provider {limits.poll_deadline_s:g} s after its request")
    if pursuit.failures > limits.poll_failures_max:
        return GiveUp(f"asking for the running answer failed {pursuit.failures} times in a row")
    if (heard.wait_s or 0.0) > left_s:
        return GiveUp(f"the provider asks to be left alone for {heard.wait_s:g} s, beyond the answer's deadline")
    return None


def _ask(pursuit: Pursuit, heard: Heard, limits: Limits) -> Ask:
    usual_s = _RESUME_S if heard.came == "news" else limits.poll_every_s
    left_s = limits.poll_deadline_s - heard.elapsed_s
    return Ask(min(max(usual_s, heard.wait_s or 0.0), left_s), resume=pursuit.resumable)

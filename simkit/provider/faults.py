"""Faults of a plan, played on the wire: what strikes an answer that the script meant well.

The idea: a fault of an exploration is one that a script could have written too, so it is made of the same parts: an
error in mid-stream is the dialect's, a damaged frame is the one that would have been sent, a refusal is the API's own.
The constraint: after its fault the provider is well again, so the answer that was struck is there for the next request,
and an agent that asks more often than the script foresaw, because of the fault, is answered and not accused. Skipping
the struck answer was refused: the agent would then be told of things that it never asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from simkit.contracts import Frame
from simkit.dialects.framing import damaged
from simkit.model.duration import NS_PER_S
from simkit.model.timeline import Answer, Fault, Finish, Say, StatusReply, StreamReply, UnreachableReply
from simkit.provider.exchange import Exchange

# Longer than every pause of a model that works, and shorter than every idle deadline on record (120 s and more).
SLOW_NS: Final = 30 * NS_PER_S

_SAID: Final = "The provider failed (a fault of the plan)."
_GARBLED: Final = {"is": "garbled", "progress": False}

# What a whole answer is replaced by.
_REPLIES: Final[Mapping[str, StatusReply | UnreachableReply]] = {
    "refused": UnreachableReply(how="refused"),
    "timeout": UnreachableReply(how="timeout"),
    "status_429": StatusReply(status=429, retry_after="2"),
    "status_500": StatusReply(status=500),
    "status_529": StatusReply(status=529),
}

# For a request that only a fault has brought about: the model has nothing more to say.
LAST_RESORT: Final = Answer(reply=StreamReply(steps=(Say(text="That is all."), Finish(reason="stop"))), times=None)


def reply_for(fault: str) -> StatusReply | UnreachableReply | None:
    """Return what comes instead of a whole answer, or None where the fault leaves the answer alone."""
    return _REPLIES.get(fault)


def damaged_frame(frame: Frame) -> Frame:
    """Return a frame as it arrives damaged: its JSON breaks off. What carries no JSON arrives as it is."""
    try:
        data = damaged(frame.data, "json")
    except ValueError:
        return frame
    return frame._replace(data=data, about={**frame.about, **_GARBLED})


def error_frames(exchange: Exchange, reply: StreamReply, step: int) -> Iterator[Frame]:
    """Yield the frames by which this dialect says in mid-stream, before a step, that the provider failed."""
    broken = replace(reply, steps=(*reply.steps[: step + 1], Fault(text=_SAID)))
    frames = exchange.dialect.stream(broken, exchange.request, number=exchange.number, created=exchange.created)
    return (frame for frame in frames if frame.step == step + 1)

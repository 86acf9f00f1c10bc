"""An exchange: one completion request with its answer, and all that the trace is told of it.

The idea: whoever plays an answer says here what it did, and here alone is written what that means: which line of the
scenario it was, and what the client can have understood when it ended. The constraint: a frame is told once it is out,
so the trace never holds what no client could have seen. Events written wherever something is sent were refused: the
end of a stream has to add up to its frames.

A stream with damaged or raw bytes is not what its script says, so its end is judged by hearing the bytes; they are
kept for such a stream only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from simkit.contracts import CompletionRequest, Dialect, Frame
from simkit.dialects.turn import Turn, about, moves, turn_of
from simkit.model.timeline import Answer, BackgroundReply, Disconnect, Garble, Raw, StreamReply
from simkit.provider.stage import Stage

# Put behind what was heard, so that no closing marker is thought of that did not come.
_OVER: Final = Disconnect(how="eof")


@dataclass(slots=True, eq=False)
class Run:
    """What all exchanges of a run share."""

    stage: Stage
    # The streams that are being played; one that is left here at the end is an orphan.
    streams: list[Exchange] = field(default_factory=list)
    # The provider itself had to end the run.
    broken_off: bool = False
    # How many frames of each answer were played, over all its streams: the names of sites where faults strike.
    _played: dict[str, int] = field(default_factory=dict)

    def fault_before_frame(self, answer: str) -> str:
        """Return the fault that the plan has before the next frame of an answer (``answer2``), or empty."""
        number = self._played.get(answer, 0)
        self._played[answer] = number + 1
        return self.stage.fault_at(f"{answer}.frame{number}")

    def end(self, reason: str, text: str) -> BaseException:
        """End the run because the script cannot go on; return what is to be raised."""
        self.broken_off = True
        return self.stage.end(reason, text)


@dataclass(slots=True, eq=False, kw_only=True)
class Exchange:
    """One completion request and the answer that is being played to it, or one stream of that answer."""

    run: Run
    number: int
    request: CompletionRequest
    dialect: Dialect
    index: int
    answer: Answer
    # The wall clock's reading when it came, in seconds.
    created: int
    _told: list[Mapping[str, object]] = field(default_factory=list)
    _bytes: bytearray | None = None
    # Copies of a repeated frame that are out and not told yet.
    _copies: int = 0
    _copied: Frame | None = None
    # How its stream ended.
    ended: str | None = None
    # Gives the answer back to the script, which has it for the next request.
    give_back: Callable[[], None] = lambda: None
    # A fault of the plan struck the stream.
    struck: bool = False

    def again(self) -> Exchange:
        """Return a further stream of the same answer."""
        return Exchange(
            run=self.run,
            number=self.number,
            request=self.request,
            dialect=self.dialect,
            index=self.index,
            answer=self.answer,
            created=self.created,
        )

    def line(self, step: int | None = None) -> int | None:
        """Return the line of a step, or of the answer where the step is none of the script's."""
        reply, place = self.answer.reply, self.answer.place
        if step is not None and isinstance(reply, StreamReply | BackgroundReply) and 0 <= step < len(reply.steps):
            place = reply.steps[step].place
        return place.line if place else None

    # -- what happens ------------------------------------------------------------------------------------------------
    def begin(self, before: Sequence[Frame] = ()) -> None:
        """A stream begins; ``before`` is what its client has of it already."""
        self._told = [{**frame.about, "times": frame.times} for frame in before]
        reply = self.answer.reply
        damaged = isinstance(reply, StreamReply | BackgroundReply) and any(
            isinstance(step, Raw | Garble) for step in reply.steps
        )
        if damaged:
            self._bytes = bytearray(b"".join(frame.data * frame.times for frame in before))
        self.run.streams.append(self)

    def respond(self, status: int, retry_after: str | None = None) -> None:
        """The answer's head goes out."""
        self.run.stage.record(
            "provider",
            "response",
            request=self.number,
            status=status,
            answer=self.index,
            retry_after=retry_after,
            line=self.line(),
        )

    def fall_silent(self, step: int, ns: int) -> None:
        """Nothing more comes for this long."""
        self.run.stage.record("provider", "silence", request=self.number, step=step, ns=ns, line=self.line(step))

    def deliver(self, frame: Frame, *, paced: bool = False) -> None:
        """A frame is out: one copy of it. Copies between which no time passes are told as one event."""
        if self._bytes is not None:
            self._bytes += frame.data
        self._copies, self._copied = self._copies + 1, frame
        if paced or self._copies == frame.times:
            self._tell_copies()

    def _tell_copies(self) -> None:
        if self._copied is None:
            return
        frame, times = self._copied, self._copies
        self._copies, self._copied = 0, None
        self._told.append(frame.about if times == 1 else {**frame.about, "times": times})
        line = self.line(frame.step)
        self.run.stage.record(
            "provider", "frame", request=self.number, step=frame.step, line=line, times=times, **frame.about
        )

    def deliver_whole(self, frames: Iterable[Frame]) -> None:
        """The whole answer goes out in one body."""
        self._bytes = None
        self._told += [{**frame.about, "times": frame.times} for frame in frames]

    def deliver_body(self, body: bytes) -> None:
        """A body of the script's own goes out under a status of success: it is heard as a client would hear it."""
        self.run.streams.append(self)
        self._bytes = bytearray(body)
        self.end("complete")

    def end(self, how: str) -> None:
        """The stream is over; how often that is said, the first time counts."""
        if self not in self.run.streams:
            return
        self.run.streams.remove(self)
        self.ended = how
        self._tell_copies()
        turn = self._turn()
        if self.struck and turn.finish is None and not turn.done:
            # Nobody has an answer, and the provider is well again.
            self.give_back()
        self.run.stage.record(
            "provider",
            "stream.end",
            request=self.number,
            how=how,
            finish=turn.finish,
            done=turn.done,
            calls=turn.whole_calls(),
            text=turn.text,
            error=turn.error,
        )

    def _turn(self) -> Turn:
        if self._bytes is None:
            return turn_of(self._told)
        heard = self.dialect.hear(bytes(self._bytes), streamed=self.request.stream)
        return turn_of(map(about, moves((*heard, _OVER), self.number)))

    def leave_open(self) -> None:
        """The run is over, and this stream is not: an orphan."""
        self.end("open")
        name = f"the stream of request {self.number}"
        self.run.stage.record("world", "orphan", what="stream", name=name, created="", waits="more of the answer")

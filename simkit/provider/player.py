"""The player: plays one answer on one connection, each frame at its instant.

The idea: a timeline is a generator that yields what it waits for, so an answer of nine minutes is a dozen
events of the agenda. The constraint: whatever goes on the wire is in the trace with the line of the scenario
that it came from, and the script alone decides when a connection lives or dies. Answering through a web
framework was refused: it ends a cut stream politely, and a polite end is the one thing that a cut stream never
has.

Decided here:

- every piece of a body has a turn of its own, also where no time passes between two, so that the client reads each by
  itself; a client that does not read holds the answer up, as the buffers of a real connection do;
- a mid-stream error ends the body properly; it is the last thing that is said, whatever steps follow it;
- an answer without a connection, taken by a request, breaks the connection that the client has (``timeout``: stays
  silent on it), ``after`` its time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from email.utils import formatdate
from typing import Final, cast, get_args

from simkit.contracts import Frame
from simkit.dialects.turn import MARK
from simkit.errors import UnplayableError
from simkit.model.duration import FOREVER
from simkit.model.timeline import (
    Disconnect,
    Done,
    Fault,
    Finish,
    HangUp,
    KeepAlive,
    Pace,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    UnreachableReply,
    Wait,
)
from simkit.provider.body import Body, compress, cut, piece_size
from simkit.provider.conversation import TURN, WOKEN, Conversation, Play
from simkit.provider.exchange import Exchange
from simkit.provider.faults import SLOW_NS, damaged_frame, error_frames
from simkit.provider.stage import Stage, epoch_s

# From here on a status says itself that there is no answer.
_ERRORS: Final = 400
_JSON: Final = {"content-type": "application/json"}
# They say how long the body is, which is what the script decides by other means.
_FRAMING_HEADERS: Final = frozenset({"content-length", "transfer-encoding"})
_HANG_UPS: Final = get_args(HangUp)
KEEPALIVE: Final[Mapping[str, object]] = {**MARK, "is": "keepalive"}


class Player:
    """One answer on one connection."""

    def __init__(self, conversation: Conversation, exchange: Exchange) -> None:
        self._conversation = conversation
        self._exchange = exchange
        self._pace_ns = 0
        # Something went out at this instant: the next piece needs a turn, to be read by itself.
        self._sent = False
        # Frames that are in the body and not out yet.
        self._held: list[tuple[Frame, bool]] = []

    def start(self) -> None:
        """Play the answer of the exchange."""
        if isinstance(self._exchange.answer.reply, StreamReply):
            self.watch_client()
        self.play(self._play())

    def play(self, play: Play) -> None:
        """Play something on the connection; the run ends where the wire cannot carry it."""
        self._conversation.play(self._ended_where_unplayable(play))

    def watch_client(self, before: Sequence[Frame] = ()) -> None:
        """From here on there is a stream, which ends when its client goes; ``before`` is what the client has of it."""
        self._exchange.begin(before)
        self._conversation.on_client_gone = lambda: self._exchange.end(
            "reset" if self._conversation.line.cut_off else "client_closed"
        )

    def _ended_where_unplayable(self, play: Play) -> Play:
        try:
            yield from play
        except UnplayableError as error:
            raise unplayable(self._exchange, error) from error

    def _play(self) -> Play:
        answer = self._exchange.answer
        if answer.after_ns:
            yield answer.after_ns
        match answer.reply:
            case StatusReply() as reply:
                yield from self._status(reply)
            case UnreachableReply() as reply:
                self._break_connection(reply)
            case StreamReply() as reply:
                yield from self._stream(reply) if self._exchange.request.stream else self._whole(reply)

    # -- answers -----------------------------------------------------------------------------------------------------
    def _status(self, reply: StatusReply) -> Play:
        headers, body = self._exchange.dialect.error(reply, number=self._exchange.number)
        self._exchange.respond(reply.status, reply.retry_after)
        yield from self._send_whole(reply.status, self._headers(headers), body)
        if reply.status < _ERRORS:
            self._exchange.deliver_body(body)

    def _break_connection(self, reply: UnreachableReply) -> None:
        line = self._conversation.line
        self._exchange.run.stage.record("network", "connection.refused", host=line.host, port=line.port, how=reply.how)
        if reply.how != "timeout":
            self._conversation.hang_up("reset")

    def _stream(self, reply: StreamReply) -> Play:
        """Play a timeline frame by frame."""
        exchange, body = self._exchange, Body(self._exchange.answer.chunks, gzip=reply.gzip)
        self._check_headers(reply)
        exchange.respond(200)
        self.send_head(reply.headers, gzip=reply.gzip)
        frames = ByStep(self._frames(reply))
        for index, step in enumerate(reply.steps):
            match step:
                case Pace():
                    self._pace_ns = step.ns
                case Wait() | Stall():
                    exchange.fall_silent(index, step.ns)
                    yield from self.pass_time(body, step.ns)
                case KeepAlive():
                    yield from self._keep_alive(body, index, step)
                case Disconnect():
                    yield from self.hang_up(body, step.how)
                    return
            for frame in frames.of(index):
                fault = exchange.run.fault_before_frame(f"answer{exchange.number}")
                if fault and (yield from self._struck(body, fault, frame, reply)):
                    return
                yield from self.show(body, damaged_frame(frame) if fault == "garble" else frame)
            if isinstance(step, Fault):
                break
        if not _ends(reply.steps):
            yield from self.pass_time(body, FOREVER)
        yield from self.end_stream(body, "eof" if _faulty(reply.steps) else "complete")

    def _struck(self, body: Body, fault: str, frame: Frame, reply: StreamReply) -> Generator[int, None, bool]:
        """Play a fault of the plan before a frame; return whether that was the end of the stream."""
        if fault == "garble":
            # Whoever reads it raises, and asks again; that the rest arrives as well does not help them.
            self._exchange.give_back()
            return False
        self._exchange.struck = True
        if fault == "error":
            for last in error_frames(self._exchange, reply, frame.step):
                yield from self.show(body, last)
            yield from self.end_stream(body, "eof")
            return True
        return (yield from self.strike(body, fault, frame.step))

    def strike(self, body: Body, fault: str, step: int) -> Generator[int, None, bool]:
        """Play a fault that needs nothing of the script; return whether that was the end of the stream."""
        if fault in ("stall", "slow"):
            ns = FOREVER if fault == "stall" else SLOW_NS
            self._exchange.fall_silent(step, ns)
            yield from self.pass_time(body, ns)
        elif fault in _HANG_UPS:
            yield from self.hang_up(body, cast(HangUp, fault))
            return True
        return False

    def _whole(self, reply: StreamReply) -> Play:
        """Play a timeline for a request that asked for no stream: silence, then one body."""
        exchange, told = self._exchange, list[Frame]()
        self._check_headers(reply)
        frames = ByStep(self._frames(reply))
        for index, step in enumerate(reply.steps):
            match step:
                case Pace():
                    self._pace_ns = step.ns
                case Wait() | Stall():
                    exchange.fall_silent(index, step.ns)
                    yield step.ns
                case KeepAlive():
                    yield step.for_ns
                case Disconnect():
                    exchange.end(step.how)
                    self._conversation.hang_up(step.how)
                    return
            written = list(frames.of(index))
            told += written
            # The model takes as long for an answer that is sent whole.
            if self._pace_ns:
                yield self._pace_ns * sum(frame.times for frame in written)
        if not _ends(reply.steps):
            yield FOREVER
        exchange.deliver_whole(told)
        body = exchange.dialect.whole(reply, exchange.request, number=exchange.number, created=exchange.created)
        exchange.respond(200)
        exchange.end("complete")
        headers = self._headers(_JSON, {"content-encoding": "gzip"} if reply.gzip else {}, reply.headers)
        yield from self._send_whole(200, headers, compress(body) if reply.gzip else body)

    def _frames(self, reply: StreamReply) -> Iterable[Frame]:
        exchange = self._exchange
        return exchange.dialect.stream(reply, exchange.request, number=exchange.number, created=exchange.created)

    # -- a stream ----------------------------------------------------------------------------------------------------
    def show(self, body: Body, frame: Frame) -> Play:
        """Send a frame, as often as it says."""
        paced = bool(self._pace_ns)
        for _ in range(frame.times):
            if paced:
                yield from self.pass_time(body, self._pace_ns)
            yield from self._let_out(body.put(frame.data))
            if body.keeps:
                self._held.append((frame, paced))
            else:
                self._exchange.deliver(frame, paced=paced)

    def pass_time(self, body: Body, ns: int) -> Play:
        """Let time pass, once everything is out that belongs to the instant before."""
        yield from self.pause(body)
        self._sent = self._sent and not ns
        yield ns

    def pause(self, body: Body) -> Play:
        """Let out what belongs to this instant."""
        if not body.keeps_to_the_end:
            yield from self._let_out(body.pause())
            self._deliver_held()

    def _keep_alive(self, body: Body, index: int, step: KeepAlive) -> Play:
        """Send what keeps the connection open at every interval of the silence."""
        data = self._exchange.dialect.keepalive(self._exchange.request)
        pace_ns, self._pace_ns = self._pace_ns, 0
        for _ in range(step.for_ns // step.every_ns):
            yield from self.pass_time(body, step.every_ns)
            yield from self.show(body, Frame(index, data, KEEPALIVE))
        self._pace_ns = pace_ns
        yield from self.pass_time(body, step.for_ns % step.every_ns)

    def hang_up(self, body: Body, how: HangUp) -> Play:
        """End the connection in the middle: politely (``eof``), inside the body (``cut``), or broken (``reset``)."""
        if how == "eof":
            yield from self.end_stream(body, how)
            return
        yield from self._let_out(body.break_off())
        self._deliver_held()
        self._exchange.end(how)
        self._conversation.hang_up(how)

    def end_stream(self, body: Body, how: str) -> Play:
        """End the body properly, and be ready for the next request."""
        yield from self._let_out(body.end())
        self._deliver_held()
        self._conversation.line.send(self._conversation.http.end())
        self._exchange.end(how)
        self._conversation.finished()

    def _deliver_held(self) -> None:
        held, self._held = self._held, []
        for frame, paced in held:
            self._exchange.deliver(frame, paced=paced)

    # -- the connection ----------------------------------------------------------------------------------------------
    def send_head(self, *headers: Mapping[str, str], gzip: bool = False) -> None:
        """Begin a streamed body."""
        exchange, own = self._exchange, dict[str, str]()
        own["content-type"] = exchange.dialect.media_type(exchange.request)
        own["cache-control"] = "no-cache"
        if gzip:
            own["content-encoding"] = "gzip"
        self._conversation.line.send(self._conversation.http.head(200, self._headers(own, *headers)))
        self._sent = True

    def _let_out(self, pieces: Iterable[bytes]) -> Play:
        """Send each piece as a chunk that the client can read by itself, once the client reads at all."""
        for piece in pieces:
            if self._sent:
                yield TURN
            while not self._conversation.line.writable:
                yield WOKEN
            self._conversation.line.send(self._conversation.http.chunk(piece))
            self._sent = True

    def _send_whole(self, status: int, headers: Mapping[str, str], body: bytes) -> Play:
        whole, line = self._conversation.http.whole(status, headers, body), self._conversation.line
        head = whole[: len(whole) - len(body)] if whole.endswith(body) else whole
        size = piece_size(self._exchange.answer.chunks)
        if size and body:
            line.send(head)
            for piece in cut(body, size):
                yield TURN
                while not line.writable:
                    yield WOKEN
                line.send(piece)
        else:
            line.send(whole)
        self._conversation.finished()

    def _headers(self, *own: Mapping[str, str]) -> dict[str, str]:
        exchange = self._exchange
        return response_headers(exchange.run.stage, exchange.dialect.headers(exchange.number), *own)

    def _check_headers(self, reply: StreamReply) -> None:
        for name in reply.headers:
            if name.lower() in _FRAMING_HEADERS:
                raise UnplayableError(
                    -1, f"the header {name!r} frames the body, which the steps and `chunks` do - leave it out"
                )


class ByStep:
    """Frames as they are asked for: of a long answer, only the next one is made ahead."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = iter(frames)
        self._next = next(self._frames, None)

    def of(self, step: int) -> Iterator[Frame]:
        """Yield the frames that come up to this step."""
        while self._next is not None and self._next.step <= step:
            frame = self._next
            yield frame
            self._next = next(self._frames, None)


def response_headers(stage: Stage, *own: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a response; the later ones replace the earlier, whatever the case of their names."""
    headers = {"date": formatdate(epoch_s(stage), usegmt=True)}
    for more in own:
        headers.update((name.lower(), value) for name, value in more.items())
    return headers


def unplayable(exchange: Exchange, error: UnplayableError) -> BaseException:
    """End the run because the wire cannot carry a step; return what is to be raised."""
    line = exchange.line(error.step)
    where = f"line {line}: " if line is not None else ""
    return exchange.run.end("unplayable", f"{where}{exchange.dialect.name} cannot play this answer: {error}")


def _ends(steps: Iterable[Step]) -> bool:
    return any(isinstance(step, Finish | Done | Fault) for step in steps)


def _faulty(steps: Iterable[Step]) -> bool:
    return any(isinstance(step, Fault) for step in steps)

"""The player: answers completion requests from the script, each frame at its virtual instant.

The idea: a timeline is a generator that yields how long it waits, so an answer of nine minutes is a dozen
events of the agenda. The constraint: whatever goes on the wire is in the trace with the line of the scenario
that it came from, and the script alone decides when a connection lives or dies. Answering through a web
framework was refused: it ends a cut stream politely, and a polite end is the one thing that a cut stream never
has.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from simkit.contracts import CompletionRequest, Dialect, Frame, Refusal
from simkit.dialects.http import Request
from simkit.dialects.jsontext import read_json
from simkit.dialects.sse import keepalive_bytes
from simkit.dialects.turn import turn_of
from simkit.errors import UsageError
from simkit.extensions import find, names
from simkit.model.duration import FOREVER
from simkit.model.timeline import (
    Answer,
    Disconnect,
    KeepAlive,
    Pace,
    Reply,
    Stall,
    StatusReply,
    StreamReply,
    UnreachableReply,
    Wait,
)
from simkit.provider.conversation import Conversation, Play
from simkit.provider.script import Script

if TYPE_CHECKING:
    from simkit.kernel.network import Endpoint
    from simkit.kernel.world import World
    from simkit.model.scenario import Scenario

_NOT_FOUND: Final = b'{"error":{"message":"Invalid URL","type":"invalid_request_error","param":null,"code":null}}'
_JSON: Final = {"content-type": "application/json"}
_SSE: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


@dataclass(slots=True)
class Exchange:
    """One completion request and its answer while it is being played."""

    number: int
    request: CompletionRequest
    dialect: Dialect
    index: int
    answer: Answer
    told: list[dict[str, object]] = field(default_factory=list)
    ended: bool = False


class Provider:
    """The scripted provider, and the other hosts that a scenario declares."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self._world = world
        self._record = world.recorder.record
        self._requests_max = scenario.limits.requests
        self._script = Script(scenario.provider)
        self._count = 0
        self._open: list[Exchange] = []
        self._dialects = [cast(Dialect, find("dialects", name)) for name in names("dialects")]
        world.network.census.append(self._record_open)
        for dialect in self._dialects:
            world.network.declare(str(urlsplit(dialect.base_url).hostname)).serve(self._accept, self._admit)
        own = {urlsplit(dialect.base_url).hostname for dialect in self._dialects}
        for name, reply in scenario.hosts.items():
            if name.lower() in own:
                raise UsageError(
                    f"`hosts:` declares {name!r}, the provider's own host - write its answers under `provider:`"
                )
            _serve_fixed(world, name, reply)

    def base_url(self, dialect: str) -> str:
        """Return the URL for an SDK. Raises ``UsageError`` when no dialect has this name."""
        return cast(Dialect, find("dialects", dialect)).base_url

    # -- connections -------------------------------------------------------------------------------------------------
    def _admit(self, port: int, stage: str) -> str | None:
        """Say whether the script lets this connection fail, using the answer up if it does."""
        answer = self._script.peek()
        reply = answer.reply if answer is not None else None
        if not isinstance(reply, UnreachableReply) or (reply.how == "unknown_host") != (stage == "name"):
            return None
        self._script.take()
        return reply.how

    def _accept(self, endpoint: Endpoint) -> Conversation:
        return Conversation(self._world, endpoint, self._serve)

    def _serve(self, conversation: Conversation, request: Request) -> None:
        dialect = next((d for d in self._dialects if d.claims(request.method, request.path)), None)
        if dialect is None:
            self._record(
                "provider",
                "other.request",
                connection=conversation.endpoint.connection,
                method=request.method,
                host=conversation.endpoint.host.name,
                path=request.path,
                status=404,
            )
            conversation.send_whole(404, _JSON, _NOT_FOUND)
            return
        self._count += 1
        read = dialect.read(request.body)
        self._record_request(conversation, request, dialect, read)
        if self._count > self._requests_max:
            raise self._world.end("limit", f"more than {self._requests_max} completion requests (`limits: requests`)")
        if isinstance(read, Refusal):
            self._record("provider", "request.invalid", request=self._count, status=read.status, text=read.text)
            conversation.send_whole(read.status, self._headers(self._count, _JSON), read.body)
            return
        taken = self._script.take()
        if taken is None:
            raise self._world.end("exhausted", self._script.exhausted_text(self._count, read))
        self._answer(conversation, Exchange(self._count, read, dialect, *taken))

    def _record_request(
        self,
        conversation: Conversation,
        request: Request,
        dialect: Dialect,
        read: CompletionRequest | Refusal,
    ) -> None:
        understood = read if isinstance(read, CompletionRequest) else None
        self._record(
            "provider",
            "request",
            request=self._count,
            connection=conversation.endpoint.connection,
            method=request.method,
            host=conversation.endpoint.host.name,
            path=request.path,
            dialect=dialect.name,
            model=understood.model if understood else None,
            stream=understood.stream if understood else None,
            retry=_retry_count(request),
            body=understood.body if understood else _json_or_text(request.body),
        )

    # -- answers -----------------------------------------------------------------------------------------------------
    def _answer(self, conversation: Conversation, exchange: Exchange) -> None:
        reply = exchange.answer.reply
        match reply:
            case StatusReply():
                headers, body = exchange.dialect.error(reply)
                self._record_response(exchange, reply.status, reply.retry_after)
                conversation.send_whole(reply.status, self._headers(exchange.number, headers), body)
            case UnreachableReply():
                # The client kept a connection from before: the server that is gone now breaks it, or is silent.
                self._record(
                    "network",
                    "connection.refused",
                    host=conversation.endpoint.host.name,
                    port=conversation.endpoint.port,
                    how=reply.how,
                )
                if reply.how != "timeout":
                    conversation.endpoint.reset()
            case StreamReply():
                play = self._stream if exchange.request.stream else self._whole
                self._open.append(exchange)
                conversation.on_client_gone = lambda: self._end(exchange, "client_closed")
                conversation.play(play(conversation, exchange, reply))

    def _stream(self, conversation: Conversation, exchange: Exchange, reply: StreamReply) -> Play:
        """Play a timeline frame by frame."""
        http, send = conversation.http, conversation.endpoint.send
        self._record_response(exchange, 200, None)
        send(http.head(200, self._headers(exchange.number, _SSE)))
        frames = self._frames(exchange, reply)
        pace_ns = 0
        for index, step in enumerate(reply.steps):
            match step:
                case Pace():
                    pace_ns = step.ns
                case Wait() | Stall():
                    self._record_silence(exchange, index, step.ns)
                    yield step.ns
                case KeepAlive():
                    yield from self._keep_alive(conversation, exchange, index, step)
                case Disconnect():
                    self._hang_up(conversation, exchange, step)
                    return
            for frame in frames[index]:
                if pace_ns:
                    yield pace_ns
                send(http.chunk(frame.data))
                self._record_frame(exchange, frame)
        turn = turn_of(exchange.told)
        if turn.finish is None and not turn.done:
            yield FOREVER
        send(http.end())
        self._end(exchange, "complete")
        conversation.finished()

    def _whole(self, conversation: Conversation, exchange: Exchange, reply: StreamReply) -> Play:
        """Play a timeline for a request that asked for no stream: silence, then one body."""
        frames, pace_ns = self._frames(exchange, reply), 0
        for index, step in enumerate(reply.steps):
            match step:
                case Pace():
                    pace_ns = step.ns
                case Wait() | Stall():
                    self._record_silence(exchange, index, step.ns)
                    yield step.ns
                case KeepAlive():
                    yield step.for_ns
                case Disconnect():
                    self._hang_up(conversation, exchange, step)
                    return
            # The model takes as long for an answer that is sent whole.
            if pace_ns:
                yield pace_ns * len(frames[index])
        told = [dict(f.about) for step_frames in frames.values() for f in step_frames]
        turn = turn_of(told)
        if turn.finish is None and not turn.done:
            yield FOREVER
        exchange.told = told
        self._record_response(exchange, 200, None)
        body = exchange.dialect.whole(reply, exchange.request, number=exchange.number, created=self._created())
        headers = self._headers(exchange.number, _JSON)
        self._end(exchange, "complete")
        conversation.send_whole(200, headers, body)

    def _frames(self, exchange: Exchange, reply: StreamReply) -> dict[int, list[Frame]]:
        by_step: dict[int, list[Frame]] = defaultdict(list)
        created = self._created()
        for frame in exchange.dialect.stream(reply, exchange.request, number=exchange.number, created=created):
            by_step[frame.step].append(frame)
        return by_step

    def _keep_alive(self, conversation: Conversation, exchange: Exchange, index: int, step: KeepAlive) -> Play:
        """Send a comment at every interval of the silence."""
        data = keepalive_bytes()
        for _ in range(step.for_ns // step.every_ns):
            yield step.every_ns
            conversation.endpoint.send(conversation.http.chunk(data))
            about = {
                "is": "keepalive",
                "text": "",
                "tool": None,
                "call": None,
                "index": None,
                "progress": False,
            }
            self._record_frame(exchange, Frame(index, data, about))
        yield step.for_ns % step.every_ns

    def _hang_up(self, conversation: Conversation, exchange: Exchange, step: Disconnect) -> None:
        """End the connection in the middle: politely (``eof``), inside the body (``cut``), or broken (``reset``)."""
        conversation.on_client_gone = None
        self._end(exchange, step.how)
        if step.how == "reset":
            conversation.endpoint.reset()
        elif step.how == "eof" and exchange.request.stream:
            conversation.endpoint.send(conversation.http.end())
            conversation.finished()
        else:
            conversation.endpoint.close()

    # -- the trace -----------------------------------------------------------------------------------------------------
    def _record_response(self, exchange: Exchange, status: int, retry_after: str | None) -> None:
        place = exchange.answer.place
        self._record(
            "provider",
            "response",
            request=exchange.number,
            status=status,
            answer=exchange.index,
            retry_after=retry_after,
            line=place.line if place else None,
        )

    def _record_silence(self, exchange: Exchange, index: int, ns: int) -> None:
        self._record(
            "provider",
            "silence",
            request=exchange.number,
            step=index,
            ns=ns,
            line=_line(exchange.answer.reply, index),
        )

    def _record_frame(self, exchange: Exchange, frame: Frame) -> None:
        exchange.told.append(dict(frame.about))
        line = _line(exchange.answer.reply, frame.step)
        self._record("provider", "frame", request=exchange.number, step=frame.step, line=line, **frame.about)

    def _end(self, exchange: Exchange, how: str) -> None:
        if exchange.ended:
            return
        exchange.ended = True
        self._open.remove(exchange)
        turn = turn_of(about for about in exchange.told if about["is"] != "keepalive")
        self._record(
            "provider",
            "stream.end",
            request=exchange.number,
            how=how,
            finish=turn.finish,
            done=turn.done,
            calls=turn.whole_calls(),
            text=turn.text,
        )

    def _record_open(self) -> None:
        """At the census: a stream that is still open is an orphan."""
        for exchange in list(self._open):
            self._end(exchange, "open")
            self._record(
                "world",
                "orphan",
                what="stream",
                name=f"the stream of request {exchange.number}",
                created="",
                waits="more of the answer",
            )

    # -- small things ------------------------------------------------------------------------------------------------
    def _headers(self, number: int, headers: object) -> dict[str, str]:
        date = formatdate(self._created(), usegmt=True)
        return {"date": date, "x-request-id": f"req_sim_{number:06d}", **cast("dict[str, str]", headers)}

    def _created(self) -> int:
        return self._world.epoch_s + self._world.clock.now_ns // 1_000_000_000


def _serve_fixed(world: World, name: str, reply: Reply) -> None:
    """Let another host give the same answer to every request."""

    def answer(conversation: Conversation, request: Request) -> None:
        assert isinstance(reply, StatusReply)
        world.recorder.record(
            "provider",
            "other.request",
            connection=conversation.endpoint.connection,
            method=request.method,
            host=name,
            path=request.path,
            status=reply.status,
        )
        headers = {"content-type": "text/plain; charset=utf-8"}
        if reply.retry_after is not None:
            headers["retry-after"] = reply.retry_after
        headers.update((name.lower(), value) for name, value in reply.headers.items())
        conversation.send_whole(reply.status, headers, (reply.body or reply.error or "").encode())

    def admit(port: int, stage: str) -> str | None:
        how = reply.how if isinstance(reply, UnreachableReply) else None
        return how if (how == "unknown_host") == (stage == "name") else None

    world.network.declare(name).serve(lambda endpoint: Conversation(world, endpoint, answer), admit)


def _retry_count(request: Request) -> int:
    """Return which retry of the SDK's own this is: both SDKs count in a header."""
    text = request.header("x-stainless-retry-count") or "0"
    return int(text) if text.isdecimal() else 0


def _json_or_text(body: bytes) -> object:
    try:
        return read_json(body.decode())
    except ValueError:
        return body.decode("utf-8", "replace")


def _line(reply: Reply, index: int) -> int | None:
    assert isinstance(reply, StreamReply)
    place = reply.steps[index].place
    return place.line if place else None

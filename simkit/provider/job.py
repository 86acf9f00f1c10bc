"""A background job: an answer that plays on whether or not its client listens.

The idea: the job writes its frames into a log, each at its instant, and whoever watches plays the log from a cursor on
and then waits for more; so a client that comes back sees what one that stayed has seen. The constraint: watching never
changes the job, and polling, streaming and cancelling all look at one life. A stream that somebody else's request takes
over was refused: the job would stop where its last client left.

The cursor of a frame is the number of its event, from 0. What carries no event (a comment, raw bytes, a frame once
more) goes with the event before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from simkit.contracts import QUEUED_FRAMES, STARTED_FRAMES, Frame, JobDialect, JobView
from simkit.errors import UnplayableError
from simkit.model.duration import FOREVER
from simkit.model.timeline import BackgroundReply, Disconnect, HangUp, KeepAlive, Pace, Repeat, Stall, Wait
from simkit.provider.body import Body
from simkit.provider.conversation import WOKEN, Conversation, Play
from simkit.provider.exchange import Exchange
from simkit.provider.player import KEEPALIVE, ByStep, Player, unplayable
from simkit.provider.stage import Timer, epoch_s

FINAL: Final = frozenset({"completed", "failed", "incomplete", "cancelled"})
_NO_EVENT: Final = frozenset({"empty", "raw"})


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One line of the log: a frame, or what befell those who watched at that instant (``only``)."""

    cursor: int
    frame: Frame | None = None
    strike: HangUp | None = None
    only: tuple[Exchange, ...] | None = None

    def is_for(self, watcher: Exchange, after: int) -> bool:
        """Say whether a watcher that has everything up to this cursor gets it."""
        return self.cursor > after if self.only is None else watcher in self.only


class Job:
    """The life of one job."""

    def __init__(self, exchange: Exchange, dialect: JobDialect, reply: BackgroundReply) -> None:
        self.exchange = exchange
        self.dialect = dialect
        self.reply = reply
        self.id = dialect.job_id(exchange.number)
        self.state = "queued"
        # How often it was retrieved.
        self.polls = 0
        # Some client was told how it ended, with all that it holds.
        self.delivered = False
        self.expired = False
        self._stage = exchange.run.stage
        self._log: list[Entry] = []
        self._cursor = -1
        self._watchers: dict[Exchange, Conversation] = {}
        self._timer: Timer | None = None
        self._over = False

    @property
    def age_ns(self) -> int:
        """How long ago it was created."""
        return self._stage.now_ns - self._created_ns

    def view(self) -> JobView:
        """Return the job as it is now."""
        exchange = self.exchange
        return JobView(
            number=exchange.number,
            created=self.exchange.created,
            state=self.state,
            request=exchange.request,
            reply=self.reply,
            now=epoch_s(self._stage),
        )

    # -- its life ----------------------------------------------------------------------------------------------------
    def begin(self) -> None:
        """The job is created, at this instant."""
        self._created_ns = self._stage.now_ns
        self._life = self._live()
        self._go_on()

    def cancel(self) -> None:
        """Stop it where it is; nothing happens to a job that is over."""
        if self._over:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._enter("cancelled")
        self._finish()

    def _go_on(self) -> None:
        self._timer = None
        try:
            wait_ns = next(self._life, None)
        except UnplayableError as error:
            raise unplayable(self.exchange, error) from error
        if wait_ns is not None and wait_ns != FOREVER:
            label = f"the background job of request {self.exchange.number}"
            self._timer = self._stage.call_later_ns(wait_ns, self._go_on, label)

    def _live(self) -> Iterator[int]:
        """Play the job, yielding the nanoseconds that pass."""
        exchange, reply = self.exchange, self.reply
        frames = ByStep(
            self.dialect.job_frames(reply, exchange.request, number=exchange.number, created=self.exchange.created)
        )
        self._enter("queued")
        yield from self._write(frames.of(QUEUED_FRAMES), 0)
        yield reply.queued_ns
        self._enter("in_progress")
        started_ns = self._stage.now_ns
        yield from self._write(frames.of(STARTED_FRAMES), 0)
        yield from self._play_steps(frames)
        rest_ns = started_ns + reply.in_progress_ns - self._stage.now_ns
        if rest_ns > 0:
            yield rest_ns
        self._enter(reply.ends)
        yield from self._write(frames.of(len(reply.steps)), 0)
        self._finish()

    def _play_steps(self, frames: ByStep) -> Iterator[int]:
        pace_ns = 0
        for index, step in enumerate(self.reply.steps):
            match step:
                case Pace():
                    pace_ns = step.ns
                case Wait() | Stall():
                    # Nobody waits where nobody watches.
                    if self._watchers:
                        self.exchange.fall_silent(index, step.ns)
                    yield step.ns
                case KeepAlive():
                    yield from self._keep_alive(index, step)
                case Disconnect():
                    self._log_for_watchers(strike=step.how)
            yield from self._write(frames.of(index), pace_ns)

    def _keep_alive(self, index: int, step: KeepAlive) -> Iterator[int]:
        data = self.dialect.keepalive(self.exchange.request)
        for _ in range(step.for_ns // step.every_ns):
            yield step.every_ns
            self._log_for_watchers(frame=Frame(index, data, KEEPALIVE))
        yield step.for_ns % step.every_ns

    def _write(self, frames: Iterator[Frame], pace_ns: int) -> Iterator[int]:
        for frame in frames:
            self._cursor += self._is_event(frame)
            copies = [frame] if not pace_ns else [frame._replace(times=1)] * frame.times
            for copy in copies:
                if pace_ns:
                    yield pace_ns
                self._log.append(Entry(self._cursor, copy))
                self._wake()

    def _is_event(self, frame: Frame) -> bool:
        steps = self.reply.steps
        again = 0 <= frame.step < len(steps) and isinstance(steps[frame.step], Repeat)
        return not again and frame.about["is"] not in _NO_EVENT

    def _log_for_watchers(self, *, frame: Frame | None = None, strike: HangUp | None = None) -> None:
        self._log.append(Entry(self._cursor, frame, strike, tuple(self._watchers)))
        self._wake()

    def _enter(self, state: str) -> None:
        self.state = state
        self.record_state(state)

    def record_state(self, state: str) -> None:
        """Write into the trace what became of it."""
        self._stage.record(
            "provider",
            "job.state",
            job=self.id,
            request=self.exchange.number,
            state=state,
            line=self.exchange.line(),
        )

    def _finish(self) -> None:
        self._over = True
        self._wake()

    def _wake(self) -> None:
        for conversation in list(self._watchers.values()):
            conversation.wake()

    # -- those who look ----------------------------------------------------------------------------------------------
    def watch(self, conversation: Conversation, exchange: Exchange, after: int) -> None:
        """Stream the job on this connection, from behind the cursor on: first what was, then what comes."""
        player = Player(conversation, exchange)
        before = [e.frame for e in self._log if e.frame is not None and e.only is None and e.cursor <= after]
        player.watch_client(before)
        self._watchers[exchange] = conversation
        left = conversation.on_client_gone
        assert left is not None, "a stream begins without anybody who hears of its end"

        def gone() -> None:
            del self._watchers[exchange]
            left()

        conversation.on_client_gone = gone
        player.play(self._watched(player, exchange, after))

    def _watched(self, player: Player, exchange: Exchange, after: int) -> Play:
        body, place = Body(exchange.answer.chunks), 0
        player.send_head()
        while True:
            while place < len(self._log):
                entry = self._log[place]
                place += 1
                if not entry.is_for(exchange, after):
                    continue
                if entry.strike is not None:
                    del self._watchers[exchange]
                    yield from player.hang_up(body, entry.strike)
                    return
                assert entry.frame is not None, entry
                fault = exchange.run.fault_before_frame(f"job{exchange.number}")
                if fault and (yield from player.strike(body, fault, entry.frame.step)):
                    del self._watchers[exchange]
                    return
                yield from player.show(body, entry.frame)
            if self._over:
                break
            yield from player.pause(body)
            # Nobody is woken who is just letting something out.
            if place == len(self._log) and not self._over:
                yield WOKEN
        del self._watchers[exchange]
        self.delivered = self.delivered or self.state != "cancelled"
        # A job that is cancelled says so to nobody who streams it: the body is over, without a last word.
        yield from player.end_stream(body, "eof" if self.state == "cancelled" else "complete")

    def deliver_whole(self) -> None:
        """A client is shown the finished job: what it holds counts as delivered, once."""
        if self.delivered or self.state not in FINAL or self.state == "cancelled":
            return
        self.delivered = True
        shown = self.exchange.again()
        shown.begin()
        shown.deliver_whole(entry.frame for entry in self._log if entry.frame is not None and entry.only is None)
        shown.end("complete")

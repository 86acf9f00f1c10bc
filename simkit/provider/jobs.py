"""Background jobs: who has which, and what is said to those who ask.

The idea: an answer of a dialect with jobs can be asked for by its id. One that runs in the background lives by itself
(see ``job``); any other is kept once it was given, as the real API stores what a request does not forbid. The
constraint: what may be asked in which state, and how it is refused, is decided here for every dialect, and worded by
the dialect. A job for each connection was refused: a job outlives them.

=========  ==============================  ==============================  =========================
asked      of a job                        of a kept answer                refused as
=========  ==============================  ==============================  =========================
retrieve   as it is now                    as it ended                     ``unknown``, ``expired``
stream     from the cursor, then live      (refused)                       ``not_background``, ``window``
cancel     cancelled, or as it ended       (refused)                       ``cancel``
delete     nobody knows it any more        nobody knows it any more        ``unknown``
other      (refused)                       (refused)                       ``op``
=========  ==============================  ==============================  =========================

Decided here: a request that is not for the background gets a background answer as a stream or one body, after the time
that the job would take. A job expires when its time is over, and ``job.state`` says so when somebody asks for it
after that: an event of its own would keep an agent that is stuck from being seen as stuck until then. An answer whose
stream its client did not get to the end of is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simkit.contracts import Dialect, HttpRequest, JobDialect, JobRequest, JobView, Refusal
from simkit.dialects.jsontext import write_json
from simkit.errors import UnplayableError
from simkit.model.timeline import (
    BackgroundReply,
    Call,
    Fault,
    Finish,
    FinishReason,
    StatusReply,
    Step,
    StreamReply,
    UnreachableReply,
)
from simkit.provider.conversation import Conversation, Play
from simkit.provider.exchange import Exchange, Run
from simkit.provider.faults import reply_for
from simkit.provider.job import Job
from simkit.provider.player import Player, response_headers, unplayable

_JSON: Final = {"content-type": "application/json"}
_CUT_SHORT: Final = frozenset({"length", "content_filter", "context_window"})
_FAILED: Final = "An error occurred while processing your request."


class Jobs:
    """The answers of one run that can be asked for by their ids."""

    def __init__(self, run: Run, dialects: Sequence[Dialect]) -> None:
        self._run = run
        self._dialects = [dialect for dialect in dialects if isinstance(dialect, JobDialect)]
        self._jobs: dict[str, Job] = {}
        self._kept: dict[str, Exchange] = {}
        # How many requests about jobs came: the names of sites where faults strike.
        self._asked = 0

    def keep(self, exchange: Exchange) -> None:
        """Remember an answer that is given at once; it can be asked for when it was given whole."""
        dialect = exchange.dialect
        stored = exchange.request.body.get("store") is not False
        if stored and isinstance(dialect, JobDialect) and isinstance(exchange.answer.reply, StreamReply):
            self._kept[dialect.job_id(exchange.number)] = exchange

    def begin(self, conversation: Conversation, exchange: Exchange) -> None:
        """Give a background answer: a job where the request is for the background."""
        answer, dialect = exchange.answer, exchange.dialect
        assert isinstance(answer.reply, BackgroundReply), answer
        if isinstance(dialect, JobDialect) and exchange.request.background:
            job = Job(exchange, dialect, answer.reply)
            Player(conversation, exchange).play(self._create(conversation, job))
            return
        exchange.answer = replace(
            answer,
            reply=_at_once(answer.reply, isinstance(dialect, JobDialect)),
            after_ns=answer.after_ns + answer.reply.queued_ns + answer.reply.in_progress_ns,
        )
        self.keep(exchange)
        Player(conversation, exchange).start()

    def _create(self, conversation: Conversation, job: Job) -> Play:
        exchange = job.exchange
        if exchange.answer.after_ns:
            yield exchange.answer.after_ns
        self._jobs[job.id] = job
        job.begin()
        exchange.respond(200)
        if exchange.request.stream:
            job.watch(conversation, exchange, -1)
            return
        body, own = job.dialect.job_body(job.view()), job.dialect.headers(exchange.number)
        conversation.send_whole(200, response_headers(self._run.stage, own, _JSON), body)

    # -- requests about them -----------------------------------------------------------------------------------------
    def serve(self, conversation: Conversation, request: HttpRequest) -> bool:
        """Answer a request about a job; say whether it is one."""
        for dialect in self._dialects:
            asked = dialect.job_request(request)
            if asked is not None and self._struck(conversation, request, dialect, asked):
                return True
            if isinstance(asked, Refusal):
                inquiry = _Inquiry(self._run, conversation, request, dialect, JobRequest(op="other", id=""))
                inquiry.refuse(asked)
                return True
            if asked is not None:
                self._answer(_Inquiry(self._run, conversation, request, dialect, asked))
                return True
        return False

    def _struck(
        self, conversation: Conversation, request: HttpRequest, dialect: JobDialect, asked: JobRequest | Refusal
    ) -> bool:
        """Let a fault of the plan strike a request about a job; say whether one did."""
        self._asked += 1
        reply = reply_for(self._run.stage.fault_at(f"poll{self._asked}"))
        if reply is None or isinstance(asked, Refusal):
            return False
        job = self._jobs.get(asked.id)
        _Inquiry(self._run, conversation, request, dialect, asked).fail(reply, job)
        return True

    def _answer(self, inquiry: _Inquiry) -> None:
        asked = inquiry.asked
        job, kept = self._jobs.get(asked.id), self._kept.get(asked.id)
        if kept is not None and kept.ended not in (None, "complete"):
            kept = None
        why = _why_not(asked, job, kept)
        if why is not None:
            if why == "expired" and job is not None:
                self._expire(job)
            inquiry.refuse(inquiry.dialect.job_refusal(why, asked.id), job or kept)
        elif job is not None:
            self._answer_of_job(inquiry, job)
        elif asked.op == "delete":
            del self._kept[asked.id]
            inquiry.confirm_deletion(kept)
        elif kept is not None:
            inquiry.show(kept, _view_of(kept))

    def _answer_of_job(self, inquiry: _Inquiry, job: Job) -> None:
        match inquiry.asked.op:
            case "stream":
                inquiry.record(200, job)
                after = inquiry.asked.after
                job.watch(inquiry.conversation, job.exchange.again(), -1 if after is None else after)
            case "cancel":
                job.cancel()
                inquiry.show(job, job.view())
            case "delete":
                job.cancel()
                del self._jobs[job.id]
                inquiry.confirm_deletion(job)
            case _:
                job.polls += 1
                instead = job.reply.polls.get(job.polls)
                if instead is not None:
                    inquiry.fail(instead, job)
                    return
                inquiry.show(job, job.view())
                job.deliver_whole()

    def _expire(self, job: Job) -> None:
        """Tell it once; the job stays, so that it is refused as one that was known."""
        if not job.expired:
            job.expired = True
            job.record_state("expired")


@dataclass(frozen=True, slots=True)
class _Inquiry:
    """One request about a job while it is answered."""

    run: Run
    conversation: Conversation
    request: HttpRequest
    dialect: JobDialect
    asked: JobRequest

    def record(self, status: int | None, whose: Job | Exchange | None) -> None:
        """Write the request into the trace, with what became of it."""
        job, line = whose if isinstance(whose, Job) else None, self.conversation.line
        self.run.stage.record(
            "provider",
            "job.request",
            poll=job.polls if job is not None and self.asked.op == "retrieve" else None,
            op=self.asked.op,
            job=self.asked.id,
            request=_number(whose),
            connection=line.connection,
            method=self.request.method,
            host=line.host,
            path=self.request.path,
            after=self.asked.after,
            status=status,
            state=_state(whose),
        )

    def show(self, whose: Job | Exchange, view: JobView) -> None:
        """Answer with the job as the API shows it."""
        exchange = whose.exchange if isinstance(whose, Job) else whose
        try:
            body = self.dialect.job_body(view)
        except UnplayableError as error:
            raise unplayable(exchange, error) from error
        self._send(200, _JSON, body, whose)

    def refuse(self, refusal: Refusal, whose: Job | Exchange | None = None) -> None:
        """Answer that this cannot be had."""
        self._send(refusal.status, _JSON, refusal.body, whose)

    def confirm_deletion(self, whose: Job | Exchange | None) -> None:
        """Answer that nobody knows the job any more."""
        gone = {"id": self.asked.id, "object": "response", "deleted": True}
        self._send(200, _JSON, write_json(gone), whose)

    def fail(self, instead: StatusReply | UnreachableReply, job: Job | None) -> None:
        """Answer with a failure that the script or the plan puts in the place of what was asked for."""
        if isinstance(instead, StatusReply):
            headers, body = self.dialect.error(instead, number=_number(job) or 0)
            self._send(instead.status, headers, body, job)
            return
        self.record(None, job)
        if instead.how != "timeout":
            self.conversation.hang_up("reset")

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, whose: Job | Exchange | None) -> None:
        self.record(status, whose)
        own = self.dialect.headers(_number(whose) or 0)
        self.conversation.send_whole(status, response_headers(self.run.stage, own, headers), body)


def _number(whose: Job | Exchange | None) -> int | None:
    if whose is None:
        return None
    return whose.exchange.number if isinstance(whose, Job) else whose.number


def _state(whose: Job | Exchange | None) -> str | None:
    if isinstance(whose, Job):
        return "expired" if whose.expired else whose.state
    return None if whose is None else _state_of(whose)


def _why_not(asked: JobRequest, job: Job | None, kept: Exchange | None) -> str | None:
    """Return why a request is refused, or None when it is not."""
    if job is not None:
        if job.age_ns >= job.reply.expires_ns:
            return "expired"
        if asked.op == "stream" and job.age_ns >= job.reply.window_ns:
            return "window"
    elif kept is None:
        return "unknown"
    elif asked.op in ("stream", "cancel"):
        return {"stream": "not_background", "cancel": "cancel"}[asked.op]
    return "op" if asked.op == "other" else None


def _view_of(kept: Exchange) -> JobView:
    reply = kept.answer.reply
    assert isinstance(reply, StreamReply), reply
    return JobView(
        number=kept.number, created=kept.created, state=_state_of(kept), request=kept.request, reply=reply, now=0
    )


def _state_of(kept: Exchange) -> str:
    reply = kept.answer.reply
    assert isinstance(reply, StreamReply), reply
    if kept.ended is None:
        return "in_progress"
    if any(isinstance(step, Finish) and step.reason in _CUT_SHORT for step in reply.steps):
        return "incomplete"
    return "completed"


def _at_once(reply: BackgroundReply, has_jobs: bool) -> StreamReply:
    """Return a job as an answer that is given to a request which waits for it."""
    steps: tuple[Step, ...] = reply.steps
    if reply.ends in ("failed", "cancelled"):
        steps += (Fault(text=reply.error or _FAILED, form="failed" if has_jobs else "event"),)
    elif not any(isinstance(step, Finish) for step in steps):
        called = any(isinstance(step, Call) for step in steps)
        reason: FinishReason = "tool_calls" if called else "stop"
        steps += (Finish(reason="length" if reply.ends == "incomplete" else reason),)
    return StreamReply(steps=steps)

"""Jobs of the Responses API: answers that run on without their client, and the requests about them.

Every answer has an id by which it can be asked for again; those of requests with ``background: true`` also run on when
nobody listens:

============================================  ======================================================
request                                       what it is
============================================  ======================================================
``GET /responses/ID``                         retrieve: the Response object as it is now
``GET /responses/ID?stream=true``             stream: every event from 0, or those whose
                                              ``sequence_number`` is above ``starting_after``
``POST /responses/ID/cancel``                 cancel; a second time it shows the same object
``DELETE /responses/ID``                      delete
``GET /responses/ID/input_items``             other: understood, and not simulated
============================================  ======================================================

The events of a job are those of a stream, with ``response.queued`` after ``response.created``. The constraint: the
end of a job is what the script's ``ends`` says, in its events and in its object alike, so a ``finish`` among the steps
that says otherwise gives way to it, and so does a ``done``. No event tells a cancellation; only the object does. The
instant of completion is told from the script (its times of waiting, without ``pace``), so that every poll of a
finished job gets the same bytes.

The refusals are the API's own sentences, quoted in public issues and in servers that copy it; their ``param`` is not
quoted for the window and for cancel, and is null here. Parts of a job that are not simulated get the API's answer for
an unknown URL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, assert_never

from simkit.contracts import CompletionRequest, HttpRequest, JobRequest, Refusal
from simkit.dialects.openai_errors import INVALID, Row, error_body, key_refusal, refusal
from simkit.dialects.openai_responses_object import Head
from simkit.dialects.turn import Move, moves
from simkit.errors import UnplayableError
from simkit.model.duration import NS_PER_S
from simkit.model.timeline import (
    BackgroundReply,
    Call,
    Done,
    Fault,
    Finish,
    FinishReason,
    Garble,
    JobEnd,
    KeepAlive,
    Raw,
    Repeat,
    Stall,
    Step,
    Wait,
)

_ABOUT: Final = re.compile(r"/responses/(?P<id>[^/]+)(?:/(?P<part>cancel|input_items))?/?$")
# Endpoints beside the jobs, with which they share the beginning of their path.
_NO_JOBS: Final = frozenset({"compact", "input_tokens"})
_OPS: Final = {
    ("GET", None): "retrieve",
    ("POST", "cancel"): "cancel",
    ("DELETE", None): "delete",
    ("GET", "input_items"): "other",
}
_REASONS: Final[dict[JobEnd, tuple[FinishReason, ...]]] = {
    "completed": ("stop", "tool_calls", "refusal", "stop_sequence"),
    "incomplete": ("length", "context_window", "content_filter"),
    "failed": ("error",),
}
_FAILED: Final = "An error occurred while processing your request."


def job_request(request: HttpRequest) -> JobRequest | Refusal | None:
    """Understand a request about a job; None when it is none."""
    about = _ABOUT.search(request.path)
    op = _OPS.get((request.method, about["part"])) if about else None
    if about is None or op is None or about["id"] in _NO_JOBS:
        return None
    query = dict(request.query)
    after = query.get("starting_after")
    if after is not None and not re.fullmatch(r"-?\d+", after):
        text = "Invalid type for 'starting_after': expected an integer, but got a string instead."
        return key_refusal(request) or refusal(text, "starting_after", "invalid_type")
    if op == "retrieve" and query.get("stream") == "true":
        op = "stream"
    return key_refusal(request) or JobRequest(op=op, id=about["id"], after=None if after is None else int(after))


def job_refusal(why: str, job_id: str) -> Refusal:
    """Return how the API refuses a request about this job."""
    status, text, param = {
        "unknown": (404, f"Response with id '{job_id}' not found.", "id"),
        "expired": (404, f"Response with id '{job_id}' not found.", "id"),
        "window": (400, "This response can no longer be streamed because it is more than 5 minutes old.", None),
        "not_background": (
            400,
            "This response cannot be streamed because it was not created with background=true.",
            "stream",
        ),
        "cancel": (400, "Cannot cancel a synchronous response.", None),
        "op": (404, f"Invalid URL (/v1/responses/{job_id})", None),
    }[why]
    return Refusal(status=status, text=text, body=error_body(Row(INVALID, None, text), param))


def job_head(reply: BackgroundReply, request: CompletionRequest, number: int, created: int) -> Head:
    """Return whose answer the job is, and when it will be complete."""
    waited = sum(_waits_ns(step) for step in reply.steps)
    lasted_ns = reply.queued_ns + max(reply.in_progress_ns, waited)
    return Head(request, number, created, completed=created + lasted_ns // NS_PER_S, background=True)


def job_script(reply: BackgroundReply, ends: JobEnd, number: int) -> list[Move]:
    """Return the moves of a whole job that ends so; its end has the step after the last."""
    end = len(reply.steps)
    steps = [_agreeing(place, step, ends) for place, step in enumerate(reply.steps)]
    if ends in ("completed", "incomplete") and not any(isinstance(step, Finish) for step in steps):
        steps.append(Finish(reason=_default(steps, ends)))
    script = [move for move in moves(steps, number) if not isinstance(move.what, Done)]
    match ends:
        case "completed" | "incomplete":
            script.append(Move(end, Done()))
        case "failed":
            script.append(Move(end, _failure(reply.error)))
        case "cancelled":
            pass  # no event tells it
        case _:
            assert_never(ends)
    return script


def made(script: Sequence[Move]) -> list[Move]:
    """Return the moves that make the answer: damage and errors on the way to a client are none of the job's."""
    return [move for move in script if not _is_delivery(move.what)]


def _is_delivery(what: Step) -> bool:
    return isinstance(what, Garble | Raw | Repeat) or (isinstance(what, Fault) and what.form != "failed")


def _agreeing(place: int, step: Step, ends: JobEnd) -> Step:
    if isinstance(step, Fault) and step.form == "failed":
        raise UnplayableError(place, "a job fails at its end and not before: use 'ends: failed', or another form")
    # A pause is left as it is, since no job can end in one: it is refused by its name.
    if not isinstance(step, Finish) or step.reason == "pause":
        return step
    known = _REASONS.get(ends, (step.reason,))
    return step if step.reason in known else replace(step, reason=known[0], wire=None)


def _default(steps: Sequence[Step], ends: JobEnd) -> FinishReason:
    called = any(isinstance(step, Call) for step in steps)
    return "tool_calls" if called and ends == "completed" else _REASONS[ends][0]


def _failure(error: str | None) -> Fault:
    """Read an error as statuses do: one word is a code, everything else is the message."""
    if error and error.isidentifier():
        return Fault(text=_FAILED, code=error, form="failed")
    return Fault(text=error or _FAILED, form="failed")


def _waits_ns(step: Step) -> int:
    match step:
        case Wait(ns=ns) | Stall(ns=ns) | KeepAlive(for_ns=ns):
            return ns
    return 0

"""OpenAI Responses: ``POST .../responses``, streamed, whole, and in the background.

The rooms of this dialect: ``openai_responses_requests`` reads requests, ``openai_responses_object`` shows an answer in
any state, ``openai_responses_events`` writes the events of a stream, ``openai_responses_jobs`` knows the requests about
answers that run on, ``openai_responses_hearing`` is the way back. Here they are one dialect.

The constraint: a stream, the whole body and the polls of a job are told by the same code, so the same script gives the
same items, ids and usage whichever way a client asks. A table of fixed bodies was refused, since an agent that resumes
a stream after a poll would see two answers.

Decided here: a whole body always ends, so a script without ``finish`` gets ``tool_calls`` where it calls tools, else
``stop``. A request with ``background: true`` that the script answers with a plain stream gets that stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simkit.contracts import (
    QUEUED_FRAMES,
    STARTED_FRAMES,
    CompletionRequest,
    Frame,
    HttpRequest,
    JobRequest,
    JobView,
    Refusal,
)
from simkit.dialects.framing import damaged, whole_script
from simkit.dialects.jsontext import write_json
from simkit.dialects.openai_errors import error_reply
from simkit.dialects.openai_headers import response_headers
from simkit.dialects.openai_responses_events import error_alone, finished, play
from simkit.dialects.openai_responses_hearing import hear_stream, hear_whole
from simkit.dialects.openai_responses_jobs import job_head, job_refusal, job_request, job_script, made
from simkit.dialects.openai_responses_object import Head, State, response_id, response_object
from simkit.dialects.openai_responses_requests import read_request
from simkit.dialects.sse import keepalive_bytes
from simkit.dialects.turn import moves
from simkit.model.timeline import BackgroundReply, Call, Done, Fault, Finish, StatusReply, Step, StreamReply


class OpenAIResponses:
    """The dialect ``openai-responses``."""

    name = "openai-responses"
    base_url = "https://api.openai.com/v1"

    def claims(self, method: str, path: str) -> bool:
        """Say whether this creates a response, under whatever base path the client was given."""
        return method == "POST" and path.rstrip("/").endswith("/responses")

    def read(self, request: HttpRequest) -> CompletionRequest | Refusal:
        """Understand a request, or refuse it as the API does."""
        return read_request(request)

    def stream(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> Iterator[Frame]:
        """Compile a timeline to frames, one event each."""
        return play(_head(request, number, created), moves(reply.steps, number))

    def whole(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> bytes:
        """Compile a timeline to one Response object; an error in it is all that comes, at status 200."""
        script, damage = whole_script(moves(_ended(reply.steps), number))
        error = next(
            (error_alone(m.what) for m in script if isinstance(m.what, Fault) and m.what.form != "failed"), None
        )
        body = write_json(error or finished(_head(request, number, created), script))
        return body if damage is None else damaged(body, damage)

    def hear(self, body: bytes, *, streamed: bool) -> tuple[Step, ...]:
        """Return the steps that a body was made of."""
        return hear_stream(body) if streamed else hear_whole(body)

    def error(self, reply: StatusReply, *, number: int) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body that the API sends with this status."""
        return error_reply(reply)

    def headers(self, number: int) -> Mapping[str, str]:
        """Return what the API adds to every response."""
        return response_headers(number)

    def media_type(self, request: CompletionRequest) -> str:
        """Return the content type of a stream."""
        return "text/event-stream; charset=utf-8"

    def keepalive(self, request: CompletionRequest) -> bytes:
        """Return a comment: an event would need a sequence number."""
        return keepalive_bytes()

    # -- jobs --
    def job_id(self, number: int) -> str:
        """Return the id of the answer to this request, in the background or not."""
        return response_id(number)

    def job_request(self, request: HttpRequest) -> JobRequest | Refusal | None:
        """Understand a request about a job; None when it is none."""
        return job_request(request)

    def job_frames(
        self, reply: BackgroundReply, request: CompletionRequest, *, number: int, created: int
    ) -> Iterator[Frame]:
        """Compile a whole job to frames, one event each; the end has the step after the last."""
        head = job_head(reply, request, number, created)
        return play(head, job_script(reply, reply.ends, number), (QUEUED_FRAMES, STARTED_FRAMES))

    def job_body(self, view: JobView) -> bytes:
        """Return the Response object of a job in its state: with output only when it is finished."""
        return write_json(_shown(view))

    def job_refusal(self, why: str, job_id: str) -> Refusal:
        """Return how the API refuses a request about this job."""
        return job_refusal(why, job_id)


OPENAI_RESPONSES: Final = OpenAIResponses()


def _head(request: CompletionRequest, number: int, created: int) -> Head:
    return Head(request, number, created, completed=created, background=request.background)


def _ended(steps: Sequence[Step]) -> Sequence[Step]:
    """Return steps that end, as one body must: whatever breaks a stream off is none of its own."""
    kept = [step for step in steps if not isinstance(step, Done)]
    if any(isinstance(step, Fault) for step in kept):
        return kept
    if not any(isinstance(step, Finish) for step in kept):
        called = any(isinstance(step, Call) for step in kept)
        kept.append(Finish(reason="tool_calls" if called else "stop"))
    return [*kept, Done()]


def _shown(view: JobView) -> dict[str, object]:
    reply, head = view.reply, _head(view.request, view.number, view.created)
    if isinstance(reply, BackgroundReply):
        head = job_head(reply, view.request, view.number, view.created)
        match view.state:
            case "completed" | "incomplete" | "failed":
                return finished(head, made(job_script(reply, view.state, view.number)))
    elif view.state in ("completed", "incomplete", "failed"):
        return finished(head, made(moves(_ended(reply.steps), view.number)))
    return response_object(head, State(status=view.state))

from __future__ import annotations

import json

import httpx2
import openai
import pytest
from openai.types.responses import Response

from simkit.contracts import QUEUED_FRAMES, STARTED_FRAMES, Frame, HttpRequest, JobRequest, JobView, Refusal
from simkit.dialects.openai_responses import OPENAI_RESPONSES
from simkit.errors import UnplayableError
from simkit.model.duration import NS_PER_S
from simkit.model.timeline import (
    BackgroundReply,
    Call,
    Disconnect,
    Done,
    Fault,
    Finish,
    FinishReason,
    Garble,
    JobEnd,
    Say,
    Stall,
    Step,
    StreamReply,
    Think,
    Wait,
)
from tests.dialects.responses_sdk import CREATED, EVENT, ResponsesSdk, answered, ask, events, strangers, streamed, told

KEY = (("authorization", "Bearer none"),)
JOB = "resp_sim_000001"
STEPS: tuple[Step, ...] = (Think(text="hm"), Say(text="Hello", pieces=3), Wait(ns=NS_PER_S), Call(name="f", args="{}"))
REQUEST = ask(background=True)


def job(*steps: Step, ends: JobEnd = "completed", error: str | None = None) -> BackgroundReply:
    return BackgroundReply(steps=steps, queued_ns=2 * NS_PER_S, in_progress_ns=3 * NS_PER_S, ends=ends, error=error)


def frames(reply: BackgroundReply) -> list[Frame]:
    return list(OPENAI_RESPONSES.job_frames(reply, REQUEST, number=1, created=CREATED))


def shown(reply: BackgroundReply | StreamReply, state: str, now: int = 0) -> Response:
    view = JobView(number=1, created=CREATED, state=state, request=REQUEST, reply=reply, now=now)
    parsed = Response.model_validate_json(OPENAI_RESPONSES.job_body(view), strict=True)
    assert strangers(parsed) == []
    return parsed


def asked(method: str, target: str, headers: tuple[tuple[str, str], ...] = KEY) -> JobRequest | Refusal | None:
    return OPENAI_RESPONSES.job_request(HttpRequest(method, target, headers))


# -- requests --
def test_the_id_of_an_answer_is_that_of_its_job() -> None:
    reply = StreamReply(steps=(Finish(reason="stop"),))
    body = json.loads(OPENAI_RESPONSES.whole(reply, ask(), number=7, created=CREATED))
    assert OPENAI_RESPONSES.job_id(7) == body["id"] == "resp_sim_000007"


def test_every_request_about_a_job_is_understood() -> None:
    requests = [
        asked("GET", "/v1/responses/resp_1"),
        asked("GET", "/v1/responses/resp_1?include%5B%5D=x&stream=false"),
        asked("GET", "/v1/responses/resp_1?stream=true"),
        asked("GET", "/openai/v1/responses/resp_1?starting_after=42&stream=true"),
        asked("POST", "/v1/responses/resp_1/cancel"),
        asked("DELETE", "/v1/responses/resp_1"),
        asked("GET", "/v1/responses/resp_1/input_items?limit=2"),
    ]
    assert requests == [
        JobRequest(op="retrieve", id="resp_1"),
        JobRequest(op="retrieve", id="resp_1"),
        JobRequest(op="stream", id="resp_1"),
        JobRequest(op="stream", id="resp_1", after=42),
        JobRequest(op="cancel", id="resp_1"),
        JobRequest(op="delete", id="resp_1"),
        JobRequest(op="other", id="resp_1"),
    ]


def test_what_is_about_no_job_is_left_to_others() -> None:
    requests = [
        asked("POST", "/v1/responses"),
        asked("POST", "/v1/responses/compact"),
        asked("POST", "/v1/responses/input_tokens"),
        asked("PUT", "/v1/responses/resp_1"),
        asked("GET", "/v1/responses/resp_1/what"),
        asked("GET", "/v1/conversations/conv_1"),
    ]
    assert requests == [None] * 6


def test_a_cursor_that_is_no_number_and_a_missing_key_are_refused() -> None:
    refusals = [asked("GET", "/v1/responses/resp_1?stream=true&starting_after=x"), asked("GET", "/v1/responses/r", ())]
    assert [r.status for r in refusals if isinstance(r, Refusal)] == [400, 401]


# -- events --
def test_the_frames_of_a_job_have_the_steps_of_its_life() -> None:
    seen = [(frame.step, event["type"]) for frame in frames(job(*STEPS)) for event in events([frame.data])]
    steps = sorted({step for step, _ in seen})
    assert steps == [QUEUED_FRAMES, STARTED_FRAMES, 0, 1, 3, 4]
    assert [(step, event) for step, event in seen if step < 0] == [
        (QUEUED_FRAMES, "response.created"),
        (QUEUED_FRAMES, "response.queued"),
        (STARTED_FRAMES, "response.in_progress"),
    ]
    assert seen[-1] == (4, "response.completed")


@pytest.mark.parametrize("ends", ["completed", "incomplete", "failed", "cancelled"])
def test_every_event_of_a_job_is_one_of_the_sdk_and_numbered(ends: JobEnd) -> None:
    told_ = events([frame.data for frame in frames(job(*STEPS, ends=ends))])
    assert [event["sequence_number"] for event in told_] == list(range(len(told_)))
    for event in told_:
        event.pop("obfuscation", None)
        assert strangers(EVENT.validate_python(event, strict=True)) == []


@pytest.mark.parametrize(
    ("ends", "last", "about"),
    [
        ("completed", "response.completed", ("finish", "tool_calls")),
        ("incomplete", "response.incomplete", ("finish", "length")),
        ("failed", "response.failed", ("error", "Broken badly.")),
        ("cancelled", "response.function_call_arguments.delta", ("args", "{}")),
    ],
)
def test_a_job_ends_as_the_script_says(ends: JobEnd, last: str, about: tuple[str, str]) -> None:
    frame = frames(job(*STEPS, ends=ends, error="Broken badly."))[-1]
    assert events([frame.data])[0]["type"] == last
    assert (frame.about["is"], frame.about["text"]) == about


@pytest.mark.parametrize(
    ("ends", "reason", "agreed"),
    [
        ("completed", "refusal", "refusal"),
        ("completed", "length", "stop"),
        ("incomplete", "content_filter", "content_filter"),
        ("incomplete", "stop", "length"),
    ],
)
def test_a_finish_among_the_steps_gives_way_to_the_end(ends: JobEnd, reason: FinishReason, agreed: str) -> None:
    sent = frames(job(Say(text="x"), Finish(reason=reason), Done(), ends=ends))
    assert [(f.step, f.about["text"]) for f in sent if f.about["is"] in ("finish", "done")] == [(3, agreed)]


def test_a_disconnect_breaks_the_connection_and_not_the_job() -> None:
    sent = events([f.data for f in frames(job(Say(text="a"), Disconnect(how="cut"), Say(text="b")))])
    assert [e["delta"] for e in sent if e["type"] == "response.output_text.delta"] == ["a", "b"]
    assert sent[-1]["type"] == "response.completed"


def test_a_job_that_fails_among_its_steps_is_refused() -> None:
    with pytest.raises(UnplayableError, match="ends: failed"):
        frames(job(Say(text="a"), Fault(text="x", form="failed")))


def test_a_job_that_pauses_is_refused() -> None:
    with pytest.raises(UnplayableError, match="pause"):
        frames(job(Finish(reason="pause")))


# -- the object --
def test_a_job_shows_its_output_only_when_it_is_finished() -> None:
    states: list[tuple[JobEnd, str]] = [
        ("completed", "queued"),
        ("completed", "in_progress"),
        ("completed", "completed"),
        ("incomplete", "incomplete"),
        ("failed", "failed"),
        ("completed", "cancelled"),
    ]
    views = [shown(job(*STEPS, ends=ends), state) for ends, state in states]
    seen = [(v.status, bool(v.output), v.usage is not None, v.error is not None, v.completed_at) for v in views]
    assert seen == [
        ("queued", False, False, False, None),
        ("in_progress", False, False, False, None),
        ("completed", True, True, False, CREATED + 5),
        ("incomplete", True, True, False, None),
        ("failed", True, False, True, None),
        ("cancelled", False, False, False, None),
    ]
    assert [v.background for v in views] == [True] * 6
    assert [v.incomplete_details and v.incomplete_details.reason for v in views][3] == "max_output_tokens"


def test_every_poll_of_a_finished_job_gets_the_same_bytes() -> None:
    reply = job(Stall(ns=60 * NS_PER_S), Say(text="a"))
    assert shown(reply, "completed", now=CREATED + 70) == shown(reply, "completed", now=CREATED + 90)
    assert shown(reply, "completed").completed_at == CREATED + 62


@pytest.mark.parametrize("state", ["completed", "failed", "incomplete"])
def test_the_object_is_that_of_the_last_event(state: JobEnd) -> None:
    reply = job(*STEPS, ends=state)
    view = JobView(number=1, created=CREATED, state=state, request=REQUEST, reply=reply)
    assert json.loads(OPENAI_RESPONSES.job_body(view)) == events([frames(reply)[-1].data])[0]["response"]


def test_an_error_of_one_word_is_a_code() -> None:
    errors = [shown(job(ends="failed", error=e), "failed").error for e in (None, "rate_limit_exceeded", "Too much.")]
    assert [(e.code, e.message) for e in errors if e] == [
        ("server_error", "An error occurred while processing your request."),
        ("rate_limit_exceeded", "An error occurred while processing your request."),
        ("server_error", "Too much."),
    ]


def test_damage_on_the_way_is_none_of_the_jobs() -> None:
    reply = job(Garble(how="json"), Say(text="a"), Fault(text="x"))
    assert shown(reply, "completed").output_text == "a"


def test_a_plain_answer_can_be_asked_for_again() -> None:
    reply = StreamReply(steps=(Say(text="a"), Finish(reason="length")))
    view = JobView(number=1, created=CREATED, state="incomplete", request=ask(), reply=reply)
    body = json.loads(OPENAI_RESPONSES.job_body(view))
    assert body == json.loads(OPENAI_RESPONSES.whole(reply, ask(), number=1, created=CREATED))
    assert shown(reply, "in_progress").output == []


# -- refusals --
@pytest.mark.parametrize(
    ("why", "status", "message"),
    [
        ("unknown", 404, f"Response with id '{JOB}' not found."),
        ("expired", 404, f"Response with id '{JOB}' not found."),
        ("window", 400, "This response can no longer be streamed because it is more than 5 minutes old."),
        (
            "not_background",
            400,
            "This response cannot be streamed because it was not created with background=true.",
        ),
        ("cancel", 400, "Cannot cancel a synchronous response."),
        ("op", 404, f"Invalid URL (/v1/responses/{JOB})"),
    ],
)
def test_the_sdk_raises_each_refusal_in_the_words_of_the_api(why: str, status: int, message: str) -> None:
    refusal = OPENAI_RESPONSES.job_refusal(why, JOB)
    sdk = ResponsesSdk(lambda _: answered(refusal.status, {"content-type": "application/json"}, refusal.body))
    with pytest.raises(openai.APIStatusError) as raised:
        sdk.sync.responses.retrieve(JOB)
    error = raised.value
    assert (error.status_code, error.type, refusal.text) == (status, "invalid_request_error", message)
    assert message in str(error)


# -- resuming, through the SDK --
class Server:
    """A provider with one job: it streams the events after the cursor, and shows the object."""

    def __init__(self, reply: BackgroundReply) -> None:
        self.reply, self.asked = reply, list[JobRequest]()
        self.sdk = ResponsesSdk(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        target = request.url.raw_path.decode()
        headers = tuple(request.headers.items())
        understood = OPENAI_RESPONSES.job_request(HttpRequest(request.method, target, headers))
        assert isinstance(understood, JobRequest), understood
        self.asked.append(understood)
        if understood.op == "stream":
            after = -1 if understood.after is None else understood.after
            return streamed([frame.data for frame in frames(self.reply)][after + 1 :])
        view = JobView(number=1, created=CREATED, state="completed", request=REQUEST, reply=self.reply)
        return answered(200, {"content-type": "application/json"}, OPENAI_RESPONSES.job_body(view))


LAST = len(frames(job(*STEPS))) - 1


@pytest.mark.parametrize("after", range(LAST))
def test_a_stream_resumed_by_the_server_or_by_the_client_has_the_same_events(after: int) -> None:
    server = Server(job(*STEPS))
    resumed = list(server.sdk.sync.responses.retrieve(JOB, stream=True, starting_after=after))
    with server.sdk.sync.responses.stream(response_id=JOB, starting_after=after) as stream:
        filtered = list(stream)
    assert [e.sequence_number for e in resumed] == list(range(after + 1, LAST + 1))
    assert [(e.sequence_number, e.type) for e in filtered] == [(e.sequence_number, e.type) for e in resumed]
    # The SDK's helper does not send the cursor: it asks for everything, and drops what it has.
    assert [request.after for request in server.asked] == [after, None]


def test_text_before_and_after_the_cursor_is_the_whole_text() -> None:
    server = Server(job(*STEPS))
    whole = [e for e in server.sdk.sync.responses.retrieve(JOB, stream=True) if e.type == "response.output_text.delta"]
    for cursor in range(LAST):
        rest = server.sdk.sync.responses.retrieve(JOB, stream=True, starting_after=cursor)
        late = [e.delta for e in rest if e.type == "response.output_text.delta"]
        assert "".join([*(e.delta for e in whole if e.sequence_number <= cursor), *late]) == "Hello"


def test_the_helper_over_a_whole_job_tells_what_a_poll_tells() -> None:
    server = Server(job(*STEPS))
    with server.sdk.sync.responses.stream(response_id=JOB) as stream:
        final = stream.get_final_response()
    polled = server.sdk.sync.responses.retrieve(JOB)
    assert told(final) == told(polled)
    assert told(polled) == {
        "text": "Hello",
        "refusal": "",
        "thoughts": "hm",
        "calls": [("call_1_0", "f", "{}")],
        "status": "completed",
    }


def test_cancelling_and_deleting_through_the_sdk_are_understood() -> None:
    server = Server(job(*STEPS))
    assert server.sdk.sync.responses.cancel(JOB).id == JOB
    server.sdk.sync.responses.delete(JOB)
    assert [request.op for request in server.asked] == ["cancel", "delete"]

from __future__ import annotations

import asyncio

import openai
import pytest

from simkit.contracts import Sim
from tests.provider.played import HELLO, client, events, last_word, play, read, reader, told

# Two back-offs of the SDK with seed 0: up to a quarter less than 0.5 s and 1 s.
FIRST, SECOND = 0.432748001, 1.192097909


def stream(*steps: str, times: int = 1) -> str:
    """A provider with one streamed answer; its steps begin in line 6 of the file."""
    return "\n".join([f"provider:\n  - times: {times}\n    stream:", *(f"      - {s}" for s in steps)])


def test_every_frame_comes_at_its_instant_and_is_traced_with_its_line() -> None:
    text = stream(
        "say: a", "wait: 1s", "say: b", "pace: 2s", "call: f", "args: '{}'", "stall: 3s", "finish: tool_calls"
    )
    result = play(text, reader())
    assert events(result, frame="is text line", silence="ns line") == [
        (0.0, "frame", "mark", "", 6),
        (0.0, "frame", "say", "a", 6),
        (0.0, "silence", 1_000_000_000, 7),
        (1.0, "frame", "say", "b", 8),
        (3.0, "frame", "call", "", 10),
        (5.0, "frame", "args", "{}", 11),
        (5.0, "silence", 3_000_000_000, 12),
        (10.0, "frame", "finish", "tool_calls", 13),
        (12.0, "frame", "done", "", 13),
    ]


def test_the_sdk_sees_every_piece_at_the_instant_of_its_frame() -> None:
    text = stream(
        "say: a", "wait: 1s", "say: b", "pace: 2s", "call: f", "args: '{}'", "stall: 3s", "finish: tool_calls"
    )
    assert told(play(text, reader())) == [
        (0.0, ""),
        (0.0, "a"),
        (1.0, "b"),
        (3.0, "0:f()"),
        (5.0, "0:({})"),
        (10.0, "finish tool_calls"),
        (12.0, "end"),
    ]


def test_the_response_names_its_answer_and_the_answers_line() -> None:
    result = play("provider:\n  - {status: 500}\n  - stream: [say: a, finish: stop]\n", reader())
    assert events(result, response="request status answer line") == [
        (0.0, "response", 1, 500, 0, 4),
        (FIRST, "response", 2, 200, 1, 5),
    ]


def test_the_end_of_a_stream_tells_what_was_delivered() -> None:
    text = stream("say: Hi.", "{call: f, args: {x: 1}}", "finish: tool_calls")
    assert events(play(text, reader()), stream_end="how finish done calls text") == [
        (0.0, "stream.end", "complete", "tool_calls", True, [{"id": "call_1_0", "tool": "f", "args": {"x": 1}}], "Hi.")
    ]


def test_keepalives_come_at_their_interval_and_no_piece_comes_of_them() -> None:
    result = play(stream("say: a", "keepalive: {every: 10s, for: 25s}", "finish: stop"), reader(timeout=11))
    assert (events(result, frame="is")[2:], told(result)[1:]) == (
        [
            (10.0, "frame", "keepalive"),
            (20.0, "frame", "keepalive"),
            (25.0, "frame", "finish"),
            (25.0, "frame", "done"),
        ],
        [(0.0, "a"), (25.0, "finish stop"), (25.0, "end")],
    )


def test_keepalives_hold_off_the_read_timeout_and_a_longer_silence_does_not() -> None:
    result = play(
        stream("say: a", "keepalive: {every: 10s, for: 25s}", "stall: 1m", "finish: stop"), reader(timeout=11)
    )
    assert told(result)[-1] == (31.0, "APITimeoutError")


def test_usage_comes_after_the_finish_and_only_where_it_was_asked_for() -> None:
    text = stream("usage: {input: 3, output: 4}", "say: a", "finish: stop", times=2)

    async def agent(sim: Sim) -> None:
        async with client(sim) as sdk:
            await read(sim, sdk)
            await read(sim, sdk, stream_options={"include_usage": True})

    assert [piece for _, piece in told(play(text, agent))] == [
        *("", "a", "finish stop", "end"),
        *("", "a", "finish stop", "usage 3+4", "end"),
    ]


# wire-facts 2.2, the column "openai chat raw"; nothing after the first byte is retried.
@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        (["say: a", "wait: 1s", "disconnect: eof"], [(0.0, ""), (0.0, "a"), (1.0, "end")]),
        (["say: a", "wait: 1s", "disconnect: cut"], [(0.0, ""), (0.0, "a"), (1.0, "APIConnectionError")]),
        (["say: a", "wait: 1s", "disconnect: reset"], [(0.0, ""), (0.0, "a"), (1.0, "APIConnectionError")]),
        (["say: a", "done:"], [(0.0, ""), (0.0, "a"), (0.0, "end")]),
        (["disconnect: eof"], [(0.0, "end")]),
        (["disconnect: cut"], [(0.0, "APIConnectionError")]),
        (["disconnect: reset"], [(0.0, "APIConnectionError")]),
    ],
)
def test_the_sdk_sees_the_end_of_a_stream_as_on_a_real_socket(steps: list[str], seen: list[object]) -> None:
    result = play(stream(*steps), reader())
    assert (told(result), len(result.trace.of("request"))) == (seen, 1)


@pytest.mark.parametrize(
    ("how", "closed"), [("eof", ("client", "eof")), ("cut", ("server", "eof")), ("reset", ("server", "reset"))]
)
def test_the_trace_says_how_the_stream_ended_and_who_closed(how: str, closed: tuple[str, str]) -> None:
    result = play(stream("say: a", "wait: 1s", f"disconnect: {how}"), reader())
    assert events(result, stream_end="how finish text", connection_close="by how") == [
        (1.0, "stream.end", how, None, "a"),
        (1.0, "connection.close", *closed),
    ]


def test_a_stream_without_an_end_stays_open_until_the_sdks_read_timeout() -> None:
    result = play(stream("say: a"), reader())
    assert (told(result), events(result, stream_end="how")) == (
        [(0.0, ""), (0.0, "a"), (600.0, "APITimeoutError")],
        [(600.0, "stream.end", "client_closed")],
    )


def test_a_stream_that_nobody_ends_is_an_orphan() -> None:
    kept = []

    async def agent(sim: Sim) -> None:
        kept.append(await client(sim).chat.completions.create(model="gpt-test", messages=HELLO, stream=True))
        await asyncio.sleep(1)

    result = play(stream("say: a"), agent)
    assert events(result, stream_end="how", orphan="what name") == [
        (1.0, "stream.end", "open"),
        (1.0, "orphan", "stream", "the stream of request 1"),
    ]


async def _cancelled(sim: Sim) -> None:
    async with client(sim) as sdk:
        reading = asyncio.create_task(read(sim, sdk))
        await asyncio.sleep(3)
        reading.cancel()
        await asyncio.wait([reading])
        await asyncio.sleep(20)


async def _closed(sim: Sim) -> None:
    async with client(sim) as sdk:
        chunks = await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True)
        await asyncio.sleep(3)
        await chunks.close()
        await asyncio.sleep(20)


@pytest.mark.parametrize("agent", [_cancelled, _closed])
def test_a_client_that_leaves_in_mid_stream_is_noticed_at_once_and_gets_no_more(agent: object) -> None:
    result = play(stream("say: a", "wait: 10s", "say: b", "finish: stop"), agent)  # type: ignore[arg-type]  # both take a sim
    assert events(result, frame="text", stream_end="how text") == [
        (0.0, "frame", ""),
        (0.0, "frame", "a"),
        (3.0, "stream.end", "client_closed", "a"),
    ]


# -- answers that are no stream --
async def ask(sim: Sim) -> None:
    """Ask for one whole answer and note it, or the name of the error."""
    async with client(sim, timeout=60) as sdk:
        try:
            answer = await sdk.chat.completions.create(model="gpt-test", messages=HELLO)
            sim.note("over", how=(answer.choices[0].message.content, answer.choices[0].finish_reason))
        except openai.OpenAIError as error:
            sim.note("over", how=type(error).__name__)


def test_a_request_without_stream_gets_silence_and_then_one_body() -> None:
    result = play(stream("say: a", "wait: 5s", "keepalive: {every: 1s, for: 2s}", "say: b", "finish: stop"), ask)
    assert (told(result), events(result, response="status", stream_end="how text", frame="is")) == (
        [(7.0, ("ab", "stop"))],
        [(7.0, "response", 200), (7.0, "stream.end", "complete", "ab")],
    )


def test_a_whole_answer_takes_as_long_as_its_stream() -> None:
    paced = stream("pace: 2s", "say: a", "say: b", "finish: stop")
    assert [told(play(paced, agent))[-1][0] for agent in (ask, reader())] == [10.0, 10.0]


@pytest.mark.parametrize("how", ["eof", "cut", "reset"])
def test_a_whole_answer_that_is_cut_off_is_retried_by_the_sdk(how: str) -> None:
    result = play(stream("say: a", f"disconnect: {how}", times=3), ask)
    assert (told(result), events(result, request="retry", stream_end="how text")) == (
        [(SECOND, "APIConnectionError")],
        [
            *((0.0, "request", 0), (0.0, "stream.end", how, "")),
            *((FIRST, "request", 1), (FIRST, "stream.end", how, "")),
            *((SECOND, "request", 2), (SECOND, "stream.end", how, "")),
        ],
    )


def test_nothing_of_a_whole_answer_counts_as_told_before_it_is_sent() -> None:
    result = play(stream("{call: f, args: {}}", times=3), ask)
    assert [(e.get("how"), e.get("calls"), e.get("text")) for e in result.trace.of("stream.end")] == [
        ("client_closed", [], "")
    ] * 3


# -- statuses --
@pytest.mark.parametrize(
    ("answers", "requests", "end"),
    [
        ("{status: 429, retry_after: 7s}", [0.0, 7.0], "end"),
        ("{status: 429, retry_after: '0.2'}", [0.0, 0.2], "end"),
        ("{status: 503, headers: {retry-after: 7, retry-after-ms: 500}}", [0.0, 0.5], "end"),
        ("{status: 429, retry_after: 'Thu, 01 Jan 2026 00:00:30 GMT'}", [0.0, 30.0], "end"),
        ("{status: 429, retry_after: 120s}", [0.0, 120.0], "end"),
        ("{status: 429, retry_after: 121s}", [0.0], "RateLimitError"),
        ("{status: 429, retry_after: '0'}", [0.0, FIRST], "end"),
        ("{status: 429, headers: {x-should-retry: 'false'}}", [0.0], "RateLimitError"),
        ("{status: 400, headers: {x-should-retry: 'true'}}", [0.0, FIRST], "end"),
        ("{status: 408}", [0.0, FIRST], "end"),
        ("{status: 409}", [0.0, FIRST], "end"),
        ("{status: 400}", [0.0], "BadRequestError"),
        ("{status: 401}", [0.0], "AuthenticationError"),
        ("{status: 403}", [0.0], "PermissionDeniedError"),
        ("{status: 404}", [0.0], "NotFoundError"),
        ("{status: 413}", [0.0], "APIStatusError"),
        ("{status: 422}", [0.0], "UnprocessableEntityError"),
        ("{status: 500, times: 3}", [0.0, FIRST, SECOND], "InternalServerError"),
        ("{status: 529, times: 3}", [0.0, FIRST, SECOND], "InternalServerError"),
        ("{status: 429, times: 3, error: insufficient_quota}", [0.0, FIRST, SECOND], "RateLimitError"),
    ],
)
def test_the_sdk_waits_and_gives_up_after_a_status_as_it_does_in_production(
    answers: str, requests: list[float], end: str
) -> None:
    result = play(f"provider:\n  - {answers}\n  - stream: [say: a, finish: stop]\n", reader())
    assert ([at for at, _ in events(result, request="")], told(result)[-1][1]) == (requests, end)


def test_a_status_is_sent_with_the_apis_own_body_and_headers() -> None:
    async def agent(sim: Sim) -> None:
        async with client(sim) as sdk:
            try:
                await sdk.chat.completions.create(model="gpt-test", messages=HELLO)
            except openai.APIStatusError as error:
                headers = [error.response.headers.get(name) for name in ("x-request-id", "date", "retry-after")]
                sim.note("over", how=[error.code, error.message, *headers])

    assert told(play("provider:\n  - {status: 429, error: Slow down, retry_after: 3h}\n", agent)) == [
        (
            0.0,
            [
                "rate_limit_exceeded",
                "Error code: 429 - Slow down",
                "req_sim_000001",
                "Thu, 01 Jan 2026 00:00:00 GMT",
                "10800",
            ],
        )
    ]


# -- requests that the script is not asked for --
def test_a_malformed_request_gets_the_apis_400_and_uses_no_answer_up() -> None:
    async def agent(sim: Sim) -> None:
        async with client(sim) as sdk:
            try:
                await sdk.chat.completions.create(model="gpt-test", messages=[])
            except openai.BadRequestError as error:
                sim.note("over", how=str(error))
            await read(sim, sdk)

    result = play("provider:\n  - stream: [say: a, finish: stop]\n", agent)
    text = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
    assert (told(result)[0], told(result)[-1], events(result, request_invalid="status text", response="answer")) == (
        (0.0, f"Error code: 400 - {text}"),
        (0.0, "end"),
        [(0.0, "request.invalid", 400, text), (0.0, "response", 0)],
    )


def test_a_path_that_no_dialect_knows_gets_a_404_and_uses_no_answer_up() -> None:
    async def agent(sim: Sim) -> None:
        async with client(sim) as sdk:
            try:
                await sdk.models.list()
            except openai.OpenAIError as error:
                sim.note("over", how=type(error).__name__)
            await read(sim, sdk)

    result = play("provider:\n  - stream: [say: a, finish: stop]\n", agent)
    assert (told(result)[0], told(result)[-1], events(result, other_request="method path status")) == (
        (0.0, "NotFoundError"),
        (0.0, "end"),
        [(0.0, "other.request", "GET", "/v1/models", 404)],
    )


def test_more_requests_than_the_limit_end_the_run() -> None:
    result = play("provider:\n  - {status: 500, times: 9}\nlimits: {requests: 2}\n", reader())
    assert (last_word(result), len(result.trace.of("response"))) == (
        ("limit", f"more than 2 completion requests (`limits: requests`) (at {SECOND}s)"),
        2,
    )

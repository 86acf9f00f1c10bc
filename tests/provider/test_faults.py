from __future__ import annotations

import asyncio
import json
import tracemalloc
from json import JSONDecodeError
from typing import Any

import openai
import pytest

from simkit.contracts import Sim
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, Finish, Repeat, Say, StreamReply
from simkit.run import run_once
from tests.provider.played import HELLO, client, events, last_word, play, read, reader, told
from tests.provider.wire import asker, chunks, post


def stream(*steps: str, **more: str) -> str:
    """A provider with one streamed answer; its steps begin in line 7 of the file."""
    extras = "".join(f"\n    {key}: {value}" for key, value in more.items())
    return "\n".join([f"provider:\n  - times: 1{extras}\n    stream:", *(f"      - {s}" for s in steps)])


def reading(sim: Sim, **options: Any) -> Any:
    """Read one stream and note pieces and whatever ended it, an SDK's own error or a bare one."""

    async def agent() -> None:
        async with client(sim, **options) as sdk:
            try:
                async for chunk in await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True):
                    sim.note("piece", piece=chunk.choices[0].delta.content or chunk.choices[0].finish_reason or "")
                sim.note("over", how="end")
            except (openai.OpenAIError, JSONDecodeError, UnicodeDecodeError) as error:
                sim.note("over", how=f"{type(error).__name__}: {error}".partition(": line")[0])

    return agent()


# -- time before the head --
def test_headers_come_after_their_time() -> None:
    async def agent(sim: Sim) -> None:
        async with client(sim) as sdk:
            opened = await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True)
            sim.note("over", how="head")
            async for _ in opened:
                pass
            sim.note("over", how="end")

    assert told(play(stream("wait: 1s", "say: a", "finish: stop", after="5s"), agent)) == [(5.0, "head"), (6.0, "end")]


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ("{after: 5s, status: 400}", [(5.0, "BadRequestError")]),
        ("{after: 5s, connection: reset}", [(5.0, "APIConnectionError")]),
        ("{after: forever, stream: [say: a, finish: stop]}", [(60.0, "APITimeoutError")]),
    ],
)
def test_every_answer_can_take_its_time(answer: str, seen: list[object]) -> None:
    assert told(play(f"provider:\n  - {answer}\n", reader(timeout=60, max_retries=0))) == seen


def test_a_client_that_leaves_before_the_head_is_noticed() -> None:
    result = play(stream("say: a", "finish: stop", after="1m"), reader(timeout=10, max_retries=0))
    assert events(result, response="", frame="", stream_end="how") == [(10.0, "stream.end", "client_closed")]


# -- headers --
def test_headers_of_the_answer_replace_the_apis_own() -> None:
    async def agent(sim: Sim) -> None:
        async with client(sim) as sdk:
            raw = await sdk.chat.completions.with_raw_response.create(model="gpt-test", messages=HELLO)
            sim.note("over", how=[raw.headers.get(name) for name in ("x-request-id", "x-new", "content-type")])

    answer = stream("say: a", "finish: stop", headers="{X-Request-Id: mine, x-new: '1'}")
    assert told(play(answer, agent)) == [(0.0, ["mine", "1", "application/json"])]


def test_a_stream_under_another_content_type_yields_nothing_and_no_error() -> None:
    result = play(stream("say: a", "finish: stop", headers="{content-type: text/html}"), reader())
    assert told(result) == [(0.0, ""), (0.0, "a"), (0.0, "finish stop"), (0.0, "end")]


# -- what is damaged --
@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        (["say: a", "{error: boom, code: server_error}"], ["", "a", "APIError: boom"]),
        (
            ["say: a", "garble: json", "say: b", "finish: stop"],
            ["", "a", "JSONDecodeError: Unterminated string starting at"],
        ),
        (["say: a", "garble: text", "say: b", "finish: stop"], ["", "a", "JSONDecodeError: Expecting value"]),
        (["say: a", "raw: 'data: {}'", "disconnect: eof"], ["", "a", "end"]),
        (["say: a", "repeat: 2", "finish: stop"], ["", "a", "a", "a", "stop", "end"]),
        (["say: a", "chunk: comment", "finish: stop"], ["", "a", "stop", "end"]),
    ],
)
def test_the_sdk_sees_damage_as_on_a_real_socket(steps: list[str], seen: list[str]) -> None:
    assert [what for _, what in told(play(stream(*steps), reading))] == seen


def test_a_mid_stream_error_is_the_last_word_of_a_body_that_ends_properly() -> None:
    kept: list[bytes] = []
    text = stream("say: a", "error: boom")
    result = play(text, asker(kept, post()))
    assert (len(chunks(kept)), events(result, frame="is text", stream_end="how finish done text error")) == (
        3,
        [
            (0.0, "frame", "mark", ""),
            (0.0, "frame", "say", "a"),
            (0.0, "frame", "error", "boom"),
            (0.0, "stream.end", "eof", None, False, "a", "boom"),
        ],
    )


@pytest.mark.parametrize(
    ("steps", "end"),
    [
        (["say: a", "garble: json", "say: b", "finish: stop"], ("complete", "stop", True, "a")),
        (["say: a", "garble: text", "finish: stop"], ("complete", None, True, "a")),
        (["say: a", "garble: unended", "finish: stop", "disconnect: eof"], ("eof", None, False, "a")),
        (["say: a", r'raw: "data: [DONE]\n\n"', "disconnect: eof"], ("eof", None, True, "a")),
        (
            [r'raw: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n"', "disconnect: eof"],
            ("eof", None, False, "x"),
        ),
    ],
)
def test_a_damaged_stream_is_judged_by_what_could_be_heard_of_it(steps: list[str], end: tuple[object, ...]) -> None:
    assert events(play(stream(*steps), reading), stream_end="how finish done text") == [(0.0, "stream.end", *end)]


# -- repetition --
def repeated(times: int, *more: Any) -> Scenario:
    steps = (Say(text="a"), *more, Repeat(times=times), Finish(reason="stop"))
    return Scenario(title="a case", provider=(Answer(reply=StreamReply(steps=steps)),))


def test_a_frame_that_is_repeated_without_pause_is_one_event_and_reaches_the_client_each_time() -> None:
    count = 0

    async def agent(sim: Sim) -> None:
        nonlocal count
        async with client(sim) as sdk:
            async for chunk in await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True):
                count += chunk.choices[0].delta.content == "a"

    result = run_once(repeated(2_000), Plan(), subject=agent)
    frames = [(e.get("is"), e.get("times")) for e in result.trace.of("frame")]
    text = result.trace.of("stream.end")[0].get("text")
    assert (frames, text, count) == (
        [("mark", 1), ("say", 1), ("say", 2_000), ("finish", 1), ("done", 1)],
        "a" * 2_001,
        2_001,
    )


def test_a_frame_that_is_repeated_at_a_pace_is_an_event_each_time() -> None:
    result = play(stream("pace: 1s", "say: a", "repeat: 3", "finish: stop"), reader())
    assert events(result, frame="is times")[1:-2] == [(float(at), "frame", "say", 1) for at in (2, 3, 4, 5)]


def test_a_client_that_leaves_while_a_frame_is_repeated_is_told_how_often_it_came() -> None:
    kept: list[Any] = []

    async def agent(sim: Sim) -> None:
        async with client(sim) as sdk:
            opened = await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True)
            kept.extend([await anext(opened) for _ in range(10)])
            await opened.close()
            await asyncio.sleep(1)

    end = run_once(repeated(10_000), Plan(), subject=agent).trace.of("frame", "stream.end")[-2:]
    times = end[0].get("times")
    assert (isinstance(times, int) and 8 <= times < 10_000, end[1].get("how"), end[1].get("text")) == (
        True,
        "client_closed",
        "a" * (1 + int(str(times))),
    )


# -- a client that does not read --
def test_a_client_that_does_not_read_holds_the_answer_up() -> None:
    # Two of these fill the buffers of the connection; nothing of the rest is made before there is room.
    steps = tuple(Say(text="x" * 300_000) for _ in range(20))
    answer = Answer(reply=StreamReply(steps=(*steps, Finish(reason="stop"))))

    async def agent(sim: Sim) -> None:
        reading, writing = await asyncio.open_connection("api.openai.com", 80, limit=1000)
        writing.write(post())
        tracemalloc.start()
        await asyncio.sleep(60)
        sim.note("over", how=tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        while await reading.read(65536):
            pass
        writing.close()

    result = run_once(Scenario(title="a case", provider=(answer,)), Plan(), subject=agent)
    said = [at for at, _, what in events(result, frame="is") if what == "say"]
    peak = result.trace.of("note")[0].get("how")
    assert (said.count(0.0) < 4, said.count(60.0) + said.count(0.0), events(result, stream_end="how")) == (
        True,
        20,
        [(60.0, "stream.end", "complete")],
    )
    assert isinstance(peak, int)
    assert peak < 5_000_000


# -- what no wire can carry --
def test_a_step_that_the_wire_cannot_carry_ends_the_run_with_its_line() -> None:
    result = play(stream("say: a", "{error: boom, form: nested}"), reader())
    reason, text = last_word(result)
    said = "line 7: openai-chat cannot play this answer: an error of the form 'nested' belongs to the Responses API"
    assert (reason, str(text).startswith(said), events(result, answer_unused="")) == ("unplayable", True, [])


def test_a_header_that_frames_the_body_ends_the_run() -> None:
    reply = StreamReply(steps=(Finish(reason="stop"),), headers={"Content-Length": "5"})
    result = run_once(Scenario(title="a case", provider=(Answer(reply=reply),)), Plan(), subject=reader())
    assert (last_word(result)[0], "'Content-Length' frames the body" in str(last_word(result)[1])) == (
        "unplayable",
        True,
    )


def test_bytes_as_they_are_go_out_as_they_are() -> None:
    kept: list[bytes] = []
    text = stream("raw: {hex: fffe00}", "disconnect: eof")
    play(text, asker(kept, post()))
    assert chunks(kept) == [b"\xff\xfe\x00"]


def test_a_body_of_the_scripts_own_under_status_200_is_heard_as_a_client_would() -> None:
    whole = '{"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}'
    bodies = ["", '{"error": {"message": "no capacity"}}', whole, "data: [DONE]\n\n"]

    async def agent(sim: Sim) -> None:
        async with client(sim) as sdk:
            for _ in bodies:
                await read(sim, sdk)

    answers = "".join(f"  - {{status: 200, body: {json.dumps(body)}}}\n" for body in bodies)
    assert events(play(f"provider:\n{answers}", agent), stream_end="how finish done error text") == [
        (0.0, "stream.end", "complete", None, False, None, ""),
        (0.0, "stream.end", "complete", None, False, None, ""),
        (0.0, "stream.end", "complete", None, False, None, ""),
        (0.0, "stream.end", "complete", None, True, None, ""),
    ]

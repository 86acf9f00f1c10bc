from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

from simkit.contracts import Sim
from tests.provider.played import events, last_word, play, told

Talk = Callable[[Sim, openai.AsyncOpenAI], Awaitable[None]]
# Frames of an answer of one text, in the background: creation (0, 1), start (2), text (3..), end (9).
JOB = """
provider:
  - background:
      queued: 10s
      in_progress: 20s
      stream: [say: a, wait: 5s, say: b]
"""


def agent(talk: Talk, **options: Any) -> Callable[[Sim], Awaitable[None]]:
    async def run(sim: Sim) -> None:
        url = sim.base_url("openai-responses")
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, **options) as sdk:
            await talk(sim, sdk)

    return run


async def create(sdk: openai.AsyncOpenAI, **options: Any) -> Any:
    return await sdk.responses.create(**{"model": "gpt-test", "input": "hello", "background": True, **options})


def show(sim: Sim, response: Any) -> None:
    sim.note("over", how=f"{response.status}: {response.output_text}")


async def attempt(sim: Sim, asking: Awaitable[Any]) -> None:
    """Note what came of it: the response, or the error."""
    try:
        show(sim, await asking)
    except openai.APIStatusError as error:
        sim.note("over", how=f"{error.status_code}: {error.body['message']}")  # type: ignore[index]  # the API's body
    except openai.APIConnectionError as error:
        sim.note("over", how=type(error).__name__)


async def follow(sim: Sim, streaming: Awaitable[Any], most: int = 1000) -> int:
    """Note what comes, at most so many events; return the number of the last one."""
    last = -1
    try:
        async for event in await streaming:
            last = event.sequence_number
            text = getattr(event, "delta", "")
            sim.note("piece", piece=f"{last} {event.type.removeprefix('response.')}{text and f' {text}'}")
            most -= 1
            if not most:
                break
        else:
            sim.note("over", how="end")
    except openai.APIConnectionError as error:
        sim.note("over", how=type(error).__name__)
    except openai.APIStatusError as error:
        sim.note("over", how=f"{error.status_code}: {error.body['message']}")  # type: ignore[index]  # as above
    return last


# -- polling --
def test_a_job_goes_through_its_states_in_virtual_time_while_it_is_polled() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        show(sim, response)
        while response.status in ("queued", "in_progress"):
            await asyncio.sleep(6)
            response = await sdk.responses.retrieve(response.id)
            show(sim, response)

    result = play(JOB, agent(talk))
    states = ["queued", "in_progress", "in_progress", "in_progress"]
    assert told(result) == [
        (0.0, "queued: "),
        *((6.0 * (n + 1), f"{state}: ") for n, state in enumerate(states)),
        (30.0, "completed: ab"),
    ]
    assert events(result, job_state="state line", job_request="poll op status state") == [
        (0.0, "job.state", "queued", 5),
        (6.0, "job.request", 1, "retrieve", 200, "queued"),
        (10.0, "job.state", "in_progress", 5),
        *((6.0 * n, "job.request", n, "retrieve", 200, "in_progress") for n in (2, 3, 4)),
        (30.0, "job.state", "completed", 5),
        (30.0, "job.request", 5, "retrieve", 200, "completed"),
    ]


def test_a_job_lasts_as_long_as_its_steps_where_they_take_longer() -> None:
    text = "provider:\n  - background: {in_progress: 3s, stream: [say: a, wait: 8s, say: b]}\n"

    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        for _ in range(9):
            await asyncio.sleep(1)
            response = await sdk.responses.retrieve(response.id)
        show(sim, response)

    result = play(text, agent(talk))
    assert events(result, job_state="state") == [
        (0.0, "job.state", "queued"),
        (0.0, "job.state", "in_progress"),
        (8.0, "job.state", "completed"),
    ]


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ("ends: failed, error: server_error", ("failed", "server_error", None)),
        ("ends: incomplete", ("incomplete", None, "max_output_tokens")),
        ("ends: cancelled", ("cancelled", None, None)),
    ],
)
def test_a_job_ends_as_the_script_says(ends: str, shown: tuple[object, ...]) -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        await asyncio.sleep(5)
        response = await sdk.responses.retrieve(response.id)
        error, details = response.error, response.incomplete_details
        sim.note("over", how=(response.status, error and error.code, details and details.reason))

    text = f"provider:\n  - background: {{in_progress: 1s, {ends}, stream: [say: a]}}\n"
    assert told(play(text, agent(talk))) == [(5.0, shown)]


def test_single_polls_can_fail_in_their_own_way() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        for _ in range(4):
            await attempt(sim, sdk.responses.retrieve(response.id))

    text = """
        provider:
          - background:
              in_progress: 20s
              polls: {2: {status: 500, error: It broke}, 3: {connection: reset}}
        """
    result = play(text, agent(talk))
    assert (told(result), events(result, job_request="poll status")) == (
        [
            (0.0, "in_progress: "),
            (0.0, "500: It broke"),
            (0.0, "APIConnectionError"),
            (0.0, "in_progress: "),
        ],
        [(0.0, "job.request", poll, status) for poll, status in ((1, 200), (2, 500), (3, None), (4, 200))],
    )


def test_what_a_finished_job_holds_is_told_once_when_somebody_is_shown_it() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        for _ in range(3):
            await asyncio.sleep(20)
            await sdk.responses.retrieve(response.id)

    text = "provider:\n  - background: {in_progress: 30s, stream: [say: a, {call: f, args: {x: 1}}]}\n"
    assert events(play(text, agent(talk)), stream_end="request how finish calls text") == [
        (
            40.0,
            "stream.end",
            1,
            "complete",
            "tool_calls",
            [{"id": "call_1_0", "tool": "f", "args": {"x": 1}}],
            "a",
        )
    ]


# -- streams --
def test_a_job_is_streamed_live_from_its_creation() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        await follow(sim, create(sdk, stream=True))

    result = play(JOB, agent(talk))
    assert [(at, str(what).split(" ", 1)[-1]) for at, what in told(result)] == [
        (0.0, "created"),
        (0.0, "queued"),
        (10.0, "in_progress"),
        (10.0, "output_item.added"),
        (10.0, "content_part.added"),
        (10.0, "output_text.delta a"),
        (15.0, "output_text.delta b"),
        *((30.0, kind) for kind in ("output_text.done", "content_part.done", "output_item.done")),
        (30.0, "completed"),
        (30.0, "end"),
    ]


@pytest.mark.parametrize(("back_at", "instants"), [(12, [12, 15, 30]), (20, [20, 20, 30]), (40, [40, 40, 40])])
def test_a_stream_that_was_left_goes_on_behind_its_cursor(back_at: int, instants: list[int]) -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        stream = await create(sdk, stream=True)
        first = await anext(stream)
        await stream.close()
        await asyncio.sleep(back_at)
        resumed = await sdk.responses.retrieve(first.response.id, stream=True, starting_after=4)
        async for event in resumed:
            if event.type in ("response.output_text.delta", "response.completed"):
                sim.note("piece", piece=getattr(event, "delta", "completed"))

    result = play(JOB, agent(talk))
    assert (told(result), events(result, stream_end="how text"), events(result, job_request="op after status")) == (
        list(zip(map(float, instants), ["a", "b", "completed"], strict=True)),
        [(0.0, "stream.end", "client_closed", ""), (instants[-1], "stream.end", "complete", "ab")],
        [(float(back_at), "job.request", "stream", 4, 200)],
    )


def test_a_resumed_stream_has_every_event_behind_the_cursor_and_none_before_it() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        await asyncio.sleep(60)
        for after in (openai.omit, 0, 7, 9, 99):
            resumed = await sdk.responses.retrieve(response.id, stream=True, starting_after=after)
            sim.note("piece", piece=[event.sequence_number async for event in resumed] or "nothing")

    seen = [what for _, what in told(play(JOB, agent(talk)))]
    assert seen == [list(range(11)), list(range(1, 11)), [8, 9, 10], [10], "nothing"]


def test_two_can_watch_one_job() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)

        async def watch() -> list[object]:
            stream = await sdk.responses.retrieve(response.id, stream=True)
            return [event.sequence_number async for event in stream]

        sim.note("over", how=await asyncio.gather(watch(), watch()))

    result = play(JOB, agent(talk))
    assert (told(result), len(result.trace.of("stream.end"))) == ([(30.0, [list(range(11))] * 2)], 2)


STRUCK = """
provider:
  - background:
      stream: [say: a, disconnect: HOW, wait: 5s, say: b]
"""


@pytest.mark.parametrize(
    ("how", "seen"), [("eof", "end"), ("cut", "APIConnectionError"), ("reset", "APIConnectionError")]
)
def test_a_disconnect_strikes_once_whoever_watches_and_not_the_job(how: str, seen: str) -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        ids = list[str]()

        async def first() -> Any:
            response = await create(sdk, stream=True)
            ids.append((await anext(response)).response.id)
            return response

        last = await follow(sim, first())
        await follow(sim, sdk.responses.retrieve(ids[0], stream=True, starting_after=last))
        await follow(sim, sdk.responses.retrieve(ids[0], stream=True))

    result = play(STRUCK.replace("HOW", how), agent(talk))
    whole = [(at, end) for at, end in told(result) if not str(end)[0].isdigit()]
    assert (whole, events(result, stream_end="how text")) == (
        [(0.0, seen), (5.0, "end"), (5.0, "end")],
        [(0.0, "stream.end", how, "a"), (5.0, "stream.end", "complete", "ab"), (5.0, "stream.end", "complete", "ab")],
    )


def test_a_disconnect_that_nobody_watches_strikes_nobody() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        await asyncio.sleep(1)
        await follow(sim, sdk.responses.retrieve(response.id, stream=True))

    assert told(play(STRUCK.replace("HOW", "cut"), agent(talk)))[-1] == (5.0, "end")


def test_keepalives_reach_those_who_watch_and_no_later_stream() -> None:
    text = "provider:\n  - background: {stream: [say: a, keepalive: {every: 1s, for: 3s}, say: b]}\n"

    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        await follow(sim, sdk.responses.retrieve(response.id, stream=True))
        await follow(sim, sdk.responses.retrieve(response.id, stream=True))

    result = play(text, agent(talk))
    assert [(e.at_ns, e.get("is")) for e in result.trace.of("frame") if e.get("is") == "keepalive"] == [
        (at * 1_000_000_000, "keepalive") for at in (1, 2, 3)
    ]


# -- cancelling, deleting, expiring --
def test_a_job_is_cancelled_and_a_second_time_shows_the_same() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        stream = await create(sdk, stream=True)
        job = (await anext(stream)).response.id
        await asyncio.sleep(12)
        await attempt(sim, sdk.responses.cancel(job))
        await attempt(sim, sdk.responses.cancel(job))
        await follow(sim, _as_is(stream))
        await asyncio.sleep(60)
        await attempt(sim, sdk.responses.retrieve(job))

    result = play(JOB, agent(talk))
    shown = [(at, what) for at, what in told(result) if not str(what)[0].isdigit()]
    assert (shown, events(result, job_state="state", stream_end="how text")) == (
        [(12.0, "cancelled: "), (12.0, "cancelled: "), (12.0, "end"), (72.0, "cancelled: ")],
        [
            (0.0, "job.state", "queued"),
            (10.0, "job.state", "in_progress"),
            (12.0, "job.state", "cancelled"),
            (12.0, "stream.end", "eof", "a"),
        ],
    )


async def _as_is(stream: Any) -> Any:
    return stream


def test_to_cancel_a_finished_job_shows_how_it_ended() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        await asyncio.sleep(31)
        await attempt(sim, sdk.responses.cancel(response.id))

    assert told(play(JOB, agent(talk))) == [(31.0, "completed: ab")]


NOT_FOUND = "404: Response with id 'ID' not found."


def test_nobody_knows_a_job_that_was_deleted_or_never_was() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        await sdk.responses.delete(response.id)
        for asking in (sdk.responses.retrieve, sdk.responses.cancel):
            await attempt(sim, asking(response.id))
        await attempt(sim, sdk.responses.retrieve("resp_else"))
        await asyncio.sleep(60)
        sim.note("over", how=response.id)

    result = play(JOB, agent(talk))
    *seen, (_, job) = told(result)
    assert (seen, events(result, job_request="op status state")) == (
        [(0.0, NOT_FOUND.replace("ID", name)) for name in (str(job), str(job), "resp_else")],
        [
            (0.0, "job.request", "delete", 200, "cancelled"),
            (0.0, "job.request", "retrieve", 404, None),
            (0.0, "job.request", "cancel", 404, None),
            (0.0, "job.request", "retrieve", 404, None),
        ],
    )


def test_a_job_can_be_streamed_in_its_window_and_is_known_until_it_expires() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        for at in (299.5, 0.5, 299, 1):
            await asyncio.sleep(at)
            await follow(sim, sdk.responses.retrieve(response.id, stream=True, starting_after=99))
            await attempt(sim, sdk.responses.retrieve(response.id))

    result = play(JOB, agent(talk))
    late = "400: This response can no longer be streamed because it is more than 5 minutes old."
    *known, (gone_at, gone), (again_at, again) = told(result)
    assert (known, gone_at, again_at, gone == again, str(gone)[:4]) == (
        [
            (299.5, "end"),
            (299.5, "completed: ab"),
            (300.0, late),
            (300.0, "completed: ab"),
            (599.0, late),
            (599.0, "completed: ab"),
        ],
        600.0,
        600.0,
        True,
        "404:",
    )
    assert events(result, job_state="state")[-1] == (600.0, "job.state", "expired")


def test_the_agent_that_waits_for_nothing_is_stuck_though_a_job_would_expire() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        await create(sdk)
        await asyncio.Event().wait()

    result = play(JOB, agent(talk))
    assert (last_word(result)[0], result.trace.end_ns) == ("deadlock", 30_000_000_000)


# -- answers that are no jobs --
PLAIN = "provider:\n  - stream: [say: a, wait: 1s, finish: stop]\n"


@pytest.mark.parametrize("stream", [False, True])
def test_a_completed_answer_can_be_retrieved_but_neither_streamed_nor_cancelled(stream: bool) -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk, background=False, stream=stream)
        ids = [e.response.id async for e in response if e.type == "response.created"] if stream else [response.id]
        job = ids[0]
        await attempt(sim, sdk.responses.retrieve(job))
        await follow(sim, sdk.responses.retrieve(job, stream=True))
        await attempt(sim, sdk.responses.cancel(job))
        await sdk.responses.delete(job)
        await attempt(sim, sdk.responses.retrieve(job))
        sim.note("over", how=job)

    *seen, (_, job) = told(play(PLAIN, agent(talk)))
    assert seen == [
        (1.0, "completed: a"),
        (1.0, "400: This response cannot be streamed because it was not created with background=true."),
        (1.0, "400: Cannot cancel a synchronous response."),
        (1.0, NOT_FOUND.replace("ID", str(job))),
    ]


def test_an_answer_that_must_not_be_stored_is_not() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk, background=False, store=False)
        await attempt(sim, sdk.responses.retrieve(response.id))

    assert str(told(play(PLAIN, agent(talk)))[0][1]).startswith("404: ")


@pytest.mark.parametrize(
    ("ends", "seen"),
    [
        ("ends: completed", (35.0, "completed: ab")),
        ("ends: incomplete", (35.0, "incomplete: ab")),
        ("ends: failed", (35.0, "failed: ")),
    ],
)
def test_a_request_that_waits_gets_a_background_answer_after_the_time_of_the_job(
    ends: str, seen: tuple[object, ...]
) -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        await attempt(sim, create(sdk, background=False))

    text = f"provider:\n  - background: {{queued: 10s, in_progress: 20s, {ends}, stream: [say: a, wait: 5s, say: b]}}\n"
    assert told(play(text, agent(talk))) == [seen]


def test_a_wire_without_jobs_gets_a_background_answer_as_a_stream() -> None:
    async def chat(sim: Sim) -> None:
        async with openai.AsyncOpenAI(base_url=sim.base_url("openai-chat"), api_key="none") as sdk:
            answer = await sdk.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "x"}])
            sim.note("over", how=answer.choices[0].message.content)

    assert told(play(JOB, chat)) == [(35.0, "ab")]


def test_a_cursor_that_is_no_number_is_refused() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        await follow(sim, sdk.responses.retrieve(response.id, stream=True, extra_query={"starting_after": "x"}))

    result = play(JOB, agent(talk))
    assert (str(told(result)[0][1])[:4], events(result, job_request="op status")) == (
        "400:",
        [(0.0, "job.request", "other", 400)],
    )

"""Faults of a plan on the wire: what the SDK sees of each, and what the next request gets.

The idea: one answer, one fault, and a client that asks twice. The constraint: a client that got no answer gets it when
it asks again, and one that has it does not get it twice.
"""

from __future__ import annotations

import asyncio
from json import JSONDecodeError
from typing import Any

import openai
import pytest

from simkit.contracts import Sim
from simkit.model.plan import Plan
from simkit.model.verdict import Result
from simkit.run import Steering, run_once
from tests.provider.played import HELLO, client, events, last_word, reader, scenario, told
from tests.provider.test_jobs import JOB, agent, attempt, create, follow

ONE = "provider: [{stream: [{say: a}, {finish: stop}]}]"
# What the SDK notes of the whole answer, and of the last resort.
WHOLE = ["", "a", "finish stop", "end"]
LAST = ["", "That is all.", "finish stop", "end"]


def struck(fault: str, text: str = ONE, subject: Any = None) -> Result:
    subject = subject or reader(2, max_retries=0, timeout=60)
    return run_once(scenario(text), Plan.parse(f"seed=0,{fault}"), subject=subject)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("cut@answer1.frame1", ["", "APIConnectionError", *WHOLE]),
        ("reset@answer1.frame1", ["", "APIConnectionError", *WHOLE]),
        ("eof@answer1.frame1", ["", "end", *WHOLE]),
        ("error@answer1.frame1", ["", "APIError", *WHOLE]),
        ("stall@answer1.frame1", ["", "APITimeoutError", *WHOLE]),
        ("refused@answer1", ["APIConnectionError", *WHOLE]),
        ("timeout@answer1", ["APITimeoutError", *WHOLE]),
        ("status_429@answer1", ["RateLimitError", *WHOLE]),
        ("status_500@answer1", ["InternalServerError", *WHOLE]),
        ("status_529@answer1", ["InternalServerError", *WHOLE]),
        # Whoever has the whole answer is told something else by a further one.
        ("slow@answer1.frame1", [*WHOLE, *LAST]),
        ("stall@answer1.frame3", ["", "a", "finish stop", "APITimeoutError", *LAST]),
        ("cut@answer1.frame3", ["", "a", "finish stop", "APIConnectionError", *LAST]),
    ],
)
def test_the_client_sees_the_fault_and_the_next_request_gets_what_it_was_kept_from(fault: str, seen: list[str]) -> None:
    assert [what for _, what in told(struck(fault))] == seen


def test_a_damaged_frame_makes_the_client_raise_and_the_next_request_gets_the_answer_again() -> None:
    result = struck("garble@answer1.frame1", subject=asking_twice)
    assert ([what for _, what in told(result)], events(result, frame="is")[1][-1]) == (
        ["JSONDecodeError", "a"],
        "garbled",
    )


async def asking_twice(sim: Sim) -> None:
    async with client(sim) as sdk:
        for _ in range(2):
            try:
                chunks = await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True)
                said = [chunk.choices[0].delta.content or "" async for chunk in chunks]
                sim.note("over", how="".join(said))
            except JSONDecodeError as error:
                sim.note("over", how=type(error).__name__)


def test_a_request_that_only_a_fault_has_brought_about_gets_a_last_resort_and_without_one_the_run_ends() -> None:
    three = reader(3, max_retries=0)
    without = run_once(scenario(ONE), Plan(), subject=three)
    assert (told(struck("slow@answer1.frame0", subject=three))[-1][-1], last_word(without)[0]) == ("end", "exhausted")


def test_a_run_tells_every_site_of_a_stream_in_order() -> None:
    sites: list[str] = []
    run_once(scenario(ONE), Plan(), subject=reader(), steering=Steering(sites=sites))
    assert sites == ["answer1", *(f"answer1.frame{n}" for n in range(4))]


# -- background jobs --
async def polling(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
    response = await create(sdk)
    for _ in range(3):
        await asyncio.sleep(20)
        await attempt(sim, sdk.responses.retrieve(response.id, timeout=5))


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("status_500", "500: The server had an error while processing your request."),
        ("refused", "APIConnectionError"),
        ("timeout", "APITimeoutError"),
    ],
)
def test_a_question_about_a_job_that_is_struck_fails_and_the_job_goes_on(fault: str, seen: str) -> None:
    result = struck(f"{fault}@poll2", JOB, agent(polling))
    ends = events(result, stream_end="how finish text")
    assert (told(result)[0][-1], [what for _, what in told(result)][1:], len(ends)) == (
        "in_progress: ",
        [seen, "completed: ab"],
        1,
    )


@pytest.mark.parametrize(
    ("fault", "seen"), [("eof", "end"), ("cut", "APIConnectionError"), ("reset", "APIConnectionError")]
)
def test_a_stream_of_a_job_that_is_struck_can_be_taken_up_again(fault: str, seen: str) -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        stream = await create(sdk, stream=True)
        last = await follow(sim, later(stream))
        await follow(sim, sdk.responses.retrieve("resp_sim_000001", stream=True, starting_after=last))

    notes = [str(what) for _, what in told(struck(f"{fault}@job1.frame6", JOB, agent(talk)))]
    assert [notes[5:7], notes[-1]] == [["5 output_text.delta a", seen], "end"]


async def later(stream: Any) -> Any:
    return stream


def test_what_a_polled_job_holds_is_told_in_a_struck_run_as_in_any_other() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        response = await create(sdk)
        for _ in range(2):
            await asyncio.sleep(40)
            await attempt(sim, sdk.responses.retrieve(response.id))

    assert events(struck("status_500@poll1", JOB, agent(talk)), stream_end="finish text") == [
        (80.0, "stream.end", "stop", "ab")
    ]


def test_a_watcher_whose_pieces_are_still_going_out_is_told_what_comes_at_the_same_instant() -> None:
    async def talk(sim: Sim, sdk: openai.AsyncOpenAI) -> None:
        await follow(sim, create(sdk, stream=True))

    text = "provider: [{chunks: burst, background: {stream: [wait: 1s, say: a, disconnect: cut, wait: 9s, say: b]}}]"
    assert told(run_once(scenario(text), Plan(), subject=agent(talk)))[-1] == (1.0, "APIConnectionError")

"""The `network:` and the `starts:` of a scenario, as the real SDK meets them."""

from __future__ import annotations

import asyncio
import datetime
import time
from email.utils import parsedate_to_datetime

import openai
import pytest

from simkit.contracts import Sim
from simkit.errors import ScenarioError, UsageError
from simkit.model.verdict import Result
from simkit.provider.serve import serving
from simkit.run import check_links
from tests.provider.played import HELLO, client, events, play, reader, scenario, told

SLOW = "stream: [say: a, {stall: 10s}, say: b, finish: stop]"


def heard(result: Result) -> list[tuple[object, ...]]:
    """What the client noted, without the pieces that hold no text."""
    return [one for one in told(result) if one[1]]


# -- the way to the provider --
def test_latency_delays_the_first_byte_by_a_round_trip_for_the_connection_and_one_for_the_request() -> None:
    result = play(f"provider:\n  - {SLOW}\nnetwork: {{api.openai.com: {{latency: 1s}}}}\n", reader())
    assert heard(result) == [(4.0, "a"), (14.0, "b"), (14.0, "finish stop"), (14.0, "end")]


def test_a_stream_that_the_link_resets_ends_as_reset_and_not_as_left_by_its_client() -> None:
    text = f"provider:\n  - {SLOW}\nnetwork: {{api.openai.com: {{faults: [{{at: 3s, reset: }}]}}}}\n"
    result = play(text, reader(max_retries=0))
    assert (heard(result), events(result, stream_end="how", link_fault="fault connections line")) == (
        [(0.0, "a"), (3.0, "APIConnectionError")],
        [(3.0, "link.fault", "reset", 1, 5), (3.0, "stream.end", "reset")],
    )


def test_a_job_goes_on_when_the_link_resets_the_connection_of_whoever_watches_it() -> None:
    text = """
    provider:
      - background: {in_progress: 10s, stream: [say: a]}
    network: {"*": {faults: [{at: 3s, reset: }]}}
    """

    async def agent(sim: Sim) -> None:
        async with openai.AsyncOpenAI(base_url=sim.base_url("openai-responses"), api_key="none") as sdk:
            stream = await sdk.responses.create(model="m", input="hi", background=True, stream=True)
            job_id = ""
            try:
                async for event in stream:
                    job_id = event.response.id if event.type == "response.created" else job_id
            except openai.APIConnectionError:
                sim.note("over", how="broken")
            await asyncio.sleep(8)
            sim.note("over", how=(await sdk.responses.retrieve(job_id)).status)

    assert told(play(text, agent)) == [(3.0, "broken"), (11.0, "completed")]


def test_a_link_that_holds_makes_the_clients_own_read_timeout_fire() -> None:
    text = f"provider:\n  - {SLOW}\nnetwork: {{api.openai.com: {{faults: [{{at: 5s, hold: 1h}}]}}}}\n"
    assert heard(play(text, reader(timeout=60, max_retries=0))) == [(0.0, "a"), (60.0, "APITimeoutError")]


def test_while_a_link_is_down_the_sdk_tries_again_and_the_script_is_not_used_up() -> None:
    text = """
    provider:
      - stream: [say: a, finish: stop]
    network: {api.openai.com: {faults: [{at: 0s, connection: refused, for: 1s}]}}
    """
    result = play(text, reader())
    assert (len(events(result, connection_refused="how")), told(result)[-1][1]) == (2, "end")


def test_another_host_has_a_link_of_its_own() -> None:
    def agent(sim: Sim) -> None:
        import urllib.request

        began = time.monotonic()
        urllib.request.urlopen("http://files.test/").read()
        sim.note("over", how=str(time.monotonic() - began))

    text = "provider: []\nhosts: {files.test: {status: 200}}\nnetwork: {files.test: {latency: 250ms}}\n"
    assert [how for _, how in told(play(text, agent))] == ["1.0"]


# -- what cannot be --
def test_a_link_to_a_host_that_is_nowhere_is_an_error_with_its_place_and_the_nearest_name() -> None:
    text = (
        "provider: []\nhosts: {files.test: {status: 200}}\nnetwork:\n  file.test: {latency: 1s}\n  nowhere.at.all: {}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        check_links(scenario(text))
    assert [(p.line, p.text) for p in caught.value.problems] == [
        (6, "no host is called 'file.test' - did you mean 'files.test'?"),
        (
            7,
            "no host is called 'nowhere.at.all' - known: api.anthropic.com, api.openai.com, files.test, "
            "generativelanguage.googleapis.com",
        ),
    ]


@pytest.mark.parametrize("link", ["latency: 1s", "faults: [{at: 3s, reset: }]"])
def test_a_link_is_refused_where_real_sockets_are_served(link: str) -> None:
    given = scenario(f"provider: []\nnetwork:\n  api.openai.com: {{{link}}}\n")

    async def serve() -> None:
        async with serving(given):
            pass

    with pytest.raises(UsageError, match=r"`network:` \(line 5\) cannot be served: .* run the scenario in a world"):
        asyncio.run(serve())


# -- when it is --
def test_the_clock_that_the_agent_sees_and_the_dates_of_the_provider_begin_when_the_scenario_starts() -> None:
    text = """
    starts: 2028-02-29T23:59:58Z
    provider:
      - {stream: [say: a, finish: stop], after: 3s}
      - {status: 429}
    """

    async def agent(sim: Sim) -> None:
        before = [datetime.datetime.now(datetime.UTC).isoformat(), time.time() - time.monotonic()]
        async with client(sim, max_retries=0) as sdk:
            raw = await sdk.chat.completions.with_raw_response.create(model="gpt-test", messages=HELLO)
            sim.note("seen", how=[*before, parsedate_to_datetime(raw.headers["date"]).isoformat(), raw.parse().created])
            try:
                await sdk.chat.completions.create(model="gpt-test", messages=HELLO)
            except openai.RateLimitError as error:
                sim.note("seen", how=error.response.headers["date"])

    start = 1_835_481_598
    assert [how for _, how in told(play(text, agent))] == [
        ["2028-02-29T23:59:58+00:00", float(start), "2028-03-01T00:00:01+00:00", start],
        "Wed, 01 Mar 2028 00:00:01 GMT",
    ]


def test_two_starts_give_the_same_run_but_for_the_dates() -> None:
    starts = ("1999-12-31T23:59:59Z", "2038-01-19T03:14:07Z")
    ends = [play(f"starts: {at}\nprovider:\n  - {SLOW}\n", reader()).trace.end_ns for at in starts]
    assert ends == [10 * 10**9] * 2

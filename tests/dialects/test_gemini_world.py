"""The unmodified google-genai client in a simulated world, over both HTTP libraries that it uses.

Blocking calls go through httpx2 and asynchronous ones through aiohttp, where that is installed and no transport is
given; so the mock transport of the other tests never meets aiohttp, and this file does.
"""

from __future__ import annotations

import pytest
from google import genai
from google.genai import types

from simkit.contracts import Sim
from simkit.model.duration import NS_PER_S
from tests.dialects.gemini_sdk import MODEL, told
from tests.provider.played import Agent, last_word, play

# google-genai 3.4.0 derives a class from aiohttp's session, which aiohttp advises against.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


def client(sim: Sim) -> genai.Client:
    options = types.HttpOptions(base_url=sim.base_url("gemini"), timeout=60_000)
    return genai.Client(api_key="none", http_options=options)


def note(sim: Sim, found: types.GenerateContentResponse | Exception | None) -> None:
    """Note what a chunk says, or how its stream ended."""
    if isinstance(found, types.GenerateContentResponse):
        text, _, calls, finish = told([found])
        sim.note("piece", piece=finish or text or calls)
    else:
        sim.note("piece", piece=type(found).__name__ if found else "end")


async def reads_async(sim: Sim) -> None:
    async with client(sim).aio as aio:
        async for text in sim.user:
            try:
                async for chunk in await aio.models.generate_content_stream(model=MODEL, contents=text):
                    note(sim, chunk)
                note(sim, None)
            except Exception as error:  # what each library raises is what is looked at  # noqa: BLE001
                note(sim, error)


def reads_blocking(sim: Sim) -> None:
    with client(sim) as sdk:
        for text in sim.user:
            try:
                for chunk in sdk.models.generate_content_stream(model=MODEL, contents=text):
                    note(sim, chunk)
                note(sim, None)
            except Exception as error:  # what each library raises is what is looked at  # noqa: BLE001
                note(sim, error)


BOTH: list[Agent] = [reads_async, reads_blocking]


def pieces(text: str, agent: Agent) -> list[tuple[float, object]]:
    result = play(text, agent)
    assert last_word(result) == ("returned", "")
    assert not [(f.law, f.text) for f in result.findings]
    return [(e.at_ns / NS_PER_S, e.get("piece")) for e in result.trace.of("note")]


@pytest.mark.parametrize("agent", BOTH)
def test_an_answer_arrives_piece_by_piece_in_virtual_time(agent: Agent) -> None:
    scenario = """
        user: [{at: 0s, says: hi}]
        provider:
          - stream:
              - say: Hel
              - wait: 1s
              - say: lo
              - call: f
                args: '{"a": '
              - wait: 2s
              - args: '1}'
              - finish: tool_calls
        """
    assert pieces(scenario, agent) == [
        (0.0, "Hel"),
        (1.0, "lo"),
        (3.0, [("f", {"a": 1})]),
        (3.0, "STOP"),
        (3.0, "end"),
    ]


@pytest.mark.parametrize(
    ("agent", "stalled", "cut"),
    [(reads_async, "TimeoutError", "ClientPayloadError"), (reads_blocking, "ReadTimeout", "RemoteProtocolError")],
)
def test_silence_errors_and_cuts_reach_the_client_as_in_production(agent: Agent, stalled: str, cut: str) -> None:
    scenario = """
        user: [{at: 0s, says: a}, {at: 100s, says: b}, {at: 200s, says: c}]
        provider:
          - stream: [{say: Hel}, {stall: 90s}, {finish: stop}]
          - stream: [{say: Hel}, {wait: 1s}, {error: busy}]
          - stream: [{say: Hel}, {wait: 1s}, {disconnect: cut}]
        always:
          - {off: partial_is_not_success, because: the clients of this test only look}
        """
    assert pieces(scenario, agent) == [
        (0.0, "Hel"),
        (60.0, stalled),
        (100.0, "Hel"),
        (101.0, "ServerError"),
        (200.0, "Hel"),
        (201.0, cut),
    ]

"""The blocking session over every wire, with the sync SDKs: what is given up is over at the provider at once."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import pytest

from simkit.agent.blocking.clients import DIALECTS, connect
from simkit.agent.blocking.session import BlockingSession
from simkit.agent.clients import DIALECTS as ASYNC_DIALECTS
from simkit.agent.clients import ClientOptions
from simkit.agent.decisions import Limits
from simkit.model.duration import NS_PER_S
from simkit.model.verdict import Result
from simkit.provider.serve import serving_in_thread
from tests.agent.worlds import WIRES, ends, notes, run, wrong
from tests.provider.played import scenario

SYNC: Final = "subject: agent-sync\n"


def streams(result: Result) -> list[tuple[float, object]]:
    """When the provider saw each answer end, and how."""
    return [(e.at_ns / NS_PER_S, e.get("how")) for e in result.trace.of("stream.end")]


def test_every_dialect_has_a_blocking_client() -> None:
    assert list(DIALECTS) == list(ASYNC_DIALECTS)


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_with_keepalives_and_nothing_else_is_hung_up_on_at_the_idle_deadline(wire: str) -> None:
    text = "provider:\n- stream: [say: a, keepalive: {every: 15s, for: 10m}]\n- stream: [say: b, finish: stop]\n"
    result = run(SYNC + text, wire, stale_after="180s")
    assert (wrong(result), ends(result), streams(result)) == (
        [],
        [("finished", "ab")],
        [(180.0, "client_closed"), (180.0, "complete")],
    )


@pytest.mark.parametrize("wire", WIRES)
def test_a_provider_that_sends_not_even_headers_is_hung_up_on_at_the_idle_deadline(wire: str) -> None:
    text = "provider:\n- connection: timeout\n  times: 3\nexpect: {outcome: failed}\n"
    result = run(SYNC + text, wire, stale_after="2s", max_retries=0)
    assert (wrong(result), len(result.trace.of("orphan"))) == ([], 0)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [True, False])
def test_a_user_who_cancels_ends_the_request_at_once_and_no_thread_is_left(wire: str, stream: bool) -> None:
    # The user stays a moment: of a stream that is closed as the last thing of all, its provider has yet to hear.
    user = "user: [{says: go}, {at: 5s, cancels: true}, {at: 6s, leaves: true}]\n"
    text = f"{user}provider:\n- stream: [wait: 60s, say: a, finish: stop]\n"
    result = run(SYNC + text, wire, stream=stream)
    end = result.trace.of("turn.end")[0]
    assert (wrong(result), end.at_ns / NS_PER_S, end.get("outcome")) == ([], 5.0, "cancelled")


@pytest.mark.parametrize("wire", WIRES)
def test_a_user_who_cancels_while_the_sdk_sleeps_waits_for_the_grace_and_nothing_more_is_sent(wire: str) -> None:
    text = """
        user: [{says: go}, {at: 5s, cancels: true}, {at: 120s, says: again}]
        provider:
        - {status: 429, retry_after: 60s}
        - stream: [say: a, finish: stop]
    """
    result = run(SYNC + text.replace("\n        ", "\n"), wire, cancel_grace="5s")
    posts = [e.at_ns / NS_PER_S for e in result.trace.of("request")]
    assert (wrong(result), ends(result), posts, notes(result, "reader_left")) == (
        [],
        [("cancelled", ""), ("finished", "a")],
        [0.0, 120.0],
        [(10.0, "reader_left", 5.0)],
    )


@pytest.mark.parametrize("wire", WIRES)
def test_connections_are_used_again_after_a_whole_stream(wire: str) -> None:
    text = """
        provider:
        - stream: [call: look, finish: tool_calls]
        - stream: [say: a, finish: stop]
        tools: {look: {takes: 1s, returns: ok}}
    """
    result = run(SYNC + text.replace("\n        ", "\n"), wire)
    assert (wrong(result), len({e.get("connection") for e in result.trace.of("request")})) == ([], 1)


def test_a_flaw_is_refused_by_name() -> None:
    result = run(SYNC + "provider: []\n", flaw="stub_finish_stop")
    told = [e.get("text") for e in result.trace.of("subject.raised")]
    assert told == ["UsageError: setting 'flaw' is 'stub_finish_stop', expected none - 'agent' has the flaws"]


# -- on real sockets, with real threads ----------------------------------------------------------------------
REAL: Final = """
    provider:
    - {status: 500}
    - stream:
      - say: I write it now.
      - call: write
        args: '{"path": "a", "content": "<!doc'
      - stall: 1h
    - stream:
      - call: write
        args: {path: a}
      - call: look
      - finish: tool_calls
    - stream: [say: done, finish: stop]
"""


class Slow:
    """A tool that really takes a moment."""

    description = "takes a moment"
    schema: Final[dict[str, Any]] = {"type": "object"}

    def __init__(self, name: str, both: threading.Barrier) -> None:
        self.name = name
        self._both = both

    def __call__(self, **arguments: object) -> object:
        # Neither goes on before the other is there.
        self._both.wait(10)
        return f"{self.name} ok"


@pytest.mark.parametrize("wire", WIRES)
def test_it_does_the_same_on_real_sockets_in_real_time(wire: str) -> None:
    facts: list[str] = []
    both = threading.Barrier(2)
    with serving_in_thread(scenario(REAL), speed=100) as server:
        options = ClientOptions(base_url=server.base_url(wire), api_key="none", model="m")
        with BlockingSession(
            connect(wire, options),
            clock=time.monotonic,
            tools=[Slow("write", both), Slow("look", both)],
            limits=Limits(stale_after_s=0.3),
            observe=lambda name, /, **_: facts.append(name),
        ) as session:
            turn = session.send("go")
        left = [thread.name for thread in threading.enumerate() if thread.name in ("answer", "cancel")]
    how = [e.get("how") for e in server.events.of("stream.end")]
    assert (turn.outcome, turn.text, server.ended, left, "reader_left" in facts, how) == (
        "finished",
        "done",
        None,
        [],
        False,
        ["client_closed", "complete", "complete"],
    )


def test_a_cancel_wakes_a_reader_that_waits_in_a_real_socket() -> None:
    with serving_in_thread(scenario("provider:\n- stream: [say: a, stall: 1h]\n"), speed=1) as server:
        options = ClientOptions(base_url=server.base_url("openai-chat"), api_key="none", model="m")
        facts: list[str] = []

        def hear(name: str, /, **_: object) -> None:
            facts.append(name)

        with BlockingSession(connect("openai-chat", options), clock=time.monotonic, observe=hear) as session:
            threading.Timer(0.2, session.cancel).start()
            outcome = session.send("go").outcome
        readers = [thread.name for thread in threading.enumerate() if thread.name == "answer"]
    assert (outcome, "reader_left" in facts, readers) == ("cancelled", False, [])

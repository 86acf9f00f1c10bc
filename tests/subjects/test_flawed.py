from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

import pytest

from simkit.agent.clients import BrokenStreamError, ClientOptions, NoResumeError, UnavailableError
from simkit.agent.decisions import Limits
from simkit.agent.history import ToolResult
from simkit.agent.loop import Turn
from simkit.agent.stream import CallPart, Running, Text
from simkit.errors import UsageError
from simkit.model.duration import FOREVER as FOREVER_NS
from simkit.model.duration import NS_PER_S
from simkit.subjects.agent import blueprint_of
from simkit.subjects.blueprint import Blueprint
from simkit.subjects.flawed import FLAWS, planted
from tests.agent.jump import run
from tests.agent.scripted import FOREVER, Facts, Move, ScriptedClient, calls, says, tool
from tests.subjects.fake_sim import fake_sim

FOREVER_S = FOREVER_NS / NS_PER_S

CUT_CALL: list[Move] = [
    Text("Writing."),
    CallPart(index=0, id="a", name="write", args='{"path": "x'),
    FOREVER,
]
BUSY = UnavailableError("429: later")

ID = {"response_id": "r"}
TOKEN = {**ID, "sequence_number": 3}
RUNS: list[Move] = [Running(ID)]
# An answer in the background whose stream breaks off and could be resumed.
BROKE_OFF: list[Move] = [Text("Hel"), Running(TOKEN, resumable=True), BrokenStreamError("reset")]


class Played:
    """One turn under a flaw (or none), and everything that can be told of it."""

    def __init__(self, flaw: str, *answers: Sequence[Move], limits: Limits | None = None) -> None:
        self.client = ScriptedClient(*answers)
        self.ran: list[str] = []
        self.facts = Facts()
        self.left_running: list[str] = []
        self.turn: Turn = run(self._play(flaw, limits or Limits()))

    async def _play(self, flaw: str, limits: Limits) -> Turn:
        sound = Blueprint(
            connect=lambda options: self.client,
            options=ClientOptions(base_url="", api_key="", model=""),
            limits=limits,
        )
        tools = {"write": tool("write", self.ran), "read": tool("read", self.ran)}
        async with planted(flaw, sound).session(tools, self.facts) as session:
            turn = await session.send("go")
        self.left_running = [t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        return turn

    @property
    def tokens(self) -> list[object]:
        return [request.token for request in self.client.requests]

    @property
    def results_sent(self) -> list[int]:
        return [sum(isinstance(item, ToolResult) for item in r.items) for r in self.client.requests]


def stub_finish_stop(flaw: str) -> object:
    return Played(flaw, CUT_CALL, says("ok")).turn.text


def run_partial_calls(flaw: str) -> object:
    return Played(flaw, CUT_CALL, says("ok")).ran


def unbounded_continuations(flaw: str) -> object:
    return len(Played(flaw, *[CUT_CALL] * 30, says("ok")).client.requests)


def leave_reader_running(flaw: str) -> object:
    return Played(flaw, CUT_CALL, says("ok")).left_running


def lose_parallel_result(flaw: str) -> object:
    return Played(flaw, calls(("write", "{}"), ("read", "{}")), says("ok")).results_sent


def ignore_retry_after(flaw: str) -> object:
    return Played(flaw, [BUSY], [BUSY], says("ok")).turn.outcome


def run_tools_twice(flaw: str) -> object:
    return Played(flaw, calls(("write", "{}")), says("ok")).ran


def leak_continuation_token(flaw: str) -> object:
    return Played(flaw, [*RUNS, *calls(("read", "{}"))], says("ok")).tokens


def failed_poll_ends_turn(flaw: str) -> object:
    return Played(flaw, RUNS, [BUSY], says("ok")).turn.outcome


def poll_without_deadline(flaw: str) -> object:
    return Played(flaw, *[RUNS] * 20, says("ok"), limits=Limits(poll_deadline_s=10)).turn.outcome


def leave_answer_running(flaw: str) -> object:
    return Played(flaw, *[RUNS] * 20, limits=Limits(poll_deadline_s=10)).client.cancelled


def ask_anew_when_window_closed(flaw: str) -> object:
    return Played(flaw, BROKE_OFF, [NoResumeError("too old")], says("Hello")).tokens


def resume_from_start(flaw: str) -> object:
    return Played(flaw, BROKE_OFF, says("lo")).tokens


# The flaw -> what is to be seen of it, without it and with it.
SEEN: dict[str, tuple[Callable[[str], object], object, object]] = {
    "stub_finish_stop": (stub_finish_stop, "Writing.ok", "Writing."),
    "run_partial_calls": (run_partial_calls, [], ["write"]),
    "unbounded_continuations": (unbounded_continuations, 4, 31),
    "leave_reader_running": (leave_reader_running, [], ["stream reader"]),
    "lose_parallel_result": (lose_parallel_result, [0, 2], [0, 1]),
    "ignore_retry_after": (ignore_retry_after, "failed", "finished"),
    "run_tools_twice": (run_tools_twice, ["write"], ["write", "write"]),
    "leak_continuation_token": (leak_continuation_token, [None, None], [None, ID]),
    "failed_poll_ends_turn": (failed_poll_ends_turn, "finished", "failed"),
    "poll_without_deadline": (poll_without_deadline, "failed", "finished"),
    "leave_answer_running": (leave_answer_running, [ID], []),
    "ask_anew_when_window_closed": (ask_anew_when_window_closed, [None, TOKEN, TOKEN], [None, TOKEN, None]),
    "resume_from_start": (resume_from_start, [None, TOKEN], [None, ID]),
}


@pytest.mark.parametrize("flaw", SEEN)
def test_the_flaw_shows_and_the_sound_agent_does_not_have_it(flaw: str) -> None:
    look, sound, flawed = SEEN[flaw]
    assert (look(""), look(flaw)) == (sound, flawed)


def test_under_the_flaw_a_cut_answer_counts_as_finished() -> None:
    turn = Played("stub_finish_stop", CUT_CALL).turn
    assert (turn.outcome, turn.spent.requests) == ("finished", 1)


def test_the_deadline_of_the_http_client_takes_the_place_of_the_loops_own() -> None:
    sound = Blueprint(
        connect=lambda options: ScriptedClient(),
        options=ClientOptions(base_url="", api_key="", model="", max_retries=2),
        limits=Limits(stale_after_s=180.0),
    )
    flawed = planted("keepalive_is_progress", sound)
    assert (flawed.options.read_timeout_s, flawed.limits.stale_after_s) == (180.0, math.inf)


def test_a_retry_of_ones_own_takes_the_place_of_the_sdks() -> None:
    made: list[ClientOptions] = []

    def connect(options: ClientOptions) -> ScriptedClient:
        made.append(options)
        return ScriptedClient()

    sound = Blueprint(
        connect=connect,
        options=ClientOptions(base_url="", api_key="", model="", max_retries=2),
        limits=Limits(),
    )
    planted("ignore_retry_after", sound).session({}, Facts())
    assert [options.max_retries for options in made] == [0]


def test_every_flaw_says_what_it_is_where_it_was_seen_and_what_it_breaks() -> None:
    assert [
        n for n, p in FLAWS.items() if not (p.flaw.name == n and p.flaw.says and p.flaw.source and p.flaw.breaks)
    ] == []


def test_the_end_of_a_turn_ends_its_leak() -> None:
    """Each turn has options of its own, so the next one asks for an answer of its own."""

    async def two_turns() -> list[object]:
        client = ScriptedClient([*RUNS, *says("one")], says("two"))
        sound = Blueprint(
            connect=lambda options: client,
            options=ClientOptions(base_url="", api_key="", model=""),
            limits=Limits(),
        )
        async with planted("leak_continuation_token", sound).session({}, Facts()) as session:
            await session.send("go")
            await session.send("go on")
        return [request.token for request in client.requests]

    assert run(two_turns()) == [None, None]


def test_the_settings_of_a_registry_become_its_limits_and_a_budget_of_forever_is_none() -> None:
    sim = fake_sim(tool_budget=10.0, background_cap=2, cancel_grace=1.0, teardown_grace=3.0, dry_run=True)
    forever = fake_sim(tool_budget=FOREVER_S)
    blueprint = blueprint_of(sim)
    assert (blueprint.limits, blueprint.dry_run, blueprint_of(forever).limits.tool_budget_s) == (
        Limits(tool_budget_s=10.0, background_cap=2, cancel_grace_s=1.0, teardown_grace_s=3.0),
        True,
        None,
    )


def test_an_unknown_flaw_is_told_with_the_nearest_name() -> None:
    sound = Blueprint(
        connect=lambda options: ScriptedClient(),
        options=ClientOptions(base_url="", api_key="", model=""),
        limits=Limits(),
    )
    with pytest.raises(UsageError, match="called 'stub_finish_stp' - did you mean 'stub_finish_stop'"):
        planted("stub_finish_stp", sound)

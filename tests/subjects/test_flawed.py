from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence

import pytest

from simkit.agent.clients import (
    BrokenStreamError,
    ClientOptions,
    LostAnswerError,
    NoResumeError,
    RefusedError,
    UnavailableError,
)
from simkit.agent.decisions import Limits
from simkit.agent.driver import AsyncioDriver
from simkit.agent.history import AssistantMessage, Call, Opaque, ToolResult
from simkit.agent.loop import Turn
from simkit.agent.stream import CallPart, Finish, Running, Text, Usage
from simkit.agent.tools import FunctionTool
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


def slow(ran: list[str]) -> FunctionTool:
    return tool("slow", ran, takes_s=3.0)


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
        tools = {"write": tool("write", self.ran), "read": tool("read", self.ran), "slow": slow(self.ran)}
        async with planted(flaw, sound).session(tools, self.facts) as session:
            turn = await session.send("go")
        self.left_running = [t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        return turn

    @property
    def tokens(self) -> list[object]:
        return [request.token for request in self.client.requests]

    @property
    def last_results(self) -> list[tuple[str, str]]:
        return [(item.call_id, item.text) for item in self.client.requests[-1].items if isinstance(item, ToolResult)]

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


def reconnect_without_end(flaw: str) -> object:
    return Played(flaw, *[[BrokenStreamError("reset")]] * 9, says("ok")).turn.outcome


def ask_anew_when_expired(flaw: str) -> object:
    return Played(flaw, BROKE_OFF, [LostAnswerError("unknown")], says("Hello")).turn.outcome


def resume_from_start(flaw: str) -> object:
    return Played(flaw, BROKE_OFF, says("lo")).tokens


def ask_again_when_empty(flaw: str) -> object:
    return [len(request.items) for request in Played(flaw, [Finish("stop")], says("ok")).client.requests]


def add_up_usage(flaw: str) -> object:
    return Played(flaw, [Usage(25, 1), Usage(25, 15), *says("ok")]).turn.spent.usage


def keep_given_ids(flaw: str) -> object:
    parts = [CallPart(index=i, id="a", name=name, args="{}") for i, name in enumerate(("write", "read"))]
    return Played(flaw, [*parts, Finish("tool_calls")], says("ok")).last_results


def results_by_arrival(flaw: str) -> object:
    return Played(flaw, calls(("slow", "{}"), ("read", "{}")), says("ok")).last_results


def ran_of(*parts: Move) -> Callable[[str], object]:
    """What runs of the calls that these pieces make."""
    return lambda flaw: Played(flaw, [*parts, Finish("tool_calls")], says("ok"), says("ok")).ran


ORPHAN = ran_of(CallPart(index=0, id="a", name="read"), CallPart(index=3, args='{"x":'))
IN_TURNS = ran_of(
    CallPart(index=0, id="a", name="read", args="{"),
    CallPart(index=1, id="b", name="write", args="{"),
    CallPart(index=0, args="}"),
    CallPart(index=1, args="}"),
)
NAMED_TWICE = ran_of(CallPart(index=0, id="a", name="read"), CallPart(index=0, name="read", args="{}"))
NAMED_IN_PIECES = ran_of(CallPart(index=0, id="a", name="re"), CallPart(index=0, name="ad", args="{}"))
MENTIONED_TWICE = ran_of(*[CallPart(index=0, id="a", name="read", args="{}")] * 2)
ALIKE = ran_of(*[CallPart(index=n, id=f"c{n}", name="read", args="{}") for n in range(2)])


def ends(*answer: Move, seen: Callable[[Played], object]) -> Callable[[str], object]:
    """What is to be seen of a turn that begins with this answer."""
    return lambda flaw: seen(Played(flaw, answer, says("ok"), says("ok"), says("ok")))


def sent(played: Played) -> object:
    return len(played.client.requests)


def outcome(played: Played) -> object:
    return played.turn.outcome


def poll_too_often(flaw: str) -> object:
    ((at_s, _, _),) = Played(flaw, RUNS, RUNS, says("ok")).facts.of("turn_ended")
    return round(at_s, 3)


def start_over_after_cut(flaw: str) -> object:
    played = Played(flaw, [Text("Here"), BrokenStreamError("reset")], says(" it is"))
    return [len(request.items) for request in played.client.requests]


def sleep_through_any_wait(flaw: str) -> object:
    return Played(flaw, [UnavailableError("429: later", 3600.0)], says("ok")).turn.outcome


def repeat_refused(flaw: str) -> object:
    played = Played(flaw, *[[RefusedError("400: too long")]] * 5, says("ok"))
    return len(played.client.requests), played.turn.outcome


def pause_is_stop(flaw: str) -> object:
    return Played(flaw, [Text("Searching"), Finish("pause")], says(" found")).turn.text


def drop_signatures(flaw: str) -> object:
    signed = Opaque(wire="anthropic", value={"signature": "s"})
    sent = Played(flaw, [signed, *calls(("read", "{}"))], says("ok")).client.requests[-1].items
    return [len(item.opaque) for item in sent if isinstance(item, AssistantMessage)]


def wait_for_tools_forever(flaw: str) -> object:
    played = Played(flaw, calls(("slow", "{}")), says("ok"), limits=Limits(tool_budget_s=1.0))
    return len(played.facts.of("parked"))


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
    "ask_again_when_empty": (ask_again_when_empty, [1, 2], [1, 1]),
    "add_up_usage": (add_up_usage, Usage(25, 15), Usage(50, 16)),
    "keep_given_ids": (
        keep_given_ids,
        [("a", "write ok"), ("a_2", "read ok")],
        [("a", "write ok"), ("a", "read ok")],
    ),
    "results_by_arrival": (
        results_by_arrival,
        [("call_0", "slow ok"), ("call_1", "read ok")],
        [("call_0", "read ok"), ("call_1", "slow ok")],
    ),
    "poll_too_often": (poll_too_often, 4.0, 0.02),
    "start_over_after_cut": (start_over_after_cut, [1, 3], [1, 1]),
    "sleep_through_any_wait": (sleep_through_any_wait, "failed", "finished"),
    "repeat_refused": (repeat_refused, (1, "failed"), (6, "finished")),
    "pause_is_stop": (pause_is_stop, "Searching found", "Searching"),
    "drop_signatures": (drop_signatures, [1], [0]),
    "wait_for_tools_forever": (wait_for_tools_forever, 1, 0),
    "drop_orphan_arguments": (ORPHAN, [], ["read"]),
    "arguments_to_last_call": (IN_TURNS, ["read", "write"], []),
    "join_names": (NAMED_TWICE, ["read"], []),
    "keep_first_name": (NAMED_IN_PIECES, ["read"], []),
    "count_every_mention": (MENTIONED_TWICE, ["read"], ["read", "read"]),
    "drop_equal_calls": (ALIKE, ["read", "read"], ["read"]),
    "obey_finish_stop": (
        ends(CallPart(index=0, id="a", name="read", args="{}"), Finish("stop"), seen=lambda played: played.ran),
        ["read"],
        [],
    ),
    "go_on_by_reason": (ends(Text("Oslo."), Finish("tool_calls"), seen=sent), 1, 2),
    "stop_reading_at_finish": (
        ends(Text("Oslo."), Finish("stop"), Usage(25, 15), seen=lambda played: played.turn.spent.usage),
        Usage(25, 15),
        Usage(),
    ),
    "finish_needs_clean_end": (ends(Text("Oslo."), Finish("stop"), BrokenStreamError("reset"), seen=sent), 1, 2),
    "stream_error_is_final": (
        ends(Text("Os"), BrokenStreamError("busy", over=True), seen=outcome),
        "finished",
        "failed",
    ),
    "retry_every_stream_error": (ends(Text("Os"), RefusedError("no"), seen=outcome), "failed", "finished"),
    "error_is_answer": (ends(BUSY, seen=outcome), "failed", "finished"),
    "incomplete_is_success": (ends(Text("Os"), Finish("length"), seen=sent), 2, 1),
    "reconnect_without_end": (reconnect_without_end, "failed", "finished"),
    "ask_anew_when_expired": (ask_anew_when_expired, "failed", "finished"),
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


def test_the_wait_for_a_busy_provider_is_a_sleep_of_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    turn = Played("block_while_waiting", [UnavailableError("429: later", 7.0)], says("ok")).turn
    assert (turn.outcome, slept) == ("finished", [7.0])


def sent_after_cancel(flaw: str) -> int:
    """How many requests there are in a turn that is cancelled during the call of its first answer."""

    async def main() -> int:
        client = ScriptedClient(calls(("slow", "{}")), says("ok"))
        sound = Blueprint(
            connect=lambda options: client,
            options=ClientOptions(base_url="", api_key="", model=""),
            limits=Limits(),
        )
        async with planted(flaw, sound).session({"slow": slow([])}, Facts()) as session:
            turn = asyncio.create_task(session.send("go"))
            await asyncio.sleep(1)
            turn.cancel()
            await asyncio.wait([turn])
        return len(client.requests)

    return run(main())


def test_under_the_flaw_a_cancelled_turn_goes_on_with_its_next_request() -> None:
    assert (sent_after_cancel(""), sent_after_cancel("cancel_is_tool_error")) == (1, 2)


class CountingDriver(AsyncioDriver):
    def __init__(self) -> None:
        self.turns = 0

    async def turn(self) -> None:
        self.turns += 1
        await super().turn()


def looks_at_a_call(flaw: str) -> int:
    """How often whoever waits comes round while a call takes a hundred turns of the loop."""

    async def work() -> str:
        for _ in range(100):
            await asyncio.sleep(0)
        return "ok"

    async def main() -> int:
        driver = CountingDriver()
        sound = Blueprint(
            connect=lambda options: ScriptedClient(),
            options=ClientOptions(base_url="", api_key="", model=""),
            limits=Limits(),
        )
        registry = planted(flaw, sound).registry_class(Limits(), Facts(), driver=driver)
        await registry.run(Call("a", "work"), work, None)
        return driver.turns

    return run(main())


def test_under_the_flaw_whoever_waits_for_a_call_comes_round_as_often_as_the_loop() -> None:
    assert (looks_at_a_call(""), looks_at_a_call("busy_wait") >= 100) == (0, True)


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

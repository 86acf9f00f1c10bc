"""The blocking session in a simulated world: its threads are simulated, so every instant is exact."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from simkit.agent.blocking.session import BlockingSession
from simkit.agent.blocking.threads import Threads
from simkit.agent.clients import ProviderError, Request, UnavailableError, Watch
from simkit.agent.decisions import Limits
from simkit.agent.history import Item, ToolResult
from simkit.agent.stream import CallPart, Finish, Piece, Running, Text, Token
from simkit.kernel.world import World
from tests.agent.scripted import calls, outline, says

Move = Piece | float | ProviderError


class Scripted:
    """A blocking client that plays a list of moves for each request; what waits in it, only time ends."""

    def __init__(self, *answers: Sequence[Any]) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.cancelled: list[Token] = []
        self.log: list[tuple[float, str]] = []

    def stream(self, request: Request, watch: Watch) -> Generator[Piece, None, None]:
        self.requests.append(request)
        watch.sent()
        for move in self.answers[len(self.requests) - 1]:
            if isinstance(move, float):
                time.sleep(move)
            elif isinstance(move, Exception):
                raise move
            elif move == "again":
                watch.sent()
            else:
                yield move

    def cancel(self, token: Token) -> None:
        self.cancelled.append(token)

    def close(self) -> None:
        self.log.append((now(), "closed"))


@dataclass(frozen=True)
class Plain:
    """A tool that is a plain function."""

    name: str
    run: Callable[..., object]
    timeout_s: float | None = None
    description: str = "works"

    @property
    def schema(self) -> dict[str, object]:
        return {"type": "object"}

    def __call__(self, **arguments: object) -> object:
        return self.run(**arguments)


def now() -> float:
    return round(time.monotonic() - START[0], 3)


START = [0.0]


class Facts:
    """An observer that keeps what it hears, each with its time."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str, dict[str, object]]] = []

    def __call__(self, name: str, /, **values: object) -> None:
        self.heard.append((now(), name, values))

    def of(self, *names: str) -> list[tuple[float, str]]:
        return [(at, name) for at, name, _ in self.heard if name in names]


def world(main: Callable[[], Any]) -> Any:
    def timed() -> Any:
        START[0] = time.monotonic()
        return main()

    return World().run(timed)


def session(client: Scripted, facts: Facts, *tools: Plain, **limits: Any) -> BlockingSession:
    return BlockingSession(client, clock=time.monotonic, tools=tools, limits=Limits(**limits), observe=facts)


def later(after_s: float, act: Callable[[], object]) -> None:
    """Have another thread do this after a while."""
    threading.Timer(after_s, act).start()


def sleeper(name: str, takes_s: float, log: list[tuple[float, str]], **options: Any) -> Plain:
    def run(**arguments: object) -> object:
        time.sleep(takes_s)
        log.append((now(), name))
        return f"{name} ok"

    return Plain(name, run, **options)


def results(items: Sequence[Item]) -> list[str]:
    return [item.text for item in items if isinstance(item, ToolResult)]


# -- tools ---------------------------------------------------------------------------------------------------
def test_the_tools_of_one_answer_run_side_by_side_and_their_results_are_in_the_order_of_the_calls() -> None:
    log: list[tuple[float, str]] = []
    client = Scripted(calls(("slow", "{}"), ("fast", "{}")), says("done"))

    def main() -> object:
        with session(client, Facts(), sleeper("slow", 3, log), sleeper("fast", 1, log)) as talk:
            turn = talk.send("go")
            return turn.outcome, turn.text, results(talk.history), now()

    assert (world(main), log) == (("finished", "done", ["slow ok", "fast ok"], 3.0), [(1.0, "fast"), (3.0, "slow")])


def test_a_tool_over_its_budget_is_parked_and_its_result_is_given_out_once() -> None:
    log: list[tuple[float, str]] = []

    def asks(client: Scripted) -> Iterator[object]:
        """The id is only known when the result of the call is there."""
        text = results(client.requests[-1].items)[0]
        arguments = json.dumps({"background_id": json.loads(text)["background_id"], "wait_seconds": 60})
        yield CallPart(index=0, id="c", name="check_background_tool", args=arguments)
        yield Finish("tool_calls")

    class Asking(Scripted):
        def stream(self, request: Request, watch: Watch) -> Generator[Piece, None, None]:
            if len(self.requests) == 1:
                self.requests.append(request)
                yield from asks(self)  # type: ignore[misc]  # pieces, all of them
            else:
                yield from super().stream(request, watch)

    client = Asking(calls(("slow", "{}")), [], says("done"))

    def main() -> object:
        with session(client, Facts(), sleeper("slow", 30, log, timeout_s=10)) as talk:
            talk.send("go")
            parked, checked = map(json.loads, results(talk.history))
            return parked["type"], checked["status"], checked["output"], now()

    assert world(main) == ("background", "completed", "slow ok", 30.0)


def test_a_tool_that_raises_or_is_asynchronous_gives_an_error_result() -> None:
    async def answer() -> str:
        return "never"

    def fail(**_: object) -> object:
        raise ValueError("no such file")

    client = Scripted(calls(("fails", "{}"), ("async", "{}")), says("done"))

    def main() -> object:
        with session(client, Facts(), Plain("fails", fail), Plain("async", lambda: answer())) as talk:
            talk.send("go")
            return [json.loads(text)["error"] for text in results(talk.history)]

    assert world(main) == [
        "ValueError: no such file",
        "TypeError: tool 'async' is a coroutine function, expected one that returns its result",
    ]


# -- cancelling ----------------------------------------------------------------------------------------------
def test_a_cancel_from_another_thread_ends_the_pause_before_a_retry_and_the_next_turn_goes_on() -> None:
    client = Scripted([UnavailableError("busy", 60.0)], says("hello"))

    def main() -> object:
        with session(client, Facts(), max_own_retries=1) as talk:
            later(2, talk.cancel)
            first = talk.send("go")
            at = now()
            return first.outcome, at, talk.send("and now?").text, outline(talk.history)

    assert world(main) == ("cancelled", 2.0, "hello", ["user", "user", "assistant"])


def test_a_cancelled_turn_settles_within_the_grace_though_its_tool_runs_on_and_its_late_result_is_nobodys() -> None:
    log: list[tuple[float, str]] = []
    facts = Facts()
    client = Scripted(calls(("slow", "{}")), says("next"))

    def main() -> object:
        with session(client, facts, sleeper("slow", 30, log), cancel_grace_s=5) as talk:
            later(2, talk.cancel)
            outcome, at = talk.send("go").outcome, now()
            time.sleep(40)
            return outcome, at, results(talk.history), talk.send("next").text

    assert (world(main), log, facts.of("unstoppable", "tool_failed")) == (
        ("cancelled", 7.0, ['{"error": "cancelled before it ended"}'], "next"),
        [(30.0, "slow")],
        [(7.0, "unstoppable")],
    )


def test_what_a_tool_returns_within_the_grace_stands_in_the_history_for_it_has_happened() -> None:
    log: list[tuple[float, str]] = []
    client = Scripted(calls(("pay", "{}")))

    def main() -> object:
        with session(client, Facts(), sleeper("pay", 4, log), cancel_grace_s=5) as talk:
            later(2, talk.cancel)
            return talk.send("go").outcome, now(), results(talk.history)

    assert world(main) == ("cancelled", 4.0, ["pay ok"])


def test_a_cancel_between_turns_cancels_nothing() -> None:
    client = Scripted(says("hello"))

    def main() -> object:
        with session(client, Facts()) as talk:
            talk.cancel()
            return talk.send("go").outcome

    assert world(main) == "finished"


def test_a_cancelled_turn_stops_the_answer_that_runs_at_the_provider() -> None:
    client = Scripted([Running({"response_id": "r"}), 30.0])

    def main() -> object:
        with session(client, Facts(), cancel_grace_s=5) as talk:
            later(2, talk.cancel)
            outcome = talk.send("go").outcome
            time.sleep(30)
            return outcome, client.cancelled

    assert world(main) == ("cancelled", [{"response_id": "r"}])


# -- deadlines -----------------------------------------------------------------------------------------------
def test_the_idle_deadline_fires_after_the_last_piece_whatever_the_client_still_waits_for() -> None:
    client = Scripted([Text("half "), 100.0, Text("more "), 1000.0], says("the rest"))
    facts = Facts()

    def main() -> object:
        with session(client, facts, stale_after_s=180, cancel_grace_s=5) as talk:
            turn = talk.send("go")
            at = now()
            time.sleep(2000)
            return turn.text, at

    assert (world(main), facts.of("idle_deadline", "reader_left")) == (
        ("half more the rest", 285.0),
        # This reader cannot be hung up on, so the turn waits out the grace for it before it goes on.
        [(285.0, "reader_left"), (285.0, "idle_deadline")],
    )


def test_a_reader_that_was_left_behind_sends_nothing_more() -> None:
    heard: list[float] = []

    class Heard(Scripted):
        def stream(self, request: Request, watch: Watch) -> Generator[Piece, None, None]:
            for piece in super().stream(request, watch):
                heard.append(now())
                yield piece

    client = Heard([60.0, "again", Text("late"), Finish("stop")])

    def main() -> object:
        with session(client, Facts(), cancel_grace_s=5) as talk:
            later(2, talk.cancel)
            outcome, at = talk.send("go").outcome, now()
            time.sleep(100)
            return outcome, at, heard

    assert world(main) == ("cancelled", 7.0, [])


def test_a_turn_ends_at_its_deadline_and_takes_its_tools_as_a_cancelled_one_does() -> None:
    log: list[tuple[float, str]] = []
    client = Scripted(calls(("slow", "{}")))

    def main() -> object:
        with session(client, Facts(), sleeper("slow", 12, log), turn_deadline_s=10, cancel_grace_s=5) as talk:
            turn = talk.send("go")
            return turn.outcome, turn.reason, now(), results(talk.history)

    assert world(main) == ("failed", "the turn has used all its 10 s", 12.0, ["slow ok"])


# -- a session's life ----------------------------------------------------------------------------------------
def test_a_second_turn_beside_the_first_is_refused_and_does_not_disturb_it() -> None:
    client = Scripted([10.0, *says("hello")])
    refused: list[str] = []

    def main() -> object:
        with session(client, Facts()) as talk:

            def intrude() -> None:
                with pytest.raises(RuntimeError) as error:
                    talk.send("me too")
                refused.append(str(error.value))

            later(1, intrude)
            later(2, talk.cancel)
            return talk.send("go").outcome

    assert (world(main), refused) == (
        "cancelled",
        ["the session is still busy with another turn, so 'me too' cannot be sent"],
    )


def test_closing_from_another_thread_ends_the_tools_of_the_turn_and_names_what_would_not_stop() -> None:
    log: list[tuple[float, str]] = []
    facts = Facts()
    client = Scripted(calls(("slow", "{}")))

    def main() -> object:
        talk = session(client, facts, sleeper("slow", 30, log), cancel_grace_s=5, teardown_grace_s=10)
        later(2, talk.close)
        turn = talk.send("go")
        return turn.outcome, turn.reason, now()

    assert (world(main), facts.of("unstoppable"), client.log) == (
        ("failed", "the session was closed", 30.0),
        [(12.0, "unstoppable")],
        [(12.0, "closed")],
    )


def test_a_closed_session_is_not_sent_to() -> None:
    def main() -> object:
        talk = session(Scripted(), Facts())
        talk.close()
        with pytest.raises(RuntimeError, match="the session is closed, so 'go' cannot be sent"):
            talk.send("go")
        return "refused"

    assert world(main) == "refused"


def test_a_coroutine_that_awaits_an_event_loop_is_refused_by_name() -> None:
    async def foreign() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match=r"foreign .* awaits an event loop, expected nothing but"):
        Threads(time.monotonic).play(foreign())

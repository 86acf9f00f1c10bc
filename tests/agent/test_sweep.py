"""Every single fault at every place of a conversation of three turns with parallel tools, on every wire of the agent.

The idea: the sound answers come in order up to the one that is hit; from then on the provider is well again and
answers whatever is asked. The constraint: the faults are counted off and not drawn, so nothing depends on luck, and one
sentence holds for all of them: no law is broken, and the last turn ends as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from simkit.model.duration import FOREVER, NS_PER_S
from simkit.model.plan import Plan
from simkit.model.scenario import Limits, Scenario, ToolSpec, UserSays
from simkit.model.timeline import (
    Answer,
    Args,
    Call,
    Disconnect,
    Fault,
    Finish,
    Garble,
    KeepAlive,
    Reply,
    Say,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    UnreachableReply,
    When,
)
from simkit.model.verdict import Result, Verdict
from simkit.run import run_once

WIRES: Final = ("openai-chat", "openai-responses", "anthropic")
TURNS: Final = 3
# Far enough apart that a turn which retries is over before the next begins.
APART_NS: Final = 3600 * NS_PER_S

ASKS: Final[tuple[Step, ...]] = (
    Say(text="Let me "),
    Say(text="look."),
    Call(name="read", index=0),
    Args(text='{"path": ', index=0),
    Args(text='"a"}', index=0),
    Call(name="count", index=1),
    Args(text='{"of": "b"}', index=1),
    Finish(reason="tool_calls"),
)
ANSWERS: Final[tuple[Step, ...]] = (Say(text="It is "), Say(text="done."), Finish(reason="stop"))
SOUND: Final = (ASKS, ANSWERS) * TURNS
# What a provider that is well says to whatever it is asked.
WELL: Final = (
    Answer(times=None, when=When(has_tool_result=True), reply=StreamReply(steps=ANSWERS)),
    Answer(times=None, when=When(contains="question"), reply=StreamReply(steps=ASKS)),
    Answer(times=None, reply=StreamReply(steps=ANSWERS)),
)

# What may come in place of the rest of an answer, from any of its places on.
BREAKS: Final[dict[str, tuple[Step, ...]]] = {
    "eof": (Disconnect(how="eof"),),
    "cut": (Disconnect(how="cut"),),
    "reset": (Disconnect(how="reset"),),
    "stall": (Stall(ns=FOREVER),),
    "keep-alives": (KeepAlive(every_ns=15 * NS_PER_S, for_ns=900 * NS_PER_S), Disconnect(how="cut")),
    "error": (Fault(text="Overloaded"),),
}
# What may come in place of a whole answer.
INSTEAD: Final[dict[str, Reply]] = {
    "429": StatusReply(status=429, retry_after="7"),
    "500": StatusReply(status=500),
    "529": StatusReply(status=529),
    "empty body": StatusReply(status=200, body=""),
    "refused": UnreachableReply(how="refused"),
    "timeout": UnreachableReply(how="timeout"),
}


def faulty_answers(steps: tuple[Step, ...]) -> Iterator[tuple[str, Reply]]:
    """Yield every faulty form of an answer, with a name for it."""
    for name, reply in INSTEAD.items():
        yield name, reply
    for place in range(len(steps)):
        for name, rest in BREAKS.items():
            yield f"{name} at {place}", StreamReply(steps=(*steps[:place], *rest))
        damaged = (*steps[:place], Garble(how="json"), *steps[place:])
        yield f"damage at {place}", StreamReply(steps=damaged)


def case(dialect: str, hit: int, reply: Reply, **settings: str) -> Scenario:
    before = [Answer(reply=StreamReply(steps=steps)) for steps in SOUND[:hit]]
    return Scenario(
        title="a single fault",
        provider=(*before, Answer(reply=reply), *WELL),
        settings={"dialect": dialect, **settings},
        # The turn that is hit, those before it, and one after it.
        user=tuple(UserSays(at_ns=n * APART_NS, text=f"question {n}") for n in range(hit // 2 + 2)),
        tools={
            "read": ToolSpec(name="read", takes_ns=NS_PER_S),
            "count": ToolSpec(name="count", takes_ns=2 * NS_PER_S),
        },
        limits=Limits(requests=60),
    )


def told(result: Result) -> tuple[object, ...]:
    """What must be the same whatever the fault: no finding, and how the last turn went."""
    last = result.trace.of("turn.end")[-1:]
    ends = [(e.get("outcome"), str(e.get("text")).endswith("It is done.")) for e in last]
    return result.verdict, [f.text for f in result.findings], ends


@pytest.mark.parametrize("dialect", WIRES)
@pytest.mark.parametrize("hit", range(2 * TURNS))
def test_after_any_single_fault_the_session_is_sound_and_goes_on(dialect: str, hit: int) -> None:
    faults = {name: told(run_once(case(dialect, hit, reply), Plan())) for name, reply in faulty_answers(SOUND[hit])}
    sound: tuple[object, ...] = (Verdict.PASS, [], [("finished", True)])
    assert {name: got for name, got in faults.items() if got != sound} == {}


@pytest.mark.parametrize(
    ("flaw", "law"),
    [("run_partial_calls", "no_partial_tool_call_runs"), ("stub_finish_stop", "partial_is_not_success")],
)
def test_an_agent_that_is_at_fault_is_found_by_the_same_sweep(flaw: str, law: str) -> None:
    results = [run_once(case("openai-chat", 0, reply, flaw=flaw), Plan()) for _, reply in faulty_answers(SOUND[0])]
    assert law in {finding.law for result in results for finding in result.findings}

"""Traces made by hand: a story is told event by event, in virtual time, and becomes the trace that a law reads.

The idea: a test of a law says in a few lines what happened, with the values that the trace's table promises. The
constraint: nothing here runs an agent, so a law is tested on what the table says and not on what our agent does.
Stored traces were refused: nobody can read what is wrong in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Self

from simkit.contracts import Law
from simkit.model.duration import parse_duration
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, Call, Place, Say, Stall, StreamReply
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding

FILE = "stall.sim.yaml"

# One answer that stalls in a call, with the places that a finding may point to.
STALLS = Answer(
    reply=StreamReply(
        steps=(
            Say(text="I'll write it.", place=Place(FILE, 8)),
            Call(name="write_file", args='{"path": "ind', place=Place(FILE, 9)),
            Stall(ns=parse_duration("20m"), place=Place(FILE, 10)),
        )
    ),
    place=Place(FILE, 7),
)
SCENARIO = Scenario(title="The stream stalls", provider=(STALLS,), file=FILE)

CALL = {"id": "call_1", "tool": "write_file", "args": {"path": "a", "size": 1}}
ARGS = CALL["args"]


class Story:
    """A trace in the making; every method tells one thing and gives the story back."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._now_ns = 0
        self._runs = 0

    @property
    def trace(self) -> Trace:
        """What was told so far."""
        return Trace(tuple(self._events))

    def at(self, instant: str) -> Self:
        """Go on at this instant."""
        self._now_ns = parse_duration(instant)
        return self

    def event(self, actor: str, kind: str, **values: object) -> Self:
        self._events.append(Event(len(self._events), self._now_ns, actor, kind, values))
        return self

    # -- the provider ---------------------------------------------------------------------------------
    def request(self, number: int, *messages: object, **changes: object) -> Self:
        values: dict[str, object] = {
            "request": number,
            "connection": 1,
            "method": "POST",
            "host": "api.test",
            "path": "/v1/chat/completions",
            "dialect": "openai-chat",
            "model": "m",
            "stream": True,
            "retry": 0,
            "body": {"messages": list(messages)},
        }
        return self.event("provider", "request", **{**values, **changes})

    def response(self, number: int, status: int = 200, retry_after: str | None = None) -> Self:
        values = {"request": number, "status": status, "answer": 0, "retry_after": retry_after, "line": 7}
        return self.event("provider", "response", **values)

    def frame(self, number: int, what: str, text: str = "", *, step: int = 0, tool: str | None = None) -> Self:
        values = {"request": number, "step": step, "is": what, "text": text, "tool": tool}
        return self.event("provider", "frame", **values, progress=what != "keepalive", index=None)

    def stream_ends(
        self, number: int, how: str = "complete", finish: str | None = None, *, calls: Sequence[object] = ()
    ) -> Self:
        values = {"request": number, "how": how, "finish": finish, "done": False, "calls": list(calls)}
        return self.event("provider", "stream.end", **values, text="")

    def answer(self, number: int, *calls: object, finish: str = "stop") -> Self:
        """A whole answer at once: its text or its calls, its finish and its end."""
        self.response(number).frame(number, "say", "Here.").frame(number, "finish", finish)
        return self.stream_ends(number, finish=finish, calls=calls)

    def stalled(self, number: int, how: str = "client_closed", seconds: int = 180) -> Self:
        """An answer that breaks off in the middle of the arguments of a call."""
        self.response(number).frame(number, "say", "I'll write it.")
        self.frame(number, "call", '{"path": "ind', step=1, tool="write_file")
        self.event("provider", "silence", request=number, step=2, ns=parse_duration("20m"), line=10)
        self._now_ns += parse_duration(f"{seconds}s")
        return self.stream_ends(number, how)

    # -- background answers ---------------------------------------------------------------------------
    def job(self, state: str, number: int = 1) -> Self:
        """The background answer to a request enters a state."""
        return self.event("provider", "job.state", job=f"resp_{number}", request=number, state=state, line=7)

    def asks(self, op: str = "retrieve", state: str = "in_progress", number: int = 1, status: int | None = 200) -> Self:
        """Somebody asks for the background answer to a request, or for its end."""
        method = "GET" if op in ("retrieve", "stream") else "POST"
        values = {"job": f"resp_{number}", "request": number, "op": op, "status": status, "state": state}
        return self.event("provider", "job.request", **values, method=method, poll=1, after=None)

    def polled(self, state: str = "completed", number: int = 1, *, calls: Sequence[object] = ()) -> Self:
        """A poll is answered with a job that is over, and with all that it holds."""
        return self.asks("retrieve", state, number).stream_ends(number, finish="tool_calls", calls=calls)

    # -- the user -------------------------------------------------------------------------------------
    def says(self, text: str = "Write it") -> Self:
        return self.event("user", "user.says", text=text, line=3)

    def cancels(self, *, heard: bool = True) -> Self:
        return self.event("user", "user.cancels", heard=heard, line=4)

    def leaves(self, *, heard: bool = True) -> Self:
        return self.event("user", "user.leaves", heard=heard, line=4)

    # -- the subject and its tools --------------------------------------------------------------------
    def turn(self, number: int = 1) -> Self:
        return self.event("subject", "turn.start", turn=number, text="Write it")

    def turn_ends(self, outcome: str = "finished", number: int = 1) -> Self:
        return self.event("subject", "turn.end", turn=number, outcome=outcome, text="")

    def runs(self, tool: str = "write_file", args: object = ARGS, *, result: object = "ok", takes: str = "0s") -> Self:
        self.starts(tool, args)
        self._now_ns += parse_duration(takes)
        return self.ends(self._runs, tool, result=result)

    def starts(self, tool: str = "write_file", args: object = ARGS) -> Self:
        """A tool begins: runs are numbered from 1."""
        self._runs += 1
        return self.event("tool", "tool.start", run=self._runs, tool=tool, args=args)

    def ends(self, run: int, tool: str = "write_file", outcome: str = "ok", *, result: object = "ok") -> Self:
        return self.event("tool", "tool.end", run=run, tool=tool, outcome=outcome, result=result)

    def effect(self, run: int, text: str = "file written", tool: str = "write_file") -> Self:
        return self.event("tool", "tool.effect", run=run, tool=tool, text=text)

    def note(self, name: str, **values: object) -> Self:
        return self.event("subject", "note", name=name, **values)

    def returns(self, reason: str = "returned", text: str = "") -> Self:
        return self.event("world", "run.end", reason=reason, text=text)


def asked(law: Law, story: Story, parameter: object = None, scenario: Scenario = SCENARIO) -> list[str]:
    """Ask the law, and return what it says: the texts of its findings, or why it is not applicable."""
    value = law.default if parameter is None else parameter
    said = law.judge(scenario, story.trace, value)
    return [one.text if isinstance(one, Finding) else f"not applicable: {one.because}" for one in said]


def found(law: Law, story: Story, parameter: object = None, scenario: Scenario = SCENARIO) -> list[Finding]:
    """Ask the law, and return its findings whole."""
    value = law.default if parameter is None else parameter
    return [one for one in law.judge(scenario, story.trace, value) if isinstance(one, Finding)]


# -- messages of the openai-chat wire ---------------------------------------------------------------------
USER = {"role": "user", "content": "Write it"}


def assistant(*calls: tuple[str, str, object]) -> dict[str, object]:
    """An assistant message that makes these calls: id, tool, and arguments (a value, or raw JSON text)."""
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": call_id,
                "type": "function",
                "function": {"name": tool, "arguments": args if isinstance(args, str) else json.dumps(args)},
            }
            for call_id, tool, args in calls
        ],
    }


def result(call_id: str, text: str = "ok") -> dict[str, object]:
    """A tool message that answers the call."""
    return {"role": "tool", "tool_call_id": call_id, "content": text}

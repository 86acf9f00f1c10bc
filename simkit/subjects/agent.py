"""simkit's own agent as a subject: the loop of ``simkit.agent``, with the sim as its provider and user.

The idea: settings become a blueprint, the blueprint a session, and each message of the user a turn of it. The
constraint it protects: what runs here is what a user of ``simkit.agent`` runs, so this file only translates.
Telling the loop about the sim was refused: production code that knows it is watched is not what is to be
tested.
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Final

from simkit.agent.clients import DIALECTS, IN_BACKGROUND, ClientOptions, connect
from simkit.agent.decisions import Limits
from simkit.agent.facts import Observe, unobserved
from simkit.agent.loop import Turn
from simkit.agent.session import Session
from simkit.agent.tools import FunctionTool, Tool
from simkit.contracts import Setting, Sim, Subject
from simkit.errors import SubjectError, UsageError
from simkit.model.duration import FOREVER, NS_PER_S
from simkit.subjects.blueprint import Blueprint
from simkit.subjects.flawed import FLAWS, planted

# Marked as a test key, so that it is no find for those who look for leaked ones.
_API_KEY: Final = "sk-test-simkit"

# The SDK's read timeout: its own default, but always beyond the idle deadline, so that the two never meet.
_READ_TIMEOUT_MIN_S: Final = 600.0

# What is asked for where the settings name no model, and what has to be there to ask: the SDK first, since its name is
# the one that people can install, then the client, which loads what else it needs of it.
_MODELS: Final = {"openai-chat": "gpt-5-mini", "openai-responses": "gpt-5-mini", "anthropic": "claude-sonnet-5"}
_SDKS: Final = {"openai-chat": "openai", "openai-responses": "openai", "anthropic": "anthropic"}

# A duration that stands for no limit at all is a number of this size or more.
_FOREVER_S: Final = FOREVER / NS_PER_S

SETTINGS: Final[dict[str, Setting]] = {
    "dialect": Setting(
        kind="choice",
        default="openai-chat",
        says="the wire format that the agent speaks",
        choices=tuple(DIALECTS),
    ),
    "model": Setting(kind="text", default="", says="the model that is asked for; empty: a usual one of the dialect"),
    "fallback_model": Setting(
        kind="text", default="", says="the model that is asked in the rest of a turn when the first gives no answer"
    ),
    "stream": Setting(kind="flag", default=True, says="whether answers are streamed, or come in one piece"),
    "background": Setting(
        kind="flag", default=False, says="whether answers run on at the provider without the agent (openai-responses)"
    ),
    "store": Setting(
        kind="flag", default=True, says="whether the provider keeps answers; if not, reasoning is sent in cipher"
    ),
    "stale_after": Setting(
        kind="duration",
        default="180s",
        says="how long a request may go without content",
    ),
    "first_event": Setting(
        kind="duration", default="0s", says="how long a request may go without its first content; 0s: as stale_after"
    ),
    "turn_deadline": Setting(kind="duration", default="forever", says="how long a turn may take in all"),
    "poll_every": Setting(kind="duration", default="2s", says="the time between two questions about a running answer"),
    "poll_deadline": Setting(
        kind="duration", default="30m", says="how long after its request a running answer is given up"
    ),
    "tool_budget": Setting(
        kind="duration", default="10m", says="how long a tool call may keep its turn waiting before it is parked"
    ),
    "background_cap": Setting(
        kind="count", default=32, says="how many calls may be parked at once; 0: none is ever parked"
    ),
    "cancel_grace": Setting(
        kind="duration", default="5s", says="how long is waited for a tool, or an answer, that was asked to stop"
    ),
    "teardown_grace": Setting(
        kind="duration", default="10s", says="how long the end of the session waits for all tools that it stops"
    ),
    "dry_run": Setting(
        kind="flag", default=False, says="whether a parked call that the model cancels is left running, and it hears so"
    ),
    "sub_agent": Setting(
        kind="flag",
        default=False,
        says="whether the model has a tool ask_sub_agent, which a session of its own answers",
    ),
    "max_continuations": Setting(kind="count", default=3, says="how often a turn may ask for the rest of a cut answer"),
    "max_requests": Setting(
        kind="count", default=20, says="how many requests a turn may make, the SDK's own retries not counted"
    ),
    "max_retries": Setting(kind="count", default=2, says="the SDK's own retries of one request, before headers"),
    "max_own_retries": Setting(
        kind="count", default=0, says="the agent's retries of a request in a turn, after the SDK's are used up"
    ),
    "flaw": Setting(kind="choice", default="", says="a historical fault to switch on, or none", choices=("", *FLAWS)),
}


# The tool that the setting ``sub_agent`` gives the model.
SUB_AGENT: Final = "ask_sub_agent"
SUB_AGENT_SAYS: Final = "Have another agent do a task, and read its answer."
TASK_OF_SUB_AGENT: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {"task": {"type": "string"}},
    "required": ["task"],
}


async def run(sim: Sim) -> None:
    """Answer every message of the user, one turn each, and close the session."""
    async with session_of(sim) as session:
        turns = _Turns()
        sim.on_cancel(turns.cancel)
        async for text in sim.user:
            await turns.play(session.send(text))


def session_of(sim: Sim) -> Session:
    """Return a new session as the settings describe it, with the flaw that they name."""
    return _session(planted(_text(sim, "flaw"), blueprint_of(sim)), sim)


class _Turns:
    """Plays one turn after the other, each in a task of its own, so that the user can cancel it and go on."""

    def __init__(self) -> None:
        self._turn: asyncio.Task[Turn] | None = None

    async def play(self, turn: Coroutine[None, None, Turn]) -> None:
        """Wait for the turn to end, also by being cancelled."""
        self._turn = asyncio.create_task(turn, name="turn")
        try:
            await asyncio.wait([self._turn])
        except asyncio.CancelledError:
            self._turn.cancel()
            await asyncio.wait([self._turn])
            raise
        ended, self._turn = self._turn, None
        if not ended.cancelled():
            ended.result()

    def cancel(self) -> None:
        """Cancel the turn that is under way, if there is one."""
        if self._turn is not None:
            self._turn.cancel()


def blueprint_of(sim: Sim) -> Blueprint:
    """Return the sound session that the settings describe."""
    dialect, fallback = _text(sim, "dialect"), _text(sim, "fallback_model")
    if sim.settings["background"] and dialect not in IN_BACKGROUND:
        known = ", ".join(sorted(IN_BACKGROUND))
        raise UsageError(f"setting 'background' is true with dialect {dialect!r}, expected one of: {known}")
    if sim.settings["background"] and not sim.settings["store"]:
        raise UsageError("setting 'store' is false with 'background', expected true: the provider has to keep answers")
    options = _options(sim, dialect)
    return Blueprint(
        connect=functools.partial(connect, dialect),
        options=options,
        limits=_limits(sim),
        fallback=replace(options, model=fallback) if fallback else None,
        dry_run=bool(sim.settings["dry_run"]),
    )


def _options(sim: Sim, dialect: str) -> ClientOptions:
    return ClientOptions(
        base_url=sim.base_url(dialect),
        api_key=_API_KEY,
        model=_text(sim, "model") or _MODELS[dialect],
        max_retries=int(_number(sim, "max_retries")),
        read_timeout_s=max(_READ_TIMEOUT_MIN_S, 2 * _number(sim, "stale_after")),
        stream=bool(sim.settings["stream"]),
        background=bool(sim.settings["background"]),
        store=bool(sim.settings["store"]),
    )


def _limits(sim: Sim) -> Limits:
    turn_deadline_s, tool_budget_s = _number(sim, "turn_deadline"), _number(sim, "tool_budget")
    return Limits(
        stale_after_s=_number(sim, "stale_after"),
        first_event_s=_number(sim, "first_event") or None,
        turn_deadline_s=math.inf if turn_deadline_s >= _FOREVER_S else turn_deadline_s,
        max_continuations=int(_number(sim, "max_continuations")),
        max_requests=int(_number(sim, "max_requests")),
        max_own_retries=int(_number(sim, "max_own_retries")),
        poll_every_s=_number(sim, "poll_every"),
        poll_deadline_s=_number(sim, "poll_deadline"),
        tool_budget_s=None if tool_budget_s >= _FOREVER_S else tool_budget_s,
        background_cap=int(_number(sim, "background_cap")),
        cancel_grace_s=_number(sim, "cancel_grace"),
        teardown_grace_s=_number(sim, "teardown_grace"),
    )


def imports(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Return what the dialect of these settings needs, and nothing of the others: each SDK takes a second or more."""
    dialect = str(settings["dialect"])
    return _SDKS[dialect], DIALECTS[dialect].partition(":")[0]


AGENT: Final = Subject(name="agent", start=run, settings=SETTINGS, imports=imports)


def _session(blueprint: Blueprint, sim: Sim) -> Session:
    tools: dict[str, Tool] = dict(sim.tools)
    if sim.settings["sub_agent"]:
        tools[SUB_AGENT] = _sub_agent(blueprint, sim)
    try:
        return blueprint.session(tools, observer(sim))
    except ImportError as error:
        raise SubjectError(
            f"subject 'agent' needs the SDK of its dialect ({error}), expected it to be installed - "
            "install the extra, such as pytest-simkit[openai]"
        ) from error


def _sub_agent(blueprint: Blueprint, sim: Sim) -> FunctionTool:
    """Return the tool behind which a session of its own answers: the same agent, which has no sub-agent again."""

    async def ask(task: str) -> str:
        # Its turns are no turns of the user's, so nobody is told of them; its requests and tools are seen anyway.
        async with blueprint.session(sim.tools, unobserved) as session:
            return (await session.send(task)).text

    return FunctionTool(SUB_AGENT, SUB_AGENT_SAYS, TASK_OF_SUB_AGENT, ask)


def observer(sim: Sim) -> Observe:
    """Return what tells the sim whatever a session tells of itself."""

    def observe(name: str, /, **values: object) -> None:
        match name:
            case "turn_started":
                sim.turn_started(str(values["text"]))
            case "said":
                sim.said(str(values["text"]))
            case "turn_ended":
                if values["reason"]:
                    sim.note("turn_fell_short", reason=values["reason"])
                sim.turn_ended(str(values["outcome"]), str(values["text"]))
            case _:
                sim.note(name, **values)

    return observe


def _text(sim: Sim, name: str) -> str:
    return str(sim.settings[name])


def _number(sim: Sim, name: str) -> float:
    value = sim.settings[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"setting {name!r} of subject 'agent' is {value!r}, expected a number")
    return value

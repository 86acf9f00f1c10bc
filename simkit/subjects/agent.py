"""simkit's own agent as a subject: the loop of ``simkit.agent``, with the sim as its provider and user.

The idea: settings become a blueprint, the blueprint a session, and each message of the user a turn of it. The
constraint it protects: what runs here is what a user of ``simkit.agent`` runs, so this file only translates.
Telling the loop about the sim was refused: production code that knows it is watched is not what is to be
tested.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine
from typing import Final

from simkit.agent.clients import DIALECTS, ClientOptions, connect
from simkit.agent.decisions import Limits
from simkit.agent.facts import Observe
from simkit.agent.loop import Turn
from simkit.agent.session import Session
from simkit.contracts import Setting, Sim, Subject
from simkit.errors import SubjectError, UsageError
from simkit.subjects.blueprint import Blueprint
from simkit.subjects.flawed import FLAWS, planted

# Marked as a test key, so that it is no find for those who look for leaked ones.
_API_KEY: Final = "sk-test-simkit"

# The SDK's read timeout: its own default, but always beyond the idle deadline, so that the two never meet.
_READ_TIMEOUT_MIN_S: Final = 600.0

SETTINGS: Final[dict[str, Setting]] = {
    "dialect": Setting(
        kind="choice",
        default="openai-chat",
        says="the wire format that the agent speaks",
        choices=tuple(DIALECTS),
    ),
    "model": Setting(kind="text", default="gpt-5-mini", says="the model that is asked for"),
    "stale_after": Setting(
        kind="duration",
        default="180s",
        says="how long a request may go without content",
    ),
    "max_continuations": Setting(kind="count", default=3, says="how often a turn may ask for the rest of a cut answer"),
    "max_requests": Setting(
        kind="count", default=20, says="how many requests a turn may make, the SDK's own retries not counted"
    ),
    "max_retries": Setting(kind="count", default=2, says="the SDK's own retries of one request, before headers"),
    "flaw": Setting(kind="choice", default="", says="a historical fault to switch on, or none", choices=("", *FLAWS)),
}


async def run(sim: Sim) -> None:
    """Answer every message of the user, one turn each, and close the session."""
    blueprint = planted(_text(sim, "flaw"), blueprint_of(sim))
    async with _session(blueprint, sim) as session:
        turns = _Turns()
        sim.on_cancel(turns.cancel)
        async for text in sim.user:
            await turns.play(session.send(text))


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
        if not self._turn.cancelled():
            self._turn.result()
        self._turn = None

    def cancel(self) -> None:
        """Cancel the turn that is under way, if there is one."""
        if self._turn is not None:
            self._turn.cancel()


def blueprint_of(sim: Sim) -> Blueprint:
    """Return the sound session that the settings describe."""
    dialect, stale_after_s = _text(sim, "dialect"), _number(sim, "stale_after")
    return Blueprint(
        connect=functools.partial(connect, dialect),
        options=ClientOptions(
            base_url=sim.base_url(dialect),
            api_key=_API_KEY,
            model=_text(sim, "model"),
            max_retries=int(_number(sim, "max_retries")),
            read_timeout_s=max(_READ_TIMEOUT_MIN_S, 2 * stale_after_s),
        ),
        limits=Limits(
            stale_after_s=stale_after_s,
            max_continuations=int(_number(sim, "max_continuations")),
            max_requests=int(_number(sim, "max_requests")),
        ),
    )


AGENT: Final = Subject(name="agent", start=run, settings=SETTINGS, imports=("openai",))


def _session(blueprint: Blueprint, sim: Sim) -> Session:
    try:
        return blueprint.session(sim.tools, _observer(sim))
    except ImportError as error:
        raise SubjectError(
            f"subject 'agent' needs the SDK of its dialect ({error}), expected it to be installed - "
            "install the extra, such as pytest-simkit[openai]"
        ) from error


def _observer(sim: Sim) -> Observe:
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

"""simkit's own agent for blocking programs as a subject: the same settings, the sync SDKs, and threads.

The idea: everything but the session is the subject ``agent``'s, so a scenario runs under both and may be compared. The
constraint it protects: what runs here is what a blocking program runs, a main thread that sends and a user who cancels
from outside it. The planted faults were refused here: they are faults of the text that both twins share, and some of
them wait for an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from simkit.agent.blocking.clients import DIALECTS, connect
from simkit.agent.blocking.session import BlockingSession, BlockingTool
from simkit.agent.facts import Observe, unobserved
from simkit.contracts import Sim, Subject
from simkit.errors import SubjectError, UsageError
from simkit.kernel.threads import running_world
from simkit.subjects.agent import (
    AGENT,
    SETTINGS,
    SUB_AGENT,
    SUB_AGENT_SAYS,
    TASK_OF_SUB_AGENT,
    blueprint_of,
    imports,
    observer,
)


def run(sim: Sim) -> None:
    """Answer every message of the user, one turn each, and close the session."""
    if sim.settings["flaw"]:
        raise UsageError(f"setting 'flaw' is {sim.settings['flaw']!r}, expected none - {AGENT.name!r} has the flaws")
    tools: dict[str, BlockingTool] = dict(sim.tools)
    if sim.settings["sub_agent"]:
        tools[SUB_AGENT] = _SubAgent(sim)
    with _session(sim, tools, observer(sim)) as session:
        sim.on_cancel(session.cancel)
        for text in sim.user:
            session.send(text)


def sync_imports(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Return what the dialect of these settings needs: what the asynchronous twin does, and the blocking client."""
    return *imports(settings), DIALECTS[str(settings["dialect"])].partition(":")[0]


AGENT_SYNC: Final = Subject(name="agent-sync", start=run, settings=SETTINGS, imports=sync_imports)


class _SubAgent:
    """The tool behind which a session of its own answers, in the thread of its call; see the subject ``agent``."""

    name: Final = SUB_AGENT
    description: Final = SUB_AGENT_SAYS
    schema: Final = TASK_OF_SUB_AGENT

    def __init__(self, sim: Sim) -> None:
        self._sim = sim

    def __call__(self, **arguments: object) -> str:
        with _session(self._sim, self._sim.tools, unobserved) as session:
            return session.send(str(arguments["task"])).text


def _session(sim: Sim, tools: Mapping[str, BlockingTool], observe: Observe) -> BlockingSession:
    blueprint, dialect = blueprint_of(sim), str(sim.settings["dialect"])
    try:
        return BlockingSession(
            connect(dialect, blueprint.options),
            clock=_clock(),
            tools=tools.values(),
            limits=blueprint.limits,
            observe=observe,
            dry_run=blueprint.dry_run,
            fallback=None if blueprint.fallback is None else connect(dialect, blueprint.fallback),
        )
    except ImportError as error:
        raise SubjectError(
            f"subject 'agent-sync' needs the SDK of its dialect ({error}), expected it to be installed - "
            "install the extra, such as pytest-simkit[openai]"
        ) from error


def _clock() -> Callable[[], float]:
    """Return the clock that ``time.monotonic`` is in a world."""
    world = running_world()
    assert world is not None, "a subject runs in a world"
    return lambda: world.clock.seconds

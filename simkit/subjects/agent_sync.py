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
from simkit.agent.blocking.session import BlockingSession
from simkit.contracts import Sim, Subject
from simkit.errors import SubjectError, UsageError
from simkit.kernel.threads import running_world
from simkit.subjects.agent import AGENT, SETTINGS, blueprint_of, imports, observer


def run(sim: Sim) -> None:
    """Answer every message of the user, one turn each, and close the session."""
    if sim.settings["flaw"]:
        raise UsageError(f"setting 'flaw' is {sim.settings['flaw']!r}, expected none - {AGENT.name!r} has the flaws")
    with _session(sim) as session:
        sim.on_cancel(session.cancel)
        for text in sim.user:
            session.send(text)


def sync_imports(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Return what the dialect of these settings needs: what the asynchronous twin does, and the blocking client."""
    return *imports(settings), DIALECTS[str(settings["dialect"])].partition(":")[0]


AGENT_SYNC: Final = Subject(name="agent-sync", start=run, settings=SETTINGS, imports=sync_imports)


def _session(sim: Sim) -> BlockingSession:
    blueprint, dialect = blueprint_of(sim), str(sim.settings["dialect"])
    try:
        return BlockingSession(
            connect(dialect, blueprint.options),
            clock=_clock(),
            tools=sim.tools.values(),
            limits=blueprint.limits,
            observe=observer(sim),
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

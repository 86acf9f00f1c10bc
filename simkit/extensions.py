"""Extensions by kind and name: built-ins and other people's, through one door.

The idea: ``find("dialects", "openai-chat")`` answers with the object, wherever it comes from; a stranger's
package registers under the entry point group ``simkit.KIND``. The constraint: nothing is imported until its
name is asked for, so that a plugin loaded in somebody's repo costs nothing. A registry filled by import side
effects was refused: what it holds depends on who imported what before.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Iterable
from importlib import metadata
from typing import Final

from simkit.errors import UsageError

# kind -> name -> "module:attribute". Adding a built-in is a line here and a file in its room.
BUILT_IN: Final[dict[str, dict[str, str]]] = {
    "dialects": {
        "openai-chat": "simkit.dialects.openai_chat:OPENAI_CHAT",
        "openai-responses": "simkit.dialects.openai_responses:OPENAI_RESPONSES",
        "anthropic": "simkit.dialects.anthropic_messages:ANTHROPIC",
        "gemini": "simkit.dialects.gemini:GEMINI",
    },
    "subjects": {
        "agent": "simkit.subjects.agent:AGENT",
        "agent-sync": "simkit.subjects.agent_sync:AGENT_SYNC",
    },
    "strategies": {
        "fifo": "simkit.strategies.fifo:FIFO",
        "uniform": "simkit.strategies.uniform:UNIFORM",
    },
    "reporters": {
        "text": "simkit.reporters.text:TEXT",
        "json": "simkit.reporters.json:JSON",
        "jsonl": "simkit.reporters.jsonl:JSONL",
    },
    "checks": {
        "ends": "simkit.checks.ending:ENDS",
        "no_orphans": "simkit.checks.tasks:NO_ORPHANS",
        "no_lost_errors": "simkit.checks.tasks:NO_LOST_ERRORS",
        "bounded_requests": "simkit.checks.requests:BOUNDED_REQUESTS",
        "backoff_respects_retry_after": "simkit.checks.requests:BACKOFF_RESPECTS_RETRY_AFTER",
        "no_repeated_request": "simkit.checks.requests:NO_REPEATED_REQUEST",
        "bounded_silence": "simkit.checks.streams:BOUNDED_SILENCE",
        "partial_is_not_success": "simkit.checks.streams:PARTIAL_IS_NOT_SUCCESS",
        "tools_run_once": "simkit.checks.tools:TOOLS_RUN_ONCE",
        "no_partial_tool_call_runs": "simkit.checks.tools:NO_PARTIAL_TOOL_CALL_RUNS",
        "history_well_formed": "simkit.checks.history:HISTORY_WELL_FORMED",
        "results_pair_with_calls": "simkit.checks.history:RESULTS_PAIR_WITH_CALLS",
        "nothing_after_cancel": "simkit.checks.cancellation:NOTHING_AFTER_CANCEL",
        "no_fetch_after_terminal": "simkit.checks.jobs:NO_FETCH_AFTER_TERMINAL",
        "give_up_cancels_job": "simkit.checks.jobs:GIVE_UP_CANCELS_JOB",
        "polls_respect_interval": "simkit.checks.jobs:POLLS_RESPECT_INTERVAL",
        "background_cap": "simkit.checks.background:BACKGROUND_CAP",
        "parked_ends_once": "simkit.checks.background:PARKED_ENDS_ONCE",
        "cancelled_means_stopped": "simkit.checks.background:CANCELLED_MEANS_STOPPED",
        "parked_is_not_rerun": "simkit.checks.background:PARKED_IS_NOT_RERUN",
        "no_busy_polling": "simkit.checks.waiting:NO_BUSY_POLLING",
        "loop_not_blocked": "simkit.checks.waiting:LOOP_NOT_BLOCKED",
        "usage_counted_once": "simkit.checks.usage:USAGE_COUNTED_ONCE",
    },
}


def names(kind: str) -> list[str]:
    """Return every name of this kind, built-ins first, then those of installed packages."""
    return [*BUILT_IN[kind], *(e.name for e in _entry_points(kind) if e.name not in BUILT_IN[kind])]


def find(kind: str, name: str) -> object:
    """Return the extension. Raises ``UsageError`` with the nearest name when there is none, or it cannot load."""
    if name in BUILT_IN[kind]:
        return _built_in(kind, name)
    for entry in _entry_points(kind):
        if entry.name == name:
            try:
                return entry.load()
            except Exception as error:  # a stranger's package may fail in any way; we name it and go on
                raise UsageError(f"{kind} {name!r} ({entry.value}) cannot be loaded: {error!r}") from error
    raise UsageError(f"no {kind} extension is called {name!r}{nearest(name, names(kind))}")


def nearest(word: str, words: Iterable[str]) -> str:
    """Return `` - did you mean ...?`` with the closest word, or the list of all, or nothing when there are none."""
    known = list(words)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f" - did you mean {close[0]!r}?"
    return f" - known: {', '.join(known)}" if known else ""


@functools.cache  # every world asks for its strategy
def _built_in(kind: str, name: str) -> object:
    module, _, attribute = BUILT_IN[kind][name].partition(":")
    return getattr(importlib.import_module(module), attribute)


@functools.cache  # a run asks for its dialects and laws, and looking through every installed package takes longer
def _entry_points(kind: str) -> metadata.EntryPoints:
    return metadata.entry_points(group=f"simkit.{kind}")

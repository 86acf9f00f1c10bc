"""Extensions by kind and name: built-ins and other people's, through one door.

The idea: ``find("dialects", "openai-chat")`` answers with the object, wherever it comes from; a stranger's
package registers under the entry point group ``simkit.KIND``. The constraint: nothing is imported until its
name is asked for, so that a plugin loaded in somebody's repo costs nothing. A registry filled by import side
effects was refused: what it holds depends on who imported what before.

A project's own extensions need no package: a ``conftest.py`` that lists them as ``simkit_KIND`` gives them to every
scenario in its folder and below, as it gives fixtures to the tests there. What pytest has imported is not imported
again, and a conftest that does not speak of ``simkit_KIND`` is not imported at all: it is somebody else's code.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from types import MappingProxyType, ModuleType
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
        "sequential": "simkit.strategies.sequential:SEQUENTIAL",
        "pct": "simkit.strategies.pct:PCT",
    },
    "reporters": {
        "text": "simkit.reporters.text:TEXT",
        "json": "simkit.reporters.json:JSON",
        "jsonl": "simkit.reporters.jsonl:JSONL",
        "page": "simkit.reporters.page:PAGE",
        "perfetto": "simkit.reporters.perfetto:PERFETTO",
        "mermaid": "simkit.reporters.mermaid:MERMAID",
        "junit": "simkit.reporters.junit:JUNIT",
        "github": "simkit.reporters.github:GITHUB",
        "summary": "simkit.reporters.summary:SUMMARY",
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


def find(kind: str, name: str, *, near: str = "") -> object:
    """Return the extension, also one that a ``conftest.py`` gives to the file ``near``.

    Raises ``UsageError`` with the nearest name when there is none, or it cannot load.
    """
    if name in BUILT_IN[kind]:
        return _built_in(kind, name)
    for entry in _entry_points(kind):
        if entry.name == name:
            try:
                return entry.load()
            except Exception as error:  # a stranger's package may fail in any way; we name it and go on
                raise UsageError(f"{kind} {name!r} ({entry.value}) cannot be loaded: {error!r}") from error
    own = nearby(kind, near)
    if name in own:
        return own[name]
    raise UsageError(f"no {kind} extension is called {name!r}{nearest(name, [*names(kind), *own])}")


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


# -- those of a project ----------------------------------------------------------------------------------------------
_CONFTEST: Final = "conftest.py"
# What shows that a folder is the root of a project; nothing above it is anybody's business.
_ROOT_MARKS: Final = ("pyproject.toml", "setup.cfg", "pytest.ini", "tox.ini", ".git")


def nearby(kind: str, file: str) -> Mapping[str, object]:
    """Return what the ``conftest.py`` files above a file list as ``simkit_KIND``, by name; of two, the nearer one.

    Raises ``UsageError`` when one of them cannot be imported, or lists what has no name or somebody else's.
    """
    return _nearby(kind, os.path.abspath(file)) if file else MappingProxyType({})


@functools.cache  # every judgement asks, and the answer does not change while a process runs
def _nearby(kind: str, file: str) -> Mapping[str, object]:
    found: dict[str, object] = {}
    for conftest in reversed(list(_conftests(Path(file).parent))):
        found.update(_listed(kind, conftest))
    return MappingProxyType(found)


def project_of(folder: Path) -> Path:
    """Return the root of the project that a folder belongs to: the nearest one that says so, or itself."""
    # Not Path.exists: that raises for folders that may not be looked into.
    marked = (up for up in (folder, *folder.parents) if any(os.path.exists(up / mark) for mark in _ROOT_MARKS))
    return next(marked, folder)


def _conftests(folder: Path) -> Iterator[Path]:
    """Yield those of the folder and above it, up to the root of the project, the nearest first."""
    project = project_of(folder)
    inside = (up for up in (folder, *folder.parents) if up.is_relative_to(project))
    yield from (up / _CONFTEST for up in inside if (up / _CONFTEST).is_file())


def _listed(kind: str, conftest: Path) -> Mapping[str, object]:
    listed, shown = f"simkit_{kind}", _shown(conftest)
    if listed.encode() not in conftest.read_bytes():
        return {}
    extensions = getattr(_module_at(conftest, listed), listed, ())
    if not isinstance(extensions, Sequence) or isinstance(extensions, str):
        raise UsageError(f"{shown}: {listed} is {extensions!r}, expected a list")
    found: dict[str, object] = {}
    for extension in extensions:
        name = getattr(extension, "name", None)
        if not isinstance(name, str):
            raise UsageError(f"{shown}: {listed} holds {extension!r}, which has no name")
        if name in found or name in names(kind):
            raise UsageError(f"{shown}: {listed} holds {name!r}, which is taken - give it another name")
        found[name] = extension
    return found


def _module_at(path: Path, listed: str) -> ModuleType:
    real = os.path.realpath(path)
    for module in list(sys.modules.values()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(file, str) and file.endswith(_CONFTEST) and os.path.realpath(file) == real:
            return module
    try:
        return _import_from(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # anything may happen while somebody's file is imported, also an exit
        said = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{_shown(path)} cannot be imported ({said}) - its {listed} is for every scenario in its folder and below"
        ) from error


def _import_from(path: Path) -> ModuleType:
    """Import a file as pytest does: its packages are importable, or its folder is."""
    names_, base = [path.stem], path.parent
    while (base / "__init__.py").exists():
        names_, base = [base.name, *names_], base.parent
    if str(base) not in sys.path:
        sys.path.insert(0, str(base))
    if len(names_) > 1:
        return importlib.import_module(".".join(names_))
    # Several folders may each have one, so the name that they share is nobody's.
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = util.spec_from_file_location(name, path)
    assert spec is not None, f"{path} is no Python file"
    assert spec.loader is not None, f"nothing loads {path}"
    module = sys.modules[name] = util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _shown(path: Path) -> str:
    """Return a path from the current folder where it lies below that."""
    return (path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path).as_posix()

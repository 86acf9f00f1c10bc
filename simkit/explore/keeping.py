"""Keeping: a failure of a plain run goes into the store too, to be looked at, replayed and pinned by its id.

The idea: what ``simkit run`` and pytest have seen fail is as much worth a short name as what an exploration found. The
constraint: the id that a report shows replays the very run of that report, so what stood in its place with another plan
or other settings gives way; and a folder that cannot be written to costs the id and never the verdict. Asking for a
flag first was refused: a failure that has to be made once more to get a name is gone when it happens rarely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simkit.errors import UsageError
from simkit.explore.failures import Failure
from simkit.explore.running import HEAL, as_broken
from simkit.explore.store import Store, Stored
from simkit.model.redact import redact
from simkit.model.verdict import XFAIL, Finding, Result
from simkit.reporters.layout import UNKNOWN_TO_ALL, Known

# Of a run that ended so, nothing is to be replayed: its plan did not fit, or simkit itself failed.
_NO_RUN: Final = ("plan", "simkit")


def keep(result: Result, store: Store, *, settings: Mapping[str, str], subject: str | None = None) -> Known:
    """Store the first thing that is wrong with a run, and return what a report can say of it: nothing without an id."""
    first = _worth_keeping(result)
    if first is None:
        return UNKNOWN_TO_ALL
    failure = Failure(case=result.scenario.name, broken=as_broken(first), plan=result.plan)
    stored = Stored(
        failure=failure,
        file=result.scenario.file,
        row=result.scenario.row,
        settings=dict(settings),
        subject=subject,
    )
    try:
        if not _is_there(stored, store):
            store.save(stored)
    except UsageError:
        return UNKNOWN_TO_ALL
    return Known(id=failure.id, pins=first.law != HEAL)


def _worth_keeping(result: Result) -> Finding | None:
    scenario = result.scenario
    ended = any(end.get("reason") in _NO_RUN for end in result.trace.of("run.end"))
    if not scenario.file or not result.is_bad or ended:
        return None
    first = result.findings[0]
    # There is nothing to replay: the scenario passes.
    return None if first.law == XFAIL else first


def _is_there(stored: Stored, store: Store) -> bool:
    """Say whether the same run is known already, perhaps with more than this one knows: a count, a shorter scenario."""
    try:
        before = store.find(stored.failure.id)
    except UsageError:
        return False
    same = (before.failure.plan, before.subject, before.settings, before.file)
    return same == (stored.failure.plan, stored.subject, redact(dict(stored.settings)), stored.file)

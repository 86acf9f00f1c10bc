"""What ``replay`` and ``pin`` share: which stored failure is meant, and its case as it was when it failed.

The idea: a failure names its scenario by file and row, and what was set from outside stands beside it, so the case is
read again by the same door as ``run`` reads it. The constraint: what was masked in the store is asked for and never
guessed. A copy of the scenario in the store was refused: what is replayed is the scenario as it stands today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from simkit.errors import UsageError
from simkit.options import Outside, read_paths

if TYPE_CHECKING:
    from simkit.explore.store import Stored
    from simkit.model.scenario import Scenario

_JSON = ".json"


def stored_of(what: str) -> Stored:
    """Return the failure that an id, the beginning of one, or a file of the store means. Raises ``UsageError``."""
    from simkit.explore.store import Store, load  # lazy: --help and a mistyped option need no kernel

    return load(what) if what.endswith(_JSON) else Store().find(what)


def case_of(stored: Stored, path: str | None, outside: Outside) -> Scenario:
    """Return the case of a failure, or the one at another path, with what was set from outside then and now."""
    failure = stored.failure
    if not stored.file and path is None:
        raise UsageError(
            f"failure {failure.id} is of {failure.case!r}, which is no scenario file - run it again where it was "
            f"found, under the plan {failure.plan.text()}"
        )
    settings = {**stored.settings, **outside.settings}
    _refuse_masked(settings)
    outside = replace(outside, settings=settings, subject=outside.subject or stored.subject)
    return one_case(path or f"{stored.file}::{stored.row or 'run'}", outside)


def _refuse_masked(settings: Mapping[str, str]) -> None:
    from simkit.model.redact import MASK  # lazy: as above

    for name, value in settings.items():
        if MASK in value:
            raise UsageError(
                f"the setting {name!r} was masked when the failure was stored - give it with --set {name}="
            )


def one_case(path: str, outside: Outside) -> Scenario:
    """Return the one case that a path means, whatever its author says of it. Raises ``UsageError`` for several."""
    cases = read_paths((path,), outside)
    if len(cases) > 1:
        raise UsageError(f"{path!r} means {len(cases)} cases, expected one, such as {cases[0].name!r}")
    return replace(cases[0], skip="", xfail="")

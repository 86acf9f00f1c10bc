"""``simkit pin``: a failure that was found becomes a scenario that is run with all others.

The idea: the work is done by ``explore.pin``; here it is said which failure is meant, and where the new file lies. The
constraint: what is printed is the path of a scenario that fails as the failure did. Pinning as a flag of ``explore``
was refused: which failures are worth a file is decided by who has read their reports.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from simkit.commands.completion import complete_ids
from simkit.commands.stored import case_of, stored_of
from simkit.commands.terminal import complain, say
from simkit.errors import UsageError
from simkit.options import Outside

if TYPE_CHECKING:
    from simkit.explore.failures import Failure
    from simkit.explore.store import Stored
    from simkit.model.scenario import Scenario


_EPILOG = (
    "Exit codes: 0 the scenario is written; 2 an id or a scenario is wrong, or the failure cannot be pinned; "
    "3 simkit itself failed; 130 Ctrl-C."
)


@click.command("pin", epilog=_EPILOG)
@click.argument("what", metavar="ID | FILE", shell_complete=complete_ids)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--short", is_flag=True, help="Leave out of the scenario whatever the failure does not need.")
def command(what: str, folder: str, short: bool) -> None:
    """Write a failure that was found as a new scenario in DIR, which fails in the same way when it is run.

    ID is that of a failure in .simkit/failures, or the beginning of it; FILE one of these files. What the plan does
    stands in words above it. The new file is run before it is written; nothing is ever written over.

    \b
    Examples:
      simkit pin 3fa9 scenarios/regressions/
      simkit pin 3fa9 scenarios/regressions/ --short
    """
    from simkit.explore.pin import pin  # lazy: --help and a mistyped option need no kernel

    stored = stored_of(what)
    case, failure = case_of(stored, None, Outside()), stored.failure
    if short:
        case, failure = _shortened(case, stored)
    path = pin(case, failure, folder, subject=stored.subject)
    say(sys.stdout, f"{path.as_posix()}: fails by {failure.broken.law}, as {failure.case} does")


def _shortened(case: Scenario, stored: Stored) -> tuple[Scenario, Failure]:
    """Return the shortest scenario that is known to fail in this way, and the failure under its plan."""
    from simkit.checks.judge import laws  # lazy: as above
    from simkit.explore.shorten import shorten  # lazy: as above
    from simkit.language.reader import loads  # lazy: as above
    from simkit.run import plan_of  # lazy: as above

    failure = stored.failure
    if stored.shortened:
        (known,) = loads(stored.shortened, case.file, laws=laws(case.file))
        return replace(known, row=case.row), replace(failure, plan=plan_of(known))
    found = shorten(case, failure.plan, failure.broken, subject=stored.subject)
    if not found.replays:
        raise UsageError(f"failure {failure.id} does not fail in the same way any more - simkit replay {failure.id}")
    if not found.whole:
        complain(f"simkit: {found.runs} runs are used up, and the scenario could perhaps be shorter")
    return replace(found.scenario, row=case.row), replace(failure, plan=found.plan)

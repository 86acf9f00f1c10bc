"""``simkit replay``: a failure once more, under its very plan.

The idea: what is replayed comes from the store, from a pinned scenario, or from a plan that somebody pasted; it is run
strictly, told as ``simkit run`` tells it, and compared with what was found. The constraint: a plan that does not fit
any more is told as that, since a run that went another way says nothing about the failure. Replaying leniently was
refused: it would call fixed what it has not tried.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from simkit.commands.completion import complete_ids, complete_paths
from simkit.commands.stored import case_of, one_case, stored_of
from simkit.commands.terminal import BROKEN, FAILED, PASSED, encoding_of, has_colour, say
from simkit.errors import UsageError
from simkit.options import SUFFIX, Outside, parse_overrides

if TYPE_CHECKING:
    from simkit.explore.outcome import Broken, Outcome
    from simkit.model.plan import Plan
    from simkit.model.scenario import Scenario
    from simkit.model.verdict import Result
    from simkit.reporters.text import ReportOptions

_EPILOG = (
    "Exit codes: 0 it is fixed: nothing fails any more; 1 something fails; 2 an id, a scenario or an option is wrong; "
    "3 simkit itself failed, or a verdict is UNKNOWN; 130 Ctrl-C."
)
_SEED = "seed="


@click.command("replay", epilog=_EPILOG)
@click.argument("what", metavar="ID | FILE | PLAN", shell_complete=complete_ids)
@click.argument("path", required=False, metavar="[SCENARIO]", shell_complete=complete_paths)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a setting of the subject.")
@click.option("--subject", metavar="NAME", help="Run this subject instead: a name or package.module:callable.")
@click.option("-v", "--verbose", is_flag=True, help="Print the whole time line of a failure.")
@click.option("-q", "--quiet", is_flag=True, help="Print the failure in short.")
def command(
    what: str, path: str | None, settings: tuple[str, ...], subject: str | None, verbose: bool, quiet: bool
) -> None:
    """Run a failure that was found once more, and say whether it is still there.

    ID is that of a failure in .simkit/failures, or the beginning of it; FILE one of these files, or a pinned scenario;
    PLAN the text of a plan, followed by the SCENARIO (FILE or FILE::ROW) that it is for.

    \b
    Examples:
      simkit replay 3fa9
      simkit replay "seed=0,cut@answer1.frame2" scenarios/hermes/stall_mid_tool_call.sim.yaml::181s
      simkit replay scenarios/regressions/stall_mid_tool_call_no_orphans-3fa9c2d1.sim.yaml
    """
    outside = Outside(settings=parse_overrides(settings), subject=subject)
    replayed = _read(what, path, outside)
    result, outcome = replayed.run()
    _report(result, _options(replayed, 1 if verbose else -1 if quiet else 0))
    say(sys.stdout, _verdict(replayed.broken, result, outcome))
    click.get_current_context().exit((PASSED, FAILED, BROKEN)[result.verdict])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replayed:
    """What is run again: the case, its plan, and what broke, where that is known."""

    case: Scenario
    plan: Plan
    settings: Mapping[str, str]
    subject: str | None
    broken: Broken | None = None

    def run(self) -> tuple[Result, Outcome]:
        from simkit.explore.outcome import Attempt  # lazy: --help and a mistyped option need no kernel
        from simkit.explore.running import ScenarioRunner  # lazy: as above

        runner = ScenarioRunner(self.case, self.subject, self.case.explore.heal_ns)
        result, outcome = runner.result(Attempt(number=0, plan=self.plan))
        # The plan that was asked for, also where only a part of it fitted.
        return replace(result, plan=self.plan), outcome


def _read(what: str, path: str | None, outside: Outside) -> _Replayed:
    from simkit.run import as_plan, plan_of  # lazy: as above

    if what.startswith(_SEED):
        plan = as_plan(what)
        if path is None:
            raise UsageError(f"a plan needs its scenario, such as: simkit replay {what!r} scenarios/a{SUFFIX}")
        case = one_case(path, outside)
        return _Replayed(case=case, plan=plan, settings=outside.settings, subject=outside.subject)
    if what.partition("::")[0].endswith(SUFFIX):
        if path is not None:
            raise UsageError(f"{what!r} is a scenario already, got {path!r} as well")
        case = one_case(what, outside)
        return _Replayed(case=case, plan=plan_of(case), settings=outside.settings, subject=outside.subject)
    stored = stored_of(what)
    return _Replayed(
        case=case_of(stored, path, outside),
        plan=stored.failure.plan,
        settings={**stored.settings, **outside.settings},
        subject=outside.subject or stored.subject,
        broken=stored.failure.broken,
    )


# -- printing ----------------------------------------------------------------------------------------------------------
def _options(replayed: _Replayed, verbosity: int) -> ReportOptions:
    from simkit.commands.code import line_of_code  # lazy: as above
    from simkit.reporters.text import ReportOptions  # lazy: as above

    return ReportOptions(
        width=shutil.get_terminal_size((100, 24)).columns,
        colour=has_colour(sys.stdout),
        verbosity=verbosity,
        overrides=replayed.settings,
        subject=replayed.subject,
        encoding=encoding_of(sys.stdout),
        code=line_of_code,
    )


def _report(result: Result, options: ReportOptions) -> None:
    from simkit.reporters.plans import in_words  # lazy: as above
    from simkit.reporters.text import case_line, failure  # lazy: as above

    say(sys.stdout, case_line(result, options))
    words = in_words(result.plan, result.trace)
    if result.is_bad:
        say(sys.stdout, failure(result, options))
    elif words and options.verbosity >= 0:
        say(sys.stdout, f"{words}\n")


def _verdict(broken: Broken | None, result: Result, outcome: Outcome) -> str:
    """Return the last line: whether what was found is still there."""
    from simkit.explore.failures import same_in  # lazy: as above

    unfit = next((event for event in result.trace.of("run.end") if event.get("reason") == "plan"), None)
    if unfit is not None:
        text = "the plan does not fit any more, so nobody knows of the failure - explore again"
        return f"FAILED in another way: {text}"
    if not outcome.broken:
        return f"FIXED: {broken.law} holds now" if broken is not None else "FIXED: nothing fails under this plan"
    laws = ", ".join(dict.fromkeys(one.law for one in outcome.broken))
    if broken is None:
        return f"FAILED: {laws}"
    if same_in(broken, outcome) is not None:
        return f"FAILED in the same way: {broken.law}"
    return f"FAILED in another way: {laws}, and what was found was {broken.law}"

"""The command line: ``simkit run`` and ``simkit lint``.

The idea: read everything, then run everything, printing each case as it ends; what is said comes from the
reporters, what is meant comes from ``options``. The constraint: a mistake of the caller is one clear message
and exit 2, never a traceback, and the exit code tells a scenario's failure from simkit's own. Running files as
they are read was refused: a typing error in the last one would be told after minutes.

Exit codes: 0 pass; 1 a scenario failed; 2 a scenario or an option is wrong; 3 simkit itself failed, or a
verdict is UNKNOWN; 130 Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import click

from simkit.errors import ScenarioError, SubjectError, UsageError
from simkit.options import overridden, parse_overrides, scenario_files

if TYPE_CHECKING:
    from simkit.model.plan import Plan
    from simkit.model.scenario import Scenario
    from simkit.model.verdict import Result
    from simkit.reporters.text import ReportOptions

PASSED: Final = 0
FAILED: Final = 1
WRONG: Final = 2
BROKEN: Final = 3
INTERRUPTED: Final = 130

_EPILOG: Final = (
    "Exit codes: 0 pass; 1 a scenario failed; 2 a scenario or an option is wrong; "
    "3 simkit itself failed or a verdict is UNKNOWN; 130 Ctrl-C."
)


class _Group(click.Group):
    """Turns every exception of simkit into its exit code, in one place."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ScenarioError as error:
            _complain(str(error))
            ctx.exit(WRONG)
        except (UsageError, SubjectError) as error:
            _complain(f"simkit: {error}")
            ctx.exit(WRONG)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception:  # noqa: BLE001  # the last net: whatever comes here is simkit's own fault, and says so
            import traceback  # lazy: only simkit's own failure needs it

            _complain("simkit itself failed; the scenario is not to blame. Please report this:\n")
            _complain(traceback.format_exc())
            ctx.exit(BROKEN)


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-simkit", prog_name="simkit")
def main() -> None:
    """Run scenarios (*.sim.yaml) against LLM-agent loops in a simulated machine.

    Ninety virtual seconds of stall cost no wall time, and the same plan gives the same run.

    \b
    Examples:
      simkit run scenarios/
      simkit lint scenarios/basics/parallel_tools.sim.yaml
    """


@main.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH | FILE::ROW]...")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a setting of the subject for all cases.",
)
@click.option(
    "--subject",
    metavar="NAME",
    help="Run this subject instead of the scenario's: a name or package.module:callable.",
)
@click.option("--plan", metavar="PLAN", help="Run under this plan, such as seed=7.")
@click.option(
    "--trace",
    "trace_file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the traces as JSON lines.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print the verdicts."
)
@click.option("-v", "--verbose", is_flag=True, help="Print the whole time line of a failure.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures in short, and the summary.")
def run(
    paths: tuple[str, ...],
    settings: tuple[str, ...],
    subject: str | None,
    plan: str | None,
    trace_file: str | None,
    form: str,
    verbose: bool,
    quiet: bool,
) -> None:
    """Run scenarios and judge them. A folder means every *.sim.yaml below it; no PATH means this folder.

    \b
    Examples:
      simkit run scenarios/
      simkit run scenarios/hermes --set flaw=stub_finish_stop
      simkit run "scenarios/hermes/stall_mid_tool_call.sim.yaml::181s" --trace out.jsonl
    """
    from simkit.run import as_plan  # lazy: --help and usage errors need no kernel

    cases = _ready(overridden(_load(paths or (".",)), settings), subject)
    with _trace_target(trace_file) as trace_to:
        results, interrupted = _run_all(
            cases, as_plan(plan), subject, _printer(form, settings, verbose, quiet)
        )
        if trace_to is not None:
            from simkit.reporters.jsonl import JSONL  # lazy: as above

            trace_to.write(JSONL.render(results))
    if form == "json":
        from simkit.reporters.json import JSON  # lazy: as above

        click.echo(JSON.render(results), nl=False)
    else:
        _print_summary(results, len(cases), interrupted, _report_options(settings, verbose, quiet))
    sys.exit(INTERRUPTED if interrupted else _exit_code(results))


@main.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
def lint(paths: tuple[str, ...]) -> None:
    """Check scenarios without running them. Prints every problem with its place; no PATH means this folder.

    \b
    Example:
      simkit lint scenarios/
    """
    cases = _ready(_load(paths or (".",)), None)
    files = len({case.file for case in cases})
    click.echo(
        f"{files} file{'' if files == 1 else 's'}, {len(cases)} case{'' if len(cases) == 1 else 's'}: no problems"
    )


# -- before the run --------------------------------------------------------------------------------------------------
def _load(paths: Sequence[str]) -> list[Scenario]:
    """Read every file. Raises ``ScenarioError`` with the problems of all of them."""
    from simkit.run import load  # lazy: --help and usage errors need no YAML

    def read(path: object, row: str | None) -> Sequence[Scenario]:
        scenarios = load(str(path))
        rows = [s for s in scenarios if row in (None, s.case)]
        if not rows:
            from simkit.extensions import nearest  # lazy: as above

            raise UsageError(f"{path} has no row {row!r}{nearest(row or '', [s.case for s in scenarios])}")
        return rows

    return [s for group in _all_problems(read, scenario_files(paths)) for s in group]


def _ready(cases: Sequence[Scenario], subject: str | None) -> Sequence[Scenario]:
    """Check subject and settings of every case before the first one runs."""
    from simkit.run import check_settings, find_subject  # lazy: as above

    list(
        _all_problems(
            lambda case: check_settings(case, find_subject(case, subject)), [(case,) for case in cases]
        )
    )
    return cases


def _all_problems(step: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """Yield what the step gives for each; the problems of all of them are raised together at the end."""
    problems = []
    for each in arguments:
        try:
            yield step(*each)
        except ScenarioError as error:
            # One problem is one problem, however many rows of a matrix have it.
            problems += [p for p in error.problems if p not in problems]
    if problems:
        raise ScenarioError(problems)


@contextmanager
def _trace_target(name: str | None) -> Iterator[IO[str] | None]:
    """Open the trace file before the first run: an unwritable place is told at once."""
    if name is None:
        yield None
        return
    try:
        target = open(name, "w", encoding="utf-8", newline="\n")  # noqa: SIM115  # closed below, whatever happens
    except OSError as error:
        raise UsageError(f"the trace cannot be written to {name!r}: {error.strerror}") from error
    with target:
        yield target


# -- the run ---------------------------------------------------------------------------------------------------------
def _run_all(
    cases: Sequence[Scenario], plan: Plan, subject: str | None, show: Callable[[Result], None]
) -> tuple[list[Result], bool]:
    """Run the cases in order; say whether Ctrl-C ended it before the last."""
    from simkit.kernel.wallclock import WallClock  # lazy: as above
    from simkit.run import run_once  # lazy: as above

    results: list[Result] = []
    try:
        # Clocks are replaced once for all cases: that costs more than a case.
        with WallClock.held():
            for case in cases:
                results.append(run_once(case, plan, subject=subject))
                show(results[-1])
    except KeyboardInterrupt:
        return results, True
    return results, False


def _exit_code(results: Sequence[Result]) -> int:
    from simkit.model.verdict import Verdict  # lazy: as above

    worst = max((r.verdict for r in results), default=Verdict.PASS)
    return {Verdict.PASS: PASSED, Verdict.FAIL: FAILED, Verdict.UNKNOWN: BROKEN}[worst]


# -- printing --------------------------------------------------------------------------------------------------------
def _printer(form: str, settings: Sequence[str], verbose: bool, quiet: bool) -> Callable[[Result], None]:
    """Return what is done with each result as it comes."""
    if form == "json":
        return lambda _: None
    from simkit.model.verdict import Verdict  # lazy: as above
    from simkit.reporters.text import case_line, failure  # lazy: as above

    options = _report_options(settings, verbose, quiet)

    def show(result: Result) -> None:
        if not quiet:
            click.echo(case_line(result, options))
        if result.verdict is not Verdict.PASS:
            click.echo(failure(result, options))

    return show


def _print_summary(results: Sequence[Result], total: int, interrupted: bool, options: ReportOptions) -> None:
    from simkit.reporters.text import summary  # lazy: as above

    if interrupted:
        click.echo(f"interrupted: {len(results)} of {total} cases were run")
    click.echo(summary(results, options))


def _report_options(settings: Sequence[str], verbose: bool, quiet: bool) -> ReportOptions:
    import shutil  # lazy: only a text report asks for the width

    from simkit.reporters.text import ReportOptions  # lazy: as above

    return ReportOptions(
        width=shutil.get_terminal_size((100, 24)).columns,
        colour=_colour(),
        verbosity=1 if verbose else -1 if quiet else 0,
        overrides=parse_overrides(settings),
        encoding=sys.stdout.encoding or "utf-8",
    )


def _colour() -> bool:
    """Say whether to use colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _complain(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()

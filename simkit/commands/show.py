"""``simkit show``: one run, in the form in which somebody wants to see it.

The idea: a run comes from a trace file, from a failure in the store, or from a scenario that is run for it, and every
form of it is a reporter, also one of another package. The constraint: what is shown is what happened, so a failure is
run under its very plan, and a trace alone is shown without a verdict. A viewer that serves pages was refused: a file
can be sent, kept with a job, and opened without this program.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click

from simkit.commands.completion import complete_ids, complete_reporters
from simkit.commands.files import write_new
from simkit.commands.stored import case_of, one_case, stored_of
from simkit.commands.terminal import complain, encoding_of, has_colour, say
from simkit.errors import UsageError
from simkit.options import SUFFIX, Outside, parse_overrides

if TYPE_CHECKING:
    from simkit.contracts import Reporter
    from simkit.model.plan import Plan
    from simkit.model.scenario import Scenario
    from simkit.model.verdict import Result
    from simkit.reporters.layout import ReportOptions

_EPILOG: Final = (
    "Exit codes: 0 it is shown, whatever its verdict; 2 an id, a file or an option is wrong; 3 simkit itself failed; "
    "130 Ctrl-C."
)
_TRACE: Final = ".jsonl"
# More names than this are no help to whoever has to pick one.
_NAMED_MAX: Final = 10


@click.command("show", epilog=_EPILOG)
@click.argument("what", metavar="TRACE | ID | FILE::ROW", shell_complete=complete_ids)
@click.option(
    "--as",
    "form",
    default="text",
    metavar="FORM",
    shell_complete=complete_reporters,
    help="text, page (HTML), perfetto, mermaid, jsonl, json, junit, or a reporter of an installed package.",
)
@click.option("-o", "--output", metavar="FILE", help="Write it to this file, over what is there.")
@click.option("--case", metavar="NAME", help="Show this case of a trace: its name, the beginning of it, or its number.")
@click.option("--plan", metavar="PLAN", help="Run a scenario under this plan instead of its own, such as seed=7.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a setting of the subject.")
@click.option("--subject", metavar="NAME", help="Run this subject instead: a name or package.module:callable.")
def command(
    what: str,
    form: str,
    output: str | None,
    case: str | None,
    plan: str | None,
    settings: tuple[str, ...],
    subject: str | None,
) -> None:
    """Show one run: as a time line, a page, a Perfetto trace or a Mermaid diagram.

    TRACE is a file that `simkit run --trace` has written (*.jsonl); ID is that of a failure in .simkit/failures, or the
    beginning of it; FILE::ROW is a scenario, which is run for it. The page of a failure also shows how it differs from
    the normal run.

    \b
    Examples:
      simkit show 3fa9
      simkit show 3fa9 --as page -o failure.html
      simkit show "scenarios/hermes/stall_mid_tool_call.sim.yaml::181s" --as mermaid
      simkit show out.jsonl --case 2 --as perfetto -o run.perfetto.json
    """
    from simkit.extensions import find  # lazy: --help needs no reporter

    reporter = None if form == "text" else cast("Reporter", find("reporters", form))
    _refuse_output(output, form)
    outside = Outside(settings=parse_overrides(settings), subject=subject)
    # Whatever an agent prints must not get between the lines of what is shown.
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        shown = _read(what, _Asked(case, plan, outside, normal=form == "page"))
        text = _as_text(shown, output) if reporter is None else _rendered(reporter, shown)
    if output is None:
        say(out, text.rstrip("\n"))
        return
    write_new(output, text)
    complain(f"simkit: {output}: {len(text.encode('utf-8', 'backslashreplace')) // 1024 + 1} KiB")


def _refuse_output(output: str | None, form: str) -> None:
    if output is not None and output.endswith(SUFFIX):
        raise UsageError(f"{output!r} is the name of a scenario, expected another one, such as run.html")
    if output is None and form == "page" and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError("a page is for a browser, not for a terminal - write it with -o run.html")


# -- what is shown -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for beside the run itself: ``normal`` is the run to compare it with."""

    case: str | None
    plan: str | None
    outside: Outside
    normal: bool

    def refuse(self, what: str, **given: object) -> None:
        """Raise for an option that means nothing here."""
        for option, value in given.items():
            if value:
                raise UsageError(f"--{option} means nothing for {what}")


@dataclass(frozen=True, slots=True)
class _Shown:
    """The runs to show, and what was set from outside.

    Of the only run: the normal one to compare it with, where that is another, and the id under which it is stored.
    """

    results: Sequence[Result]
    outside: Outside
    normal: Result | None = None
    id: str = ""


def _read(what: str, asked: _Asked) -> _Shown:
    if what.partition("::")[0].endswith(SUFFIX):
        asked.refuse("a scenario, whose row is named by FILE::ROW", case=asked.case)
        return _run(one_case(what, asked.outside), asked, asked.outside)
    if what.endswith(_TRACE):
        given = {"plan": asked.plan, "set": asked.outside.settings, "subject": asked.outside.subject}
        asked.refuse("a trace, which is not run again", **given)
        return _Shown(_traced(what, asked.case), asked.outside)
    asked.refuse("a failure, which is one case under its own plan", case=asked.case, plan=asked.plan)
    stored = stored_of(what)
    subject = asked.outside.subject or stored.subject
    outside = replace(asked.outside, settings={**stored.settings, **asked.outside.settings}, subject=subject)
    shown = _run(case_of(stored, None, asked.outside), asked, outside, stored.failure.plan)
    return replace(shown, id=stored.failure.id)


def _run(case: Scenario, asked: _Asked, outside: Outside, plan: Plan | None = None) -> _Shown:
    """Run a case under its plan, and under none where the two are compared."""
    from simkit.model.plan import Plan  # lazy: --help and a mistyped option need no kernel
    from simkit.run import plan_of  # lazy: as above

    plan = plan_of(case, asked.plan) if plan is None else plan
    result = _result(case, plan, outside.subject)
    normal = _result(case, Plan(), outside.subject) if asked.normal and plan != Plan() else None
    return _Shown([result], outside, normal)


def _result(case: Scenario, plan: Plan, subject: str | None) -> Result:
    from simkit.explore.outcome import Attempt  # lazy: as above
    from simkit.explore.running import ScenarioRunner  # lazy: as above

    result, _ = ScenarioRunner(case, subject, case.explore.heal_ns).result(Attempt(number=0, plan=plan))
    # The plan that was asked for, also where only a part of it fitted.
    return replace(result, plan=plan)


def _traced(file: str, name: str | None) -> list[Result]:
    from simkit.commands.tracefile import read_traces  # lazy: as above

    results = read_traces(Path(file))
    return results if name is None else [_named(name, results, file)]


def _named(name: str, results: Sequence[Result], file: str) -> Result:
    titles = [result.scenario.title for result in results]
    if name.isdecimal() and name not in titles:
        if not 1 <= int(name) <= len(results):
            raise UsageError(f"{file!r} has no case {name}, expected a number from 1 to {len(results)}")
        return results[int(name) - 1]
    found = [r for r, title in zip(results, titles, strict=True) if title == name] or [
        r for r, title in zip(results, titles, strict=True) if title.startswith(name)
    ]
    if len(found) != 1:
        what = "several cases whose names begin" if found else "no case whose name begins"
        raise UsageError(f"{file!r} has {what} with {name!r} - {_listed(titles)}")
    return found[0]


def _listed(titles: Sequence[str]) -> str:
    more = f", and {len(titles) - _NAMED_MAX} more" if len(titles) > _NAMED_MAX else ""
    return "there are: " + ", ".join(f"{n} {title!r}" for n, title in enumerate(titles[:_NAMED_MAX], 1)) + more


# -- how ---------------------------------------------------------------------------------------------------------------
def _rendered(reporter: Reporter, shown: _Shown) -> str:
    if reporter.name in ("page", "mermaid") and len(shown.results) > 1:
        titles = [result.scenario.title for result in shown.results]
        told = f"--as {reporter.name} shows one case, and there are {len(titles)}"
        raise UsageError(f"{told}: pick one with --case - {_listed(titles)}")
    return _as_page(shown) if reporter.name == "page" else reporter.render(shown.results)


def _as_page(shown: _Shown) -> str:
    from simkit.commands.code import line_of_code  # lazy: as above
    from simkit.reporters.layout import Known  # lazy: as above
    from simkit.reporters.page import page  # lazy: as above

    return page(
        shown.results[0],
        normal=shown.normal,
        source_reader=line_of_code,
        known=Known(id=shown.id),
        options=_options(shown.outside, "page"),
    )


def _as_text(shown: _Shown, output: str | None) -> str:
    options = _options(shown.outside, output)
    return "\n".join(_one_as_text(result, options, shown.id) for result in shown.results)


def _one_as_text(result: Result, options: ReportOptions, stored: str) -> str:
    from simkit.reporters.lanes import printable, timeline  # lazy: as above
    from simkit.reporters.layout import Known  # lazy: as above
    from simkit.reporters.text import case_line, failure  # lazy: as above

    if result.scenario.file and result.is_bad:
        return f"{case_line(result, options)}\n{failure(result, options, Known(id=stored))}"
    head = case_line(result, options) if result.scenario.file else f"____ {printable(result.scenario.title)}"
    return "\n".join([head, "", *timeline(result.trace, (), width=options.columns, rows_max=None), ""])


def _options(outside: Outside, output: str | None) -> ReportOptions:
    from simkit.commands.code import line_of_code  # lazy: as above
    from simkit.reporters.layout import ReportOptions  # lazy: as above

    on_screen = output is None
    return ReportOptions(
        width=shutil.get_terminal_size((100, 24)).columns if on_screen else 100,
        colour=on_screen and has_colour(sys.stdout),
        verbosity=1,
        overrides=outside.settings,
        subject=outside.subject,
        encoding=encoding_of(sys.stdout) if on_screen else "utf-8",
        code=line_of_code,
    )

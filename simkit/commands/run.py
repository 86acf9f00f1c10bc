"""``simkit run``: read everything, then run everything, printing each case as it ends.

The idea: what is said comes from the reporters, what is meant comes from ``options``. The constraint: Ctrl-C ends the
process whatever a subject does with it, and what came of the cases until then is told. Running files as they are read
was refused: a typing error in the last one would be told after minutes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, TYPE_CHECKING, Final, Protocol

import click

from simkit.commands.completion import complete_paths
from simkit.commands.outputs import (
    REPORT_FOLDER,
    SUMMARY_FILE,
    Output,
    Pages,
    annotated,
    on_github,
    opened,
    pages_for,
)
from simkit.commands.progress import Progress, progress_on
from simkit.commands.shards import Shard
from simkit.commands.terminal import (
    BROKEN,
    EPILOG,
    FAILED,
    INTERRUPTED,
    PASSED,
    WRONG,
    complain,
    counted,
    encoding_of,
    has_colour,
    say,
)
from simkit.options import Outside, parse_overrides, read_paths

if TYPE_CHECKING:
    from simkit.model.plan import Plan
    from simkit.model.scenario import Scenario
    from simkit.model.verdict import Result
    from simkit.reporters.text import Known, ReportOptions

    _Keeper = Callable[[Result], Known]

# Real seconds that a case has to end after Ctrl-C: enough for a teardown, too little to be taken for a hang.
_GRACE_S: Final = 1.5


@click.command("run", epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH | FILE::ROW]...", shell_complete=complete_paths)
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
@click.option("--plan", metavar="PLAN", help="Run under this plan instead of the scenario's, such as seed=7.")
@click.option(
    "--trace",
    "trace_file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the traces as JSON lines.",
)
@click.option(
    "--junit", "junit_file", metavar="FILE", type=click.Path(dir_okay=False), help="Write the verdicts as JUnit XML."
)
@click.option(
    "--report",
    default="none",
    metavar="failures|all|DIR",
    help=f"Write a page for each failure, or for each case, and an index: to {REPORT_FOLDER}/, or for failures to DIR.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="How to print the verdicts; github prints annotations, and text does too inside a GitHub workflow.",
)
@click.option("--shard", metavar="I/N", help="Run part I of N of the cases; together the parts are all cases.")
@click.option(
    "--verify",
    is_flag=True,
    help="Run everything again in a new process under another hash seed, and fail where a trace differs.",
)
@click.option(
    "--no-save", is_flag=True, help="Keep no failure in .simkit/failures, where show, replay and pin find it."
)
@click.option("-v", "--verbose", is_flag=True, help="Print the whole time line of a failure.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures in short, and the summary.")
def command(
    paths: tuple[str, ...],
    settings: tuple[str, ...],
    subject: str | None,
    plan: str | None,
    trace_file: str | None,
    junit_file: str | None,
    report: str,
    form: str,
    shard: str | None,
    verify: bool,
    no_save: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Run scenarios and judge them. A folder means every *.sim.yaml below it; no PATH means this folder.

    \b
    Examples:
      simkit run scenarios/
      simkit run scenarios/hermes --set flaw=stub_finish_stop
      simkit run "scenarios/hermes/stall_mid_tool_call.sim.yaml::181s"
      simkit run scenarios/ --trace out.jsonl
      simkit run scenarios/ --shard 1/4 --junit simkit.xml --report failures
    """
    from simkit.reporters.layout import ReportOptions  # lazy: --help and usage errors need no kernel
    from simkit.run import as_plan  # lazy: as above

    overrides = parse_overrides(settings)
    level = 1 if verbose else -1 if quiet else 0
    out = sys.stdout
    # Whatever an agent prints must not get between the lines of the document.
    with contextlib.redirect_stdout(sys.stderr) if form != "text" else contextlib.nullcontext():
        part = None if shard is None else Shard.parse(shard)
        keeper = _keeper(overrides, subject, no_save)
        given = ReportOptions(overrides=overrides, subject=subject)
        pages = pages_for(report, keeper, given)
        every = read_paths(paths or (".",), Outside(settings=overrides, subject=subject))
        cases = every if part is None else part.of(every)
        if part is not None:
            complain(f"simkit: {part.told(every)}")
        printer = _printer(form, out, keeper) or _text(overrides, subject, level, len(cases), keeper)
        session = _Session(cases, None if plan is None else as_plan(plan), subject, printer, _annotated(form, out))
        with contextlib.ExitStack() as files:
            session.outputs = [*_outputs(files, trace_file, junit_file, given), *([pages] if pages else [])]
            session.play()
            code = session.conclude()
        if verify and not session.interrupted:
            code = max(code, _verify(session.results, paths, settings, subject, plan, shard))
    click.get_current_context().exit(code)


def _annotated(form: str, out: IO[str] | None) -> IO[str] | None:
    """Return where annotations go, which a workflow reads in both streams; None where nobody reads them."""
    if form == "github":
        return out
    return (sys.stderr if form == "json" else out) if on_github(os.environ) else None


def _outputs(
    files: contextlib.ExitStack, trace: str | None, junit: str | None, options: ReportOptions
) -> Iterator[Output]:
    """Open what this call writes before the first run: an unwritable place is told at once."""
    if trace is not None:
        from simkit.reporters.jsonl import JSONL  # lazy: as above

        yield files.enter_context(
            opened("trace", trace, lambda results: JSONL.render([r for r in results if not r.is_skipped]))
        )
    if junit is not None:
        from simkit.reporters.junit import JUnitReporter  # lazy: as above

        yield files.enter_context(opened("JUnit file", junit, JUnitReporter(options=options).render))
    summary = os.environ.get(SUMMARY_FILE)
    if summary:
        from simkit.reporters.summary import SummaryReporter  # lazy: as above

        # Other steps of the job have written there.
        render = SummaryReporter(options=options).render
        yield files.enter_context(opened("summary of the job", summary, render, mode="a"))


def _verify(
    results: Sequence[Result],
    paths: Sequence[str],
    settings: Sequence[str],
    subject: str | None,
    plan: str | None,
    shard: str | None,
) -> int:
    """Run all cases once more elsewhere, tell what came out differently, and return the exit code for that."""
    from simkit.verify import verify  # lazy: as above

    results = [result for result in results if not result.is_skipped]
    if not results:
        # The second process would write no trace, as this one has none.
        say(sys.stdout, "\nverified: there was nothing to run")
        return PASSED
    options = [*(f"--set={text}" for text in settings)]
    given = {"subject": subject, "plan": plan, "shard": shard}
    options += [f"--{name}={value}" for name, value in given.items() if value is not None]
    different = verify(results, [*options, "--", *paths])
    for text in different:
        say(sys.stdout, f"\n{text}")
    same = len(results) - len(different)
    say(sys.stdout, f"\nverified: {same} of {counted(len(results), 'case')} ran the same under another hash seed")
    return FAILED if different else PASSED


# -- the run ---------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Session:
    """One call of ``simkit run``: the cases, what came of them so far, and whether Ctrl-C has ended it."""

    cases: Sequence[Scenario]
    plan: Plan | None
    subject: str | None
    printer: _Printer
    annotate_to: IO[str] | None = None
    outputs: Sequence[Output | Pages] = ()
    results: list[Result] = field(default_factory=list)
    interrupted: bool = False

    def play(self) -> None:
        """Run the cases in order, until the last or until Ctrl-C."""
        from simkit.kernel.machine import MACHINE  # lazy: as above
        from simkit.run import run_case  # lazy: as above

        try:
            # Clocks are replaced once for all cases: that costs more than a case.
            with self._ctrl_c(), MACHINE.held():
                for case in self.cases:
                    with self.printer.while_running(case, self.results):
                        result = run_case(case, self.plan, subject=self.subject)
                    if self.interrupted:
                        # The subject swallowed Ctrl-C and went on: what came of that is no result.
                        break
                    self.results.append(result)
                    self.printer.case(result)
        except KeyboardInterrupt:
            self.interrupted = True

    def conclude(self) -> int:
        """Print what is to be said at the end, write what was asked for, and return the exit code."""
        self.printer.end(self.results, self.cases, self.interrupted)
        self._annotate()
        written = [output.write(self.results) for output in self.outputs]
        if self.interrupted:
            return INTERRUPTED
        return _exit_code(self.results) if all(written) else WRONG

    def _annotate(self) -> None:
        told = annotated(self.results, os.environ) if self.annotate_to is not None else ""
        if told:
            say(self.annotate_to, told)

    @contextlib.contextmanager
    def _ctrl_c(self) -> Iterator[None]:
        """Let Ctrl-C end the process whatever the subject does: it may swallow every exception, or never look up."""
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            # Somebody else's handler, or a job in the background, which is not meant when Ctrl-C is pressed.
            yield
            return
        from simkit.kernel.threads import start_real_thread  # lazy: as above

        # Whoever takes it says the last words: this thread, or the one that waits for it to come to an end.
        last_words = allocate_lock()

        def end_anyway() -> None:
            time.sleep(_GRACE_S)
            if last_words.acquire(blocking=False):
                try:
                    self.conclude()
                finally:
                    os._exit(INTERRUPTED)

        def interrupt(signum: int, frame: FrameType | None) -> None:
            self.interrupted = True
            # Inside a world every other way to start a thread is simulated, and this one waits in real time.
            start_real_thread(end_anyway)
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            # If the other thread has it, it ends the process while this one waits.
            last_words.acquire()
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit_code(results: Sequence[Result]) -> int:
    return max(({"FAIL": FAILED, "UNKNOWN": BROKEN}.get(r.outcome, PASSED) for r in results), default=PASSED)


# -- printing --------------------------------------------------------------------------------------------------------
class _Printer(Protocol):
    """What is said while a case runs, of each case as it ends, and at the end."""

    def while_running(self, case: Scenario, before: Sequence[Result]) -> AbstractContextManager[None]: ...

    def case(self, result: Result) -> None: ...

    def end(self, results: Sequence[Result], cases: Sequence[Scenario], interrupted: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class _Text:
    """Prints for people, while it runs."""

    out: IO[str] | None
    options: ReportOptions
    total: int
    progress: Progress | None
    keeper: _Keeper

    def while_running(self, case: Scenario, before: Sequence[Result]) -> AbstractContextManager[None]:
        if self.progress is None:
            return contextlib.nullcontext()
        from simkit.reporters.lanes import about, printable  # lazy: as above

        failed, virtual = sum(r.is_bad for r in before), about(sum(r.trace.end_ns for r in before))
        told = f"{failed} failed, {virtual} of virtual time"
        return self.progress.shown(printable(case.name), len(before), self.total, told)

    def case(self, result: Result) -> None:
        from simkit.reporters.text import case_line, failure  # lazy: as above

        if self.options.verbosity >= 0:
            say(self.out, case_line(result, self.options))
        if result.is_bad:
            say(self.out, failure(result, self.options, self.keeper(result)))

    def end(self, results: Sequence[Result], cases: Sequence[Scenario], interrupted: bool) -> None:
        from simkit.reporters.text import summary  # lazy: as above

        if self.progress is not None:
            # Where Ctrl-C finds a case that does not end, this is said while it runs.
            self.progress.hide()
        if interrupted:
            say(self.out, f"\n{_interrupted(results, cases)}")
        say(self.out, summary(results, self.options))


@dataclass(frozen=True, slots=True)
class _Json:
    """Prints one document at the end, and nothing else."""

    out: IO[str] | None
    keeper: _Keeper

    def while_running(self, case: Scenario, before: Sequence[Result]) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def case(self, result: Result) -> None:
        pass

    def end(self, results: Sequence[Result], cases: Sequence[Scenario], interrupted: bool) -> None:
        from simkit.reporters.json import JsonReporter  # lazy: as above

        if interrupted:
            complain(f"\n{_interrupted(results, cases)}")
        ids = {result.scenario.name: self.keeper(result).id for result in results if result.is_bad}
        say(self.out, JsonReporter(ids=ids).render(results).rstrip("\n"))


@dataclass(frozen=True, slots=True)
class _Brief:
    """Prints the summary only: what failed is annotated."""

    out: IO[str] | None
    keeper: _Keeper

    def while_running(self, case: Scenario, before: Sequence[Result]) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def case(self, result: Result) -> None:
        if result.is_bad:
            self.keeper(result)

    def end(self, results: Sequence[Result], cases: Sequence[Scenario], interrupted: bool) -> None:
        from simkit.reporters.text import summary  # lazy: as above

        if interrupted:
            complain(f"\n{_interrupted(results, cases)}")
        say(self.out, summary(results))


def _printer(form: str, out: IO[str] | None, keeper: _Keeper) -> _Printer | None:
    """Return the printer for a machine, or None where people read."""
    if form == "json":
        return _Json(out, keeper)
    return _Brief(out, keeper) if form == "github" else None


def _interrupted(results: Sequence[Result], cases: Sequence[Scenario]) -> str:
    at = f" in {cases[len(results)].name}" if len(results) < len(cases) else ""
    return f"interrupted{at}: {len(results)} of {counted(len(cases), 'case')} done"


def _keeper(overrides: Mapping[str, str], subject: str | None, no_save: bool) -> _Keeper:
    """Return what stores a failure and says under which id."""
    from simkit.reporters.text import UNKNOWN_TO_ALL  # lazy: as above

    def keep_it(result: Result) -> Known:
        from simkit.explore.keeping import keep  # lazy: a run in which all passes needs no store
        from simkit.explore.store import Store  # lazy: as above

        return UNKNOWN_TO_ALL if no_save else keep(result, Store(), settings=overrides, subject=subject)

    return keep_it


def _text(overrides: Mapping[str, str], subject: str | None, verbosity: int, total: int, keeper: _Keeper) -> _Text:
    import shutil  # lazy: only a text report asks for the width

    from simkit.commands.code import line_of_code  # lazy: as above
    from simkit.reporters.text import ReportOptions  # lazy: as above

    out: IO[str] | None = sys.stdout
    options = ReportOptions(
        width=shutil.get_terminal_size((100, 24)).columns,
        colour=has_colour(out),
        verbosity=verbosity,
        overrides=overrides,
        subject=subject,
        encoding=encoding_of(out),
        code=line_of_code,
    )
    return _Text(out, options, total, progress_on(out, total), keeper)

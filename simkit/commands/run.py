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
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, TYPE_CHECKING, Final, Protocol

import click

from simkit.commands.progress import Progress, progress_on
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
from simkit.errors import UsageError
from simkit.options import SUFFIX, Outside, parse_overrides, read_paths

if TYPE_CHECKING:
    from simkit.model.plan import Plan
    from simkit.model.scenario import Scenario
    from simkit.model.verdict import Result
    from simkit.reporters.text import ReportOptions

# Real seconds that a case has to end after Ctrl-C: enough for a teardown, too little to be taken for a hang.
_GRACE_S: Final = 1.5


@click.command("run", epilog=EPILOG)
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
@click.option("--plan", metavar="PLAN", help="Run under this plan instead of the scenario's, such as seed=7.")
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
@click.option(
    "--verify",
    is_flag=True,
    help="Run everything again in a new process under another hash seed, and fail where a trace differs.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print the whole time line of a failure.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures in short, and the summary.")
def command(
    paths: tuple[str, ...],
    settings: tuple[str, ...],
    subject: str | None,
    plan: str | None,
    trace_file: str | None,
    form: str,
    verify: bool,
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
    """
    from simkit.run import as_plan  # lazy: --help and usage errors need no kernel

    overrides = parse_overrides(settings)
    level = 1 if verbose else -1 if quiet else 0
    out = sys.stdout
    # Whatever an agent prints must not get between the lines of the document.
    with contextlib.redirect_stdout(sys.stderr) if form == "json" else contextlib.nullcontext():
        cases = read_paths(paths or (".",), Outside(settings=overrides, subject=subject))
        printer = _Json(out) if form == "json" else _text(overrides, subject, level, len(cases))
        session = _Session(cases, None if plan is None else as_plan(plan), subject, printer)
        with _trace_target(trace_file) as session.trace_to:
            session.play()
            code = session.conclude()
        if verify and not session.interrupted:
            code = max(code, _verify(session.results, paths, settings, subject, plan))
    click.get_current_context().exit(code)


def _verify(
    results: Sequence[Result], paths: Sequence[str], settings: Sequence[str], subject: str | None, plan: str | None
) -> int:
    """Run all cases once more elsewhere, tell what came out differently, and return the exit code for that."""
    from simkit.verify import verify  # lazy: as above

    results = [result for result in results if not result.is_skipped]
    if not results:
        # The second process would write no trace, as this one has none.
        say(sys.stdout, "\nverified: there was nothing to run")
        return PASSED
    options = [*(f"--set={text}" for text in settings)]
    options += [f"--{name}={value}" for name, value in (("subject", subject), ("plan", plan)) if value is not None]
    different = verify(results, [*options, "--", *paths])
    for text in different:
        say(sys.stdout, f"\n{text}")
    same = len(results) - len(different)
    say(sys.stdout, f"\nverified: {same} of {counted(len(results), 'case')} ran the same under another hash seed")
    return FAILED if different else PASSED


@contextlib.contextmanager
def _trace_target(name: str | None) -> Iterator[IO[str] | None]:
    """Open the trace file before the first run: an unwritable place is told at once."""
    if name is None:
        yield None
        return
    if name.endswith(SUFFIX):
        # ``--trace`` without its value takes the next word, which is a scenario that somebody wrote.
        raise UsageError(f"the trace would overwrite the scenario {name!r}, expected a name such as out.jsonl")
    try:
        target = open(name, "w", encoding="utf-8", newline="\n")  # noqa: SIM115  # closed below
    except OSError as error:
        raise UsageError(_unwritable(name, error)) from error
    try:
        yield target
    finally:
        # Closing writes again what could not be written, and that was told.
        with contextlib.suppress(OSError):
            target.close()


def _unwritable(name: str, error: OSError) -> str:
    return f"the trace cannot be written to {name!r}: {error.strerror}"


# -- the run ---------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Session:
    """One call of ``simkit run``: the cases, what came of them so far, and whether Ctrl-C has ended it."""

    cases: Sequence[Scenario]
    plan: Plan | None
    subject: str | None
    printer: _Printer
    trace_to: IO[str] | None = None
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
        """Print what is to be said at the end, write the traces, and return the exit code."""
        self.printer.end(self.results, self.cases, self.interrupted)
        written = self._write_traces()
        if self.interrupted:
            return INTERRUPTED
        return _exit_code(self.results) if written else WRONG

    def _write_traces(self) -> bool:
        if self.trace_to is None:
            return True
        from simkit.reporters.jsonl import JSONL  # lazy: as above

        try:
            self.trace_to.write(JSONL.render([r for r in self.results if not r.is_skipped]))
            self.trace_to.flush()
        except OSError as error:
            complain(f"simkit: {_unwritable(self.trace_to.name, error)}")
            return False
        return True

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
            say(self.out, failure(result, self.options))

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

    def while_running(self, case: Scenario, before: Sequence[Result]) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def case(self, result: Result) -> None:
        pass

    def end(self, results: Sequence[Result], cases: Sequence[Scenario], interrupted: bool) -> None:
        from simkit.reporters.json import JSON  # lazy: as above

        if interrupted:
            complain(f"\n{_interrupted(results, cases)}")
        say(self.out, JSON.render(results).rstrip("\n"))


def _interrupted(results: Sequence[Result], cases: Sequence[Scenario]) -> str:
    at = f" in {cases[len(results)].name}" if len(results) < len(cases) else ""
    return f"interrupted{at}: {len(results)} of {counted(len(cases), 'case')} done"


def _text(overrides: dict[str, str], subject: str | None, verbosity: int, total: int) -> _Text:
    import shutil  # lazy: only a text report asks for the width

    from simkit.reporters.text import ReportOptions  # lazy: as above

    out: IO[str] | None = sys.stdout
    options = ReportOptions(
        width=shutil.get_terminal_size((100, 24)).columns,
        colour=has_colour(out),
        verbosity=verbosity,
        overrides=overrides,
        subject=subject,
        encoding=encoding_of(out),
    )
    return _Text(out, options, total, progress_on(out, total))

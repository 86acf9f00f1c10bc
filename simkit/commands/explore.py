"""``simkit explore``: many plans for each scenario, on as many processors as there are.

The idea: what is tried, by whom, and what is kept of it is the campaign's; here are the options, the clock, the signals
and what is said meanwhile. The constraint: however it ends, by itself, by the time, by Ctrl-C or by a kill, what was
found until then is on disk, and the same command with ``--resume`` goes on. A daemon to which explorations are sent was
refused: a process that ends is one that nobody has to look after.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from _thread import allocate_lock
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

import click

from simkit.commands import shards
from simkit.commands.files import duration_of
from simkit.commands.progress import Progress, terminal_on
from simkit.commands.terminal import EPILOG, INTERRUPTED, complain, counted, encoding_of, has_colour, say
from simkit.errors import UsageError
from simkit.options import Outside, parse_overrides, read_paths

if TYPE_CHECKING:
    from simkit.commands.explored import Told
    from simkit.explore.campaign import Campaign, CaseExplored, Standing
    from simkit.explore.failures import Failure
    from simkit.explore.state import Campaigns, State
    from simkit.explore.store import Store
    from simkit.explore.units import Case, Shard
    from simkit.explore.workers import Workers
    from simkit.model.scenario import Scenario
    from simkit.reporters.text import ReportOptions

# How many runs a case gets where neither its author nor an option says how many.
_RUNS: Final = 200
_NS_PER_S: Final = 1e9
# Real seconds that what is under way has after Ctrl-C, and, for whatever does not come back then, until the very end.
_GRACE_S: Final = 2.0
_LAST_WORDS_S: Final = 4.0
# Real seconds between two lines in a pipe.
_LINES_EVERY_S: Final = 5.0
_DASK: Final = "dask:"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@click.command("explore", epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH | FILE::ROW]...")
@click.option("--runs", type=click.IntRange(1), metavar="N", help="Run each case so often; also with --time.")
@click.option("--time", "time_", metavar="DURATION", help="Go on for so long, such as 10m; the cases take turns.")
@click.option("--workers", type=click.IntRange(1), metavar="K", help="Use so many processes; 1 is this one.")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="S", help="Count the seeds up from here.")
@click.option("--strategy", default="mix", metavar="NAME", show_default=True, help="Who makes the choices.")
@click.option("--order", type=click.Choice(["timing", "any"]), help="Keep to what asyncio promises, or do not.")
@click.option("--jitter", metavar="DURATION", help="Move outside events by so much around deadlines, such as 5ms.")
@click.option("--sweep", type=click.Choice(["none", "single", "pairs"]), help="Try every fault at every place.")
@click.option("--faults", metavar="A,B", help="Try only these faults, such as cut,stall.")
@click.option("--where", metavar="A,B", help="Let faults strike only there: frames, tools, user.")
@click.option("--shard", metavar="I/N", help="Do only this one of N parts, such as 2/4.")
@click.option("--resume", is_flag=True, help="Go on with the newest campaign of these cases and options.")
@click.option("--executor", metavar="dask:ADDRESS", help="Use the workers of a dask cluster.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a setting of the subject.")
@click.option("--subject", metavar="NAME", help="Run this subject instead: a name or package.module:callable.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
@click.option("-v", "--verbose", is_flag=True, help="Print the whole time line of a failure.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures in short, and the summary.")
def command(paths: tuple[str, ...], **options: Any) -> None:
    """Run scenarios under many plans: other orders, other instants, faults from outside. No PATH means this folder.

    The default run comes first; a case that fails in it is told and not explored. Every different failure is made as
    small as possible and kept in .simkit/failures. What a scenario says under `explore:` holds where no option says
    otherwise. What agents print is dropped; simkit replay shows it.

    \b
    Examples:
      simkit explore scenarios/ --runs 500
      simkit explore scenarios/hermes --time 10m --sweep single
      simkit explore scenarios/ --time 8h --shard 1/4 --resume
    """
    asked = _Asked(**options)
    out = sys.stdout
    click.get_current_context().exit(_session(paths or (".",), asked, out).run())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The options, as they were given."""

    runs: int | None
    time_: str | None
    workers: int | None
    seed: int
    strategy: str
    order: str | None
    jitter: str | None
    sweep: str | None
    faults: str | None
    where: str | None
    shard: str | None
    resume: bool
    executor: str | None
    settings: tuple[str, ...]
    subject: str | None
    form: str
    verbose: bool
    quiet: bool

    @property
    def verbosity(self) -> int:
        return 1 if self.verbose else -1 if self.quiet else 0

    @property
    def seconds(self) -> float | None:
        """How long to go on, if anybody says so."""
        return None if self.time_ is None else duration_of("--time", self.time_) / _NS_PER_S

    @property
    def cluster(self) -> str | None:
        """The address of the cluster that is meant, if any is."""
        if self.executor is None:
            return None
        address = self.executor.removeprefix(_DASK)
        if address in ("", self.executor):
            raise UsageError(f"--executor: {self.executor!r} is unknown, expected dask:ADDRESS")
        return address

    def kinds(self) -> tuple[str, ...]:
        from simkit.model.plan import FAULT_KINDS  # lazy: --help needs no plan

        return _words("--faults", self.faults, tuple(FAULT_KINDS))

    def places(self) -> tuple[str, ...]:
        return _words("--where", self.where, ("frames", "tools", "user"))

    def part(self) -> Shard:
        """Return which part is meant."""
        from simkit.explore.units import WHOLE, Shard  # lazy: --help and a mistyped option need no kernel

        if self.shard is None:
            return WHOLE
        asked = shards.Shard.parse(self.shard)
        return Shard(asked.part - 1, asked.parts)

    def case(self, scenario: Scenario) -> Case:
        """Return a scenario with what varies in it: what its author says, where no option says otherwise."""
        from simkit.explore.attempts import space_of  # lazy: as above
        from simkit.explore.units import Case  # lazy: as above

        space = space_of(scenario, runs=self._runs_of(scenario), seed=self.seed, strategy=self.strategy)
        given: dict[str, Any] = {"order": self.order, "sweep": self.sweep}
        given["faults"] = self.kinds() or None
        given["where"] = self.places() or None
        given["jitter_ns"] = None if self.jitter is None else duration_of("--jitter", self.jitter)
        space = replace(space, **{name: value for name, value in given.items() if value is not None})
        return Case(scenario=scenario, space=space, subject=self.subject, home=os.getcwd())

    def _runs_of(self, scenario: Scenario) -> int:
        """Return how many runs a case gets; 0 where only the time ends it."""
        if self.runs is not None:
            return self.runs
        return 0 if self.time_ is not None else scenario.explore.runs or _RUNS

    def key(self, cases: Sequence[Case]) -> str:
        """Return what campaigns have in common that can go on with each other."""
        from simkit.explore.state import digest  # lazy: as above

        varied = (self.seed, self.strategy, self.order, self.jitter, self.sweep, self.faults, self.where, self.shard)
        return digest(sorted(case.name for case in cases), varied, sorted(self.settings), self.subject)


def _words(option: str, text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a list. Raises ``UsageError`` for one that nobody knows."""
    from simkit.extensions import nearest  # lazy: as above

    words = [] if text is None else [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise UsageError(f"{option}: {word!r} is unknown{nearest(word, known)}")
    return tuple(dict.fromkeys(words))


# -- one call ----------------------------------------------------------------------------------------------------------
def _session(paths: Sequence[str], asked: _Asked, out: IO[str]) -> _Session:
    """Read and check everything that was asked for."""
    # Mistakes in options are told before any file is read.
    _ = (asked.seconds, asked.part(), asked.cluster)
    overrides = parse_overrides(asked.settings)
    scenarios = read_paths(paths, Outside(settings=overrides, subject=asked.subject))
    skipped = [(one, one.skip or f"is expected to fail: {one.xfail}") for one in scenarios if one.skip or one.xfail]
    cases = [asked.case(one) for one in scenarios if not (one.skip or one.xfail)]
    _check_strategy(cases)
    printer: _Printer = _Json(out) if asked.form == "json" else _text(asked, overrides, out)
    lines = _Lines(quiet=asked.quiet, progress=terminal_on(out) if asked.form == "text" else None)
    return _Session(asked, cases, skipped, overrides, printer, lines)


def _check_strategy(cases: Sequence[Case]) -> None:
    from simkit.explore.attempts import attempts  # lazy: as above
    from simkit.explore.outcome import Outcome  # lazy: as above

    for case in cases[:1]:
        attempts(case.space, Outcome(plan=case.space.plan()))


@dataclass(slots=True)
class _Session:
    """One call of ``simkit explore``: watches the campaign, and says when it is over."""

    asked: _Asked
    cases: Sequence[Case]
    skipped: Sequence[tuple[Scenario, str]]
    overrides: Mapping[str, str]
    printer: _Printer
    lines: _Lines
    began: float = field(default_factory=time.monotonic)
    interrupted_at: float | None = None
    _campaign: Campaign | None = None
    _standing: Standing | None = None
    _folder: Path | None = None
    _kept: dict[str, Path] = field(default_factory=dict)
    # Whoever takes it says the last words: this thread, or the one that waits for it to come to an end.
    _last_words: Any = field(default_factory=allocate_lock)

    def run(self) -> int:
        """Explore everything, tell of it, and return the exit code."""
        with self._signals():
            explored = self._explored() if self.cases else ()
            # If the other thread has it, it ends the process while this one waits.
            self._last_words.acquire()
            told = self._told(explored)
            self._keep_all(explored)
            self.lines.hide()
            self.printer.end(told)
        return INTERRUPTED if told.interrupted else told.exit_code

    def _explored(self) -> tuple[CaseExplored, ...]:
        from simkit.explore.campaign import Campaign  # lazy: as above

        with self._workers() as workers, self._opened_state() as state:
            self._folder = state.folder
            in_turns = self.asked.time_ is not None
            self._campaign = Campaign(self.cases, workers, state, self, shard=self.asked.part(), in_turns=in_turns)
            return self._campaign.run()

    def _told(self, explored: tuple[CaseExplored, ...]) -> Told:
        from simkit.commands.explored import Told  # lazy: as above

        return Told(
            explored=explored,
            skipped=tuple(self.skipped),
            wall_s=self._elapsed,
            again=self._standing.again if self._standing else 0,
            interrupted=self.is_broken_off(),
            campaign="" if self._folder is None else self._folder.name,
        )

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self.began

    def _opened_state(self) -> AbstractContextManager[State]:
        from simkit.explore.state import Campaigns  # lazy: as above

        campaigns: Campaigns = Campaigns()
        key = self.asked.key(self.cases)
        newest = campaigns.newest(key) if self.asked.resume else None
        if newest is not None:
            self.tell(f"going on with {newest.as_posix()}")
            return campaigns.resume(newest)
        if self.asked.resume:
            self.tell("there is no campaign of these cases and options to go on with: it begins")
        return campaigns.begin(key)

    def _workers(self) -> AbstractContextManager[Workers]:
        from simkit.explore.workers import here, on_dask, processes  # lazy: as above

        if self.asked.cluster is not None:
            return on_dask(self.asked.cluster, self.asked.workers)
        count = self._processes
        return here() if count == 1 else processes(count, _imported(self.cases))

    @property
    def _processes(self) -> int:
        return self.asked.workers or _processors()

    # -- what is found is kept --
    def _keep(self, case: Case, failure: Failure) -> None:
        from simkit.explore.store import Store, Stored  # lazy: as above

        store: Store = Store()
        scenario = case.scenario
        stored = Stored(
            failure=failure, file=scenario.file, row=scenario.row, settings=self.overrides, subject=self.asked.subject
        )
        self._kept[failure.id] = store.save(stored)

    def _keep_all(self, explored: Sequence[CaseExplored]) -> None:
        """Keep every failure as it is at last; one that has turned out to be another one goes."""
        from simkit.commands.explored import failures_of  # lazy: as above

        last = {failure.id: (one.case, failure) for one, failure in failures_of(explored)}
        for case, failure in last.values():
            self._keep(case, failure)
        for gone in set(self._kept) - set(last):
            self._kept.pop(gone).unlink(missing_ok=True)

    # -- the campaign asks --
    def is_over(self) -> bool:
        """Say whether no unit is to be begun any more."""
        seconds = self.asked.seconds
        return self.is_broken_off() or (seconds is not None and self._elapsed >= seconds)

    def is_broken_off(self) -> bool:
        """Say whether somebody wants it to end."""
        return self.interrupted_at is not None

    def is_abandoned(self) -> bool:
        """Say whether what is under way had its time."""
        return self.interrupted_at is not None and time.monotonic() - self.interrupted_at >= _GRACE_S

    def tell(self, text: str) -> None:
        """Say something that people have to know."""
        self.lines.hide()
        complain(text)

    def found(self, case: Case, failure: Failure) -> None:
        """Keep a failure at once: who knows what happens before the end."""
        self._keep(case, failure)
        self.lines.hide()
        self.printer.found(failure)

    def look(self, standing: Standing) -> None:
        """Show how far it is."""
        self._standing = standing
        total = sum(case.space.runs for case in self.cases) if all(case.space.runs for case in self.cases) else None
        self.lines.look(standing, self._elapsed, self.asked.seconds, total)

    # -- signals --
    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM end it in good order, and a second one at once."""
        from simkit.kernel.threads import start_real_thread  # lazy: as above

        def interrupt(signum: int, frame: FrameType | None) -> None:
            if self.interrupted_at is not None:
                self._end_at_once()
            self.interrupted_at = time.monotonic()
            # A run of this very process may never come back, and a report of one neither.
            start_real_thread(self._end_anyway)

        before = {number: signal.getsignal(number) for number in _SIGNALS}
        # Ctrl-C is not meant for a job in the background, whose shell says so by ignoring it.
        taken = [number for number in _SIGNALS if before[number] in (signal.SIG_DFL, signal.default_int_handler)]
        for number in taken:
            signal.signal(number, interrupt)
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    def _end_at_once(self) -> None:
        self.lines.hide()
        if self._processes > 1:
            # Nothing of an agent's is between here and whoever lets the workers go.
            raise KeyboardInterrupt
        _leave(INTERRUPTED)

    def _end_anyway(self) -> None:
        time.sleep(_LAST_WORDS_S)
        if self._last_words.acquire(blocking=False):
            self.lines.hide()
            self.printer.end_in_short(self._told(self._campaign.explored() if self._campaign else ()))
            _leave(INTERRUPTED)


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _leave(code: int) -> None:
    """End the process now, whatever it is doing; its workers end with it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _imported(cases: Sequence[Case]) -> list[str]:
    """Return the libraries that the subjects will import, so that every worker has them from the beginning."""
    from simkit.run import check_settings, find_subject  # lazy: as above

    found: dict[str, None] = {}
    for case in cases:
        agent = find_subject(case.scenario, case.subject)
        ahead = agent.imports
        names = ahead(check_settings(case.scenario, agent)) if callable(ahead) else ahead
        found.update(dict.fromkeys(names))
    return list(found)


# -- while it runs -----------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Lines:
    """Says how far it is: one line that stands on a terminal, or one every few seconds in a pipe."""

    quiet: bool
    progress: Progress | None
    _last: float = 0.0

    def look(self, standing: Standing, elapsed: float, seconds: float | None, total: int | None) -> None:
        if self.progress is not None:
            done = standing.runs if seconds is None else elapsed
            self.progress.show(_told_of(standing, elapsed, total), done, total if seconds is None else seconds)
        elif not self.quiet and elapsed - self._last >= _LINES_EVERY_S:
            self._last = elapsed
            complain(f"{elapsed:.0f}s  {_told_of(standing, elapsed, total)}")

    def hide(self) -> None:
        if self.progress is not None:
            self.progress.hide()


def _told_of(standing: Standing, elapsed: float, total: int | None) -> str:
    from simkit.reporters.lanes import about, printable  # lazy: as above

    of = "" if total is None else f"/{total}"
    rate = (standing.runs - standing.again) / max(elapsed, 0.001)
    doing = f"shrinking, {standing.shrinking} to go" if standing.shrinking else printable(standing.case)
    figures = f"{standing.runs}{of} plans  {rate:,.0f}/s  {about(standing.virtual_ns)} virtual"
    return f"{figures}  {counted(standing.failures, 'failure')}  {doing}"


# -- at the end --------------------------------------------------------------------------------------------------------
class _Printer(Protocol):
    """What is said when something is found, at the end, and at the end where nothing can be run any more."""

    def found(self, failure: Failure) -> None: ...

    def end(self, told: Told) -> None: ...

    def end_in_short(self, told: Told) -> None: ...


@dataclass(frozen=True, slots=True)
class _Text:
    """Prints for people."""

    out: IO[str] | None
    options: ReportOptions

    def found(self, failure: Failure) -> None:
        from simkit.commands.explored import found_line  # lazy: as above

        if self.options.verbosity >= 0:
            say(self.out, found_line(failure))

    def end(self, told: Told) -> None:
        from simkit.commands.explored import case_text, skipped_line, summary  # lazy: as above

        for one in told.explored:
            word = told.verdict(one)
            if self.options.verbosity >= 0 or one.missing or word != "PASS":
                say(self.out, case_text(one, word, self.options))
        if self.options.verbosity >= 0:
            for scenario, why in told.skipped:
                say(self.out, skipped_line(scenario, why, self.options))
        self._last_words(told)
        say(self.out, summary(told, self.options))

    def end_in_short(self, told: Told) -> None:
        from simkit.commands.explored import in_short, summary  # lazy: as above

        for one in told.explored:
            for text in (text for found in one.failures for text in in_short(found)):
                say(self.out, text)
        self._last_words(told)
        say(self.out, summary(told, self.options))

    def _last_words(self, told: Told) -> None:
        if told.interrupted:
            say(self.out, "\ninterrupted: the same command with --resume goes on from here")


@dataclass(frozen=True, slots=True)
class _Json:
    """Prints one document at the end, and nothing else."""

    out: IO[str] | None

    def found(self, failure: Failure) -> None:
        pass

    def end(self, told: Told) -> None:
        from simkit.commands.explored import document  # lazy: as above

        say(self.out, document(told))

    def end_in_short(self, told: Told) -> None:
        self.end(told)


def _text(asked: _Asked, overrides: dict[str, str], out: IO[str] | None) -> _Text:
    import shutil  # lazy: only a text report asks for the width

    from simkit.reporters.text import ReportOptions  # lazy: as above

    options = ReportOptions(
        width=shutil.get_terminal_size((100, 24)).columns,
        colour=has_colour(out),
        verbosity=asked.verbosity,
        overrides=overrides,
        subject=asked.subject,
        encoding=encoding_of(out),
    )
    return _Text(out, options)

"""The command line: ``simkit run``, ``lint``, ``explain``, ``import``, ``record`` and ``serve``.

The idea: read everything, then run everything, printing each case as it ends; what is said comes from the
reporters, what is meant comes from ``options``. The constraint: a mistake of the caller is one clear message
and exit 2, never a traceback, and the exit code tells a scenario's failure from simkit's own. Running files as
they are read was refused: a typing error in the last one would be told after minutes.

Exit codes: 0 pass; 1 a scenario failed; 2 a scenario or an option is wrong; 3 simkit itself failed, or a
verdict is UNKNOWN; 130 Ctrl-C; 141 the reader of the output went away, as other tools of a pipe say it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from _thread import allocate_lock
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn, Protocol

import click

from simkit.errors import SimkitError, UsageError
from simkit.options import SUFFIX, Outside, parse_overrides, read_paths, scenario_files, told

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event

    from simkit.model.plan import Plan
    from simkit.model.scenario import Scenario
    from simkit.model.verdict import Result
    from simkit.provider.journal import Told
    from simkit.provider.serve import Manner
    from simkit.reporters.text import ReportOptions

PASSED: Final = 0
FAILED: Final = 1
WRONG: Final = 2
BROKEN: Final = 3
INTERRUPTED: Final = 130
UNREAD: Final = 141

# Real seconds that a case has to end after Ctrl-C: enough for a teardown, too little to be taken for a hang.
_GRACE_S: Final = 1.5

_EPILOG: Final = (
    "Exit codes: 0 pass; 1 a scenario failed; 2 a scenario or an option is wrong; "
    "3 simkit itself failed or a verdict is UNKNOWN; 130 Ctrl-C."
)


class _Group(click.Group):
    """Turns every exception into its exit code, in one place."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            _complain("\ninterrupted")
            ctx.exit(INTERRUPTED)
        except BaseException as error:  # noqa: BLE001  # the last net: what is nobody's mistake is simkit's own
            if _is_a_mistake(error):
                _complain(told(error))
                ctx.exit(WRONG)
            _tell_failure(error)
            ctx.exit(BROKEN)


def _is_a_mistake(error: BaseException) -> bool:
    """Say whether this, or all of a group, is what simkit raises on purpose to tell the caller of a mistake."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_a_mistake(one) for one in error.exceptions)
    return isinstance(error, SimkitError)


def _tell_failure(error: BaseException) -> None:
    import traceback  # lazy: only simkit's own failure needs it

    _complain("simkit itself failed; the scenario is not to blame. Please report this:\n")
    _complain("".join(traceback.format_exception(error)))


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-simkit", prog_name="simkit")
def main() -> None:
    """Run scenarios (*.sim.yaml) against LLM-agent loops in a simulated machine.

    Ninety virtual seconds of stall cost no wall time, and the same plan gives the same run.

    \b
    Examples:
      simkit run scenarios/
      simkit lint scenarios/basics/parallel_tools.sim.yaml
      simkit import cassette.yaml -o session.sim.yaml
      simkit record --upstream https://api.openai.com
      simkit serve session.sim.yaml --port 8080
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
@click.option(
    "--verify",
    is_flag=True,
    help="Run everything again in a new process under another hash seed, and fail where a trace differs.",
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
    printer = _Json(sys.stdout) if form == "json" else _text(overrides, subject, level)
    # Whatever an agent prints must not get between the lines of the document.
    with contextlib.redirect_stdout(sys.stderr) if form == "json" else contextlib.nullcontext():
        cases = read_paths(paths or (".",), Outside(settings=overrides, subject=subject))
        session = _Session(cases, as_plan(plan), subject, printer)
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

    options = [*(f"--set={text}" for text in settings)]
    options += [f"--{name}={value}" for name, value in (("subject", subject), ("plan", plan)) if value is not None]
    different = verify(results, [*options, "--", *paths])
    for text in different:
        _say(sys.stdout, f"\n{text}")
    same = len(results) - len(different)
    _say(sys.stdout, f"\nverified: {same} of {_counted(len(results), 'case')} ran the same under another hash seed")
    return FAILED if different else PASSED


@main.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
def lint(paths: tuple[str, ...]) -> None:
    """Check scenarios without running them. Prints every problem with its place; no PATH means this folder.

    \b
    Example:
      simkit lint scenarios/
    """
    cases = read_paths(paths or (".",), Outside())
    files = len({case.file for case in cases})
    _say(sys.stdout, f"{_counted(files, 'file')}, {_counted(len(cases), 'case')}: no problems")


@main.command(epilog=_EPILOG)
@click.argument("name", required=False, metavar="[NAME]")
def explain(name: str | None) -> None:
    """Say what a law, a flaw or a page is about.

    NAME is what a report names: a law (no_orphans), a flaw of the built-in agent (flaw:no_cancel_all), or a page
    (catalogue). Without one, everything that there is.
    """
    from simkit.explain import explained, listed  # lazy: --help needs no law

    _say(sys.stdout, explained(name) if name else listed())


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# -- recordings ------------------------------------------------------------------------------------------------------
_EPILOG_OF_FILES: Final = (
    "Exit codes: 0 written; 2 a file or an option is wrong; 3 simkit itself failed; 130 Ctrl-C (what was recorded "
    "until then is written)."
)
_LOOPBACK: Final = "127.0.0.1"


@main.command("import", epilog=_EPILOG_OF_FILES)
@click.argument("cassette", metavar="CASSETTE")
@click.option("-o", "--output", metavar="FILE", help=f"Write the scenario to this new file, NAME{SUFFIX}.")
@click.option(
    "--pace",
    default="20ms",
    metavar="DURATION",
    show_default=True,
    help="What passes before each frame of a stream: a cassette does not know; 0s is at once.",
)
@click.option("--title", default="", metavar="TEXT", help="The title, instead of the first message of the user.")
def import_(cassette: str, output: str | None, pace: str, title: str) -> None:
    """Make a scenario of a cassette that vcrpy recorded (YAML or JSON), and print it or write it to a file.

    Every completion request in it becomes an answer under `provider:`; other hosts play the cassette itself. The
    tools become stubs that return what was recorded. Secrets are masked. What could not be told in steps is kept as
    raw bytes, with a comment that says why.

    \b
    Examples:
      simkit import tests/cassettes/chat.yaml
      simkit import tests/cassettes/chat.yaml -o scenarios/chat.sim.yaml --pace 50ms
    """
    from simkit.provider.importer import Source, import_cassette  # lazy: --help and usage errors need no dialects

    _refuse_file(output)
    pace_ns = _duration("--pace", pace)
    text = import_cassette(Source(cassette=cassette, file=output or "", title=title, pace_ns=pace_ns))
    if output is None:
        _say(sys.stdout, text.rstrip("\n"))
        return
    _write(output, text)
    _say(sys.stdout, f"{output}: {_read_again(output)}")


@main.command(epilog=_EPILOG_OF_FILES)
@click.option("--upstream", required=True, metavar="URL", help="The real provider, such as https://api.openai.com.")
@click.option("--host", default=_LOOPBACK, show_default=True, help="The address to listen on.")
@click.option("--port", default=0, metavar="N", type=click.IntRange(0, 65535), help="The port; a free one without it.")
@click.option(
    "-o",
    "--output",
    default=f"recorded{SUFFIX}",
    metavar="FILE",
    show_default=True,
    help="The scenario, a new file; its cassette goes beside it.",
)
@click.option(
    "--redact",
    multiple=True,
    metavar="FIELD",
    help="Mask this header, key of the query, or key of JSON at any depth, beside those that are masked anyway.",
)
@click.option("--requests", metavar="N", type=click.IntRange(1), help="Stop after so many requests.")
def record(upstream: str, host: str, port: int, output: str, redact: tuple[str, ...], requests: int | None) -> None:
    """Record a real provider: a proxy that writes down what was said, in which pieces, and when.

    Give its address to your SDK as base_url, run your agent, and press Ctrl-C. The scenario plays the same pieces with
    the same gaps (rounded to 1 ms) and the same end, also of a stream that broke off. The cassette beside it loads with
    vcrpy. Both are written anew after each request, with keys and authorization masked.

    \b
    Examples:
      simkit record --upstream https://api.openai.com
      simkit record --upstream https://api.openai.com/v1 --port 8080 -o chat.sim.yaml --redact user_id
    """
    import asyncio  # lazy: reading a cassette, or help, needs no loop

    from simkit.provider.masking import Masking  # lazy: as above
    from simkit.provider.proxy import Proxy, Upstream  # lazy: as above
    from simkit.provider.proxy import record as record_until_done  # lazy: as above
    from simkit.provider.recorder import Recording, cassette_beside  # lazy: as above

    server = Upstream.parse(upstream)
    cassette = cassette_beside(output, SUFFIX)
    _refuse_file(output)
    _refuse_there(cassette)
    recording = Recording(output, cassette, Masking.of(redact))

    def ready(address: str) -> None:
        _say(sys.stdout, f"recording {upstream}; give your SDK base_url {address}{_base_path(server.path)}")
        _say(sys.stdout, "press Ctrl-C to stop")

    async def serve() -> None:
        proxy = Proxy(server, recording, lambda line: _say(sys.stdout, line), requests)
        await record_until_done(proxy, host, port, ready)

    try:
        asyncio.run(serve())
    except OSError as error:
        raise UsageError(f"the recording cannot be written to {output!r}: {error.strerror or error}") from error
    finally:
        if len(recording):
            _say(sys.stdout, f"\n{output} and {cassette}: {_counted(len(recording), 'request')}")
    if len(recording):
        _read_again(output)


def _base_path(path: str) -> str:
    """Return what an SDK's base URL has behind the address of the proxy, if the upstream was given without it."""
    return "" if path else "/v1 (or what your provider's has behind its host)"


def _duration(option: str, text: str) -> int:
    from simkit.model.duration import FOREVER, parse_duration  # lazy: as above

    try:
        ns = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}, expected a number and a unit, such as 20ms") from error
    if ns == FOREVER:
        raise UsageError(f"{option}: {text!r} never ends, expected a duration that does")
    return ns


def _refuse_file(name: str | None) -> None:
    """Raise for a name under which no scenario would be found, or under which there is something already."""
    if name is None:
        return
    if not name.endswith(SUFFIX):
        raise UsageError(f"{name!r} is no name of a scenario: expected one that ends with {SUFFIX}")
    _refuse_there(name)


def _refuse_there(name: str) -> None:
    if os.path.lexists(name):
        raise UsageError(f"{name!r} is there already, and nothing is written over it: give another name")
    if not os.path.isdir(os.path.dirname(name) or "."):
        raise UsageError(f"there is no folder {os.path.dirname(name)!r} to write {os.path.basename(name)!r} to")


def _write(name: str, text: str) -> None:
    from simkit.provider.vcrfiles import write_atomically  # lazy: as above

    try:
        write_atomically(name, text)
    except OSError as error:
        raise UsageError(f"{name!r} cannot be written: {error.strerror}") from error


def _read_again(name: str) -> str:
    """Read what was written, as ``run`` will: a recording can be larger than a scenario may be."""
    from simkit.run import load  # lazy: as above

    (case,) = load(name)
    return _counted(len(case.provider), "answer")


# -- serving ---------------------------------------------------------------------------------------------------------
@main.command(
    epilog="Exit codes: 0 every request was foreseen (Ctrl-C is the usual end); 1 one was not, or --once ended with "
    "answers left; 2 the file, an option or the port is wrong; 3 simkit itself failed."
)
@click.argument("file", metavar="FILE[::ROW]")
@click.option("--host", default=_LOOPBACK, show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    metavar="N",
    type=click.IntRange(0, 65535),
    help="The port; 0 is any free one.",
)
@click.option(
    "--speed",
    default="1",
    metavar="X",
    show_default=True,
    help="How many times as fast as the script says; 0 or max: wait for nothing.",
)
@click.option("--once", is_flag=True, help="End when the script is used up.")
@click.option("--loop", is_flag=True, help="Begin the script anew when it is used up.")
@click.option("--log", is_flag=True, help="Print connections and frames too.")
@click.option("-q", "--quiet", is_flag=True, help="Print the addresses, and what was not foreseen.")
def serve(file: str, host: str, port: int, speed: str, once: bool, loop: bool, log: bool, quiet: bool) -> None:
    """Serve the provider of a scenario on a port, for clients in any language.

    The first lines say the base URL for each dialect; then comes a line for each request and answer. A request that
    the script does not foresee gets status 500 with the reason (and `x-should-retry: false`), and makes the exit
    status 1.

    A request is for the host that its Host header names: one of the provider's, one of `when: {host: ...}`, or one of
    `hosts:`. Any other name (such as 127.0.0.1:8080) is the provider of the dialect that the path belongs to.
    NAME.localhost counts as NAME; without a port it counts as NAME:443, which cassettes are matched by.

    On a port, `connection: refused` and `reset` are a connection that is accepted and reset, `timeout` is one that
    stays silent; `unknown_host` is refused at the start. The file's user, tools and expectations play no part;
    `limits: {requests: N}` does, which is 200 where the file says nothing.

    \b
    Examples:
      simkit serve scenarios/basics/retry_429_then_500.sim.yaml
      simkit serve chat.sim.yaml::181s --port 0 --speed max --once
    """
    import asyncio  # lazy: help needs no loop

    from simkit.provider.serve import Manner  # lazy: as above

    if once and loop:
        raise UsageError("--once and --loop exclude each other: the script ends the server, or begins anew")
    manner = Manner(
        host=host,
        port=port,
        speed=_speed(speed),
        mode="once" if once else "loop" if loop else "stay",
        events_max=0,
        epoch_s=int(time.time()),
    )
    log_to = _ServeLog(_has_colour(sys.stdout), all_of_them=log, quiet=quiet)
    click.get_current_context().exit(asyncio.run(_serve(_one_case(file), manner, log_to)))


async def _serve(scenario: Scenario, manner: Manner, log: _ServeLog) -> int:
    """Serve until the script, a signal or a broken pipe ends it; return the exit code."""
    import asyncio  # lazy: as above

    from simkit.extensions import names  # lazy: as above
    from simkit.provider.serve import served  # lazy: as above

    stop = log.stop = asyncio.Event()
    _stop_by_signals(asyncio.get_running_loop(), stop)
    async with served(scenario, replace(manner, tell=log.tell)) as server:
        width = max(map(len, names("dialects")))
        for name in names("dialects"):
            _say(sys.stdout, f"{name:<{width}}  {server.base_url(name)}")
        if not server.is_loopback:
            _complain(f"simkit: {server.address[0]} can be reached from elsewhere, without TLS or a password")
        ends = [asyncio.ensure_future(event.wait()) for event in (server.done, stop)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
    if log.unread is not None:
        raise log.unread
    for failure in server.failures:
        _tell_failure(failure)
    if server.failures:
        return BROKEN
    return FAILED if server.ended or (manner.mode == "once" and server.unused()) else PASSED


def _stop_by_signals(loop: AbstractEventLoop, stop: Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        # A job in the background of a shell is not meant when Ctrl-C is pressed.
        if signal.getsignal(number) is not signal.SIG_IGN:
            # Where a loop takes no signals (Windows), Ctrl-C raises KeyboardInterrupt as everywhere.
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, stop.set)


def _speed(text: str) -> float:
    speed = 0.0 if text == "max" else _number(text)
    if speed is None or not 0 <= speed < float("inf"):
        raise UsageError(f"--speed: {text!r} is no speed, expected a number of 0 or more, or max")
    return speed


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _one_case(text: str) -> Scenario:
    """Read the one case that is meant. Its subject plays no part, and need not be there."""
    from simkit.run import load  # lazy: as above

    files = scenario_files(text)
    if len(files) != 1:
        raise UsageError(f"{text!r} is a folder of {_counted(len(files), 'file')}, expected one file")
    ((path, row),) = files
    cases = load(path)
    meant = [case for case in cases if row in (None, case.case)]
    if len(meant) != 1:
        rows = ", ".join(case.case for case in cases)
        raise UsageError(f"{text!r} means {_counted(len(meant), 'case')}, expected one - name a row: {rows}")
    return meant[0]


@dataclass(slots=True)
class _ServeLog:
    """Prints what a server tells: lines to standard output, what was not foreseen to standard error."""

    colour: bool
    all_of_them: bool
    quiet: bool
    stop: Event | None = None
    # Set when nobody reads the output any more, which ends the server.
    unread: click.exceptions.Exit | None = None

    def tell(self, told: Told) -> None:
        from simkit.model.trace import Event  # lazy: as above
        from simkit.provider.journal import line_of  # lazy: as above

        if not isinstance(told, Event):
            if not self.quiet:
                _complain(f"simkit: {told.text}")
        elif told.kind == "run.end":
            _complain(f"simkit: not foreseen: {told.get('text')}")
        elif not self.quiet and (line := line_of(told, all_of_them=self.all_of_them)) is not None:
            self._print(click.style(line.text, fg="red") if line.bad and self.colour else line.text)

    def _print(self, text: str) -> None:
        try:
            if self.unread is None:
                _say(sys.stdout, text)
        except click.exceptions.Exit as error:
            # The provider must not take this for an error of its own; it is raised once the server has ended.
            self.unread = error
            if self.stop is not None:
                self.stop.set()


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
    plan: Plan
    subject: str | None
    printer: _Printer
    trace_to: IO[str] | None = None
    results: list[Result] = field(default_factory=list)
    interrupted: bool = False

    def play(self) -> None:
        """Run the cases in order, until the last or until Ctrl-C."""
        from simkit.kernel.machine import MACHINE  # lazy: as above
        from simkit.run import run_once  # lazy: as above

        try:
            # Clocks are replaced once for all cases: that costs more than a case.
            with self._ctrl_c(), MACHINE.held():
                for case in self.cases:
                    result = run_once(case, self.plan, subject=self.subject)
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
            self.trace_to.write(JSONL.render(self.results))
            self.trace_to.flush()
        except OSError as error:
            _complain(f"simkit: {_unwritable(self.trace_to.name, error)}")
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
    from simkit.model.verdict import Verdict  # lazy: as above

    worst = max((r.verdict for r in results), default=Verdict.PASS)
    return {Verdict.PASS: PASSED, Verdict.FAIL: FAILED, Verdict.UNKNOWN: BROKEN}[worst]


# -- printing --------------------------------------------------------------------------------------------------------
class _Printer(Protocol):
    """What is said of each case as it ends, and at the end."""

    def case(self, result: Result) -> None: ...

    def end(self, results: Sequence[Result], cases: Sequence[Scenario], interrupted: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class _Text:
    """Prints for people, while it runs."""

    out: IO[str] | None
    options: ReportOptions

    def case(self, result: Result) -> None:
        from simkit.model.verdict import Verdict  # lazy: as above
        from simkit.reporters.text import case_line, failure  # lazy: as above

        if self.options.verbosity >= 0:
            _say(self.out, case_line(result, self.options))
        if result.verdict is not Verdict.PASS:
            _say(self.out, failure(result, self.options))

    def end(self, results: Sequence[Result], cases: Sequence[Scenario], interrupted: bool) -> None:
        from simkit.reporters.text import summary  # lazy: as above

        if interrupted:
            _say(self.out, f"\n{_interrupted(results, cases)}")
        _say(self.out, summary(results, self.options))


@dataclass(frozen=True, slots=True)
class _Json:
    """Prints one document at the end, and nothing else."""

    out: IO[str] | None

    def case(self, result: Result) -> None:
        pass

    def end(self, results: Sequence[Result], cases: Sequence[Scenario], interrupted: bool) -> None:
        from simkit.reporters.json import JSON  # lazy: as above

        if interrupted:
            _complain(f"\n{_interrupted(results, cases)}")
        _say(self.out, JSON.render(results).rstrip("\n"))


def _interrupted(results: Sequence[Result], cases: Sequence[Scenario]) -> str:
    at = f" in {cases[len(results)].name}" if len(results) < len(cases) else ""
    return f"interrupted{at}: {len(results)} of {_counted(len(cases), 'case')} done"


def _text(overrides: dict[str, str], subject: str | None, verbosity: int) -> _Text:
    import shutil  # lazy: only a text report asks for the width

    from simkit.reporters.text import ReportOptions  # lazy: as above

    out: IO[str] | None = sys.stdout
    options = ReportOptions(
        width=shutil.get_terminal_size((100, 24)).columns,
        colour=_has_colour(out),
        verbosity=verbosity,
        overrides=overrides,
        subject=subject,
        encoding=_encoding(out),
    )
    return _Text(out, options)


def _has_colour(out: IO[str] | None) -> bool:
    """Say whether to use colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    if out is None or not out.isatty():
        return False
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _encoding(out: IO[str] | None) -> str:
    return getattr(out, "encoding", None) or "utf-8"


def _say(out: IO[str] | None, text: str) -> None:
    """Print a line and escape what the terminal cannot show; without a standard output there is nobody to say it to."""
    if out is None:
        return
    try:
        click.echo(text.encode(_encoding(out), "backslashreplace").decode(_encoding(out)), file=out)
    except OSError as error:
        _stop_saying(out, error)


def _stop_saying(out: IO[str], error: OSError) -> NoReturn:
    # Python writes what is left in the buffer once more when it exits: that must go somewhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    if error.errno == errno.EPIPE:
        raise click.exceptions.Exit(UNREAD)
    _complain(f"simkit: the output cannot be written: {error.strerror}")
    raise click.exceptions.Exit(BROKEN)


def _complain(text: str) -> None:
    # When even this cannot be written, the exit code is all that is left to say.
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


if __name__ == "__main__":
    main()

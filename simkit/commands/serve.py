"""``simkit serve``: the provider of a scenario on a port, and what is printed of what happens there.

The idea: addresses first, then a line for each request, and an exit code that says whether the script foresaw them
all. A daemon with a configuration file was refused: the scenario is the configuration.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from simkit.commands.files import LOOPBACK
from simkit.commands.terminal import BROKEN, FAILED, PASSED, complain, counted, has_colour, say, tell_failure
from simkit.errors import UsageError
from simkit.options import scenario_files

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event

    from simkit.model.scenario import Scenario
    from simkit.provider.journal import Told
    from simkit.provider.serve import Manner


@click.command(
    "serve",
    epilog="Exit codes: 0 every request was foreseen (Ctrl-C is the usual end); 1 one was not, or --once ended with "
    "answers left; 2 the file, an option or the port is wrong; 3 simkit itself failed.",
)
@click.argument("file", metavar="FILE[::ROW]")
@click.option("--host", default=LOOPBACK, show_default=True, help="The address to listen on.")
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
def command(file: str, host: str, port: int, speed: str, once: bool, loop: bool, log: bool, quiet: bool) -> None:
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
    log_to = _ServeLog(has_colour(sys.stdout), all_of_them=log, quiet=quiet)
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
            say(sys.stdout, f"{name:<{width}}  {server.base_url(name)}")
        if not server.is_loopback:
            complain(f"simkit: {server.address[0]} can be reached from elsewhere, without TLS or a password")
        ends = [asyncio.ensure_future(event.wait()) for event in (server.done, stop)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
    if log.unread is not None:
        raise log.unread
    for failure in server.failures:
        tell_failure(failure)
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
        raise UsageError(f"{text!r} is a folder of {counted(len(files), 'file')}, expected one file")
    ((path, row),) = files
    cases = load(path)
    meant = [case for case in cases if row in (None, case.case)]
    if len(meant) != 1:
        rows = ", ".join(case.case for case in cases)
        raise UsageError(f"{text!r} means {counted(len(meant), 'case')}, expected one - name a row: {rows}")
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
                complain(f"simkit: {told.text}")
        elif told.kind == "run.end":
            complain(f"simkit: not foreseen: {told.get('text')}")
        elif not self.quiet and (line := line_of(told, all_of_them=self.all_of_them)) is not None:
            self._print(click.style(line.text, fg="red") if line.bad and self.colour else line.text)

    def _print(self, text: str) -> None:
        try:
            if self.unread is None:
                say(sys.stdout, text)
        except click.exceptions.Exit as error:
            # The provider must not take this for an error of its own; it is raised once the server has ended.
            self.unread = error
            if self.stop is not None:
                self.stop.set()

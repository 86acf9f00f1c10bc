"""The server: a script on a port of this machine, for clients that no simulated world can hold.

The idea: it is the same provider, on another stage; here is only what a server has beyond one: a port, hosts by their
names in requests, and what happens when the script is used up. The constraint: whatever the script does not foresee is
told to the client, told to whoever runs the server, and remembered to the end, so a green end means that everything
was asked as it was written. A server that repeats its last answer was refused: it hides the client that asks too often.

For whom a request is: for the host that its ``Host`` header (or its target, where a client takes this port for its
proxy) names; ``NAME.localhost`` counts as ``NAME``. Any other name, such as the address of this port, stands for the
provider's own host of the dialect that the path belongs to. A name without a port stands for port 443, as which most
cassettes know their hosts.

A script that is used up, by mode: ``stay`` answers every further request with 500; ``once`` ends the server when the
last answer is out and every background job's end was told to somebody; ``loop`` lets the next completion request find
the script as new. A script with ``times: any`` is never used up. ``connection: unknown_host`` and ``network``
are refused at the start: no socket can play them.

It has no TLS and no authentication, which is why it listens on loopback unless it is told otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from simkit.contracts import Dialect, HttpRequest, JobDialect
from simkit.errors import RunEndedError, UsageError
from simkit.extensions import find, names
from simkit.model.duration import NS_PER_S
from simkit.model.scenario import Scenario
from simkit.model.timeline import UnreachableReply
from simkit.model.trace import Event, Trace
from simkit.provider.arrivals import Bounds
from simkit.provider.job import FINAL
from simkit.provider.journal import Journal, Told
from simkit.provider.provider import Provider
from simkit.provider.sockets import Doors, Place, SocketStage
from simkit.provider.tempo import tempo

Mode = Literal["stay", "once", "loop"]

_HTTPS: Final = 443
_BACKLOG: Final = 1024
_LOCAL: Final = ".localhost"
# Whoever asks for a job that is over is told so.
_OVER: Final = FINAL | {"expired"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a script is served. ``speed`` 1 is real time, 10 ten times as fast, 0 waits for nothing.

    ``tell`` is called with everything that happens. ``events_max`` is how many events are kept (None: all), ``epoch_s``
    the wall clock's reading at the start (None: what the scenario says).
    """

    host: str = "127.0.0.1"
    port: int = 0
    speed: float = 1.0
    mode: Mode = "stay"
    bounds: Bounds = field(default_factory=Bounds)
    tell: Callable[[Told], object] | None = None
    events_max: int | None = None
    epoch_s: int | None = None


class Server:
    """A scenario's provider and hosts on one port. Raises ``UsageError`` for a scenario that cannot be served."""

    def __init__(self, scenario: Scenario, manner: Manner) -> None:
        _refuse_unknown_hosts(scenario)
        _refuse_links(scenario)
        self._scenario = scenario
        self._manner = manner
        self._dialects = [cast(Dialect, find("dialects", name)) for name in names("dialects")]
        self._journal = Journal(self._hear, manner.events_max)
        self._jobs = _Jobs()
        self._tempo = tempo(asyncio.get_running_loop(), manner.speed)
        self._doors = Doors(manner.bounds, self._journal, self._place, self._settled)
        self._round = self._new_round()
        self._address: tuple[str, int] = ("", 0)
        self._listening: asyncio.Server | None = None
        # The script was played to its end, and the mode is to end with it.
        self.done = asyncio.Event()

    # -- what it is ------------------------------------------------------------------------------------------------
    @property
    def events(self) -> Trace:
        """What happened so far, as a trace."""
        return self._journal.trace

    @property
    def ended(self) -> RunEndedError | None:
        """Why the script could not go on, the first time that it could not."""
        return self._journal.ended

    @property
    def failures(self) -> list[Exception]:
        """What went wrong in simkit itself: the first few times that something did."""
        return self._journal.failures

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: address and port."""
        return self._address

    @property
    def is_loopback(self) -> bool:
        """Say whether only this machine can reach it."""
        return ipaddress.ip_address(self._address[0].partition("%")[0]).is_loopback

    def base_url(self, dialect: str) -> str:
        """Return the URL for an SDK. Raises ``UsageError`` when no dialect has this name."""
        path = urlsplit(cast(Dialect, find("dialects", dialect)).base_url).path
        name, port = self._address
        # Nobody can dial "any address"; on this machine loopback is one of them.
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)
        return f"http://{f'[{name}]' if ':' in name else name}:{port}{path}"

    def unused(self) -> int:
        """Return how many answers of the script were not asked for as often as they could have been."""
        return len(self._round.provider.unused())

    # -- its life --------------------------------------------------------------------------------------------------
    async def listen(self) -> None:
        """Begin to accept clients. Raises ``UsageError`` when the address cannot be had."""
        host, port = self._manner.host, self._manner.port
        loop = asyncio.get_running_loop()
        try:
            if not port:
                # A name may have several addresses, and each of them would get a port of its own.
                found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
                host = str(min(found, key=lambda one: one[0] != socket.AF_INET)[4][0])
            self._listening = await loop.create_server(self._doors.open, host, port, backlog=_BACKLOG)
        except (OSError, OverflowError) as error:
            # The loop puts the address into its text, which is said here already.
            code = error.errno if isinstance(error, OSError) else None
            text = (os.strerror(code) if code is not None and code in errno.errorcode else str(error)).lower()
            raise UsageError(f"cannot listen on {host}:{port}: {text} - give another --port, or 0 for any") from error
        self._address = self._listening.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """Say what was never asked for, and end every connection."""
        if self._listening is not None:
            self._listening.close()
        self._round.stage.close()
        await self._doors.close()

    # -- the script ------------------------------------------------------------------------------------------------
    def _new_round(self) -> _Round:
        epoch_s = self._manner.epoch_s
        starts_ns = self._scenario.starts_ns if epoch_s is None else epoch_s * NS_PER_S
        stage = SocketStage(self._tempo, self._journal, starts_ns)
        return _Round(stage, Provider(stage, self._scenario))

    def _place(self, request: HttpRequest, seated: SocketStage | None) -> Place:
        """Say for whom a request is, of a client that spoke to this stage before."""
        dialect = next((d for d in self._dialects if d.claims(request.method, request.path)), None)
        if dialect is not None and self._manner.mode == "loop" and self._used_up():
            # The one before plays on for those whom it still answers.
            self._journal.remark("the script starts anew")
            self._round = self._new_round()
        owner = dialect or next((d for d in self._dialects if _is_job_of(d, request)), None)
        # A job is known to the round that it was created in, and in every round the ids are the same.
        is_about_job = owner is not None and dialect is None
        stage = seated if seated is not None and is_about_job else self._round.stage
        name, port = _named(request)
        host = stage.hosts.get(name)
        if host is None:
            host, port = stage.hosts[_host_of(owner or self._dialects[0])], _HTTPS
        return Place(stage, host, port)

    def _used_up(self) -> bool:
        answers = self._scenario.provider
        return bool(answers) and all(answer.times is not None for answer in answers) and not self.unused()

    def _hear(self, told: Told) -> None:
        if isinstance(told, Event):
            self._jobs.hear(told)
        if self._manner.tell is not None:
            self._manner.tell(told)

    def _settled(self) -> None:
        """Something is over: perhaps everything is."""
        waits = self._doors.busy(self._round.stage) or self._jobs.open
        if self._manner.mode == "once" and self._used_up() and not waits:
            self.done.set()


@dataclass(frozen=True, slots=True)
class _Round:
    """The script, played once."""

    stage: SocketStage
    provider: Provider


class _Jobs:
    """The background jobs whose end nobody was told of, read off the events."""

    def __init__(self) -> None:
        # Job -> the request that made it, and its state.
        self.open: dict[object, tuple[object, object]] = {}

    def hear(self, event: Event) -> None:
        """Take note of what happens to jobs and to their streams."""
        if event.kind == "job.state":
            self.open[event.get("job")] = (event.get("request"), event.get("state"))
        elif event.kind == "job.request" and event.get("state") in _OVER:
            self.open.pop(event.get("job"), None)
        elif event.kind == "stream.end" and event.get("how") in ("complete", "eof"):
            told = [
                job for job, (request, state) in self.open.items() if request == event.get("request") and state in _OVER
            ]
            for job in told:
                del self.open[job]


# -- whom a request is for -------------------------------------------------------------------------------------------
def _named(request: HttpRequest) -> tuple[str, int]:
    """Return the host that a request names, in small letters, and its port."""
    named = urlsplit(request.target).netloc if "://" in request.target else request.header("host") or ""
    usual = 80 if request.target.startswith("http://") else _HTTPS
    try:
        parts = urlsplit(f"//{named}")
        name, port = parts.hostname or "", parts.port or usual
    except ValueError:  # no host has such a name, so it stands for the provider
        return "", usual
    return name.rstrip(".").removesuffix(_LOCAL), port


def _is_job_of(dialect: Dialect, request: HttpRequest) -> bool:
    return isinstance(dialect, JobDialect) and dialect.job_request(request) is not None


def _host_of(dialect: Dialect) -> str:
    return str(urlsplit(dialect.base_url).hostname)


def _refuse_unknown_hosts(scenario: Scenario) -> None:
    """Refuse what a listening socket cannot play at all."""
    unknown = UnreachableReply(how="unknown_host")
    places = [f"line {answer.place.line}" if answer.place else "an answer" for answer in scenario.provider]
    answers = [answer.reply for answer in scenario.provider]
    for where, reply in [*zip(places, answers, strict=True), *scenario.hosts.items()]:
        if reply == unknown:
            raise UsageError(
                f"`connection: unknown_host` ({where}) cannot be served: whoever reaches this port has found it - "
                "use refused, or run the scenario in a world"
            )


def _refuse_links(scenario: Scenario) -> None:
    """Refuse what belongs to a simulated network: over a real one, nobody decides when a byte arrives."""
    for host, link in scenario.network.items():
        where = f"line {link.place.line}" if link.place else host
        raise UsageError(
            f"`network:` ({where}) cannot be served: over real sockets the link to {host!r} is what it is - "
            "take it out, or run the scenario in a world"
        )


# -- faces -----------------------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def serving(
    scenario: Scenario,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float = 1.0,
    bounds: Bounds | None = None,
) -> AsyncIterator[Server]:
    """Serve a scenario in the running loop. Port 0 is any that is free; speed 0 waits for nothing.

    What the script does not foresee raises nothing here: it is ``Server.ended``. Raises ``UsageError``.
    """
    manner = Manner(host=host, port=port, speed=speed, bounds=bounds or Bounds())
    async with served(scenario, manner) as server:
        yield server


@contextlib.asynccontextmanager
async def served(scenario: Scenario, manner: Manner) -> AsyncIterator[Server]:
    """Serve a scenario in this manner. Raises ``UsageError``."""
    server = Server(scenario, manner)
    await server.listen()
    try:
        yield server
    finally:
        await server.close()


@contextlib.contextmanager
def serving_in_thread(
    scenario: Scenario,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float = 1.0,
    bounds: Bounds | None = None,
) -> Iterator[Server]:
    """Serve a scenario in a thread of its own, for clients that block. As ``serving`` else.

    Of the server, only what it tells (``base_url``, ``events``, ``ended``, ``unused``) may be asked from outside.
    """
    ready: Future[tuple[Server, Callable[[], object]]] = Future()

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        async with serving(scenario, host=host, port=port, speed=speed, bounds=bounds) as server:
            ready.set_result((server, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # told to whoever waits in the other thread
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run, name="simkit serve", daemon=True)
    thread.start()
    server, stop = ready.result()
    try:
        yield server
    finally:
        stop()
        thread.join()

"""The stage: everything that the provider needs of its surroundings, and nothing that says what they are.

The idea: a provider needs a clock, somebody to call it later, a place to write down what happens, and connections to
speak on; ``Stage`` and ``Line`` name these, so one provider plays in a simulated world and on real sockets. The
constraint: nothing else of this room imports the kernel, so what a script does cannot depend on where it is played.
Handing the world through was refused: ``simkit serve`` has none.

``WorldStage`` is the simulated world as a stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from simkit.model.duration import NS_PER_S

if TYPE_CHECKING:
    from simkit.kernel.network import Endpoint
    from simkit.kernel.world import World


class Timer(Protocol):
    """Something that is to happen."""

    def cancel(self) -> None:
        """Let it not happen."""
        ...


class Line(Protocol):
    """One connection, as its server has it. All of it is called from one thread, one call at a time."""

    @property
    def connection(self) -> int:
        """The connection's number on this stage, for the trace."""
        ...

    @property
    def host(self) -> str:
        """The name of the host that was dialled."""
        ...

    @property
    def port(self) -> int:
        """The port that was dialled."""
        ...

    @property
    def writable(self) -> bool:
        """Say whether a sender may go on; once it is not, ``drained`` tells when it is again."""
        ...

    @property
    def cut_off(self) -> bool:
        """Say whether the way between the two broke the connection, and not the client."""
        ...

    def send(self, data: bytes) -> None:
        """Send bytes, in order; never refuses, also where it is not writable. Nothing happens for no bytes."""
        ...

    def consumed(self, count: int) -> None:
        """Say that so many received bytes were read."""
        ...

    def answered(self) -> None:
        """Hear that a whole answer was sent: what comes next is for another request."""
        ...

    def close(self) -> None:
        """Close both ways, after what was sent."""
        ...

    def reset(self) -> None:
        """Break the connection at once (RST)."""
        ...

    def turn(self, action: Callable[[], object]) -> Timer:
        """Call ``action`` at this same instant, but once what was sent so far could be read by itself."""
        ...


class Guest(Protocol):
    """Whoever sits at a line; the stage calls it."""

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""
        ...

    def ended(self) -> None:
        """The client will send no more (FIN)."""
        ...

    def lost(self, error: OSError) -> None:
        """The client broke the connection."""
        ...

    def drained(self) -> None:
        """The line is writable again."""
        ...


# Takes a connection that was made.
Accept = Callable[[Line], Guest]
# Says how an attempt to reach a port fails at a stage of it ("name", then "connect"), or None when it does not: at the
# first "unknown_host", at the second "refused", "reset" or "timeout". It is asked once for each attempt, before
# ``Accept``; surroundings that learn of a connection only when it is there ask about "connect" just then.
Admit = Callable[[int, str], "str | None"]


class Stage(Protocol):
    """Where a provider plays."""

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the start."""
        ...

    @property
    def starts_ns(self) -> int:
        """The wall clock's reading at the start, in nanoseconds since 1970."""
        ...

    def call_later_ns(self, delay_ns: int, action: Callable[[], object], label: str) -> Timer:
        """Call ``action`` after this many nanoseconds; ``label`` says in a plan's words what happens."""
        ...

    def record(self, actor: str, kind: str, **values: object) -> None:
        """Write an event into the trace."""
        ...

    def end(self, reason: str, text: str) -> BaseException:
        """Note that the run is over; return what is to be raised for it."""
        ...

    @property
    def struck(self) -> bool:
        """Say whether faults of a plan belong to this run, beside those of the script."""
        ...

    def fault_at(self, site: str) -> str:
        """Return the kind of fault that the plan has for this site, such as ``answer2.frame3``; empty for none."""
        ...

    def serve(self, host: str, accept: Accept, admit: Admit) -> None:
        """Make a host known, on every port."""
        ...

    def at_end(self, action: Callable[[], object]) -> None:
        """Call ``action`` when the run is over, while the trace is still open."""
        ...


def epoch_s(stage: Stage) -> int:
    """Return the wall clock's reading at this instant, in seconds since 1970."""
    return (stage.starts_ns + stage.now_ns) // NS_PER_S


class WorldStage:
    """A simulated world as a stage."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def now_ns(self) -> int:
        """Virtual nanoseconds since the start of the run."""
        return self._world.clock.now_ns

    @property
    def starts_ns(self) -> int:
        """The simulated wall clock's reading at the start."""
        return self._world.starts_ns

    def call_later_ns(self, delay_ns: int, action: Callable[[], object], label: str) -> Timer:
        """Put an event on the agenda."""
        return self._world.call_later_ns(delay_ns, action, label=label)

    def record(self, actor: str, kind: str, **values: object) -> None:
        """Write an event into the run's trace."""
        self._world.recorder.record(actor, kind, **values)

    def end(self, reason: str, text: str) -> BaseException:
        """End the run; no SDK may swallow what is raised for it."""
        return self._world.end(reason, text)

    @property
    def struck(self) -> bool:
        """Say whether the run's plan has faults."""
        return self._world.strikes.some

    def fault_at(self, site: str) -> str:
        """Ask the run's plan."""
        strikes = self._world.strikes
        return strikes.at(site) if strikes.asked else ""

    def serve(self, host: str, accept: Accept, admit: Admit) -> None:
        """Declare a host of the simulated network."""
        world = self._world
        world.network.declare(host).serve(lambda endpoint: accept(WorldLine(world, endpoint)), admit)

    def at_end(self, action: Callable[[], object]) -> None:
        """Join the census, which comes before teardown."""
        self._world.network.census.append(action)


class WorldLine:
    """A connection of the simulated network as a line."""

    __slots__ = ("_endpoint", "_label", "_world", "close", "consumed", "reset", "send")

    def __init__(self, world: World, endpoint: Endpoint) -> None:
        self._world = world
        self._endpoint = endpoint
        self._label = f"the answer on connection {endpoint.connection}"
        # The endpoint's own; a method around each would be called for every frame of every stream.
        self.send = endpoint.send
        self.consumed = endpoint.consumed
        self.close = endpoint.close
        self.reset = endpoint.reset

    @property
    def connection(self) -> int:
        """The connection's number in the network."""
        return self._endpoint.connection

    @property
    def host(self) -> str:
        """The name of the host that was dialled."""
        return self._endpoint.host.name

    @property
    def port(self) -> int:
        """The port that was dialled."""
        return self._endpoint.port

    @property
    def writable(self) -> bool:
        """Say whether the send buffer has room."""
        return self._endpoint.room > 0

    @property
    def cut_off(self) -> bool:
        """Say whether a fault of the link broke the connection."""
        return self._endpoint.cut_off

    def answered(self) -> None:
        """Nothing follows from it here: a conversation finds the next request by itself."""

    def turn(self, action: Callable[[], object]) -> Timer:
        """Let the next round of the agenda do it.

        It is of the lane of what was sent, so no plan can tell the two apart: there is nothing to choose between them.
        """
        return self._world.call_later_ns(0, action, lane=self._endpoint, label=self._label)

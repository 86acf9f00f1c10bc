"""The world: one clock, one agenda of future events, and everything that hangs on them.

The idea: whatever is to happen later (a byte arriving, a sleeper waking, a user speaking) is an entry of one
agenda, and time moves only when no thread can run: then it jumps to the next entry or the next timer of the
loop. The constraint: a world leaves nothing behind. What it replaces it gives back, what still lives is
recorded first and ended then. A loop that owns its clock was refused: threads, blocking sockets and a second
loop would each live in a time of their own.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Coroutine, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from simkit.contracts import Strategy
from simkit.errors import RunEndedError, UsageError
from simkit.extensions import find
from simkit.kernel.clock import Clock, to_ns
from simkit.kernel.entropy import Entropy
from simkit.kernel.machine import MACHINE
from simkit.kernel.network import Network
from simkit.kernel.recorder import Recorder
from simkit.kernel.survivors import Survivors
from simkit.kernel.threads import Threads, running_world
from simkit.kernel.wallclock import EPOCH_S
from simkit.model.duration import NS_PER_MS, NS_PER_S, format_duration, format_instant
from simkit.model.plan import Deviation, Plan
from simkit.model.trace import Trace

if TYPE_CHECKING:
    from simkit.kernel.loop import SimEventLoop

T = TypeVar("T")

# A day: longer than every real turn of an agent, and short enough that what never ends is stopped.
HORIZON_NS: Final = 86_400 * NS_PER_S
STEPS_MAX: Final = 2_000_000
# Production spends time while it spins: beyond this many steps at one instant, every further thousand costs 1 ms.
SPIN_FREE_STEPS: Final = 10_000
SPIN_STEPS_PER_MS: Final = 1_000
# The agenda is swept of cancelled events when it has doubled since the last time, and is longer than this.
_AGENDA_MIN: Final = 1_000


class Entry:
    """One event of the agenda; ``cancel`` makes it nothing."""

    __slots__ = ("action", "label", "lane")

    def __init__(self, action: Callable[[], object], lane: object, label: str) -> None:
        self.action: Callable[[], object] | None = action
        # Events of one lane (one direction of a connection) keep their order whatever is chosen.
        self.lane = lane if lane is not None else self
        self.label = label

    def cancel(self) -> None:
        """Let this event not happen."""
        self.action = None


class World:
    """A simulated machine that runs one main function, once or several times, each run from a clean start.

    ``seed`` drives every stream of chance, ``strategy`` makes the choices that ``plan`` leaves open; a plan overrides
    the seed. ``horizon_ns`` and ``steps_max`` bound a run in virtual time and in steps.
    """

    def __init__(
        self,
        seed: int = 0,
        strategy: str = "fifo",
        plan: Plan | None = None,
        *,
        order: str = "timing",
        jitter: float = 0.0,
        horizon_ns: int = HORIZON_NS,
        steps_max: int = STEPS_MAX,
    ) -> None:
        self.plan = plan if plan is not None else Plan(seed=seed)
        # A plan says all that there is to say: what it does not name goes the default way.
        self._strategy = cast(Strategy, find("strategies", strategy if plan is None else "fifo"))
        if order not in ("timing", "any"):
            raise UsageError(f"order is {order!r}, expected 'timing' or 'any'")
        if jitter < 0:
            raise UsageError(f"jitter is {jitter!r}, expected seconds of 0 or more")
        # Beyond asyncio's own promises: any ready callback may go first.
        self.order_any = order == "any"
        self.jitter_ns = to_ns(jitter)
        self.explores = strategy != "fifo" or bool(self.plan.deviations)
        self._horizon_start_ns = horizon_ns
        self._steps_max = steps_max
        self._running = False
        self._reset()

    def _reset(self) -> None:
        self.clock = Clock()
        self.recorder = Recorder(self.clock)
        self.threads = Threads(self)
        self.network = Network(self)
        self.survivors = Survivors(self)
        self.loops: list[SimEventLoop] = []
        self._agenda: list[tuple[int, int, Entry]] = []
        self._agenda_max = _AGENDA_MIN
        self._sequence = 0
        self._horizon_ns = self._horizon_start_ns
        self._steps = 0
        self._spin = 0
        self._end: RunEndedError | None = None
        self._used = False
        self.entropy = Entropy(self.plan.seed)
        self._chooser = self._strategy.begin(self.plan.seed)
        self._deviations = {d.number: d for d in self.plan.deviations}
        self._choices = 0
        self._taken: list[Deviation] = []

    # -- what people use -----------------------------------------------------------------------------------------
    @property
    def now(self) -> float:
        """Virtual seconds since the start of the run."""
        return self.clock.seconds

    @property
    def epoch_s(self) -> int:
        """The wall clock's reading at the start of a run, in seconds since 1970."""
        return EPOCH_S

    @property
    def trace(self) -> Trace:
        """What happened so far; after a run, the whole of it."""
        return self.recorder.trace

    # A coroutine function is a function too; the first that fits is the one that is meant.
    @overload
    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T: ...

    @overload
    def run(self, main: Callable[[], T]) -> T: ...

    def run(self, main: Callable[[], Any]) -> Any:
        """Run a coroutine function, or a plain function that may block, and return its result.

        Raises what ``main`` raises, and ``RunEndedError`` when the run ended for another reason (deadlock, horizon,
        undeclared host, ...). Survivors are in the trace before teardown begins; nothing survives teardown.
        """
        if self._running:
            raise UsageError("this world is running already - one world runs one main at a time")
        if self._used:
            self._renew()
        self._used = True
        with self.entered():
            self._running = True
            try:
                return self._run_main(main)
            finally:
                self._running = False
                self.threads.forget()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Make the calling thread the world's main thread for a while; nothing to do where it is one of its threads."""
        if self.threads.here() is not None:
            yield
            return
        if running_world() is not None:
            raise UsageError("a world cannot be entered from inside another - end the outer one first")
        with MACHINE.running():
            self.threads.enter()
            try:
                yield
            finally:
                self.threads.leave()

    def _renew(self) -> None:
        """Start clean for a further run, keeping who listens on the network."""
        network = self.network
        self._reset()
        self.network.adopt(network)

    def _run_main(self, main: Callable[[], Any]) -> Any:
        loop = self.new_loop() if inspect.iscoroutinefunction(main) else None
        try:
            try:
                result = main() if loop is None else loop.run_main(main)
            finally:
                if self._end is None:
                    self.threads.settle()
            if self._end is not None:
                raise self._end
            self.recorder.record("world", "run.end", reason="returned", text="")
            return result
        except RunEndedError as end:
            self.recorder.record("world", "run.end", reason=end.reason, text=end.text)
            raise
        except BaseException as error:
            self.recorder.record("world", "run.end", reason="raised", text=f"{type(error).__name__}: {error}")
            raise
        finally:
            self.survivors.record()
            self.recorder.close()
            self.survivors.end()

    def new_loop(self) -> SimEventLoop:
        """Return an event loop of this world."""
        from simkit.kernel.loop import SimEventLoop  # lazy: a blocking program needs no asyncio

        return SimEventLoop(self)

    # -- time ----------------------------------------------------------------------------------------------------
    def call_at_ns(
        self, at_ns: int, action: Callable[[], object], *, lane: object = None, label: str = "event"
    ) -> Entry:
        """Let ``action`` happen at this instant; events of one instant happen in the order of their arming.

        Events of one ``lane`` never overtake each other; ``label`` says in a plan's words what happens.
        """
        entry = Entry(action, lane, label)
        if len(self._agenda) > self._agenda_max:
            self._sweep()
        heappush(self._agenda, (max(at_ns, self.clock.now_ns), self.next_sequence(), entry))
        return entry

    def _sweep(self) -> None:
        """Drop cancelled events: each wait with a distant deadline leaves one behind when it is woken before."""
        self._agenda[:] = [entry for entry in self._agenda if entry[2].action is not None]
        heapify(self._agenda)
        self._agenda_max = max(_AGENDA_MIN, 2 * len(self._agenda))

    def call_later_ns(self, delay_ns: int, action: Callable[[], object]) -> Entry:
        """Let ``action`` happen after this many nanoseconds."""
        return self.call_at_ns(self.clock.now_ns + delay_ns, action)

    def next_sequence(self) -> int:
        """Return the next number of arming: it orders everything that is due at one instant."""
        self._sequence += 1
        return self._sequence

    def next_event_ns(self) -> int | None:
        """Return the instant of the next event of the agenda, or None when nothing is to come."""
        agenda = self._agenda
        while agenda and agenda[0][2].action is None:
            heappop(agenda)
        return agenda[0][0] if agenda else None

    def advance(self, to_ns: int) -> None:
        """Let time pass. Raises ``RunEndedError`` when it would pass the horizon."""
        if to_ns > self._horizon_ns:
            self.clock.advance(self._horizon_ns)
            raise self.end(
                "livelock" if self._spin > SPIN_FREE_STEPS else "horizon",
                f"the run did not end within {format_duration(self._horizon_ns)} of virtual time",
            )
        if to_ns != self.clock.now_ns:
            self.clock.advance(to_ns)
            self._spin = 0

    def pass_time(self) -> None:
        """Jump to the next event and let everything due at that instant happen. Called when no thread can run."""
        at_ns = self.next_event_ns()
        if at_ns is None:
            raise self.end("deadlock", self.survivors.deadlock_text())
        # Spinning costs time, and may have carried the clock past an event that is only noticed now.
        self.advance(max(at_ns, self.clock.now_ns))
        self.happen()

    def happen(self) -> None:
        """Let the events that are due by now happen, but not those which they arm in turn."""
        agenda, now_ns, newest = self._agenda, self.clock.now_ns, self._sequence
        due: list[Entry] = []
        while agenda and agenda[0][0] <= now_ns and agenda[0][1] <= newest:
            entry = heappop(agenda)[2]
            if entry.action is not None:
                due.append(entry)
        if self.explores and len(due) > 1:
            due = self._ordered(due)
        for entry in due:
            # An event may cancel another one of the same instant.
            if entry.action is not None:
                entry.action()
        self.step()

    def _ordered(self, due: list[Entry]) -> list[Entry]:
        """Choose the order of events of one instant; what crosses the same link keeps its order."""
        ordered: list[Entry] = []
        while len(due) > 1:
            heads = list({entry.lane: entry for entry in reversed(due)}.values())[::-1]
            if len(heads) == 1:
                break
            pick = heads[self.choose("tie", [entry.label for entry in heads])]
            due.remove(pick)
            ordered.append(pick)
        return ordered + due

    def events_between(self, after_ns: int, until_ns: int) -> list[int]:
        """Return the instants of outside events after one instant and up to another. For choices about timing."""
        return sorted(
            {at_ns for at_ns, _, entry in self._agenda if entry.action is not None and after_ns < at_ns <= until_ns}
        )

    def happen_early(self, at_ns: int) -> None:
        """Let the first event of a later instant happen now, with all that its link carries before it."""
        first = min(entry for entry in self._agenda if entry[0] == at_ns and entry[2].action is not None)
        early = sorted(e for e in self._agenda if e[:2] <= first[:2] and e[2].lane == first[2].lane)
        for _, _, entry in early:
            action, entry.action = entry.action, None
            if action is not None:
                action()
        self.step()

    def postpone(self, at_ns: int, to_ns: int) -> None:
        """Let the events of an instant happen later, and what their links carry after them not before them."""
        lanes = {entry.lane for when_ns, _, entry in self._agenda if when_ns == at_ns}
        self._agenda[:] = [
            (max(when_ns, to_ns) if entry.lane in lanes else when_ns, sequence, entry)
            for when_ns, sequence, entry in self._agenda
        ]
        heapify(self._agenda)

    def step(self) -> None:
        """Count one step of the run, charge for spinning, and stop a run that goes on without end."""
        if self._end is not None:
            raise self._end
        self.spin()
        if self._steps > self._steps_max:
            raise self.end("livelock", f"the run took more than {self._steps_max} steps; {self.survivors.brief()}")

    def spin(self) -> None:
        """Count a step, and charge for it where very many were taken at one instant."""
        self._steps += 1
        self._spin += 1
        if self._spin > SPIN_FREE_STEPS and self._spin % SPIN_STEPS_PER_MS == 0:
            spin = self._spin
            self.advance(self.clock.now_ns + NS_PER_MS)
            self._spin = spin

    def breathe(self) -> None:
        """Between two rounds of a busy loop: let due events happen and other threads have their turn."""
        if self._agenda and self._agenda[0][0] <= self.clock.now_ns:
            self.happen()
        else:
            self.step()
        if self.threads.runnable:
            me = self.threads.here()
            assert me is not None, "a loop of this world runs in a thread from outside"
            self.threads.offer(me)

    # -- choices and ends ----------------------------------------------------------------------------------------
    def choose(self, kind: str, candidates: Sequence[str]) -> int:
        """Return which of these happens; 0 is what production does by default. Kinds: thread, tie, timing, order, ...

        Ends the run when the plan says something about this choice that no longer fits it.
        """
        number = self._choices
        self._choices += 1
        planned = self._deviations.pop(number, None)
        if planned is not None:
            if planned.kind != kind or planned.pick >= len(candidates):
                met = f"a choice of {kind} among {len(candidates)} ({', '.join(candidates)})"
                raise self.end("plan", f"the plan's {planned.text()} does not fit: choice {number} is {met}")
            pick = planned.pick
        else:
            pick = self._chooser.choose(kind, len(candidates))
        if pick:
            self._taken.append(Deviation(number=number, kind=kind, pick=pick))
            self.recorder.record("world", "choice", number=number, choice=kind, picked=candidates[pick])
        return pick

    @property
    def taken(self) -> Plan:
        """The plan that this run followed: replaying it gives the same run."""
        return Plan(seed=self.plan.seed, deviations=tuple(self._taken))

    def end(self, reason: str, text: str) -> RunEndedError:
        """Note that the run is over and return the exception for it; the first reason stands."""
        if self._end is None:
            self._end = RunEndedError(reason, f"{text} (at {format_instant(self.clock.now_ns)})")
        return self._end

    def reopen(self) -> None:
        """Forget why the run ended, so that teardown can run what is left to its end."""
        self._end = None
        self._steps = self._spin = 0
        self._horizon_ns += HORIZON_NS


def new_event_loop(seed: int = 0, strategy: str = "fifo") -> SimEventLoop:
    """Return a loop in a world of its own, or, inside a world, a loop that joins it.

    The world is entered whenever the loop runs, and its clock goes on from run to run. Use it as a ``loop_factory`` for
    ``asyncio.Runner`` or ``asyncio.run``. Raises ``UsageError`` for an unknown strategy.
    """
    return (running_world() or World(seed=seed, strategy=strategy)).new_loop()

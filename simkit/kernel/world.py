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
import traceback
from collections.abc import Callable, Coroutine
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from simkit.contracts import Chooser, Strategy
from simkit.errors import RunEndedError, UsageError
from simkit.extensions import find
from simkit.kernel.agenda import Entry, Slot, events_near, order_due, shift
from simkit.kernel.choices import Choices, Made
from simkit.kernel.clock import Clock, to_ns
from simkit.kernel.entropy import Entropy
from simkit.kernel.machine import MACHINE, Running
from simkit.kernel.network import Network
from simkit.kernel.recorder import Recorder
from simkit.kernel.sites import subjects_line
from simkit.kernel.strikes import Strikes
from simkit.kernel.survivors import Survivors
from simkit.kernel.threads import Threads, running_world
from simkit.kernel.watchdog import PATIENCE_S, WATCHDOG
from simkit.model.duration import FOREVER, NS_PER_MS, NS_PER_S, format_duration, format_instant
from simkit.model.plan import ORDERS, Plan
from simkit.model.scenario import STARTS_NS
from simkit.model.trace import Trace

if TYPE_CHECKING:
    from simkit.kernel.loop import SimEventLoop

T = TypeVar("T")

# A day: longer than every real turn of an agent, and short enough that what never ends is stopped.
HORIZON_NS: Final = 86_400 * NS_PER_S
STEPS_MAX: Final = 2_000_000
# Production spends time while it spins: beyond this many steps at one instant, every further thousand costs 1 ms.
SPIN_FREE_STEPS: Final = 10_000
# What comes from outside is no spinning of whom it comes to: so many steps does a piece of news take at most.
_STEPS_PER_EVENT: Final = 8
SPIN_STEPS_PER_MS: Final = 1_000
# The agenda is swept of cancelled events when it has doubled since the last time, and is longer than this.
_AGENDA_MIN: Final = 1_000


class World:
    """A simulated machine that runs one main function, once or several times, each run from a clean start.

    ``seed`` drives every stream of chance and ``strategy`` makes the choices; a plan overrides both. ``jitter`` is how
    many seconds an outside event may shift around a deadline, and ``order="any"`` lets ready callbacks run in orders
    that asyncio does not produce; either counts for what a plan does not say. ``starts_ns`` is what the wall clock
    shows when a run begins, in nanoseconds since 1970. ``horizon_ns`` and ``steps_max`` bound a run in virtual time and
    in steps.

    For exploring: ``chooser`` makes the choices that a plan does not name, instead of choice 0; ``lenient`` leaves out
    deviations and faults that do not fit; ``sites`` is a list that takes every site where a fault could have struck,
    and ``made`` one that takes every choice.
    """

    def __init__(
        self,
        seed: int = 0,
        strategy: str = "fifo",
        plan: Plan | None = None,
        *,
        order: str = "timing",
        jitter: float = 0.0,
        starts_ns: int = STARTS_NS,
        horizon_ns: int = HORIZON_NS,
        steps_max: int = STEPS_MAX,
        chooser: Chooser | None = None,
        lenient: bool = False,
        sites: list[str] | None = None,
        made: list[Made] | None = None,
    ) -> None:
        self.plan = plan if plan is not None else Plan(seed=seed)
        # A plan says all that there is to say: what it does not name goes the default way.
        self._strategy = cast(Strategy, find("strategies", strategy if plan is None else "fifo"))
        if order not in ORDERS:
            raise UsageError(f"order is {order!r}, expected 'timing' or 'any'")
        if jitter < 0:
            raise UsageError(f"jitter is {jitter!r}, expected seconds of 0 or more")
        # Beyond asyncio's own promises: any ready callback may go first.
        self.order_any = "any" in (order, self.plan.order)
        self.jitter_ns = self.plan.jitter_ns or to_ns(jitter)
        self._asks = bool(self.plan.deviations) or (plan is None and strategy != "fifo") or chooser is not None
        self._chooser = chooser
        self._lenient = lenient
        self._sites = sites
        self._made = made
        self.starts_ns: int = starts_ns
        self._horizon_start_ns = horizon_ns
        self._steps_max = steps_max
        # How long code may stay away from the world, in seconds of real time.
        self.patience_s = PATIENCE_S
        self._running = False
        self._reset()

    def _reset(self) -> None:
        self.clock: Clock = Clock()
        self.recorder = Recorder(self.clock)
        self.threads = Threads(self)
        self.network = Network(self)
        self.loops: list[SimEventLoop] = []
        self._agenda: list[Slot] = []
        self._agenda_max = _AGENDA_MIN
        self._sequence = 0
        self._horizon_ns = self._horizon_start_ns
        self._steps = 0
        self._spin = 0
        self._end: RunEndedError | None = None
        self._used = False
        self.entropy = Entropy(self.plan.seed)
        chooser = self._chooser or self._strategy.begin(self.plan.seed)
        self.choices = Choices(self, chooser, asked=self._asks, lenient=self._lenient, made=self._made)
        self.strikes = Strikes(self.recorder, self.plan.strikes, seen=self._sites)

    # -- what people use -----------------------------------------------------------------------------------------
    @property
    def now(self) -> float:
        """Virtual seconds since the start of the run."""
        return self.clock.seconds

    @property
    def running(self) -> bool:
        """Say whether a main function is running, or being torn down."""
        return self._running

    @property
    def progress(self) -> int:
        """A number that changes whenever the world takes a step; for the watchdog."""
        return self._steps

    @property
    def survivors(self) -> Survivors:
        """The census of what is alive."""
        return Survivors(self)

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
                # What never came is nobody's business any more, and would keep whom it was meant for.
                self._agenda.clear()

    def entered(self) -> contextlib.AbstractContextManager[None]:
        """Make the calling thread the world's main thread for a while; nothing to do where it is one of its threads."""
        if self.threads.here() is not None:
            return contextlib.nullcontext()
        if running_world() is not None:
            raise UsageError("a world cannot be entered from inside another - end the outer one first")
        return _Entered(self)

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
        except RunEndedError as end:
            self._conclude(end.reason, end.text, end)
            raise
        except BaseException as error:
            if self._end is not None and self._end.reason == "stuck":
                # Whatever reached the thread that did not come back, this is why.
                self.recorder.record("world", "run.end", reason=self._end.reason, text=self._end.text)
                raise self._end from error
            self._conclude("raised", f"{type(error).__name__}: {error}", error)
            raise
        else:
            self._conclude("returned", "")
            return result
        finally:
            self.choices.close()
            self.survivors.record()
            self.recorder.close()
            self.survivors.end()

    def _conclude(self, reason: str, text: str, error: BaseException | None = None) -> None:
        """Record how the run ended. A plan that speaks of a choice which never came is not the plan of this run."""
        unreached = self.choices.close()
        if (left := self.strikes.unreached()) and not self._lenient:
            unreached = f"the plan's {', '.join(left)} never struck: its site was not reached"
        # What the plan did not fit is told already, and an interrupt comes from somebody outside.
        if unreached and reason != "plan" and (error is None or isinstance(error, (Exception, RunEndedError))):
            reason, text = "plan", f"{unreached} (the run ended: {reason}{text and f', {text}'})"
            self.recorder.record("world", "run.end", reason=reason, text=text)
            raise RunEndedError(reason, text) from error
        self.recorder.record("world", "run.end", reason=reason, text=text)

    def new_loop(self) -> SimEventLoop:
        """Return an event loop of this world."""
        from simkit.kernel.loop import SimEventLoop  # lazy: a blocking program needs no asyncio

        return SimEventLoop(self)

    # -- time ----------------------------------------------------------------------------------------------------
    def call_at_ns(
        self,
        at_ns: int,
        action: Callable[[], object],
        *,
        lane: object = None,
        label: str = "event",
        outside: bool = True,
    ) -> Entry:
        """Let ``action`` happen at this instant; events of one instant happen in the order of their arming.

        Events of one ``lane`` never overtake each other; ``label`` says in a plan's words what happens. What is not
        ``outside`` is the deadline of a thread that waits.
        """
        if at_ns < self.clock.now_ns:
            at_ns = self.clock.now_ns
        entry = Entry(action, lane, label, at_ns, outside)
        if len(self._agenda) > self._agenda_max:
            self._sweep()
        self._sequence += 1
        heappush(self._agenda, (at_ns, self._sequence, entry))
        return entry

    def _sweep(self) -> None:
        """Drop cancelled events: each wait with a distant deadline leaves one behind when it is woken before."""
        self._agenda[:] = [entry for entry in self._agenda if entry[2].action is not None]
        heapify(self._agenda)
        self._agenda_max = max(_AGENDA_MIN, 2 * len(self._agenda))

    def call_later_ns(
        self, delay_ns: int, action: Callable[[], object], *, lane: object = None, label: str = "event"
    ) -> Entry:
        """Let ``action`` happen after this many nanoseconds."""
        return self.call_at_ns(self.clock.now_ns + delay_ns, action, lane=lane, label=label)

    def postpone(self, carries: Callable[[object], bool], to_ns: int) -> bool:
        """Let what such lanes carry after this instant and before a later one come then, in order; say if any does.

        What would come at the end of time does not come at all.
        """
        late = [s for s in self._agenda if self.clock.now_ns < s[0] < to_ns and s[2].action and carries(s[2].lane)]
        if late and to_ns < FOREVER:
            kept = set(late)
            self._agenda[:] = [(to_ns, s[1], s[2]) if s in kept else s for s in self._agenda]
            heapify(self._agenda)
        elif late:
            for _, _, entry in late:
                entry.cancel()
        return bool(late)

    def bound(self, *, horizon_ns: int, steps_max: int) -> None:
        """Bound the run that has just begun, in virtual time and in steps."""
        self._horizon_ns, self._steps_max = horizon_ns, steps_max

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

    @property
    def varies_timing(self) -> bool:
        """Say whether events may shift around deadlines in this run."""
        return self.jitter_ns > 0 and self.choices.open

    def reach(self, deadline_ns: int) -> bool:
        """Jump to the next timer of the loop that is asking, unless something comes before it. Say whether it did.

        The way of every sleep, so it does in one call what ``pass_time`` does in several.
        """
        agenda, clock = self._agenda, self.clock
        if self.threads.runnable:
            return False
        while agenda and agenda[0][2].action is None:
            heappop(agenda)
        if agenda and agenda[0][0] <= deadline_ns:
            return False
        # A timer may have been armed for an instant that was over already.
        if deadline_ns > self._horizon_ns:
            self.advance(deadline_ns)
        if deadline_ns > clock.now_ns:
            clock.now_ns, clock.seconds = deadline_ns, deadline_ns / NS_PER_S
            self._spin = 0
        self.step()
        return True

    def pass_time(self) -> None:
        """Jump to the next event and let everything due at that instant happen. Called when no thread can run."""
        at_ns = self.next_event_ns()
        if at_ns is None:
            raise self.end("deadlock", self.survivors.deadlock_text())
        if self.jitter_ns and self.choices.open:
            at_ns = shift(self, self._agenda)
        # Spinning costs time, and may have carried the clock past an event that is only noticed now.
        self.advance(max(at_ns, self.clock.now_ns))
        self.happen()

    def happen(self) -> None:
        """Let the events that are due by now happen, but not those which they arm in turn."""
        agenda, now_ns, newest = self._agenda, self.clock.now_ns, self._sequence
        due: list[Slot] = []
        while agenda and agenda[0][0] <= now_ns and agenda[0][1] <= newest:
            slot = heappop(agenda)
            if slot[2].action is not None:
                due.append(slot)
        if len(due) > 1 and self.choices.open:
            due = order_due(self.choices, agenda, due)
        for _, _, entry in due:
            # An event may cancel another one of the same instant.
            if entry.action is not None:
                self._let_happen(entry.action)
                if entry.outside:
                    self._spin = max(0, self._spin - _STEPS_PER_EVENT)
        self.step()

    def _let_happen(self, action: Callable[[], object]) -> None:
        """Let an event happen. It belongs to no thread, so its failure ends the run instead of hitting one."""
        try:
            action()
        except Exception as error:
            where = "".join(traceback.format_exception(error))
            raise self.end("simkit", f"simkit itself failed in an event of its own:\n{where}") from error

    def events_near(self, after_ns: int, until_ns: int) -> list[Slot]:
        """Return the first events from outside after one instant and up to another. For choices about timing."""
        return events_near(self._agenda, after_ns, until_ns)

    def happen_early(self, slot: Slot) -> None:
        """Let one event happen now, before its instant."""
        action, slot[2].action = slot[2].action, None
        if action is not None:
            self._let_happen(action)
        self.step()

    def step(self) -> None:
        """Count one step of the run, charge for spinning, and stop a run that goes on without end."""
        if self._end is not None:
            raise self._end
        self._steps += 1
        self._spin += 1
        if self._spin > SPIN_FREE_STEPS:
            self._charge()
        if self._steps > self._steps_max:
            raise self.end("livelock", f"the run took more than {self._steps_max} steps; {self.survivors.brief()}")

    def spin(self) -> None:
        """Count a step, and charge for it where very many were taken at one instant."""
        self._steps += 1
        self._spin += 1
        if self._spin > SPIN_FREE_STEPS:
            self._charge()

    def _charge(self) -> None:
        if self._spin % SPIN_STEPS_PER_MS == 0:
            spin = self._spin
            if spin % SPIN_FREE_STEPS == SPIN_STEPS_PER_MS:
                # With the first charge, and now and then while it goes on.
                alive = self.survivors.brief()
                self.recorder.record("world", "spin", steps=spin, where=subjects_line(), alive=alive)
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
    @property
    def taken(self) -> Plan:
        """The plan that this run followed: replaying it gives the same run."""
        order = "any" if self.order_any else "timing"
        left = self.strikes.unreached()
        strikes = tuple(strike for strike in self.plan.strikes if strike.text() not in left)
        return Plan(self.plan.seed, self.choices.taken, order, self.jitter_ns, strikes)

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


class _Entered(Running):
    """A world that the calling thread is inside of."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        super().__init__(MACHINE)
        self._world = world

    def __enter__(self) -> None:
        super().__enter__()
        try:
            self._world.threads.enter()
            WATCHDOG.watch(self._world)
        except BaseException:
            super().__exit__()
            raise

    def __exit__(self, *exception: object) -> None:
        try:
            WATCHDOG.leave(self._world)
            self._world.threads.leave()
        finally:
            super().__exit__(*exception)


def new_event_loop(seed: int = 0, strategy: str = "fifo") -> SimEventLoop:
    """Return a loop in a world of its own, or, inside a world, a loop that joins it.

    The world is entered whenever the loop runs, and its clock goes on from run to run. Use it as a ``loop_factory`` for
    ``asyncio.Runner`` or ``asyncio.run``. Raises ``UsageError`` for an unknown strategy.
    """
    return (running_world() or World(seed=seed, strategy=strategy)).new_loop()

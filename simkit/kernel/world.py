"""The world: one clock, one agenda of future events, and everything that hangs on them.

The idea: whatever is to happen later (a byte arriving, a sleeper waking, a user speaking) is an entry of one
agenda, and time moves only when no thread can run: then it jumps to the next entry or the next timer of the
loop. The constraint: a world leaves nothing behind. What it replaces it gives back, what still lives is
recorded first and ended then. A loop that owns its clock was refused: threads, blocking sockets and a second
loop would each live in a time of their own.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Awaitable, Callable, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, TypeVar, cast

from simkit.contracts import Strategy
from simkit.errors import RunEndedError, UsageError
from simkit.extensions import find
from simkit.kernel.clock import Clock
from simkit.kernel.entropy import Entropy
from simkit.kernel.fence import Fence
from simkit.kernel.network import Network
from simkit.kernel.patches import Patches
from simkit.kernel.recorder import Recorder
from simkit.kernel.sockets import install_sockets
from simkit.kernel.survivors import Survivors
from simkit.kernel.threads import Threads
from simkit.kernel.tls import install_tls
from simkit.kernel.wallclock import EPOCH_S, WallClock
from simkit.model.duration import NS_PER_MS, NS_PER_S, format_duration, format_instant
from simkit.model.plan import Plan
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

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

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
        horizon_ns: int = HORIZON_NS,
        steps_max: int = STEPS_MAX,
    ) -> None:
        self.plan = plan if plan is not None else Plan(seed=seed)
        self._strategy = cast(Strategy, find("strategies", strategy))
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

    def run(self, main: Callable[[], Awaitable[T]] | Callable[[], T]) -> T:
        """Run a coroutine function, or a plain function that may block, and return its result.

        Raises what ``main`` raises, and ``RunEndedError`` when the run ended for another reason (deadlock, horizon,
        undeclared host, ...). Survivors are in the trace before teardown begins; nothing survives teardown.
        """
        if self._running:
            raise UsageError("this world is running already - one world runs one main at a time")
        if WallClock.follows_any():
            raise UsageError(
                "another world runs in this process - run one after the other, or in processes of their own"
            )
        if self._used:
            self._renew()
        self._used = self._running = True
        patches, entropy, fence = Patches(), Entropy(self.plan.seed), Fence(self)
        collecting = gc.isenabled()
        with WallClock.following(self):
            self.threads.enter()
            try:
                # Garbage is collected at points that the world chooses: finalizers are part of a run.
                gc.disable()
                entropy.install(patches, self.threads)
                self.threads.install(patches)
                install_tls(patches, self.threads)
                install_sockets(patches, self.threads, self.network)
                fence.install(patches)
                return self._run_main(main)
            finally:
                patches.undo()
                entropy.restore()
                self.threads.leave()
                self._running = False
                if collecting:
                    gc.enable()

    def _renew(self) -> None:
        """Start clean for a further run, keeping who listens on the network."""
        network = self.network
        self._reset()
        self.network.adopt(network)

    def _run_main(self, main: Callable[[], Awaitable[T]] | Callable[[], T]) -> T:
        from simkit.kernel.loop import SimEventLoop  # lazy: a blocking program needs no asyncio

        loop = SimEventLoop(self) if inspect.iscoroutinefunction(main) else None
        try:
            try:
                result = main() if loop is None else loop.run_main(main)
            finally:
                if self._end is None:
                    self.threads.settle()
            if self._end is not None:
                raise self._end
            self.recorder.record("world", "run.end", reason="returned", text="")
            return cast(T, result)
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

    # -- time ----------------------------------------------------------------------------------------------------
    def call_at_ns(self, at_ns: int, action: Callable[[], object]) -> Entry:
        """Let ``action`` happen at this instant; events of one instant happen in the order of their arming."""
        entry = Entry(action)
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
        while agenda and agenda[0][0] <= now_ns and agenda[0][1] <= newest:
            action = heappop(agenda)[2].action
            if action is not None:
                action()
        self.step()

    def step(self) -> None:
        """Count one step of the run, charge for spinning, and stop a run that goes on without end."""
        if self._end is not None:
            raise self._end
        self._steps += 1
        self._spin += 1
        if self._spin > SPIN_FREE_STEPS and self._spin % SPIN_STEPS_PER_MS == 0:
            spin = self._spin
            self.advance(self.clock.now_ns + NS_PER_MS)
            self._spin = spin
        if self._steps > self._steps_max:
            raise self.end("livelock", f"the run took more than {self._steps_max} steps; {self.survivors.brief()}")

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
    def choose(self, label: str, candidates: Sequence[str]) -> int:
        """Return which of these happens first; 0 is what production does by default."""
        return self._strategy.choose(label, len(candidates))

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

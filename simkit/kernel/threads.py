"""Simulated threads: real operating-system threads, of which only the holder of the baton runs.

The idea: agent code starts threads (the openai client asks one for its platform, tools run in pools), so each
is real, but it runs only while it holds the baton, and every blocking primitive hands the baton on and waits in
virtual time. ``threading`` is Python on top of ``Lock``, so replacing the lock carries Condition, Event,
Semaphore, Barrier and Queue along. The constraint: which thread goes on is decided by the world alone, never by
the operating system. Running a worker's job inline was refused: it costs no virtual time and cannot block, so
the races are gone.
"""

from __future__ import annotations

import _thread
import concurrent.futures.thread as pool
import itertools
import queue
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, Literal

from simkit.errors import NotSimulatedError, RunEndedError, WorldEndedError
from simkit.kernel.clock import to_ns
from simkit.kernel.sites import subjects_line

if TYPE_CHECKING:
    from simkit.kernel.patches import Patches
    from simkit.kernel.world import World

# Kept before anybody replaces them: gates must be real locks, and strangers' threads get the real primitives.
_real_lock: Final = _thread.allocate_lock
_real_start: Final = _thread.start_new_thread
_real_sleep: Final = time.sleep
_ident: Final = _thread.get_ident

# How often a thread may block again while it is being ended, before it is left behind and named.
_LAST_WORDS_MAX: Final = 100
# How many turns threads get beside a main thread that has ended: two that hand a ball to and fro never stop.
_TURNS_MAX: Final = 1_000
_MADE_OUTSIDE: Final = "a Thread that was made outside the world is started inside it - make it inside the world"


# Which simulated thread an operating-system thread is, over all worlds that run. Process-wide like the thread idents
# themselves: a lock made while a module was imported in one world is used in the next, and must ask where it is now.
_HERE: Final[dict[int, SimThread]] = {}


def here() -> SimThread | None:
    """Return the simulated thread that is calling, or None for a thread that belongs to no world."""
    return _HERE.get(_ident())


def running_world() -> World | None:
    """Return the world that the calling thread belongs to, or None outside every world."""
    thread = _HERE.get(_ident())
    return None if thread is None else thread.threads.world


def start_real_thread(function: Callable[[], object]) -> None:
    """Start a thread that belongs to no world, from wherever this is called."""
    _real_start(function, ())


class SimThread:
    """One thread of the world, the main thread included."""

    __slots__ = ("abandoned", "alive", "awake", "gate", "ident", "name", "number", "pending", "threads", "waits_for")

    def __init__(self, threads: Threads, number: int, name: str) -> None:
        self.threads = threads
        self.number = number
        self.name = name
        # Held by the world; whoever passes the baton releases it.
        self.gate = _real_lock()
        self.gate.acquire()
        self.awake = True
        self.alive = True
        self.ident: int | None = None
        # It never came back to the world, and the run went on to its end without it.
        self.abandoned = False
        self.waits_for = ""
        # Raised in this thread when it next gets the baton: the run's end, or the world's.
        self.pending: BaseException | None = None


class Threads:
    """The baton: who runs, who could, who waits."""

    def __init__(self, world: World) -> None:
        # Weak, so that a world which nobody needs any more is freed at once: no collector runs inside a run.
        self._world = weakref.ref(world)
        # What new threads and pools are called: counted by each world for itself.
        self.names = itertools.count(1)
        self.pools = itertools.count()
        self._all: list[SimThread] = []
        # Woken threads, in the order in which they were woken.
        self.runnable: deque[SimThread] = deque()
        self.main: SimThread | None = None
        # Who holds the baton; for the watchdog, which has to name it.
        self.holder: SimThread | None = None
        self._last_words = 0

    @property
    def world(self) -> World:
        """The world of these threads. Raises ``NotSimulatedError`` when it is gone."""
        world = self._world()
        if world is None:
            raise NotSimulatedError("something of a world is used after the world is gone - keep the world as long")
        return world

    def enter(self) -> None:
        """Make the calling thread the world's main thread, holding the baton."""
        if self.main is None:
            self.main = self._adopt("MainThread")
        self.main.ident = _ident()
        self.holder = self.main
        _HERE[_ident()] = self.main

    def leave(self) -> None:
        """Let the main thread go. Others stay where they wait, for the case that the world is entered again."""
        del _HERE[_ident()]

    def forget(self) -> None:
        """Forget every thread: none of this world is running any more."""
        for ident in [i for i, thread in _HERE.items() if thread.threads is self and thread is not self.main]:
            del _HERE[ident]
        self._all.clear()
        self.runnable.clear()
        self.main = self.holder = None

    def here(self) -> SimThread | None:
        """Return the simulated thread that is calling, or None for a thread from outside."""
        thread = _HERE.get(_ident())
        return thread if thread is not None and thread.threads is self else None

    def alive(self) -> Iterator[SimThread]:
        """Yield every living thread but the main one, in the order of their start."""
        return (t for t in self._all[1:] if t.alive)

    # -- waiting and waking ------------------------------------------------------------------------------------
    def wake(self, thread: SimThread) -> None:
        """Let a waiting thread go on when its turn comes; waking twice is waking once."""
        if not thread.awake:
            thread.awake = True
            self.runnable.append(thread)

    def block(self, me: SimThread, deadline_ns: int | None, waits_for: str) -> None:
        """Hand the baton on until somebody wakes ``me`` or the deadline comes.

        Raises what is pending for this thread: ``RunEndedError`` in the main one, ``WorldEndedError`` at teardown.
        """
        world = self.world
        if me.abandoned:
            raise WorldEndedError
        me.awake, me.waits_for = False, waits_for
        since_ns, timer = world.clock.now_ns, None
        if deadline_ns is not None:
            label = f"the deadline of {me.name}"
            timer = world.call_at_ns(deadline_ns, lambda: self.wake(me), label=label, outside=False)
        try:
            self._pass_baton(me)
        except BaseException:
            # Ctrl-C while waiting for the gate: this thread counts as running again.
            me.awake = True
            raise
        finally:
            me.waits_for = ""
            if timer is not None:
                timer.cancel()
        if world.clock.now_ns > since_ns:
            self._note_blocked(me, since_ns, waits_for)
        self._raise_pending(me)

    def _note_blocked(self, me: SimThread, since_ns: int, waits_for: str) -> None:
        """Record that a callback has blocked the thread of its own event loop: meanwhile nothing else of it could run.

        How long is virtual time, so it is what the wait costs in production and not what it cost here.
        """
        world = self.world
        if any(loop.is_blocked_in(me) for loop in world.loops):
            ns = world.clock.now_ns - since_ns
            world.recorder.record("world", "loop.blocked", ns=ns, where=subjects_line(), waits=waits_for)

    def block_for(self, me: SimThread, seconds: float | None, waits_for: str) -> None:
        """Block for at most this many virtual seconds; None waits for ever."""
        if seconds is None:
            self.block(me, None, waits_for)
            return
        # Queues and conditions add up a float deadline and wait again until the clock reads no less: unless it is
        # shown to them, they spin on the last bit of ``0.1 + 0.2``.
        clock = self.world.clock
        until = clock.seconds + seconds
        deadline_ns = max(clock.now_ns + to_ns(seconds), to_ns(until))
        self.block(me, deadline_ns, waits_for)
        if clock.now_ns == deadline_ns == to_ns(until):
            clock.show(until)

    def offer(self, me: SimThread) -> None:
        """Let every other runnable thread have a turn before ``me`` goes on."""
        if self.runnable:
            me.awake = False
            self.wake(me)
            self._pass_baton(me)
            self._raise_pending(me)

    def settle(self) -> None:
        """Let every thread that can go on at this instant do so, as it would beside a main thread that ends."""
        me = self.here()
        assert me is not None
        for _ in range(_TURNS_MAX):
            if not self.runnable:
                break
            self.offer(me)

    def _pass_baton(self, me: SimThread) -> None:
        """Let the next thread run, and wait until the baton comes back."""
        heir = self._heir()
        if heir is not me:
            heir.gate.release()
            me.gate.acquire()
            self.holder = me

    def abandon(self, thread: SimThread, end: RunEndedError) -> None:
        """Give up on a thread that holds the baton and does not come back; the main thread hears of the run's end."""
        assert self.main is not None
        thread.abandoned = True
        self.main.pending, self.main.awake = end, True
        self.main.gate.release()

    def _heir(self) -> SimThread:
        """Return who runs next, letting time pass until somebody can; the main thread hears of a run's end."""
        try:
            # Two threads that play ping-pong never let time pass; every turn is a step all the same.
            self.world.step()
            while not self.runnable:
                self.world.pass_time()
        except RunEndedError as end:
            assert self.main is not None
            self.main.pending, self.main.awake = end, True
            if self.main in self.runnable:
                # The last event woke somebody just before the step that ended the run.
                self.runnable.remove(self.main)
            return self.main
        if len(self.runnable) == 1:
            return self.runnable.popleft()
        index = self.world.choices.choose("thread", len(self.runnable), lambda i: self.runnable[i].name)
        thread = self.runnable[index]
        del self.runnable[index]
        return thread

    @staticmethod
    def _raise_pending(me: SimThread) -> None:
        if me.pending is not None:
            pending, me.pending = me.pending, None
            raise pending

    # -- life ----------------------------------------------------------------------------------------------------
    def _adopt(self, name: str) -> SimThread:
        thread = SimThread(self, len(self._all), name)
        self._all.append(thread)
        return thread

    def start(self, function: Callable[[], object], name: str, ended: Callable[[], object]) -> int:
        """Start a real thread that waits for its turn, then calls ``function``; ``ended`` follows its last step."""
        thread = self._adopt(name)
        thread.awake = False
        self.world.recorder.record("thread", "thread.start", name=name)

        def body() -> None:
            thread.ident = _ident()
            _HERE[thread.ident] = thread
            thread.gate.acquire()
            self.holder = thread
            try:
                self._raise_pending(thread)
                function()
            except WorldEndedError:
                pass
            finally:
                self._finish(thread, ended)

        ident = _real_start(body, ())
        self.wake(thread)
        return ident

    def _finish(self, thread: SimThread, ended: Callable[[], object]) -> None:
        if thread.abandoned:
            # Nobody waits for it any more, and it has no baton to hand on.
            thread.alive = False
            _HERE.pop(_ident(), None)
            return
        self.world.recorder.record("thread", "thread.end", name=thread.name)
        thread.alive = False
        ended()
        heir = self._heir()
        del _HERE[_ident()]
        heir.gate.release()

    def end_all(self) -> list[str]:
        """End every living thread by raising in it, and return the names of those that would not end."""
        me = self.here()
        assert me is self.main
        assert me is not None
        # The list itself and not a copy: a thread that is being ended may start another.
        for thread in self._all:
            for _ in range(_LAST_WORDS_MAX):
                if thread is me or thread.abandoned or not thread.alive:
                    break
                thread.pending = WorldEndedError()
                self.wake(thread)
                self.offer(me)
        return [t.name for t in self.alive()]


# -- what the standard library sees ----------------------------------------------------------------------------------
_real_rlock: Final = _thread.RLock
_real_queue: Final = queue.SimpleQueue
_real_counter: Final = vars(threading)["_counter"]
_pool_counter: Final = itertools.count().__next__


def _allocate_lock() -> Any:
    return _real_lock() if here() is None else SimLock()


class _LockFace(type):
    """Lets ``threading.Lock`` be the class that it is since 3.13: what it makes depends on who asks."""

    def __call__(cls, *args: object, **kwargs: object) -> Any:
        return _LOCK_TYPE(*args, **kwargs) if here() is None else SimLock()

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, (_LOCK_TYPE, SimLock))


_LOCK_TYPE: Final = type(_real_lock())


class lock(metaclass=_LockFace):  # noqa: N801  # the class in its place has this name
    """A lock; see ``threading.Lock``."""


def _rlock(*args: object, **kwargs: object) -> Any:
    """``RLock`` without its C twin is Python on top of the lock above."""
    return _real_rlock(*args, **kwargs) if here() is None else vars(threading)["_PyRLock"]()


def _sleep(_: object, seconds: float, /) -> None:
    me = here()
    if me is None:
        _real_sleep(seconds)
    elif seconds < 0:
        raise ValueError("sleep length must be non-negative")
    else:
        me.threads.block_for(me, seconds, f"time.sleep({seconds!r})")


def _count() -> int:
    """Names such as Thread-7 come from a process-wide counter, and would differ from run to run."""
    me = here()
    return int(_real_counter()) if me is None else next(me.threads.names)


def _count_pools() -> int:
    me = here()
    return _pool_counter() if me is None else next(me.threads.pools)


def fakes() -> dict[object, object]:
    """Return what is replaced under every alias."""
    found: dict[object, object] = {
        _real_lock: _allocate_lock,
        _LOCK_TYPE: lock,
        _real_rlock: _rlock,
        # Bound already: as an attribute of a class it does not bind again, and neither does the built-in function.
        _real_sleep: MethodType(_sleep, "sleep"),
        # The C queue blocks where no baton can be handed on; the pure one is built from the primitives above.
        _real_queue: queue._PySimpleQueue,  # type: ignore[attr-defined]  # not in typeshed
        _real_counter: _count,
    }
    if sys.version_info >= (3, 13):
        return {**found, **_handle_fakes()}
    return {**found, _real_start: _start_new_thread, vars(threading)["_set_sentinel"]: _set_sentinel}


def install(patches: Patches) -> None:
    """Replace what is an attribute and no alias."""
    # Held while a worker is started, which hands the baton on: a real lock here could never be released.
    patches.set(pool, "_global_shutdown_lock", SimLock())
    patches.set(pool.ThreadPoolExecutor, "_counter", staticmethod(_count_pools))


def install_for_run(patches: Patches) -> None:
    """Replace what others replace too: whoever set the hook before the run is still called by ours."""
    patches.set(threading, "excepthook", _excepthook_over(threading.excepthook))


def _excepthook_over(outer: Callable[[threading.ExceptHookArgs], object]) -> Callable[..., None]:
    """Record what nobody caught in a thread; the end of its world is no error of the thread's."""

    def excepthook(args: threading.ExceptHookArgs, /) -> None:
        world = running_world()
        if world is None or isinstance(args.exc_value, SystemExit):
            outer(args)
        elif not isinstance(args.exc_value, WorldEndedError):
            name = getattr(args.thread, "name", "")
            world.survivors.lost({"message": f"exception in thread {name}", "exception": args.exc_value})
            outer(args)

    return excepthook


# Up to 3.12 a thread's end is a lock that C releases; in a world the wrapper around the thread does. By thread ident.
_SENTINELS: Final[dict[int, SimLock]] = {}
_real_sentinel: Final = vars(threading).get("_set_sentinel")


def _set_sentinel() -> object:
    if here() is None:
        assert _real_sentinel is not None
        return _real_sentinel()
    return _SENTINELS.setdefault(_ident(), SimSentinel())


def _release_sentinel() -> None:
    lock = _SENTINELS.pop(_ident(), None)
    if lock is not None and lock.locked():
        lock.release()


def _start_new_thread(function: Callable[..., object], args: tuple[Any, ...] = (), kwargs: Any = None) -> int:
    me = here()
    if me is None:
        return _real_start(function, args, kwargs or {})
    started = getattr(getattr(function, "__self__", None), "_started", None)
    if started is not None and not isinstance(started._cond._lock, SimLock):
        raise NotSimulatedError(_MADE_OUTSIDE)
    return me.threads.start(lambda: function(*args, **(kwargs or {})), _name_of(function), _release_sentinel)


def _handle_fakes() -> dict[object, object]:
    """From 3.13 on a thread's end is a handle."""
    real_handle = vars(threading)["_ThreadHandle"]
    real_start = vars(threading)["_start_joinable_thread"]

    def make_handle() -> object:
        return real_handle() if here() is None else SimHandle()

    def start_joinable(function: Callable[[], object], handle: object = None, daemon: bool = True) -> object:
        me = here()
        if me is None:
            return real_start(function, handle=handle, daemon=daemon)
        if handle is None:
            handle = SimHandle()
        if not isinstance(handle, SimHandle):
            raise NotSimulatedError(_MADE_OUTSIDE)
        handle.ident = me.threads.start(function, _name_of(function), handle.set_done)
        return handle

    return {real_handle: make_handle, real_start: start_joinable, _real_start: _start_new_thread}


def _name_of(function: object) -> str:
    """Return the name of the Thread whose bootstrap this is."""
    owner = getattr(function, "__self__", None)
    return str(getattr(owner, "name", None) or getattr(function, "__name__", "thread"))


class SimLock:
    """``threading.Lock`` in virtual time. Hands itself straight to the longest waiter, so none can be overtaken.

    A lock may outlive its world (a module imported there keeps it): it then serves the world it is next used in, or,
    outside every world, real threads.
    """

    __slots__ = ("__weakref__", "_locked", "_real", "_threads", "_waiters")

    def __init__(self) -> None:
        self._locked = False
        self._waiters: deque[SimThread] = deque()
        self._threads: Threads | None = None
        self._real: _thread.LockType | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; wait for it in virtual time. Raises ``ValueError`` as the real one does."""
        me = _HERE.get(_ident())
        if me is None:
            return self._outside().acquire(blocking, timeout)
        if not blocking and timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        if timeout < 0 and timeout != -1:
            raise ValueError("timeout value must be a non-negative number")
        if me.threads is not self._threads:
            self._move_to(me.threads)
        if not self._locked:
            self._locked = True
            return True
        return blocking and self._wait(me, timeout)

    def _wait(self, me: SimThread, timeout: float) -> bool:
        self._waiters.append(me)
        try:
            me.threads.block_for(me, None if timeout == -1 else timeout, "a lock")
        except BaseException:
            if me in self._waiters:
                self._waiters.remove(me)
            else:
                self.release()
            raise
        if me in self._waiters:
            self._waiters.remove(me)
            return False
        return True

    def release(self) -> None:
        """Give the lock back, to the longest waiter if there is one. Raises ``RuntimeError`` when it is not held."""
        if _HERE.get(_ident()) is None and (not self._locked or self._outside().locked()):
            # Also where a former world left it held: it is the real lock that was taken out here.
            self._outside().release()
        elif not self._locked:
            raise RuntimeError("release unlocked lock")
        elif self._waiters:
            waiter = self._waiters.popleft()
            waiter.threads.wake(waiter)
        else:
            self._locked = False

    def locked(self) -> bool:
        """Say whether the lock is held."""
        return self._locked or (self._real is not None and self._real.locked())

    def _move_to(self, threads: Threads) -> None:
        """Begin a new life in another world: whoever held it there is gone."""
        self._threads = threads
        self._locked = False
        self._waiters.clear()

    def _outside(self) -> _thread.LockType:
        if self._real is None:
            self._real = _real_lock()
        return self._real

    def _at_fork_reinit(self) -> None:
        self._locked, self._real = False, None
        self._waiters.clear()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> Literal[False]:
        self.release()
        return False


class SimSentinel(SimLock):
    """What a ``Thread`` up to 3.12 joins on. Let go of, it lets all who wait through at once: each of them asserts next
    that nobody holds it.
    """

    __slots__ = ()

    def release(self) -> None:
        """Let everybody through."""
        if here() is None:
            # Joined once more after its world, in real time.
            super().release()
            return
        self._locked = False
        while self._waiters:
            waiter = self._waiters.popleft()
            waiter.threads.wake(waiter)


class SimHandle:
    """What 3.13's ``Thread`` joins on."""

    __slots__ = ("_done", "_lock", "ident")

    def __init__(self) -> None:
        self.ident: int | None = None
        self._done = False
        self._lock = SimLock()
        self._lock.acquire()

    def is_done(self) -> bool:
        """Say whether the thread has ended."""
        return self._done

    def set_done(self) -> None:
        """Mark the thread as ended and let those who join go on."""
        if not self._done:
            self._done = True
            self._lock.release()

    _set_done = set_done

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end, at most ``timeout`` seconds of virtual time."""
        if not self._done and self._lock.acquire(True, -1 if timeout is None else timeout):
            self._lock.release()

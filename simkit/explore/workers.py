"""Workers: who does the work of a campaign, and what becomes of the work of one that dies.

The idea: there are lanes with one task each at a time, and every lane has an executor: for the process pool one of its
own with a single process, so a process that dies takes with it one task, which is known by name. The constraint: a task
is done again as often as its worker is killed under it, up to a number, and then it is told and never tried again; so
nothing is lost, and nothing is tried for ever. One pool for all lanes was refused: when a process of it dies, every
task of the pool is gone, and nobody knows which of them killed it.

A task brings its mistakes back as text: exceptions of strangers cannot always be sent.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from simkit.errors import SimkitError, UsageError
from simkit.kernel.machine import MACHINE

# So often is a task tried whose worker was killed.
DEATHS_MAX: Final = 3
# What every worker needs, loaded once before the first of them is made.
_AHEAD: Final = ("simkit.explore.units", "simkit.provider.provider", "freezegun.api")
# Real seconds to wait for an answer of a cluster.
_PATIENCE_S: Final = 10.0


class Answer(NamedTuple):
    """What a worker sends back: a value, or why there is none."""

    how: Literal["done", "mistake", "crash"]
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """A function of a module, its argument, and what is to be done here with its value, or where there is none.

    ``name`` is what people know it by. Both the argument and the value can be sent.
    """

    function: Callable[[Any], object]
    argument: object
    name: str
    then: Callable[[Any], None]
    otherwise: Callable[[str], None]


def perform(function: Callable[[Any], object], argument: object) -> Answer:
    """Call a function where the work is done, and say what came of it in values that can be sent."""
    try:
        return Answer("done", function(argument))
    except SimkitError as error:
        return Answer("mistake", str(error))
    except Exception:  # noqa: BLE001  # whatever it is, it may be of a class that cannot be sent
        return Answer("crash", traceback.format_exc())


class Workers:
    """So many lanes, each of which does one task at a time."""

    def __init__(self, lanes: int, make: Callable[[], Executor]) -> None:
        self._lanes = [_Lane(make) for _ in range(lanes)]

    @property
    def is_free(self) -> bool:
        """Say whether a task could be started."""
        return any(lane.task is None for lane in self._lanes)

    @property
    def is_busy(self) -> bool:
        """Say whether a task is being done."""
        return any(lane.task is not None for lane in self._lanes)

    def start(self, task: Task) -> None:
        """Give a task to a free lane."""
        next(lane for lane in self._lanes if lane.task is None).start(task)

    def finish(self, timeout_s: float) -> None:
        """Wait for the end of a task, or for so long; then give every value to whom it belongs.

        Raises ``UsageError`` for a mistake that a worker found, ``SimkitError`` where there are no workers any more.
        """
        busy = {lane.future for lane in self._lanes if lane.future is not None}
        wait(busy, timeout_s, return_when=FIRST_COMPLETED)
        for lane in self._lanes:
            if lane.future is not None and lane.future.done():
                lane.end()

    def close(self) -> None:
        """Let all workers go."""
        for lane in self._lanes:
            lane.close()


class _Lane:
    """One place where work is done: its executor, and the task that is done there."""

    __slots__ = ("_deaths", "_executor", "_make", "future", "task")

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make
        self._executor: Executor | None = None
        self._deaths = 0
        self.task: Task | None = None
        self.future: Future[Answer] | None = None

    def start(self, task: Task) -> None:
        self.task, self._deaths = task, 0
        self._submit(task)

    def _submit(self, task: Task) -> None:
        try:
            self.future = self._made().submit(perform, task.function, task.argument)
        except BrokenExecutor:
            # The worker died while it had nothing to do: that is nobody's fault.
            self._remake()
            self.future = self._made().submit(perform, task.function, task.argument)

    def end(self) -> None:
        """Hand over what came of the task, or try it again where its worker was killed."""
        task, future = self._at_work()
        try:
            answer = future.result()
        except BrokenExecutor:
            self._died(task, 1)
        except CancelledError as error:
            text = "the workers are gone, and nothing that was done is lost - go on with --resume"
            raise SimkitError(text) from error
        except Exception as error:
            # dask tries again by itself, and says so by an exception of its own.
            if type(error).__name__ != "KilledWorker":
                raise
            self._died(task, DEATHS_MAX)
        else:
            self.task = self.future = None
            _hand_over(task, answer)

    def _at_work(self) -> tuple[Task, Future[Answer]]:
        assert self.task is not None, "only a lane at work comes to an end"
        assert self.future is not None, "a task has a future"
        return self.task, self.future

    def _died(self, task: Task, times: int) -> None:
        self._deaths += times
        self._remake()
        if self._deaths < DEATHS_MAX:
            self._submit(task)
            return
        self.task = self.future = None
        task.otherwise(f"{task.name}: its worker was killed {self._deaths} times, so it is not tried again")

    def _made(self) -> Executor:
        if self._executor is None:
            self._executor = self._make()
        return self._executor

    def _remake(self) -> None:
        """Go on with another executor, where this one is broken."""
        executor, self._executor = self._executor, None
        if isinstance(executor, ProcessPoolExecutor):
            executor.shutdown(wait=False)

    def close(self) -> None:
        if isinstance(self._executor, ProcessPoolExecutor):
            self._executor.shutdown(cancel_futures=True)
        self._executor = None


def _hand_over(task: Task, answer: Answer) -> None:
    match answer:
        case ("done", value):
            task.then(value)
        case ("mistake", text):
            raise UsageError(text)
        case (_, text):
            task.otherwise(f"{task.name} could not be done: {text.strip()}")


# -- in this process ---------------------------------------------------------------------------------------------------
class Here(Executor):
    """Does everything at once, in this very thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function; its future is done when this returns."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextlib.contextmanager
def here() -> Iterator[Workers]:
    """Do the work in this process."""
    # Held over all units, so that only the first pays for it.
    with MACHINE.held():
        yield Workers(1, Here)


# -- in processes ------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def processes(count: int, ahead: Sequence[str] = ()) -> Iterator[Workers]:
    """Do the work in so many processes; the modules that are named ``ahead`` are loaded once for all of them."""
    context = multiprocessing.get_context(_method())
    if _method() == "forkserver":
        context.set_forkserver_preload([*_AHEAD, *ahead])
    workers = Workers(count, lambda: ProcessPoolExecutor(1, mp_context=context, initializer=_begin))
    others = {child.pid for child in multiprocessing.active_children()}
    try:
        yield workers
    finally:
        if workers.is_busy:
            # Whoever waited for it has waited long enough.
            for child in multiprocessing.active_children():
                if child.pid not in others:
                    child.kill()
        workers.close()


def _method() -> str:
    """Return how processes are started.

    A server that has loaded everything and forks has a worker ready in 20 ms, where a new interpreter takes a second;
    macOS does not promise that its own libraries survive a fork.
    """
    can = multiprocessing.get_all_start_methods()
    return "forkserver" if "forkserver" in can and sys.platform != "darwin" else "spawn"


def _begin() -> None:
    """Begin the life of a worker: Ctrl-C is its parent's to answer, and it does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is somebody's child"

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    # A worker holds both ends of the pipe that it waits at, so it would wait there for ever.
    threading.Thread(target=end_with_parent, daemon=True).start()


# -- elsewhere ---------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def on_executor(executor: Executor, lanes: int) -> Iterator[Workers]:
    """Do the work on any executor, so many tasks at a time. It stays its owner's to shut down."""
    yield Workers(lanes, lambda: executor)


@contextlib.contextmanager
def on_dask(address: str, lanes: int | None = None, *, patience_s: float = _PATIENCE_S) -> Iterator[Workers]:
    """Do the work on a dask cluster: by default two tasks for each worker, so that none waits for the next one.

    Raises ``UsageError`` where ``distributed`` is not installed or nobody answers.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        text = "dask needs the package 'distributed' - install it: pip install 'pytest-simkit[dask]'"
        raise UsageError(text) from error
    try:
        client = distributed.Client(address, timeout=patience_s)
    except (OSError, ValueError) as error:
        raise UsageError(f"no dask scheduler answers at {address!r}: {error}") from error
    with client:
        there = len(client.nthreads())
        if not there:
            raise UsageError(f"the dask cluster at {address!r} has no workers - start one: dask worker {address}")
        with on_executor(client.get_executor(pure=False), lanes or 2 * there) as workers:
            yield workers

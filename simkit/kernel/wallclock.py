"""The wall clock: ``time`` and ``datetime`` follow the world, also through names that were bound long before.

The idea: freezegun finds every alias of a time function in every loaded module; it is started once, and its
source of time is replaced by one that reads the world. The constraint: outside a world, and in threads that are
not the world's, everybody reads the real clock. One start for each run was refused: a start scans every loaded
module, which costs more than the run.
"""

from __future__ import annotations

import contextlib
import datetime
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from simkit.kernel.patches import Patches
from simkit.model.duration import NS_PER_S

if TYPE_CHECKING:
    from simkit.kernel.world import World

# What the wall clock shows when a run starts, unless the scenario says otherwise (DESIGN section 7).
STARTS: Final = datetime.datetime(2026, 1, 1)
EPOCH_S: Final = int(STARTS.replace(tzinfo=datetime.UTC).timestamp())


class _Shared:
    """The one start of freezegun in this process, its depth of use, and the world that it follows."""

    __slots__ = ("api", "depth", "freezer", "patches", "world")

    def __init__(self) -> None:
        self.api: Any = None
        self.freezer: Any = None
        self.patches = Patches()
        self.depth = 0
        self.world: World | None = None

    def inside(self) -> World | None:
        world = self.world
        return world if world is not None and world.threads.here() is not None else None


# Process-wide because what freezegun replaces is process-wide: two of these would undo each other's work.
_SHARED: Final = _Shared()


class WallClock:
    """Holds the process's clocks, and lets them follow one world at a time."""

    @staticmethod
    @contextlib.contextmanager
    def held() -> Iterator[None]:
        """Keep the clocks replaced over many runs, so that only the first pays for it. Nests."""
        if _SHARED.depth == 0:
            _start()
        _SHARED.depth += 1
        try:
            yield
        finally:
            _SHARED.depth -= 1
            if _SHARED.depth == 0:
                _stop()

    @staticmethod
    def follows_any() -> bool:
        """Say whether a world runs at this moment, in any thread of this process."""
        return _SHARED.world is not None

    @staticmethod
    @contextlib.contextmanager
    def following(world: World) -> Iterator[None]:
        """Let the clocks of the threads of ``world`` show its time."""
        with WallClock.held():
            outer, _SHARED.world = _SHARED.world, world
            try:
                yield
            finally:
                _SHARED.world = outer


def _start() -> None:
    from freezegun import api  # lazy: 80 ms, and only a run needs it

    _SHARED.api = api
    patches = _SHARED.patches
    patches.set(api, "_get_module_attributes", _attributes_as_loaded)
    patches.set(api, "_should_use_real_time", lambda: _SHARED.inside() is None)
    patches.set(api, "_get_fake_monotonic", _monotonic)
    patches.set(api, "_get_fake_monotonic_ns", _monotonic_ns)
    # freezegun's own goes through a float, which holds no nanosecond of this century.
    patches.set(api, "fake_time_ns", _time_ns)
    # No module is exempt: the exemptions exist for frozen clocks, and this one moves.
    _SHARED.freezer = api.freeze_time(STARTS, ignore=[])
    _SHARED.freezer.ignore = ()
    _SHARED.freezer.start()
    api.freeze_factories[-1] = _now  # type: ignore[call-overload]  # any callable that gives a datetime will do


def _stop() -> None:
    _SHARED.freezer.stop()
    _SHARED.freezer = None
    # A user who freezes time after us gets freezegun as it was.
    _SHARED.patches.undo()
    # freezegun leaves the name of a function behind that Python no longer has.
    if vars(time).get("clock", time) is None:
        del time.clock  # type: ignore[attr-defined]


def _attributes_as_loaded(module: ModuleType) -> list[tuple[str, object]]:
    """Return what a module holds, without waking attributes that load further modules when they are asked for.

    freezegun asks for every attribute by name, which makes an SDK import all that it had put off: half a second.
    """
    return list(vars(module).items())


def _now() -> datetime.datetime:
    world = _SHARED.inside()
    if world is None:
        real: datetime.datetime = _SHARED.api.real_datetime.fromtimestamp(_SHARED.api.real_time(), datetime.UTC)
        return real.replace(tzinfo=None)
    return STARTS + datetime.timedelta(microseconds=world.clock.now_ns // 1000)


def _monotonic() -> float:
    world = _SHARED.inside()
    return world.clock.seconds if world is not None else float(_SHARED.api.real_monotonic())


def _monotonic_ns() -> int:
    world = _SHARED.inside()
    return world.clock.now_ns if world is not None else int(_SHARED.api.real_monotonic_ns())


def _time_ns() -> int:
    world = _SHARED.inside()
    return EPOCH_S * NS_PER_S + world.clock.now_ns if world is not None else int(_SHARED.api.real_time_ns())


def frozen_by_user() -> bool:
    """Say whether somebody else has frozen time with freezegun at this moment."""
    api = sys.modules.get("freezegun.api")
    return bool(api and api.freeze_factories and _SHARED.depth == 0)

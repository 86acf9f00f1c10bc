"""The wall clock: ``time`` and ``datetime`` follow the world, also through names that were bound long before.

The idea: the replacements are freezegun's (they know every corner of ``datetime``), with a source of time that
reads the world; putting them under every alias is the business of ``aliases``. The constraint: outside a world,
and in threads that are not the world's, everybody reads the real clock and has the real types. freezegun's own
start and stop for each run were refused: they look through every loaded module each time, which costs more than
the run.
"""

from __future__ import annotations

import contextlib
import copyreg
import datetime
import sys
import uuid
from collections.abc import Callable, Iterator
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from simkit.kernel.aliases import Aliases
from simkit.kernel.imports import Imports
from simkit.kernel.patches import Patches
from simkit.kernel.threads import running_world
from simkit.model.duration import NS_PER_S

if TYPE_CHECKING:
    from simkit.kernel.world import World

_EPOCH: Final = datetime.datetime(1970, 1, 1)


class WallClock:
    """The process's clocks, and how often somebody asked for them to be replaced."""

    def __init__(self) -> None:
        self._depth = 0
        self._aliases: Aliases | None = None
        self._patches = Patches()
        # Somebody else's freeze is in force: its replacements are the same objects, and are left where they are.
        self._borrowed = False
        self._imports = Imports(lambda: running_world() is not None, self._aside)
        self._importing = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the clocks replaced over many runs, so that only the first pays for it. Nests."""
        self.hold()
        try:
            yield
        finally:
            self.let_go()

    def hold(self) -> None:
        """Replace the clocks, if nobody holds them yet; whoever holds them lets them go."""
        self._depth += 1
        if self._depth == 1:
            try:
                self._on()
            except BaseException:
                self.let_go()
                raise

    def let_go(self) -> None:
        """Give the clocks back, if nobody else holds them."""
        self._depth -= 1
        if self._depth == 0:
            self._off()

    def _on(self) -> None:
        from freezegun import api  # lazy: 80 ms, and only a run needs it

        if self._aliases is None:
            self._aliases = Aliases(_fakes(api), names_only=frozenset({api.real_datetime, api.real_date}))
        self._borrowed = bool(api.freeze_factories)
        if not self._borrowed:
            self._aliases.on()
            self._imports.install()
            copyreg.dispatch_table[api.real_datetime] = api.pickle_fake_datetime
            copyreg.dispatch_table[api.real_date] = api.pickle_fake_date
        # The four lists are freezegun's stack of freezes: ours lies on top of whatever there is.
        api.freeze_factories.append(_now)  # type: ignore[arg-type]  # any callable that gives a datetime will do
        api.tz_offsets.append(datetime.timedelta())
        api.ignore_lists.append(())
        api.tick_flags.append(False)
        self._patches.set(api, "_get_fake_monotonic", _monotonic)
        self._patches.set(api, "_get_fake_monotonic_ns", _monotonic_ns)
        # Models that are made inside a world, as by an SDK that is imported there, name the replaced classes: to the
        # library that builds their schemas those are what they stand for.
        self._patches.add(api.FakeDatetime, "__get_pydantic_core_schema__", classmethod(_datetime_schema))
        self._patches.add(api.FakeDate, "__get_pydantic_core_schema__", classmethod(_date_schema))
        # uuid1 asks the operating system for the time where it can.
        self._patches.set(uuid, "_generate_time_safe", None)

    def _off(self) -> None:
        from freezegun import api  # lazy: as above

        self._patches.undo()
        for stack in (api.freeze_factories, api.tz_offsets, api.ignore_lists, api.tick_flags):
            stack.pop()
        if not self._borrowed:
            assert self._aliases is not None
            self._imports.remove()
            self._aliases.off()
            copyreg.dispatch_table.pop(api.real_datetime, None)
            copyreg.dispatch_table.pop(api.real_date, None)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Take the replacements out of the way while modules are made. Nests, as imports do."""
        assert self._aliases is not None
        self._importing += 1
        if self._importing == 1:
            self._aliases.aside()
        try:
            yield
        finally:
            self._importing -= 1
            if self._importing == 0:
                self._aliases.on()


# Process-wide because what it replaces is process-wide: two of these would undo each other's work.
WALL: Final = WallClock()


def _fakes(api: Any) -> dict[object, object]:
    """Return what is replaced, and with what: the plain clocks by our own, the calendar by freezegun's."""
    calendar = {getattr(api, f"real_{n}"): getattr(api, f"fake_{n}") for n in ("localtime", "gmtime", "strftime")}
    dates = {api.real_datetime: api.FakeDatetime, api.real_date: api.FakeDate}
    clocks = {getattr(api, f"real_{n}"): _clock(api, n, reading) for n, reading in _READINGS.items()}
    return {**calendar, **dates, **clocks}


# What each clock reads in a world. As in stock asyncio, monotonic and perf_counter are the loop's clock.
_READINGS: Final[dict[str, Callable[[World], float]]] = {
    "time": lambda world: world.starts_ns / NS_PER_S + world.clock.seconds,
    "time_ns": lambda world: world.starts_ns + world.clock.now_ns,
    "monotonic": lambda world: world.clock.seconds,
    "monotonic_ns": lambda world: world.clock.now_ns,
    "perf_counter": lambda world: world.clock.seconds,
    "perf_counter_ns": lambda world: world.clock.now_ns,
}


def _clock(api: Any, name: str, reading: Callable[[World], float]) -> Callable[[], float]:
    """Return the clock called ``name``: the world's in a world, a user's freeze where it lies on top, else the real."""
    real, frozen, factories = getattr(api, f"real_{name}"), getattr(api, f"fake_{name}"), api.freeze_factories

    def read(_: object) -> Any:
        if factories and factories[-1] is not _now:
            return frozen()
        world = running_world()
        if world is None:
            return real()
        # Whoever waits by looking at the clock again and again would wait for ever if looking took no time.
        world.spin()
        return reading(world)

    read.__name__ = read.__qualname__ = name
    # Bound already: as an attribute of a class it does not bind again, and neither does the built-in function.
    return MethodType(read, name)


def _now() -> datetime.datetime:
    """Return the time that ``datetime.now`` and the calendar show."""
    world = running_world()
    if world is not None:
        return _EPOCH + datetime.timedelta(microseconds=(world.starts_ns + world.clock.now_ns) // 1000)
    api = sys.modules["freezegun.api"]
    # Below ours may lie the freeze of a user, which goes on holding outside the world.
    below = [factory for factory in api.freeze_factories if factory is not _now]
    if below:
        frozen: datetime.datetime = below[-1]()
        return frozen
    real: datetime.datetime = api.real_datetime.fromtimestamp(api.real_time(), datetime.UTC)
    return real.replace(tzinfo=None)


def _datetime_schema(_: type, source: object, handler: object) -> object:
    from pydantic_core import core_schema  # lazy: whoever asks has it, and nobody else needs it

    return core_schema.datetime_schema()


def _date_schema(_: type, source: object, handler: object) -> object:
    from pydantic_core import core_schema  # lazy: as above

    return core_schema.date_schema()


def _monotonic() -> float:
    """Return what freezegun's own monotonic clocks show, where a user's freeze put them in place."""
    world = running_world()
    return world.clock.seconds if world is not None else float(sys.modules["freezegun.api"].real_monotonic())


def _monotonic_ns() -> int:
    world = running_world()
    return world.clock.now_ns if world is not None else int(sys.modules["freezegun.api"].real_monotonic_ns())

"""The wall clock: every reading follows the world inside, and the real clock outside."""

from __future__ import annotations

import datetime
import importlib
import sys
import threading
import time
from datetime import date as bound_date
from datetime import datetime as bound_datetime
from pathlib import Path
from time import monotonic as bound_monotonic
from time import perf_counter as bound_perf_counter
from time import time as bound_time
from time import time_ns as bound_time_ns

import freezegun
import pytest
from freezegun import api

from simkit.kernel.machine import MACHINE
from simkit.kernel.world import World
from simkit.model.scenario import STARTS_NS
from tests.kernel.wire import steps

# 2026-01-01: nothing that runs for real is that near to it.
NS = 1_000_000_000
EPOCH_S = STARTS_NS // NS
STARTS = datetime.datetime(2026, 1, 1)


@pytest.fixture(autouse=True, scope="module")
def clocks() -> None:
    """No clocks held over the tests of this file: holding and letting go is its subject."""


def readings() -> list[object]:
    return [
        *(time.time(), time.time_ns(), time.monotonic(), time.monotonic_ns(), time.perf_counter()),
        *(time.perf_counter_ns(), bound_time(), bound_time_ns(), bound_monotonic(), bound_perf_counter()),
        *(datetime.datetime.now(), bound_datetime.now(datetime.UTC), bound_date.today(), time.gmtime().tm_min),
    ]


def expected(seconds: float) -> list[object]:
    ns = round(seconds * NS)
    then = STARTS + datetime.timedelta(microseconds=ns // 1000)
    return [
        *(EPOCH_S + seconds, EPOCH_S * NS + ns, seconds, ns, seconds),
        *(ns, EPOCH_S + seconds, EPOCH_S * NS + ns, seconds, seconds),
        *(then, then.replace(tzinfo=datetime.UTC), then.date(), then.minute),
    ]


def real_types() -> list[bool]:
    modules = [sys.modules[__name__], datetime]
    return [
        *(m.__dict__.get("bound_datetime", datetime.datetime).__module__ == "datetime" for m in modules),
        *(f.__module__ == "time" for f in (time.time, time.monotonic, bound_time, bound_monotonic, bound_time_ns)),
        not hasattr(time, "clock"),
    ]


def test_every_reading_is_exact_also_through_names_bound_before() -> None:
    def main() -> list[list[object]]:
        seen = [readings()]
        time.sleep(90.25)
        seen.append(readings())
        time.sleep(86_400 * 0.5)
        return [*seen, readings()]

    assert World().run(main) == [expected(0.0), expected(90.25), expected(43_290.25)]


def test_time_in_nanoseconds_is_exact_to_the_nanosecond() -> None:
    def main() -> list[int]:
        time.sleep(0.123456789)
        return [time.time_ns() - EPOCH_S * NS, bound_time_ns() - EPOCH_S * NS, time.monotonic_ns()]

    assert World().run(main) == [123_456_789] * 3


def test_the_loops_time_is_the_monotonic_time() -> None:
    import asyncio

    async def main() -> list[bool]:
        loop, equal = asyncio.get_running_loop(), list[bool]()
        for span in (0.1, 0.2, 0.3, 1e-9, 7.7):
            await asyncio.sleep(span)
            equal.append(loop.time() == time.monotonic() == bound_monotonic())
        return equal

    assert World().run(main) == [True] * 5


def test_outside_the_world_clock_and_types_are_real() -> None:
    before = time.time()
    World().run(lambda: time.sleep(1e4))
    assert (real_types(), 0 <= time.time() - before < 100) == ([True] * len(real_types()), True)


def test_while_the_clocks_are_held_everybody_outside_reads_real_time() -> None:
    real = time.time(), time.monotonic(), time.time_ns(), time.perf_counter()
    with MACHINE.held():
        World().run(lambda: time.sleep(1e4))
        held = time.time(), time.monotonic(), time.time_ns(), time.perf_counter()
        year = datetime.datetime.now(datetime.UTC).timestamp()
    gaps = [held[0] - real[0], held[1] - real[1], (held[2] - real[2]) / NS, held[3] - real[3], year - real[0]]
    assert [-1 < gap < 100 for gap in gaps] == [True] * 5


def test_holding_the_clocks_nests_and_the_last_lets_go() -> None:
    freezes = list[int]()
    with MACHINE.held():
        freezes.append(len(api.freeze_factories))
        with MACHINE.held():
            freezes.append(len(api.freeze_factories))
        World().run(lambda: freezes.append(len(api.freeze_factories)))
    assert ([*freezes, len(api.freeze_factories)], real_types()) == ([1, 1, 1, 0], [True] * len(real_types()))


def test_a_thread_from_outside_reads_the_real_clock_while_a_world_runs() -> None:
    read = list[float]()
    go, done = threading.Lock(), threading.Lock()
    go.acquire()
    done.acquire()
    thread = threading.Thread(target=steps(go.acquire, lambda: read.append(bound_time()), done.release))
    thread.start()
    before = time.time()
    World().run(steps(lambda: time.sleep(1e4), go.release, done.acquire))
    thread.join()
    assert [-1 < when - before < 100 for when in read] == [True]


def test_a_module_first_imported_inside_works_inside_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_clock_reader.py").write_text(
        "from time import monotonic, time as wall\nfrom datetime import datetime\n"
        "from threading import Lock\nlock = Lock()\n"
        "def read():\n    with lock:\n        return monotonic(), wall(), datetime.now()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def main() -> object:
        time.sleep(2)
        return importlib.import_module("late_clock_reader").read()

    inside = World().run(main)
    module = sys.modules.pop("late_clock_reader")
    sound = [module.read()[0] > 0, abs(module.read()[1] - time.time()) < 100, module.datetime is datetime.datetime]
    assert (inside, sound) == ((2.0, EPOCH_S + 2.0, STARTS + datetime.timedelta(seconds=2)), [True] * 3)


def test_freezegun_is_given_back_to_its_users() -> None:
    World().run(lambda: None)
    with freezegun.freeze_time("2020-02-02"):
        seen = [time.monotonic() == time.monotonic(), datetime.datetime.now().year]
    vars(time).pop("clock", None)
    assert (seen, real_types()) == ([True, 2020], [True] * len(real_types()))


def test_a_users_freeze_around_a_run_is_there_again_after_it() -> None:
    with freezegun.freeze_time("2020-02-02"):
        inside = World().run(steps(lambda: time.sleep(1), lambda: (time.monotonic(), datetime.datetime.now().year)))
        after = datetime.datetime.now().year, time.time() == time.time()
    # The user's own freezegun leaves this name behind; ours does not.
    vars(time).pop("clock", None)
    assert (inside, after, real_types()) == ((1.0, 2026), (2020, True), [True] * len(real_types()))


@pytest.mark.parametrize(
    ("starts_ns", "shown"),
    [
        (1_835_481_599_250_000_000, ["2028-02-29T23:59:59.250000", "2028-03-01T00:00:00.250000"]),
        (-NS, ["1969-12-31T23:59:59", "1970-01-01T00:00:00"]),
    ],
)
def test_a_world_starts_when_it_is_told_to_and_monotonic_clocks_start_at_zero(starts_ns: int, shown: list[str]) -> None:
    def main() -> list[object]:
        before, at = bound_datetime.now().isoformat(), [time.time_ns() - starts_ns, time.time() - starts_ns / NS]
        time.sleep(1)
        return [[before, datetime.datetime.now().isoformat()], at, time.time_ns() - starts_ns, time.monotonic()]

    assert World(starts_ns=starts_ns).run(main) == [shown, [0, 0.0], NS, 1.0]

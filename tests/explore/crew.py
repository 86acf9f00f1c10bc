"""What the tests of campaigns share: cases, whoever watches, and work that goes wrong in every way there is.

The idea: what has to be found in other processes is a function or an agent of this module. The constraint: nothing here
kills a process that runs tests: an agent that kills is killed by, and kills, a worker only.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simkit.contracts import Sim
from simkit.explore.attempts import Space, attempts
from simkit.explore.campaign import Campaign, CaseExplored, Standing
from simkit.explore.failures import Failure
from simkit.explore.outcome import Outcome
from simkit.explore.state import Campaigns, State
from simkit.explore.units import WHOLE, Case, Shard
from simkit.explore.workers import Task, Workers, here
from simkit.language.reader import loads
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from tests.explore.cases import text_of
from tests.language.laws import LAWS


# -- agents ------------------------------------------------------------------------------------------------------------
async def deadly(sim: Sim) -> None:
    """Kills its process when the tool that was started second comes back first."""
    async for _ in sim.user:
        ended: list[str] = []
        await asyncio.gather(*(_note(sim, name, ended) for name in ("first", "second")))
        if ended[0] == "second":
            die()
        sim.said("done")


async def _note(sim: Sim, name: str, ended: list[str]) -> None:
    await sim.tools[name]()
    ended.append(name)


async def stuck(sim: Sim) -> None:
    """Never comes back, and says so to nobody."""
    while sim:
        pass


_runs = 0


async def moody(sim: Sim) -> None:
    """Fails in the fifth run of its process, whatever the plan."""
    global _runs
    _runs += 1
    async for _ in sim.user:
        if _runs == 5:
            raise RuntimeError("not my day")
        sim.said("done")


def fresh_mood() -> None:
    """Begin to count again."""
    global _runs
    _runs = 0


# -- work --------------------------------------------------------------------------------------------------------------
def die() -> None:
    """Kill this process, which has to be a worker."""
    assert multiprocessing.parent_process() is not None, "a test would kill itself"
    os.kill(os.getpid(), signal.SIGKILL)


def double(number: int) -> int:
    return 2 * number


def pid(_: object) -> int:
    return os.getpid()


def die_so_often(asked: tuple[str, int]) -> str:
    """Kill this process, but for the last time say who survived; the file counts the deaths."""
    file, times = Path(asked[0]), asked[1]
    before = file.stat().st_size if file.exists() else 0
    if before < times:
        with file.open("a") as deaths:
            deaths.write("x")
        die()
    return f"survived {before} times"


class StrangeError(Exception):
    """Cannot be sent: it is made from two values and keeps one."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def stumble(text: str) -> None:
    raise StrangeError(text, "and more")


def explore_wrongly(strategy: str) -> None:
    attempts(Space(strategy=strategy), Outcome(plan=Plan()))


def sleep_long(_: object) -> None:
    time.sleep(600)


def task(function: Callable[[Any], object], argument: object, number: int = 0, came: Any = None) -> Task:
    """A task whose value goes into a mapping under its number, and so does why there is none."""
    came = {} if came is None else came

    def keep(value: object) -> None:
        came[number] = value

    return Task(function=function, argument=argument, name=f"task {number}", then=keep, otherwise=keep)


# A function and its argument.
Work = tuple[Callable[[Any], object], object]


def done_by(workers: Workers, tasks: list[Work]) -> list[object]:
    """Return what came of each task, in the order of the tasks; of what could not be done the text."""
    came: dict[int, object] = {}
    waiting = [task(function, argument, number, came) for number, (function, argument) in enumerate(tasks)]
    while waiting or workers.is_busy:
        while waiting and workers.is_free:
            workers.start(waiting.pop(0))
        workers.finish(0.2)
    return [came[number] for number in sorted(came)]


# -- campaigns ---------------------------------------------------------------------------------------------------------
def scenario_of(agent: str, keys: str = "", file: str = "") -> Scenario:
    """A scenario of the agents here or in ``cases``."""
    text = text_of(agent, keys)
    if agent in globals():
        text = text.replace("tests.explore.cases:", "tests.explore.crew:")
    (scenario,) = loads(text, file or f"{agent}.sim.yaml", laws=LAWS)
    return scenario


def case_of(agent: str, keys: str = "", file: str = "", **space: Any) -> Case:
    return Case(scenario=scenario_of(agent, keys, file), space=Space(**space))


@dataclass(slots=True)
class Watcher:
    """Watches, and breaks off after so many looks."""

    looks: int = 10**9
    said: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    last: Standing | None = None

    def is_over(self) -> bool:
        return self.looks <= 0

    def is_broken_off(self) -> bool:
        return self.looks <= 0

    def is_abandoned(self) -> bool:
        return False

    def tell(self, text: str) -> None:
        self.said.append(text)

    def found(self, case: Case, failure: Failure) -> None:
        self.seen.append(failure.broken.law)

    def look(self, standing: Standing) -> None:
        self.looks -= 1
        self.last = standing


def campaign(
    *cases: Case,
    workers: Workers | None = None,
    state: State | None = None,
    watch: Watcher | None = None,
    shard: Shard = WHOLE,
    in_turns: bool = False,
    root: Path,
) -> tuple[CaseExplored, ...]:
    """Run a campaign, by default in this process and from the beginning."""
    watch = watch or Watcher()
    if workers is None:
        with here() as workers:
            return campaign(
                *cases, workers=workers, state=state, watch=watch, shard=shard, in_turns=in_turns, root=root
            )
    if state is None:
        with Campaigns(root).begin("key") as state:
            return Campaign(cases, workers, state, watch, shard=shard, in_turns=in_turns).run()
    return Campaign(cases, workers, state, watch, shard=shard, in_turns=in_turns).run()


def told(explored: tuple[CaseExplored, ...]) -> list[tuple[object, ...]]:
    """What has to be the same however a campaign was done."""
    return [
        (
            one.case.name,
            one.runs,
            one.virtual_ns,
            one.exhausted,
            one.statement,
            one.missing,
            one.unknown,
            *failures(one),
        )
        for one in explored
    ]


def failures(one: CaseExplored) -> list[tuple[str, str, int, int]]:
    return [(failure.id, failure.plan.text(), failure.number, failure.count) for failure in one.failures]

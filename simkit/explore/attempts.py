"""Attempts: which plans an exploration tries, by their numbers.

The idea: the mix is made of lanes (sweeps, one actor at a time, systematic plans, pure chance, priorities), from which
attempts are taken in fair turns, since no lane finds every kind of bug and nobody knows beforehand which one a program
has. The constraint: an attempt is a function of the space and of the default run, and of no other run, so any number of
workers in any order tries the same set, and a number names its plan for ever. A mix that learns from what it has found
was refused for that reason. What only whoever ran a plan can know, the ways to deviate once more behind it, is asked
for by name: ``children``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count, cycle, islice
from typing import Final

from simkit.errors import UsageError
from simkit.explore.outcome import Attempt, Outcome
from simkit.explore.sweep import sweep
from simkit.extensions import names, nearest
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario, StrikePlace, Sweep
from simkit.strategies.sequential import ACTORS
from simkit.strategies.systematic import one_more

_MIX: Final = "mix"
# How many deviations the plans of a systematic search have at most, unless somebody says otherwise.
DEPTH: Final = 2
# The depths of PCT that take turns: two ordered events, three, or nothing but an order of the actors.
_PCT_DEPTHS: Final = (2, 3, 1)

# A plan with the strategy that makes the choices which it leaves open.
_Way = tuple[Plan, str]
_Lane = Iterator[_Way]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What may vary in an exploration.

    ``order``, ``jitter_ns``, ``sweep``, ``faults``, ``where`` and ``shift_ns`` are a scenario's (see ``Exploring``).
    ``seed`` is that of the default run, from which further seeds are counted up. ``runs`` is how many runs there are at
    most, the default run included; 0 is no bound. ``depth`` is how many deviations a systematic plan has at most, and
    ``strategy`` is ``mix``, ``systematic``, or whoever makes all choices.
    """

    order: str = "timing"
    jitter_ns: int = 0
    sweep: Sweep = "none"
    faults: tuple[str, ...] = ()
    where: tuple[StrikePlace, ...] = ()
    shift_ns: int = 0
    seed: int = 0
    runs: int = 0
    depth: int = DEPTH
    strategy: str = _MIX

    def __post_init__(self) -> None:
        """Raise ``UsageError`` for a strategy that there is none of."""
        known = [_MIX, *_LANES, *names("strategies")]
        if self.strategy not in known:
            raise UsageError(f"no strategy is called {self.strategy!r}{nearest(self.strategy, dict.fromkeys(known))}")

    @property
    def default(self) -> Attempt:
        """The attempt of the default run, whose outcome all others are made from."""
        return Attempt(number=0, plan=self.plan())

    def plan(self, further: int = 0) -> Plan:
        """Return the plan without deviations, of the space's seed or one that is further up."""
        return Plan(seed=self.seed + further, order=self.order, jitter_ns=self.jitter_ns)


def space_of(
    scenario: Scenario,
    *,
    runs: int,
    seed: int = 0,
    strategy: str = _MIX,
    order: str = "timing",
    jitter_ns: int = 0,
    depth: int = DEPTH,
) -> Space:
    """Return what varies in a scenario: what its author asks for, and what is asked for here beyond that."""
    asked = scenario.explore
    return Space(
        order="any" if "any" in (order, asked.order) else order,
        jitter_ns=max(jitter_ns, asked.jitter_ns),
        sweep=asked.sweep,
        faults=asked.faults,
        where=asked.where,
        shift_ns=asked.shift_ns,
        seed=seed,
        runs=runs,
        depth=depth,
        strategy=strategy,
    )


def attempts(space: Space, first: Outcome) -> Iterator[Attempt]:
    """Yield the attempts behind the default run, whose outcome is ``first``, numbered from 1.

    They end where the runs of the space do, or with all that there is to try.
    """
    ways = islice(_ways(space, first), space.runs - 1 if space.runs else None)
    return (Attempt(number=number, plan=plan, strategy=strategy) for number, (plan, strategy) in enumerate(ways, 1))


def children(attempt: Attempt, outcome: Outcome, depth: int = DEPTH) -> Iterator[Attempt]:
    """Yield the systematic plans with one deviation more than the one that came to this outcome.

    They have its number: whoever runs them also numbers them. There are none where another strategy than choice 0 had
    its hands in the run, where a fault struck, where nothing deviates yet (``attempts`` has those), or at the depth.
    """
    deviations = attempt.plan.deviations
    if attempt.strategy != "fifo" or attempt.plan.strikes or not 0 < len(deviations) < depth:
        return iter(())
    ways = _systematic(attempt.plan, outcome)
    return (Attempt(number=attempt.number, plan=plan, strategy=strategy) for plan, strategy in ways)


# -- the strategies ---------------------------------------------------------------------------------------------------
def _ways(space: Space, first: Outcome) -> _Lane:
    if space.strategy == _MIX:
        return _mix(space, first)
    lane = _LANES.get(space.strategy)
    return lane(space, first) if lane else _seeded(space, space.strategy)


def _mix(space: Space, first: Outcome) -> _Lane:
    """Every second turn is the sweep's, which is finite and was asked for; the others share the rest."""
    alone = _sequential(space, first)
    # The run without any preemption and the first one with a single preemption find most of what can be found soon.
    front = islice(alone, 2)
    others = [_systematic(space.plan(), first), _seeded(space, "uniform"), _pct(space, first), alone]
    return _in_turns([_sweep(space, first), chain(front, _in_turns(others))])


def _sweep(space: Space, first: Outcome) -> _Lane:
    return ((plan, "fifo") for plan in sweep(space, first))


def _sequential(space: Space, first: Outcome) -> _Lane:
    """One actor at a time, then the same with one of them held back; nothing where no actors ever meet."""
    steps = _steps(first)
    return ((space.plan(), f"sequential:{held}" if held else "sequential") for held in range(steps and steps + 1))


def _systematic(plan: Plan, outcome: Outcome) -> _Lane:
    met = [(choice.kind, choice.count) for choice in outcome.choices]
    for deviations in one_more(plan.deviations, met):
        yield replace(plan, deviations=deviations), "fifo"


def _pct(space: Space, first: Outcome) -> _Lane:
    """Priorities of actors, with changes among as many choices as the default run makes; nothing where none meet."""
    if _steps(first):
        for further, depth in zip(count(1), cycle(_PCT_DEPTHS), strict=False):
            yield space.plan(further), f"pct:{depth}:{len(first.choices)}"


def _seeded(space: Space, strategy: str) -> _Lane:
    """One strategy under one seed after the other: each also has other draws and another order of sets."""
    return ((space.plan(further), strategy) for further in count(1))


def _steps(first: Outcome) -> int:
    """Return how often in the default run it was asked which actor goes on."""
    return sum(choice.kind in ACTORS for choice in first.choices)


# What is more than one strategy under many seeds.
_LANES: Final[Mapping[str, Callable[[Space, Outcome], _Lane]]] = {
    "sequential": _sequential,
    "systematic": lambda space, first: _systematic(space.plan(), first),
    "pct": _pct,
}


def _in_turns(lanes: Iterable[_Lane]) -> _Lane:
    """Take one of each lane in turn, until all of them are at their end."""
    left = list(lanes)
    while left:
        ended = []
        for lane in left:
            way = next(lane, None)
            if way is None:
                ended.append(lane)
            else:
                yield way
        left = [lane for lane in left if lane not in ended]

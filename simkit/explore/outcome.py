"""What passes between the rooms of an exploration: how a run is steered, and what came of it.

The idea: an attempt is a small value that anybody can make into a run, in this process or another, and an outcome is
all that is kept of one; the trace stays where it was made, since a plan gives it back. The constraint: both are frozen,
compare by value and can be sent to a worker. Sending traces was refused: a campaign of a million runs would move
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from simkit.model.plan import Plan
from simkit.model.timeline import Place


class Choice(NamedTuple):
    """A choice that a run made: its kind, among how many, and which was taken. A tuple, since a run makes many."""

    kind: str
    count: int  # type: ignore[assignment]  # nobody counts in it: the method of tuples gives way to the name
    pick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a search. ``number`` is its place in the search, from 0, which is the default run.

    ``plan`` says what is fixed, ``strategy`` who makes all other choices, as a text: ``fifo``, ``uniform``,
    ``sequential:3`` (the actor of the third step is held back), ``pct:2:120`` (depth and horizon).
    """

    number: int
    plan: Plan
    strategy: str = "fifo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One thing that was wrong in a run: the law, its sentence, and where the scenario demands it.

    ``key`` is what two runs have in common when they fail for the same reason.
    """

    law: str
    text: str
    key: str
    place: Place | None = field(default=None, compare=False)
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run. ``plan`` is the one that it took, so that it can be run again without its strategy.

    ``choices`` are all that were made, in order; ``sites`` where a fault could have struck; ``reached`` what an
    exploration has to have reached at least once, by name; ``end_ns`` how long it took in virtual time.
    """

    plan: Plan
    broken: tuple[Broken, ...] = ()
    choices: tuple[Choice, ...] = ()
    sites: tuple[str, ...] = ()
    reached: frozenset[str] = frozenset()
    end_ns: int = 0

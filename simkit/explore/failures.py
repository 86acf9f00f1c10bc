"""Failures told apart: which runs of an exploration failed for the same reason, how often, and the smallest of each.

The idea: two runs fail alike when the same law says the same sentence of the same line, numbers and quoted words aside;
of all runs that fail alike one is kept, with the smallest plan, and the others are counted. The constraint: nothing is
lost by it, so a run that breaks two laws gives two failures, and the same law broken at another line is another one.
Telling them apart by their plans was refused: one fault of the agent is met at every frame of every answer.

Shrinking may lead a failure to another line of the scenario than the one where it was found; telling apart once more
afterwards makes one of what turned out to be the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from simkit.explore.outcome import Broken, Outcome
from simkit.model.plan import Plan, Strike

_ID_BYTES: Final = 4
# A file system takes 255 bytes for a name; a person reads fewer.
_SLUG_MAX: Final = 80
# From the simplest to tell to the one that needs most words, for streams, answers and tools alike.
SIMPLEST: Final = (
    *("cut", "reset", "eof", "stall", "slow", "error", "garble"),
    *("status_500", "status_429", "status_529", "refused", "timeout"),
    *("tool_raises", "tool_hangs", "cancel"),
)

# What plans are compared by, from the most to the least important.
Weight = tuple[int | tuple[int, ...] | tuple[tuple[int, ...], ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One way in which a case fails: what broke, the smallest plan of all runs that did so, and how many these were.

    ``number`` is that of the first attempt which found it.
    """

    case: str
    broken: Broken
    plan: Plan
    number: int = 0
    count: int = 1

    @property
    def id(self) -> str:
        """A short name, the same wherever this failure of this case is found."""
        place = self.broken.place
        where = f"{place.line}:{place.column}" if place is not None else ""
        text = "\n".join((self.case, self.broken.key, str(self.broken.unknown), where))
        return blake2b(text.encode(), digest_size=_ID_BYTES).hexdigest()

    @property
    def slug(self) -> str:
        """The name of a file about it: the scenario's or the function's own, the law, and the id."""
        file, _, row = self.case.partition("::")
        stem = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".sim.yaml")
        words = [stem, *([row] if row not in ("", "run") else []), self.broken.law]
        name = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(words)).strip("_")
        return f"{name[:_SLUG_MAX]}-{self.id}"


# -- what is the same --------------------------------------------------------------------------------------------------
def same_failure(one: Broken, other: Broken) -> bool:
    """Say whether two things went wrong for the same reason."""
    return (one.key, one.unknown) == (other.key, other.unknown)


def same_in(broken: Broken, outcome: Outcome) -> Broken | None:
    """Return what went wrong in a run for the same reason, at the same line where it did so there; else None."""
    same = [other for other in outcome.broken if same_failure(broken, other)]
    return next((other for other in same if other.place == broken.place), same[0] if same else None)


def failures_of(case: str, outcome: Outcome, number: int = 0) -> tuple[Failure, ...]:
    """Return every way in which a run failed, each once, however often a law was broken in it."""
    found: dict[str, Failure] = {}
    for broken in outcome.broken:
        failure = Failure(case=case, broken=broken, plan=outcome.plan, number=number)
        found.setdefault(failure.id, failure)
    return tuple(found.values())


def tell_apart(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Return the different failures among these, in the order in which they were found, each with its count."""
    groups: dict[str, list[Failure]] = {}
    for failure in failures:
        groups.setdefault(failure.id, []).append(failure)
    return tuple(sorted(map(_one_of, groups.values()), key=lambda failure: (failure.number, failure.id)))


def _one_of(alike: list[Failure]) -> Failure:
    smallest = min(alike, key=lambda failure: (weight(failure.plan), failure.number))
    number, count = min(failure.number for failure in alike), sum(failure.count for failure in alike)
    return replace(smallest, number=number, count=count)


# -- what is smaller ---------------------------------------------------------------------------------------------------
def weight(plan: Plan) -> Weight:
    """Return what a plan weighs: how many faults, whether asyncio can do that, how many choices, how large and odd."""
    picks = tuple(deviation.pick for deviation in plan.deviations)
    sites = tuple(site_numbers(strike.site) for strike in plan.strikes)
    kinds = tuple(map(rank, plan.strikes))
    counts = (len(plan.strikes), int(plan.order == "any"), len(plan.deviations))
    return (*counts, plan.jitter_ns, plan.seed, sum(picks), sites, kinds)


def rank(strike: Strike) -> int:
    """Return how many kinds of fault are simpler than this one."""
    return SIMPLEST.index(strike.kind)


def site_numbers(site: str) -> tuple[int, ...]:
    """Return the numbers in the name of a site, by which sites of one sort stand in order."""
    return tuple(map(int, re.findall(r"\d+", site)))

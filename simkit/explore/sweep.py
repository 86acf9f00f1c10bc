"""Sweeps: every kind of fault at every place of the default run, one by one, and two at a time where that is asked for.

The idea: a run says where a fault could have struck it, and a plan names a place and a kind, so a sweep is nothing but
the list of these plans. They come in rounds: each round strikes every place once, with another kind at each, so that
also the beginning of a sweep has been everywhere and with everything. The constraint: what is listed is a function of
the outcome, and is finite; two faults are listed by the outcome of the run that met the first of them, because behind
it places have other numbers, and other places are reached. Drawing places at random was refused: it meets the one
frame that matters late or never, and cannot say that nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from simkit.explore.outcome import Attempt, Outcome
from simkit.model.plan import Plan, Strike, strikes_at
from simkit.model.scenario import StrikePlace

if TYPE_CHECKING:
    from simkit.explore.attempts import Space


def sweep(space: Space, first: Outcome) -> Iterator[Plan]:
    """Yield the plans with one fault each, by the outcome of the default run.

    There are none where the space asks neither for a sweep nor for certain faults. Faults that are asked for by name
    strike without a sweep being asked for: there is no other way in which they could.
    """
    if space.sweep == "none" and not space.faults:
        return
    for strike in strikes(first.sites, space.faults, space.where):
        yield replace(space.plan(), strikes=(strike,))


def pairs_of(space: Space, attempt: Attempt, outcome: Outcome) -> Iterator[Attempt]:
    """Yield the plans with one fault behind the one that led to this outcome; they have its number, as children do.

    A second fault before the first one is the first fault of another run, so every two come together once. There are
    none where pairs are not asked for, and for a run that another strategy or a choice had its hands in.
    """
    plan = attempt.plan
    if space.sweep != "pairs" or attempt.strategy != "fifo" or plan.deviations or len(plan.strikes) != 1:
        return
    (one,) = plan.strikes
    for other in strikes(_behind(outcome.sites, one.site), space.faults, space.where):
        yield replace(attempt, plan=replace(plan, strikes=(one, other)))


def strikes(sites: Iterable[str], faults: Iterable[str] = (), where: Iterable[StrikePlace] = ()) -> Iterator[Strike]:
    """Yield every fault at every one of these sites; of ``faults`` and at ``where`` only, where some are given."""
    kinds, places = frozenset(faults), frozenset(where)
    at = [(site, _kinds(site, kinds)) for site in dict.fromkeys(sites) if not places or place_of(site) in places]
    for turn in range(max((len(can) for _, can in at), default=0)):
        for number, (site, can) in enumerate(at):
            if turn < len(can):
                yield Strike(site=site, kind=can[(turn + number) % len(can)])


def place_of(site: str) -> StrikePlace:
    """Return what a scenario calls the place where a site is."""
    if site.startswith("tool"):
        return "tools"
    return "user" if site.startswith("user") else "frames"


def _kinds(site: str, wanted: frozenset[str]) -> tuple[str, ...]:
    return tuple(kind for kind in strikes_at(site) if not wanted or kind in wanted)


def _behind(sites: tuple[str, ...], site: str) -> tuple[str, ...]:
    return sites[sites.index(site) + 1 :] if site in sites else ()

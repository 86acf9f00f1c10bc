"""Units: which there are, in which order, and that together they are the exploration of one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import pytest

from simkit.explore.attempts import Space, attempts
from simkit.explore.outcome import Attempt, Choice, Outcome
from simkit.explore.search import explore_space
from simkit.explore.units import WHOLE, Agenda, Children, Parent, Shard, Unit, UnitDone, run_first, run_unit
from simkit.model.plan import Plan, Strike
from tests.explore.crew import case_of


def units(agenda: Agenda, done: Callable[[Unit], UnitDone], at_once: int = 1) -> Iterator[Unit]:
    """Yield all units, of which so many at a time are under way; they come back the last one first."""
    open_: list[Unit] = []
    while True:
        while len(open_) < at_once and (unit := agenda.next()) is not None:
            open_.append(unit)
            yield unit
        if not open_:
            return
        agenda.take(done(open_.pop()))


def first_of(choices: int, sites: int = 0) -> Outcome:
    return Outcome(
        plan=Plan(), choices=(Choice("tie", 3, 0),) * choices, sites=tuple(f"answer{n + 1}" for n in range(sites))
    )


def imagined(unit: Unit, behind: int = 5) -> UnitDone:
    """Pretend that there were so many plans behind every attempt of a unit that can have any."""
    space = unit.case.space
    parents = [
        Parent(attempt=replace(attempt, number=number), count=behind)
        for number, attempt in enumerate(unit.attempts, unit.number)
        if unit.counts and attempt.strategy == "fifo" and attempt.plan.seed == space.seed
    ]
    return UnitDone(case=unit.case.name, name=unit.name, parents=tuple(parents))


def imagined_units(space: Space, first: Outcome, at_once: int = 1, shard: Shard = WHOLE) -> list[Unit]:
    case = replace(case_of("racing"), space=space)
    return list(islice(units(Agenda(case, first, shard), imagined, at_once), 200))


def content(unit: Unit) -> tuple[object, ...]:
    return (unit.name, unit.attempts, unit.children)


# -- the order --
@pytest.mark.parametrize("strategy", ["mix", "systematic", "uniform"])
def test_the_units_do_not_depend_on_how_many_are_under_way_or_on_which_comes_back_first(strategy: str) -> None:
    space = Space(strategy=strategy, runs=3000)
    one, many = (imagined_units(space, first_of(200), at_once) for at_once in (1, 7))
    assert list(map(content, one)) == list(map(content, many))


def test_units_of_single_deviations_come_before_those_of_several_and_then_they_take_turns() -> None:
    found = imagined_units(Space(runs=900), first_of(40))
    kinds = "".join("c" if unit.children else "a" for unit in found)
    assert kinds.lstrip("a")[:9] == "caacaacaa"


def test_the_numbers_of_the_units_leave_nothing_out_and_end_with_the_runs() -> None:
    found = imagined_units(Space(runs=777), first_of(40))
    numbers = [number for unit in found for number in range(unit.number, unit.number + unit.size)]
    assert numbers == list(range(1, 777))


def test_attempts_have_the_numbers_that_they_have_in_a_search_of_one_process() -> None:
    space, first = Space(runs=300), first_of(200)
    found = imagined_units(space, first)
    assert [attempt for unit in found for attempt in unit.attempts] == list(attempts(space, first))


def test_nobody_counts_what_is_behind_where_the_runs_end_before_it() -> None:
    found = [{unit.counts for unit in imagined_units(Space(runs=runs), first_of(40))} for runs in (80, 900)]
    assert found == [{False}, {True}]


def test_a_unit_has_fewer_attempts_the_more_a_run_meets() -> None:
    sizes = [imagined_units(Space(runs=500), first_of(2, sites))[0].size for sites in (0, 9, 39, 1000)]
    assert sizes == [64, 40, 10, 4]


def test_a_unit_that_is_lost_is_not_waited_for_and_nothing_is_exhausted() -> None:
    agenda = Agenda(replace(case_of("racing"), space=Space(strategy="systematic")), first_of(2))
    lost = agenda.next()
    assert lost is not None
    agenda.lose(lost)
    assert (agenda.next(), agenda.is_waiting, agenda.is_exhausted) == (None, False, False)


# -- shards --
def test_shards_have_no_plan_in_common_and_all_of_them_together() -> None:
    space, first = Space(strategy="systematic"), first_of(200)
    shards = [imagined_units(space, first, shard=Shard(index, 3)) for index in range(3)]

    def plans(found: list[Unit]) -> list[tuple[str, int]]:
        single = [(attempt.plan.text(), -1) for unit in found for attempt in unit.attempts]
        parts = [part for unit in found for part in unit.children]
        return single + [(part.attempt.plan.text(), at) for part in parts for at in range(part.start, part.stop)]

    dealt = [plan for found in shards for plan in plans(found)]
    assert sorted(dealt) == sorted(plans(imagined_units(space, first)))


def test_in_a_shard_the_statement_says_so() -> None:
    agenda = Agenda(replace(case_of("racing"), space=Space()), first_of(2), Shard(1, 4))
    assert agenda.statement.endswith("under seed 0, in shard 2/4")


# -- what a worker does --
def test_what_is_behind_an_attempt_is_run_by_its_place() -> None:
    case = case_of("racing")
    parent = Attempt(number=3, plan=Plan.parse("seed=0,tie@0:1"))
    whole, *parts = (
        run_unit(
            Unit(case=case, number=9, size=stop - start, children=(Children(attempt=parent, start=start, stop=stop),))
        )
        for start, stop in ((0, 2), (0, 1), (1, 2))
    )
    assert [part.coverage.runs for part in (whole, *parts)] == [2, 1, 1]
    assert whole.coverage == parts[0].coverage | parts[1].coverage


def test_a_unit_says_how_much_is_behind_each_of_its_attempts() -> None:
    case = case_of("racing", sweep="pairs")
    tried = (
        Attempt(number=0, plan=Plan.parse("seed=0,tie@0:1")),
        Attempt(number=0, plan=Plan(strikes=(Strike("tool1.start", "tool_hangs"),))),
        Attempt(number=0, plan=Plan(seed=1), strategy="uniform"),
    )
    done = run_unit(Unit(case=case, number=5, size=3, attempts=tried))
    assert [(parent.attempt.number, parent.count > 0) for parent in done.parents] == [(5, True), (6, True)]


@pytest.mark.parametrize(
    ("agent", "space"),
    [
        ("racing", Space(strategy="systematic", runs=100)),
        ("fragile", Space(strategy="systematic", runs=100)),
        ("racing", Space(strategy="sequential", runs=100)),
        ("fragile", Space(sweep="single", runs=5)),
    ],
)
def test_units_come_to_what_a_search_of_one_process_comes_to(agent: str, space: Space) -> None:
    case = replace(case_of(agent), space=space)
    agenda = Agenda(case, run_first(case))
    coverage = run_unit(Unit(case=case, number=0, size=1, attempts=(space.default,))).coverage
    found = set()
    while (unit := agenda.next()) is not None:
        done = run_unit(unit)
        agenda.take(done)
        coverage |= done.coverage
        found |= {failure.id for failure in done.failures}
    alone = explore_space(case.runner, space, case=case.name, scenario=case.scenario)
    assert (coverage.runs, found, agenda.is_exhausted, agenda.statement) == (
        alone.runs,
        {failure.id for failure in alone.failures},
        alone.exhausted,
        alone.statement,
    )

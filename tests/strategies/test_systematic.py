"""Every plan with up to so many deviations, each once: held against all subsets of the choices of small runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from simkit.model.plan import Deviation
from simkit.strategies.systematic import one_more

Plan = tuple[Deviation, ...]
KINDS = st.sampled_from(["order", "thread", "tie"])
RUNS = st.lists(st.tuples(KINDS, st.integers(2, 4)), max_size=6)


def all_up_to(depth: int, met: list[tuple[str, int]]) -> Iterator[Plan]:
    """Walk the tree, for a run whose choices are the same whatever was chosen before."""
    level: list[Plan] = [()]
    for _ in range(depth + 1):
        yield from level
        level = [plan for parent in level for plan in one_more(parent, met)]


def subsets(depth: int, met: list[tuple[str, int]]) -> list[Plan]:
    """Count them by another way: choose the places, then what is taken at each."""
    return [
        tuple(Deviation(number, met[number][0], pick) for number, pick in zip(numbers, picks, strict=True))
        for size in range(depth + 1)
        for numbers in combinations(range(len(met)), size)
        for picks in product(*(range(1, met[number][1]) for number in numbers))
    ]


@given(RUNS, st.integers(0, 3))
def test_each_set_of_deviations_comes_exactly_once(met: list[tuple[str, int]], depth: int) -> None:
    assert sorted(all_up_to(depth, met)) == sorted(subsets(depth, met))


def test_a_run_without_choices_has_no_way_to_deviate() -> None:
    assert list(one_more((), [])) == []


def test_only_choices_behind_the_last_deviation_are_deviated_from() -> None:
    taken = (Deviation(1, "order", 1),)
    met = [("order", 3), ("order", 2), ("tie", 2)]
    assert list(one_more(taken, met)) == [(*taken, Deviation(2, "tie", 1))]


def test_the_first_plans_are_spread_over_the_whole_run() -> None:
    plans = one_more((), [("order", 2)] * 8)
    assert [plan[0].number for plan in plans] == [0, 4, 2, 6, 1, 5, 3, 7]

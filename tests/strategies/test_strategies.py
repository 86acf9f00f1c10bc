"""What each strategy chooses: from words and counts alone, the same from the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from simkit.contracts import Strategy
from simkit.strategies.draws import Draws
from simkit.strategies.fifo import FIFO
from simkit.strategies.pct import PCT, Pct
from simkit.strategies.sequential import SEQUENTIAL, Sequential
from simkit.strategies.uniform import UNIFORM
from tests.strategies.choosing import picks, race

THREE = {"A": 3, "B": 3, "C": 3}


# -- fifo -------------------------------------------------------------------------------------------------------------
def test_fifo_takes_what_came_first() -> None:
    assert race(FIFO.begin(7), THREE) == "ABCABCABC"


# -- uniform ----------------------------------------------------------------------------------------------------------
def test_uniform_takes_each_possibility_about_as_often() -> None:
    chooser = UNIFORM.begin(0)
    counts = Counter(picks(chooser, [("tie", "abc")] * 3_000))
    assert {word: round(count, -3) for word, count in counts.items()} == {"a": 1_000, "b": 1_000, "c": 1_000}


def test_uniform_reaches_every_order_of_three() -> None:
    orders = {race(UNIFORM.begin(seed), {"A": 1, "B": 1, "C": 1}) for seed in range(100)}
    assert orders == {"ABC", "ACB", "BAC", "BCA", "CAB", "CBA"}


# -- sequential -------------------------------------------------------------------------------------------------------
def test_sequential_lets_whoever_runs_go_on_to_the_end() -> None:
    assert race(SEQUENTIAL.begin(0), THREE) == "AAABBBCCC"


@pytest.mark.parametrize(("held", "went"), [(1, "ABBBCCCAA"), (2, "AABBBCCCA"), (4, "AAABCCCBB")])
def test_an_actor_that_is_held_goes_to_the_end_of_the_line(held: int, went: str) -> None:
    assert race(Sequential(held).begin(0), THREE) == went


def test_an_actor_that_is_held_and_alone_goes_on() -> None:
    assert race(Sequential(1).begin(0), {"A": 3}) == "AAA"


def test_sequential_leaves_instants_and_suspensions_at_their_default() -> None:
    kinds = ("tie", "deadline", "timing", "suspend", "shift")
    assert picks(Sequential(1).begin(0), [(kind, "ab") for kind in kinds]) == ["a"] * 5


# -- PCT --------------------------------------------------------------------------------------------------------------
def test_pct_without_a_change_gives_orders_without_preemption_only() -> None:
    orders = {race(Pct(depth=1, horizon=9).begin(seed), {"A": 2, "B": 2, "C": 2}) for seed in range(100)}
    assert orders == {"AABBCC", "AACCBB", "BBAACC", "BBCCAA", "CCAABB", "CCBBAA"}


def test_pct_of_depth_two_preempts_once_at_the_most() -> None:
    def switches(went: str) -> int:
        return sum(a != b for a, b in pairwise(went))

    assert {switches(race(Pct(2, 9).begin(seed), THREE)) for seed in range(200)} == {2, 3}


def test_pct_finds_an_order_of_two_events_as_often_as_it_promises() -> None:
    # B begins between the last two steps of A: of depth 2, with 2 actors and 6 steps. The draws are pseudo-random.
    runs, promised = 1_200, 1 / (2 * 6)
    found = sum(race(Pct(2, 6).begin(seed), {"A": 3, "B": 3}).startswith("AAB") for seed in range(runs))
    assert found >= 0.9 * promised * runs


def test_pct_leaves_other_choices_at_their_default_but_at_a_change() -> None:
    changed = [picks(Pct(2, 4).begin(seed), [("tie", "abc")] * 4).count("a") for seed in range(50)]
    assert set(changed) == {3}


def test_pct_by_itself_has_a_depth_and_a_horizon() -> None:
    assert len({race(PCT.begin(seed), THREE) for seed in range(50)}) >= 6


# -- the draws behind them --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("strategy", [UNIFORM, PCT, SEQUENTIAL, FIFO], ids=lambda strategy: strategy.name)
def test_the_same_seed_chooses_the_same(strategy: Strategy) -> None:
    assert race(strategy.begin(5), THREE) == race(strategy.begin(5), THREE)


def test_streams_of_two_names_have_nothing_in_common() -> None:
    uniform, pct = Draws(1, "uniform"), Draws(1, "pct")
    assert [uniform.below(1_000) for _ in range(5)] != [pct.below(1_000) for _ in range(5)]


def test_draws_are_the_same_on_every_machine() -> None:
    draws = Draws(0, "uniform")
    assert [draws.below(1_000) for _ in range(5)] == [487, 767, 483, 424, 115]

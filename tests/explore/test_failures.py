"""Failures are told apart by law, sentence and line, and counted; the smallest plan of each is kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from simkit.explore.failures import (
    SIMPLEST,
    Failure,
    failures_of,
    same_failure,
    same_in,
    site_numbers,
    tell_apart,
    weight,
)
from simkit.explore.outcome import Broken, Outcome
from simkit.model.plan import FAULT_KINDS, Plan
from simkit.model.timeline import Place

CASE = "scenarios/a.sim.yaml::run"


def broken(law: str, line: int = 3, text: str = "said") -> Broken:
    return Broken(law=law, text=text, key=f"{law} {text}", place=Place("scenarios/a.sim.yaml", line))


def failure(law: str, plan: str, *, line: int = 3, number: int = 0) -> Failure:
    return Failure(case=CASE, broken=broken(law, line), plan=Plan.parse(plan), number=number)


def told(failures: tuple[Failure, ...]) -> list[tuple[str, str, int, int]]:
    return [(f.broken.law, f.plan.text(), f.number, f.count) for f in failures]


def test_runs_that_fail_alike_are_one_failure_with_the_smallest_plan_and_their_number() -> None:
    found = [
        failure("ends", "seed=0,thread@1:1,thread@2:1", number=4),
        failure("ends", "seed=0,thread@7:1", number=9),
        failure("ends", "seed=5,thread@1:1", number=11),
    ]
    assert told(tell_apart(found)) == [("ends", "seed=0,thread@7:1", 4, 3)]


def test_laws_and_lines_tell_failures_apart_and_they_stand_in_the_order_in_which_they_were_found() -> None:
    found = [
        failure("no_orphans", "seed=0,cut@answer1.frame1", line=8, number=7),
        failure("no_orphans", "seed=0,cut@answer2.frame1", line=9, number=2),
        failure("ends", "seed=0", number=3),
    ]
    assert [(f.broken.law, f.number) for f in tell_apart(found)] == [("no_orphans", 2), ("ends", 3), ("no_orphans", 7)]


def test_telling_apart_what_was_told_apart_adds_the_counts_up() -> None:
    first = tell_apart([failure("ends", "seed=1"), failure("ends", "seed=2")])
    assert told(tell_apart([*first, *first, failure("ends", "seed=0")])) == [("ends", "seed=0", 0, 5)]


def test_a_run_that_breaks_a_law_twice_at_one_line_has_failed_once_by_it_and_keeps_its_other_failures() -> None:
    outcome = Outcome(plan=Plan(seed=3), broken=(broken("a"), broken("b"), broken("a"), broken("a", line=4)))
    assert [(f.broken.law, f.broken.place, f.plan, f.number) for f in failures_of(CASE, outcome, 6)] == [
        ("a", Place("scenarios/a.sim.yaml", 3), Plan(seed=3), 6),
        ("b", Place("scenarios/a.sim.yaml", 3), Plan(seed=3), 6),
        ("a", Place("scenarios/a.sim.yaml", 4), Plan(seed=3), 6),
    ]


def test_what_nobody_could_judge_is_not_the_same_as_what_is_wrong() -> None:
    one = broken("a")
    others = [replace(one, text="in other words"), replace(one, unknown=True), replace(one, key="b")]
    assert [same_failure(one, other) for other in others] == [True, False, False]


def test_of_several_that_are_the_same_the_one_at_the_same_line_is_meant() -> None:
    outcome = Outcome(plan=Plan(), broken=(broken("b"), broken("a", line=4), broken("a", line=5)))
    wanted = [broken("a", line=5), broken("a", line=6), broken("c")]
    assert [found and found.place and found.place.line for found in (same_in(one, outcome) for one in wanted)] == [
        5,
        4,
        None,
    ]


def test_an_id_depends_on_the_case_the_reason_and_the_line_and_on_nothing_else() -> None:
    one = failure("a", "seed=0")
    same = [replace(one, plan=Plan(seed=9)), replace(one, number=5, count=8)]
    others = [replace(one, case="b.sim.yaml::run"), failure("b", "seed=0"), failure("a", "seed=0", line=4)]
    ids = [f.id for f in (one, *same, *others)]
    assert (ids.count(one.id), len(set(ids)), one.id) == (3, 4, "a4ab8eec")


@pytest.mark.parametrize(
    ("case", "slug"),
    [
        ("scenarios/hermes/stall.sim.yaml::run", "stall_no_orphans"),
        ("stall.sim.yaml::181s-openai", "stall_181s_openai_no_orphans"),
        ("tests.test_it:test_a[1]", "tests_test_it_test_a_1_no_orphans"),
        ("a" * 300, "a" * 80),
        ("\N{SNOWMAN}.sim.yaml::run", "no_orphans"),
    ],
)
def test_the_name_of_a_file_says_what_failed_in_letters_that_every_file_system_takes(case: str, slug: str) -> None:
    one = Failure(case=case, broken=broken("no_orphans"), plan=Plan())
    assert one.slug == f"{slug}-{one.id}"


def test_plans_weigh_by_faults_then_choices_then_how_large_and_odd_they_are() -> None:
    ascending = (
        "seed=0",
        "seed=0,jitter=1ms",
        "seed=0,jitter=2ms",
        "seed=0,thread@1:1",
        "seed=0,thread@1:2",
        "seed=1,thread@1:1",
        "seed=0,thread@1:1,thread@2:1",
        "seed=0,order=any",
        "seed=0,cut@answer1.frame1",
        "seed=0,reset@answer1.frame1",
        "seed=0,cut@answer1.frame10",
        "seed=0,cut@answer1.frame1,cut@answer1.frame2",
    )
    plans = [Plan.parse(text) for text in ascending]
    weights = [weight(plan) for plan in plans]
    assert [one < other for one, other in pairwise(weights)] == [True] * (len(plans) - 1)


def test_every_kind_of_fault_has_its_place_among_the_simple_and_the_less_simple() -> None:
    assert sorted(SIMPLEST) == sorted(FAULT_KINDS)


def test_sites_of_one_sort_stand_in_the_order_of_their_numbers() -> None:
    assert [site_numbers(site) for site in ("answer2.frame10", "tool3.start", "user1")] == [(2, 10), (3,), (1,)]

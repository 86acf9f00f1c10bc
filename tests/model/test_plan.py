from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.model.plan import ORDERS, Deviation, Plan

KINDS = ("tie", "deadline", "timing", "thread", "suspend", "order")
DEVIATIONS = st.dictionaries(st.integers(0, 10**9 - 1), st.tuples(st.sampled_from(KINDS), st.integers(1, 10**6 - 1)))


@given(st.integers(0), DEVIATIONS, st.sampled_from(ORDERS), st.integers(0, 10**12))
def test_a_plan_reads_back_from_its_text(
    seed: int, picks: dict[int, tuple[str, int]], order: str, jitter_ns: int
) -> None:
    deviations = tuple(Deviation(number, *picks[number]) for number in sorted(picks))
    plan = Plan(seed, deviations, order, jitter_ns)
    assert Plan.parse(plan.text()) == plan


def test_a_plan_says_what_is_not_the_default_and_no_more() -> None:
    plans = [Plan(), Plan(7), Plan(7, (Deviation(12, "thread", 1),)), Plan(7, (), "any", 5_000_000)]
    assert [plan.text() for plan in plans] == ["seed=0", "seed=7", "seed=7,thread@12:1", "seed=7,order=any,jitter=5ms"]


@pytest.mark.parametrize("text", ["", "7", "seed", "seed=", "seed=-1", "seed=x", "sead=7", "seed=1 seed=2"])
def test_what_is_no_plan_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a plan: expected seed=NUMBER") as refused:
        Plan.parse(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("thread@1", "is not a deviation: expected KIND@NUMBER:PICK, such as thread@12:1"),
        ("thread@1:0", "is not a deviation: expected KIND@NUMBER:PICK, such as thread@12:1"),
        ("order=some", "is not an order: expected order=timing or order=any"),
        ("jitter=5", "is not a jitter: expected a duration, such as jitter=5ms"),
        ("jitter=forever", "is not a jitter: expected a duration, such as jitter=5ms"),
        ("tie@1:1,jitter=5ms", "is not a deviation: expected KIND@NUMBER:PICK, such as thread@12:1"),
    ],
)
def test_a_part_that_is_not_understood_is_named(part: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as refused:
        Plan.parse(f"seed=1,{part}")
    assert repr(part.split(",")[-1]) in str(refused.value)


@pytest.mark.parametrize("text", ["seed=1,tie@2:1,tie@1:1", "seed=1,tie@1:1,tie@1:2"])
def test_choices_come_in_order_each_once(text: str) -> None:
    with pytest.raises(ValueError, match="expected its choices in order, each once"):
        Plan.parse(text)

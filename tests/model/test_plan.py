from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.model.plan import Plan


@given(st.integers(0))
def test_a_plan_reads_back_from_its_text(seed: int) -> None:
    assert Plan.parse(Plan(seed).text()) == Plan(seed)


@pytest.mark.parametrize("text", ["", "7", "seed", "seed=", "seed=-1", "seed=x", "sead=7", "seed=1 seed=2"])
def test_what_is_no_plan_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a plan: expected seed=NUMBER") as refused:
        Plan.parse(text)
    assert repr(text) in str(refused.value)

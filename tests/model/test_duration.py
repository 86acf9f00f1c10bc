from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.model.duration import FOREVER, format_duration, format_instant, parse_duration


@given(st.integers(0, FOREVER))
def test_every_span_reads_back_as_it_was_written(ns: int) -> None:
    assert parse_duration(format_duration(ns)) == ns


@given(st.integers(0, FOREVER))
def test_an_instant_is_exact(ns: int) -> None:
    seconds, _, decimals = format_instant(ns).removesuffix("s").partition(".")
    assert int(seconds) * 10**9 + int(decimals.ljust(9, "0")) == ns


SPANS = {
    "0s": 0,
    "1ns": 1,
    "250ms": 250_000_000,
    "1.5s": 1_500_000_000,
    "0.000000001s": 1,
    "90s": 90_000_000_000,
    "9m": 540_000_000_000,
    "1h30m": 5_400_000_000_000,
    "2d12h": 216_000_000_000_000,
    "1s500ms": 1_500_000_000,
    "forever": FOREVER,
    "99999999999999999999d": FOREVER,
}


@pytest.mark.parametrize("text", SPANS)
def test_a_number_and_a_unit_are_a_duration(text: str) -> None:
    assert parse_duration(text) == SPANS[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "180",
        "1:30",
        "-5s",
        "5 s",
        "5S",
        "1m1h",
        "1s1s",
        "1e3s",
        "s",
        "5sec",
        "1.s",
        "1" * 21 + "s",
        "Forever",
    ],
)
def test_what_is_no_duration_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration") as refused:
        parse_duration(text)
    assert repr(text) in str(refused.value)


def test_spans_are_written_as_people_say_them() -> None:
    told = [format_duration(parse_duration(t)) for t in ("90000ms", "181s", "540s", "60s", "5400s", "0.25s", "601s")]
    assert told == ["90s", "181s", "9m", "1m", "1h30m", "250ms", "10m1s"]


def test_an_instant_has_milliseconds_at_least() -> None:
    assert [format_instant(ns) for ns in (0, 540_000_000_000, 1_500_000_000, 1)] == [
        "0.000s",
        "540.000s",
        "1.500s",
        "0.000000001s",
    ]

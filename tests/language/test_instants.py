"""A date and time means one instant on every machine, or is no date and time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.language.instants import FIRST_NS, LAST_NS, format_start, parse_instant
from simkit.model.scenario import STARTS_NS

S = 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-01-01T00:00:00Z", STARTS_NS),
        ("2026-01-01t00:00z", STARTS_NS),
        ("2026-01-01 01:00:00 +01:00", STARTS_NS),
        ("2025-12-31T18:30:00-05:30", STARTS_NS),
        ("2026-01-01T00:00:00.5Z", STARTS_NS + S // 2),
        ("2026-01-01T00:00:00.000000001Z", STARTS_NS + 1),
        ("1970-01-02T00:00:00Z", FIRST_NS),
        ("2200-12-31T23:59:59Z", LAST_NS),
        ("2024-02-29T12:00:00Z", 1_709_208_000 * S),
    ],
)
def test_a_date_and_time_is_counted_from_the_epoch(text: str, ns: int) -> None:
    assert parse_instant(text) == ns


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-01-01", "is not a date and time"),
        ("1.1.2026 12:00Z", "is not a date and time"),
        ("2026-1-1T00:00:00Z", "is not a date and time"),
        ("2026-01-01T00:00:00.1234567890Z", "is not a date and time"),
        ("٢٠٢٦-01-01T00:00:00Z", "is not a date and time"),
        ("2026-01-01T00:00:00", "does not say in which time zone"),
        ("2026-02-29T00:00:00Z", "is on no calendar and no clock"),
        ("2026-01-01T24:00:01Z", "is on no calendar and no clock"),
        ("2016-12-31T23:59:60Z", "is on no calendar and no clock"),
        ("2026-01-01T00:00:00+25:00", "is on no calendar and no clock"),
        ("0000-01-01T00:00:00Z", "is on no calendar and no clock"),
    ],
)
def test_what_is_no_instant_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        parse_instant(text)
    assert repr(text) in str(refused.value)


@given(st.integers(FIRST_NS, LAST_NS))
def test_an_instant_reads_back_from_its_text(ns: int) -> None:
    assert parse_instant(format_start(ns)) == ns


@given(st.text("0123456789-:TZ+. ", max_size=30))
def test_any_text_is_an_instant_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_instant(text), int)
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017  # most texts are refused, some are not

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.dialects.jsontext import read_json, write_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_reads_back_the_same(value: object) -> None:
    assert read_json(write_json(value)) == value


def test_text_travels_as_utf_8_and_not_as_escapes() -> None:
    assert write_json({"a": "é\u2028"}) == b'{"a":"\xc3\xa9\xe2\x80\xa8"}'


def test_half_a_surrogate_pair_travels_escaped() -> None:
    assert write_json("\ud800") == rb'"\ud800"'


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", "[Infinity]", b"\xff\xfe\xfd", "[" * 100_000, "9" * 5_000],
    ids=["nothing", "cut", "nan", "infinity", "not-utf-8", "nested", "huge-number"],
)
def test_whatever_is_no_json_is_one_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


def test_the_standard_library_takes_what_is_refused_here() -> None:
    assert json.loads("NaN") != json.loads("NaN")

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from simkit.model import plan, scenario, timeline, trace, verdict
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place, Say


def nouns() -> list[type]:
    modules = (plan, scenario, timeline, trace, verdict)
    return [
        noun
        for module in modules
        for noun in vars(module).values()
        if isinstance(noun, type) and is_dataclass(noun) and noun.__module__ == module.__name__
    ]


def test_every_noun_is_frozen_and_slotted() -> None:
    params = {noun.__name__: noun.__dataclass_params__.frozen for noun in nouns()}  # type: ignore[attr-defined]  # set by dataclass
    assert {name for name, frozen in params.items() if not frozen} == set()
    assert [noun.__name__ for noun in nouns() if not hasattr(noun, "__slots__")] == []


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Say(text="a").text = "b"  # type: ignore[misc]  # what must not work


def test_where_a_step_stands_is_no_part_of_what_it_is() -> None:
    assert Say(text="a", place=Place("x.sim.yaml", 3)) == Say(text="a")


def test_no_place_counts_in_a_comparison() -> None:
    counted = [
        f"{noun.__name__}.{f.name}"
        for noun in nouns()
        for f in fields(noun)
        if f.compare and "place" in f.name and noun is not verdict.Finding
    ]
    assert counted == []


def test_a_case_is_named_by_its_file_and_its_row() -> None:
    cases = [Scenario(title="t", provider=(), file="a.sim.yaml", row=row) for row in ("", "quiet=181s")]
    assert [c.name for c in cases] == ["a.sim.yaml::run", "a.sim.yaml::quiet=181s"]


def test_a_scenario_gives_the_line_of_a_place_in_its_own_text_or_in_that_of_a_base() -> None:
    scenario = Scenario(title="t", provider=(), file="a", source="one\r\ntwo\x0cmore\n", bases={"b": "three\nfour"})
    places = [Place("a", 1), Place("a", 2), Place("b", 2), Place("a", 9), Place("b", 0)]
    assert [scenario.line(place) for place in places] == ["one", "two\x0cmore", "four", "", ""]


def test_a_place_reads_as_file_and_line() -> None:
    assert str(Place("a.sim.yaml", 3, 7)) == "a.sim.yaml:3"

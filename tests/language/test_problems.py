"""Problems of several files are raised together, each with its own file and line, in the order of the files."""

from __future__ import annotations

import pytest

from simkit.errors import Problem, ScenarioError
from simkit.language.problems import PROBLEMS_MAX, Problems


def raised(problems: Problems) -> list[Problem]:
    with pytest.raises(ScenarioError) as caught:
        problems.check()
    return list(caught.value.problems)


def test_each_problem_shows_the_line_of_its_own_file() -> None:
    first = Problems("a.sim.yaml", "one\ntwo\n")
    second = first.beside("base.yaml", "three\nfour\n")
    second.add(second.place(1, 0), "wrong there")
    first.add(second.place(0, 0), "wrong there too")
    second.add(first.place(1, 0), "wrong here")
    assert [(p.file, p.line, p.source, p.text) for p in raised(first)] == [
        ("a.sim.yaml", 2, "two", "wrong here"),
        ("base.yaml", 1, "three", "wrong there too"),
        ("base.yaml", 2, "four", "wrong there"),
    ]


def test_the_same_problem_at_the_same_place_of_two_files_is_two_problems() -> None:
    first = Problems("a.sim.yaml", "one")
    second = first.beside("base.yaml", "two")
    for problems in (first, second, first):
        problems.add(problems.place(0, 0), "wrong")
    assert [p.file for p in raised(second)] == ["a.sim.yaml", "base.yaml"]


def test_what_is_beyond_the_bound_is_counted_over_all_files() -> None:
    first = Problems("a.sim.yaml", "one")
    second = first.beside("base.yaml", "two\n" * PROBLEMS_MAX)
    first.add(first.place(0, 0), "wrong")
    for line in range(PROBLEMS_MAX + 4):
        second.add(second.place(line, 0), "wrong")
    told = raised(first)
    assert (len(told), told[-1].file, told[-1].text) == (PROBLEMS_MAX + 1, "base.yaml", "and 5 more problems")

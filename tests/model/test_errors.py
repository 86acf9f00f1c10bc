from __future__ import annotations

import inspect

from hypothesis import given
from hypothesis import strategies as st

from simkit import errors
from simkit.errors import Problem, RunEndedError, ScenarioError


def test_a_problem_shows_its_line_with_a_caret_below_the_column() -> None:
    problem = Problem("a.sim.yaml", 12, 5, "unknown key 'sya'", "  - sya: hi", "did you mean 'say'?")
    assert problem.render().splitlines() == [
        "a.sim.yaml:12:5: unknown key 'sya' - did you mean 'say'?",
        "   12 |   - sya: hi",
        "      |     ^",
    ]


def test_a_tab_before_the_column_keeps_its_width() -> None:
    assert Problem("a", 1, 3, "no", "\ta: b").render().splitlines()[-1] == "      | \t ^"


def test_a_problem_without_its_line_is_one_line() -> None:
    assert [Problem("a", 1, 1, "no", source).render() for source in ("", "   ")] == ["a:1:1: no"] * 2


@given(st.text("abc \t:-", min_size=1).filter(str.strip), st.data())
def test_the_caret_stands_below_the_character_that_is_meant(source: str, data: st.DataObject) -> None:
    column = data.draw(st.integers(1, len(source)))
    _, line, caret = Problem("a", 1, column, "no", source).render().split("\n")
    # With every tab as wide as any other, equal prefixes end at equal places.
    assert len(caret) - 1 == len(line) - len(source) + column - 1
    assert [c == "\t" for c in caret[-column:-1]] == [c == "\t" for c in source[: column - 1]]


def test_a_scenario_error_tells_all_its_problems() -> None:
    error = ScenarioError([Problem("a", 1, 1, "one"), Problem("a", 2, 1, "two")])
    assert (str(error), [p.line for p in error.problems]) == ("a:1:1: one\na:2:1: two", [1, 2])


def test_what_ends_a_run_gets_past_handlers_of_exception() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, BaseException)]
    past = {c.__name__ for c in classes if not issubclass(c, Exception)}
    assert past == {"WorldEndedError", "RunEndedError"}
    assert str(RunEndedError("deadlock", "nobody can go on")) == "deadlock: nobody can go on"


def test_all_other_errors_have_one_root() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]
    assert [c.__name__ for c in classes if not issubclass(c, errors.SimkitError)] == []

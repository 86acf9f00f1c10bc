"""How a text stands: how far it can be read, what is wrong in it, and which scenarios it makes.

The idea: a mend is judged by reading the text before and after it, as ``simkit run`` would read it, and not by what it
meant to do. The constraint: a text that is read further may show more problems than before and is better for it, but
within one step of the reading every problem more counts against the mend. Comparing the number of problems alone was
refused: a missing quote hides all the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import cast

from simkit.checks.judge import laws
from simkit.contracts import Setting, Subject
from simkit.errors import Problem, ScenarioError, SimkitError
from simkit.extensions import find, names
from simkit.language.nodes import Map, Node, Scalar, Seq
from simkit.language.reader import loads
from simkit.linting.trees import tree_of
from simkit.model.scenario import Scenario
from simkit.run import check_settings, find_subject


class Step(IntEnum):
    """How far a text can be read."""

    NOT_YAML = 0
    NOT_A_SCENARIO = 1
    READ = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """How a text stands. ``problems`` are those of the step that it comes to; a scenario that was read has settings."""

    step: Step
    problems: tuple[Problem, ...]
    cases: tuple[Scenario, ...] = ()

    def keys(self) -> Counter[tuple[int, str]]:
        """Return the problems by line and text: a column moves with what is mended before it."""
        return Counter((problem.line, problem.text) for problem in self.problems)

    def texts(self) -> Counter[str]:
        """Return what is wrong, wherever it stands."""
        return Counter(problem.text for problem in self.problems)


def standing(text: str, file: str) -> Standing:
    """Read a text as the scenario of this file."""
    try:
        cases = loads(text, file, laws=laws(file))
    except ScenarioError as error:
        step = Step.NOT_YAML if tree_of(text, file) is None else Step.NOT_A_SCENARIO
        return Standing(step, error.problems)
    return Standing(Step.READ, _wrong_settings(cases), tuple(replace(case, source="") for case in cases))


def _wrong_settings(cases: tuple[Scenario, ...]) -> tuple[Problem, ...]:
    found: dict[Problem, None] = {}
    for case in cases:
        try:
            check_settings(case, find_subject(case))
        except ScenarioError as error:
            found.update(dict.fromkeys(error.problems))
        except (SimkitError, SystemExit):
            # A subject that cannot be loaded is none of the text's problems.
            continue
    return tuple(found)


def settings_of(root: Map) -> Mapping[str, Setting] | None:
    """Return the table of the subject that a tree names; None for one that is no installed subject."""
    named = root.get("subject")
    name = named.text if isinstance(named, Scalar) else "agent"
    if name not in names("subjects"):
        return None
    try:
        return cast(Subject, find("subjects", name)).settings
    except SimkitError:
        return None


def data_of(node: Node) -> object:
    """Return a tree as plain data: equal for two texts that say the same, whatever the order of their keys."""
    match node:
        case Map():
            return {key.text: data_of(value) for key, value in node.entries}
        case Seq():
            return [data_of(item) for item in node.items]
        case Scalar():
            return node.value
    return None

"""The pages that are drawn say what the code says; what stands on them is checked like that of every other page."""

from __future__ import annotations

import re

import pytest

from simkit.commands import terminal
from simkit.errors import EXIT_CODES
from simkit.extensions import BUILT_IN
from tests.reference import DOCS, pages


@pytest.mark.parametrize("name", ["reference.md", "laws.md"])
def test_a_page_is_the_one_that_the_code_draws(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "write it anew: python -m tests.reference"


def test_every_law_has_a_scenario_and_a_flaw_that_breaks_it_there() -> None:
    rows = re.findall(
        r"^## `(\w+)`\n.*?^```yaml\n.*?^```\n.*?--set flaw=\w+\n```$", pages()["laws.md"], re.DOTALL | re.MULTILINE
    )
    assert rows == list(BUILT_IN["checks"])


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    names = ("PASSED", "FAILED", "WRONG", "BROKEN", "INTERRUPTED", "UNREAD")
    assert list(EXIT_CODES) == [getattr(terminal, name) for name in names]

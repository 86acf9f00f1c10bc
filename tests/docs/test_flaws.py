"""The page of the flaws says what the code says, and every invariant of the registry stands on it once."""

from __future__ import annotations

import re

from simkit.extensions import BUILT_IN
from tests.flaws_table import PAGE, page


def test_the_page_is_the_one_that_the_code_draws() -> None:
    assert PAGE.read_text(encoding="utf-8") == page() + "\n", "write it anew: python -m tests.flaws_table"


def test_every_invariant_has_a_scenario_or_a_test_that_catches_its_loss() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| (`.+?`) \| .* \|$", page(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 34))


def test_every_law_has_a_flaw_that_breaks_it() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [A-Z][^|]*\.? \| `.+` \|$", page(), re.MULTILINE)
    assert rows == list(BUILT_IN["checks"])

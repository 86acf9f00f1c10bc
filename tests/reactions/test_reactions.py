from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from tests.reactions.cells import random_wait_text, wait_text
from tests.reactions.conftest import ADVICE_OF_AIOHTTP
from tests.reactions.table import COMMAND, PAGE, Reactions, head, section, sections, split, versions

pytestmark = pytest.mark.filterwarnings(ADVICE_OF_AIOHTTP)
_VERSIONS: Final = re.compile(r"Measured with ([^\n]*)\.\n")


@functools.cache
def page() -> Mapping[str, str]:
    return split(PAGE.read_text(encoding="utf-8"))


def advice() -> str:
    """Return what to do about a difference; newer SDKs may well differ from those that were measured."""
    found, installed = _VERSIONS.search(page()[""]), versions()
    measured = found[1] if found else "nothing that is named"
    why = "" if measured == installed else f"the page was measured with {measured}, installed are {installed}; "
    return f"{why}if the new lines are true, write them down: {COMMAND}"


def test_the_page_has_the_sections_that_are_measured() -> None:
    # Only the versions may differ: they stand in the advice of the others.
    texts = _VERSIONS.sub("", page()[""]), _VERSIONS.sub("", split(head())[""])
    assert (list(page()), texts[0]) == (["", *sections()], texts[1]), advice()


@pytest.mark.parametrize("title", sections())
def test_every_sdk_reacts_as_the_page_says(title: str, world: Callable[[str], Reactions]) -> None:
    assert section(title, world(title)).rstrip() == page()[title], advice()


def test_a_pause_is_written_as_it_is_in_every_run() -> None:
    seconds = (0.2, 0.4, 0.5, 0.75, 1.0, 6.98, 7.0, 60.0)
    assert [wait_text(s) for s in seconds] == ["0.2", "~0.5", "0.5", "~1", "1", "7", "7", "60"]


@pytest.mark.parametrize("seconds", [0.5, 11.0])
def test_a_pause_out_of_its_bounds_is_no_random_one(seconds: float) -> None:
    with pytest.raises(AssertionError):
        random_wait_text(seconds)

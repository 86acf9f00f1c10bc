from collections.abc import Iterator

import pytest

from simkit.kernel.machine import MACHINE


@pytest.fixture(autouse=True, scope="package")
def one_start_of_the_wall_clock() -> Iterator[None]:
    """A start of freezegun costs more than a run, and these are many."""
    with MACHINE.held():
        yield

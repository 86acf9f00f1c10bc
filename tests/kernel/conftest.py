"""One start of the clocks for each file of tests: a start scans every loaded module, which costs more than a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simkit.kernel.machine import MACHINE


@pytest.fixture(autouse=True, scope="module")
def clocks() -> Iterator[None]:
    with MACHINE.held():
        yield

"""The SDK as a fixture, made once: building its clients costs more than all tests of this room."""

from __future__ import annotations

import pytest

from tests.dialects.sdk import Sdk


@pytest.fixture(scope="session")
def sdk() -> Sdk:
    return Sdk()

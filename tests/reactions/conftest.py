"""What both machines are compared with: the reactions in a world, measured once for all tests."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import pytest

from simkit.kernel.machine import MACHINE
from tests.reactions.simulated import in_world
from tests.reactions.table import Reactions, meetings

# google-genai 3.4.0 derives a class from aiohttp's session.
ADVICE_OF_AIOHTTP: Final = "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"


@pytest.fixture(scope="session")
def world() -> Callable[[str], Reactions]:
    """Return what measures a section in a world, the first time that it is asked."""

    @functools.cache
    def measured(title: str) -> Reactions:
        with MACHINE.held():
            return {meeting.key: in_world(*meeting) for meeting in meetings(title)}

    return measured

"""First in, first out: always the default of production.

The idea: choice 0 every time, so a run under this strategy is the run that stock asyncio and a quiet machine
would most likely give. The constraint: the default of every plan must need no randomness at all. A seeded
shuffle as default was refused: about one in ten tests of the standard library assumes this order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


class Fifo:
    """Chooses what came first."""

    name: Final = "fifo"

    def begin(self, seed: int) -> Fifo:  # part of the contract: nothing here is random
        """Return the chooser of one run: this one, since it has no state."""
        return self

    def choose(
        self, kind: str, count: int, label: Callable[[int], str]
    ) -> int:  # part of the contract, not needed here
        """Return 0."""
        return 0


FIFO: Final = Fifo()

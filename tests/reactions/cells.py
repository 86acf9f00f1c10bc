"""A cell: one reaction as one short line that is the same in every run.

The idea: what a client saw, in the order in which its user notices it: attempts, pieces, the helper's result, the end.
The constraint: a cell holds no number that chance has a part in, so a pause that an SDK shortens at random is written
as the pause that it shortens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tests.reactions.faces import Seen

# The pauses that the SDKs shorten by up to a quarter.
_JITTERED_S: Final = (0.5, 1.0)
_EXACT_S: Final = 1e-6
# Pauses of whole seconds: a client that goes by the date has lost a part of one by the time it looks.
_LONG_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one client made of one case: what it saw, and the pauses before its further attempts in seconds.

    ``random_waits`` says that only the bounds of these pauses are the same every time.
    """

    seen: Seen
    waits_s: tuple[float, ...]
    random_waits: bool = False

    def cell(self) -> str:
        """Return the line of the table."""
        return "; ".join(filter(None, (self._attempts(), self._pieces(), self._final(), self._end())))

    def _attempts(self) -> str:
        if not self.waits_s:
            return ""
        waits = map(random_wait_text if self.random_waits else wait_text, self.waits_s)
        return f"{len(self.waits_s) + 1} attempts, waits {' '.join(waits)}"

    def _pieces(self) -> str:
        return " ".join(self.seen.pieces) or ("" if self.seen.raised else "nothing")

    def _final(self) -> str:
        return "" if self.seen.final is None else f"in the end {' '.join(self.seen.final)}"

    def _end(self) -> str:
        """Say what was raised, down to the first error of another library."""
        names = self.seen.raised
        foreign = next((place for place, name in enumerate(names) if "." in name.partition(":")[0]), len(names))
        return f"raises {' from '.join(names[: foreign + 1])}" if names else "ends"


def wait_text(seconds: float) -> str:
    """Return a pause as it is in every run."""
    if seconds >= _LONG_S:
        return str(math.ceil(seconds - _EXACT_S))
    for whole in _JITTERED_S:
        if 0.75 * whole <= seconds < whole - _EXACT_S:
            return f"~{whole:g}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def random_wait_text(seconds: float) -> str:
    """Return the bounds of a pause that may be any whole number of seconds within them."""
    assert 1 <= seconds <= 10 + _EXACT_S, seconds
    return "1..10"

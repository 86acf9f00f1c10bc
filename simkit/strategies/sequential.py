"""Sequential: whoever runs goes on until it has to wait, and may be held back once on the way.

The idea: most bugs of order need one or two preemptions and not a wild mix (Musuvathi and Qadeer, Iterative context
bounding, PLDI 2007), so the run with none, and those with one, come early in every search. The constraint: who goes on
is known by the label of a choice, which is the same for one actor throughout a run. A stack of live tasks was refused:
strategies see words and counts, and no object of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# The kinds of choice that say which actor goes on; all others are about instants, and keep their default here.
ACTORS: Final = ("order", "thread")


class Sequential:
    """Lets one actor go on for as long as it can; the first ones are begun in the order in which they came.

    With ``held`` N the actor of the N-th step (from 1) goes to the end of the line after that step; 0 holds nobody.
    """

    name: Final = "sequential"

    def __init__(self, held: int = 0) -> None:
        self._held = held

    def begin(self, seed: int) -> _Turns:  # part of the contract: nothing here is random
        """Return the chooser of one run."""
        return _Turns(self._held)


class _Turns:
    """Who ran last, and who was held back."""

    __slots__ = ("_held", "_last", "_left")

    def __init__(self, held: int) -> None:
        self._left = held
        self._last = ""
        self._held = ""

    def choose(self, kind: str, count: int, label: Callable[[int], str]) -> int:
        """Return the actor that ran last, or the first that is not held back."""
        if kind not in ACTORS:
            return 0
        names = [label(i) for i in range(count)]
        free = [i for i in range(count) if names[i] != self._held] or [0]
        pick = next((i for i in free if names[i] == self._last), free[0])
        self._last = names[pick]
        if self._left:
            self._left -= 1
            if not self._left:
                self._held = self._last
        return pick


SEQUENTIAL: Final = Sequential()

"""Uniform: every possibility of every choice is equally likely.

The idea: a seeded draw at each choice, the baseline that every cleverer strategy is measured against and the
best one for races that need a single wrong turn. The constraint: the draws come from a stream of their own, so
a subject that asks for more random numbers does not shift the schedule. Weights were refused here: a strategy
that has them is another file.
"""

from __future__ import annotations

import random
from typing import Final


class Uniform:
    """Chooses at random, by the seed."""

    name: Final = "uniform"

    def begin(self, seed: int) -> _Draws:
        """Return the chooser of one run."""
        return _Draws(seed)


class _Draws:
    __slots__ = ("_below",)

    def __init__(self, seed: int) -> None:
        self._below = random.Random(f"simkit:{seed}:uniform").randrange

    def choose(self, kind: str, count: int) -> int:  # part of the contract, not needed here
        """Return any of the possibilities."""
        return self._below(count)


UNIFORM: Final = Uniform()

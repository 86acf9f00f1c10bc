"""Uniform: every possibility of every choice is equally likely.

The idea: a seeded draw at each choice, the baseline that every cleverer strategy is measured against and the
best one for races that need a single wrong turn. The constraint: the draws come from a stream of their own, so
a subject that asks for more random numbers does not shift the schedule. Weights were refused here: a strategy
that has them is another file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simkit.strategies.draws import Draws


class Uniform:
    """Chooses at random, by the seed."""

    name: Final = "uniform"

    def begin(self, seed: int) -> _Draws:
        """Return the chooser of one run."""
        return _Draws(seed)


class _Draws:
    """The choices of one run."""

    __slots__ = ("_draws",)

    def __init__(self, seed: int) -> None:
        self._draws = Draws(seed, "uniform")

    def choose(
        self, kind: str, count: int, label: Callable[[int], str]
    ) -> int:  # part of the contract, not needed here
        """Return any of the possibilities."""
        return self._draws.below(count)


UNIFORM: Final = Uniform()

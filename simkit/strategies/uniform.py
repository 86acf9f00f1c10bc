"""Uniform: every possibility of every choice is equally likely.

The idea: a seeded draw at each choice, the baseline that every cleverer strategy is measured against and the
best one for races that need a single wrong turn. The constraint: the draws come from a stream of their own, so
a subject that asks for more random numbers does not shift the schedule. Weights were refused here: a strategy
that has them is another file.
"""

from __future__ import annotations

import hashlib
from typing import Final

_MASK: Final = 2**64 - 1


class Uniform:
    """Chooses at random, by the seed."""

    name: Final = "uniform"

    def begin(self, seed: int) -> _Draws:
        """Return the chooser of one run."""
        return _Draws(seed)


class _Draws:
    """A stream of SplitMix64 (Steele, Lea, Flood 2014): the generator of ``random`` takes longer to seed than a run."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = int.from_bytes(hashlib.blake2b(b"simkit:%d:uniform" % seed, digest_size=8).digest(), "big")

    def choose(self, kind: str, count: int) -> int:  # part of the contract, not needed here
        """Return any of the possibilities."""
        self._state = state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        return (state ^ (state >> 31)) % count


UNIFORM: Final = Uniform()

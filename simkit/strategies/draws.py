"""Draws: the stream of chance that a strategy chooses by.

The idea: a run asks for a handful of small numbers, so the stream must be cheap to begin and to draw from. The
constraint: each strategy has a stream of its own, apart from those that the subject draws from, so that a subject which
asks for more random numbers does not shift the schedule. ``random.Random`` was refused: seeding it takes longer than a
short run.
"""

from __future__ import annotations

import hashlib
from typing import Final

_MASK: Final = 2**64 - 1


class Draws:
    """A stream of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, name: str) -> None:
        text = f"simkit:{seed}:{name}".encode()
        self._state = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")

    def below(self, bound: int) -> int:
        """Return a number from 0 to one less than ``bound``."""
        self._state = state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        return (state ^ (state >> 31)) % bound

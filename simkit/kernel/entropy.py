"""Chance: named streams drawn from one seed.

The idea: whoever asks for a random number inside a world gets it from a stream that the seed and the stream's
name decide, so an SDK's retry jitter is the same in every run of a plan. The constraint: two rooms never share
a stream, or a draw more in one would shift the other. Seeding the global generator alone was refused:
``os.urandom``, ``uuid`` and ``secrets`` do not read it.
"""

from __future__ import annotations

import os
import random
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simkit.kernel.patches import Patches
    from simkit.kernel.threads import Threads


def stream(seed: int, name: str) -> random.Random:
    """Return the stream of chance called ``name``. Text seeds hash by SHA-512, not by ``PYTHONHASHSEED``."""
    return random.Random(f"simkit:{seed}:{name}")


class Entropy:
    """Seeds what the standard library offers as chance, for the time of one run."""

    __slots__ = ("_bytes", "_seed", "_state")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._bytes = stream(seed, "os.urandom")
        self._state: object = None

    def install(self, patches: Patches, threads: Threads) -> None:
        """Seed the global generator and serve ``os.urandom`` (and with it uuid and secrets) from a stream."""
        self._state = random.getstate()
        random.seed(f"simkit:{self._seed}:random")
        real = os.urandom

        def urandom(size: int, /) -> bytes:
            return self._bytes.randbytes(size) if threads.here() else real(size)

        seeds = stream(self._seed, "random.Random")
        real_seed = random.Random.seed

        def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
            # C draws the seed of an unseeded generator from the machine.
            real_seed(self, seeds.getrandbits(128) if a is None and threads.here() else a, version)

        patches.set(random.Random, "seed", seed)
        patches.set(random, "seed", random._inst.seed)  # the global generator
        patches.set(os, "urandom", urandom)
        patches.set(random, "_urandom", urandom)
        # uuid1 asks the operating system for a node and a time; without this it would take both from the machine.
        patches.set(uuid, "_generate_time_safe", None)
        patches.set(uuid, "_last_timestamp", None)
        patches.set(uuid, "_node", self._bytes.getrandbits(48) | (1 << 40))

    def restore(self) -> None:
        """Give the global generator its state from before the run."""
        random.setstate(self._state)  # type: ignore[arg-type]  # what getstate gave

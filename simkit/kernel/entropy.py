"""Chance: named streams drawn from one seed.

The idea: whoever asks for a random number inside a world gets it from a stream that the seed and the stream's
name decide, so an SDK's retry jitter is the same in every run of a plan. The constraint: two rooms never share
a stream, or a draw more in one would shift the other; and the process's own generator is never touched. Seeding
``random`` itself was refused: other threads draw from it too, and ``os.urandom``, ``uuid`` and ``secrets`` do
not read it.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import struct
import sys
import uuid
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from simkit.kernel.threads import running_world

if TYPE_CHECKING:
    from simkit.kernel.patches import Patches

_real_urandom: Final = os.urandom
_real_seed: Final = random.Random.seed
# A digest as eight numbers of 64 bits.
_EIGHT: Final = struct.Struct(">8Q")
# A node in the space that RFC 9562 leaves to random nodes (the multicast bit is set), the same on every machine.
_NODE: Final = 0x010000000000 | 0x51_4B_49_54


def stream(seed: int, name: str) -> random.Random:
    """Return the stream of chance called ``name``. Text seeds hash by SHA-512, not by ``PYTHONHASHSEED``."""
    return random.Random(f"simkit:{seed}:{name}")


class Hashes:
    """The hashes of tasks and futures by their number, spread over the table sizes of small sets.

    From a hash function and not from ``random``: a loop is made for every run, and seeding a generator costs as much as
    an empty run.
    """

    __slots__ = ("_block", "_block_number", "_number", "_seed")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._number = -1
        self._block: tuple[int, ...] = ()
        self._block_number = -1

    def next_number(self) -> int:
        """Number one more task or future."""
        self._number += 1
        return self._number

    def next(self) -> int:
        """Number one more task or future, and return its hash."""
        self._number = number = self._number + 1
        return self.of(number)

    def of(self, number: int) -> int:
        """Return the hash of the task or future with this number."""
        if number >> 3 != self._block_number:
            self._block_number = number >> 3
            digest = hashlib.blake2b(b"simkit:%d:hash:%d" % (self._seed, self._block_number)).digest()
            self._block = _EIGHT.unpack(digest)
        return self._block[number & 7] >> 3


class Entropy:
    """The streams of one world that stand for what the standard library offers as chance. Made when first asked for."""

    __slots__ = ("_bytes", "_numpy", "_random", "_seed")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random: random.Random | None = None
        self._bytes: random.Random | None = None
        self._numpy: Any = None

    @property
    def random(self) -> random.Random:
        """What the functions of the module ``random`` draw from."""
        if self._random is None:
            self._random = stream(self._seed, "random")
        return self._random

    @property
    def numpy(self) -> Any:
        """What the functions of ``numpy.random`` draw from. Asked for only where numpy is loaded."""
        if self._numpy is None:
            words = stream(self._seed, "numpy.random").getrandbits(32)
            self._numpy = sys.modules["numpy.random"].RandomState(words)
        return self._numpy

    def urandom(self, size: int) -> bytes:
        """What ``os.urandom`` (and with it uuid and secrets) gives."""
        if self._bytes is None:
            self._bytes = stream(self._seed, "os.urandom")
        return self._bytes.randbytes(size)


def _urandom(size: int, /) -> bytes:
    world = running_world()
    return _real_urandom(size) if world is None else world.entropy.urandom(size)


def _drawing(name: str, real: Callable[..., object]) -> Callable[..., object]:
    """Return the function ``random.name`` that draws from the stream of the world it is called in."""

    def draw(*args: Any, **kwargs: Any) -> object:
        world = running_world()
        return real(*args, **kwargs) if world is None else getattr(world.entropy.random, name)(*args, **kwargs)

    draw.__name__ = draw.__qualname__ = name
    return draw


class _SharedGenerator:
    """In place of numpy's shared generator: that of the world it is asked in, and the real one outside."""

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        world = running_world()
        return getattr(self._real if world is None else world.entropy.numpy, name)


def numpy_fakes() -> dict[object, object]:
    """Return what is replaced in numpy: its shared generator, and the functions of ``numpy.random`` bound to it.

    The generator itself is never touched: saving and restoring its state for each run costs more than an empty run.
    """
    # By name: where numpy is loaded, this part of it may still be waiting for its first use.
    module = importlib.import_module("numpy.random")
    shared = module.mtrand._rand
    fake = _SharedGenerator(shared)
    bound = {name: value for name, value in vars(module).items() if _is_bound_to(shared, value)}
    return {shared: fake, **{real: _shared(fake, name) for name, real in bound.items()}}


def _is_bound_to(owner: object, value: object) -> bool:
    return isinstance(value, MethodType) and value.__self__ is owner


def _shared(generator: _SharedGenerator, name: str) -> Callable[..., object]:
    """Return the function ``numpy.random.name`` that asks the shared generator when it is called."""

    def draw(*args: Any, **kwargs: Any) -> object:
        return getattr(generator, name)(*args, **kwargs)

    draw.__name__ = draw.__qualname__ = name
    return draw


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    """A generator that is made without a seed takes one from the world instead of from the machine."""
    world = running_world()
    if a is None and world is not None and not isinstance(self, random.SystemRandom):
        a = int.from_bytes(world.entropy.urandom(32), "big")
    _real_seed(self, a, version)


def fakes() -> dict[object, object]:
    """Return what is replaced under every alias: ``os.urandom`` and the module-level functions of ``random``."""
    bound = {
        name: value
        for name, value in vars(random).items()
        if isinstance(value, MethodType) or getattr(value, "__self__", None) is vars(random)["_inst"]
    }
    return {_real_urandom: _urandom, **{real: _drawing(name, real) for name, real in bound.items()}}


def install(patches: Patches) -> None:
    """Replace what is an attribute and no alias."""
    patches.set(random.Random, "seed", _seed)
    # uuid1 asks the operating system for a node.
    patches.set(uuid, "_node", _NODE)


def install_for_run(patches: Patches) -> None:
    """Forget when uuid1 was asked last: it never gives a time twice, and every run begins at the same one."""
    patches.set(uuid, "_last_timestamp", None)

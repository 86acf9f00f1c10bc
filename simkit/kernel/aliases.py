"""Aliases: a function of the standard library replaced under every name by which any module knows it.

The idea: ``from time import monotonic`` binds a name that patching ``time`` never reaches, so every module's
names are looked through once and remembered, and entering or leaving a world only writes the remembered ones.
The constraint: what was there before is there again afterwards, also in modules that were first imported inside
a world. Looking through all modules at every run was refused: with an SDK loaded that takes twenty
milliseconds, a whole run takes one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

# Who replaces, and who stands around a world, keeps what is real under its own names.
_EXEMPT: Final = ("freezegun", "simkit.kernel.", "simkit.cli", "simkit.run", "simkit.pytest_plugin")


class Alias(NamedTuple):
    """A module's name for a replaced object. A named tuple: hundreds are written at each entry."""

    names: dict[str, Any]
    name: str
    real: object
    fake: object


class Aliases:
    """All names of some objects in all loaded modules, and the two states they can be in."""

    def __init__(self, fakes: Mapping[object, object]) -> None:
        # By identity: some of the objects are equal to others, and some are not hashable in every release.
        self._fakes = {id(real): (real, fake) for real, fake in fakes.items()}
        self._reals = {id(fake): (real, fake) for real, fake in fakes.items()}
        self._known: dict[str, int] = {}
        self._loaded = 0
        self._aliases: list[Alias] = []

    def on(self) -> None:
        """Put the replacements in place."""
        self._look(self._fakes)
        for names, name, real, fake in self._aliases:
            # A name that somebody has bound to something else in the meantime is theirs.
            if names.get(name) is real:
                names[name] = fake

    def off(self) -> None:
        """Give everything back, also in modules that were loaded since ``on``."""
        self._look(self._reals)
        for names, name, real, fake in self._aliases:
            if names.get(name) is fake:
                names[name] = real

    def _look(self, wanted: Mapping[int, tuple[object, object]]) -> None:
        """Find aliases in modules that were not looked through yet."""
        modules = sys.modules
        if len(modules) == self._loaded:
            return
        for key, module in list(modules.items()):
            if self._known.get(key) != id(module):
                self._known[key] = id(module)
                if isinstance(module, ModuleType) and not key.startswith(_EXEMPT):
                    self._look_through(vars(module), wanted)
        self._loaded = len(modules)

    def _look_through(self, names: dict[str, Any], wanted: Mapping[int, tuple[object, object]]) -> None:
        for name, value in list(names.items()):
            pair = wanted.get(id(value))
            if pair is not None:
                self._aliases.append(Alias(names, name, *pair))

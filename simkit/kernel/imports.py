"""Imports inside a world: a module that is made there is made with the real clocks and the real calendar.

The idea: while a module is being executed for the first time, the replacements of the wall clock are out of the way;
when the outermost import is over they are back, in the new modules too. The constraint: what a library keeps from its
import (tables by type, schemas of models, defaults) is then the same whether it was loaded before the world or inside
it, so it works in the world, after it, and in the next one. Mending single libraries was refused: each of them keeps
the types in another place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Imports(MetaPathFinder):
    """Stands first in ``sys.meta_path``, which is asked only for modules that are not loaded yet.

    ``concerned`` says whether the calling thread is of a world, ``aside`` takes the replacements out of the way.
    """

    def __init__(self, concerned: Callable[[], bool], aside: Callable[[], AbstractContextManager[None]]) -> None:
        self._concerned = concerned
        self._aside = aside

    def install(self) -> None:
        """Begin to be asked."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Be asked no more."""
        sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, with a loader that first takes the replacements out of the way."""
        spec = self._found(fullname, path, target) if self._concerned() else None
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Aside(spec.loader, self._aside)
        return spec

    def _found(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        others = (finder for finder in list(sys.meta_path) if finder is not self and hasattr(finder, "find_spec"))
        return next((spec for finder in others if (spec := finder.find_spec(name, path, target)) is not None), None)


class _Aside(Loader):
    """A loader around another one; whoever asks it for anything else gets what that one says."""

    def __init__(self, loader: Any, aside: Callable[[], AbstractContextManager[None]]) -> None:
        self._loader = loader
        self._around = aside

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Let the other make it."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Let the other execute it, and leave no trace of this one in it."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with self._around():
            self._loader.exec_module(module)

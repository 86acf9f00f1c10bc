"""Aliases: a function of the standard library replaced under every name by which any module knows it.

The idea: ``from time import monotonic`` binds a name that patching ``time`` never reaches, so every module's
names are looked through once and remembered, and entering or leaving a world only writes the remembered ones.
Defaults (``def __init__(self, clock=time.monotonic)``), what a function closes over (``default_factory`` of a data
class) and attributes of classes (``sleep = staticmethod(time.sleep)``) are such names too.
The constraint: what was there before is there again afterwards, also in modules that were first imported inside
a world. Looking through all modules at every run was refused: with an SDK loaded that takes twenty
milliseconds, a whole run takes one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import CellType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple, Protocol

# Who replaces, and who stands around a world, keeps what is real under its own names.
_EXEMPT: Final = ("freezegun", "simkit.kernel.", "simkit.cli", "simkit.commands.", "simkit.run", "simkit.pytest_plugin")


# Whose functions are kept in defaults and classes. A module that knows neither these nor one of their functions has
# nothing hidden in it, and is not looked into: of an SDK's thousand modules, a few remain.
_OWNERS: Final = ("random", "select", "socket", "threading", "time")


class Alias(NamedTuple):
    """A module's name for a replaced object. A named tuple: hundreds are written at each entry."""

    names: dict[str, Any]
    name: str
    real: object
    fake: object


class Hidden(Protocol):
    """A place other than a name that may hold a replaced object."""

    def swap(self, old: object, new: object) -> None:
        """Put one in the place of the other, if that is what is there."""
        ...


class Default(NamedTuple):
    """A default of a function's argument. Those of keywords are in a dict and need no class of their own."""

    function: Any  # a plain function; its checker would bind it to this class
    place: int

    def swap(self, old: object, new: object) -> None:
        """See ``Hidden``."""
        values = list(self.function.__defaults__ or ())
        if self.place < len(values) and values[self.place] is old:
            values[self.place] = new
            self.function.__defaults__ = tuple(values)


class Closed(NamedTuple):
    """A variable that a function closes over."""

    cell: CellType

    def swap(self, old: object, new: object) -> None:
        """See ``Hidden``."""
        if self.cell.cell_contents is old:
            self.cell.cell_contents = new


class Attribute(NamedTuple):
    """An attribute of a class, bare or as a static method."""

    owner: type
    name: str
    bare: bool

    def swap(self, old: object, new: Any) -> None:
        """See ``Hidden``. A built-in function does not bind to an instance, but what comes in its place would."""
        value = vars(self.owner).get(self.name)
        if value is old or (type(value) is staticmethod and value.__func__ is old):
            bare = self.bare and not isinstance(new, FunctionType)
            # Past the metaclass: what it thinks of a new attribute is not asked for an old one.
            type.__setattr__(self.owner, self.name, new if bare else staticmethod(new))


class Aliases:
    """All names of some objects in all loaded modules, and the two states they can be in."""

    def __init__(self, fakes: Mapping[object, object], names_only: frozenset[object] = frozenset()) -> None:
        # By identity: some of the objects are equal to others, and some are not hashable in every release.
        self._fakes = {id(real): (real, fake) for real, fake in fakes.items()}
        self._reals = {id(fake): (real, fake) for real, fake in fakes.items()}
        self._known: dict[str, int] = {}
        self._loaded = 0
        self._aliases: list[Alias] = []
        self._hidden: list[tuple[Hidden, object, object]] = []
        # Classes that others derive from or compare with are looked for under names of modules alone.
        self._shallow = {id(real) for real in names_only} | {id(fakes[real]) for real in names_only}
        self._owners = {id(sys.modules[name]) for name in _OWNERS if name in sys.modules}

    def on(self) -> None:
        """Put the replacements in place."""
        self._look(self._fakes)
        for names, name, real, fake in self._aliases:
            # A name that somebody has bound to something else in the meantime is theirs.
            if names.get(name) is real:
                names[name] = fake
        for place, real, fake in self._hidden:
            place.swap(real, fake)

    def extend(self, fakes: Mapping[object, object]) -> None:
        """Replace further objects, of a library that was loaded only now. Called while replacements are in place."""
        late = Aliases(fakes)
        late.on()
        self._fakes |= late._fakes
        self._reals |= late._reals
        self._aliases += late._aliases
        self._hidden += late._hidden

    def off(self) -> None:
        """Give everything back, also in modules that were loaded since ``on``."""
        self._look(self._reals)
        self.aside()

    def aside(self) -> None:
        """Give back what is known, and look at no module: one that is being made is not worth a look yet."""
        for names, name, real, fake in self._aliases:
            if names.get(name) is fake:
                names[name] = real
        for place, real, fake in self._hidden:
            place.swap(fake, real)

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
        deeper = False
        for name, value in list(names.items()):
            pair = wanted.get(id(value))
            if pair is not None:
                self._aliases.append(Alias(names, name, *pair))
            deeper = deeper or pair is not None or id(value) in self._owners
        if deeper:
            hidden = {key: pair for key, pair in wanted.items() if key not in self._shallow}
            for value in list(names.values()):
                # By ``type`` and not by ``isinstance``: that asks the object, and a lazy one loads its library then.
                kind = type(value)
                if kind is FunctionType and value.__module__ == names.get("__name__"):
                    self._look_into_function(value, hidden)
                elif issubclass(kind, type) and value.__module__ == names.get("__name__") and id(value) not in wanted:
                    self._look_into_class(value, hidden)

    def _look_into_class(self, owner: type, wanted: Mapping[int, tuple[object, object]]) -> None:
        for name, value in list(vars(owner).items()):
            inner = value.__func__ if type(value) in (staticmethod, classmethod) else value
            pair = wanted.get(id(inner))
            if pair is not None:
                self._hidden.append((Attribute(owner, name, bare=inner is value), *pair))
            elif type(inner) is FunctionType:
                self._look_into_function(inner, wanted)

    def _look_into_function(self, function: FunctionType, wanted: Mapping[int, tuple[object, object]]) -> None:
        for place, value in enumerate(function.__defaults__ or ()):
            if id(value) in wanted:
                self._hidden.append((Default(function, place), *wanted[id(value)]))
        keywords = function.__kwdefaults__ or {}
        for name, value in keywords.items():
            if id(value) in wanted:
                self._aliases.append(Alias(keywords, name, *wanted[id(value)]))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name == "__class__":
                continue  # what ``super()`` goes by
            try:
                value = cell.cell_contents
            except ValueError:
                continue  # nothing is in it yet
            if id(value) in wanted:
                self._hidden.append((Closed(cell), *wanted[id(value)]))

"""Patches: attributes replaced while a world runs, and given back in reverse order.

The idea: every replacement that a world makes goes through one list, so leaving the world is one call and a
test can compare before and after. The constraint: threads that do not belong to the world keep the real thing,
so each replacement asks who is calling. ``unittest.mock`` was refused for its cost: a world is entered
thousands of times.
"""

from __future__ import annotations

from typing import Final

_ABSENT: Final = object()


class Patches:
    """A list of replaced attributes."""

    __slots__ = ("_undo",)

    def __init__(self) -> None:
        self._undo: list[tuple[object, str, object]] = []

    def set(self, owner: object, name: str, value: object) -> None:
        """Replace ``owner.name``, which must exist."""
        self._undo.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def add(self, owner: object, name: str, value: object) -> None:
        """Shadow an inherited attribute on ``owner`` itself; giving it back removes the shadow."""
        self._undo.append((owner, name, _ABSENT))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Give everything back, last replaced first."""
        while self._undo:
            owner, name, value = self._undo.pop()
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)

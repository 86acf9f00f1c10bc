"""Patches: given back in reverse order, whatever was there before."""

from __future__ import annotations

import pytest

from simkit.kernel.patches import Patches


class Owner:
    name = "real"


class Heir(Owner):
    pass


def test_what_was_set_twice_is_what_it_was_at_first() -> None:
    patches = Patches()
    patches.set(Owner, "name", "first")
    patches.set(Owner, "name", "second")
    seen = [Owner.name]
    patches.undo()
    assert [*seen, Owner.name] == ["second", "real"]


def test_a_shadow_is_taken_away_and_not_written_over() -> None:
    patches = Patches()
    patches.add(Heir, "name", "shadow")
    seen = [Heir.name, Owner.name]
    patches.undo()
    assert ([*seen, Heir.name], "name" in vars(Heir)) == (["shadow", "real", "real"], False)


def test_what_does_not_exist_cannot_be_replaced() -> None:
    with pytest.raises(KeyError):
        Patches().set(Heir, "name", "shadow")


def test_undoing_twice_is_undoing_once() -> None:
    patches = Patches()
    patches.set(Owner, "name", "other")
    patches.undo()
    Owner.name = "changed since"
    patches.undo()
    changed, Owner.name = Owner.name, "real"
    assert changed == "changed since"

"""A mapping that was read: plain values by key, and where each of them stands.

The idea: what the walker hands on is one small type, which the rules question and the builder turns into the model.
The constraint: a value is there only if it was right, so a reader says which type it relies on, and a wrong one is a
fault of the table and not of the author. A typed record for each shape was refused: it would say the table twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from simkit.model.timeline import Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A mapping that was read. ``verb`` is its verb, or the law.

    ``values`` holds what was right, ``places`` every key that was written, wrong ones too.
    """

    place: Place
    values: Mapping[str, object]
    places: Mapping[str, Place] = field(default_factory=dict)
    verb: str = ""

    def text(self, key: str, default: str = "") -> str:
        """Return the text under this key."""
        value = self.values.get(key, default)
        assert isinstance(value, str), key
        return value

    def maybe_text(self, key: str) -> str | None:
        """Return the text under this key, or None when it is not there."""
        return self.text(key) if key in self.values else None

    def whole(self, key: str, default: int = 0) -> int:
        """Return the whole number under this key; a duration is one of nanoseconds."""
        value = self.values.get(key, default)
        assert isinstance(value, int), key
        return value

    def maybe_whole(self, key: str) -> int | None:
        """Return the whole number under this key, or None when it is not there."""
        return self.whole(key) if key in self.values else None

    def maybe_flag(self, key: str) -> bool | None:
        """Return the truth under this key, or None when it is not there."""
        value = self.values.get(key)
        assert value is None or isinstance(value, bool), key
        return value

    def inner(self, key: str) -> Entry:
        """Return the mapping under this key; an empty one when it is not there."""
        value = self.values.get(key, Entry(self.place, {}))
        assert isinstance(value, Entry), key
        return value

    def named_texts(self, key: str) -> dict[str, str]:
        """Return the mapping from names to texts under this key; an empty one when it is not there."""
        inner = self.inner(key)
        return {name: inner.text(name) for name in inner.values}

    def entries(self, key: str) -> Iterator[Entry]:
        """Yield the mappings of the list under this key."""
        items = self.values.get(key, ())
        assert isinstance(items, tuple), key
        for item in items:
            assert isinstance(item, Entry), key
            yield item

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of the list under this key."""
        items = self.values.get(key, ())
        assert isinstance(items, tuple), key
        return tuple(str(item) for item in items)

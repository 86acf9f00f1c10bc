"""The conversation so far, in words that no wire format owns, and always fit to be sent.

The idea: a history grows only in whole strides - a user's message, an assistant's text, or a round of calls
together with exactly one result for each - so there is no moment at which it could not be sent. The
constraint it protects: a call without its result makes every later request a 400, and the session is dead. A
list of wire dicts that the loop appends to was refused: it is invalid between two appends, which is where
cancellations land.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

# What ids and names of calls may look like so that every wire takes them, also one that did not make them.
_STRANGE: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LENGTH_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the user said, or what the loop asks in the user's place."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of the model. With a ``fault`` it must not run, and its arguments stand as ``{}``."""

    id: str
    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A part of an answer that only its own wire understands, and wants back unchanged: a signed thought, and the like.

    It stands behind so many characters of the text and so many calls.
    """

    wire: str
    value: Mapping[str, object]
    text_at: int = 0
    calls_at: int = 0


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model said, which calls it made, and what else has to go back with that."""

    text: str
    calls: tuple[Call, ...] = ()
    opaque: tuple[Opaque, ...] = ()

    def parts(self, wire: str) -> list[str | Call | Opaque]:
        """Return everything in the order in which it came, without what is of other wires, and without blank text."""
        parts: list[str | Call | Opaque] = []
        text_at = calls_at = 0
        for one in self.opaque:
            if one.wire == wire:
                parts += [self.text[text_at : one.text_at], *self.calls[calls_at : one.calls_at], one]
                text_at, calls_at = one.text_at, one.calls_at
        parts += [self.text[text_at:], *self.calls[calls_at:]]
        return [part for part in parts if not isinstance(part, str) or part.strip()]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The one result of one call, as the text that the model reads."""

    call_id: str
    text: str
    is_error: bool = False


Item = UserMessage | AssistantMessage | ToolResult


class History:
    """The items of one session, in order."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    @property
    def items(self) -> tuple[Item, ...]:
        """Everything so far; the tuple does not change when the history grows."""
        return tuple(self._items)

    def add_question(self, text: str) -> None:
        """Add what the user says."""
        self._items.append(UserMessage(text))

    def add_text(self, text: str, opaque: Sequence[Opaque] = ()) -> None:
        """Add what the assistant said, unless it is blank: some providers refuse an empty message."""
        if text.strip():
            self._items.append(AssistantMessage(text, opaque=tuple(opaque)))

    def add_pause(self, text: str, opaque: Sequence[Opaque]) -> None:
        """Add an answer that the provider interrupted, and that goes back to be gone on with."""
        self._items.append(AssistantMessage(text, opaque=tuple(opaque)))

    def add_round(
        self, text: str, calls: Sequence[Call], results: Sequence[ToolResult], opaque: Sequence[Opaque] = ()
    ) -> None:
        """Add one answer's calls with their results. Raises ``ValueError`` when they do not pair up."""
        asked, answered = [c.id for c in calls], [r.call_id for r in results]
        if asked != answered:
            raise ValueError(f"results for {answered!r} do not pair with the calls {asked!r}")
        self._items.extend((AssistantMessage(text, tuple(calls), tuple(opaque)), *results))

    def with_own_ids(self, calls: Iterable[Call]) -> tuple[Call, ...]:
        """Return the calls, each with an id that no other call of this session has, and that every wire takes.

        Providers leave ids out, and repeat them within a turn and across turns; a result could then pair with
        either.
        """
        taken = {c.id for item in self._items if isinstance(item, AssistantMessage) for c in item.calls}
        own = []
        for call in calls:
            own.append(replace(call, id=_free_id(fit(call.id) or "call", taken)))
            taken.add(own[-1].id)
        return tuple(own)


def fit(name: str) -> str:
    """Return a name or an id as every wire takes it; most are that already."""
    return _STRANGE.sub("_", name)[:_LENGTH_MAX]


def _free_id(wish: str, taken: set[str]) -> str:
    if wish not in taken:
        return wish
    number = 2
    while (free := f"{wish[: _LENGTH_MAX - len(str(number)) - 1]}_{number}") in taken:
        number += 1
    return free

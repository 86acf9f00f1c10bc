"""The conversation so far, in words that no wire format owns, and always fit to be sent.

The idea: a history grows only in whole strides - a user's message, an assistant's text, or a round of calls
together with exactly one result for each - so there is no moment at which it could not be sent. The
constraint it protects: a call without its result makes every later request a 400, and the session is dead. A
list of wire dicts that the loop appends to was refused: it is invalid between two appends, which is where
cancellations land.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace


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
class AssistantMessage:
    """What the model said and which calls it made."""

    text: str
    calls: tuple[Call, ...] = ()


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

    def add_text(self, text: str) -> None:
        """Add what the assistant said, unless it is blank: some providers refuse an empty message."""
        if text.strip():
            self._items.append(AssistantMessage(text))

    def add_round(self, text: str, calls: Sequence[Call], results: Sequence[ToolResult]) -> None:
        """Add one answer's calls with their results. Raises ``ValueError`` when they do not pair up."""
        asked, answered = [c.id for c in calls], [r.call_id for r in results]
        if asked != answered:
            raise ValueError(f"results for {answered!r} do not pair with the calls {asked!r}")
        self._items.extend((AssistantMessage(text, tuple(calls)), *results))

    def with_own_ids(self, calls: Iterable[Call]) -> tuple[Call, ...]:
        """Return the calls, each with an id that no other call of this session has.

        Providers leave ids out, and repeat them within a turn and across turns; a result could then pair with
        either.
        """
        taken = {c.id for item in self._items if isinstance(item, AssistantMessage) for c in item.calls}
        own = []
        for call in calls:
            own.append(replace(call, id=_free_id(call.id or "call", taken)))
            taken.add(own[-1].id)
        return tuple(own)


def _free_id(wish: str, taken: set[str]) -> str:
    if wish not in taken:
        return wish
    number = 2
    while f"{wish}_{number}" in taken:
        number += 1
    return f"{wish}_{number}"

"""The tool by which the model asks for its parked calls: arguments in, words out, the registry in between.

The idea: arguments are read once, into an ``Ask`` or the reason why they are none, and the registry's answer is a
value that one table puts into words. The constraint it protects: a model writes ``"soon"``, ``null`` and ids from
another conversation, and each of these gets an answer that it can act on, never an exception. Three tools, for
listing, waiting and cancelling, were refused: their schemas go with every request.

=================  ============================================================================================
asked              answered
=================  ============================================================================================
list               ``{type: background_list, active, tasks: [{background_id, tool, status, age_seconds, done}]}``
one id             ``{type: background_status, background_id, tool, status, message}``, with ``output`` where the
                   call has one; ``status`` is completed, error, still_running, cancelling, cancelled or evicted
an id without a    an error response ``{type: error, error, message}``, ``error`` being ``unknown_id``,
result for it      ``missing_id`` or ``already_delivered``
anything else      the same, ``error`` being ``bad_argument``
=================  ============================================================================================

``list`` goes before an id, and ``cancel`` before waiting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from simkit.agent.budgets import WAIT_S_MAX, Reply
from simkit.agent.ledger import State, Status
from simkit.agent.registry import Registry

CHECK_TOOL: Final = "check_background_tool"

# What a wait is when the model says nothing of it.
_WAIT_S: Final = 60.0

_PROPERTIES: Final[dict[str, dict[str, str]]] = {
    "background_id": {
        "type": "string",
        "description": "The background_id of the call, as its result of type 'background' gave it.",
    },
    "list": {
        "type": "boolean",
        "description": "True to list all calls in the background; needs no background_id.",
    },
    "wait_seconds": {
        "type": "number",
        "description": f"How long to wait for the call's end, 0 to {WAIT_S_MAX:g}. 0 only looks. "
        f"Larger values count as {WAIT_S_MAX:g}; the default is {_WAIT_S:g}.",
    },
    "cancel": {
        "type": "boolean",
        "description": "True to cancel the call instead of waiting for it.",
    },
}

_EXPECTED: Final[dict[str, str]] = {
    "string": "the text of an id",
    "boolean": "true or false",
    "number": f"a number of seconds from 0 to {WAIT_S_MAX:g}",
}

_MESSAGES: Final[dict[State, str]] = {
    "completed": "{tool} has completed. Its output is given out this once.",
    "error": "{tool} has failed. This is told once.",
    "still_running": "{tool} is still running. Ask again to wait longer, or cancel it.",
    "cancelling": "{tool} was asked to stop and has not stopped yet: it may still do what it does. Ask again.",
    "cancelled": "{tool} was cancelled and has stopped.",
    "evicted": "{tool} had to make room for another call; it was {was} then, and what it had is lost.",
}

_DRY_RUN: Final = " Nothing was cancelled: this session is a dry run."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the model wants to know, or to be done."""

    background_id: str
    listed: bool
    wait_s: float
    cancel: bool


def read_ask(arguments: Mapping[str, object], wait_of: Callable[[object], float | None]) -> Ask | str:
    """Return what these arguments ask for, or the reason why they ask for nothing."""
    unknown = [name for name in arguments if name not in _PROPERTIES]
    if unknown:
        return f"there is no argument {unknown[0]!r}, only: {', '.join(_PROPERTIES)}"
    given: dict[str, object] = {"background_id": "", "list": False, "wait_seconds": _WAIT_S, "cancel": False}
    given.update(arguments)
    background_id, listed, wait, cancel = (given[name] for name in _PROPERTIES)
    wait_s = wait_of(wait)
    if not isinstance(background_id, str):
        return _unfit("background_id", background_id)
    if not isinstance(listed, bool):
        return _unfit("list", listed)
    if not isinstance(cancel, bool):
        return _unfit("cancel", cancel)
    if wait_s is None:
        return _unfit("wait_seconds", wait)
    return Ask(background_id=background_id, listed=listed, wait_s=wait_s, cancel=cancel)


def _unfit(name: str, value: object) -> str:
    return f"{name} is {value!r}, expected {_EXPECTED[_PROPERTIES[name]['type']]}"


class CheckTool:
    """The tool ``check_background_tool`` of one session."""

    name: Final = CHECK_TOOL
    description: Final = (
        "Look after tool calls that go on in the background: list them, wait for one, or cancel it. "
        "Use it when a result has type 'background'."
    )
    schema: Final[Mapping[str, object]] = {"type": "object", "properties": _PROPERTIES}
    # It waits as long as it was asked to, and must not be parked itself.
    manages_itself: Final = True

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    async def __call__(self, **arguments: object) -> Reply:
        """Answer. Never raises for what a model may write."""
        ask = read_ask(arguments, self.registry.wait_of)
        if isinstance(ask, str):
            return self._refuse("bad_argument", ask, "")
        if ask.listed:
            return self._list()
        if not ask.background_id:
            return self._refuse("missing_id", "background_id is missing: give it, or list: true to find it", "")
        registry = self.registry
        if ask.cancel:
            status = await registry.cancel(ask.background_id)
        else:
            status = await registry.wait(ask.background_id, ask.wait_s)
        return self._answer(ask, status)

    def _answer(self, ask: Ask, status: Status) -> Reply:
        if status.state == "unknown":
            text = f"no call in the background was ever called {ask.background_id!r} - list: true shows those there are"
            return self._refuse("unknown_id", text, ask.background_id)
        if status.state == "delivered":
            text = f"what {status.background_id} ({status.tool}) had was given out already: it was {status.was!r}"
            return self._refuse("already_delivered", text, ask.background_id)
        rehearsed = ask.cancel and self.registry.dry_run
        self._tell(ask.background_id, status.state, cancel=ask.cancel)
        return Reply(json.dumps(in_words(status, rehearsed=rehearsed), ensure_ascii=False))

    def _list(self) -> Reply:
        tasks = [listed_in_words(status) for status in self.registry.listed()]
        active = sum(not task["done"] for task in tasks)
        self._tell("", "listed")
        return Reply(json.dumps({"type": "background_list", "active": active, "tasks": tasks}, ensure_ascii=False))

    def _refuse(self, error: str, message: str, background_id: str) -> Reply:
        self._tell(background_id, "refused")
        return Reply(json.dumps({"type": "error", "error": error, "message": message}), is_error=True)

    def _tell(self, background_id: str, status: str, *, cancel: bool = False) -> None:
        dry_run = self.registry.dry_run
        self.registry.tell(
            "background_checked", background_id=background_id, status=status, cancel=cancel, dry_run=dry_run
        )


def in_words(status: Status, *, rehearsed: bool = False) -> dict[str, object]:
    """Return what the model is told of a call; ``rehearsed`` when it was to be cancelled in a dry run."""
    message = _MESSAGES[status.state].format(tool=status.tool, was=status.was)
    words: dict[str, object] = {
        "type": "background_status",
        "background_id": status.background_id,
        "tool": status.tool,
        "status": status.state,
        "message": message + (_DRY_RUN if rehearsed else ""),
    }
    if status.state in ("completed", "error"):
        words["output"] = status.failure or status.output
    return words


def listed_in_words(status: Status) -> dict[str, object]:
    """Return a line of the list."""
    return {
        "background_id": status.background_id,
        "tool": status.tool,
        "status": status.state,
        "age_seconds": round(status.age_s, 3),
        "done": status.state not in ("still_running", "cancelling"),
    }

"""What a tool call may take, how it ended, and what the model is told of it: decisions without I/O.

The idea: a call ends in one of three ways (it returned, it raised, it was cancelled), and one function turns that
into the words for the model, for a call in the foreground and for a parked one alike. The constraint it protects:
whatever a tool does, its call has an outcome: an odd result, an exception that cannot be printed or a cancellation
that nobody asked for must not take the registry's own code down. Asking results for attributes that the expected
class has was refused: tools are strangers' code.

==================================================  ==================  =======================================
the tool                                            is                  the model reads
==================================================  ==================  =======================================
returned text, or what JSON can hold                ``completed``       the text, or the JSON
returned a mapping with ``success`` false           ``error``           the JSON
returned anything else                              ``error``           why it is no JSON
raised                                              ``error``           the exception's class and text
was cancelled, and nobody had asked for it          ``error``           that it cancelled itself
==================================================  ==================  =======================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

# The budget of a tool that names none of its own is the session's (``Limits.tool_budget_s``).
DEFAULT: Final = "default"
Budget = float | Literal["default"] | None

# How long one check may wait for a parked call: below every idle limit in use for a whole turn.
WAIT_S_MAX: Final = 540.0


# -- how a call ended ------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Returned:
    """The tool returned this."""

    value: object


@dataclass(frozen=True, slots=True)
class Raised:
    """The tool raised this."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The tool's task was cancelled, by somebody who asked or by the tool itself."""


Ended = Returned | Raised | Cancelled


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model reads. A tool that returns one says itself whether it is an error."""

    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a call: the words for the model, and ``output``, the same as a value. ``failure`` says why."""

    state: Literal["completed", "error"]
    reply: Reply
    output: object = None
    failure: str = ""


def outcome_of(ended: Ended) -> Outcome:
    """Return what came of a call that ended like this, of its own accord."""
    match ended:
        case Returned(value=value):
            return _returned(value)
        case Raised(error=error):
            return failed(told(error))
        case Cancelled():
            return failed("CancelledError: the tool cancelled itself, nobody had asked for it")


def failed(text: str) -> Outcome:
    """Return the outcome of a call that failed for this reason."""
    return Outcome(state="error", reply=error_reply(text), failure=text)


def told(error: BaseException) -> str:
    """Return the exception in words, also when it has none."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # the text of a stranger's exception is a stranger's code
        return type(error).__name__


def _returned(value: object) -> Outcome:
    if isinstance(value, Reply):
        return Outcome(state="error" if value.is_error else "completed", reply=value, output=value.text)
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except Exception as error:  # noqa: BLE001  # whatever the value's own code does, it is no JSON
        return failed(told(error))
    fell_short = isinstance(value, Mapping) and value.get("success") is False
    return Outcome(state="error" if fell_short else "completed", reply=Reply(text), output=value)


# -- what a call may take --------------------------------------------------------------------------
def budget_of(tool: object, default_s: float | None) -> float | None:
    """Return after how many seconds a call of this tool is parked, or None for never.

    A tool may have ``timeout_s`` (seconds, None for no budget, ``"default"`` for the session's) and
    ``manages_itself`` (true: it bounds its own time, and is never parked).
    """
    if getattr(tool, "manages_itself", False):
        return None
    own: Budget = getattr(tool, "timeout_s", DEFAULT)
    return default_s if own == DEFAULT else own


def wait_of(asked: object) -> float | None:
    """Return how long a check waits that was asked to wait so long; None when that is no number."""
    # A bool is an int to Python, and NaN, which is not equal to itself, is a number to it.
    if isinstance(asked, bool) or not isinstance(asked, int | float) or asked != asked:
        return None
    return float(min(max(asked, 0), WAIT_S_MAX))


def key_of(tool: str, arguments: Mapping[str, object]) -> str:
    """Return what two calls have in common that would do the same."""
    # Arguments come from JSON; what a program puts there besides is told apart by what it looks like.
    return f"{tool} {json.dumps(arguments, sort_keys=True, default=repr)}"


# -- what the model is told ------------------------------------------------------------------------
def parked_reply(tool: str, background_id: str, budget_s: float | None, evicted: Sequence[str] = ()) -> Reply:
    """Return the result, which is no error, of a call that goes on in the background."""
    message = (
        f"{tool} is still running after its budget of {budget_s:g} seconds. It was not cancelled: it goes on in the "
        f"background as {background_id}. Ask for it with check_background_tool, or cancel it there."
    )
    about = {"evicted": list(evicted)} if evicted else {}
    if evicted:
        message += f" To make room, {', '.join(evicted)} had to go: what they had for you is lost."
    return _background(tool, background_id, budget_s, message, about)


def twin_reply(tool: str, background_id: str, budget_s: float | None) -> Reply:
    """Return the result of a call that was not run, because the same one is in the background already."""
    message = (
        f"The same call of {tool} is in the background already, as {background_id}, so it was not run again. "
        f"Ask for it with check_background_tool."
    )
    return _background(tool, background_id, budget_s, message, {"duplicate": True})


def error_reply(text: str) -> Reply:
    """Return an error result."""
    return Reply(json.dumps({"error": text}, ensure_ascii=False), is_error=True)


def _background(
    tool: str, background_id: str, budget_s: float | None, message: str, about: Mapping[str, object]
) -> Reply:
    body = {"type": "background", "tool": tool, "timeout_seconds": budget_s, "background_id": background_id}
    return Reply(json.dumps({**body, **about, "message": message}, ensure_ascii=False))

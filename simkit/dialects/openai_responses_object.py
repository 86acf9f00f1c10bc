"""The Response object of the Responses API, and the items that stand in its output.

The idea: one function shows an answer in any state, so that events, whole bodies and polls of a job cannot disagree
about it. The constraint: the fields are those that the SDK's ``Response`` type knows, all of them that the API always
sends, with the request's own values where the API repeats them and the API's defaults elsewhere. (``store``, which the
API repeats too, is left out: the type does not know it.) Showing only what tests look at was refused: agents store and
send back whole objects.

What is written while an answer grows is an ``Item`` with its ``Part``s; ``shown`` is how the API shows it:

=============  ========================================================  ==============================
kind           shown as                                                  its parts
=============  ========================================================  ==============================
message        ``{id, type, status, content: [...], role}``              output_text, refusal
reasoning      ``{id, type, summary: [...]}`` and ``encrypted_content``  summary_text
               where the request's ``include`` asks for it
function_call  ``{id, type, status, arguments, call_id, name}``          none
=============  ========================================================  ==============================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from simkit.contracts import CompletionRequest
from simkit.dialects.jsontext import write_json
from simkit.dialects.tokens import estimate, thought, tokens
from simkit.dialects.turn import Turn
from simkit.model.timeline import Call, Usage

ENCRYPTED: Final = "reasoning.encrypted_content"
# What the API answers for a parameter that the request leaves out.
_DEFAULTS: Final[Mapping[str, object]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
_REASONING: Final[Mapping[str, object]] = {"effort": None, "summary": None}
_TEXT: Final[Mapping[str, object]] = {"format": {"type": "text"}, "verbosity": "medium"}


def response_id(number: int) -> str:
    """Return the id of the answer to this request."""
    return f"resp_sim_{number:06d}"


def asked_for(request: CompletionRequest, include: str) -> bool:
    """Say whether the request's ``include`` names this field."""
    included = request.body.get("include")
    return isinstance(included, list) and include in included


@dataclass(frozen=True, slots=True)
class Head:
    """Whose answer it is: what is the same in every view of it. ``created`` and ``completed`` are seconds."""

    request: CompletionRequest
    number: int
    created: int
    completed: int
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far an answer is: ``status`` as the API says it, and what goes with it."""

    status: str
    output: Sequence[Mapping[str, object]] = ()
    usage: Mapping[str, object] | None = None
    error: Mapping[str, object] | None = None
    incomplete: str | None = None
    completed_at: int | None = None


def response_object(head: Head, state: State) -> dict[str, object]:
    """Return the Response object of this answer in this state."""
    body = head.request.body
    return {
        "id": response_id(head.number),
        "object": "response",
        "created_at": head.created,
        "status": state.status,
        "background": head.background,
        "completed_at": state.completed_at,
        "error": state.error,
        "incomplete_details": {"reason": state.incomplete} if state.incomplete else None,
        "model": head.request.model,
        "output": list(state.output),
        "reasoning": _filled(_REASONING, body.get("reasoning")),
        "service_tier": _tier(body.get("service_tier"), state),
        "text": _filled(_TEXT, body.get("text")),
        "usage": state.usage,
        **{name: _given(body.get(name), default) for name, default in _DEFAULTS.items()},
        **_conversation(body.get("conversation")),
    }


def usage_object(counted: Usage | None, turn: Turn, request: CompletionRequest) -> dict[str, object]:
    """Return the token counts that the script gives, or a guess from the lengths of the texts."""
    usage = counted or Usage(
        input_tokens=tokens(len(write_json(request.body.get("input")))),
        output_tokens=estimate(turn),
        thinking_tokens=thought(turn),
    )
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


# -- what stands in the output ---------------------------------------------------------------------
@dataclass(slots=True)
class Part:
    """A piece of an item's content: ``kind`` is output_text, refusal or summary_text."""

    kind: str
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self.texts)

    def shown(self) -> dict[str, object]:
        """Return the part as the API shows it."""
        match self.kind:
            case "output_text":
                return {"type": self.kind, "annotations": [], "logprobs": [], "text": self.text}
            case "refusal":
                return {"type": self.kind, "refusal": self.text}
        return {"type": self.kind, "text": self.text}


@dataclass(slots=True)
class Item:
    """A message, a reasoning item or a function call while it grows; ``secret`` is the reasoning in cipher."""

    kind: str
    id: str
    index: int
    call: Call | None = None
    status: str = "in_progress"
    parts: list[Part] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    secret: str | None = None

    @property
    def is_open(self) -> bool:
        """True until its last event."""
        return self.status == "in_progress"

    def shown(self) -> dict[str, object]:
        """Return the item as the API shows it."""
        head = {"id": self.id, "type": self.kind}
        parts = [part.shown() for part in self.parts]
        match self.kind:
            case "message":
                return {**head, "status": self.status, "content": parts, "role": "assistant"}
            case "reasoning":
                return {**head, "summary": parts, **({"encrypted_content": self.secret} if self.secret else {})}
        assert self.call is not None, self
        made = {"arguments": "".join(self.args), "call_id": self.call.id, "name": self.call.name}
        return {**head, "status": self.status, **made}


def _given(value: object, default: object) -> object:
    return default if value is None else value


def _filled(defaults: Mapping[str, object], given: object) -> dict[str, object]:
    return {**defaults, **given} if isinstance(given, dict) else dict(defaults)


def _tier(asked: object, state: State) -> object:
    # Until an answer is over the API says what was asked for, and then what was done.
    over = state.status not in ("queued", "in_progress")
    return "default" if over and asked in (None, "auto") else asked or "auto"


def _conversation(value: object) -> dict[str, object]:
    return {"conversation": {"id": value} if isinstance(value, str) else value} if value else {}

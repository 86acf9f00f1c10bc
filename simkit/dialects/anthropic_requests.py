"""Requests to the Messages API: what the API refuses before a model sees anything, and the history in neutral words.

The idea: headers first, then the parameters, then each message by itself, and then how the messages stand to each
other; the first fault is the answer, as a 400 (or 401) in the API's own sentence, which public issues quote. The
constraint: what the real API takes is never refused here, because a false refusal would fail a correct agent. So
unknown parameters and models pass, a request that names a beta may hold any block, and these rules are left out
though the API has them, because they depend on the model or on what it wrote before: no answer may be begun for some
models, a turn must begin with its thinking block where thinking is enabled, ``max_tokens`` of each model. Validating
with the SDK's own request types was refused: they accept an orphan tool result, which is the mistake that interrupted
agents really make.

How messages stand to each other:

==========================  =======================================================================================
rule                        what it means here
==========================  =======================================================================================
turns                       consecutive messages of one role are one turn, as the API joins them
a call needs its result     in the user's turn right after it, before any other block of its message
a result needs its call     in the assistant's turn right before it, and a call has one result
ids of calls                are unique in the whole request
the role ``system``         stands after a user's message and before an assistant's (or at the end), never first, and
                            only for models from Claude Opus 4.8 on; names that are not known pass
a thinking block            goes back with its signature. A signature that ``sign`` made is held to its text; of any
                            other nobody here can know whether it was changed
==========================  =======================================================================================
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from simkit.contracts import CallSent, CompletionRequest, HttpRequest, Message, Refusal, ResultSent
from simkit.dialects.anthropic_errors import refusal
from simkit.dialects.jsontext import read_json, write_json

_ROLES: Final = ("user", "assistant", "system")
# The models that were there before a message could have the role system.
_BEFORE_SYSTEM_MESSAGES: Final = re.compile(r"claude-(?:[123]|instant|(?:sonnet|haiku)-4|opus-4-(?:[0-7]\b|20))")
_ID: Final = re.compile(r"[a-zA-Z0-9_-]+\Z")
_SIGNED_HERE: Final = "sim."

# type of a block -> the fields that it may have (True: that it must have), besides its type. Only those are held to
# the table that agents write themselves; ``cache_control`` is allowed on most blocks and checked on none.
_FIELDS: Final[Mapping[str, Mapping[str, bool]]] = {
    "text": {"text": True, "citations": False, "cache_control": False},
    "thinking": {"thinking": True, "signature": True},
    "redacted_thinking": {"data": True},
    "tool_use": {
        "id": True,
        "name": True,
        "input": True,
        "caller": False,
        "toolset_name": False,
        "cache_control": False,
    },
    "tool_result": {
        "tool_use_id": True,
        "content": False,
        "is_error": False,
        "toolset_name": False,
        "cache_control": False,
    },
}
# Every other block that may stand in a message of a request that names no beta.
_OTHER_BLOCKS: Final = (
    "image",
    "document",
    "search_result",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "container_upload",
)
_BLOCKS: Final = (*_FIELDS, *_OTHER_BLOCKS)
# Only one role may send these.
_SENT_BY: Final[Mapping[str, str]] = {"tool_use": "assistant", "tool_result": "user"}

_Json = Mapping[str, object]


class _Block(NamedTuple):
    """A block and where it stands: the place of its message, its own place in it, and what it says."""

    message: int
    place: int
    value: _Json

    @property
    def where(self) -> str:
        return f"messages.{self.message}.content.{self.place}"


def sign(thought: str) -> str:
    """Return the signature that the dialect gives a thought whose script has none."""
    return _SIGNED_HERE + hashlib.sha256(thought.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_request(request: HttpRequest) -> CompletionRequest | Refusal:
    """Understand a request, or refuse it as the API does."""
    refused = next(_header_faults(request), None)
    if refused:
        return refused
    try:
        body = read_json(request.body)
        # The API's parser takes no half of a surrogate pair, which is what a text cut inside an emoji leaves.
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return refusal("The request body is not valid JSON: no low surrogate in string")
    except (ValueError, RecursionError) as error:
        return refusal(f"The request body is not valid JSON: {error}")
    if not isinstance(body, dict):
        return refusal("Input should be a valid dictionary")
    beta = request.header("anthropic-beta") is not None
    return next(_faults(body, beta=beta), None) or _understand(body)


def _header_faults(request: HttpRequest) -> Iterator[Refusal]:
    if not request.header("x-api-key") and not request.header("authorization"):
        yield refusal("x-api-key header is required", 401)
    if not request.header("anthropic-version"):
        yield refusal("anthropic-version: header is required")


# -- faults ---------------------------------------------------------------------------------------------------------
def _faults(body: _Json, *, beta: bool) -> Iterator[Refusal]:
    """Yield what is wrong. Only the first counts: what comes after it may build on what is not there."""
    for name in ("model", "max_tokens", "messages"):
        if body.get(name) is None:
            yield refusal(f"{name}: Field required")
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str):
        yield refusal("model: Input should be a valid string")
    if model == "":
        yield refusal("model: String should have at least 1 character")
    if not isinstance(body.get("max_tokens"), int | float | str):  # what is a number in a string is taken
        yield refusal("max_tokens: Input should be a valid integer")
    if body.get("stream") not in (None, True, False):
        yield refusal("stream: Input should be a valid boolean")
    yield from _tools_faults(body.get("tools"))
    if not isinstance(messages, list):
        yield refusal("messages: Input should be a valid list")
        return
    if not messages:
        yield refusal("messages: at least one message is required")
    for place, message in enumerate(messages):
        yield from _message_faults(place, message, last=place == len(messages) - 1, beta=beta)
    yield from _order_faults(messages, str(model))
    yield from _pairing_faults(messages)


def _tools_faults(tools: object) -> Iterator[Refusal]:
    if tools is None:
        return
    if not isinstance(tools, list):
        yield refusal("tools: Input should be a valid list")
        return
    for place, tool in enumerate(tools):
        if not isinstance(tool, dict):
            yield refusal(f"tools.{place}: Input should be a valid dictionary")
        elif tool.get("type") in (None, "custom"):
            for name in ("name", "input_schema"):
                if tool.get(name) is None:
                    yield refusal(f"tools.{place}.custom.{name}: Field required")
    names = [tool["name"] for tool in tools if isinstance(tool.get("name"), str)]
    if len(set(names)) < len(names):
        yield refusal("tools: Tool names must be unique.")


def _message_faults(place: int, message: object, *, last: bool, beta: bool) -> Iterator[Refusal]:
    where = f"messages.{place}"
    if not isinstance(message, dict):
        yield refusal(f"{where}: Input should be a valid dictionary")
        return
    for name in ("role", "content"):
        if message.get(name) is None:
            yield refusal(f"{where}.{name}: Field required")
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        yield refusal(f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant".')
    for name in message:
        if name not in ("role", "content") and not beta:
            yield refusal(f"{where}.{name}: Extra inputs are not permitted")
    if not isinstance(content, str | list):
        yield refusal(f"{where}.content: Input should be a valid list")
        return
    if not content and not (last and role == "assistant"):
        yield refusal(
            f"{where}: all messages must have non-empty content except for the optional final assistant message"
        )
    for block in _listed(place, content):
        yield from _block_faults(block, str(role), beta=beta)


def _listed(place: int, content: str | list[object]) -> Iterator[_Block | Refusal]:
    for n, value in enumerate(content if isinstance(content, list) else []):
        if isinstance(value, dict):
            yield _Block(place, n, value)
        else:
            yield refusal(f"messages.{place}.content.{n}: Input should be a valid dictionary")


def _block_faults(block: _Block | Refusal, role: str, *, beta: bool) -> Iterator[Refusal]:
    if isinstance(block, Refusal):
        yield block
        return
    kind = block.value.get("type")
    if kind is None:
        yield refusal(f"{block.where}.type: Field required")
    if kind not in _BLOCKS and not beta:
        tags = ", ".join(map(repr, sorted(_BLOCKS)))
        text = f"Input tag {kind!r} found using 'type' does not match any of the expected tags: {tags}"
        yield refusal(f"{block.where}: {text}")
    if not isinstance(kind, str) or kind not in _FIELDS:
        return
    yield from _field_faults(f"{block.where}.{kind}", block.value, _FIELDS[kind], beta=beta)
    if kind in _SENT_BY and role != _SENT_BY[kind]:
        yield refusal(f"{block.where}: `{kind}` blocks can only be in `{_SENT_BY[kind]}` messages")
    if block.value.get("text") == "":
        yield refusal("messages: text content blocks must be non-empty")
    if kind == "thinking" and not _is_signed(block.value):
        yield refusal(f"{block.where}: Invalid `signature` in `thinking` block")


def _field_faults(where: str, value: _Json, fields: Mapping[str, bool], *, beta: bool) -> Iterator[Refusal]:
    for name, needed in fields.items():
        if needed and value.get(name) is None:
            yield refusal(f"{where}.{name}: Field required")
    for name in value:
        if name not in fields and name != "type" and not beta:
            yield refusal(f"{where}.{name}: Extra inputs are not permitted")
    for name in ("text", "thinking", "signature", "id", "name", "tool_use_id"):
        if name in fields and not isinstance(value.get(name), str):
            yield refusal(f"{where}.{name}: Input should be a valid string")
    for name in ("id", "tool_use_id"):
        if name in fields and not _ID.match(str(value.get(name))):
            yield refusal(f"{where}.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if "input" in fields and not isinstance(value.get("input"), dict):
        yield refusal(f"{where}.input: Input should be a valid dictionary")


def _is_signed(thinking: _Json) -> bool:
    """Say whether the signature can be right: no signature is, and one made here is only for its own text."""
    signature = str(thinking["signature"])
    return bool(signature) and (not signature.startswith(_SIGNED_HERE) or signature == sign(str(thinking["thinking"])))


def _order_faults(messages: Sequence[_Json], model: str) -> Iterator[Refusal]:
    roles = [str(message["role"]) for message in messages]
    if roles[0] == "system":
        yield refusal(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" '
            "as an input message role."
        )
    if "system" in roles and _BEFORE_SYSTEM_MESSAGES.match(model):
        yield refusal("role 'system' is not supported on this model")
    for place, role in enumerate(roles):
        if role == "system" and "user" in roles[place + 1 : place + 2]:
            yield refusal(f"messages.{place}: role 'system' must precede an 'assistant' message or end the array")
    if roles[0] == "assistant":
        yield refusal('messages: first message must use the "user" role')
    text = _last_text(messages[-1])
    if roles[-1] == "assistant" and text != text.rstrip():
        yield refusal("messages: final assistant content cannot end with trailing whitespace")


def _last_text(message: _Json) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    assert isinstance(content, list), content
    return str(content[-1].get("text", "")) if content else ""


# -- calls and results ------------------------------------------------------------------------------------------------
def _pairing_faults(messages: Sequence[_Json]) -> Iterator[Refusal]:
    """Hold each call to the results that follow it: the rule that an interrupted turn breaks for good."""
    known, open_calls = set[str](), dict[str, _Block]()
    for turn in _turns(messages):
        results = [block for blocks in turn for block in blocks if block.value.get("type") == "tool_result"]
        first = [b for blocks in turn for b in takewhile(lambda b: b.value.get("type") == "tool_result", blocks)]
        yield from _unanswered(open_calls, first)
        yield from _result_faults(open_calls, results)
        open_calls = {}
        for block in (b for blocks in turn for b in blocks if b.value.get("type") == "tool_use"):
            call = str(block.value["id"])
            if call in known:
                yield refusal(f"{block.where}: `tool_use` ids must be unique")
            known.add(call)
            open_calls[call] = block
    yield from _unanswered(open_calls, [])


def _turns(messages: Sequence[_Json]) -> Iterator[list[list[_Block]]]:
    """Yield the blocks of each turn, by message; what the system says in between belongs to no turn."""
    turn, speaker = list[list[_Block]](), None
    for place, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if turn and message["role"] != speaker:
            yield turn
            turn = []
        speaker = message["role"]
        content = message["content"]
        assert isinstance(content, str | list), content
        turn.append([b for b in _listed(place, content) if isinstance(b, _Block)])
    yield turn


def _unanswered(calls: Mapping[str, _Block], results: Sequence[_Block]) -> Iterator[Refusal]:
    answered = {str(result.value["tool_use_id"]) for result in results}
    missing = [call for call in calls if call not in answered]
    if missing:
        yield refusal(
            f"messages.{calls[missing[0]].message}: `tool_use` ids were found without `tool_result` blocks immediately "
            f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
            "next message."
        )


def _result_faults(calls: Mapping[str, _Block], results: Sequence[_Block]) -> Iterator[Refusal]:
    seen = set[str]()
    for result in results:
        call = str(result.value["tool_use_id"])
        if call not in calls:
            yield refusal(
                f"{result.where}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each `tool_result` "
                "block must have a corresponding `tool_use` block in the previous message."
            )
        if call in seen:
            yield refusal(
                f"{result.where}: each tool_use must have a single result. Found multiple `tool_result` blocks with "
                f"id: {call}"
            )
        seen.add(call)


# -- understanding ----------------------------------------------------------------------------------------------------
def _understand(body: _Json) -> CompletionRequest:
    messages = body["messages"]
    assert isinstance(messages, list), messages
    system = (Message(role="system", text=_text(body["system"])),) if body.get("system") else ()
    return CompletionRequest(
        model=str(body["model"]),
        stream=body.get("stream") is True,
        body=body,
        messages=(*system, *map(_neutral, messages)),
    )


def _neutral(message: _Json) -> Message:
    content = message["content"]
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    calls = tuple(
        CallSent(str(b["id"]), str(b["name"]), write_json(b["input"]).decode())
        for b in blocks
        if b.get("type") == "tool_use"
    )
    results = tuple(
        ResultSent(str(b["tool_use_id"]), _text(b.get("content"))) for b in blocks if b.get("type") == "tool_result"
    )
    role = "tool" if results else str(message["role"])
    return Message(role=role, text=_text(content), calls=calls, results=results)


def _text(content: object) -> str:
    """Return the text of a string or of the text blocks in a list."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    return "".join(str(b.get("text", "")) for b in content if isinstance(b, dict) and b.get("type") == "text")

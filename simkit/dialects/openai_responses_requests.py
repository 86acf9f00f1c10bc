"""Requests to the Responses API: what it refuses before a model sees anything, and what the rest say.

The idea: parameters first, then each input item by itself, then whether calls and results pair; the first fault is the
answer, in the sentences of the real API. The constraint: what the real API takes is never refused here, since a false
refusal would fail a correct agent. So nothing is asked about models, unknown parameters pass, the JSON of arguments is
not read (agents send a cut call back with an error as its result, and the API takes it), and a reasoning item may stand
alone (the API's own check of that is not the same for every model). Validating with the SDK's request types was
refused: they accept orphan results, the mistake that interrupted agents make.

Pairing is judged only where the whole history is in the request. It is not, and calls may be known to the API alone,
with ``previous_response_id`` or ``conversation``, with a reference to a stored item, and after a compaction.

``background`` with ``store: false`` is refused, as the guide to background mode says ("stateless requests are
rejected"); the sentence of that 400 is not quoted anywhere, so its wording is simkit's own.

The history in neutral words: a call joins the assistant's message before it, each result is a message of its own, and
what belongs to neither (reasoning, hosted tools) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from simkit.contracts import CallSent, CompletionRequest, HttpRequest, Message, Refusal, ResultSent
from simkit.dialects.jsontext import read_json, write_json
from simkit.dialects.openai_errors import key_refusal, refusal
from simkit.dialects.openai_refusals import missing, out_of_range, too_long, unknown, wrong_type

_Json = Mapping[str, object]

ROLES: Final = ("assistant", "system", "developer", "user")
ITEM_TYPES: Final = (
    *("message", "function_call", "function_call_output", "reasoning", "item_reference", "custom_tool_call"),
    *("custom_tool_call_output", "compaction", "compaction_trigger", "file_search_call", "web_search_call"),
    *("computer_call", "computer_call_output", "image_generation_call", "code_interpreter_call"),
    *("local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output"),
    *("apply_patch_call", "apply_patch_call_output", "mcp_list_tools", "mcp_approval_request"),
    *("mcp_approval_response", "mcp_call", "tool_search_call", "tool_search_output", "additional_tools"),
    *("configuration_update", "program", "program_output"),
)
PART_TYPES: Final = (
    *("input_text", "input_image", "output_text", "refusal", "input_file", "input_audio"),
    *("computer_screenshot", "summary_text", "reasoning_text"),
)
# What an item of each type cannot do without.
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("output",),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
    "reasoning": ("summary",),
    "item_reference": ("id",),
}
# How the ids begin that the API gave to its own items, and takes back.
_PREFIXES: Final[Mapping[str, str]] = {"message": "msg", "function_call": "fc", "reasoning": "rs"}
_ID_LENGTH_MAX: Final = 64
_OUTPUT_TOKENS_MIN: Final = 16
# Parameters of Chat Completions, and where they are to be found here.
_MOVED: Final[Mapping[str, str]] = {
    "messages": "input",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
}
# Where a part of the history stands that is not in the request.
_ELSEWHERE: Final = ("previous_response_id", "conversation")
_REFERENCES: Final = ("item_reference", "compaction")
_NO_INPUT: Final = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."


class _Pair(NamedTuple):
    """A kind of call, the kind of its result, and what the API calls it."""

    call: str
    result: str
    name: str


_PAIRS: Final = (
    _Pair("function_call", "function_call_output", "function call"),
    _Pair("custom_tool_call", "custom_tool_call_output", "custom tool call"),
)
_CALLS: Final = tuple(pair.call for pair in _PAIRS)
_RESULTS: Final = tuple(pair.result for pair in _PAIRS)


def read_request(request: HttpRequest) -> CompletionRequest | Refusal:
    """Understand a request, or refuse it as the API does."""
    try:
        body = read_json(request.body)
    except ValueError:
        return key_refusal(request) or refusal("The JSON body of the request could not be parsed.")
    if not isinstance(body, dict):
        return key_refusal(request) or refusal("The JSON body of the request is not an object.")
    return key_refusal(request) or next(_faults(body), None) or _understand(body)


def _understand(body: _Json) -> CompletionRequest:
    return CompletionRequest(
        # A stored prompt may name the model by itself.
        model=str(body.get("model") or ""),
        stream=body.get("stream") is True,
        body=body,
        background=body.get("background") is True,
        messages=tuple(_history(body)),
    )


# -- refusals ---------------------------------------------------------------------------------------
def _faults(body: _Json) -> Iterator[Refusal]:
    """Yield what is wrong. Only the first counts: what comes after it may build on what is not there."""
    for old, new in _MOVED.items():
        if old in body:
            yield _moved(old, new)
    yield from _parameter_faults(body)
    given = body.get("input")
    if given is None and all(body.get(key) is None for key in ("prompt", *_ELSEWHERE)):
        yield refusal(_NO_INPUT, "input", "missing_required_parameter")
    if not isinstance(given, str | list | None):
        yield wrong_type("input", "one of a string or array of input items", given)
    items = given if isinstance(given, list) else []
    for place, item in enumerate(items):
        yield from _item_faults(f"input[{place}]", item)
    yield from _duplicates(items)
    if not _is_partial(body, items):
        yield from _pairing_faults(items)


def _parameter_faults(body: _Json) -> Iterator[Refusal]:
    model = body.get("model")
    if model is None and body.get("prompt") is None:
        yield missing("model")
    if not isinstance(model, str | None):
        yield wrong_type("model", "a string", model)
    for name in ("stream", "background", "store", "parallel_tool_calls"):
        if not isinstance(body.get(name), bool | None):
            yield wrong_type(name, "a boolean", body[name])
    if not isinstance(body.get("instructions"), str | None):
        yield wrong_type("instructions", "a string", body["instructions"])
    if body.get("background") is True and body.get("store") is False:
        yield refusal("Background mode requires 'store' to be true.", "store")
    limit = body.get("max_output_tokens")
    if isinstance(limit, int):
        yield from filter(None, [out_of_range("max_output_tokens", "integer", limit, _OUTPUT_TOKENS_MIN, None)])
    yield from _tool_faults(body.get("tools"))


def _tool_faults(tools: object) -> Iterator[Refusal]:
    if not isinstance(tools, list | None):
        yield wrong_type("tools", "an array of objects", tools)
        return
    for place, tool in enumerate(tools or ()):
        if not isinstance(tool, dict):
            yield wrong_type(f"tools[{place}]", "an object", tool)
        elif tool.get("type") is None:
            yield missing(f"tools[{place}].type")
        # The tools of Chat Completions have their name one level deeper, which is the usual way to get here.
        elif tool["type"] == "function" and tool.get("name") is None:
            yield missing(f"tools[{place}].name")


def _item_faults(where: str, item: object) -> Iterator[Refusal]:
    if not isinstance(item, dict):
        yield wrong_type(where, "an object", item)
        return
    kind = _kind(item)
    if kind is None:
        yield missing(f"{where}.type")
    if kind not in ITEM_TYPES:
        yield unknown(where, kind, ITEM_TYPES)
    for key in _NEEDS.get(str(kind), ()):
        if key not in item:
            yield missing(f"{where}.{key}")
    if kind == "message":
        yield from _message_faults(where, item)
    if kind == "function_call" and not isinstance(item["arguments"], str):
        yield wrong_type(f"{where}.arguments", "a string", item["arguments"])
    if kind == "function_call_output" and not isinstance(item["output"], str | list):
        yield wrong_type(f"{where}.output", "one of an array of objects or string", item["output"])
    yield from _id_faults(where, str(kind), item)


def _message_faults(where: str, item: _Json) -> Iterator[Refusal]:
    if item["role"] not in ROLES:
        yield unknown(where, item["role"], ROLES)
    if "tool_calls" in item:
        yield refusal(f"Unknown parameter: '{where}.tool_calls'.", f"{where}.tool_calls", "unknown_parameter")
    content = item["content"]
    if not isinstance(content, str | list):
        yield wrong_type(f"{where}.content", "one of an array of objects or string", content)
        return
    for place, part in enumerate(content if isinstance(content, list) else ()):
        here = f"{where}.content[{place}]"
        if not isinstance(part, dict):
            yield wrong_type(here, "an object", part)
        elif part.get("type") is None:
            yield missing(f"{here}.type")
        elif part["type"] not in PART_TYPES:
            yield unknown(here, part["type"], PART_TYPES)


def _id_faults(where: str, kind: str, item: _Json) -> Iterator[Refusal]:
    for key in ("id", "call_id"):
        value = item.get(key)
        if isinstance(value, str) and len(value) > _ID_LENGTH_MAX and kind in (*_CALLS, *_RESULTS):
            yield too_long(f"{where}.{key}", value, _ID_LENGTH_MAX)
    begins, own = _PREFIXES.get(kind), item.get("id")
    # Of messages only the model's have ids of the API.
    named = kind != "message" or item.get("role") == "assistant"
    if begins and named and isinstance(own, str) and not own.startswith(begins):
        text = f"Invalid '{where}.id': {own!r}. Expected an ID that begins with {begins!r}."
        yield refusal(text, f"{where}.id", "invalid_value")


def _duplicates(items: Sequence[_Json]) -> Iterator[Refusal]:
    seen = set[str]()
    for own in (item.get("id") for item in items):
        if not isinstance(own, str):
            continue
        if own in seen:
            text = f"Duplicate item found with id {own}. Remove duplicate items from your input and try again."
            yield refusal(text, "input")
        seen.add(own)


def _pairing_faults(items: Sequence[_Json]) -> Iterator[Refusal]:
    """Hold every result to a call and every call to a result, wherever in the input they stand."""
    for pair in _PAIRS:
        calls, results = _call_ids(items, pair.call), _call_ids(items, pair.result)
        for one in results:
            if one not in calls:
                yield refusal(f"No tool call found for {pair.name} output with call_id {one}.", "input")
        for one in calls:
            if one not in results:
                yield refusal(f"No tool output found for {pair.name} {one}.", "input")


def _call_ids(items: Sequence[_Json], kind: str) -> list[str]:
    ids = (item.get("call_id") for item in items if _kind(item) == kind)
    return [one for one in ids if isinstance(one, str)]


def _is_partial(body: _Json, items: Sequence[_Json]) -> bool:
    elsewhere = any(body.get(key) is not None for key in _ELSEWHERE)
    return elsewhere or any(_kind(item) in _REFERENCES for item in items)


def _kind(item: _Json) -> object:
    """Return the type of an item, which two of them may leave out."""
    if item.get("type") is not None:
        return item["type"]
    if "role" in item or "content" in item:
        return "message"
    return "item_reference" if "id" in item else None


def _moved(old: str, new: str) -> Refusal:
    text = (
        f"Unsupported parameter: '{old}'. In the Responses API, this parameter has moved to '{new}'. Try again with "
        "the new parameter. See the API documentation for more information: "
        "https://platform.openai.com/docs/api-reference/responses/create."
    )
    return refusal(text, code="unsupported_parameter")


# -- the history ------------------------------------------------------------------------------------
def _history(body: _Json) -> Iterator[Message]:
    if body.get("instructions"):
        yield Message(role="system", text=str(body["instructions"]))
    given = body.get("input")
    if isinstance(given, str):
        yield Message(role="user", text=given)
    last: Message | None = None
    for message in map(_message, given if isinstance(given, list) else ()):
        if message is None:
            continue
        joins = last is not None and last.role == "assistant" and bool(message.calls)
        if last is not None and not joins:
            yield last
        last = _joined(last, message) if last is not None and joins else message
    if last is not None:
        yield last


def _joined(before: Message, after: Message) -> Message:
    return Message(role=before.role, text=before.text, calls=before.calls + after.calls)


def _message(item: _Json) -> Message | None:
    kind, call_id = _kind(item), str(item.get("call_id") or "")
    if kind == "message":
        role = "system" if item["role"] == "developer" else str(item["role"])
        return Message(role=role, text=_text(item["content"]))
    if kind in _CALLS:
        args = item["arguments"] if kind == "function_call" else write_json(item["input"]).decode()
        return Message(role="assistant", calls=(CallSent(call_id, str(item["name"]), str(args)),))
    if kind in _RESULTS:
        return Message(role="tool", results=(ResultSent(call_id, _text(item["output"])),))
    return None


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in parts)

"""Gemini requests: which model and form they ask for, what the API refuses, and what their history says.

The idea: the model and the form of the answer stand in the target, everything else in the body, whose contents are
turns of ``user`` and ``model``. The constraint: what the real API takes is never refused here, because a false refusal
would fail a correct agent; so only what public issues quote is refused, names are taken in both spellings that its JSON
reader knows (``systemInstruction``, ``system_instruction``), one value is taken where a list is meant, and contents of
one role that follow each other are one turn: the official SDK's chat sends each chunk of a stream back as a content
of its own. Validating with the SDK's types was refused: they know nothing of turns.

============================================================  ================================================
refused                                                       seen in
============================================================  ================================================
no key and no token                                           google-gemini/deprecated-generative-ai-python#463
a top-level name that the API does not have                   sourcegraph/cody#4566
no contents                                                   ikechan8370/chatgpt-plugin#733
a content without parts, a part without anything              vercel/ai#3775, boldsoftware/sketch#68
a call that comes first                                       google-gemini/gemini-cli#11814
results that follow no call                                   langchain-ai/langchain#27799
not as many results as calls                                  microsoft/vscode#299295
============================================================  ================================================

The known top-level names are those that google-genai 3.4.0 sends (``models.py``, the converters of the parameters, for
both of its hosts). Of roles only ``system`` and ``assistant``, which belong to other wires, are refused. Every key is
taken as valid.

A call or result without an id gets one in the neutral ``messages``: calls are counted through the history, a result
belongs to the first call of its name that has none, else to the first that has none, as the API itself pairs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from urllib.parse import unquote

from simkit.contracts import CallSent, CompletionRequest, HttpRequest, Message, Refusal, ResultSent
from simkit.dialects.gemini_errors import ApiError, invalid, unreadable
from simkit.dialects.jsontext import read_json, write_json

# The form of a streamed answer, as it stands in ``CompletionRequest.detail``.
SSE: Final = "sse"
ARRAY: Final = "array"
_ENDPOINT: Final = re.compile(r"/(?:models|tunedModels|endpoints)/([^/:]+):(generateContent|streamGenerateContent)$")
_KNOWN: Final = frozenset(
    {
        "model",
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "safetySettings",
        "generationConfig",
        "cachedContent",
        "labels",
        "serviceTier",
        "store",
        "modelArmorConfig",
    }
)
_FOREIGN_ROLES: Final = ("system", "assistant")
_CREDENTIALS: Final = ("x-goog-api-key", "authorization")
_QUERY_CREDENTIALS: Final = ("key", "access_token")
# What a tool's text is wrapped in: the SDK's own function calling says result and error, its types say output.
_WRAPPERS: Final = ("result", "output", "error")
_NO_KEY: Final = ApiError(
    403,
    "PERMISSION_DENIED",
    "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
    "form of API consumer identity to call this API.",
)
_UNKNOWN: Final = 'Invalid JSON payload received. Unknown name "{}": Cannot find field.'
_NOT_FIRST: Final = (
    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
)
_NOT_AFTER_A_CALL: Final = "Please ensure that function response turn comes immediately after a function call turn."
_NOT_AS_MANY: Final = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)

Value = Mapping[str, object]


class Turn(NamedTuple):
    """Contents of one role that follow each other: whether the model's, how many calls, how many results."""

    is_model: bool
    calls: int
    results: int


def is_endpoint(path: str) -> bool:
    """Say whether this path asks for content."""
    return _ENDPOINT.search(unquote(path)) is not None


def read_request(request: HttpRequest) -> CompletionRequest | Refusal:
    """Understand a request to an endpoint, or refuse it as the API does."""
    found = _ENDPOINT.search(unquote(request.path))
    assert found is not None, request.path
    streamed = found[2] == "streamGenerateContent"
    detail = (SSE if _wants_sse(request) else ARRAY) if streamed else ""
    body = _parsed(request.body)
    fault = next(_faults(request, body), None)
    if fault is not None:
        return Refusal(status=fault.code, text=fault.message, body=fault.body(listed=detail == ARRAY))
    assert isinstance(body, dict)
    return CompletionRequest(
        model=found[1],
        stream=streamed,
        body=body,
        # Every answer of this API counts.
        include_usage=True,
        messages=tuple(_messages(body)),
        detail=detail,
    )


def _wants_sse(request: HttpRequest) -> bool:
    return any(name in ("alt", "$alt") and value == "sse" for name, value in request.query)


def _parsed(body: bytes) -> object:
    """Return the value of a body, which is an empty message where there is none; an error where it is no JSON."""
    try:
        return read_json(body) if body.strip() else {}
    except ValueError:
        return unreadable("Invalid JSON payload received. Unexpected token.")


# -- what is refused --------------------------------------------------------------------------------------------
def _faults(request: HttpRequest, body: object) -> Iterator[ApiError]:
    """Yield what is wrong. Only the first counts: what comes after it may build on what is not there."""
    if not _is_identified(request):
        yield _NO_KEY
    if isinstance(body, ApiError):
        yield body
    if not isinstance(body, dict):
        yield unreadable('Invalid JSON payload received. Unknown name "": Root element must be a message.')
        return
    unknown = [name for name in body if _camel(name) not in _KNOWN]
    if unknown:
        yield unreadable(*map(_UNKNOWN.format, unknown))
    contents = _listed(_get(body, "contents"))
    if not contents:
        yield invalid("* GenerateContentRequest.contents: contents is not specified\n")
    for place, content in enumerate(contents):
        yield from _content_faults(f"contents[{place}]", content)
    yield from _turn_faults(list(_turns(contents)))


def _is_identified(request: HttpRequest) -> bool:
    asked = any(name in _QUERY_CREDENTIALS and value for name, value in request.query)
    return asked or any(request.header(name) for name in _CREDENTIALS)


def _content_faults(where: str, content: object) -> Iterator[ApiError]:
    if not isinstance(content, dict):
        yield _wrong_value(where, "Content", content)
        return
    if content.get("role") in _FOREIGN_ROLES:
        yield invalid("Please use a valid role: user, model.")
    parts = _listed(_get(content, "parts"))
    if not parts:
        yield invalid(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.\n")
    for place, part in enumerate(parts):
        if not isinstance(part, dict):
            yield _wrong_value(f"{where}.parts[{place}]", "Part", part)
        elif not part:
            lack = "required oneof field 'data' must have one initialized field"
            yield invalid(f"* GenerateContentRequest.{where}.parts[{place}].data: {lack}\n")


def _wrong_value(where: str, kind: str, value: object) -> ApiError:
    full = f"type.googleapis.com/google.ai.generativelanguage.v1beta.{kind}"
    return unreadable(f"Invalid value at '{where}' ({full}), {write_json(value).decode()}", field=where)


def _turn_faults(turns: Sequence[Turn]) -> Iterator[ApiError]:
    """Hold each turn of calls to the turn that follows it: the rule that an interrupted agent breaks for good."""
    if turns[0].calls:
        yield invalid(_NOT_FIRST)
    for before, turn in pairwise([Turn(True, 0, 0), *turns]):
        if turn.results and not before.calls:
            yield invalid(_NOT_AFTER_A_CALL)
        if turn.results != before.calls and not turn.is_model:
            yield invalid(_NOT_AS_MANY)


def _turns(contents: Sequence[object]) -> Iterator[Turn]:
    turn: Turn | None = None
    for content in map(_object, contents):
        now = Turn(_is_model(content), len(_all(content, "functionCall")), len(_all(content, "functionResponse")))
        if turn is not None and turn.is_model == now.is_model:
            now = Turn(now.is_model, turn.calls + now.calls, turn.results + now.results)
        elif turn is not None:
            yield turn
        turn = now
    if turn is not None:
        yield turn


# -- what the history says --------------------------------------------------------------------------------------
def _messages(body: Value) -> Iterator[Message]:
    """Yield the history in neutral words; contents of the model that follow each other are one message."""
    system = _get(body, "systemInstruction")
    if system is not None:
        yield Message(role="system", text=_text(_object(system)))
    spoken: Message | None = None
    waiting: list[CallSent] = []
    count = 0
    for content in map(_object, _listed(_get(body, "contents"))):
        if _is_model(content):
            calls = _calls(content, count)
            count += len(calls)
            waiting = [*waiting, *calls] if spoken else [*calls]
            before = spoken or Message(role="assistant")
            spoken = Message(role="assistant", text=before.text + _text(content), calls=(*before.calls, *calls))
            continue
        if spoken is not None:
            yield spoken
            spoken = None
        yield from _from_user(content, waiting)
    if spoken is not None:
        yield spoken


def _calls(content: Value, count: int) -> list[CallSent]:
    found = enumerate(_all(content, "functionCall"), start=count)
    return [CallSent(_id(call) or f"call_{n}", _name(call), _json_text(call.get("args") or {})) for n, call in found]


def _from_user(content: Value, waiting: list[CallSent]) -> Iterator[Message]:
    results = tuple(_result(one, waiting) for one in _all(content, "functionResponse"))
    text = _text(content)
    if results:
        yield Message(role="tool", results=results)
    if text or not results:
        yield Message(role="user", text=text)


def _result(response: Value, waiting: list[CallSent]) -> ResultSent:
    """Return the result with the id of its call, which waits no longer."""
    given, name = _id(response), _name(response)
    by_id = [call for call in waiting if call.id == given]
    by_name = [call for call in waiting if call.tool == name]
    found = next(iter(by_id if given else by_name or waiting), None)
    if found is not None:
        waiting.remove(found)
    return ResultSent(given or (found.id if found else ""), _result_text(response.get("response")))


def _result_text(response: object) -> str:
    """Return the text of a result that is wrapped alone, else its JSON text."""
    if isinstance(response, dict) and len(response) == 1:
        (key, value), *_ = response.items()
        if key in _WRAPPERS and isinstance(value, str):
            return value
    return _json_text({} if response is None else response)


# -- small things -----------------------------------------------------------------------------------------------
def _is_model(content: Value) -> bool:
    return content.get("role") == "model"


def _text(content: Value) -> str:
    """Return the visible text: what the model only thought is sent back too, but it is no part of what was said."""
    parts = map(_object, _listed(_get(content, "parts")))
    return "".join(str(part["text"]) for part in parts if isinstance(part.get("text"), str) and not part.get("thought"))


def _all(content: Value, name: str) -> list[Value]:
    found = (_get(_object(part), name) for part in _listed(_get(content, "parts")))
    return [value for value in found if isinstance(value, dict)]


def _id(call: Value) -> str:
    return str(call.get("id") or "")


def _name(call: Value) -> str:
    return str(call.get("name") or "")


def _json_text(value: object) -> str:
    return write_json(value).decode()


def _object(value: object) -> Value:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[object]:
    """Return a list as it is, nothing as an empty one, and one value as a list of it."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _get(value: Value, name: str) -> object:
    """Return a field under either of its spellings."""
    return value.get(name, value.get(_snake(name)))


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)

"""Chat completion requests: what the API refuses before a model sees anything.

The idea: the parameters are checked first, then each message by itself, and then whether calls and results
pair; the first fault is the answer, as a 400 with the type, param and code of the real API (its own spelling
of a param is kept: ``messages[1].role`` from its schema, ``messages.[1].role`` from its checks of pairing).
The constraint: what the real API takes is never refused here, because a false refusal would fail a correct
agent; so unknown parameters pass, and nothing is asked about models or tools. Validating with the SDK's own
request types was refused: they accept orphan tool results, which is the mistake that interrupted agents
really make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simkit.contracts import CompletionRequest, Refusal
from simkit.dialects.jsontext import read_json
from simkit.dialects.openai_errors import refusal

_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
# An assistant's message needs no text where it holds one of these.
_INSTEAD_OF_CONTENT: Final = ("tool_calls", "function_call", "refusal", "audio")


def read_request(body: bytes) -> CompletionRequest | Refusal:
    """Understand a request body, or refuse it as the API does."""
    try:
        request = read_json(body)
    except ValueError:
        return refusal("The JSON body of the request could not be parsed.")
    if not isinstance(request, dict):
        return refusal("The JSON body of the request is not an object.")
    return next(_faults(request), None) or _understand(request)


def _understand(request: Mapping[str, object]) -> CompletionRequest:
    options = request.get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True
    streamed = request.get("stream") is True
    return CompletionRequest(
        model=str(request["model"]), stream=streamed, body=request, include_usage=asked and streamed
    )


def _faults(request: Mapping[str, object]) -> Iterator[Refusal]:
    """Yield what is wrong. Only the first counts: what comes after it may build on what is not there."""
    model, messages, stream = request.get("model"), request.get("messages"), request.get("stream")
    if not isinstance(model, str) or not model:
        yield refusal("you must provide a model parameter")
    if stream not in (None, True, False):
        yield _wrong_type("stream", "a boolean")
    if stream is not True and request.get("stream_options") is not None:
        yield refusal("'stream_options' is only allowed when 'stream' is enabled.", "stream_options")
    if messages is None:
        yield _missing("messages")
    if not isinstance(messages, list):
        yield _wrong_type("messages", "an array of objects")
        return
    if not messages:
        yield _empty("messages", "array")
    for place, message in enumerate(messages):
        yield from _message_faults(f"messages[{place}]", place, message)
    yield from _pairing_faults(messages)


def _message_faults(where: str, place: int, message: object) -> Iterator[Refusal]:
    if not isinstance(message, dict):
        yield _wrong_type(where, "an object")
        return
    role = message.get("role")
    if role is None:
        yield _missing(f"{where}.role")
    if role not in _ROLES:
        yield _unknown(f"{where}.role", role, _ROLES)
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield _missing(f"{where}.tool_call_id")
    needless = role == "assistant" and any(message.get(key) is not None for key in _INSTEAD_OF_CONTENT)
    content = message.get("content")
    if not (isinstance(content, str | list) or (content is None and needless)):
        got = "null" if content is None else type(content).__name__
        text = f"Invalid value for 'content': expected a string, got {got}."
        yield refusal(text, f"messages.[{place}].content")
    if message.get("tool_calls") is not None:
        yield from _calls_faults(f"{where}.tool_calls", message["tool_calls"])


def _calls_faults(where: str, calls: object) -> Iterator[Refusal]:
    if not isinstance(calls, list):
        yield _wrong_type(where, "an array of objects")
        return
    if not calls:
        yield _empty(where, "array")
    for place, call in enumerate(calls):
        yield from _call_faults(f"{where}[{place}]", call)


def _call_faults(where: str, call: object) -> Iterator[Refusal]:
    if not isinstance(call, dict):
        yield _wrong_type(where, "an object")
        return
    if not isinstance(call.get("id"), str):
        yield _missing(f"{where}.id")
    if call.get("type") == "custom":  # its input is free text
        return
    if call.get("type") != "function":
        yield _missing(f"{where}.type")
    function = call.get("function")
    if not isinstance(function, dict):
        yield _missing(f"{where}.function")
        return
    if not isinstance(function.get("name"), str):
        yield _missing(f"{where}.function.name")
    if function.get("name") == "":
        yield _empty(f"{where}.function.name", "string")
    yield from _arguments_faults(f"{where}.function.arguments", function.get("arguments"))


def _arguments_faults(where: str, arguments: object) -> Iterator[Refusal]:
    if arguments is None:
        yield _missing(where)
    if not isinstance(arguments, str):
        yield _wrong_type(where, "a string")
        return
    try:
        read_json(arguments)
    except ValueError:
        yield refusal(f"Invalid {where!r}: expected JSON text.", where, "invalid_value")


def _pairing_faults(messages: list[dict[str, object]]) -> Iterator[Refusal]:
    """Hold each call to the results that follow it: the rule that an interrupted turn breaks for good."""
    open_ids, waiting = dict[str, None](), dict[str, None]()
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            yield from _result_faults(place, str(message["tool_call_id"]), open_ids)
            waiting.pop(str(message["tool_call_id"]), None)
            continue
        yield from _unanswered(place, waiting)
        calls = message.get("tool_calls") or []
        assert isinstance(calls, list), calls
        open_ids = {call["id"]: None for call in calls}
        waiting = dict(open_ids)
    yield from _unanswered(len(messages), waiting)


def _result_faults(place: int, call: str, known: Mapping[str, None]) -> Iterator[Refusal]:
    if not known:
        yield refusal(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'.",
            f"messages.[{place}].role",
        )
    if call not in known:
        yield refusal(
            f"Invalid parameter: 'tool_call_id' of {call!r} not found in 'tool_calls' of previous message.",
            f"messages.[{place}].tool_call_id",
        )


def _unanswered(place: int, waiting: Mapping[str, None]) -> Iterator[Refusal]:
    if waiting:
        yield refusal(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: " + ", ".join(waiting),
            f"messages.[{place}].role",
        )


def _missing(where: str) -> Refusal:
    return refusal(f"Missing required parameter: {where!r}.", where, "missing_required_parameter")


def _wrong_type(where: str, expected: str) -> Refusal:
    return refusal(f"Invalid type for {where!r}: expected {expected}.", where, "invalid_type")


def _unknown(where: str, value: object, known: Sequence[str]) -> Refusal:
    text = f"Invalid value: {value!r}. Supported values are: {', '.join(map(repr, known))}."
    return refusal(text, where, "invalid_value")


def _empty(where: str, what: str) -> Refusal:
    return refusal(f"Invalid {where!r}: empty {what}.", where, f"empty_{what}")

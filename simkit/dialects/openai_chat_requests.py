"""Chat completion requests: what the API refuses before a model sees anything, and what the rest of it says.

The idea: the key and the parameters are checked first, then each message by itself, and then whether calls and
results pair; the first fault is the answer, with the type, param and code of the real API (its own spelling of a
param is kept: ``messages[1].role`` from its schema, ``messages.[1].role`` from its checks of pairing). The
constraint: what the real API takes is never refused here, because a false refusal would fail a correct agent; so
unknown parameters pass, and nothing is asked about models. Validating with the SDK's own request types was refused:
they accept orphan tool results, which is the mistake that interrupted agents really make.

How the history is told in words of no wire: ``developer`` is ``system``, ``tool`` and the old ``function`` are
``tool``, content parts are the text in them joined, what a model declined with is its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simkit.contracts import CallSent, CompletionRequest, HttpRequest, Message, Refusal, ResultSent
from simkit.dialects.jsontext import read_json, write_json
from simkit.dialects.openai_chat_parameters import name_faults, parameter_faults
from simkit.dialects.openai_errors import key_refusal, refusal
from simkit.dialects.openai_refusals import empty_array, missing, unknown, wrong_type

# Each role of this wire, and the neutral one.
_ROLES: Final = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_PARTS: Final = ("text", "image_url", "input_audio", "refusal", "audio", "file")
# An assistant's message needs no text where it holds one of these.
_INSTEAD_OF_CONTENT: Final = ("tool_calls", "function_call", "refusal", "audio")
_NO_JSON: Final = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


def read_request(request: HttpRequest) -> CompletionRequest | Refusal:
    """Understand a request, or refuse it as the API does."""
    refused = key_refusal(request)
    if refused is not None:
        return refused
    try:
        body = read_json(request.body)
    except ValueError:
        return refusal(_NO_JSON)
    if not isinstance(body, dict):
        return refusal("The JSON body of the request is not an object.")
    return next(_faults(body), None) or _understand(body)


# -- what it says -------------------------------------------------------------------------------------------------
def _understand(body: Mapping[str, object]) -> CompletionRequest:
    options, messages = body.get("stream_options"), body["messages"]
    asked = isinstance(options, dict) and options.get("include_usage") is True
    streamed = body.get("stream") is True
    assert isinstance(messages, list), messages
    return CompletionRequest(
        model=str(body["model"]),
        stream=streamed,
        body=body,
        include_usage=asked and streamed,
        messages=tuple(map(_message, messages)),
    )


def _message(message: Mapping[str, object]) -> Message:
    role, text = _ROLES[str(message["role"])], _text(message.get("content"))
    if role == "tool":
        call = message.get("tool_call_id") or message.get("name")
        return Message(role=role, results=(ResultSent(str(call), text),))
    return Message(role=role, text=text + str(message.get("refusal") or ""), calls=tuple(_calls(message)))


def _text(content: object) -> str:
    """Return the text of content; of parts, what they say or decline with, since a picture has none."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or part.get("refusal") or "") for part in content)
    return content if isinstance(content, str) else ""


def _calls(message: Mapping[str, object]) -> Iterator[CallSent]:
    calls, old = message.get("tool_calls") or [], message.get("function_call")
    assert isinstance(calls, list), calls
    for call in calls:
        if call["type"] == "custom":
            custom = call.get("custom") or {}
            # The input is free text; the neutral arguments are JSON.
            yield CallSent(call["id"], str(custom.get("name")), write_json(custom.get("input")).decode())
        else:
            yield CallSent(call["id"], call["function"]["name"], call["function"]["arguments"])
    if isinstance(old, dict):
        yield CallSent("", str(old.get("name")), str(old.get("arguments")))


# -- what is wrong with it ----------------------------------------------------------------------------------------
def _faults(body: Mapping[str, object]) -> Iterator[Refusal]:
    """Yield what is wrong. Only the first counts: what comes after it may build on what is not there."""
    model, messages = body.get("model"), body.get("messages")
    if model is None or model == "":
        yield refusal("you must provide a model parameter")
    if not isinstance(model, str):
        yield wrong_type("model", "a string", model)
    if messages is None:
        yield missing("messages")
    if not isinstance(messages, list):
        yield wrong_type("messages", "an array of objects", messages)
        return
    yield from parameter_faults(body)
    if not messages:
        yield empty_array("messages")
    for place, message in enumerate(messages):
        yield from _message_faults(f"messages[{place}]", place, message)
    yield from _pairing_faults(messages)


def _message_faults(where: str, place: int, message: object) -> Iterator[Refusal]:
    if not isinstance(message, dict):
        yield wrong_type(where, "an object", message)
        return
    role = message.get("role")
    if role is None:
        yield missing(f"{where}.role")
    if not isinstance(role, str):
        yield wrong_type(f"{where}.role", "a string", role)
        return
    if role not in _ROLES:
        yield unknown(f"{where}.role", role, tuple(_ROLES))
    if role == "tool" and message.get("tool_call_id") is None:
        yield missing(f"{where}.tool_call_id")
    if role == "tool" and not isinstance(message["tool_call_id"], str):
        yield wrong_type(f"{where}.tool_call_id", "a string", message["tool_call_id"])
    needless = role == "assistant" and any(message.get(key) is not None for key in _INSTEAD_OF_CONTENT)
    yield from _content_faults(where, place, message.get("content"), needless=needless)
    if message.get("tool_calls") is not None:
        yield from _calls_faults(f"{where}.tool_calls", message["tool_calls"])


def _content_faults(where: str, place: int, content: object, *, needless: bool) -> Iterator[Refusal]:
    if content is None:
        if not needless:
            text = "Invalid value for 'content': expected a string, got null."
            yield refusal(text, f"messages.[{place}].content")
    elif isinstance(content, list):
        for number, part in enumerate(content):
            yield from _part_faults(f"{where}.content[{number}]", part)
    elif not isinstance(content, str):
        yield wrong_type(f"{where}.content", "one of a string or array of objects", content)


def _part_faults(where: str, part: object) -> Iterator[Refusal]:
    if not isinstance(part, dict):
        yield wrong_type(where, "an object", part)
        return
    kind = part.get("type")
    if kind is None:
        yield missing(f"{where}.type")
    if kind not in _PARTS:
        yield unknown(f"{where}.type", kind, _PARTS)
    if kind == "text" and part.get("text") is None:
        yield missing(f"{where}.text")
    if kind == "text" and not isinstance(part["text"], str):
        yield wrong_type(f"{where}.text", "a string", part["text"])


def _calls_faults(where: str, calls: object) -> Iterator[Refusal]:
    if not isinstance(calls, list):
        yield wrong_type(where, "an array of objects", calls)
        return
    if not calls:
        yield empty_array(where)
    for place, call in enumerate(calls):
        yield from _call_faults(f"{where}[{place}]", call)


def _call_faults(where: str, call: object) -> Iterator[Refusal]:
    if not isinstance(call, dict):
        yield wrong_type(where, "an object", call)
        return
    if not isinstance(call.get("id"), str):
        yield missing(f"{where}.id")
    if call.get("type") == "custom":  # its input is free text
        return
    if call.get("type") != "function":
        yield missing(f"{where}.type")
    function = call.get("function")
    if not isinstance(function, dict):
        yield missing(f"{where}.function")
        return
    yield from name_faults(f"{where}.function.name", function.get("name"))
    yield from _arguments_faults(f"{where}.function.arguments", function.get("arguments"))


def _arguments_faults(where: str, arguments: object) -> Iterator[Refusal]:
    if arguments is None:
        yield missing(where)
    if not isinstance(arguments, str):
        yield wrong_type(where, "a string", arguments)
        return
    try:
        # No text at all is what some models write for a call without arguments, and is taken back.
        read_json(arguments or "{}")
    except ValueError:
        yield refusal(f"Invalid {where!r}: expected JSON text.", where, "invalid_value")


def _pairing_faults(messages: list[dict[str, object]]) -> Iterator[Refusal]:
    """Hold each call to the results that follow it: the rule that an interrupted turn breaks for good."""
    calls, results = list[str](), list[tuple[str, int]]()
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            call = str(message["tool_call_id"])
            yield from _result_faults(place, call, calls, [at for answered, at in results if answered == call])
            results.append((call, place))
            continue
        yield from _unanswered(place, calls, results)
        calls, results = [call.id for call in _calls(message) if call.id], []
    yield from _unanswered(len(messages), calls, results)


def _result_faults(place: int, call: str, calls: Sequence[str], places: Sequence[int]) -> Iterator[Refusal]:
    if not calls:
        yield refusal(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'.",
            f"messages.[{place}].role",
        )
    if call not in calls:
        yield refusal(
            f"Invalid parameter: 'tool_call_id' of {call!r} not found in 'tool_calls' of previous message.",
            f"messages.[{place}].tool_call_id",
        )
    # Two calls that share an id may have two results: nobody has shown that the API minds.
    if len(places) >= calls.count(call):
        yield refusal(
            f"Invalid parameter: Duplicate value for 'tool_call_id' of {call!r}, in messages[{places[-1]}] and "
            f"messages[{place}].",
            f"messages.[{place}].tool_call_id",
        )


def _unanswered(place: int, calls: Sequence[str], results: Sequence[tuple[str, int]]) -> Iterator[Refusal]:
    answered = {call for call, _ in results}
    # Each id once, in the order of the calls.
    waiting = dict.fromkeys(call for call in calls if call not in answered)
    if waiting:
        yield refusal(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: " + ", ".join(waiting),
            f"messages.[{place}].role",
        )

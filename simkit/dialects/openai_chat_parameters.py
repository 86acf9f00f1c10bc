"""The parameters of a chat completion request, except its messages: what the API refuses of them.

The idea: one table for what is a number or a flag, and a few functions for what has a shape: tools, the choice of
one, the format of the response. The constraint: what the real API takes is never refused here, because a false
refusal would fail a correct agent. So unknown parameters pass, names of models and tools are not asked about, schemas
are only asked whether they are of an object, and limits that have moved over the years (how many tools, how long a
description) are left out. Validating with the SDK's own types was refused: they know nothing of ranges and of
parameters that exclude each other, and take what they coerce.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from simkit.contracts import Refusal
from simkit.dialects.jsontext import write_json
from simkit.dialects.openai_errors import refusal
from simkit.dialects.openai_refusals import (
    empty_array,
    empty_string,
    missing,
    no_match,
    out_of_range,
    too_long,
    unknown,
    wrong_type,
)


class _Number(NamedTuple):
    kind: str
    low: float | None = None
    high: float | None = None


_NUMBERS: Final[dict[str, _Number]] = {
    "max_tokens": _Number("integer", 1),
    "max_completion_tokens": _Number("integer", 1),
    "n": _Number("integer", 1),
    "seed": _Number("integer"),
    "top_logprobs": _Number("integer", 0, 20),
    "temperature": _Number("decimal", 0, 2),
    "top_p": _Number("decimal", 0, 1),
    "frequency_penalty": _Number("decimal", -2, 2),
    "presence_penalty": _Number("decimal", -2, 2),
}
_FLAGS: Final = ("stream", "logprobs", "parallel_tool_calls", "store")
_FORMATS: Final = ("json_object", "json_schema", "text")
_TOOLS: Final = ("function", "custom")
# Both the letters of today and the length of a name are in the API's own description of tools.
_NAME: Final = r"^[a-zA-Z0-9_\.-]+$"
_NAME_LENGTH_MAX: Final = 64


def parameter_faults(request: Mapping[str, object]) -> Iterator[Refusal]:
    """Yield what is wrong; only the first counts."""
    for name in _FLAGS:
        if not isinstance(request.get(name), bool | None):
            yield wrong_type(name, "a boolean", request[name])
    for name, number in _NUMBERS.items():
        yield from _number_faults(name, number, request.get(name))
    if request.get("stream") is not True and request.get("stream_options") is not None:
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        yield refusal(text, "stream_options")
    if request.get("max_tokens") is not None and request.get("max_completion_tokens") is not None:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        yield refusal(text, "max_tokens", "invalid_parameter_combination")
    yield from _tools_faults(request)
    yield from _format_faults(request)


def name_faults(where: str, name: object) -> Iterator[Refusal]:
    """Yield what is wrong with the name of a function or a format."""
    if name is None:
        yield missing(where)
    elif not isinstance(name, str):
        yield wrong_type(where, "a string", name)
    elif not name:
        yield empty_string(where)
    elif not re.fullmatch(_NAME, name):
        yield no_match(where, _NAME)
    elif len(name) > _NAME_LENGTH_MAX:
        yield too_long(where, name, _NAME_LENGTH_MAX)


def _number_faults(name: str, number: _Number, value: object) -> Iterator[Refusal]:
    if value is None:
        return
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not isinstance(value, int | float) or (number.kind == "integer" and not whole):
        yield wrong_type(name, "an integer" if number.kind == "integer" else "a decimal", value)
        return
    refused = out_of_range(name, number.kind, value, number.low, number.high)
    if refused is not None:
        yield refused


def _tools_faults(request: Mapping[str, object]) -> Iterator[Refusal]:
    tools = request.get("tools")
    if tools is None:
        yield from _needless_faults(request)
        return
    if not isinstance(tools, list):
        yield wrong_type("tools", "an array of objects", tools)
        return
    if not tools:
        yield empty_array("tools")
    for place, tool in enumerate(tools):
        yield from _tool_faults(f"tools[{place}]", tool)


def _needless_faults(request: Mapping[str, object]) -> Iterator[Refusal]:
    """Yield the parameters that mean nothing without tools; to want none of them is no fault."""
    for name in ("tool_choice", "parallel_tool_calls"):
        if request.get(name) not in (None, "none"):
            said = f"{name!r} is only allowed when 'tools' are specified."
            yield refusal(f"Invalid value for {name!r}: {said}", name)


def _tool_faults(where: str, tool: object) -> Iterator[Refusal]:
    if not isinstance(tool, dict):
        yield wrong_type(where, "an object", tool)
        return
    kind = tool.get("type")
    if kind is None:
        yield missing(f"{where}.type")
    if kind not in _TOOLS:
        yield unknown(f"{where}.type", kind, _TOOLS)
    made = tool.get(str(kind))
    if made is None:
        yield missing(f"{where}.{kind}")
    if not isinstance(made, dict):
        yield wrong_type(f"{where}.{kind}", "an object", made)
        return
    yield from name_faults(f"{where}.{kind}.name", made.get("name"))
    if kind == "function":
        yield from _schema_faults(f"{where}.function.parameters", str(made["name"]), made.get("parameters"))


def _schema_faults(where: str, name: str, schema: object) -> Iterator[Refusal]:
    if schema is None:
        return
    if not isinstance(schema, dict):
        yield wrong_type(where, "an object", schema)
        return
    kind = schema.get("type", "object")
    if kind != "object" and isinstance(kind, str):
        said = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
        yield refusal(f"Invalid schema for function {name!r}: {said}", where, "invalid_function_parameters")


def _format_faults(request: Mapping[str, object]) -> Iterator[Refusal]:
    shape = request.get("response_format")
    if shape is None:
        return
    if not isinstance(shape, dict):
        yield wrong_type("response_format", "an object", shape)
        return
    kind = shape.get("type")
    if kind is None:
        yield missing("response_format.type")
    if kind not in _FORMATS:
        yield unknown("response_format.type", kind, _FORMATS)
    if kind == "json_schema":
        yield from _json_schema_faults("response_format.json_schema", shape.get("json_schema"))
    if kind == "json_object" and b"json" not in write_json(request.get("messages")).lower():
        text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        yield refusal(text, "messages")


def _json_schema_faults(where: str, schema: object) -> Iterator[Refusal]:
    if schema is None:
        yield missing(where)
    if not isinstance(schema, dict):
        yield wrong_type(where, "an object", schema)
        return
    yield from name_faults(f"{where}.name", schema.get("name"))

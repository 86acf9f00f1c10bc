"""One conversation on every wire: the same history must be read the same, and the same fault found in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from simkit.checks.history import HISTORY_WELL_FORMED
from tests.checks.traces import Story, asked

_ARGS: Final = {"path": "a"}
# A call by its id, a result by its call's id, or the user's word.
Line = tuple[str, str]
CALLS_AND_RESULTS: Final[list[Line]] = [("user", "go"), ("calls", "a b"), ("result", "a"), ("result", "b")]


def _chat(lines: list[Line]) -> dict[str, object]:
    def call(name: str) -> object:
        return {"id": name, "type": "function", "function": {"name": "read", "arguments": json.dumps(_ARGS)}}

    written: dict[str, Callable[[str], object]] = {
        "user": lambda text: {"role": "user", "content": text},
        "calls": lambda ids: {"role": "assistant", "content": None, "tool_calls": [call(i) for i in ids.split()]},
        "result": lambda i: {"role": "tool", "tool_call_id": i, "content": "ok"},
    }
    return {"messages": [written[kind](value) for kind, value in lines]}


def _responses(lines: list[Line]) -> dict[str, object]:
    written: dict[str, Callable[[str], list[object]]] = {
        "user": lambda text: [{"role": "user", "content": [{"type": "input_text", "text": text}]}],
        "calls": lambda ids: [
            {"type": "function_call", "call_id": i, "name": "read", "arguments": json.dumps(_ARGS)} for i in ids.split()
        ],
        "result": lambda i: [{"type": "function_call_output", "call_id": i, "output": "ok"}],
    }
    return {"input": [item for kind, value in lines for item in written[kind](value)]}


def _messages(lines: list[Line]) -> dict[str, object]:
    written: dict[str, Callable[[str], dict[str, Any]]] = {
        "user": lambda text: {"role": "user", "content": [{"type": "text", "text": text}]},
        "calls": lambda ids: {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": i, "name": "read", "input": _ARGS} for i in ids.split()],
        },
        "result": lambda i: {"role": "user", "content": [{"type": "tool_result", "tool_use_id": i, "content": "ok"}]},
    }
    return {"messages": [written[kind](value) for kind, value in lines]}


def _gemini(lines: list[Line]) -> dict[str, object]:
    written: dict[str, Callable[[str], dict[str, Any]]] = {
        "user": lambda text: {"role": "user", "parts": [{"text": text}]},
        "calls": lambda ids: {
            "role": "model",
            "parts": [{"functionCall": {"id": i, "name": "read", "args": _ARGS}} for i in ids.split()],
        },
        "result": lambda i: {
            "role": "user",
            "parts": [{"functionResponse": {"id": i, "name": "read", "response": {"result": "ok"}}}],
        },
    }
    return {"contents": [written[kind](value) for kind, value in lines]}


WIRES: Final = {"openai-chat": _chat, "openai-responses": _responses, "anthropic": _messages, "gemini": _gemini}


def faults(dialect: str, *lines: Line) -> list[str]:
    story = Story().request(1, dialect=dialect, body=WIRES[dialect](list(lines)))
    return [text.partition("broken history: ")[2] or text for text in asked(HISTORY_WELL_FORMED, story)]


@pytest.mark.parametrize("dialect", WIRES)
def test_the_same_history_is_judged_the_same_on_every_wire(dialect: str) -> None:
    assert [
        faults(dialect, *CALLS_AND_RESULTS),
        faults(dialect, *CALLS_AND_RESULTS, ("calls", "c"), ("result", "c"), ("user", "more")),
        faults(dialect, *CALLS_AND_RESULTS[:3]),
        faults(dialect, *CALLS_AND_RESULTS[:2], ("user", "more")),
        faults(dialect, ("user", "go"), ("result", "a")),
        faults(dialect, *CALLS_AND_RESULTS, ("result", "b")),
    ] == [
        [],
        [],
        ["the call 'b' of read has no result before the next message"],
        [f"the call '{i}' of read has no result before the next message" for i in "ab"],
        ["the result for call 'a' follows no message that made this call"],
        ["the call 'b' of read has 2 results"],
    ]


def test_results_in_one_message_with_the_users_next_word_are_read_as_results_and_word() -> None:
    calls = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "read", "input": {}}]}
    results = [{"type": "tool_result", "tool_use_id": "a", "content": "ok"}, {"type": "text", "text": "and now?"}]
    body = {"messages": [{"role": "user", "content": "go"}, calls, {"role": "user", "content": results}]}
    assert asked(HISTORY_WELL_FORMED, Story().request(1, dialect="anthropic", body=body)) == []


def test_calls_without_ids_are_paired_by_name_and_order() -> None:
    calls = [{"functionCall": {"name": "read", "args": {}}}, {"functionCall": {"name": "read", "args": {}}}]
    results = [{"functionResponse": {"name": "read", "response": {}}}]
    contents = [{"role": "user", "parts": [{"text": "go"}]}, {"role": "model", "parts": calls}]
    bodies = [{"contents": [*contents, {"role": "user", "parts": results * n}]} for n in (1, 2)]
    said = [asked(HISTORY_WELL_FORMED, Story().request(1, dialect="gemini", body=b)) for b in bodies]
    assert [[text.partition("history: ")[2] for text in one] for one in said] == [
        ["the call 'read:2' of read has no result before the next message"],
        [],
    ]


def test_a_request_that_builds_on_a_stored_answer_is_not_judged_by_what_it_leaves_out() -> None:
    body = {**_responses([("result", "a")]), "previous_response_id": "resp_1"}
    assert asked(HISTORY_WELL_FORMED, Story().request(1, dialect="openai-responses", body=body)) == [
        "not applicable: no completion request of a wire whose history can be read"
    ]

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from simkit.contracts import CompletionRequest, Dialect
from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.dialects.sse import decode, keepalive_bytes
from simkit.dialects.turn import turn_of
from simkit.extensions import find
from simkit.model.timeline import (
    Args,
    Call,
    Disconnect,
    Done,
    Finish,
    Say,
    Stall,
    Step,
    StreamReply,
    Usage,
    Wait,
)
from tests.dialects.sdk import Sdk, ask, bodies, whole_body

FIXTURES = Path(__file__).parents[2] / "fixtures" / "openai_chat"
STOP, TOOL_CALLS = Finish(reason="stop"), Finish(reason="tool_calls")
COUNTED = ask(stream_options={"include_usage": True})
# One scripted answer: the pieces of text, and the calls as name and arguments.
Answer = tuple[list[str], list[tuple[str, dict[str, object]]]]
ANSWERS = st.tuples(
    st.lists(st.text(), max_size=3),
    st.lists(
        st.tuples(st.text(min_size=1), st.dictionaries(st.text(), st.text() | st.integers(), max_size=3)),
        max_size=3,
    ),
)
# The SDK's async client starts a loop for each example; twenty are enough to meet every branch.
few = settings(max_examples=20, deadline=None)


def steps_of(answer: Answer) -> tuple[Step, ...]:
    texts, calls = answer
    spoken = [Say(text=text) for text in texts]
    return (*spoken, *(Call(name=n, args=json.dumps(a)) for n, a in calls), TOOL_CALLS if calls else STOP)


def scripted(answer: Answer) -> object:
    texts, calls = answer
    return ("".join(texts), [(n, a) for n, a in calls], "tool_calls" if calls else "stop")


def told(completion: ChatCompletion) -> object:
    """The same three things in the SDK's own final object."""
    choice = completion.choices[0]
    calls = [c.function for c in choice.message.tool_calls or [] if c.type == "function"]
    return (
        choice.message.content or "",
        [(f.name, json.loads(f.arguments)) for f in calls],
        choice.finish_reason,
    )


def deltas(*steps: Step, request: object = None) -> list[object]:
    """Each frame's delta and finish reason, or ``[DONE]``, or the usage."""
    told = []
    for data in bodies(*steps, request=COUNTED if request is COUNTED else None):
        text = next(decode(data)).data
        chunk = text if text == "[DONE]" else json.loads(text)
        if isinstance(chunk, dict):
            chunk = [(c["delta"], c["finish_reason"]) for c in chunk["choices"]] or chunk["usage"]["total_tokens"]
        told.append(chunk)
    return told


ROLE = [({"role": "assistant", "content": "", "refusal": None}, None)]
ROLE_OF_CALLS = [({"role": "assistant", "content": None, "refusal": None}, None)]
FINISHED: list[object] = [({}, "stop")]


def test_it_is_the_dialect_that_is_found_by_its_name() -> None:
    assert isinstance(find("dialects", "openai-chat"), Dialect)
    assert find("dialects", "openai-chat") is OPENAI_CHAT


def test_it_claims_posts_of_chat_completions_under_any_base() -> None:
    asked = [
        ("POST", "/v1/chat/completions"),
        ("POST", "/openai/deployments/x/chat/completions"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/responses"),
    ]
    assert [OPENAI_CHAT.claims(*a) for a in asked] == [True, True, False, False, False]


# -- the deltas --
def test_a_text_streams_as_role_pieces_finish_and_marker() -> None:
    assert deltas(Say(text="Hel"), Wait(ns=1), Say(text="lo"), STOP) == [
        ROLE,
        [({"content": "Hel"}, None)],
        [({"content": "lo"}, None)],
        FINISHED,
        "[DONE]",
    ]


def test_a_call_opens_without_arguments_and_they_follow_by_index() -> None:
    assert deltas(Call(name="f", args='{"a":'), Args(text="1}"), Call(name="g", id="mine"), TOOL_CALLS) == [
        ROLE_OF_CALLS,
        [({"tool_calls": [opening(0, "call_1_0", "f")]}, None)],
        [({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}, None)],
        [({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}, None)],
        [({"tool_calls": [opening(1, "mine", "g")]}, None)],
        [({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}, None)],
        [({}, "tool_calls")],
        "[DONE]",
    ]


def opening(index: int, call: str, name: str) -> dict[str, object]:
    return {"index": index, "id": call, "type": "function", "function": {"name": name, "arguments": ""}}


def test_usage_comes_after_the_finish_wherever_the_script_counts() -> None:
    count = Usage(input_tokens=3, output_tokens=4)
    scripts: list[Sequence[Step]] = [(count, STOP), (STOP, count), (STOP, Wait(ns=1), count, Done())]
    assert [deltas(*s, request=COUNTED) for s in scripts] == [[ROLE, FINISHED, 7, "[DONE]"]] * 3


def test_usage_is_not_sent_unasked_nor_by_a_stream_that_breaks_off() -> None:
    count = Usage(input_tokens=3, output_tokens=4)
    assert [
        deltas(count, STOP),
        deltas(Say(text="x"), count, Disconnect(how="cut"), request=COUNTED),
        deltas(count, Done(), request=COUNTED),
    ] == [[ROLE, FINISHED, "[DONE]"], [ROLE, [({"content": "x"}, None)]], ["[DONE]"]]


def test_silence_alone_sends_nothing() -> None:
    assert deltas(Stall(ns=1), Disconnect(how="eof")) == []


def test_frames_come_in_step_order_and_the_role_with_the_first_move() -> None:
    steps = (Wait(ns=1), Say(text="a"), Stall(ns=1), Call(name="f", args="{}"), TOOL_CALLS)
    frames = OPENAI_CHAT.stream(StreamReply(steps=steps), COUNTED, number=1, created=0)
    assert [(f.step, f.about["is"], f.about["progress"]) for f in frames] == [
        (1, "say", False),
        (1, "say", True),
        (3, "call", True),
        (3, "args", True),
        (4, "finish", True),
        (4, "usage", False),
        (4, "done", False),
    ]


def test_a_client_that_got_only_some_frames_understood_only_those() -> None:
    steps = (Say(text="hi"), Call(name="f", args="{}"), TOOL_CALLS)
    frames = OPENAI_CHAT.stream(StreamReply(steps=steps), ask(), number=1, created=0)
    turns = [turn_of(f.about for f in frames[:n]) for n in range(len(frames) + 1)]
    assert [(t.text, len(t.whole_calls()), t.finish, t.done) for t in turns] == [
        ("", 0, None, False),
        ("", 0, None, False),
        ("hi", 0, None, False),
        ("hi", 0, None, False),
        ("hi", 1, None, False),
        ("hi", 1, "tool_calls", False),
        ("hi", 1, "tool_calls", True),
    ]


# -- the chunks --
def test_all_chunks_of_an_answer_share_id_date_and_model() -> None:
    heads = [
        {key: chunk[key] for key in ("id", "created", "model", "object")}
        for chunk in (
            json.loads(next(decode(b)).data) for b in bodies(Say(text="a"), Say(text="b"), Finish(reason="length"))[:-1]
        )
    ]
    one = {
        "id": "chatcmpl-sim-000001",
        "created": 1_767_225_600,
        "model": "gpt-test",
        "object": "chat.completion.chunk",
    }
    assert heads == [one] * 4


def test_usage_is_null_before_the_count_and_missing_where_nobody_asked() -> None:
    def usages(request: object) -> list[object]:
        chunks = bodies(Say(text="a"), STOP, request=COUNTED if request else None)[:-1]
        return [json.loads(next(decode(b)).data).get("usage", "missing") is None for b in chunks]

    assert [usages(COUNTED), usages(None)] == [[True, True, True, False], [False] * 3]


def test_padding_fills_a_text_up_to_eighths_unless_it_is_declined() -> None:
    def padded(text: str, **options: object) -> object:
        body = bodies(Say(text=text), request=ask(**options))[1]
        return json.loads(next(decode(body)).data).get("obfuscation")

    assert [padded(t) for t in ("Hello", ",", "x" * 8)] == ["obf", "obfusca", ""]
    assert padded("Hello", stream_options={"include_obfuscation": False}) is None


@pytest.mark.parametrize("name", ["text", "two_calls"])
def test_the_bytes_are_those_of_the_fixture(name: str) -> None:
    scripts: dict[str, Sequence[Step]] = {
        "text": (Say(text="Hel"), Say(text="lo, Zoë"), STOP),
        "two_calls": (
            Say(text="Looking."),
            Call(name="read_file", args='{"path":"a.txt"}'),
            Call(name="read_file"),
            Args(text='{"path":'),
            Args(text='"b.txt"}'),
            Usage(input_tokens=12, output_tokens=34),
            TOOL_CALLS,
        ),
    }
    origin, _, body = (FIXTURES / f"{name}.sse").read_bytes().partition(b"\n\n")
    assert origin.startswith(b": origin: ")
    request = ask(stream_options={"include_usage": True, "include_obfuscation": False})
    request = CompletionRequest(model=request.model, stream=True, body=request.body, include_usage=name == "two_calls")
    assert b"".join(bodies(*scripts[name], request=request)) == body


# -- the official SDK is the judge --
@given(ANSWERS)
def test_every_chunk_is_a_chunk_of_the_sdk(
    answer: Answer,
) -> None:
    for data in bodies(*steps_of(answer), request=COUNTED)[:-1]:
        chunk = next(decode(data)).data
        parsed = ChatCompletionChunk.model_validate(json.loads(chunk), strict=True)
        # Nothing is sent that the SDK's own type does not know.
        assert [m.model_extra for m in (parsed, *parsed.choices, *(c.delta for c in parsed.choices))] == [
            {} for _ in range(1 + 2 * len(parsed.choices))
        ]


@few
@given(ANSWERS, st.booleans())
def test_every_face_of_the_sdk_tells_what_was_scripted(sdk: Sdk, answer: Answer, counted: bool) -> None:
    steps = steps_of(answer)
    pieces = bodies(*steps, request=COUNTED if counted else None)
    finals = [sdk.helper(pieces), sdk.helper_async(pieces), sdk.whole(whole_body(*steps))]
    assert [told(f) for f in finals] == [scripted(answer)] * 3
    assert [c.usage is not None for c in (sdk.raw(pieces)[-1], sdk.raw_async(pieces)[-1])] == [counted] * 2


@few
@given(ANSWERS, st.data())
def test_bytes_cut_anywhere_tell_the_same(sdk: Sdk, answer: Answer, data: st.DataObject) -> None:
    body = b"".join(bodies(*steps_of(answer)))
    edges = sorted({0, len(body), *data.draw(st.lists(st.integers(0, len(body)), max_size=8))})
    pieces = [body[a:b] for a, b in pairwise(edges)]
    assert told(sdk.helper(pieces)) == scripted(answer)


def test_every_single_byte_by_itself_tells_the_same(sdk: Sdk) -> None:
    body = b"".join(bodies(Say(text="Zoë \u2028 😀"), Call(name="f", args='{"ä": "\\n"}'), TOOL_CALLS))
    final = sdk.helper([body[n : n + 1] for n in range(len(body))])
    assert told(final) == ("Zoë \u2028 😀", [("f", {"ä": "\n"})], "tool_calls")


def test_half_a_surrogate_pair_reaches_the_client(sdk: Sdk) -> None:
    assert told(sdk.helper(bodies(Say(text="\ud800"), STOP))) == ("\ud800", [], "stop")


def test_a_keep_alive_between_frames_is_not_seen(sdk: Sdk) -> None:
    pieces = [p for frame in bodies(Say(text="hi"), STOP) for p in (keepalive_bytes(), frame)]
    assert told(sdk.helper(pieces)) == ("hi", [], "stop")


def test_a_stream_that_ends_before_its_finish_is_silently_partial(sdk: Sdk) -> None:
    chunks = sdk.raw(bodies(Say(text="Hel"), Disconnect(how="eof")))
    assert [(c.choices[0].delta.content, c.choices[0].finish_reason) for c in chunks] == [
        ("", None),
        ("Hel", None),
    ]


def test_a_marker_alone_is_a_stream_of_no_chunks(sdk: Sdk) -> None:
    assert sdk.raw(bodies(Done())) == []


# -- the whole body --
def test_a_whole_body_is_a_completion_of_the_sdk() -> None:
    body = json.loads(whole_body(Say(text="hi"), Call(name="f", args='{"a":1}'), TOOL_CALLS))
    parsed = ChatCompletion.model_validate(body, strict=True)
    message = parsed.choices[0].message
    assert [parsed.model_extra, parsed.choices[0].model_extra, message.model_extra] == [{}] * 3
    assert (parsed.id, parsed.created, parsed.model) == ("chatcmpl-sim-000001", 1_767_225_600, "gpt-test")


def test_a_whole_body_always_has_a_reason(sdk: Sdk) -> None:
    finals = [
        sdk.whole(whole_body(*steps))
        for steps in (
            (Say(text="hi"),),
            (Call(name="f", args="{}"),),
            (Say(text="hi"), Finish(reason="length")),
            (),
        )
    ]
    assert [(f.choices[0].message.content, f.choices[0].finish_reason) for f in finals] == [
        ("hi", "stop"),
        (None, "tool_calls"),
        ("hi", "length"),
        ("", "stop"),
    ]


def test_tokens_are_counted_as_the_script_says_or_from_the_texts(sdk: Sdk) -> None:
    bodies = [
        whole_body(Say(text="hi"), Usage(input_tokens=3, output_tokens=4), STOP),
        whole_body(Say(text="x" * 400), STOP),
        whole_body(STOP),
    ]
    usages = [sdk.whole(body).usage for body in bodies]
    assert [(u.prompt_tokens, u.completion_tokens, u.total_tokens) for u in usages if u] == [
        (3, 4, 7),
        (9, 101, 110),
        (9, 1, 10),
    ]

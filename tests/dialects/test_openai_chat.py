from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from simkit.contracts import CompletionRequest, Dialect
from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.dialects.sse import decode, keepalive_bytes
from simkit.dialects.turn import turn_of
from simkit.errors import UnplayableError
from simkit.extensions import find
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Chunk,
    Damage,
    Disconnect,
    Done,
    Fault,
    Finish,
    FinishReason,
    Garble,
    Name,
    Raw,
    Refuse,
    Repeat,
    Say,
    Stall,
    Step,
    StreamReply,
    Think,
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


def test_thoughts_and_refusals_have_deltas_of_their_own() -> None:
    assert deltas(Think(text="Hm.", signature="sig"), Say(text="So"), STOP)[:3] == [
        ROLE_OF_CALLS,
        [({"reasoning_content": "Hm."}, None)],
        [({"content": "So"}, None)],
    ]
    assert deltas(Refuse(text="No."), STOP) == [ROLE_OF_CALLS, [({"refusal": "No."}, None)], FINISHED, "[DONE]"]


def test_a_name_goes_on_in_pieces_by_index() -> None:
    assert deltas(Call(name="f"), Name(text="oo"), Args(text="{}"))[2:] == [
        [({"tool_calls": [{"index": 0, "function": {"name": "oo"}}]}, None)],
        [({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, None)],
    ]


def test_a_call_without_an_index_has_none_on_the_wire() -> None:
    opening = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert deltas(Call(name="f", id="a", index=NO_INDEX), Args(text="{}"))[1:] == [
        [({"tool_calls": [opening]}, None)],
        [({"tool_calls": [{"function": {"arguments": "{}"}}]}, None)],
    ]


def test_empty_frames_come_before_the_role_where_the_script_has_them_first() -> None:
    frames = bodies(Chunk(kind="empty"), Chunk(kind="null"), Chunk(kind="blank"), Say(text="a"))
    chunks = [json.loads(next(decode(f)).data or "null") for f in frames]
    assert [c and c["choices"] for c in chunks[:3]] == [[], None, None]
    assert chunks[3]["choices"][0]["delta"] == ROLE[0][0]


def test_an_error_stands_instead_of_a_chunk_and_ends_the_stream() -> None:
    frames = bodies(Say(text="Hel"), Fault(text="It broke."))
    other = bodies(Fault(text="Slow down.", type="tokens", code="rate_limit_exceeded"))
    assert [frames[2:], other] == [
        [b'data: {"error":{"message":"It broke.","type":"server_error","param":null,"code":null}}\n\n'],
        [b'data: {"error":{"message":"Slow down.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}\n\n'],
    ]


FINISHES: dict[FinishReason, str] = {
    "stop": "stop",
    "refusal": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context_window": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
}


def test_every_reason_to_finish_has_its_word_and_the_script_may_give_another(sdk: Sdk) -> None:
    def words(finish: Finish) -> list[str | None]:
        steps = (Say(text="x"), finish)
        whole, last = sdk.whole(whole_body(*steps)), sdk.raw(bodies(*steps))[-1]
        return [whole.choices[0].finish_reason, last.choices[0].finish_reason]

    assert [words(Finish(reason=reason)) for reason in FINISHES] == [[word] * 2 for word in FINISHES.values()]
    assert words(Finish(reason="pause", wire="eos")) == ["eos"] * 2


def test_the_reason_that_this_wire_cannot_say_is_refused_by_name() -> None:
    assert set(get_args(FinishReason)) - set(FINISHES) == {"pause"}
    for written in (bodies, whole_body):
        with pytest.raises(UnplayableError, match="no `finish_reason` of this wire means 'pause'") as raised:
            written(Say(text="x"), Finish(reason="pause"))
        assert raised.value.step == 1


def test_the_forms_of_an_error_that_are_not_of_this_wire_are_refused_by_name() -> None:
    for written in (bodies, whole_body):
        with pytest.raises(UnplayableError, match="belongs to the Responses API") as raised:
            written(Say(text="x"), Fault(text="x", form="failed"))
        assert raised.value.step == 1


@pytest.mark.parametrize("asked", [{"n": 2}, {"logprobs": True}, {"modalities": ["text", "audio"]}])
def test_what_is_not_simulated_is_refused_by_name(asked: dict[str, object]) -> None:
    for written in (bodies, whole_body):
        with pytest.raises(UnplayableError, match=next(iter(asked))):
            written(Say(text="x"), STOP, request=ask(**asked))


def test_the_tier_that_was_asked_for_is_the_tier_of_the_answer(sdk: Sdk) -> None:
    tiers = [None, "auto", "default", "flex", "priority"]
    answers = [sdk.whole(whole_body(STOP, request=ask(service_tier=tier))) for tier in tiers]
    assert [a.service_tier for a in answers] == ["default", "default", "default", "flex", "priority"]


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
        (1, "mark", False),
        (1, "say", True),
        (3, "call", True),
        (3, "args", True),
        (4, "finish", True),
        (4, "usage", False),
        (4, "done", False),
    ]


def test_a_client_that_got_only_some_frames_understood_only_those() -> None:
    steps = (Say(text="hi"), Call(name="f", args="{}"), TOOL_CALLS)
    frames = list(OPENAI_CHAT.stream(StreamReply(steps=steps), ask(), number=1, created=0))
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


@pytest.mark.parametrize("name", ["text", "two_calls", "compatible"])
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
        "compatible": (
            Think(text="Hm."),
            Call(name="read", id="a"),
            Name(text="_file"),
            Args(text="{"),
            Fault(text="The server had an error while processing your request."),
        ),
    }
    origin, _, body = (FIXTURES / f"{name}.sse").read_bytes().partition(b"\n\n")
    assert origin.startswith(b": origin: ")
    request = ask(stream_options={"include_usage": True, "include_obfuscation": False})
    request = CompletionRequest(model=request.model, stream=True, body=request.body, include_usage=name == "two_calls")
    assert b"".join(bodies(*scripts[name], request=request)) == body


def test_a_whole_body_is_that_of_the_fixture() -> None:
    count = Usage(input_tokens=12, output_tokens=34, cached_tokens=8, thinking_tokens=5)
    steps = (Say(text="Looking, Zoë."), Call(name="read_file", args='{"path":"a.txt"}'), count, TOOL_CALLS)
    assert whole_body(*steps) + b"\n" == (FIXTURES / "whole.json").read_bytes()


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


def said(completion: ChatCompletion) -> object:
    """Everything that an answer can say, in the SDK's own final object."""
    choice, usage = completion.choices[0], completion.usage
    message = choice.message
    calls = [c for c in message.tool_calls or [] if c.type == "function"]
    return {
        "content": message.content or "",
        "thoughts": getattr(message, "reasoning_content", ""),
        "refusal": message.refusal or "",
        "calls": [(c.id, c.function.name, c.function.arguments) for c in calls],
        "finish": choice.finish_reason,
        "tokens": usage and (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
    }


NOTHING = {"content": "", "thoughts": "", "refusal": "", "calls": [], "finish": "stop"}
SILENT = {**NOTHING, "tokens": None}
COUNT = Usage(input_tokens=3, output_tokens=4)
KINDS: dict[str, tuple[Sequence[Step], dict[str, object]]] = {
    "text": ((Say(text="Hello, Zoë", pieces=4),), {"content": "Hello, Zoë"}),
    "thinking": (
        (Think(text="Hm. Let me see.", pieces=3), Say(text="42")),
        {"thoughts": "Hm. Let me see.", "content": "42"},
    ),
    "refusal": ((Refuse(text="I can't "), Refuse(text="help.")), {"refusal": "I can't help."}),
    "parallel calls": (
        (Call(name="f", id="a", args='{"x":1}'), Call(name="g", id="b", args="{}")),
        {"calls": [("a", "f", '{"x":1}'), ("b", "g", "{}")]},
    ),
    "interleaved calls": (
        (
            Call(name="f", id="a"),
            Call(name="g", id="b"),
            Args(text='{"x":', index=0),
            Args(text='{"y":', index=1),
            Args(text="1}", index=0),
            Args(text="2}", index=1),
        ),
        {"calls": [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]},
    ),
    "arguments in pieces": (
        (Call(name="f", id="a"), Args(text='{"x": "a long text"}', pieces=20)),
        {"calls": [("a", "f", '{"x": "a long text"}')]},
    ),
    "a name in pieces": (
        (Call(name="wri", id="a"), Name(text="te_"), Name(text="file"), Args(text="{}")),
        {"calls": [("a", "write_file", "{}")]},
    ),
    "text and a call": (
        (Say(text="Looking."), Call(name="f", id="a")),
        {"content": "Looking.", "calls": [("a", "f", "{}")]},
    ),
    "nothing at all": ((), {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_answer_is_told_as_scripted_by_every_face_of_the_sdk(sdk: Sdk, kind: str) -> None:
    steps, expected = KINDS[kind]
    script = (*steps, COUNT, STOP)
    pieces, body = bodies(*script, request=COUNTED), whole_body(*script)
    finals = [sdk.helper(pieces), sdk.helper_async(pieces), sdk.whole(body), sdk.whole_async(body)]
    assert [said(f) for f in finals] == [{**NOTHING, **expected, "tokens": (3, 4, 7)}] * 4
    assert sdk.raw(pieces) == sdk.raw_async(pieces)


def test_the_details_of_usage_are_those_of_the_script(sdk: Sdk) -> None:
    count = Usage(input_tokens=30, output_tokens=40, cached_tokens=20, thinking_tokens=10)
    pieces = bodies(Say(text="x"), count, STOP, request=COUNTED)
    usages = [sdk.raw(pieces)[-1].usage, sdk.helper(pieces).usage, sdk.whole(whole_body(count, STOP)).usage]
    told = [
        (u.prompt_tokens_details.cached_tokens, u.completion_tokens_details.reasoning_tokens)
        for u in usages
        if u and u.prompt_tokens_details and u.completion_tokens_details
    ]
    assert told == [(20, 10)] * 3


def test_a_call_without_an_index_reaches_a_client_that_reads_chunks(sdk: Sdk) -> None:
    chunks = sdk.raw(bodies(Call(name="f", id="a", args="{}", index=NO_INDEX), TOOL_CALLS))
    calls = [call for c in chunks for call in c.choices[0].delta.tool_calls or []]
    # The SDK's type says that there is always an index.
    assert [c.to_dict() for c in calls] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"function": {"arguments": "{}"}},
    ]


@pytest.mark.parametrize("face", ["raw", "raw_async", "helper", "helper_async"])
def test_an_error_in_the_middle_is_raised_by_every_face_of_the_sdk(sdk: Sdk, face: str) -> None:
    pieces = bodies(Say(text="Hel"), Fault(text="It broke.", type="tokens", code="rate_limit_exceeded"))
    with pytest.raises(openai.APIError) as raised:
        getattr(sdk, face)(pieces)
    error = raised.value
    # An error after the headers has no status, so it is the base class.
    assert (type(error), error.message, error.type, error.code) == (
        openai.APIError,
        "It broke.",
        "tokens",
        "rate_limit_exceeded",
    )


def test_empty_frames_are_passed_over_or_not_as_the_sdk_does(sdk: Sdk) -> None:
    def frames(chunk: Chunk) -> list[bytes]:
        return bodies(Say(text="hi"), chunk, STOP)

    harmless = [sdk.helper(frames(Chunk(kind=kind))) for kind in ("empty", "comment")]
    assert [said(f) for f in harmless] == [{**SILENT, "content": "hi"}] * 2
    assert [c.choices for c in sdk.raw(frames(Chunk(kind="null")))][2] is None
    for kind in ("blank", "meta"):
        with pytest.raises(json.JSONDecodeError):
            sdk.raw(frames(Chunk(kind=kind)))


@pytest.mark.parametrize(
    ("how", "raised"), [("json", json.JSONDecodeError), ("text", json.JSONDecodeError), ("utf8", UnicodeDecodeError)]
)
def test_a_damaged_frame_is_raised_by_the_sdk(sdk: Sdk, how: Damage, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        sdk.raw(bodies(Say(text="a"), Garble(how=how), Say(text="lost"), STOP))


def test_a_last_frame_without_its_end_is_silently_lost(sdk: Sdk) -> None:
    chunks = sdk.raw(bodies(Say(text="a"), Garble(how="unended"), Say(text="lost")))
    assert [c.choices[0].delta.content for c in chunks] == ["", "a"]


def test_a_repeated_frame_is_read_again(sdk: Sdk) -> None:
    reply = StreamReply(steps=(Say(text="ha"), Repeat(times=2), STOP))
    frames = list(OPENAI_CHAT.stream(reply, ask(), number=1, created=0))
    final = sdk.helper([f.data * f.times for f in frames])
    turn = turn_of({**f.about, "times": f.times} for f in frames)
    assert (final.choices[0].message.content, turn.text) == ("hahaha", "hahaha")


def test_raw_bytes_arrive_as_they_are(sdk: Sdk) -> None:
    extra = bodies(Say(text="raw"))[1]
    assert said(sdk.helper(bodies(Say(text="a"), Raw(data=extra), STOP))) == {**SILENT, "content": "araw"}


# -- where the bytes are cut --
# Short, and with everything that could suffer from a cut: two-, three- and four-byte characters, a thought, a call.
SMALL = (Think(text="é"), Say(text="Zoë \u2028 😀"), Call(name="f", id="a", args='{"ä":"\\n"}'), TOOL_CALLS)
SMALL_SAID = {
    "content": "Zoë \u2028 😀",
    "thoughts": "é",
    "refusal": "",
    "calls": [("a", "f", '{"ä":"\\n"}')],
    "finish": "tool_calls",
    "tokens": None,
}


def test_two_pieces_cut_at_every_byte_tell_the_same(sdk: Sdk) -> None:
    # Two frames with characters of every length, because each cut is a whole answer for the SDK to read.
    body = b"".join(
        bodies(Say(text="Zoë \u2028 😀"), Done(), request=ask(stream_options={"include_obfuscation": False}))
    )
    whole = sdk.raw([body])
    assert [cut for cut in range(len(body) + 1) if sdk.raw([body[:cut], body[cut:]]) != whole] == []
    assert [c.choices[0].delta.content for c in whole] == ["", "Zoë \u2028 😀"]


def test_every_single_byte_by_itself_tells_the_same(sdk: Sdk) -> None:
    body = b"".join(bodies(*SMALL))
    pieces = [body[n : n + 1] for n in range(len(body))]
    assert [said(sdk.helper(pieces)), said(sdk.helper_async(pieces))] == [SMALL_SAID] * 2


@few
@given(ANSWERS, st.data())
def test_bytes_cut_anywhere_tell_the_same(sdk: Sdk, answer: Answer, data: st.DataObject) -> None:
    body = b"".join(bodies(*steps_of(answer)))
    edges = sorted({0, len(body), *data.draw(st.lists(st.integers(0, len(body)), max_size=8))})
    pieces = [body[a:b] for a, b in pairwise(edges)]
    assert [told(sdk.helper(pieces)), sdk.raw(pieces)] == [scripted(answer), sdk.raw([body])]


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


def test_an_error_in_a_whole_body_is_all_of_it(sdk: Sdk) -> None:
    body = whole_body(Say(text="lost"), Fault(text="It broke.", code="x"))
    assert json.loads(body) == {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": "x"}}
    # Status 200 is success for the SDK, whatever the body says.
    assert sdk.whole(body).choices is None


@pytest.mark.parametrize("how", ["json", "text", "utf8"])
def test_a_whole_body_that_arrives_damaged_cannot_be_read(sdk: Sdk, how: Damage) -> None:
    # Broken JSON, or text that is no UTF-8.
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        sdk.whole(whole_body(Garble(how=how), Say(text="hi"), STOP))


@pytest.mark.parametrize("step", [Raw(data=b"x"), Repeat(times=1), Chunk(kind="null"), Garble(how="unended")])
def test_a_step_about_one_frame_has_no_place_in_a_whole_body(step: Step) -> None:
    with pytest.raises(UnplayableError, match="one frame of a stream"):
        whole_body(Say(text="hi"), step, STOP)


def test_a_refusal_or_a_thought_stands_beside_the_content_of_a_whole_body() -> None:
    bodies = [whole_body(Refuse(text="No."), STOP), whole_body(Think(text="Hm."), Say(text="So"), STOP)]
    messages = [json.loads(body)["choices"][0]["message"] for body in bodies]
    assert messages == [
        {"role": "assistant", "content": None, "refusal": "No.", "annotations": []},
        {"role": "assistant", "content": "So", "reasoning_content": "Hm.", "refusal": None, "annotations": []},
    ]


def test_thoughts_count_as_tokens_that_were_written_and_are_told_apart(sdk: Sdk) -> None:
    usage = sdk.whole(whole_body(Think(text="x" * 40), Say(text="x" * 40), STOP)).usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (21, 11)


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

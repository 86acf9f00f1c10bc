from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from google.genai import errors, types
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.contracts import Dialect, Refusal
from simkit.dialects.gemini import GEMINI
from simkit.dialects.gemini_requests import ARRAY, SSE
from simkit.dialects.sse import decode
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
from tests.dialects.gemini_sdk import (
    MODEL,
    STOP,
    TOOL_CALLS,
    GeminiSdk,
    Told,
    array,
    ask,
    bodies,
    told,
    whole_body,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "gemini"
COUNT = Usage(input_tokens=12, output_tokens=34, thinking_tokens=4)
# One scripted answer: thoughts, texts, and calls as name and arguments.
Answer = tuple[list[str], list[str], list[tuple[str, dict[str, object]]]]
ANSWERS = st.tuples(
    st.lists(st.text(), max_size=2),
    st.lists(st.text(), max_size=3),
    st.lists(
        st.tuples(st.text(min_size=1), st.dictionaries(st.text(), st.text() | st.integers(), max_size=3)), max_size=3
    ),
)
# The SDK's async client starts a loop for each example; twenty are enough to meet every branch.
few = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="module")
def sdk() -> GeminiSdk:
    return GeminiSdk()


def steps_of(answer: Answer) -> tuple[Step, ...]:
    thoughts, texts, calls = answer
    spoken = [*(Think(text=text) for text in thoughts), *(Say(text=text, pieces=2) for text in texts)]
    called: list[Step] = []
    for name, args in calls:
        text = json.dumps(args)
        called += [Call(name=name, args=text[:1]), Args(text=text[1:], pieces=3)]
    return (*spoken, *called, TOOL_CALLS if calls else STOP)


def scripted(answer: Answer) -> Told:
    thoughts, texts, calls = answer
    return ("".join(texts), "".join(thoughts), [*calls], "STOP")


def chunks(*steps: Step) -> list[dict[str, object]]:
    """The responses of the array form."""
    found: list[dict[str, object]] = json.loads(array(*steps, Done()))
    return found


def candidates(*steps: Step) -> list[object]:
    """Each chunk's only candidate, without what every candidate has."""
    told = []
    for chunk in chunks(*steps):
        assert isinstance(chunk["candidates"], list)
        (candidate,) = chunk["candidates"]
        assert candidate.pop("index") == 0
        assert candidate.get("content", {}).pop("role", "model") == "model"
        told.append(candidate)
    return told


def counts(*steps: Step) -> list[object]:
    """What each chunk counts: prompt, candidates, thoughts, total."""
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")
    usages = (chunk["usageMetadata"] for chunk in chunks(*steps))
    return [tuple(usage.get(name, 0) for name in names) for usage in usages if isinstance(usage, dict)]


def said(text: str) -> object:
    return {"content": {"parts": [{"text": text}]}}


def called(name: str, call: str, **args: object) -> object:
    return {"content": {"parts": [{"functionCall": {"name": name, "args": args, "id": call}}]}}


ENDED: object = {"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}


def test_it_is_the_dialect_that_is_found_by_its_name() -> None:
    assert isinstance(find("dialects", "gemini"), Dialect)
    assert find("dialects", "gemini") is GEMINI


def test_it_claims_posts_for_content_under_any_base() -> None:
    asked = [
        ("POST", "/v1beta/models/gemini-x:generateContent"),
        ("POST", "/v1beta/models/gemini-x:streamGenerateContent"),
        ("POST", "/v1/projects/p/locations/l/publishers/google/models/gemini-x:streamGenerateContent"),
        ("POST", "/v1beta/models/gemini-x%3AgenerateContent"),
        ("GET", "/v1beta/models/gemini-x:generateContent"),
        ("POST", "/v1beta/models/gemini-x:countTokens"),
        ("POST", "/v1beta/models/gemini-x:generateContentBatch"),
        ("POST", "/v1/chat/completions"),
    ]
    assert [GEMINI.claims(*a) for a in asked] == [True] * 4 + [False] * 4


# -- the candidates --
def test_a_text_streams_as_pieces_and_an_empty_one_with_the_finish() -> None:
    assert candidates(Say(text="Hello", pieces=2), Wait(ns=1), STOP) == [said("He"), said("llo"), ENDED]


def test_a_thought_is_a_part_of_its_own_and_signed_at_its_end() -> None:
    thought = Think(text="hmhm", signature="c2ln", pieces=2)
    assert candidates(thought, Think(text="x", signature="not base64!"), STOP)[:-1] == [
        {"content": {"parts": [{"text": "hm", "thought": True}]}},
        {"content": {"parts": [{"text": "hm", "thought": True, "thoughtSignature": "c2ln"}]}},
        {"content": {"parts": [{"text": "x", "thought": True, "thoughtSignature": "bm90IGJhc2U2NCE="}]}},
    ]


def test_a_call_comes_whole_at_its_last_piece() -> None:
    steps = (
        Call(name="f", args='{"a":'),
        Call(name="g", id="mine"),
        Say(text="meanwhile"),
        Args(text="1", index=0),
        Args(text="}", index=0),
        TOOL_CALLS,
    )
    assert candidates(*steps) == [
        called("g", "mine"),
        said("meanwhile"),
        called("f", "call_1_0", a=1),
        ENDED,
    ]
    frames = GEMINI.stream(StreamReply(steps=steps), ask(), number=1, created=0)
    assert [(f.step, f.about["is"], f.about["tool"], f.about["text"], f.about["progress"]) for f in frames] == [
        (1, "call", "g", "{}", True),
        (2, "say", None, "meanwhile", True),
        (4, "call", "f", '{"a":1}', True),
        (5, "finish", None, "tool_calls", True),
        (5, "done", None, "", False),
    ]


def test_a_cut_call_is_malformed_out_of_tokens_or_nothing_at_all() -> None:
    cut = Call(name="f", args='{"a": "b')
    malformed = {
        "content": {},
        "finishReason": "MALFORMED_FUNCTION_CALL",
        "finishMessage": 'Malformed function call: f({"a": "b',
    }
    assert [
        candidates(cut, TOOL_CALLS),
        candidates(cut, STOP),
        candidates(cut, Finish(reason="length")),
        candidates(cut, Stall(ns=1), Disconnect(how="cut")),
        candidates(Call(name="f"), Disconnect(how="cut")),
        candidates(cut, Finish(reason="tool_calls", wire="OTHER")),
    ] == [
        [malformed],
        [malformed],
        [{"content": {"parts": [{"text": ""}]}, "finishReason": "MAX_TOKENS"}],
        [],
        [],
        [{"finishReason": "OTHER"}],
    ]


@pytest.mark.parametrize("args", ["[]", "1", "nul", '{"a": NaN}', '{"a": 1e999}', "{" * 100_000])
def test_arguments_that_are_no_object_are_malformed(args: str) -> None:
    ((found, *_),) = [candidates(Call(name="f", args=args), TOOL_CALLS)]
    assert isinstance(found, dict)
    assert found["finishReason"] == "MALFORMED_FUNCTION_CALL"


def test_a_malformed_call_is_no_call_and_no_good_end_for_the_trace() -> None:
    steps = (Call(name="f", args="{"), TOOL_CALLS)
    turn = turn_of(f.about for f in GEMINI.stream(StreamReply(steps=steps), ask(), number=1, created=0))
    assert (turn.calls, turn.finish, turn.done) == ((), "error", True)


def test_every_end_has_its_word() -> None:
    reasons: list[FinishReason] = ["stop", "tool_calls", "stop_sequence", "length", "context_window"]
    filtered: list[FinishReason] = ["content_filter", "refusal", "error"]
    ends = [*(Finish(reason=r) for r in (*reasons, *filtered)), Finish(reason="pause", wire="RECITATION")]
    found = [(c["finishReason"], "content" in c) for e in ends for c in candidates(e) if isinstance(c, dict)]
    assert found == [
        ("STOP", True),
        ("STOP", True),
        ("STOP", True),
        ("MAX_TOKENS", True),
        ("MAX_TOKENS", True),
        ("SAFETY", False),
        ("SAFETY", False),
        ("OTHER", False),
        ("RECITATION", False),
    ]


def test_a_refusal_is_a_text_and_its_finish() -> None:
    assert candidates(Refuse(text="no"), Finish(reason="refusal")) == [said("no"), {"finishReason": "SAFETY"}]


@pytest.mark.parametrize(
    ("steps", "detail", "text"),
    [
        ((Call(name="f"), Name(text="g")), SSE, "this wire sends the name of a call in one piece: write it whole"),
        ((Call(name="f", index=NO_INDEX),), SSE, "calls have no index on this wire that could be left out"),
        ((Args(text="{}"),), SSE, "no call is open that these arguments could belong to"),
        ((Chunk(kind="null"),), SSE, "a stream of events has no chunk that is 'null' on this wire"),
        ((Chunk(kind="comment"),), ARRAY, "a stream of an array has no chunk that is 'comment' on this wire"),
        ((Finish(reason="pause"),), SSE, "this wire has no word for the end 'pause': give `wire`"),
        ((Fault(text="x", form="nested"),), SSE, "this wire has no error of the form 'nested', only 'event'"),
        (
            (Garble(how="unended"), Say(text="x")),
            ARRAY,
            "the elements of an array have no end of their own that could be missing",
        ),
    ],
)
def test_what_this_wire_cannot_carry_is_refused_by_name(steps: tuple[Step, ...], detail: str, text: str) -> None:
    with pytest.raises(UnplayableError) as refused:
        bodies(*steps, detail=detail)
    assert str(refused.value) == text


# -- the counts --
def test_counts_grow_to_what_the_script_says() -> None:
    steps = (Think(text="x" * 400), Say(text="y" * 12), Say(text="z" * 400), COUNT, STOP)
    assert counts(*steps) == [(12, 0, 4, 16), (12, 3, 4, 19), (12, 30, 4, 46), (12, 30, 4, 46)]


def test_counts_without_a_script_come_from_the_lengths() -> None:
    steps = (Chunk(kind="empty"), Think(text="x" * 8), Say(text="y" * 8), STOP)
    read = counts(STOP)[0]
    assert isinstance(read, tuple)
    assert [c[1:3] for c in counts(*steps) if isinstance(c, tuple)] == [(0, 0), (0, 3), (2, 3), (2, 3)]
    assert {c[0] for c in counts(*steps) if isinstance(c, tuple)} == {read[0]}


def test_an_empty_chunk_only_counts() -> None:
    (chunk,) = chunks(Chunk(kind="empty"))
    assert list(chunk) == ["usageMetadata", "modelVersion", "responseId"]


# -- the two forms --
def test_the_closing_marker_is_nothing_as_events_and_a_bracket_in_the_array() -> None:
    assert [bodies(STOP)[-1], bodies(STOP, detail=ARRAY)[-1], bodies(Done()), bodies(Done(), detail=ARRAY)] == [
        b"",
        b"]",
        [b""],
        [b"[]"],
    ]


def test_the_array_holds_the_same_chunks_and_begins_each_with_its_comma() -> None:
    steps = (Say(text="a"), Call(name="f", args="{}"), TOOL_CALLS)
    events = [json.loads(message.data) for message in decode(b"".join(bodies(*steps)))]
    assert chunks(*steps) == events
    assert [data[:3] for data in bodies(*steps, detail=ARRAY)] == [b"[{\n", b",\r\n", b",\r\n", b"]"]


def test_a_broken_off_array_has_no_end() -> None:
    assert array(Say(text="a"), Disconnect(how="eof"))[-4:] == b'"\n}\n'


def test_an_array_can_hold_raw_bytes_and_repetitions() -> None:
    body = array(Say(text="a"), Repeat(times=1), Raw(data=b" \n"), STOP)
    assert [len(json.loads(body)), body.count(b" \n,")] == [3, 1]


def test_an_error_stands_bare_between_frames_and_ends_an_array() -> None:
    fault = Fault(text="overloaded")
    bare = b'{\n  "error": {\n    "code": 503,\n    "message": "overloaded",\n    "status": "UNAVAILABLE"\n  }\n}\n'
    assert [bodies(Say(text="a"), fault)[-1], array(fault)] == [bare, b"[" + bare + b"]"]


def test_an_error_can_be_named_by_status_and_by_number() -> None:
    faults = [
        Fault(text="x", type="RESOURCE_EXHAUSTED"),
        Fault(text="x", code="500"),
        Fault(text="x", code="CANCELLED"),
        Fault(text="x", code="524"),
        Fault(text="x", type="ODD", code="418"),
    ]
    found = [json.loads(bodies(fault)[0])["error"] for fault in faults]
    assert [(e["code"], e["status"]) for e in found] == [
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (499, "CANCELLED"),
        (524, "INTERNAL"),
        (418, "ODD"),
    ]


def test_the_media_type_and_the_silent_line_fit_the_form() -> None:
    assert [GEMINI.media_type(ask(SSE)), GEMINI.media_type(ask(ARRAY)), GEMINI.keepalive(ask())] == [
        "text/event-stream",
        "application/json; charset=UTF-8",
        b"\r\n",
    ]


@pytest.mark.parametrize("name", ["text", "two_calls"])
def test_the_bytes_are_those_of_the_fixture(name: str) -> None:
    scripts: dict[str, Sequence[Step]] = {
        "text": (Say(text="Hel"), Say(text="lo, Zoë"), Usage(input_tokens=7, output_tokens=5), STOP),
        "two_calls": (
            Think(text="Let me see.", signature="c2ln"),
            Call(name="read_file", args='{"path":'),
            Args(text='"a.txt"}'),
            Call(name="list_files", id="mine"),
            COUNT,
            TOOL_CALLS,
        ),
    }
    origin, _, body = (FIXTURES / f"{name}.sse").read_bytes().partition(b"\n\n")
    assert origin.startswith(b": origin: ")
    assert b"".join(bodies(*scripts[name])) == body


# -- whole bodies --
def test_a_whole_body_joins_the_pieces_and_is_finished_in_any_case() -> None:
    thought = Think(text="hm", signature="c2ln")
    body = json.loads(whole_body(Say(text="Hello", pieces=3), thought, thought, Call(name="f", args="{}")))
    (candidate,) = body["candidates"]
    signed = {"text": "hm", "thought": True, "thoughtSignature": "c2ln"}
    called = {"functionCall": {"name": "f", "args": {}, "id": "call_1_0"}}
    assert candidate == {
        "content": {"parts": [{"text": "Hello"}, signed, signed, called], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
    }


def test_an_error_in_the_middle_is_all_of_a_whole_body() -> None:
    assert json.loads(whole_body(Say(text="x"), Fault(text="busy"))) == {
        "error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}
    }


# -- the official SDK is the judge --
@given(ANSWERS)
def test_every_chunk_is_a_response_of_the_sdk_and_holds_nothing_else(answer: Answer) -> None:
    steps = (Chunk(kind="empty"), *steps_of(answer)[:-1], COUNT, Finish(reason="error"))
    for chunk in [*chunks(*steps), json.loads(whole_body(*steps[1:]))]:
        # The type forbids what it does not know.
        types.GenerateContentResponse.model_validate(chunk)


@few
@given(ANSWERS)
def test_every_face_of_the_sdk_tells_what_was_scripted(sdk: GeminiSdk, answer: Answer) -> None:
    steps = steps_of(answer)
    found = [sdk.stream(*steps), sdk.stream_async(*steps), sdk.whole(*steps), sdk.whole_async(*steps)]
    assert found == [scripted(answer)] * 4


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((Refuse(text="no"), Finish(reason="refusal")), ("no", "", [], "SAFETY")),
        ((Say(text="a"), Finish(reason="content_filter")), ("a", "", [], "SAFETY")),
        ((Say(text="a"), Finish(reason="length")), ("a", "", [], "MAX_TOKENS")),
        ((Say(text="a"), Finish(reason="error")), ("a", "", [], "OTHER")),
        ((Say(text="a"), Finish(reason="stop", wire="RECITATION")), ("a", "", [], "RECITATION")),
        ((Say(text="a"), Call(name="f", args='{"a'), TOOL_CALLS), ("a", "", [], "MALFORMED_FUNCTION_CALL")),
        ((Call(name="f", args='{"a'), Finish(reason="length")), ("", "", [], "MAX_TOKENS")),
        ((Think(text="hm"), Call(name="f"), Call(name="f"), TOOL_CALLS), ("", "hm", [("f", {}), ("f", {})], "STOP")),
        ((STOP,), ("", "", [], "STOP")),
    ],
)
def test_every_kind_of_answer_is_told_alike_by_every_face(
    sdk: GeminiSdk, steps: tuple[Step, ...], expected: Told
) -> None:
    found = [sdk.stream(*steps), sdk.stream_async(*steps), sdk.whole(*steps), sdk.whole_async(*steps)]
    assert found == [expected] * 4


def test_the_sdk_tells_counts_ids_signatures_and_model(sdk: GeminiSdk) -> None:
    steps = (Think(text="hm", signature="c2ln"), Call(name="f", id="mine", args="{}"), COUNT, TOOL_CALLS)
    sdk.script(steps)
    (response,) = [sdk.client.models.generate_content(model=MODEL, contents="hello")]
    usage, parts = response.usage_metadata, response.parts
    assert usage is not None
    assert parts is not None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (12, 30, 4)
    assert (response.model_version, response.response_id) == (MODEL, "sim-000001")
    assert [parts[0].thought_signature, parts[1].function_call and parts[1].function_call.id] == [b"sig", "mine"]


@few
@given(ANSWERS, st.data())
def test_bytes_cut_anywhere_tell_the_same(sdk: GeminiSdk, answer: Answer, data: st.DataObject) -> None:
    def cut(body: bytes) -> list[bytes]:
        edges = sorted({0, len(body), *data.draw(st.lists(st.integers(0, len(body)), max_size=8))})
        return [body[a:b] for a, b in pairwise(edges)]

    steps = steps_of(answer)
    assert [sdk.stream(*steps, cut=cut), sdk.stream_async(*steps, cut=cut)] == [scripted(answer)] * 2


def test_a_cut_at_every_offset_tells_the_same(sdk: GeminiSdk) -> None:
    steps = (Say(text="Zoë \u2028 😀"), Call(name="f", args='{"ä": "\\n"}'), TOOL_CALLS)
    length = len(b"".join(bodies(*steps)))

    def at(place: int) -> Callable[[bytes], list[bytes]]:
        return lambda body: [body[:place], body[place:]]

    found = [sdk.stream(*steps, cut=at(place)) for place in range(1, length)]
    single = sdk.stream_async(*steps, cut=lambda body: [body[n : n + 1] for n in range(length)])
    assert [*found, single] == [("Zoë \u2028 😀", "", [("f", {"ä": "\n"})], "STOP")] * length


def test_half_a_surrogate_pair_reaches_the_client(sdk: GeminiSdk) -> None:
    assert sdk.stream(Say(text="\ud800"), STOP)[0] == "\ud800"


def test_silent_lines_between_frames_are_not_seen(sdk: GeminiSdk) -> None:
    quiet = Raw(data=GEMINI.keepalive(ask()))
    assert sdk.stream(quiet, Say(text="hi"), quiet, quiet, STOP) == ("hi", "", [], "STOP")


def test_a_stream_that_ends_before_its_finish_is_silently_partial(sdk: GeminiSdk) -> None:
    assert sdk.stream(Say(text="Hel"), Disconnect(how="eof")) == ("Hel", "", [], None)


@pytest.mark.parametrize("how", ["json", "text"])
def test_a_frame_that_is_no_json_is_an_error(sdk: GeminiSdk, how: Damage) -> None:
    with pytest.raises(errors.UnknownApiResponseError):
        sdk.stream(Say(text="a"), Garble(how=how), Say(text="b"), STOP)


def test_this_sdk_reads_a_last_frame_without_end_and_marks_a_bad_byte(sdk: GeminiSdk) -> None:
    unended = sdk.stream(Say(text="a"), Garble(how="unended"), Say(text="b"), Disconnect(how="eof"))
    marked = sdk.stream(Garble(how="utf8"), Say(text="a" * 400), STOP)
    assert [unended[0], len(marked[0]), set(marked[0])] == ["ab", 401, {"a", "\ufffd"}]


def test_a_repeated_call_is_heard_twice_by_the_sdk_and_by_the_trace(sdk: GeminiSdk) -> None:
    steps = (Call(name="f", args="{}"), Repeat(times=2), TOOL_CALLS)
    frames = GEMINI.stream(StreamReply(steps=steps), ask(), number=1, created=0)
    heard = turn_of({**f.about, "times": f.times} for f in frames)
    assert [len(sdk.stream(*steps)[2]), len(heard.calls), len(heard.whole_calls())] == [3, 3, 3]


def test_an_error_in_mid_stream_is_raised_with_its_code(sdk: GeminiSdk) -> None:
    sdk.script([Say(text="a"), Fault(text="busy")])
    stream = sdk.client.models.generate_content_stream(model=MODEL, contents="hello")
    first = told([next(stream)])[0]
    with pytest.raises(errors.ServerError) as raised:
        next(stream)
    error = raised.value
    assert [first, error.code, error.status, error.message] == ["a", 503, "UNAVAILABLE", "busy"]


# -- chats, which send back what they got --
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


CALLS = (Say(text="One moment.", pieces=2), Call(name="weather", args='{"city": "Oslo"}'), TOOL_CALLS)
ANSWERED = (Say(text="It is sunny."), STOP)
# What the second request of a chat whose function was called says, in neutral words.
HISTORY = [
    ("user", "hi", [], []),
    ("assistant", "One moment.", [("weather", '{"city":"Oslo"}')], []),
    ("tool", "", [], ["sunny in Oslo"]),
]


def history(sdk: GeminiSdk, number: int) -> list[object]:
    read = sdk.asked[number]
    assert not isinstance(read, Refusal), read.text
    paired = {r.id for m in read.messages for r in m.results}
    assert {c.id for m in read.messages for c in m.calls} == paired
    return [(m.role, m.text, [c[1:] for c in m.calls], [r.text for r in m.results]) for m in read.messages]


def test_a_chat_runs_its_function_by_itself(sdk: GeminiSdk) -> None:
    sdk.script(CALLS, ANSWERED)
    chat = sdk.client.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[weather]))
    assert [told([chat.send_message("hi")]), history(sdk, 1)] == [("It is sunny.", "", [], "STOP"), HISTORY]


def test_a_streaming_chat_sends_its_chunks_back_and_is_not_refused(sdk: GeminiSdk) -> None:
    sdk.script(CALLS, ANSWERED)
    chat = sdk.client.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[weather]))
    answer = told(list(chat.send_message_stream("hi")))
    assert [answer[0], history(sdk, 1)] == ["One moment.It is sunny.", HISTORY]


def test_an_async_streaming_chat_does_the_same(sdk: GeminiSdk) -> None:
    async def talk() -> Told:
        chat = sdk.client.aio.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[weather]))
        return told([chunk async for chunk in await chat.send_message_stream("hi")])

    sdk.script(CALLS, ANSWERED)
    assert [asyncio.run(talk())[0], history(sdk, 1)] == ["One moment.It is sunny.", HISTORY]


def test_a_chat_whose_user_runs_the_function_pairs_by_id(sdk: GeminiSdk) -> None:
    sdk.script(CALLS, ANSWERED)
    off = types.AutomaticFunctionCallingConfig(disable=True)
    config = types.GenerateContentConfig(tools=[weather], automatic_function_calling=off)
    chat = sdk.client.chats.create(model=MODEL, config=config)
    (call,) = chat.send_message("hi").function_calls or []
    answer = types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny in Oslo"})
    found = told([chat.send_message(types.Part(function_response=answer))])
    assert [call.id, found[0], history(sdk, 1)] == ["call_1_0", "It is sunny.", HISTORY]


def test_a_chat_that_leaves_a_call_unanswered_is_refused(sdk: GeminiSdk) -> None:
    sdk.script(CALLS, ANSWERED)
    off = types.AutomaticFunctionCallingConfig(disable=True)
    config = types.GenerateContentConfig(tools=[weather], automatic_function_calling=off)
    chat = sdk.client.chats.create(model=MODEL, config=config)
    chat.send_message("hi")
    with pytest.raises(errors.ClientError, match="number of function response parts is equal") as raised:
        chat.send_message("never mind")
    assert [raised.value.code, raised.value.status] == [400, "INVALID_ARGUMENT"]

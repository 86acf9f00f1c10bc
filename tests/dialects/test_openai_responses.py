from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from simkit.contracts import JobDialect
from simkit.dialects.openai_responses import OPENAI_RESPONSES
from simkit.dialects.sse import keepalive_bytes
from simkit.dialects.turn import Turn, moves, turn_of
from simkit.dialects.turn import about as about_of
from simkit.errors import UnplayableError
from simkit.extensions import find
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Chunk,
    ChunkKind,
    Damage,
    Disconnect,
    Done,
    ErrorForm,
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
from tests.dialects.responses_sdk import (
    ENCRYPTED,
    EVENT,
    ResponsesSdk,
    ask,
    bodies,
    events,
    frames,
    strangers,
    told,
    whole_body,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "openai_responses"
STOP, TOOL_CALLS = Finish(reason="stop"), Finish(reason="tool_calls")
PLAIN = ask(stream_options={"include_obfuscation": False})
# The SDK's async client starts a loop for each example; twenty are enough to meet every branch.
few = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="module")
def sdk() -> ResponsesSdk:
    return ResponsesSdk()


# A piece of an answer: what kind it is, and its text (of a call: its name, and its arguments in two pieces).
TEXT = st.text(min_size=1)
PIECES = st.one_of(
    st.builds(Say, text=st.text(), pieces=st.integers(1, 3)),
    st.builds(Think, text=TEXT, pieces=st.integers(1, 3)),
    st.builds(Refuse, text=TEXT),
)
CALLS = st.lists(st.tuples(TEXT, st.dictionaries(st.text(), st.text() | st.integers(), max_size=2)), max_size=3)
ANSWERS = st.tuples(st.lists(PIECES, max_size=4), CALLS, st.booleans())


def steps_of(answer: tuple[list[Step], list[tuple[str, dict[str, object]]], bool]) -> tuple[Step, ...]:
    """The pieces, then the calls (all opened before their arguments go on, where they interleave), then the end."""
    pieces, calls, interleaved = answer
    texts = [json.dumps(args) for _, args in calls]
    opened = [Call(name=name, args=text[:1]) for (name, _), text in zip(calls, texts, strict=True)]
    rest = [Args(text=text[1:], index=n) for n, text in enumerate(texts)]
    order = [*opened, *rest] if interleaved else [step for pair in zip(opened, rest, strict=True) for step in pair]
    refused = any(isinstance(piece, Refuse) for piece in pieces)
    return (*pieces, *order, Finish(reason="tool_calls" if calls else "refusal" if refused else "stop"))


def understood(*steps: Step) -> Turn:
    return turn_of(map(about_of, moves(steps, 1)))


def scripted(*steps: Step) -> dict[str, object]:
    turn = understood(*steps)
    return {
        "text": turn.text,
        "refusal": turn.refusal,
        "thoughts": turn.thoughts,
        "calls": [(c.id, c.tool, c.args) for c in turn.calls],
        "status": "completed",
    }


def order(*steps: Step) -> list[str]:
    return [str(event["type"]).removeprefix("response.") for event in events(bodies(*steps))]


def last(*steps: Step) -> dict[str, object]:
    return events(bodies(*steps))[-1]


def test_it_is_the_dialect_that_is_found_by_its_name() -> None:
    assert isinstance(find("dialects", "openai-responses"), JobDialect)
    assert find("dialects", "openai-responses") is OPENAI_RESPONSES


def test_it_claims_posts_of_responses_and_nothing_beside_them() -> None:
    asked = [
        ("POST", "/v1/responses"),
        ("POST", "/openai/v1/responses/"),
        ("GET", "/v1/responses"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("POST", "/v1/responses/compact"),
        ("POST", "/v1/chat/completions"),
    ]
    assert [OPENAI_RESPONSES.claims(*a) for a in asked] == [True, True, False, False, False, False]


# -- the events --
TEXT_ORDER = [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "completed",
]


def test_a_text_streams_in_the_order_of_the_api() -> None:
    assert order(Say(text="Hello"), STOP) == TEXT_ORDER


def test_a_call_streams_its_arguments_between_added_and_done() -> None:
    assert order(Call(name="f", args='{"a":'), Args(text="1}"), TOOL_CALLS)[2:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_a_thought_streams_as_a_summary() -> None:
    assert order(Think(text="hm"), STOP)[2:] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "completed",
    ]


def test_a_refusal_is_a_further_part_of_the_message() -> None:
    assert order(Say(text="I"), Refuse(text="No."), Finish(reason="refusal"))[2:] == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_a_background_request_is_told_that_it_is_queued() -> None:
    pieces = bodies(STOP, request=ask(background=True))
    seen = [(e["type"], e["response"]["status"], e["response"]["background"]) for e in events(pieces)]  # type: ignore[index]  # data of an event
    assert seen == [
        ("response.created", "queued", True),
        ("response.queued", "queued", True),
        ("response.in_progress", "in_progress", True),
        ("response.completed", "completed", True),
    ]


def test_every_event_has_the_next_sequence_number_and_its_type_as_event() -> None:
    pieces = bodies(Think(text="a"), Say(text="b"), Call(name="f"), TOOL_CALLS)
    assert [e["sequence_number"] for e in events(pieces)] == list(range(len(pieces)))
    assert [p.partition(b"\n")[0] for p in pieces] == [f"event: {e['type']}".encode() for e in events(pieces)]


def test_interleaved_arguments_go_to_the_item_of_their_call() -> None:
    steps = (Call(name="f", args="{"), Call(name="g", args="["), Args(text="}", index=0), Args(text="]"), TOOL_CALLS)
    deltas = [e for e in events(bodies(*steps)) if str(e["type"]).endswith("arguments.delta")]
    assert [(e["item_id"], e["output_index"], e["delta"]) for e in deltas] == [
        ("fc_sim_000001_0", 0, "{"),
        ("fc_sim_000001_1", 1, "["),
        ("fc_sim_000001_0", 0, "}"),
        ("fc_sim_000001_1", 1, "]"),
    ]


def test_a_call_that_the_script_is_done_with_ends_before_the_next_item() -> None:
    kinds = order(Call(name="f", args="{}"), Call(name="g", args="{}"), TOOL_CALLS)
    assert [k for k in kinds if k.startswith("output_item")] == [
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "output_item.done",
    ]


def test_two_calls_on_one_index_are_two_items_on_one_output_index(sdk: ResponsesSdk) -> None:
    pieces = bodies(Say(text="x"), Call(name="f", index=0), Call(name="g", index=0), TOOL_CALLS)
    added = [e["output_index"] for e in events(pieces) if e["type"] == "response.output_item.added"]
    assert added == [0, 1, 1]
    with pytest.raises(RuntimeError, match="Duplicate response output index 1"):
        sdk.helper(pieces)


def test_a_piece_of_no_call_goes_to_an_item_that_nobody_has_heard_of(sdk: ResponsesSdk) -> None:
    with pytest.raises(RuntimeError, match="before receiving its output item"):
        sdk.helper(bodies(Args(text="{}"), STOP))


def test_padding_fills_a_text_up_to_sixteenths_unless_it_is_declined() -> None:
    def padded(text: str, declined: bool) -> object:
        return events(bodies(Say(text=text), request=PLAIN if declined else None))[-1].get("obfuscation")

    assert [padded(t, False) for t in ("}", "Hello world, hi!")] == ["obfuscatedstrea", ""]
    assert padded("Hello", True) is None


def test_frames_come_in_step_order_and_the_leading_events_with_the_first_move() -> None:
    steps = (Wait(ns=1), Say(text="a"), Stall(ns=1), Call(name="f", args="{}"), TOOL_CALLS)
    seen = [(f.step, f.about["is"], f.about["progress"]) for f in frames(*steps)]
    mark = "mark"
    assert seen == [
        *[(1, mark, False)] * 4,
        (1, "say", True),
        *[(3, mark, False)] * 3,
        (3, "call", True),
        (3, "args", True),
        *[(4, mark, False)] * 2,
        (4, "finish", True),
    ]


def test_silence_alone_sends_nothing() -> None:
    assert bodies(Stall(ns=1), Disconnect(how="eof")) == []


def test_a_client_knows_the_finish_only_with_the_last_event() -> None:
    sent = frames(Say(text="hi"), Call(name="f", args="{}"), TOOL_CALLS)
    turns = [turn_of(f.about for f in sent[:n]) for n in (0, 5, 8, 9, 10, len(sent) - 1, len(sent))]
    assert [(t.text, len(t.calls), len(t.whole_calls()), t.finish) for t in turns] == [
        ("", 0, 0, None),
        ("hi", 0, 0, None),
        ("hi", 0, 0, None),
        ("hi", 1, 0, None),
        ("hi", 1, 1, None),
        ("hi", 1, 1, None),
        ("hi", 1, 1, "tool_calls"),
    ]


@pytest.mark.parametrize("name", ["text", "tools"])
def test_the_bytes_are_those_of_the_fixture(name: str) -> None:
    scripts: dict[str, tuple[Step, ...]] = {
        "text": (Say(text="Hel"), Say(text="lo, Zoë"), Usage(input_tokens=12, output_tokens=34), STOP),
        "tools": (
            Think(text="Two files."),
            Say(text="Looking."),
            Call(name="read_file", args='{"path":'),
            Call(name="read_file", args='{"path":"b.txt"}'),
            Args(text='"a.txt"}', index=0),
            TOOL_CALLS,
        ),
    }
    origin, _, body = (FIXTURES / f"{name}.sse").read_bytes().partition(b"\n\n")
    assert origin.startswith(b": origin: ")
    assert b"".join(bodies(*scripts[name], request=PLAIN)) == body


# -- the official SDK is the judge --
@given(ANSWERS, st.booleans())
def test_every_event_is_an_event_of_the_sdk(
    answer: tuple[list[Step], list[tuple[str, dict[str, object]]], bool], encrypted: bool
) -> None:
    request = ask(background=encrypted, **(ENCRYPTED if encrypted else {}))
    for event in events(bodies(*steps_of(answer), request=request)):
        # The padding is the one field that the API sends and the SDK's types do not know.
        event.pop("obfuscation", None)
        parsed = EVENT.validate_python(event, strict=True)
        assert (parsed.type, strangers(parsed)) == (event["type"], [])


@few
@given(ANSWERS)
def test_every_face_of_the_sdk_tells_what_was_scripted(
    sdk: ResponsesSdk, answer: tuple[list[Step], list[tuple[str, dict[str, object]]], bool]
) -> None:
    steps = steps_of(answer)
    pieces = bodies(*steps)
    ends = [sdk.raw(pieces)[-1], sdk.raw_async(pieces)[-1]]
    finals = [e.response for e in ends if e.type == "response.completed"]
    finals += [sdk.helper(pieces), sdk.helper_async(pieces), sdk.whole(whole_body(*steps))]
    assert [told(f) for f in finals] == [scripted(*steps)] * 5


@few
@given(ANSWERS, st.data())
def test_bytes_cut_anywhere_tell_the_same(
    sdk: ResponsesSdk, answer: tuple[list[Step], list[tuple[str, dict[str, object]]], bool], data: st.DataObject
) -> None:
    body = b"".join(bodies(*steps_of(answer)))
    edges = sorted({0, len(body), *data.draw(st.lists(st.integers(0, len(body)), max_size=8))})
    assert told(sdk.helper([body[a:b] for a, b in pairwise(edges)])) == scripted(*steps_of(answer))


def test_every_place_to_cut_in_two_tells_the_same(sdk: ResponsesSdk) -> None:
    # Deltas alone, since the other events hold a whole response and make the stream long.
    body = b"".join(bodies(Say(text="Zoë"), Say(text="😀"), request=PLAIN)[-2:])
    raw = (sdk.raw([body[:n], body[n:]]) for n in range(len(body)))
    assert {"".join(e.delta for e in heard if e.type == "response.output_text.delta") for heard in raw} == {"Zoë😀"}


def test_every_single_byte_by_itself_tells_the_same(sdk: ResponsesSdk) -> None:
    steps = (Say(text="Zoë 😀"), Call(name="f", args='{"ä": "\\n"}'), TOOL_CALLS)
    body = b"".join(bodies(*steps))
    assert told(sdk.helper([body[n : n + 1] for n in range(len(body))])) == scripted(*steps)


def test_half_a_surrogate_pair_reaches_the_client(sdk: ResponsesSdk) -> None:
    assert sdk.helper(bodies(Say(text="\ud800"), STOP)).output_text == "\ud800"


def test_a_keep_alive_between_frames_is_not_seen(sdk: ResponsesSdk) -> None:
    pieces = [p for frame in bodies(Say(text="hi"), STOP) for p in (keepalive_bytes(), frame)]
    assert sdk.helper(pieces).output_text == "hi"


# -- ends --
@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [
        ("stop", "completed", None),
        ("stop_sequence", "completed", None),
        ("refusal", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("context_window", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("error", "failed", None),
    ],
)
def test_every_reason_has_its_last_event(sdk: ResponsesSdk, reason: FinishReason, status: str, why: str | None) -> None:
    steps = (Say(text="Hel"), Finish(reason=reason))
    event = sdk.raw(bodies(*steps))[-1]
    assert event.type in ("response.completed", "response.incomplete", "response.failed")
    assert event.type == f"response.{status}"
    for response in (event.response, sdk.whole(whole_body(*steps))):
        details = response.incomplete_details
        assert (response.status, details and details.reason, response.output_text) == (status, why, "Hel")
        assert (response.error is not None, response.usage is None) == (status == "failed",) * 2


def test_a_script_has_its_own_word_for_what_is_incomplete() -> None:
    steps = [(Finish(reason="length", wire="steered"),), (Finish(reason="error", wire="vector_store_timeout"),)]
    responses = [json.loads(whole_body(*s)) for s in steps]
    assert [r["incomplete_details"] for r in responses] == [{"reason": "steered"}, None]
    assert [r["error"] and r["error"]["code"] for r in responses] == [None, "vector_store_timeout"]


def test_what_is_cut_off_by_its_length_is_incomplete_as_an_item_too() -> None:
    output = json.loads(whole_body(Say(text="a"), Call(name="f", args='{"a'), Finish(reason="length")))["output"]
    assert [(item["type"], item["status"]) for item in output] == [
        ("message", "completed"),
        ("function_call", "incomplete"),
    ]


def test_a_stream_can_be_closed_between_its_items_and_its_last_event(sdk: ResponsesSdk) -> None:
    pieces = bodies(Say(text="hi"), STOP, Disconnect(how="eof"))
    assert [e.type for e in sdk.raw(pieces)][-1] == "response.output_item.done"
    with pytest.raises(RuntimeError, match=r"Didn't receive a `response\.completed`"):
        sdk.helper(pieces)


def test_a_stream_that_breaks_off_leaves_its_items_open(sdk: ResponsesSdk) -> None:
    assert [e.type for e in sdk.raw(bodies(Say(text="Hel"), Disconnect(how="cut")))][-1] == "response.output_text.delta"


def test_the_last_event_alone_completes_what_is_still_open() -> None:
    event = last(Say(text="hi"), Done())
    response = event["response"]
    assert isinstance(response, dict)
    assert (event["type"], response["output"][0]["status"]) == ("response.completed", "in_progress")
    assert [f.about["is"] for f in frames(Say(text="hi"), Done())][-1] == "done"


# -- errors in the middle --
def test_a_flat_error_is_yielded_by_the_sdk_and_not_raised(sdk: ResponsesSdk) -> None:
    event = sdk.raw(bodies(Say(text="Hel"), Fault(text="Overloaded", code="overloaded")))[-1]
    assert event.type == "error"
    assert (event.code, event.message, event.param, event.sequence_number) == ("overloaded", "Overloaded", None, 5)


def test_a_nested_error_is_raised_by_the_sdk(sdk: ResponsesSdk) -> None:
    fault = Fault(text="Too long", type="invalid_request_error", code="context_length_exceeded", form="nested")
    pieces = bodies(fault)
    assert events(pieces)[-1] == {
        "type": "error",
        "sequence_number": 2,
        "error": {
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
            "message": "Too long",
            "param": None,
        },
    }
    with pytest.raises(openai.APIError, match="Too long"):
        sdk.raw(pieces)


def test_a_failed_response_holds_the_error_and_only_what_was_finished(sdk: ResponsesSdk) -> None:
    fault = Fault(text="Broken", form="failed")
    steps = (Call(name="f", args="{}"), Say(text="Hel"), fault)
    event = sdk.raw(bodies(*steps))[-1]
    assert event.type == "response.failed"
    for response in (event.response, sdk.whole(whole_body(*steps))):
        assert response.error is not None
        assert (response.error.code, response.error.message) == ("server_error", "Broken")
        assert [item.type for item in response.output] == ["function_call"]


@pytest.mark.parametrize("form", ["event", "nested", "failed"])
def test_an_error_is_told_in_the_trace_and_its_code_has_a_default(form: ErrorForm) -> None:
    frame = frames(Say(text="x"), Fault(text="Broken", form=form))[-1]
    assert (frame.about["is"], frame.about["text"]) == ("error", "Broken")
    assert b'"code":"server_error"' in frame.data


# -- damage --
def test_a_repeated_frame_repeats_its_sequence_number(sdk: ResponsesSdk) -> None:
    sent = frames(Say(text="ha"), Repeat(times=2), STOP)
    pieces = [f.data for f in sent for _ in range(f.times)]
    assert [e["sequence_number"] for e in events(pieces)] == [0, 1, 2, 3, 4, 4, 4, *range(5, 9)]
    assert [e.delta for e in sdk.raw(pieces) if e.type == "response.output_text.delta"] == ["ha"] * 3


def test_a_damaged_frame_is_no_json_and_the_rest_is_as_ever(sdk: ResponsesSdk) -> None:
    sent = frames(Say(text="a"), Garble(how="json"), Say(text="b"), STOP)
    assert [f.about["is"] for f in sent][4:6] == ["say", "garbled"]
    with pytest.raises(json.JSONDecodeError):
        sdk.raw([f.data for f in sent])


def test_bytes_as_they_are_stand_between_the_events() -> None:
    assert bodies(Say(text="a"), Raw(data=b": hello\n\n"), STOP)[5] == b": hello\n\n"


@pytest.mark.parametrize(("kind", "data"), [("blank", b"data:\n\n"), ("comment", b": ping\n\n")])
def test_a_frame_that_carries_nothing_has_no_sequence_number(kind: ChunkKind, data: bytes) -> None:
    pieces = bodies(Chunk(kind=kind), Say(text="a"))
    assert (pieces[0], events(pieces[1:])[0]["sequence_number"]) == (data, 0)


@pytest.mark.parametrize(
    "step",
    [
        Finish(reason="pause"),
        Finish(reason="stop", wire="end"),
        Chunk(kind="empty"),
        Chunk(kind="null"),
        Call(name="f", index=NO_INDEX),
        Name(text="f"),
    ],
    ids=repr,
)
def test_what_this_wire_cannot_carry_is_refused_by_its_step(step: Step) -> None:
    for play in (bodies, whole_body):
        with pytest.raises(UnplayableError) as refused:
            play(Call(name="f"), step)
        assert refused.value.step == 1
        assert ":" in str(refused.value)


def test_a_piece_without_an_index_is_refused() -> None:
    with pytest.raises(UnplayableError, match="output_index"):
        bodies(Call(name="f"), Args(text="{}", index=NO_INDEX))


@pytest.mark.parametrize("how", ["json", "text", "utf8"])
def test_a_whole_body_that_arrives_damaged_cannot_be_read(sdk: ResponsesSdk, how: Damage) -> None:
    # Broken JSON, or text that is no UTF-8.
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        sdk.whole(whole_body(Garble(how=how), Say(text="hi"), STOP))


@pytest.mark.parametrize("step", [Garble(how="unended"), Raw(data=b"x"), Repeat(times=1)], ids=repr)
def test_what_only_a_stream_can_hold_is_refused_in_a_whole_body(step: Step) -> None:
    with pytest.raises(UnplayableError, match="stream"):
        whole_body(Say(text="a"), step, STOP)


def test_an_error_in_the_middle_is_all_of_a_whole_body() -> None:
    error = {"message": "x", "type": "server_error", "param": None, "code": "server_error"}
    assert json.loads(whole_body(Say(text="a"), Fault(text="x"))) == {"error": error}


# -- reasoning --
def test_encrypted_reasoning_comes_only_when_it_is_asked_for() -> None:
    steps = (Think(text="a", signature="sig"), Think(text="b"), Think(text="c"), STOP)

    def items(**options: object) -> list[object]:
        output = json.loads(whole_body(*steps, request=ask(**options)))["output"]
        return [(i["summary"][0]["text"], i.get("encrypted_content")) for i in output]

    assert items() == [("a", None), ("bc", None)]
    assert items(**ENCRYPTED) == [("a", "sig"), ("bc", "encrypted_rs_sim_000001_1")]


def test_a_thought_without_words_is_an_item_without_a_summary() -> None:
    output = json.loads(whole_body(Think(text="", signature="sig"), STOP, request=ask(**ENCRYPTED)))["output"]
    assert output == [{"id": "rs_sim_000001_0", "type": "reasoning", "summary": [], "encrypted_content": "sig"}]


# -- the whole response --
def test_a_whole_body_is_a_response_of_the_sdk() -> None:
    request = ask(
        instructions="Be brief.",
        metadata={"a": "b"},
        reasoning={"effort": "low"},
        tools=[{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        conversation="conv_1",
        text={"verbosity": "low"},
    )
    body = json.loads(whole_body(Think(text="hm"), Say(text="hi"), Call(name="f"), TOOL_CALLS, request=request))
    parsed = Response.model_validate(body, strict=True)
    assert strangers(parsed) == []
    assert (parsed.id, parsed.created_at, parsed.completed_at) == ("resp_sim_000001", 1_767_225_600, 1_767_225_600)
    assert parsed.conversation is not None
    assert (parsed.instructions, parsed.metadata, parsed.conversation.id) == ("Be brief.", {"a": "b"}, "conv_1")


def test_a_whole_body_always_ends(sdk: ResponsesSdk) -> None:
    scripts: list[tuple[Step, ...]] = [(Say(text="hi"),), (Call(name="f"),), (), (Say(text="hi"), Done())]
    finals = [told(sdk.whole(whole_body(*steps))) for steps in scripts]
    assert [(f["text"], f["calls"], f["status"]) for f in finals] == [
        ("hi", [], "completed"),
        ("", [("call_1_0", "f", "{}")], "completed"),
        ("", [], "completed"),
        ("hi", [], "completed"),
    ]


def test_the_stream_and_the_whole_body_show_one_response() -> None:
    steps = (Think(text="hm"), Say(text="hi"), Call(name="f", args="{}"), TOOL_CALLS)
    assert last(*steps)["response"] == json.loads(whole_body(*steps))


def test_tokens_are_counted_as_the_script_says_or_from_the_texts(sdk: ResponsesSdk) -> None:
    count = Usage(input_tokens=3, output_tokens=4, cached_tokens=2, thinking_tokens=1)
    usages = [sdk.helper(bodies(*s)).usage for s in ((Say(text="x"), STOP, count), (Say(text="x" * 400), STOP))]
    assert [
        (
            u.input_tokens,
            u.input_tokens_details.cached_tokens,
            u.output_tokens,
            u.output_tokens_details.reasoning_tokens,
            u.total_tokens,
        )
        for u in usages
        if u
    ] == [(3, 2, 4, 1, 7), (2, 0, 101, 0, 103)]


# -- the way back --
@given(ANSWERS, st.booleans())
def test_what_is_heard_from_a_stream_is_the_same_turn(
    answer: tuple[list[Step], list[tuple[str, dict[str, object]]], bool], encrypted: bool
) -> None:
    steps = steps_of(answer)
    body = b"".join(bodies(*steps, request=ask(**(ENCRYPTED if encrypted else {}))))
    assert understood(*OPENAI_RESPONSES.hear(body, streamed=True)) == understood(*steps)


@given(ANSWERS)
def test_what_is_heard_from_a_whole_body_is_the_same_turn(
    answer: tuple[list[Step], list[tuple[str, dict[str, object]]], bool],
) -> None:
    steps = steps_of(answer)
    heard = OPENAI_RESPONSES.hear(whole_body(*steps), streamed=False)
    assert understood(*heard) == understood(*steps)


@pytest.mark.parametrize(
    "steps",
    [
        (Say(text="a"), Finish(reason="length")),
        (Say(text="a"), Finish(reason="content_filter")),
        (Say(text="a"), Finish(reason="length", wire="steered")),
        (Say(text="a"), Fault(text="x", code="c", form="failed")),
        (Say(text="a"), Fault(text="x", code="c")),
        (Say(text="a"), Fault(text="x", type="t", code="c", form="nested")),
    ],
    ids=repr,
)
def test_an_end_is_heard_in_its_own_form(steps: tuple[Step, ...]) -> None:
    heard = OPENAI_RESPONSES.hear(b"".join(bodies(*steps)), streamed=True)
    assert tuple(step for step in heard if not isinstance(step, Usage)) == steps


def test_a_stream_that_was_cut_has_no_finish() -> None:
    body = b"".join(bodies(Say(text="a"), Call(name="f", args='{"a'), STOP))
    cut = body[: body.index(b"event: response.function_call_arguments.done")]
    assert OPENAI_RESPONSES.hear(cut, streamed=True) == (
        Say(text="a"),
        Call(name="f", id="call_1_0", index=0),
        Args(text='{"a', index=0),
    )


def test_what_is_damaged_is_left_out() -> None:
    body = b"".join(bodies(Say(text="a"), Garble(how="utf8"), Say(text="b"), Say(text="c")))
    assert OPENAI_RESPONSES.hear(body, streamed=True) == (Say(text="a"), Say(text="c"))


def test_a_stream_of_a_last_event_alone_is_read_from_its_output() -> None:
    steps = (Think(text="hm"), Say(text="hi"), Refuse(text="no"), Call(name="f", args="{}"), TOOL_CALLS)
    assert understood(*OPENAI_RESPONSES.hear(bodies(*steps)[-1], streamed=True)) == understood(*steps)


@given(st.binary() | st.text().map(str.encode) | st.from_regex(rb"(data: [{\[].{0,40}\n\n){1,3}"), st.booleans())
def test_nothing_that_is_heard_raises(body: bytes, streamed: bool) -> None:
    assert isinstance(OPENAI_RESPONSES.hear(body, streamed=streamed), tuple)


WORDS = st.sampled_from(
    ["type", "response", "item", "delta", "output", "status", "error", "usage", "summary", "content"],
)
VALUES = st.sampled_from(
    [
        *("response.completed", "response.output_item.added", "response.output_item.done", "function_call"),
        *("reasoning", "completed", "failed", "incomplete", "error", "message"),
    ],
)
JUNK = st.recursive(
    st.none() | st.integers() | VALUES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(st.dictionaries(WORDS, JUNK, max_size=5))
def test_no_shape_of_json_that_is_heard_raises(value: dict[str, object]) -> None:
    body = json.dumps(value).encode()
    assert isinstance(OPENAI_RESPONSES.hear(body, streamed=False), tuple)
    assert isinstance(OPENAI_RESPONSES.hear(b"data: " + body + b"\n\n", streamed=True), tuple)


def test_the_same_script_gives_the_same_bytes() -> None:
    steps = (Think(text="hm"), Say(text="hi"), Call(name="f"), TOOL_CALLS)
    reply = StreamReply(steps=steps)
    runs = [list(OPENAI_RESPONSES.stream(reply, ask(), number=n, created=5)) for n in (1, 1, 2)]
    assert (runs[0] == runs[1], runs[0] == runs[2]) == (True, False)

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import anthropic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from simkit.contracts import CompletionRequest, Dialect
from simkit.dialects.anthropic_messages import ANTHROPIC
from simkit.dialects.anthropic_requests import sign
from simkit.dialects.sse import decode
from simkit.dialects.turn import turn_of
from simkit.errors import UnplayableError
from simkit.extensions import find
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Chunk,
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
from tests.dialects.anthropic_sdk import Sdk, ask, bodies, whole_body

FIXTURES = Path(__file__).parents[2] / "fixtures" / "anthropic_messages"
STOP, TOOL_CALLS = Finish(reason="stop"), Finish(reason="tool_calls")
EVENTS: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
# A block as it is scripted, and as the SDK must tell it.
Told = tuple[str, object, object]
BLOCKS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.lists(st.text(), min_size=1, max_size=3), st.none()),
        st.tuples(st.just("thinking"), st.lists(st.text(), min_size=1, max_size=2), st.text(min_size=1) | st.none()),
        st.tuples(
            st.just("tool_use"),
            st.text(min_size=1),
            st.dictionaries(st.text(), st.text() | st.integers(), max_size=3),
        ),
    ),
    max_size=4,
)
# The SDK's async client starts a loop for each example; twenty are enough to meet every branch.
few = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="module")
def sdk() -> Sdk:
    return Sdk()


def steps_of(blocks: Sequence[Told]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for kind, first, second in blocks:
        match kind, first, second:
            case "text", list(texts), _:
                steps += [Say(text=text) for text in texts]
            case "thinking", list(texts), signature:
                steps += [Think(text=text) for text in texts[:-1]]
                steps.append(Think(text=texts[-1], signature=signature if isinstance(signature, str) else None))
            case _, name, args:
                steps.append(Call(name=str(name), args=json.dumps(args)))
    return (*steps, TOOL_CALLS if any(kind == "tool_use" for kind, _, _ in blocks) else STOP)


def scripted(blocks: Sequence[Told]) -> object:
    """What a client must have at the end: neighbours of one kind are one block, unless a signature ended the first."""
    told: list[Told] = []
    for kind, first, second in blocks:
        value = "".join(first) if isinstance(first, list) else first
        last = told[-1] if told else ("", "", None)
        if kind == last[0] and kind != "tool_use" and last[2] is None:
            told[-1] = (kind, f"{last[1]}{value}", second)
        else:
            told.append((kind, value, second))
    signed = [(k, v, sign(str(v)) if k == "thinking" and s is None else s) for k, v, s in told]
    return signed, "tool_use" if any(kind == "tool_use" for kind, _, _ in blocks) else "end_turn"


def told(message: Message) -> object:
    """The same in the SDK's own final object."""
    blocks: list[Told] = []
    for block in message.content:
        match block.type:
            case "text":
                blocks.append(("text", block.text, None))
            case "thinking":
                blocks.append(("thinking", block.thinking, block.signature))
            case "tool_use":
                blocks.append(("tool_use", block.name, block.input))
    return blocks, message.stop_reason


def events(*steps: Step, request: CompletionRequest | None = None) -> list[str]:
    """Each event in short: its type, its block, and what it brings."""
    return [short(data) for data in bodies(*steps, request=request)]


def short(data: bytes) -> str:
    event = json.loads(next(decode(data)).data)
    match event:
        case {"index": index, "content_block": block}:
            return f"{index} {block['type']}"
        case {"index": index, "delta": delta}:
            brought = [str(value) for key, value in delta.items() if key != "type"]
            return " ".join([str(index), "+", *brought])
        case {"index": index}:
            return f"{index} stop"
        case {"type": "message_delta", "delta": delta}:
            return f"message_delta {delta['stop_reason']}"
    return str(event["type"])


def test_it_is_the_dialect_that_is_found_by_its_name() -> None:
    assert isinstance(find("dialects", "anthropic"), Dialect)
    assert find("dialects", "anthropic") is ANTHROPIC


def test_it_claims_posts_of_messages_under_any_base() -> None:
    asked = [
        ("POST", "/v1/messages"),
        ("POST", "/proxy/v1/messages/"),
        ("GET", "/v1/messages"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/complete"),
    ]
    assert [ANTHROPIC.claims(*a) for a in asked] == [True, True, False, False, False, False]


# -- the events --
def test_a_text_streams_as_one_block_and_a_ping_follows_its_start() -> None:
    assert events(Say(text="Hel"), Wait(ns=1), Say(text="lo"), STOP) == [
        "message_start",
        "0 text",
        "ping",
        "0 + Hel",
        "0 + lo",
        "0 stop",
        "message_delta end_turn",
        "message_stop",
    ]


def test_blocks_open_and_close_as_the_kinds_of_moves_change() -> None:
    steps = (Think(text="hm"), Say(text="a"), Refuse(text="b"), Call(name="f", args='{"x":1}'), Say(text="c"), STOP)
    assert events(*steps) == [
        "message_start",
        "0 thinking",
        "ping",
        "0 + hm",
        f"0 + {sign('hm')}",
        "0 stop",
        "1 text",
        "1 + a",
        "1 + b",
        "1 stop",
        "2 tool_use",
        "2 + ",
        '2 + {"x":1}',
        "2 stop",
        "3 text",
        "3 + c",
        "3 stop",
        "message_delta end_turn",
        "message_stop",
    ]


def test_a_signature_of_the_script_follows_its_thought_and_ends_it() -> None:
    steps = (Think(text="ab", signature="mine", pieces=2), Think(text="c", signature="too"), Disconnect(how="cut"))
    assert events(*steps) == [
        "message_start",
        "0 thinking",
        "ping",
        "0 + a",
        "0 + b",
        "0 + mine",
        "0 stop",
        "1 thinking",
        "1 + c",
        "1 + too",
    ]


def test_parallel_calls_are_consecutive_blocks() -> None:
    assert events(Call(name="f"), Call(name="g", args="{}"), TOOL_CALLS) == [
        "message_start",
        "0 tool_use",
        "ping",
        "0 + ",
        "0 + {}",
        "0 stop",
        "1 tool_use",
        "1 + ",
        "1 + {}",
        "1 stop",
        "message_delta tool_use",
        "message_stop",
    ]


def test_a_call_stays_open_while_pieces_for_it_are_to_come() -> None:
    steps = (Call(name="f"), Call(name="g"), Args(text="{", index=0), Args(text="{}"), Args(text="}", index=0))
    assert events(*steps, Say(text="x"), TOOL_CALLS)[1:] == [
        "0 tool_use",
        "ping",
        "1 tool_use",
        "0 + ",
        "0 + {",
        "1 + ",
        "1 + {}",
        "0 + }",
        "0 stop",
        "1 stop",
        "2 text",
        "2 + x",
        "2 stop",
        "message_delta tool_use",
        "message_stop",
    ]


def test_a_stream_cut_in_mid_json_leaves_its_block_open() -> None:
    assert events(Call(name="f", args='{"a'), Disconnect(how="cut"))[-2:] == ["0 + ", '0 + {"a']


def test_silence_alone_sends_nothing_and_the_marker_comes_alone() -> None:
    assert [events(Stall(ns=1), Disconnect(how="eof")), events(Done()), events(Fault(text="no"))] == [
        [],
        ["message_stop"],
        ["error"],
    ]


def test_an_empty_chunk_is_an_empty_delta_of_the_open_block() -> None:
    steps = (Say(text="a"), Chunk(kind="empty"), Call(name="f"), Chunk(kind="empty"), Disconnect(how="cut"))
    assert events(*steps)[3:] == ["0 + a", "0 + ", "0 stop", "1 tool_use", "1 + "]


def test_chunks_that_no_client_hears_stand_between_the_events(sdk: Sdk) -> None:
    hollow = [Chunk(kind=kind) for kind in ("blank", "comment", "meta")]
    steps = (hollow[1], Say(text="a"), *hollow, Say(text="b"), STOP)
    assert told(sdk.helper(bodies(*steps))) == ([("text", "ab", None)], "end_turn")


def test_every_reason_has_the_word_of_the_wire_and_one_may_be_given() -> None:
    reasons: list[FinishReason] = ["stop", "length", "tool_calls", "content_filter", "refusal", "stop_sequence"]
    reasons += ["context_window", "pause"]
    finishes = [*(Finish(reason=r) for r in reasons), Finish(reason="error", wire="compaction")]
    assert [events(f)[1].removeprefix("message_delta ") for f in finishes] == [
        "end_turn",
        "max_tokens",
        "tool_use",
        "refusal",
        "refusal",
        "stop_sequence",
        "model_context_window_exceeded",
        "pause_turn",
        "compaction",
    ]


def test_the_finish_says_which_sequence_stopped_it_and_that_a_refusal_has_no_category(sdk: Sdk) -> None:
    sequence = Finish(reason="stop_sequence")
    finals = [
        sdk.helper(bodies(sequence, request=ask(stop_sequences=["END", "x"]))),
        sdk.helper(bodies(sequence)),
        sdk.helper(bodies(Finish(reason="refusal"))),
    ]
    assert [(f.stop_sequence, f.stop_details and f.stop_details.category) for f in finals] == [
        ("END", None),
        (None, None),
        (None, None),
    ]
    assert [f.stop_details is None for f in finals] == [True, True, False]


def test_frames_come_in_step_order_and_only_content_is_progress() -> None:
    steps = (Wait(ns=1), Say(text="a"), Stall(ns=1), Call(name="f", args="{}"), TOOL_CALLS)
    frames = ANTHROPIC.stream(StreamReply(steps=steps), ask(), number=1, created=0)
    assert [(f.step, f.about["is"], f.about["progress"]) for f in frames] == [
        (1, "mark", False),
        (1, "mark", False),
        (1, "mark", False),
        (1, "say", True),
        (3, "mark", False),
        (3, "call", True),
        (3, "mark", False),
        (3, "args", True),
        (4, "mark", False),
        (4, "finish", True),
        (4, "done", False),
    ]


def test_a_client_that_got_only_some_frames_understood_only_those() -> None:
    steps = (Think(text="t"), Say(text="hi"), Call(name="f", args="{}"), TOOL_CALLS)
    frames = list(ANTHROPIC.stream(StreamReply(steps=steps), ask(), number=1, created=0))
    turns = [turn_of(f.about for f in frames[:n]) for n in (4, 8, 12, 14, 15)]
    assert [(t.thoughts, t.text, len(t.whole_calls()), t.finish, t.done) for t in turns] == [
        ("t", "", 0, None, False),
        ("t", "hi", 0, None, False),
        ("t", "hi", 1, None, False),
        ("t", "hi", 1, "tool_calls", False),
        ("t", "hi", 1, "tool_calls", True),
    ]


@pytest.mark.parametrize("name", ["text", "thought_and_two_calls", "overloaded"])
def test_the_bytes_are_those_of_the_fixture(name: str) -> None:
    scripts: dict[str, Sequence[Step]] = {
        "text": (Say(text="Hel"), Say(text="lo, Zoë"), Usage(input_tokens=12, output_tokens=7), STOP),
        "thought_and_two_calls": (
            Think(text="Two files."),
            Say(text="Looking."),
            Call(name="read_file", args='{"path":"a.txt"}'),
            Call(name="read_file"),
            Args(text='{"path":'),
            Args(text='"b.txt"}'),
            Usage(input_tokens=12, output_tokens=34, cached_tokens=2, thinking_tokens=5),
            TOOL_CALLS,
        ),
        "overloaded": (
            Say(text="Hel"),
            Usage(input_tokens=12, output_tokens=7),
            Fault(text="Overloaded", type="overloaded_error"),
        ),
    }
    origin, _, body = (FIXTURES / f"{name}.sse").read_bytes().partition(b"\n\n")
    assert origin.startswith(b": origin: ")
    assert b"".join(bodies(*scripts[name])) == body


# -- what this wire cannot carry --
UNPLAYABLE: list[tuple[tuple[Step, ...], int, str]] = [
    ((Call(name="f"), Name(text="oo"), TOOL_CALLS), 1, "the name of a tool whole"),
    ((Call(name="f", index=NO_INDEX), TOOL_CALLS), 0, "every block of this wire has an index"),
    ((Call(name="f"), Args(text="{}", index=NO_INDEX), TOOL_CALLS), 1, "every block of this wire has an index"),
    ((Say(text="a"), Args(text="{}"), STOP), 1, "no call is open"),
    ((Say(text="a"), Chunk(kind="null"), STOP), 1, "wires with a list of choices"),
    ((Chunk(kind="empty"), STOP), 0, "no block is open"),
    ((Say(text="a"), Finish(reason="error")), 1, "no stop reason for 'error'"),
    ((Say(text="a"), Fault(text="x", form="nested")), 1, "only 'event'"),
    ((Usage(input_tokens=3, output_tokens=1, cached_tokens=5), STOP), 0, "5 cached tokens are more than the 3"),
]


@pytest.mark.parametrize(("steps", "step", "text"), UNPLAYABLE, ids=[text for _, _, text in UNPLAYABLE])
def test_what_the_wire_cannot_carry_is_refused_by_name(steps: tuple[Step, ...], step: int, text: str) -> None:
    with pytest.raises(UnplayableError) as raised:
        bodies(*steps)
    assert (raised.value.step, text in str(raised.value)) == (step, True)


@pytest.mark.parametrize(
    "step",
    [Garble(how="unended"), Raw(data=b"x"), Repeat(times=1), Chunk(kind="empty"), Chunk(kind="comment")],
    ids=lambda step: type(step).__name__,
)
def test_a_whole_answer_refuses_what_needs_a_stream(step: Step) -> None:
    with pytest.raises(UnplayableError) as raised:
        whole_body(Say(text="a"), step, STOP)
    assert raised.value.step == 1


def test_a_whole_answer_refuses_arguments_that_are_no_object() -> None:
    with pytest.raises(UnplayableError, match="a JSON object, not '\\[1\\]'") as raised:
        whole_body(Say(text="a"), Call(name="f", args="[1]"), TOOL_CALLS)
    assert raised.value.step == 1


# -- the official SDK is the judge --
@given(BLOCKS)
def test_every_frame_is_an_event_of_the_sdk_and_names_itself(blocks: list[Told]) -> None:
    frames = [next(decode(data)) for data in bodies(*steps_of(blocks))]
    assert [json.loads(f.data)["type"] for f in frames] == [f.event for f in frames]
    for frame in frames:
        if frame.event == "ping":
            continue
        event = EVENTS.validate_json(frame.data)
        # Nothing is sent that the SDK's own type does not know, and nothing is lost in it.
        assert event.model_extra == {}
        assert json.loads(event.model_dump_json(exclude_unset=True)) == json.loads(frame.data)


@few
@given(BLOCKS)
def test_every_face_of_the_sdk_tells_what_was_scripted(sdk: Sdk, blocks: list[Told]) -> None:
    steps = steps_of(blocks)
    pieces, body = bodies(*steps), whole_body(*steps)
    finals = [sdk.helper(pieces), sdk.helper_async(pieces), sdk.whole(body), sdk.whole_async(body)]
    assert [told(final) for final in finals] == [scripted(blocks)] * 4
    assert [e.type for e in sdk.raw(pieces)] == [e.type for e in sdk.raw_async(pieces)]
    # Streamed or whole, all that the SDK knows of the answer is the same.
    assert [f.to_dict() for f in finals[1:2] + finals[3:]] == [f.to_dict() for f in (finals[0], finals[2])]


@few
@given(BLOCKS, st.data())
def test_bytes_cut_anywhere_tell_the_same(sdk: Sdk, blocks: list[Told], data: st.DataObject) -> None:
    body = b"".join(bodies(*steps_of(blocks)))
    edges = sorted({0, len(body), *data.draw(st.lists(st.integers(0, len(body)), max_size=8))})
    pieces = [body[a:b] for a, b in pairwise(edges)]
    assert told(sdk.helper(pieces)) == scripted(blocks)


def test_a_cut_at_every_single_byte_tells_the_same(sdk: Sdk) -> None:
    body = b"".join(bodies(Say(text="Zoë \u2028 😀"), Call(name="f", args='{"ä": "\\n"}'), TOOL_CALLS))
    whole = told(sdk.helper([body]))
    assert whole == ([("text", "Zoë \u2028 😀", None), ("tool_use", "f", {"ä": "\n"})], "tool_use")
    cut = [told(sdk.helper([body[:n], body[n:]])) for n in range(1, len(body))]
    assert cut == [whole] * len(cut)
    assert told(sdk.helper([body[n : n + 1] for n in range(len(body))])) == whole


def test_interleaved_calls_reach_the_client_whole(sdk: Sdk) -> None:
    pieces = (Args(text='{"a":', index=0), Args(text='{"b":2}', index=1), Args(text="1}", index=0))
    final = sdk.helper(bodies(Call(name="f"), Call(name="g"), *pieces, TOOL_CALLS))
    assert told(final) == ([("tool_use", "f", {"a": 1}), ("tool_use", "g", {"b": 2})], "tool_use")


def test_a_keep_alive_between_frames_is_not_seen(sdk: Sdk) -> None:
    ping = ANTHROPIC.keepalive(ask())
    pieces = [p for frame in bodies(Say(text="hi"), STOP) for p in (ping, frame)]
    assert told(sdk.helper(pieces)) == ([("text", "hi", None)], "end_turn")


def test_a_stream_that_ends_before_its_finish_is_silently_partial(sdk: Sdk) -> None:
    final = sdk.helper(bodies(Say(text="Hel"), Disconnect(how="eof")))
    assert told(final) == ([("text", "Hel", None)], None)


@pytest.mark.parametrize("fault", [Fault(text="Overloaded", type="overloaded_error"), Fault(text="no", code="a_b")])
def test_an_error_in_mid_stream_is_raised_with_status_200(sdk: Sdk, fault: Fault) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        sdk.helper(bodies(Say(text="Hel"), fault))
    error = raised.value
    assert (error.status_code, error.type, error.error_code, error.api_message) == (
        200,
        fault.type or "api_error",
        fault.code,
        fault.text,
    )


def test_nothing_follows_an_error() -> None:
    assert events(Say(text="Hel"), Fault(text="no"))[-2:] == ["0 + Hel", "error"]


def test_a_damaged_frame_is_where_the_script_puts_it(sdk: Sdk) -> None:
    steps = (Say(text="a"), Garble(how="json"), Say(text="b"), STOP)
    with pytest.raises(json.JSONDecodeError):
        sdk.helper(bodies(*steps))
    damaged = bodies(*steps)[4]
    whole = bodies(Say(text="a"), Say(text="b"), STOP)[4]
    assert (whole.startswith(damaged.rstrip()), damaged == whole) == (True, False)


def test_a_repeated_piece_arrives_again(sdk: Sdk) -> None:
    final = sdk.helper(bodies(Say(text="ha"), Repeat(times=2), STOP))
    assert told(final) == ([("text", "hahaha", None)], "end_turn")


# -- the whole body --
def test_a_whole_body_is_a_message_of_the_sdk() -> None:
    body = whole_body(Think(text="hm"), Say(text="hi"), Call(name="f", args='{"a":1}'), TOOL_CALLS)
    parsed = Message.model_validate_json(body)
    assert [parsed.model_extra, *(block.model_extra for block in parsed.content)] == [{}] * 4
    assert (parsed.id, parsed.model, parsed.role) == ("msg_sim_000001", "claude-test", "assistant")


def test_a_whole_body_always_has_a_reason(sdk: Sdk) -> None:
    scripts: list[tuple[Step, ...]] = [
        (Say(text="hi"),),
        (Call(name="f", args="{}"),),
        (Say(text="hi"), Finish(reason="length")),
        (),
    ]
    assert [told(sdk.whole(whole_body(*steps))) for steps in scripts] == [
        ([("text", "hi", None)], "end_turn"),
        ([("tool_use", "f", {})], "tool_use"),
        ([("text", "hi", None)], "max_tokens"),
        ([], "end_turn"),
    ]


def test_a_whole_answer_that_fails_is_the_error_alone(sdk: Sdk) -> None:
    body = whole_body(Say(text="a"), Fault(text="Overloaded", type="overloaded_error"))
    assert json.loads(body) == {
        "type": "error",
        "error": {"details": None, "type": "overloaded_error", "message": "Overloaded"},
        "request_id": "req_sim_000001",
    }
    # The SDK makes a message of it in which nothing is.
    assert {sdk.whole(body).id, sdk.whole(body).stop_reason} == {None}


def test_a_whole_body_arrives_damaged_where_the_script_says_so(sdk: Sdk) -> None:
    with pytest.raises(json.JSONDecodeError):
        sdk.whole(whole_body(Garble(how="json"), Say(text="a"), STOP))


def test_arguments_that_break_off_give_the_members_that_were_complete() -> None:
    def inputs(args: str) -> object:
        body = json.loads(whole_body(Call(name="f", args=args), Finish(reason="length")))
        return body["content"][0]["input"]

    cut = ["", "{", '{"a', '{"a":', '{"a":1', '{"a":1,', '{"a": [1, 2] , "b": "x', '{"a":{"b":1}}', ' {"a":"}"}']
    assert [inputs(args) for args in cut] == [
        {},
        {},
        {},
        {},
        {},
        {"a": 1},
        {"a": [1, 2]},
        {"a": {"b": 1}},
        {"a": "}"},
    ]


@pytest.mark.parametrize("face", [Sdk.helper, lambda sdk, pieces: sdk.whole(pieces[0])], ids=["streamed", "whole"])
def test_tokens_are_counted_as_the_script_says_or_from_the_texts(
    sdk: Sdk, face: Callable[[Sdk, list[bytes]], Message]
) -> None:
    counted = Usage(input_tokens=30, output_tokens=9, cached_tokens=10, thinking_tokens=4)
    scripts: list[tuple[Step, ...]] = [(Say(text="hi"), STOP, counted), (counted, STOP), (Say(text="x" * 400), STOP)]
    write = bodies if face is Sdk.helper else lambda *steps: [whole_body(*steps)]
    usages = [face(sdk, write(*steps)).usage for steps in scripts]
    thought = [u.output_tokens_details.thinking_tokens if u.output_tokens_details else None for u in usages]
    counts = [(u.input_tokens, u.cache_read_input_tokens, u.output_tokens) for u in usages]
    assert (counts, thought) == ([(20, 10, 9), (20, 10, 9), (9, 0, 101)], [4, 4, 0])


def test_the_start_counts_what_was_read_and_one_token(sdk: Sdk) -> None:
    counted = Usage(input_tokens=30, output_tokens=9, cached_tokens=10)
    first = sdk.raw(bodies(Say(text="hi"), counted, STOP))[0]
    assert first.type == "message_start"
    usage = first.message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (20, 10, 1)

"""Steps in time: what becomes of a recording whose instants are known to the nanosecond."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from simkit.contracts import HttpRequest
from simkit.model.duration import FOREVER, NS_PER_MS
from simkit.model.timeline import (
    Answer,
    Args,
    Call,
    Disconnect,
    Done,
    Finish,
    KeepAlive,
    Raw,
    Say,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    Think,
    UnreachableReply,
    Usage,
    Wait,
)
from simkit.provider.frames import cut_frames
from simkit.provider.hearing import Told, answer_of, dialects, merged, spoken
from simkit.provider.vcrfiles import Interaction, Piece

HELLO: Final = [{"role": "user", "content": "hi"}]
REQUESTS: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "chat": ("https://api.openai.com/v1/chat/completions", {"model": "m", "stream": True, "messages": HELLO}),
    "anthropic": (
        "https://api.anthropic.com/v1/messages",
        {"model": "m", "stream": True, "max_tokens": 9, "messages": HELLO},
    ),
    "gemini": (
        "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}


def recorded(wire: str, pieces: Sequence[tuple[float, bytes]] = (), **given: Any) -> Interaction:
    """A stream whose pieces came at these milliseconds; it ended with the last one unless that is given."""
    url, body = REQUESTS[wire]
    target = "/" + url.split("/", 3)[3]
    headers = (("anthropic-version", "2023-06-01"),)
    came = tuple(Piece(round(ms * NS_PER_MS), data) for ms, data in pieces)
    one = Interaction(
        url=url,
        request=HttpRequest("POST", target, headers, json.dumps({**body, **given.pop("asked", {})}).encode()),
        status=200,
        headers=(("content-type", "text/event-stream"),),
        pieces=came,
        timed=True,
        end_ns=came[-1].at_ns if came else 0,
    )
    return replace(one, **given)


def told(one: Interaction) -> Told:
    said = spoken(one, dialects())
    assert said is not None
    return answer_of(one, said)


def steps(one: Interaction) -> tuple[Step, ...]:
    reply = told(one).answer.reply
    assert isinstance(reply, StreamReply)
    return reply.steps


def sse(value: object, event: str = "") -> bytes:
    return (f"event: {event}\n" if event else "").encode() + f"data: {json.dumps(value)}\n\n".encode()


def chat(finish: str | None = None, **delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def event(kind: str, **values: object) -> bytes:
    return sse({"type": kind, **values}, kind)


def gemini(text: str, read: int, written: int, finish: str | None = None) -> bytes:
    end = {"finishReason": finish} if finish else {}
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **end}
    usage = {"promptTokenCount": read, "candidatesTokenCount": written, "totalTokenCount": read + written}
    return sse({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r"})


ROLE: Final = chat(role="assistant", content="")
DONE: Final = b"data: [DONE]\n\n"
MS: Final = NS_PER_MS


def test_waits_are_the_differences_of_rounded_instants_so_that_no_error_adds_up() -> None:
    words = [(n * 10.4, chat(content=str(n))) for n in range(5)]
    heard = steps(recorded("chat", [*words, (60.4, chat("stop") + DONE)]))
    assert [step.ns // MS for step in heard if isinstance(step, Wait)] == [10, 11, 10, 11, 18]


def test_pieces_of_one_millisecond_travel_together() -> None:
    pieces = [(0, ROLE + chat(content="a")), (0.3, chat(content="b")), (1.2, chat("stop") + DONE)]
    assert steps(recorded("chat", pieces)) == (Say(text="a"), Say(text="b"), Wait(ns=MS), Finish(reason="stop"))


def test_the_time_to_the_headers_is_the_answers_own() -> None:
    one = recorded("chat", [(0, ROLE + chat(content="a") + chat("stop") + DONE)], after_ns=1_499_600_000)
    assert (told(one).answer.after_ns, told(one).answer.chunks) == (1500 * MS, "burst")


def test_what_opens_the_stream_moves_to_the_first_step_and_a_note_says_by_how_much() -> None:
    rest = chat(content="a") + chat("stop") + DONE
    near, far = (told(recorded("chat", [(0, ROLE), (ms, rest)])) for ms in (9, 480))
    assert (near.note, far.note) == ("", "the first frames came 480ms before the first step")


def test_keepalives_become_keepalives_at_their_instants() -> None:
    ping = b": OPENROUTER PROCESSING\n\n"
    pieces = [(0, ROLE + chat(content="a")), (5000, ping), (10_000, ping), (12_000, chat("stop") + DONE)]
    assert steps(recorded("chat", pieces)) == (
        Say(text="a"),
        KeepAlive(every_ns=5000 * MS, for_ns=5000 * MS),
        KeepAlive(every_ns=5000 * MS, for_ns=5000 * MS),
        Wait(ns=2000 * MS),
        Finish(reason="stop"),
    )


def test_a_closing_marker_that_came_later_comes_later() -> None:
    pieces = [(0, ROLE + chat(content="a") + chat("stop")), (40, DONE)]
    assert steps(recorded("chat", pieces)) == (Say(text="a"), Finish(reason="stop"), Wait(ns=40 * MS), Done())


def test_calls_are_told_apart_by_their_pieces() -> None:
    def call(index: int, args: str, name: str | None = None) -> bytes:
        opening = {"id": f"c{index}", "type": "function"} if name else {}
        function = {"arguments": args, **({"name": name} if name else {})}
        return chat(tool_calls=[{"index": index, **opening, "function": function}])

    pieces = [(0, ROLE + call(0, "", "f")), (10, call(0, '{"a"')), (20, call(1, "", "g") + call(0, ": 1}"))]
    pieces.append((30, call(1, "{}") + chat("tool_calls") + DONE))
    assert steps(recorded("chat", pieces)) == (
        Call(name="f", id="c0"),
        Wait(ns=10 * MS),
        Args(text='{"a"'),
        Wait(ns=10 * MS),
        Call(name="g", id="c1"),
        Args(text=": 1}", index=0),
        Wait(ns=10 * MS),
        Args(text="{}"),
        Finish(reason="tool_calls"),
    )


def test_a_thought_that_gets_its_signature_later_stays_one_thought() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    pieces = [
        (0, event("message_start", message=message) + event("content_block_start", index=0, content_block=thinking)),
        (10, event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"})),
        (20, event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "sig"})),
        (20, event("content_block_stop", index=0)),
        (30, event("content_block_start", index=1, content_block={"type": "text", "text": ""})),
        (30, event("content_block_delta", index=1, delta={"type": "text_delta", "text": "ok"})),
        (40, event("content_block_stop", index=1) + event("message_delta", delta=end, usage={"output_tokens": 5})),
        (40, event("message_stop")),
    ]
    assert steps(recorded("anthropic", pieces)) == (
        Wait(ns=10 * MS),
        Think(text="hm", signature="sig"),
        Wait(ns=20 * MS),
        Say(text="ok"),
        Wait(ns=10 * MS),
        Usage(input_tokens=1, output_tokens=5),
        Finish(reason="stop"),
    )


def test_counts_that_come_with_every_frame_move_no_step() -> None:
    pieces = [(n * 10.0, gemini(text, 4, n + 1)) for n, text in enumerate("abcd")]
    pieces.append((50, gemini("", 4, 5, "STOP")))
    heard = [step for step in steps(recorded("gemini", pieces)) if not isinstance(step, Usage)]
    assert heard == [
        *(Say(text="a"), Wait(ns=10 * MS), Say(text="b"), Wait(ns=10 * MS), Say(text="c"), Wait(ns=10 * MS)),
        *(Say(text="d"), Wait(ns=20 * MS), Finish(reason="stop")),
    ]


def test_every_step_of_a_long_stream_has_the_instant_of_its_frame() -> None:
    # Of uneven kinds: two pieces in one frame's time, frames that carry nothing, thoughts between.
    frames = [chat(content=str(n)) + (chat(content="x") if n % 7 == 0 else b"") for n in range(200)]
    frames[50], frames[51], frames[120] = chat(content=""), chat(reasoning_content="hm"), chat(content="") + frames[120]
    pieces = [(n * 10.0, frame) for n, frame in enumerate(frames)]
    now, found = 0, []
    for step in steps(recorded("chat", [*pieces, (2000, chat("stop") + DONE)])):
        now += step.ns // MS if isinstance(step, Wait) else 0
        if isinstance(step, Say | Think):
            found.append((now, step.text))
    wanted = [(n * 10, str(n)) for n in range(200) if n not in (50, 51)] + [(n * 10, "x") for n in range(0, 200, 7)]
    assert sorted(found) == sorted([*wanted, (510, "hm")])


# -- ends ----------------------------------------------------------------------------------------------------
A: Final = [(0.0, ROLE + chat(content="a"))]


@pytest.mark.parametrize(
    ("one", "end"),
    [
        (recorded("chat", A, end="cut", end_ns=5 * MS), (Wait(ns=5 * MS), Disconnect(how="cut"))),
        (recorded("chat", A, end="reset"), (Disconnect(how="reset"),)),
        (recorded("chat", A, end="open"), (Stall(ns=FOREVER),)),
        (recorded("chat", A), (Disconnect(how="eof"),)),
        # The client did not wait for the end of a body that was over.
        (recorded("chat", [(0, ROLE + chat(content="a") + chat("stop") + DONE)], end="open"), (Finish(reason="stop"),)),
    ],
    ids=["cut", "reset", "open", "eof", "left after the end"],
)
def test_a_stream_ends_as_it_was_seen_to_end(one: Interaction, end: tuple[Step, ...]) -> None:
    assert steps(one) == (Say(text="a"), *end)


def test_what_broke_before_the_headers_is_a_connection_or_a_silence() -> None:
    seen = [recorded("chat", status=0, end=end) for end in ("open", "reset", "cut")]
    refused = recorded("chat", status=0, unreachable="refused")
    assert [told(one).answer for one in (*seen, refused)] == [
        Answer(reply=StreamReply(steps=()), after_ns=FOREVER),
        Answer(reply=UnreachableReply(how="reset")),
        Answer(reply=UnreachableReply(how="reset")),
        Answer(reply=UnreachableReply(how="refused")),
    ]


def test_what_simkit_would_refuse_is_kept_raw_and_the_note_says_what() -> None:
    orphan = {"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]}
    one = told(recorded("chat", A, asked=orphan))
    assert isinstance(one.answer.reply, StreamReply)
    assert ([type(step) for step in one.answer.reply.steps], one.note[:40]) == (
        [Raw, Disconnect],
        "raw bytes: simkit would refuse this requ",
    )


def test_usage_that_nobody_asked_for_is_kept_raw() -> None:
    totals = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    counted = sse({"id": "c", "object": "chat.completion.chunk", "created": 1, "choices": [], "usage": totals})
    one = recorded("chat", [(0, ROLE + chat(content="a") + chat("stop") + counted + DONE)])
    asked = replace(one, request=recorded("chat", asked={"stream_options": {"include_usage": True}}).request)
    kinds = [{type(step).__name__ for step in steps(each)} for each in (one, asked)]
    assert kinds == [{"Raw", "Disconnect"}, {"Say", "Finish", "Usage"}]


def test_failures_in_a_row_are_one_answer_and_streams_are_not() -> None:
    busy, stream = (Told(Answer(reply=r)) for r in (StatusReply(status=429), StreamReply(steps=(Done(),))))
    assert [told_.answer.times for told_ in merged([busy, busy, busy, stream, stream, busy])] == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("body", "frames"),
    [
        (b"data: a\n\ndata: b\n\nda", [b"data: a\n\n", b"data: b\n\n", b"da"]),
        (b"data: a\r\n\r\n: x\r\r", [b"data: a\r\n\r\n", b": x\r\r"]),
        (b'[{"a": "}"}\n,\r\n{"b": {}}\n]', [b'[{"a": "}"}', b'\n,\r\n{"b": {}}\n]']),
        (b"", []),
    ],
)
def test_frames_are_cut_behind_their_ends_and_nothing_is_lost(body: bytes, frames: list[bytes]) -> None:
    assert cut_frames(body) == frames

from __future__ import annotations

from simkit.model.trace import Trace
from simkit.reporters.spans import arrows, spans
from tests.checks.traces import CALL, USER, Story
from tests.reporters.runs import whole


def told(trace: Trace) -> list[tuple[str, int, int]]:
    return [(span.name, span.from_ns // 10**9, span.to_ns // 10**9) for span in spans(trace)]


def test_turns_requests_answers_silences_and_tool_runs_last_from_their_beginning_to_their_end() -> None:
    assert told(whole().trace) == [
        ("turn 1", 0, 182),
        ("request 1", 0, 180),
        ("answer to request 1", 0, 180),
        ("silence", 0, 180),
        ("request 2", 180, 180),
        ("answer to request 2", 180, 180),
        ("write_file (run 1)", 180, 182),
    ]


def test_what_nothing_ends_is_open_until_the_last_event() -> None:
    story = Story().turn().request(1, USER).response(1).starts().at("9s").event("world", "run.end", reason="horizon")
    assert [(span.sort, span.to_ns, span.is_open) for span in spans(story.trace)] == [
        ("turn", 9 * 10**9, True),
        ("request", 9 * 10**9, True),
        ("answer", 9 * 10**9, True),
        ("tool", 9 * 10**9, True),
    ]


def test_a_refused_request_lasts_until_its_refusal_and_has_no_answer() -> None:
    story = Story().request(1, USER).at("1s").response(1, 429).request(2, USER)
    story.event("provider", "request.invalid", request=2, status=400, text="no")
    assert [(span.name, span.is_open) for span in spans(story.trace)] == [("request 1", False), ("request 2", False)]


def test_a_silence_is_over_with_the_next_frame_but_not_with_a_keep_alive() -> None:
    story = Story().event("provider", "silence", request=1, step=0, ns=60 * 10**9)
    story.at("10s").frame(1, "keepalive").at("60s").frame(1, "say", "Hi")
    assert told(story.trace) == [("silence", 0, 60)]


def test_a_job_has_a_span_for_each_state_that_it_leaves() -> None:
    story = Story().job("queued").at("5s").job("in_progress").at("20s").job("completed")
    assert told(story.trace) == [("job resp_1 queued", 0, 5), ("job resp_1 in progress", 5, 20)]


def test_arrows_join_messages_to_turns_requests_to_answers_and_calls_to_runs() -> None:
    trace = whole().trace
    kinds = [(trace.events[a].kind, trace.events[b].kind) for a, b in arrows(trace)]
    assert kinds == [
        ("user.says", "turn.start"),
        ("request", "response"),
        ("request", "response"),
        ("stream.end", "tool.start"),
    ]


def test_a_run_of_a_tool_that_no_stream_delivered_has_no_arrow() -> None:
    story = Story().request(1, USER).answer(1, CALL).runs().runs().runs("other")
    trace = story.trace
    assert [trace.events[b].get("run") for a, b in arrows(trace) if trace.events[b].kind == "tool.start"] == [1]

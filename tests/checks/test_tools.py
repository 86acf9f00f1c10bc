from __future__ import annotations

import pytest

from simkit.checks.tools import NO_PARTIAL_TOOL_CALL_RUNS, TOOLS_RUN_ONCE
from simkit.contracts import Law
from tests.checks.traces import CALL, Story, asked, found

TEXT_CALL = {"id": "call_1", "tool": "write_file", "args": '{"size": 1.0, "path": "a"}'}
EMPTY_CALL = {"id": "call_1", "tool": "now", "args": ""}


def delivered(*calls: object) -> Story:
    return Story().request(1).answer(1, *calls, finish="tool_calls")


# -- tools_run_once -------------------------------------------------------------------------------------
def test_a_tool_that_runs_again_after_a_retry_is_found() -> None:
    story = delivered(CALL).runs().at("5s").request(2).stalled(2).runs()
    findings = found(TOOLS_RUN_ONCE, story)

    text = (
        'write_file ran twice with {"path": "a", "size": 1}, but at 185.000s, when it ran again, '
        "that call had been delivered once"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (13,))]


def test_a_run_for_each_delivered_call_is_no_fault() -> None:
    assert asked(TOOLS_RUN_ONCE, delivered(CALL).runs().request(2).answer(2, CALL).runs()) == []


def test_two_equal_calls_in_one_answer_may_both_run() -> None:
    assert asked(TOOLS_RUN_ONCE, delivered(CALL, CALL).runs().runs()) == []


def test_a_call_that_comes_later_does_not_excuse_a_second_run() -> None:
    story = delivered(CALL).runs().runs().request(2).answer(2, CALL)

    assert len(asked(TOOLS_RUN_ONCE, story)) == 1


def test_a_single_run_without_a_call_is_the_other_laws_finding() -> None:
    assert asked(TOOLS_RUN_ONCE, Story().request(1).stalled(1).runs()) == []


# -- no_partial_tool_call_runs --------------------------------------------------------------------------
def test_a_tool_that_runs_from_a_cut_call_is_found() -> None:
    findings = found(NO_PARTIAL_TOOL_CALL_RUNS, Story().request(1).stalled(1).runs(args={"path": "ind"}))

    text = (
        'write_file ran at 180.000s with {"path": "ind"}, but no whole call of it with these arguments '
        "had been delivered by then"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (3, 6))]


@pytest.mark.parametrize("call", [CALL, TEXT_CALL])
def test_a_tool_that_runs_from_a_whole_call_is_no_fault(call: object) -> None:
    assert asked(NO_PARTIAL_TOOL_CALL_RUNS, delivered(call).runs()) == []


def test_a_call_without_any_arguments_text_is_whole() -> None:
    assert asked(NO_PARTIAL_TOOL_CALL_RUNS, delivered(EMPTY_CALL).runs("now", {})) == []


def test_a_call_counts_from_its_marker_though_the_server_holds_the_stream_open() -> None:
    story = Story().request(1).response(1).frame(1, "call", "{}", tool="write_file").frame(1, "finish")
    story.runs().at("120s").stream_ends(1, "client_closed", "tool_calls", calls=[CALL])

    assert asked(NO_PARTIAL_TOOL_CALL_RUNS, story) == []


def test_a_tool_that_runs_before_its_stream_is_finished_is_found() -> None:
    story = Story().request(1).response(1).frame(1, "call", "{}", tool="write_file").runs()
    story.frame(1, "finish").stream_ends(1, finish="tool_calls", calls=[CALL])

    assert len(asked(NO_PARTIAL_TOOL_CALL_RUNS, story)) == 1


def test_arguments_that_differ_are_another_call() -> None:
    assert len(asked(NO_PARTIAL_TOOL_CALL_RUNS, delivered(CALL).runs(args={"path": "b", "size": 1}))) == 1


# -- both -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("law", [TOOLS_RUN_ONCE, NO_PARTIAL_TOOL_CALL_RUNS])
@pytest.mark.parametrize(
    ("story", "because"),
    [
        (delivered(CALL), "no tool ran"),
        (Story().runs(), "no completion request was seen, so the calls came from elsewhere"),
    ],
)
def test_tool_laws_say_nothing_without_runs_and_calls(law: Law, story: Story, because: str) -> None:
    assert asked(law, story) == [f"not applicable: {because}"]

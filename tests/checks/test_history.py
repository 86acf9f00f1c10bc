from __future__ import annotations

import pytest

from simkit.checks.history import HISTORY_WELL_FORMED, RESULTS_PAIR_WITH_CALLS
from simkit.contracts import Law
from tests.checks.traces import ARGS, CALL, USER, Story, asked, assistant, found, result

MADE = assistant(("call_1", "write_file", ARGS))
CUT = assistant(("call_1", "write_file", '{"path": "ind'))


# -- history_well_formed --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("messages", "faults"),
    [
        ([USER, MADE], ["the call 'call_1' of write_file has no result before the next message"]),
        ([USER, MADE, USER, result("call_1")], [
            "the call 'call_1' of write_file has no result before the next message",
            "the result for call 'call_1' follows no message that made this call",
        ]),
        ([USER, MADE, result("call_1"), result("call_1")], ["the call 'call_1' of write_file has 2 results"]),
        ([USER, CUT, result("call_1")], [
            "the arguments of call 'call_1' of write_file are no JSON text: \"{\\\"path\\\": \\\"ind\"",
        ]),
        ([USER, assistant(("a", "x", {}), ("a", "y", {})), result("a"), result("a")], [
            "2 calls of one message share the id 'a'",
        ]),
        ([USER, result("a")], ["the result for call 'a' follows no message that made this call"]),
    ],
)  # fmt: skip
def test_a_broken_history_is_found(messages: list[object], faults: list[str]) -> None:
    story = Story().at("2s").request(1, *messages)

    prefix = "request 1 at 2.000s carries a broken history: "
    assert asked(HISTORY_WELL_FORMED, story) == [prefix + fault for fault in faults]


@pytest.mark.parametrize(
    "messages",
    [
        [USER],
        [USER, MADE, result("call_1"), USER],
        [USER, assistant(("a", "x", {}), ("b", "y", {})), result("b"), result("a")],
        [USER, assistant(("a", "x", "")), result("a")],
        [USER, MADE, result("call_1"), MADE, result("call_1")],
    ],
)
def test_a_history_in_good_order_is_not_accused(messages: list[object]) -> None:
    assert asked(HISTORY_WELL_FORMED, Story().request(1, *messages)) == []


def test_a_broken_message_is_told_once_however_often_it_is_sent() -> None:
    story = Story().request(1, USER, CUT, result("call_1")).request(2, USER, CUT, result("call_1"), USER)

    assert [f.events for f in found(HISTORY_WELL_FORMED, story)] == [(0,)]


# -- results_pair_with_calls ----------------------------------------------------------------------------
def ran(*tail: object, calls: tuple[object, ...] = (CALL,)) -> Story:
    """A call is delivered and its tool runs; the next request adds this to the conversation."""
    story = Story().request(1, USER).answer(1, *calls, finish="tool_calls").at("1s").runs()
    return story.at("2s").request(2, USER, *tail)


@pytest.mark.parametrize(
    ("tail", "fault"),
    [
        ([MADE], "its result was sent never"),
        ([MADE, result("call_1"), result("call_1")], "its result was sent twice"),
        ([MADE, result("call_9")], "its result was sent never"),
        ([USER], "neither the call nor its result was sent"),
    ],
)
def test_a_result_that_does_not_come_exactly_once_is_found(tail: list[object], fault: str) -> None:
    findings = found(RESULTS_PAIR_WITH_CALLS, ran(*tail))

    text = f"write_file ran at 1.000s from a call of request 1, but in request 2 at 2.000s {fault}"
    assert [(f.text, f.events) for f in findings] == [(text, (5, 7))]


def test_results_given_to_each_others_calls_are_found() -> None:
    calls = [{"id": "a", "tool": "x", "args": {}}, {"id": "b", "tool": "y", "args": {}}]
    story = Story().request(1, USER).answer(1, *calls).runs("x", {}, result="of x").runs("y", {}, result="of y")
    made = assistant(("a", "x", {}), ("b", "y", {}))

    swapped = asked(RESULTS_PAIR_WITH_CALLS, story.request(2, USER, made, result("a", "of y"), result("b", "of x")))
    assert [text[-46:] for text in swapped] == [
        'it was given the result of another call, "of y"'[-46:],
        'it was given the result of another call, "of x"'[-46:],
    ]


def test_calls_that_shared_an_id_may_be_given_ids_of_their_own() -> None:
    calls = [{"id": "same", "tool": "x", "args": {}}, {"id": "same", "tool": "y", "args": {}}]
    story = Story().request(1, USER).answer(1, *calls).runs("x", {}, result="of x").runs("y", {}, result="of y")
    made = assistant(("same", "x", {}), ("same_2", "y", {}))
    story.request(2, USER, made, result("same", "of x"), result("same_2", "of y"))
    assert asked(RESULTS_PAIR_WITH_CALLS, story) == []


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(ran(MADE, result("call_1")), id="as it should be"),
        pytest.param(ran(assistant(("own_7", "write_file", ARGS)), result("own_7")), id="ids of its own"),
        pytest.param(ran({"role": "user", "content": "Observation: ok"}), id="told as text"),
        pytest.param(ran(assistant(("z", "other", {})), result("z")), id="a sibling's conversation"),
        pytest.param(Story().request(1, USER).answer(1, CALL).runs(), id="no later request"),
        pytest.param(
            Story().request(1, USER).answer(1, CALL).runs().request(2, {"role": "user", "content": "A summary"}),
            id="a compacted history",
        ),
    ],
)
def test_a_result_that_comes_once_is_no_fault(story: Story) -> None:
    assert asked(RESULTS_PAIR_WITH_CALLS, story) == []


def test_only_the_next_request_is_judged() -> None:
    story = ran(MADE, result("call_1")).request(3, USER, MADE, result("call_1"), result("call_1"))

    assert asked(RESULTS_PAIR_WITH_CALLS, story) == []


def test_results_say_nothing_of_a_run_whose_calls_were_never_run() -> None:
    assert asked(RESULTS_PAIR_WITH_CALLS, Story().request(1, USER).answer(1, CALL)) == [
        "not applicable: no tool ran from a call that a finished stream delivered"
    ]


@pytest.mark.parametrize("law", [HISTORY_WELL_FORMED, RESULTS_PAIR_WITH_CALLS])
def test_a_wire_that_nobody_can_read_is_not_judged(law: Law) -> None:
    assert asked(law, Story().request(1, MADE, dialect="morse").runs()) == [
        "not applicable: no completion request of a wire whose history can be read"
    ]

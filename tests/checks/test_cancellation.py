from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.checks.cancellation import NOTHING_AFTER_CANCEL
from simkit.model.duration import parse_duration
from simkit.model.scenario import Scenario, ToolSpec
from simkit.model.timeline import Place
from tests.checks.traces import CALL, FILE, SCENARIO, USER, Story, asked, assistant, found, result


def working() -> Story:
    """A turn in whose tool the user is, at three seconds."""
    return Story().says().turn().request(1, USER).answer(1, CALL, finish="tool_calls").starts().at("3s")


def with_tool(**about: object) -> Scenario:
    return replace(SCENARIO, tools={"write_file": replace(ToolSpec(name="write_file"), **about)})  # type: ignore[arg-type]


# -- what is found --------------------------------------------------------------------------------------
def test_an_effect_long_after_the_cancellation_is_found_with_both_events() -> None:
    story = working().cancels().turn_ends("cancelled").at("63s").effect(1).ends(1).returns()
    findings = found(NOTHING_AFTER_CANCEL, story)

    text = (
        'the user had cancelled at 3.000s, but write_file, begun at 0.000s, has done "file written" at 63.000s, '
        "1m later"
    )
    assert [(f.text, f.events, f.place) for f in findings] == [(text, (8, 10), Place(FILE, 4))]


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (working().cancels().at("9s").ends(1), "write_file, begun at 0.000s, was still running at 9.000s, 6s later"),
        (
            working().cancels().ends(1, outcome="cancelled").at("5s").starts("pay", {"sum": 5}),
            'pay was started with {"sum": 5} at 5.000s, 2s later',
        ),
        (
            working().cancels().ends(1).at("5s").request(2, USER).answer(2),
            "request 2 was sent at 5.000s, 2s later",
        ),
        (
            Story().says().turn().request(1, USER).job("queued").at("3s").cancels().at("5s").asks(),
            "the background answer resp_1 was asked for at 5.000s, 2s later",
        ),
        (
            Story().says().turn().request(1, USER).response(1).at("3s").cancels().at("60s").stream_ends(1, "open"),
            "the stream of request 1 was still open at 60.000s, 57s later",
        ),
    ],
)
def test_whatever_goes_on_or_begins_after_a_cancellation_is_found(story: Story, words: str) -> None:
    assert asked(NOTHING_AFTER_CANCEL, story.returns()) == [f"the user had cancelled at 3.000s, but {words}"]


def test_a_turn_that_simply_goes_on_is_told_by_the_first_of_each_kind() -> None:
    story = working().cancels().at("5s").ends(1).request(2, USER).answer(2).runs("pay").runs("pay").request(3, USER)

    assert [text.partition("but ")[2] for text in asked(NOTHING_AFTER_CANCEL, story.answer(3).returns())] == [
        "request 2 was sent at 5.000s, 2s later",
        'pay was started with {"path": "a", "size": 1} at 5.000s, 2s later',
    ]


def test_who_leaves_wants_parked_calls_to_stop_too() -> None:
    story = parked().at("20s").leaves().at("60s").effect(1).ends(1).returns()

    assert [text.startswith("the user had left at 20.000s") for text in asked(NOTHING_AFTER_CANCEL, story)] == [True]


def test_the_grace_is_the_scenarios_to_set() -> None:
    story = working().cancels().at("5s").ends(1).returns()

    assert [len(asked(NOTHING_AFTER_CANCEL, story, parse_duration(grace))) for grace in ("0s", "1s", "2s")] == [1, 1, 0]


# -- what is not ----------------------------------------------------------------------------------------
def parked() -> Story:
    """A turn whose tool was parked at ten seconds, and of which the model heard."""
    told = result("call_1", '{"type": "background", "tool": "write_file", "background_id": "bg-1"}')
    made = assistant(("call_1", "write_file", CALL["args"]))
    return working().at("10s").request(2, USER, made, told).response(2)


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(working().cancels().at("8s").effect(1).ends(1).returns(), id="within the grace"),
        pytest.param(working().cancels().ends(1, outcome="cancelled").turn_ends("cancelled").returns(), id="at once"),
        pytest.param(working().cancels().at("4s").says("Go on").turn(2).request(2, USER).answer(2), id="a new message"),
        pytest.param(
            working().says("And then this").cancels().ends(1).at("9s").turn(2).request(2, USER).answer(2),
            id="a message that waited",
        ),
        pytest.param(working().cancels().at("3.5s").request(2, USER).stream_ends(2, "client_closed"), id="on its way"),
        pytest.param(working().cancels().asks("cancel").at("9s").asks("cancel"), id="the cancellation of a job"),
        pytest.param(parked().cancels().stream_ends(2, "client_closed").at("60s").effect(1).ends(1), id="parked"),
        pytest.param(working().note("parked", call="call_1", background_id="bg-1", tool="write_file", args=CALL["args"])
                     .cancels().at("60s").effect(1).ends(1), id="parked, and not told yet"),
        pytest.param(working().runs("read").cancels().ends(1).returns(), id="what was over before"),
    ],
)  # fmt: skip
def test_what_ends_in_time_or_has_to_do_with_something_else_is_no_fault(story: Story) -> None:
    assert asked(NOTHING_AFTER_CANCEL, story) == []


@pytest.mark.parametrize(
    ("about", "seconds"),
    [({"ignores_cancel": True}, 90), ({"blocks": True}, 90), ({"cancel_takes_ns": 60_000_000_000}, 63)],
)
def test_a_tool_that_the_scenario_makes_deaf_is_no_fault_of_the_subject(about: dict[str, object], seconds: int) -> None:
    story = working().cancels().at(f"{seconds}s").ends(1)

    assert asked(NOTHING_AFTER_CANCEL, story, scenario=with_tool(**about)) == []


def test_a_message_that_may_have_waited_is_no_fault_of_a_subject_that_reports_no_turns() -> None:
    story = Story().says().says("And then this").request(1, USER).response(1).cancels().stream_ends(1, "client_closed")

    assert asked(NOTHING_AFTER_CANCEL, story.at("9s").request(2, USER).answer(2)) == [
        "not applicable: the user neither cancelled nor left while something was under way"
    ]


@pytest.mark.parametrize("story", [working().ends(1), working().ends(1).cancels(heard=False).leaves(heard=False)])
def test_nothing_is_said_of_a_run_that_nobody_stopped(story: Story) -> None:
    assert asked(NOTHING_AFTER_CANCEL, story.at("9s").runs()) == [
        "not applicable: the user neither cancelled nor left while something was under way"
    ]

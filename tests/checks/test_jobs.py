from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.checks.jobs import GIVE_UP_CANCELS_JOB, NO_FETCH_AFTER_TERMINAL, POLLS_RESPECT_INTERVAL
from simkit.contracts import Law
from simkit.model.duration import NS_PER_MS, parse_duration
from simkit.model.scenario import Link
from simkit.model.timeline import Place
from tests.checks.traces import CALL, FILE, SCENARIO, USER, Story, asked, assistant, found, result

MADE = assistant(("call_1", "write_file", CALL["args"]))


def begun(*, stream: bool = False) -> Story:
    """A turn whose answer runs in the background."""
    return Story().turn().request(1, USER, stream=stream, background=True).job("queued").response(1)


def over(state: str = "completed", *, calls: tuple[object, ...] = (CALL,)) -> Story:
    """A job that was polled while it ran, and then was over at four seconds."""
    return begun().at("2s").asks().at("3s").job(state).at("4s").polled(state, calls=calls)


# -- no_fetch_after_terminal ----------------------------------------------------------------------------
def test_an_answer_that_is_over_and_is_fetched_again_is_found_once() -> None:
    story = over()
    for second in range(6, 84, 2):
        story.at(f"{second}s").asks("retrieve", "completed")
    findings = found(NO_FETCH_AFTER_TERMINAL, story.turn_ends().returns())

    text = (
        "the answer to request 1 was over and delivered at 4.000s (completed), but it was asked for 39 times more, "
        "first at 6.000s and last at 82.000s"
    )
    assert [(f.text, f.events, f.place) for f in findings] == [(text, (6, 8), Place(FILE, 7))]


@pytest.mark.parametrize("op", ["retrieve", "stream"])
@pytest.mark.parametrize("state", ["completed", "failed", "incomplete", "cancelled"])
def test_no_end_is_asked_for_again_and_in_no_way(state: str, op: str) -> None:
    story = over(state, calls=()).at("5s").asks(op, state)

    assert [
        text.endswith("asked for once more, first at 5.000s") for text in asked(NO_FETCH_AFTER_TERMINAL, story)
    ] == [True]


def test_a_stream_that_came_to_its_end_has_delivered_it_too() -> None:
    story = begun(stream=True).frame(1, "say", "Hi").job("completed").stream_ends(1, finish="stop").asks("stream")

    assert len(asked(NO_FETCH_AFTER_TERMINAL, story)) == 1


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(over(calls=()).turn_ends().returns(), id="fetched once"),
        pytest.param(begun().job("completed").asks("retrieve", "completed", status=502).polled(), id="a failed poll"),
        pytest.param(begun().job("completed").asks("retrieve", "completed", status=None).polled(), id="no answer"),
        pytest.param(over(calls=()).asks("delete", "completed"), id="deleted afterwards"),
        pytest.param(begun().asks("cancel", "cancelled").asks("retrieve", "cancelled"), id="a look after a cancel"),
        pytest.param(
            begun(stream=True).frame(1, "say").stream_ends(1, "cut").job("completed").asks("stream", "completed"),
            id="a stream that broke off",
        ),
        pytest.param(
            Story().request(1).answer(1).asks("retrieve", "completed").asks("retrieve", "completed").job("queued", 2),
            id="a kept answer that was no job",
        ),
    ],
)
def test_an_answer_that_was_not_delivered_may_be_asked_for(story: Story) -> None:
    assert asked(NO_FETCH_AFTER_TERMINAL, story) == []


def test_a_request_that_goes_on_without_the_results_of_the_calls_is_found() -> None:
    story = over().runs().request(2, USER, {"role": "user", "content": "continue"})
    findings = found(NO_FETCH_AFTER_TERMINAL, story)

    text = (
        "the answer to request 1, delivered at 4.000s, called write_file, but request 2 at 4.000s goes on without a "
        "result of that"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (6, 10))]


def goes_on(request: int, *items: object, **body: object) -> dict[str, object]:
    return {"dialect": "openai-responses", "body": {"input": list(items), **body}}


OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(over().runs().request(2, USER, MADE, result("call_1")), id="its result"),
        pytest.param(over().request(2, USER, MADE, result("call_1", "no such tool")), id="an error result"),
        pytest.param(
            over().runs(result="42 files").request(2, USER, {"role": "user", "content": "It gave 42 files"}),
            id="its result as text",
        ),
        pytest.param(over().runs().request(2, **goes_on(2, OUTPUT, previous_response_id="resp_1")), id="its end only"),
        pytest.param(over().cancels().request(2, USER, {"role": "user", "content": "Again"}), id="after a cancel"),
        pytest.param(over().turn_ends("failed").turn(2).request(2, USER, USER), id="in another turn"),
        pytest.param(over().request(2, {"role": "user", "content": "A title?"}), id="another conversation"),
        pytest.param(over(calls=()).request(2, USER, {"role": "user", "content": "continue"}), id="without calls"),
    ],
)
def test_a_request_that_brings_the_results_or_has_to_do_with_something_else_is_no_fault(story: Story) -> None:
    assert asked(NO_FETCH_AFTER_TERMINAL, story) == []


def test_a_request_on_a_stored_answer_must_bring_the_results_too() -> None:
    story = over().runs().request(2, **goes_on(2, USER, previous_response_id="resp_1"))

    assert len(asked(NO_FETCH_AFTER_TERMINAL, story)) == 1


# -- give_up_cancels_job --------------------------------------------------------------------------------
def test_a_job_that_is_given_up_with_its_turn_and_runs_on_is_found() -> None:
    story = begun().job("in_progress").at("30s").asks().turn_ends("failed").at("60s").job("completed").returns()
    findings = found(GIVE_UP_CANCELS_JOB, story)

    text = (
        "the background answer to request 1 was still in progress when turn 1 ended at 30.000s, and nobody cancelled "
        "it or came back for it"
    )
    assert [(f.text, f.events, f.place) for f in findings] == [(text, (2, 6), Place(FILE, 7))]


def test_nobody_can_stop_a_job_whose_id_arrives_in_the_instant_of_giving_up() -> None:
    stories = [begun().at(instant).turn_ends("cancelled").returns() for instant in ("0s", "1ms")]
    far = replace(SCENARIO, network={"*": Link(latency_ns=NS_PER_MS)})

    assert [[len(found(GIVE_UP_CANCELS_JOB, story, scenario=s)) for s in (SCENARIO, far)] for story in stories] == [
        [0, 0],
        [1, 0],
    ]


def test_a_job_that_still_runs_when_a_subject_without_turns_ends_is_found() -> None:
    story = Story().request(1, USER, stream=False).job("queued").response(1).at("9s").returns()

    assert asked(GIVE_UP_CANCELS_JOB, story) == [
        "the background answer to request 1 was still queued when the run ended at 9.000s, and nobody cancelled it or "
        "came back for it"
    ]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(begun().at("30s").asks("cancel", "cancelled").turn_ends("failed").returns(), id="cancelled"),
        pytest.param(begun().at("30s").asks("cancel", status=502).turn_ends("failed").returns(), id="as far as it can"),
        pytest.param(begun().turn_ends().asks("delete").returns(), id="deleted afterwards"),
        pytest.param(over().turn_ends().returns(), id="over"),
        pytest.param(begun().job("completed").turn_ends("failed").returns(), id="over, and never fetched"),
        pytest.param(begun().turn_ends().turn(2).at("9s").job("completed").polled().returns(), id="fetched later"),
        pytest.param(begun().at("11m").job("expired").turn_ends("failed").returns(), id="dropped by the provider"),
        pytest.param(begun().returns("exhausted"), id="a run that the script ended"),
        pytest.param(
            begun().turn().request(2, USER, stream=True, background=True).job("queued", 2).response(2)
            .asks("cancel", "cancelled", 1).turn_ends("failed").returns(),
            id="a job that nobody could know",
        ),
    ],
)  # fmt: skip
def test_a_job_that_is_stopped_or_over_or_comes_to_be_fetched_is_no_fault(story: Story) -> None:
    assert asked(GIVE_UP_CANCELS_JOB, story) == []


# -- polls_respect_interval -----------------------------------------------------------------------------
def polling(*seconds: str) -> Story:
    story = begun()
    for second in seconds:
        story.at(second).asks()
    return story


def test_polls_without_a_pause_are_found() -> None:
    findings = found(POLLS_RESPECT_INTERVAL, polling("1s", "1.01s", "1.02s", "1.03s", "3s"))

    text = (
        "the background answer to request 1 was polled again sooner than 100ms after a poll that said it still runs, "
        "3 times: such as at 1.000s and at 1.010s"
    )
    assert [(f.text, f.events) for f in findings] == [(text, (4, 5))]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(polling("0s", "2s", "4s", "4.00000000s"), id="a last look at the deadline"),
        pytest.param(polling("2s", "4s").asks(status=502).asks(status=429).asks(status=None).asks(), id="failed polls"),
        pytest.param(polling("2s").asks("stream").asks("stream").asks("cancel"), id="no polls"),
    ],
)
def test_polls_at_their_interval_and_those_after_a_failure_are_no_fault(story: Story) -> None:
    assert asked(POLLS_RESPECT_INTERVAL, story, parse_duration("2s")) == []


# -- all ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("law", [NO_FETCH_AFTER_TERMINAL, GIVE_UP_CANCELS_JOB])
def test_nothing_is_said_of_a_run_without_background_answers(law: Law) -> None:
    assert asked(law, Story().turn().request(1).answer(1).turn_ends().returns()) == [
        "not applicable: no answer ran in the background"
    ]


def test_nothing_is_said_of_polls_that_never_were() -> None:
    story = begun(stream=True).frame(1, "say").job("completed").stream_ends(1, finish="stop").turn_ends().returns()

    assert asked(POLLS_RESPECT_INTERVAL, story) == ["not applicable: no background answer was asked for"]

from __future__ import annotations

import json

import pytest

from simkit.checks.background import (
    BACKGROUND_CAP,
    CANCELLED_MEANS_STOPPED,
    PARKED_ENDS_ONCE,
    PARKED_IS_NOT_RERUN,
)
from simkit.checks.parking import parked_tasks
from simkit.contracts import Law
from tests.checks.traces import USER, Story, asked, assistant, found, result

LAWS = [BACKGROUND_CAP, PARKED_ENDS_ONCE, CANCELLED_MEANS_STOPPED, PARKED_IS_NOT_RERUN]


class Session:
    """A conversation about parked calls, told by what the model reads; every answer is one request."""

    def __init__(self) -> None:
        self.story = Story().turn()
        self._history: list[object] = [USER]
        self._requests = 0
        self._calls = 0
        self._ask()

    def _ask(self) -> None:
        self._requests += 1
        self.story.request(self._requests, *self._history)

    def at(self, instant: str) -> Session:
        self.story.at(instant)
        return self

    def calls(self, tool: str, args: object = None) -> Session:
        """The model calls a tool."""
        self._calls += 1
        call_id, given = f"call_{self._calls}", args or {}
        self.story.answer(self._requests, {"id": call_id, "tool": tool, "args": given}, finish="tool_calls")
        self._history.append(assistant((call_id, tool, given)))
        return self

    def reads(self, **body: object) -> Session:
        """The model reads the result of its last call."""
        self._history.append(result(f"call_{self._calls}", json.dumps(body)))
        self._ask()
        return self

    def parks(self, tool: str = "slow", background_id: str = "bg-1", **about: object) -> Session:
        """A call of the tool begins and is parked."""
        self.calls(tool, {"n": background_id})
        self.story.starts(tool, {"n": background_id})
        return self.reads(type="background", tool=tool, timeout_seconds=0, background_id=background_id, **about)

    def checks(self, background_id: str = "bg-1", *, cancel: bool = False) -> Session:
        return self.calls("check_background_tool", {"background_id": background_id, "cancel": cancel})

    def hears(self, status: str, background_id: str = "bg-1") -> Session:
        return self.reads(type="background_status", background_id=background_id, tool="slow", status=status)

    def hears_error(self, error: str) -> Session:
        return self.reads(type="error", error=error, message="no")

    def lists(self, **statuses: str) -> Session:
        """The model asks for the list, and reads it."""
        tasks = [{"background_id": name.replace("_", "-"), "status": status} for name, status in statuses.items()]
        self.calls("check_background_tool", {"list": True})
        return self.reads(type="background_list", active=0, tasks=tasks)

    def ends(self, run: int = 1, outcome: str = "ok") -> Session:
        self.story.ends(run, "slow", outcome)
        return self

    def over(self) -> Story:
        return self.story.answer(self._requests).turn_ends().returns()


def parked() -> Session:
    return Session().parks()


def ended() -> Session:
    """The parked call ends at nine seconds, and the model asks at twenty."""
    return parked().at("9s").ends().at("20s")


# -- what is read ---------------------------------------------------------------------------------------
def test_a_parked_call_is_known_with_its_run_and_all_that_was_said_of_it() -> None:
    session = parked().checks().hears("still_running").at("9s").ends().checks().hears("completed")
    (task,) = parked_tasks(session.over().trace).tasks.values()

    assert (task.id, task.tool, task.run is not None, [word.status for word in task.words]) == (
        "bg-1",
        "slow",
        True,
        ["still_running", "completed"],
    )


def wire_of(dialect: str, told: str) -> dict[str, object]:
    """The same conversation on another wire: a call of a tool, and the result with which it was parked."""
    args = {"n": 1}
    bodies: dict[str, object] = {
        "openai-responses": {
            "input": [
                USER,
                {"type": "function_call", "call_id": "c", "name": "slow", "arguments": json.dumps(args)},
                {"type": "function_call_output", "call_id": "c", "output": told},
            ]
        },
        "anthropic": {
            "messages": [
                USER,
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "slow", "input": args}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": told}]},
            ]
        },
        "gemini": {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "slow", "args": args}}]},
                {"parts": [{"functionResponse": {"id": "c", "name": "slow", "response": {"result": told}}}]},
            ]
        },
        "openai-chat": {"messages": [USER, assistant(("c", "slow", args)), result("c", told)]},
    }
    return {"dialect": dialect, "body": bodies[dialect]}


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses", "anthropic", "gemini"])
def test_a_parked_call_is_read_from_every_wire(dialect: str) -> None:
    told = json.dumps({"type": "background", "tool": "slow", "background_id": "bg-1"})
    story = Story().starts("slow", {"n": 1}).request(2, **wire_of(dialect, told))

    assert [(t.id, t.run is not None) for t in parked_tasks(story.trace).tasks.values()] == [("bg-1", True)]


def test_a_call_that_may_be_any_of_two_runs_is_paired_with_none() -> None:
    story = Story().starts("slow", {"n": 1}).starts("slow", {"n": 1})
    told = json.dumps({"type": "background", "tool": "slow", "background_id": "bg-1"})
    story.request(2, **wire_of("openai-chat", told))

    assert [task.run for task in parked_tasks(story.trace).tasks.values()] == [None]


# -- background_cap -------------------------------------------------------------------------------------
def many(count: int) -> Session:
    session = Session()
    for number in range(1, count + 1):
        session.parks("slow", f"bg-{number}")
    return session


def test_one_more_than_the_cap_is_found() -> None:
    findings = found(BACKGROUND_CAP, many(33).over())

    text = (
        "33 parked tool calls were running in request 34 at 0.000s, which tells the model of the last of them, and at "
        "most 32 are allowed: bg-1 (slow), bg-2 (slow), bg-3 (slow) and others"
    )
    assert [(f.text, len(f.events)) for f in findings] == [(text, 2)]


def test_an_evicted_call_that_still_runs_counts() -> None:
    session = Session().parks("slow", "bg-1").parks("slow", "bg-2", evicted=["bg-1"]).at("3s").ends(1, "cancelled")

    assert len(asked(BACKGROUND_CAP, session.over(), 1)) == 1


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(many(32), id="as many as the cap"),
        pytest.param(many(32).ends(7).parks("slow", "bg-33"), id="one of which had ended"),
    ],
)
def test_as_many_as_the_cap_may_run(session: Session) -> None:
    assert asked(BACKGROUND_CAP, session.over()) == []


def test_calls_of_another_conversation_have_a_cap_of_their_own() -> None:
    session, other = Session().parks("slow", "bg-1"), Session().parks("slow", "bg-2")
    for event in other.story.trace.of("request")[1:]:
        session.story.starts("slow", {"n": "bg-2"}).request(9, body=event.get("body"))

    assert asked(BACKGROUND_CAP, session.story, 1) == []


# -- parked_ends_once -----------------------------------------------------------------------------------
def test_a_result_that_is_given_out_twice_is_found() -> None:
    findings = found(PARKED_ENDS_ONCE, ended().checks().hears("completed").at("21s").checks().hears("completed").over())

    text = "the result of bg-1 (slow) was given out twice, in request 3 at 20.000s and request 4 at 21.000s"
    assert [(f.text, len(f.events)) for f in findings] == [(text, 2)]


@pytest.mark.parametrize(
    ("session", "text"),
    [
        (
            ended().checks().hears("completed").checks().hears("cancelled"),
            "the model was told two ends of bg-1 (slow): completed in request 3 at 20.000s and cancelled in request 4 "
            "at 20.000s",
        ),
        (
            ended().checks().hears_error("unknown_id"),
            "the model asked for bg-1 (slow), which it had been told of at 0.000s, and in request 3 at 20.000s nobody "
            "knew the id",
        ),
        (
            ended().checks().hears("completed").checks().hears_error("unknown_id"),
            "the model asked for bg-1 (slow), which it had been told of at 0.000s, and in request 4 at 20.000s nobody "
            "knew the id",
        ),
        (
            ended().checks().hears("still_running"),
            "bg-1 (slow) ended (ok) at 9.000s, but in request 3 at 20.000s the model, which asked later, was told that "
            "it is 'still_running', and its outcome was never told",
        ),
        (
            ended().lists(),
            "bg-1 (slow) ended (ok) at 9.000s, but the list in request 3 at 20.000s does not hold it any more, and its "
            "outcome was never told",
        ),
    ],
)
def test_a_wrong_end_is_found(session: Session, text: str) -> None:
    assert asked(PARKED_ENDS_ONCE, session.over()) == [text]


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(ended().checks().hears("completed"), id="its result"),
        pytest.param(ended().checks().hears("error"), id="its failure"),
        pytest.param(ended(), id="a model that never asks"),
        pytest.param(parked().checks().hears("still_running"), id="a call that still runs"),
        pytest.param(parked().checks(cancel=True).ends(1, "cancelled").hears("cancelled"), id="cancelled"),
        pytest.param(
            parked().checks(cancel=True).ends().hears("cancelled").checks().hears("cancelled"), id="cancelled, and told"
        ),
        pytest.param(
            parked().checks().ends().hears("still_running").checks().hears("completed"), id="a status that crossed"
        ),
        pytest.param(parked().checks().ends().hears("still_running"), id="a status that crossed, and no other"),
        pytest.param(ended().checks().hears("completed").checks().hears_error("already_delivered"), id="asked again"),
        pytest.param(ended().lists(bg_1="completed"), id="listed, and not fetched"),
        pytest.param(ended().checks().hears("completed").lists(), id="fetched, and gone from the list"),
        pytest.param(ended().parks("slow", "bg-2", evicted=["bg-1"]).lists(), id="evicted with a word"),
        pytest.param(ended().lists(bg_1="evicted").lists(bg_1="evicted"), id="evicted, says the list"),
        pytest.param(ended().checks("bg-7").hears_error("unknown_id"), id="an id that never was"),
        pytest.param(ended().checks().hears_error("bad_argument").checks().hears("completed"), id="a bad question"),
    ],
)
def test_one_end_that_is_told_to_a_model_that_asks_is_no_fault(session: Session) -> None:
    assert asked(PARKED_ENDS_ONCE, session.over()) == []


def test_a_list_of_another_conversation_need_not_hold_it() -> None:
    session, other = ended(), Session().at("20s").lists()
    for event in other.story.trace:
        if event.kind == "request":
            session.story.request(90, body=event.get("body"))
        elif event.kind == "stream.end":
            session.story.event("provider", "stream.end", **{**event.values, "request": 1})

    assert asked(PARKED_ENDS_ONCE, session.story.returns()) == []


# -- cancelled_means_stopped ----------------------------------------------------------------------------
def cancelled() -> Session:
    return parked().at("10s").checks(cancel=True)


def test_an_effect_after_the_word_cancelled_is_found() -> None:
    session = cancelled().hears("cancelled").at("15s")
    session.story.effect(1, "money sent", "slow")
    findings = found(CANCELLED_MEANS_STOPPED, session.ends().over())

    text = (
        "the model was told in request 3 at 10.000s that bg-1 (slow) was cancelled, but it did this at 15.000s: "
        '"money sent"'
    )
    events = [[e.kind for e in session.story.trace.events if e.n in f.events] for f in findings]
    assert ([f.text for f in findings], events) == ([text], [["request", "tool.effect"]])


def test_an_end_after_the_word_cancelled_is_found() -> None:
    assert asked(CANCELLED_MEANS_STOPPED, cancelled().hears("cancelled").at("12s").ends(1, "cancelled").over()) == [
        "the model was told in request 3 at 10.000s that bg-1 (slow) was cancelled, but it ended only at 12.000s "
        "(cancelled)"
    ]


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(cancelled().ends(1, "cancelled").hears("cancelled"), id="it had stopped"),
        pytest.param(cancelled().hears("cancelling").at("15s").ends(1, "cancelled"), id="it was said to be stopping"),
        pytest.param(cancelled().hears("completed").at("15s").ends(), id="it had a result"),
    ],
)
def test_a_call_that_has_stopped_may_be_called_cancelled(session: Session) -> None:
    assert asked(CANCELLED_MEANS_STOPPED, session.over()) == []


# -- parked_is_not_rerun --------------------------------------------------------------------------------
def again(session: Session) -> Session:
    """The model makes the same call once more, and the tool is started."""
    session.calls("slow", {"n": "bg-1"})
    session.story.starts("slow", {"n": "bg-1"})
    return session


def test_the_same_call_that_is_started_again_while_it_is_parked_is_found() -> None:
    findings = found(PARKED_IS_NOT_RERUN, again(parked().at("5s")).at("9s").ends().ends(2).over())

    text = (
        'slow was started again at 5.000s with {"n": "bg-1"}, while the same call, begun at 0.000s, was still running '
        "as bg-1"
    )
    assert [f.text for f in findings] == [text]


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(again(ended()).ends(2), id="after its end"),
        pytest.param(parked().parks("slow", "bg-2"), id="with other arguments"),
        pytest.param(parked().calls("slow", {"n": "bg-1"}).reads(type="background", background_id="bg-1"), id="a twin"),
    ],
)
def test_another_call_or_a_later_one_is_no_fault(session: Session) -> None:
    assert asked(PARKED_IS_NOT_RERUN, session.over()) == []


def test_two_equal_calls_of_one_answer_may_both_run_and_both_be_parked() -> None:
    note = {"call": "call_1", "tool": "slow", "background_id": "bg-1", "args": {}}
    story = (
        Story().turn().request(1, USER).answer(1).starts("slow", {}).starts("slow", {}).at("9s").note("parked", **note)
    )

    assert asked(PARKED_IS_NOT_RERUN, story.returns()) == []


# -- all ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("law", LAWS)
def test_nothing_is_said_of_a_run_in_which_nothing_was_parked(law: Law) -> None:
    story = Session().calls("slow").reads(type="done").over()

    assert asked(law, story) == ["not applicable: no tool call was parked"]


@pytest.mark.parametrize("law", LAWS)
def test_a_call_that_was_parked_and_looked_after_is_no_fault(law: Law) -> None:
    session = parked().checks().hears("still_running").at("9s").ends().checks().hears("completed")

    assert asked(law, session.over()) == []

"""The parts of a page: lines of the scenario, lines of code, the conversation, the drawing."""

from __future__ import annotations

import json
from dataclasses import replace

from simkit.model.scenario import Link, LinkReset
from simkit.model.timeline import Place
from simkit.model.trace import Event
from simkit.reporters.page import page
from simkit.reporters.page.conversation import conversation
from simkit.reporters.page.places import places
from simkit.reporters.page.source import code, code_places, files
from tests.checks.traces import FILE, USER, Story
from tests.reporters.results import SCENARIO, failing, long_run
from tests.reporters.runs import KEY, PLACED, whole
from tests.reporters.test_page import block, data


# -- which line of the scenario --
def lines(story: Story) -> list[tuple[str, int | None]]:
    found = places(PLACED, story.trace, story.trace)
    return [(event.kind, found[event.n].line if event.n in found else None) for event in story.trace]


def test_an_event_comes_from_the_line_of_its_act_its_answer_its_step_or_its_tool() -> None:
    story = Story().event("user", "user.says", text="Write it", line=5).request(1, USER).response(1)
    story.frame(1, "say", "I'll", step=0).frame(1, "call", step=1, tool="write_file").stream_ends(
        1
    ).starts().turn_ends()
    assert lines(story) == [
        ("user.says", 5),
        ("request", 7),
        ("response", 7),
        ("frame", 8),
        ("frame", 9),
        ("stream.end", 7),
        ("tool.start", 9),
        ("turn.end", None),
    ]


def test_what_no_line_of_the_scenario_caused_has_none() -> None:
    story = Story().event("user", "user.cancels", heard=True, line=None).request(1, USER).starts("other")
    story.response(2).frame(2, "say", "Hi", step=99)
    assert [line for _, line in lines(story)] == [None, None, None, 7, 7]


def test_a_line_is_one_of_the_file_that_it_stands_in() -> None:
    base = replace(
        PLACED, user=(replace(PLACED.user[0], place=Place("base.sim.yaml", 5)),), bases={"base.sim.yaml": ""}
    )
    story = Story().event("user", "user.says", text="Write it", line=5)
    assert places(base, story.trace, story.trace)[0] == Place("base.sim.yaml", 5)


def test_a_fault_of_a_link_comes_from_its_line() -> None:
    link = Link(faults=(LinkReset(at_ns=0, place=Place(FILE, 11)),))
    story = Story().event("network", "link.fault", host="api.test", fault="reset", line=11)
    assert places(replace(PLACED, network={"api.test": link}), story.trace, story.trace)[0].line == 11


# -- texts --
def test_the_scenario_and_what_it_extends_are_there_line_by_line_without_secrets() -> None:
    scenario = replace(SCENARIO, source=f"a: 1\nsettings: {{api_key: {KEY[3:]}, b: 2}}", bases={"base.sim.yaml": "x"})
    assert files(scenario) == {FILE: ["a: 1", "settings: {api_key: ***, b: 2}"], "base.sim.yaml": ["x"]}


def test_the_code_around_a_place_is_five_lines_as_far_as_there_are_so_many() -> None:
    text = {1: "    a = 1", 2: "    if a:", 3: "        return 1"}
    known = code(["agent.py:2", "gone.py:9", "agent.py:2"], lambda p: text.get(int(p[p.index(":") + 1 :]), ""))
    assert known == {"agent.py:2": {"first": 1, "lines": ["a = 1", "if a:", "    return 1"]}}


def test_an_event_names_its_lines_of_code_the_innermost_first() -> None:
    frames = ["agent.py:10 main", "agent.py:20 call"]
    raised = Event(0, 0, "subject", "subject.raised", {"where": "agent.py:20", "frames": frames})
    orphan = Event(0, 0, "world", "orphan", {"created": "agent.py:3", "waits": "agent.py:7", "name": "poll"})
    waiting = Event(0, 0, "world", "orphan", {"created": "agent.py:3", "waits": "a lock"})
    assert [code_places(event) for event in (raised, orphan, waiting)] == [
        ["agent.py:20", "agent.py:10"],
        ["agent.py:3", "agent.py:7"],
        ["agent.py:3"],
    ]


# -- the conversation --
def said(story: Story) -> list[tuple[str, str, str]]:
    return [(one.who, one.text, one.about) for one in conversation(story.trace)]


def test_pieces_of_one_answer_are_one_message_also_between_those_of_another() -> None:
    story = (
        Story().request(1, USER).request(2, USER).frame(1, "say", "Hel").frame(2, "say", "Yes").frame(1, "say", "lo")
    )
    assert said(story) == [("model (request 1)", "Hello", ""), ("model (request 2)", "Yes", "")]


def test_a_call_is_a_message_with_its_arguments_and_how_its_answer_ended() -> None:
    story = (
        Story().frame(1, "say", "I'll.").frame(1, "call", "", tool="ls").frame(1, "args", '{"p').stream_ends(1, "cut")
    )
    assert said(story) == [("model (request 1)", "I'll.", ""), ("model (request 1) calls ls", '{"p', "cut off")]


def test_a_conversation_holds_all_who_speak_in_the_order_in_which_they_began() -> None:
    assert [one.who for one in conversation(whole().trace)] == [
        "user",
        "model (request 1)",
        "model (request 1) calls write_file",
        "model (request 2)",
        "tool write_file",
        "agent shows the user",
        "agent",
    ]


def test_refusals_and_cancellations_are_told_too() -> None:
    story = Story().cancels().leaves().response(1, 429).event("provider", "request.invalid", request=2, text="no tools")
    assert said(story) == [
        ("user", "", "cancels"),
        ("user", "", "leaves"),
        ("provider", "", "answers request 1 with 429"),
        ("provider", "no tools", "refuses request 2"),
    ]


# -- the drawing --
def test_spans_and_arrows_point_to_the_events_of_the_page() -> None:
    text = page(whole())
    found, kinds = data(text), [json.loads(line)["what"] for line in block(text, "trace").splitlines()[1:]]
    assert [(name, kinds[first], kinds[last]) for _, name, _, first, last, _, _ in found["spans"]][:2] == [
        ("turn 1", "turn.start", "turn.end"),
        ("request 1", "request", "stream.end"),
    ]
    assert [(kinds[a], kinds[b]) for a, b in found["arrows"]] == [
        ("user.says", "turn.start"),
        ("request", "response"),
        ("request", "response"),
        ("stream.end", "tool.start"),
    ]


def test_a_cut_page_says_where_events_are_left_out_and_draws_spans_only_within_what_it_holds() -> None:
    found = data(page(long_run(1_000)))
    count = len(found["events"])
    assert sum(left for _, left in found["gaps"]) == found["total"] - count
    assert [s for s in found["spans"] if not 0 <= s[3] <= s[4] < count] == []
    assert found["cut"].startswith(f"This page holds {count:,} of the 8,000 events")


def test_deciding_events_are_numbered_in_their_order() -> None:
    found = data(page(failing()))
    assert list(found["marks"].values()) == list(range(1, len(found["marks"]) + 1))
    assert [n for one in found["findings"] for n in one["events"] if str(n) not in found["marks"]] == []

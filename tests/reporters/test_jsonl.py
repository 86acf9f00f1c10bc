from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from simkit.model.trace import Event, Trace
from simkit.model.verdict import Result
from simkit.reporters.jsonl import JSONL, event_line
from tests.reporters.results import failing, passing


def event(at_ns: int = 0, **values: object) -> Event:
    return Event(0, at_ns, "subject", "note", values)


def test_each_case_begins_with_its_name_and_holds_its_events_in_order() -> None:
    lines = [json.loads(line) for line in JSONL.render([passing(), failing()]).splitlines()]
    title = "The stream stalls in the middle of a tool call"

    assert [line["case"] for line in lines if "case" in line] == [title, f"{title}/quiet=20m"]
    assert [line["what"] for line in lines if "what" in line] == [
        event.kind for result in (passing(), failing()) for event in result.trace
    ]


def test_a_line_begins_with_time_actor_and_kind_and_sorts_the_rest() -> None:
    assert event_line(event(540_000_000_000, name="retry", b=1, a={"y": 1, "x": 2})) == (
        '{"at": 540.000, "who": "subject", "what": "note", "a": {"x": 2, "y": 1}, "b": 1, "name": "retry"}'
    )


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0.000"), (1, "0.000000001"), (1_250_000_000, "1.250"), (10**18, "1000000000.000")],
)
def test_an_instant_is_exact_with_at_least_three_decimals(ns: int, text: str) -> None:
    assert event_line(event(ns)).startswith(f'{{"at": {text}, ')


def test_a_value_called_like_the_head_of_a_line_carries_its_kind() -> None:
    line = event_line(Event(0, 0, "world", "orphan", {"what": "task", "name": "poll"}))

    assert line == '{"at": 0.000, "who": "world", "what": "orphan", "name": "poll", "orphan.what": "task"}'


class Odd:
    """A value whose repr would carry its address."""


def test_values_that_json_cannot_hold_are_made_safe() -> None:
    odd = event(a=math.nan, b=-math.inf, c=b"\xff\x00", d={3, 1, 2}, e=Odd(), f="\ud800", g={1: (2,)})

    assert json.loads(event_line(odd)) == {
        "at": 0.0,
        "who": "subject",
        "what": "note",
        "a": "nan",
        "b": "-inf",
        "c": "\\xff\x00",
        "d": [1, 2, 3],
        "e": "<Odd>",
        "f": "\\ud800",
        "g": {"1": [2]},
    }


def test_a_line_is_one_line_for_every_reader_and_keeps_its_letters() -> None:
    text = "a\nb\u2028c\x85d\x0be Größe"
    line = event_line(event(text=text))

    assert (len(line.splitlines()), json.loads(line)["text"], "Größe" in line) == (1, text, True)


def test_secrets_and_places_of_this_machine_are_left_out() -> None:
    secret = event(api_key="x", text="the " + "sk-" + "abcdef123456", where="/home/me/project/agent/loop.py:12")

    values = json.loads(event_line(secret))
    assert (values["api_key"], values["text"], values["where"]) == ("***", "the ***", "agent/loop.py:12")


def test_equal_traces_give_equal_bytes_and_no_wall_time() -> None:
    def ran(wall_s: float, *names: str) -> Result:
        events = (Event(0, 0, "subject", "note", dict.fromkeys(names, 1)),)
        return replace(failing(), trace=Trace(events), wall_s=wall_s)

    one, other = ran(0.1, "a", "b"), ran(9.9, "b", "a")
    assert (one.trace, JSONL.render([one])) == (other.trace, JSONL.render([other]))

from __future__ import annotations

import pytest

from simkit.checks.expectations import met
from simkit.checks.occurrences import described
from simkit.model.duration import NS_PER_S
from simkit.model.scenario import EventPattern, Expectation, Matcher
from simkit.model.timeline import Place
from tests.checks.traces import FILE, Story


def told() -> Story:
    """Two tools at one and two seconds, and what was said at nine."""
    story = Story().turn().at("1s").runs("read", {"path": "a", "size": 1}).at("2s").runs("write", {"path": "b"})
    return story.at("9s").event("subject", "said", text="Done, it is ready.").turn_ends().returns()


def exactly(value: object) -> Matcher:
    return Matcher(op="exactly", value=value)


def pattern(kind: str, at: Matcher | None = None, **values: object) -> EventPattern:
    held = {name: value if isinstance(value, Matcher) else exactly(value) for name, value in values.items()}
    return EventPattern(kind=kind, values=held, at=at, place=Place(FILE, 50))


def unmet(*patterns: EventPattern) -> list[tuple[str, tuple[int, ...], Place | None]]:
    matchers = tuple(Matcher(op="occurs", value=one) for one in patterns)
    expectation = Expectation(fact="events", matchers=matchers, place=Place(FILE, 40))
    return [(finding.text, finding.events, finding.place) for finding in met(expectation, told().trace)]


@pytest.mark.parametrize(
    "patterns",
    [
        pytest.param([pattern("tool.start"), pattern("said"), pattern("run.end")], id="by their kinds"),
        pytest.param([pattern("tool.start", tool="read"), pattern("tool.start", tool="write")], id="by their values"),
        pytest.param([pattern("tool.start", tool="write"), pattern("said")], id="with others between them"),
        pytest.param([pattern("tool.start"), pattern("tool.start")], id="two of a kind"),
        pytest.param([pattern("tool.start", args=Matcher(op="holds", value={"size": 1.0}))], id="by a part of a value"),
        pytest.param([pattern("tool.end", outcome=Matcher(op="not", value="error"))], id="by what is not"),
        pytest.param([pattern("said", text=Matcher(op="contains", value="Done"), at=exactly(9 * NS_PER_S))], id="at"),
        pytest.param([pattern("said", at=Matcher(op="at_most", value=9 * NS_PER_S))], id="by then"),
    ],
)
def test_events_that_occur_in_order_are_as_expected(patterns: list[EventPattern]) -> None:
    assert unmet(*patterns) == []


@pytest.mark.parametrize(
    ("patterns", "text", "events"),
    [
        (
            [pattern("tool.start", tool="write"), pattern("tool.start", tool="read")],
            'expected event 2 of 2 to be tool.start whose tool is "read", after tool.start at 2.000s, but it came '
            "before that, at 1.000s",
            (1, 3),
        ),
        (
            [pattern("tool.start"), pattern("said", text=Matcher(op="contains", value="Sorry")), pattern("run.end")],
            'expected event 2 of 3 to be said whose text contains "Sorry", after tool.start at 1.000s, but the nearest '
            'was said at 9.000s, and its text was "Done, it is ready."',
            (1, 5),
        ),
        (
            [pattern("said"), pattern("said")],
            "expected event 2 of 2 to be said, after said at 9.000s, but it came only once",
            (5,),
        ),
        (
            [pattern("said"), pattern("tool.end", tool="sum")],
            'expected event 2 of 2 to be tool.end whose tool is "sum", after said at 9.000s, but no tool.end came '
            "after it",
            (5,),
        ),
        ([pattern("orphan")], "expected event 1 of 1 to be orphan, but no orphan came", (7,)),
        (
            [pattern("said", at=Matcher(op="at_most", value=5 * NS_PER_S))],
            "expected event 1 of 1 to be said whose instant is at most 5s, but the nearest was said at 9.000s, and "
            "that is another instant",
            (5,),
        ),
    ],
)
def test_the_first_event_that_is_missing_is_told_with_what_came_instead(
    patterns: list[EventPattern], text: str, events: tuple[int, ...]
) -> None:
    assert unmet(*patterns) == [(text, events, Place(FILE, 50))]


def test_a_pattern_is_said_with_all_that_it_asks_for() -> None:
    asked = pattern(
        "tool.end",
        tool="write",
        outcome=Matcher(op="one_of", value=("ok", "error")),
        result=Matcher(op="not", value=Matcher(op="contains", value="no")),
        run=Matcher(op="between", value=(1, 2)),
        at=Matcher(op="not", value=NS_PER_S),
    )

    assert described(asked) == (
        'tool.end whose tool is "write" and whose outcome is one of "ok", "error" and whose result never contains "no" '
        "and whose run is between 1 and 2 and whose instant is not 1s"
    )

from __future__ import annotations

import pytest

from simkit.checks.comparing import Fact, matches
from simkit.checks.expectations import facts, met
from simkit.model.duration import NS_PER_S
from simkit.model.scenario import Expectation, Matcher
from simkit.model.timeline import Place
from tests.checks.traces import FILE, USER, Story, assistant, result


def story() -> Story:
    """Two failed attempts, a whole answer with a tool, and a last message."""
    made = assistant(("a", "x", {}), ("b", "x", {}))
    history = (USER, made, result("a"), result("b"))
    tale = Story().turn().event("network", "connection.refused", host="api.test", port=443, how="refused")
    tale.at("1s").request(1, USER).response(1, 429).at("3s").request(2, USER).answer(2)
    tale.event("subject", "note", name="continuation").event("subject", "note", name="retry")
    tale.runs("x").effect(1, "done", "x").runs("x").runs("y").request(3, *history).answer(3).request(
        4, *history, USER
    ).answer(4)
    tale.job("queued", 4).asks("retrieve", number=4).asks("retrieve", status=502, number=4).asks("stream", number=4)
    tale.asks("cancel", "cancelled", 4).note("usage", input=100, output=5).note("usage", input=20)
    tale.note("parked", background_id="bg-1", tool="y", call="q", args={})
    return tale.event("subject", "said", text="Done, it is ready.").turn_ends().at("9s").returns()


def unmet(fact: str, *matchers: Matcher, key: str | None = None, tale: Story | None = None) -> list[str]:
    expectation = Expectation(fact=fact, matchers=matchers, key=key)
    return [finding.text for finding in met(expectation, (tale or story()).trace)]


def exactly(value: object) -> Matcher:
    return Matcher(op="exactly", value=value)


@pytest.mark.parametrize(
    ("fact", "key", "value"),
    [
        ("requests", None, 4),
        ("requests", "post", 4),
        ("requests", "get", 3),
        ("polls", None, 2),
        ("attempts", None, 5),
        ("continuations", None, 1),
        ("tool_calls", None, 3),
        ("tool_calls", "x", 2),
        ("tool_calls", "z", 0),
        ("tool_effects", "x", 1),
        ("tool_effects", "y", 0),
        ("parked", None, 1),
        ("usage", "input", 120),
        ("usage", "output", 5),
        ("tool_results_sent", None, 2),
        ("messages", None, 1),
        ("last_message", None, "Done, it is ready."),
        ("outcome", None, "finished"),
        ("ends_within", None, 9 * NS_PER_S),
    ],
)
def test_each_fact_is_read_from_the_trace(fact: str, key: str | None, value: object) -> None:
    assert unmet(fact, exactly(value), key=key) == []


def test_the_waits_between_attempts_are_compared_one_by_one() -> None:
    assert unmet("waits", exactly(NS_PER_S), exactly(5 * NS_PER_S)) == [
        "expected waits, number 2, to be 5s, but it was 2s"
    ]


def test_one_matcher_stands_for_every_wait() -> None:
    assert unmet("waits", Matcher(op="between", value=(NS_PER_S, 2 * NS_PER_S))) == []


@pytest.mark.parametrize(
    ("matchers", "text"),
    [
        ([], "expected waits to be 0 in number, but there were 1s, 2s"),
        ([exactly(NS_PER_S)], "expected waits to be 1 in number, but there were 1s, 2s"),
    ],
)
def test_another_number_of_waits_is_not_what_was_expected(matchers: list[Matcher], text: str) -> None:
    assert unmet("waits", *matchers) == [text]


def test_no_waits_at_all_do_not_meet_a_matcher() -> None:
    assert unmet("waits", Matcher(op="at_least", value=1), tale=Story().returns()) == [
        "expected waits to be 1 in number, but there were none"
    ]


@pytest.mark.parametrize(
    ("fact", "matcher", "text"),
    [
        ("requests", exactly(5), "expected requests to be 5, but it was 4"),
        ("requests", Matcher(op="at_most", value=3), "expected requests to be at most 3, but it was 4"),
        ("requests", Matcher(op="at_least", value=9), "expected requests to be at least 9, but it was 4"),
        ("requests", Matcher(op="between", value=(5, 7)), "expected requests to be between 5 and 7, but it was 4"),
        ("outcome", Matcher(op="one_of", value=["failed", "cancelled"]),
         'expected outcome to be one of "failed", "cancelled", but it was "finished"'),
        ("outcome", Matcher(op="not", value="finished"),
         'expected outcome not to be "finished", but it was "finished"'),
        ("last_message", Matcher(op="contains", value="sorry"),
         'expected last_message to contain "sorry", but it was "Done, it is ready."'),
        ("last_message", Matcher(op="matches", value="^ready"),
         'expected last_message to match "^ready", but it was "Done, it is ready."'),
        ("last_message", Matcher(op="not", value=Matcher(op="contains", value="ready")),
         'expected last_message not to contain "ready", but it was "Done, it is ready."'),
        ("ends_within", exactly(5 * NS_PER_S), "expected ends_within to be at most 5s, but it was 9s"),
    ],
)  # fmt: skip
def test_an_unmet_expectation_says_what_was_expected_and_what_was_there(fact: str, matcher: Matcher, text: str) -> None:
    assert unmet(fact, matcher) == [text]


def test_a_key_is_named_in_the_sentence() -> None:
    assert unmet("tool_calls", exactly(1), key="x") == ["expected tool_calls of x to be 1, but it was 2"]


@pytest.mark.parametrize("fact", ["last_message", "outcome"])
def test_a_fact_that_is_missing_meets_no_value(fact: str) -> None:
    ops = ["exactly", "contains", "matches", "at_most", "at_least"]

    assert [len(unmet(fact, Matcher(op=op, value="x"), tale=Story())) for op in ops] == [1] * len(ops)


def test_a_subject_that_reports_no_usage_has_counted_nothing_and_not_zero() -> None:
    assert unmet("usage", exactly(0), key="input", tale=Story()) == [
        "expected usage of input to be 0, but it was missing"
    ]


def test_a_finding_points_to_the_expectation_and_the_first_event_too_many() -> None:
    place = Place(FILE, 30)
    expectation = Expectation(fact="requests", matchers=(Matcher(op="at_most", value=1),), place=place)

    findings = [(f.law, f.place, f.events) for f in met(expectation, story().trace)]
    second = [event.n for event in story().trace.of("request")][1]
    assert findings == [("expect.requests", place, (second,))]


def deciding(fact: str, matcher: Matcher, tale: Story, key: str | None = None) -> list[str]:
    """The events that a finding points to, each as its kind and how many of that kind came before it."""
    trace = tale.trace
    (finding,) = met(Expectation(fact=fact, matchers=(matcher,), key=key), trace)
    events = [trace.events[n] for n in finding.events]
    return [f"{event.kind} {trace.of(event.kind).index(event) + 1}" for event in events]


@pytest.mark.parametrize(
    ("matcher", "event"),
    [
        (exactly(1), "request 2"),
        (Matcher(op="at_most", value=0), "request 1"),
        (Matcher(op="between", value=(1, 2)), "request 3"),
        (Matcher(op="at_least", value=5), "request 4"),
        (Matcher(op="not", value=4), "request 4"),
    ],
)
def test_of_a_count_the_first_too_many_decides_or_the_last_there_was(matcher: Matcher, event: str) -> None:
    assert deciding("requests", matcher, story()) == [event]


def test_the_request_that_brought_the_result_too_many_decides_also_where_it_brought_several() -> None:
    assert [deciding("tool_results_sent", exactly(most), story()) for most in (0, 1)] == [["request 3"]] * 2


def test_of_a_sum_of_tokens_the_last_count_decides() -> None:
    assert deciding("usage", exactly(1), story(), key="input") == ["note 4"]


@pytest.mark.parametrize("fact", [fact for fact in facts() if fact not in ("events", "ends_within")])
@pytest.mark.parametrize("tale", [story(), Story().turn().at("9s").returns()], ids=["much", "nothing"])
def test_a_finding_of_every_fact_points_at_what_decided_it(fact: str, tale: Story) -> None:
    """What never came, the end of the run decides."""
    key = {"usage": "input"}.get(fact)
    events = deciding(fact, exactly("never this"), tale, key)
    assert (len(events) > 0, tale.trace.of("said") != [] or events == ["run.end 1"]) == (True, True)


def test_spans_are_compared_in_whole_microseconds() -> None:
    spans = [Fact(2 * NS_PER_S + error, (), spans=True) for error in (-400, 0, 400, 1000)]

    assert [matches(span, exactly(2 * NS_PER_S)) for span in spans] == [True, True, True, False]


def test_every_fact_has_a_name_of_the_language() -> None:
    assert facts() == (
        "requests",
        "attempts",
        "polls",
        "continuations",
        "tool_calls",
        "tool_effects",
        "parked",
        "tool_results_sent",
        "messages",
        "last_message",
        "outcome",
        "ends_within",
        "waits",
        "usage",
        "events",
    )


@pytest.mark.parametrize(
    ("matcher", "expected", "counted"),
    [
        (Matcher(op="exactly", value=2), "requests to be 2", (["request"] * 4, 2)),
        (Matcher(op="at_least", value=9), "requests to be at least 9", ([], None)),
    ],
)
def test_what_is_unmet_is_also_told_as_a_pair_with_all_that_was_counted_where_it_was_too_many(
    matcher: Matcher, expected: str, counted: tuple[list[str], int | None]
) -> None:
    trace = story().trace
    (finding,) = met(Expectation(fact="requests", matchers=(matcher,)), trace)

    kinds = [trace.events[n].kind for n in finding.counted]
    assert (finding.expected, finding.actual, (kinds, finding.limit)) == (expected, "4", counted)


def test_of_what_never_came_the_end_of_the_run_tells_and_not_what_is_written_down_behind_it() -> None:
    trace = Story().returns().event("provider", "answer.unused", answer=0, left=1, line=7).trace
    (finding,) = met(Expectation(fact="messages", matchers=(Matcher(op="exactly", value=1),)), trace)

    assert [trace.events[n].kind for n in finding.events] == ["run.end"]

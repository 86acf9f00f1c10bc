from __future__ import annotations

import pytest

from simkit.model.trace import Event
from simkit.reporters.sentences import AGENT, REQUESTS, STREAM, TOOLS, USER, tell
from tests.reporters.runs import KEY, all_kinds


def event(actor: str, kind: str, **values: object) -> Event:
    return Event(0, 0, actor, kind, values)


def test_every_kind_of_the_table_has_a_sentence_of_its_own() -> None:
    # What is in no table of ours is told by its kind and a colon.
    assert [e.kind for e in all_kinds() if tell(e).text.startswith(f"{e.kind}:")] == []
    assert len(all_kinds()) > 35


def test_an_unknown_kind_is_told_with_all_its_values_in_the_lane_of_the_one_who_speaks() -> None:
    told = [tell(event(actor, "new.kind", x=1)) for actor in ("user", "provider", "network", "tool", "world")]
    assert [one.lane for one in told] == [USER, STREAM, REQUESTS, TOOLS, AGENT]
    assert ("new.kind" in told[0].text, '"x": 1' in told[0].text) == (True, True)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (event("user", "user.says", text="Hi"), 'the user says "Hi"'),
        (event("user", "user.cancels", heard=False), "the user cancels, while nothing is under way"),
        (
            event("provider", "silence", request=2, ns=181_000_000_000),
            "request 2: from here on the script is silent for 181s",
        ),
        (
            event("provider", "frame", **{"request": 1, "is": "say", "text": "Hi", "times": 3}),
            'request 1: the provider says "Hi", 3 times',
        ),
        (
            event("provider", "stream.end", request=1, how="cut", finish=None),
            "the answer to request 1 is cut off inside its body, without a finish reason",
        ),
        (event("tool", "tool.end", run=1, tool="ls", outcome="error", result="no"), "tool ls (run 1) fails: no"),
        (event("subject", "note", name="stub", dropped=["a"], n=1), 'the agent notes stub: dropped ["a"], n 1'),
        (event("world", "run.end", reason="returned", text=""), "the run ends"),
        (event("world", "run.end", reason="undeclared_host", text="x.test"), "the run ends, undeclared host: x.test"),
    ],
)
def test_a_sentence_says_what_happened(one: Event, text: str) -> None:
    assert tell(one).text == text


@pytest.mark.parametrize(
    ("one", "sign"),
    [
        (event("provider", "response", status=200), ""),
        (event("provider", "response", status=429), "fault"),
        (event("provider", "stream.end", how="complete"), "end"),
        (event("provider", "stream.end", how="reset"), "fault"),
        (event("provider", "stream.end", how="complete", error="overloaded"), "fault"),
        (event("provider", "frame", **{"is": "say"}), "piece"),
        (event("provider", "frame", **{"is": "garbled"}), "fault"),
        (event("user", "user.cancels", heard=True), "cancel"),
        (event("tool", "tool.end", outcome="cancelled"), "cancel"),
        (event("provider", "silence", ns=1), "silence"),
        (event("world", "run.end", reason="returned"), "end"),
        (event("world", "run.end", reason="deadlock"), "fault"),
    ],
)
def test_a_sign_tells_faults_cancellations_pieces_and_ends_apart(one: Event, sign: str) -> None:
    assert tell(one).sign == sign


def test_a_sentence_is_one_bounded_line_without_secrets() -> None:
    text = tell(event("subject", "said", text=f"a\nb\x1b[31m {KEY} " + "x" * 5_000)).text
    assert (len(text), "\n" in text, "\x1b" in text, KEY in text, "***" in text) == (400, False, False, False, True)

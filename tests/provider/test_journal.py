from __future__ import annotations

import pytest

from simkit.model.trace import Event
from simkit.provider.journal import Journal, Line, Remark, Told, line_of


def event(kind: str, **values: object) -> Event:
    return Event(0, 1_234_567_890, "provider", kind, values)


def said(text: str, *, bad: bool = False) -> Line:
    return Line(f"    1.234s  {text}", bad)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            event("request", request=2, method="POST", path="/p", model="m", stream=True, background=True, retry=1),
            said("#2 POST /p  m stream background retry 1"),
        ),
        (event("response", request=2, status=200, line=5), said("#2 200  line 5")),
        (event("response", request=2, status=529, line=None), said("#2 529", bad=True)),
        (event("stream.end", request=2, how="client_closed"), said("#2 client closed", bad=True)),
        (
            event("request.invalid", request=2, status=400, text="no messages"),
            said("#2 400 refused as the API does: no messages", bad=True),
        ),
        (event("silence", request=2, ns=90_000_000_000, line=7), said("#2 silent for 90s  line 7")),
        (event("job.request", op="retrieve", job="r", status=200, state="queued"), said("retrieve r  200 queued")),
        (event("job.request", op="cancel", job="r", status=None, state=None), said("cancel r  no answer", bad=True)),
        (event("other.request", method="GET", host="h", path="/", status=404), said("GET h /  404", bad=True)),
        (
            event("connection.refused", host="h", port=443, how="refused"),
            said("h  connection: refused (accepted, and reset at once)", bad=True),
        ),
        (
            event("connection.refused", host="h", port=443, how="timeout"),
            said("h  connection: timeout (accepted, and silent from here on)", bad=True),
        ),
        (
            event("answer.unused", answer=1, left=3, line=9),
            said("never asked for: answer 2, 3 times  line 9", bad=True),
        ),
    ],
)
def test_each_event_that_people_want_has_its_line(told: Event, line: Line) -> None:
    assert line_of(told) == line


def test_the_others_have_one_where_everything_is_wanted() -> None:
    frame = event("frame", request=1, text="x" * 100, tool=None)
    assert (line_of(frame), line_of(frame, all_of_them=True)) == (
        None,
        said(f"  frame  request=1 text={'x' * 57}..."),
    )


def test_a_journal_tells_everything_without_secrets_and_keeps_as_much_as_it_should() -> None:
    told = list[Told]()
    journal = Journal(told.append, events_max=1)
    journal.record(1, "provider", "request", path="/a?key=secret", body={"api_key": "secret"})
    journal.record(2, "provider", "response", status=200)
    journal.remark("a key such as sk-abcdefghijkl")
    assert (told, list(journal.trace)) == (
        [
            Event(0, 1, "provider", "request", {"path": "/a?key=***", "body": {"api_key": "***"}}),
            Event(1, 2, "provider", "response", {"status": 200}),
            Remark("a key such as ***"),
        ],
        [Event(1, 2, "provider", "response", {"status": 200})],
    )

"""The recorder: every event is numbered, stamped and redacted, until it is closed."""

from __future__ import annotations

from simkit.kernel.clock import Clock
from simkit.kernel.recorder import Recorder


def test_events_are_numbered_and_stamped() -> None:
    clock = Clock()
    recorder = Recorder(clock)
    recorder.record("world", "note", name="a")
    clock.advance(5)
    recorder.record("user", "says", text="hello")
    assert list(recorder.trace) == [
        (0, 0, "world", "note", {"name": "a"}),
        (1, 5, "user", "says", {"text": "hello"}),
    ]


def test_secrets_are_masked_in_every_value() -> None:
    recorder = Recorder(Clock())
    recorder.record("subject", "note", text="key sk-abcdefghijkl", body={"api_key": "x", "model": "m"})
    assert [dict(e.values) for e in recorder.trace] == [{"text": "key ***", "body": {"api_key": "***", "model": "m"}}]


def test_nothing_is_recorded_once_it_is_closed() -> None:
    recorder = Recorder(Clock())
    recorder.record("world", "before")
    earlier = recorder.trace
    recorder.close()
    recorder.record("world", "after")
    assert recorder.trace == earlier

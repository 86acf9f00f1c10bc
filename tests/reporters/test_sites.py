from __future__ import annotations

from simkit.reporters.layout import ReportOptions
from simkit.reporters.sites import in_your_code
from tests.checks.traces import Story


def code(place: str) -> str:
    return {"agent.py:3": "    lock.acquire()\n"}.get(place, "")


def told(story: Story) -> list[str]:
    trace = story.trace
    marks = {event.n: number for number, event in enumerate(trace, 1) if event.actor in ("world", "subject")}
    return in_your_code(trace, marks, ReportOptions(width=120, code=code))


def test_a_line_of_code_stands_with_its_text_beside_the_number_of_its_event() -> None:
    story = Story().event("world", "loop.blocked", ns=7, where="agent.py:3", waits="a lock")

    assert told(story) == ["  In your code", "    1>  agent.py:3    lock.acquire()"]


def test_of_a_deep_stack_the_inner_lines_are_shown() -> None:
    frames = [f"agent.py:{n} step" for n in range(10, 20)]
    rows = told(Story().event("subject", "subject.raised", error="E", text="", where="", frames=frames))

    assert (rows[1], rows[2], rows[-1], len(rows)) == (
        "        ... 4 outer lines",
        "    1>  agent.py:14  step()",
        "        agent.py:19  step()",
        8,
    )


def test_a_trace_without_frames_has_the_innermost_line() -> None:
    story = Story().event("subject", "subject.raised", error="E", text="", where="agent.py:9")

    assert told(story) == ["  In your code", "    1>  agent.py:9"]


def test_code_of_simkit_and_what_is_no_line_of_code_are_left_out() -> None:
    story = Story().event("world", "orphan", what="task", name="t", created="simkit/agent/loop.py:7", waits="a lock")
    story.event("subject", "note", name="progress", where="agent.py:3")

    assert told(story) == []


def test_who_is_left_over_when_nothing_can_happen_any_more_is_told_at_the_end_of_the_run() -> None:
    story = Story().event("world", "run.end", reason="deadlock", text="")
    story.event("tool", "orphan", what="task", name="reader (read)", created="agent.py:1", waits="agent.py:3")

    assert told(story) == [
        "  In your code",
        "    1>  agent.py:1  reader created",
        "        agent.py:3  reader waits    lock.acquire()",
    ]

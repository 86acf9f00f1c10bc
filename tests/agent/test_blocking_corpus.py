"""Every scenario under both twins: the same requests, tools and ends at the same instants, and the same verdict.

The one difference there can be: a tool that runs in a thread cannot be stopped. So the twins' stories are compared up
to the first tool that the asynchronous one has stopped, which is the whole story nearly everywhere; and what a
scenario then finds about the blocking one is listed here, law by law.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

import pytest

from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.trace import Trace
from simkit.model.verdict import Result
from simkit.run import load, run_once

FOLDER: Final = Path(__file__).parents[2] / "scenarios"
# Whatever is about an agent, and not about a law or a face of simkit.
THEMES: Final = (
    "agent_framework",
    "autogpt",
    "background",
    "basics",
    "calls",
    "errors",
    "frames",
    "hermes",
    "registry",
)
PATHS: Final = [path for theme in THEMES for path in sorted((FOLDER / theme).glob("*.sim.yaml"))]
CASES: Final = tuple(case for path in PATHS for case in load(path))

# Each has a tool of an hour or so that is stopped by somebody. In a thread it runs on: whoever stops it waits the whole
# grace for it (``ends_within``), it is still there at the end (``no_orphans``), and nobody may say that it is not.
LATE: Final = frozenset({"no_orphans", "expect.ends_within"})
UNSTOPPABLE: Final = {
    "autogpt/cancel_stops_the_work": LATE | {"expect.last_message"},  # "cancelling", which is the truth
    "autogpt/end_of_session": LATE,
    "registry/dry_run_agrees_with_itself": LATE,
    "registry/ended_goes_before_running": LATE,
    "registry/evicted_in_their_order": LATE | {"expect.events"},  # who has to go would first have to stop
    "registry/evicted_result_is_told": LATE,
    "registry/eviction_waits": frozenset({"expect.ends_within"}),  # the second runs in its turn until the first is over
    "registry/list_tells_what_runs": LATE,
    "registry/second_turn_keeps_the_books": LATE,
    "registry/session_end_finds_every_call": LATE,
    "registry/session_end_waits": LATE,
    "registry/turn_torn_down": LATE,
    "registry/wait_below_zero": frozenset({"no_orphans"}),
    "registry/wait_in_words": LATE,
    "registry/waiter_hears_of_the_cancel": frozenset({"expect.events", "expect.last_message", "no_orphans"}),
    "registry/waiter_hears_of_the_eviction": frozenset({"expect.events", "expect.last_message"}),
}

TOLD: Final = ("request", "job.request", "turn.start", "turn.end", "said", "tool.start", "tool.end", "tool.effect")
VALUES: Final = ("body", "op", "after", "job", "outcome", "text", "tool", "args", "result")


def name_of(case: Scenario) -> str:
    return f"{Path(case.file).parent.name}/{Path(case.file).name.partition('.')[0]}"


def short(case: Scenario) -> str:
    return f"{name_of(case)}::{case.case}"


def run(case: Scenario, subject: str) -> Result:
    return run_once(case, Plan(), subject=subject)


def story(trace: Trace) -> list[tuple[object, ...]]:
    """What provider, user and tools saw, with exact instants."""
    return [(e.at_ns, e.kind, *(e.get(name) for name in VALUES)) for e in trace.of(*TOLD)]


def until_stopped(trace: Trace) -> int:
    """How much of the story comes before the first tool that was stopped; all of it where none was."""
    return len(
        list(itertools.takewhile(lambda e: (e.kind, e.get("outcome")) != ("tool.end", "cancelled"), trace.of(*TOLD)))
    )


@pytest.mark.parametrize("case", CASES, ids=short)
def test_both_twins_do_the_same_at_the_same_instants(case: Scenario) -> None:
    asynchronous, blocking = run(case, "agent").trace, run(case, "agent-sync").trace
    count = until_stopped(asynchronous)
    whole = count == len(asynchronous.of(*TOLD))
    assert story(blocking)[: None if whole else count] == story(asynchronous)[:count]


@pytest.mark.parametrize("case", CASES, ids=short)
def test_the_verdict_is_the_same_but_where_a_tool_would_have_to_be_stopped(case: Scenario) -> None:
    broken = {finding.law for finding in run(case, "agent-sync").findings}
    assert broken == UNSTOPPABLE.get(name_of(case), set())


@pytest.mark.parametrize("case", [c for c in CASES if name_of(c) in UNSTOPPABLE], ids=short)
def test_what_is_left_where_a_tool_cannot_be_stopped_is_the_thread_of_that_tool(case: Scenario) -> None:
    left = [(e.get("what"), str(e.get("name"))) for e in run(case, "agent-sync").trace.of("orphan")]
    assert [(what, name) for what, name in left if what != "thread" or not name.startswith("tool ")] == []

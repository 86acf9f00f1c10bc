"""The corpus: every scenario passes, and fails under each flaw that it is there to catch, for the law that breaks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from simkit.extensions import BUILT_IN
from simkit.model.duration import format_instant
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.verdict import Result, Verdict
from simkit.run import load, run_once
from simkit.subjects.flawed import FLAWS
from tests.scenarios_page import CATALOGUES, PAGE, page, players, unknown_rows

FOLDER: Final = Path(__file__).parent.parent / "scenarios"
CASES: Final = tuple(case for path in sorted(FOLDER.rglob("*.sim.yaml")) for case in load(path))
# What the corpus must not shrink below.
CORPUS_MIN: Final = 110
CAUGHT: Final = [(case, flaw) for case in CASES for flaw in case.catches]


def run(case: Scenario, flaw: str = "") -> Result:
    return run_once(replace(case, settings={**case.settings, "flaw": flaw}), Plan())


def short(value: object) -> str:
    return f"{theme(value)}/{Path(value.file).name}::{value.case}" if isinstance(value, Scenario) else str(value)


def theme(case: Scenario) -> str:
    return Path(case.file).parent.name


def named(name: str, row: str = "run") -> Scenario:
    (case,) = [c for c in CASES if Path(c.file).name == f"{name}.sim.yaml" and c.case == row]
    return case


@pytest.mark.parametrize("case", CASES, ids=short)
def test_the_scenario_passes(case: Scenario) -> None:
    result = run(case)
    assert ([f.text for f in result.findings], result.verdict) == ([], Verdict.PASS)


@pytest.mark.parametrize(("case", "flaw"), CAUGHT, ids=short)
def test_the_scenario_fails_under_the_flaw_that_it_catches_for_the_laws_that_the_flaw_breaks(
    case: Scenario, flaw: str
) -> None:
    result = run(case, flaw)
    broken = {finding.law for finding in result.findings}
    assert (result.verdict, [law for law in FLAWS[flaw].flaw.breaks if law not in broken]) == (Verdict.FAIL, [])


def test_every_flaw_is_caught_by_a_scenario_but_those_that_only_a_world_can_show() -> None:
    """Of these the registry's own tests see each (``tests/agent/test_registry.py``)."""
    only_in_a_world = [name for name, p in FLAWS.items() if p.flaw.breaks == (f"registry-races/{p.row}",)]
    caught = {flaw for _, flaw in CAUGHT}
    assert [name for name in FLAWS if name not in caught] == only_in_a_world


# A law's own scenario is called after it, but for these, which were seen alone in a scenario about something else.
ELSEWHERE: Final = {"no_orphans": "silent_stream_is_closed", "no_lost_errors": "failure_nobody_asks_for"}
OF_LAWS: Final = {Path(c.file).stem.partition(".")[0]: c for c in CASES if theme(c) == "laws"}


@pytest.mark.parametrize("law", BUILT_IN["checks"])
def test_no_law_is_without_a_scenario_that_it_alone_fails(law: str) -> None:
    """Neither another law nor an expectation sees the flaw there, so without this law it would pass."""
    case = named(ELSEWHERE[law]) if law in ELSEWHERE else OF_LAWS[law]
    (flaw,) = case.catches
    result = run(case, flaw)
    assert (result.verdict, {finding.law for finding in result.findings}) == (Verdict.FAIL, {law})


@pytest.mark.parametrize("case", [c for c in CASES if theme(c) == "laws"], ids=short)
def test_a_scenario_about_laws_gives_each_that_it_names_something_to_judge(case: Scenario) -> None:
    """Silence is worth something only from a law that has found what it looks at."""
    held = run(case).judgement.held
    assert [use.law for use in case.always if use.law not in held] == []


def test_a_tool_that_blocks_a_thread_of_its_own_would_block_the_event_loop_of_the_other_twin() -> None:
    case = named("blocking_tool_among_threads")
    broken = [{f.law for f in run_once(case, Plan(), subject=s).findings} for s in ("agent-sync", "agent")]
    assert ["loop_not_blocked" in laws for laws in broken] == [False, True]


@pytest.mark.parametrize(("flaw", "broken"), [("", []), ("add_up_usage", ["usage_counted_once"] * 2)])
def test_what_is_told_at_the_start_and_at_the_end_of_an_answer_is_counted_once(flaw: str, broken: list[str]) -> None:
    """On the wire of a provider whose SDK is an extra of its own, so the corpus does not ask for it."""
    case = named("usage_on_two_wires", "openai-chat-true")
    result = run(replace(case, settings={**case.settings, "dialect": "anthropic"}, expect=()), flaw)
    assert [finding.law for finding in result.findings] == broken


def test_every_scenario_has_a_title_and_says_what_it_is_about_and_where_it_was_seen_and_what_to_find_it_by() -> None:
    assert [c.file for c in CASES if not (c.title and c.about and c.refs and c.tags)] == []


def test_every_row_of_both_catalogues_is_played_by_a_scenario_and_no_scenario_names_a_row_that_is_none() -> None:
    rows = [(catalogue, row) for catalogue, (count, _) in CATALOGUES.items() for row in range(1, count + 1)]
    assert ([row for row in rows if not players(*row)], unknown_rows()) == ([], [])


def test_the_corpus_holds_well_over_a_hundred_scenarios() -> None:
    assert len({case.file for case in CASES}) >= CORPUS_MIN


def test_the_page_of_the_corpus_is_in_step_with_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.scenarios_page"


STALLS: Final = [
    named("stall_mid_tool_call", "181s"),
    named("stall_mid_tool_call", "10m"),
    named("stall_with_keepalives"),
]


@pytest.mark.parametrize("case", STALLS, ids=short)
def test_the_idle_deadline_fires_at_its_exact_instants(case: Scenario) -> None:
    trace = run(case).trace
    told = [
        (format_instant(e.at_ns), e.get("name") or e.kind)
        for e in trace.of("note", "tool.start", "turn.end")
        if e.get("name") in (None, "idle_deadline", "continuation")
    ]
    streams = [(format_instant(e.at_ns), e.get("how")) for e in trace.of("stream.end")]
    given_up = ["idle_deadline", "continuation"]
    assert (told, streams) == (
        [
            *(("180.000s", what) for what in given_up),
            *(("360.000s", what) for what in given_up),
            *(("540.000s", what) for what in [*given_up, "tool.start"]),
            ("540.020s", "turn.end"),
        ],
        [
            *((at, "client_closed") for at in ("180.000s", "360.000s", "540.000s")),
            ("540.000s", "complete"),
            ("540.020s", "complete"),
        ],
    )


def asked(flaw: str) -> tuple[list[object], list[object]]:
    """The methods of the completion requests, and which answers the further questions were about."""
    trace = run(named("answer_that_is_over", "false"), flaw).trace
    return [e.get("method") for e in trace.of("request")], [e.get("job") for e in trace.of("job.request")]


def test_a_leaked_token_makes_one_post_and_some_forty_gets_of_one_answer() -> None:
    first, second = "resp_sim_000001", "resp_sim_000002"
    assert (asked(""), asked("leak_continuation_token")) == (
        (["POST", "POST"], [first] * 3 + [second] * 3),
        (["POST"], [first] * 42),
    )


def test_under_a_leaked_token_the_calls_of_the_old_answer_run_again() -> None:
    broken = {finding.law for finding in run(named("answer_that_is_over", "false"), "leak_continuation_token").findings}
    assert {law for law in broken if law in BUILT_IN["checks"]} == {"no_fetch_after_terminal", "tools_run_once"}

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from simkit.model.plan import Plan, Strike
from simkit.model.timeline import Place
from simkit.model.verdict import Result
from simkit.reporters.lanes import timeline
from simkit.reporters.text import PLAIN, TEXT, Known, ReportOptions, TextReporter, case_line, failure, summary
from tests.checks.traces import USER, Story
from tests.reporters.results import (
    SCENARIO,
    expected_failure,
    failing,
    judged,
    long_run,
    passing,
    skipped,
    unknown,
)

GOLDENS = Path(__file__).parent / "goldens"

KEY = "sk-" + "abcdef123456"


def is_golden(name: str, text: str) -> bool:
    """Compare with the stored text; SIMKIT_REWRITE=1 stores what there is now, to be read in the diff."""
    path = GOLDENS / f"{name}.txt"
    if os.environ.get("SIMKIT_REWRITE"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    return True


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("usual", PLAIN),
        ("narrow", ReportOptions(width=60)),
        ("wide", ReportOptions(width=120, overrides={"flaw": "stub_finish_stop"})),
        ("quiet", ReportOptions(verbosity=-1)),
        ("verbose", ReportOptions(verbosity=1)),
    ],
)
def test_the_report_reads_as_it_was_reviewed(name: str, options: ReportOptions) -> None:
    report = TextReporter(options=options).render([passing(), failing(), unknown()])

    assert is_golden(name, report)


def test_what_is_skipped_or_expected_to_fail_is_a_line_with_its_reason_and_is_counted() -> None:
    lines = TEXT.render([passing(), skipped(), expected_failure()]).splitlines()

    assert [re.sub(r"  +", "  ", line) for line in lines] == [
        "PASS  stall.sim.yaml::run  0.000s virtual  0.25s wall",
        "SKIPPED stall.sim.yaml::run  waits for the store",
        "XFAILED stall.sim.yaml::quiet=20m  180.000s virtual  0.25s wall  the stub is\\nnot mended yet",
        "",
        "3 cases: 1 passed, 1 skipped, 1 xfailed; 180s of virtual time in 0.50s",
    ]


def test_a_failure_in_a_long_run_is_told_around_its_events() -> None:
    assert is_golden("long", failure(long_run()))


@pytest.mark.parametrize("make", [failing, unknown, long_run])
@pytest.mark.parametrize("width", [1, 40, 60, 93, 120, 500])
def test_a_failure_keeps_to_its_width_and_to_about_forty_rows(make: object, width: int) -> None:
    rows = failure(make(), ReportOptions(width=width)).splitlines()  # type: ignore[operator]  # one of the three above

    # What people paste is never cut: the place, and the command.
    body = [row for row in rows if not row.startswith(("  Replay", "stall.sim.yaml"))]
    assert ([row for row in body if len(row) > max(40, min(120, width))], len(rows) <= 41) == ([], True)


def test_deciding_events_are_always_there_and_numbered() -> None:
    result = long_run()
    marks = re.findall(r"^\d>", failure(result), re.MULTILINE)

    assert marks == [f"{n}>" for n in range(1, len(result.findings[0].events) + 1)]


def test_the_command_repeats_the_plan_and_the_settings() -> None:
    options = ReportOptions(overrides={"flaw": "stub_finish_stop", "prompt": "a b", "api_key": KEY})

    assert failure(failing(), options).splitlines()[-1] == (
        '  Replay   simkit run "stall.sim.yaml::quiet=20m" --plan seed=0 --set flaw=stub_finish_stop '
        '--set "prompt=a b" --set "api_key=***"'
    )


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("", '"stall.sim.yaml::run"'),
        ('say="$HOME"', "'stall.sim.yaml::say=\"$HOME\"'"),
        ("it's $5", "'stall.sim.yaml::it'\"'\"'s $5'"),
    ],
)
def test_the_command_can_be_pasted_whatever_the_row_is_called(row: str, name: str) -> None:
    story = Story().turn().request(1, USER).stalled(1).turn_ends().returns()
    result = judged(story, replace(SCENARIO, row=row))

    assert failure(result).splitlines()[-1] == f"  Replay   simkit run {name} --plan seed=0"


@pytest.mark.parametrize(
    ("known", "ways"),
    [
        (Known(id="3fa9"), ["Replay   simkit run", "Look     simkit show 3fa9", "Keep     simkit pin 3fa9 scenarios"]),
        (Known(id="3fa9", pins=False), ["Replay   simkit run", "Look     simkit show 3fa9"]),
        (Known(replay="pytest a.py --simkit-plan=seed=7"), ["Replay   pytest a.py --simkit-plan=seed=7"]),
        (Known(replay=""), []),
    ],
)
def test_what_can_be_done_with_a_failure_depends_on_what_is_known_of_it(known: Known, ways: list[str]) -> None:
    rows = [row.strip() for row in failure(failing(), known=known).splitlines()]
    found = [row for row in rows if row.startswith(("Replay", "Look", "Keep"))]

    assert [row.startswith(way) for row, way in zip(found, ways, strict=True)] == [True] * len(ways)


def test_a_smaller_plan_that_was_looked_for_is_told_with_its_changes() -> None:
    result = replace(failing(), plan=Plan(strikes=(Strike("answer1.frame1", "cut"),)))
    told = failure(result, known=Known(shrunk="shrunk from 9, 64 runs"))

    assert "Smallest failing case: 1 fault from the normal order (shrunk from 9, 64 runs)\n    cut@answer1" in told


def test_what_happened_forty_times_is_marked_at_its_beginning_only() -> None:
    result = long_run()
    finding = replace(result.findings[0], events=tuple(range(0, len(result.trace), 20)))
    told = failure(replace(result, judgement=replace(result.judgement, findings=(finding,))))

    assert ("(see 1>, 2>, 3>)" in told, "4>" in told) == (True, False)


def test_secrets_and_control_characters_of_the_agent_are_not_printed() -> None:
    said = f"\x1b[2J key {KEY}\r\n\u202e"
    story = Story().turn().request(1, USER).stalled(1).event("subject", "said", text=said).turn_ends().returns()
    text = failure(judged(story, replace(SCENARIO, title=said)))

    assert [bad for bad in ("\x1b", KEY, "\r", "\u202e") if bad in text] == []
    assert "\\x1b[2J key ***\\r\\n" in text


def test_colour_is_only_an_addition() -> None:
    coloured = TextReporter(options=ReportOptions(colour=True)).render([passing(), failing(), unknown()])

    assert "\x1b[31mFAIL" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == TEXT.render([passing(), failing(), unknown()])


def test_what_the_terminal_cannot_write_is_escaped() -> None:
    story = Story().turn().request(1, USER).stalled(1).turn_ends().returns()
    result = judged(story, replace(SCENARIO, title="Größe"))

    assert failure(result, ReportOptions(encoding="ascii")).isascii()
    assert "____ Größe " in failure(result)


def test_a_case_line_holds_verdict_name_and_both_times() -> None:
    assert case_line(passing()).split() == ["PASS", "stall.sim.yaml::run", "0.000s", "virtual", "0.25s", "wall"]


def test_a_long_name_is_never_cut() -> None:
    result = judged(Story().returns(), replace(SCENARIO, file="a/" * 60 + "b.sim.yaml"))

    assert result.scenario.name in case_line(result)


@pytest.mark.parametrize(
    ("results", "line"),
    [
        ([], "no cases"),
        ([passing()], "1 case: 1 passed; 0s of virtual time in 0.25s"),
        (
            [passing(), failing(), failing(), unknown()],
            "4 cases: 1 passed, 2 failed, 1 unknown; 360s of virtual time in 1.00s",
        ),
    ],
)
def test_the_summary_counts_verdicts_and_times(results: list[Result], line: str) -> None:
    assert summary(results) == line


def test_a_place_in_another_file_shows_no_line_of_this_one() -> None:
    result = failing()
    findings = tuple(replace(finding, place=Place("base.sim.yaml", 3)) for finding in result.findings[1:])
    text = failure(replace(result, judgement=replace(result.judgement, findings=findings)))

    assert ("base.sim.yaml:3   expect.requests" in text, "|" in text) == (True, False)


def test_a_law_broken_again_at_the_same_line_is_told_by_its_sentence_alone() -> None:
    story = Story().turn(1).request(1, USER).stalled(1).turn_ends(number=1)
    result = judged(
        story.turn(2).request(2, USER).stalled(2).turn_ends(number=2).returns(), replace(SCENARIO, expect=())
    )
    text = failure(result)

    parts = ("always: partial_is_not_success", "the turn ended as", "stall: 20m")
    assert [text.count(part) for part in parts] == [1, 2, 1]


def test_a_call_and_its_arguments_are_one_row() -> None:
    story = Story().turn().request(1, USER).response(1).frame(1, "call", tool="x").frame(1, "args", '{"a"')
    result = judged(
        story.frame(1, "args", ": 1").stream_ends(1, "cut").turn_ends().returns(), replace(SCENARIO, expect=())
    )

    assert '[1] call x {"a": 1' in failure(result)


def test_a_blocked_loop_and_a_busy_wait_are_told_with_the_line_that_is_to_blame() -> None:
    story = Story().at("7s").event("world", "loop.blocked", ns=7_000_000_000, where="a.py:9", waits="time.sleep(7)")
    story.event("world", "spin", steps=11_000, where="a.py:12", alive="turn").event("world", "spin", steps=21_000)
    lines = failure(judged(story.returns(), replace(SCENARIO, expect=())), ReportOptions(width=120)).splitlines()

    assert [line[19:].strip() for line in lines if line.startswith(("1>", "2>", "3>"))] == [
        "its event loop stood still for 7s: time.sleep(7), a.py:9",
        "turns in circles, 11000 steps at one instant, a.py:12",
        "turns in circles, 21000 steps at one instant",
    ]


def test_what_a_turn_has_counted_is_told_only_where_it_decides() -> None:
    story = Story().turn().request(1, USER).stalled(1).turn_ends()
    result = judged(story.event("subject", "note", name="usage", input=3, output=1).returns())
    (note,) = result.trace.of("note")
    finding = replace(result.findings[0], events=(note.n,))
    decides = replace(result, judgement=replace(result.judgement, findings=(finding,)))

    assert ["usage input=3 output=1" in failure(one) for one in (result, decides)] == [False, True]


def test_faults_of_a_link_stand_in_the_timeline_with_their_span_and_what_they_struck() -> None:
    story = Story().event("user", "user.says", text="hi").at("3s")
    for values in (
        {"fault": "reset", "ns": None, "how": None, "connections": 1},
        {"fault": "hold", "ns": 5_000_000_000, "how": None, "connections": 2},
        {"fault": "connection", "ns": 90_000_000_000, "how": "refused", "connections": 0},
    ):
        story.event("network", "link.fault", host="api.test", line=9, **values)
    rows = timeline(story.returns("deadlock").trace, [], width=120, rows_max=None)

    assert [row.split("  ")[-1].strip() for row in rows if "the link" in row] == [
        "the link to api.test: reset (1 connection)",
        "the link to api.test: hold for 5s (2 connections)",
        "the link to api.test: connection refused for 90s",
    ]

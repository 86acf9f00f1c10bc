"""The summary of a job: one screen, whatever failed, and nothing but text in it."""

from __future__ import annotations

from dataclasses import replace

from simkit.model.verdict import Finding, Judgement, Result
from simkit.reporters.layout import ReportOptions
from simkit.reporters.summary import LINES_MAX, SUMMARY, SummaryReporter
from tests.reporters.results import expected_failure, failing, long_run, passing, skipped, unknown


def summary(*results: Result) -> list[str]:
    return SUMMARY.render(results).splitlines()


def rows(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if line.startswith("| ")][1:]


def test_the_head_counts_and_the_table_has_the_failures_first_and_no_passes() -> None:
    lines = summary(passing(), skipped(), expected_failure(), unknown(), failing())
    assert (lines[0], rows(lines)) == (
        "### simkit: 1 failed, 1 unknown, 1 xfailed, 1 skipped, 1 passed",
        [
            ["FAIL", "stall.sim.yaml::quiet=20m"],
            ["UNKNOWN", "stall.sim.yaml::quiet=20m"],
            ["XFAILED", "stall.sim.yaml::quiet=20m"],
            ["SKIPPED", "stall.sim.yaml::run"],
        ],
    )


def test_where_all_is_well_there_is_only_a_head() -> None:
    assert summary(passing()) == ["### simkit: 1 passed", "", "1 case, 0s of virtual time.", ""]
    assert summary()[0] == "### simkit: no cases"


def test_the_first_failure_is_told_with_its_line_its_command_and_a_diagram() -> None:
    text = SummaryReporter(options=ReportOptions(overrides={"flaw": "x y", "token": "t"})).render(
        [passing(), failing()]
    )
    assert [part in text for part in ("at stall.sim.yaml:10: ", "```mermaid\nsequenceDiagram\n", "\n```\n")] == [
        True
    ] * 3
    command = 'simkit run stall.sim.yaml::quiet=20m --plan=seed=0 "--set=flaw=x y" "--set=token=***"'
    assert command in text.splitlines()


def test_however_much_failed_it_keeps_to_its_lines() -> None:
    lines = summary(*[long_run()] * 40, *[failing()] * 40)
    assert (len(lines) <= LINES_MAX, "... and 68 more." in lines, lines[-1]) == (True, True, "```")


def test_nothing_of_a_scenario_is_taken_for_markdown_or_html() -> None:
    nasty = Finding(law="ends", text="a | b <img src=x onerror=alert(1)> [x](y) `c`\n# d\n```")
    result = replace(failing(), judgement=Judgement(findings=(nasty,)))
    (row,) = [line for line in summary(result) if line.startswith("| FAIL")]
    assert row.partition("ends: ")[2] == (r"a \| b &lt;img src=x onerror=alert\(1\)&gt; \[x\]\(y\) \`c\` \# d \`\`\` |")

"""Annotations: one command a broken promise, at its line, and no text can begin a second one."""

from __future__ import annotations

from dataclasses import replace

from simkit.model.timeline import Place
from simkit.model.verdict import Finding, Judgement, Result
from simkit.reporters.github import GITHUB, GitHubReporter
from tests.reporters.results import expected_failure, failing, passing, skipped, unknown


def with_findings(*findings: Finding) -> Result:
    return replace(failing(), judgement=Judgement(findings=findings))


def heads(text: str) -> list[str]:
    return [line.rpartition("::")[0] for line in text.splitlines()]


def test_each_broken_promise_is_told_at_its_line() -> None:
    assert heads(GITHUB.render([passing(), failing(), unknown()])) == [
        "::error file=stall.sim.yaml,line=10,col=1,title=simkit%3A partial_is_not_success",
        "::error file=stall.sim.yaml,line=14,col=1,title=simkit%3A expect.requests",
        "::error file=stall.sim.yaml,line=12,col=1,title=simkit%3A bounded_requests (UNKNOWN)",
    ]


def test_what_its_author_skips_or_expects_to_fail_is_no_error() -> None:
    assert GITHUB.render([passing(), skipped(), expected_failure()]) == ""


def test_a_promise_broken_often_is_one_remark_and_one_without_a_place_stands_at_the_top_of_its_file() -> None:
    often = with_findings(*(Finding(law="ends", text=f"number {n}") for n in range(3)))
    assert GITHUB.render([often]) == (
        "::error file=stall.sim.yaml,line=1,col=1,title=simkit%3A ends::"
        "The stream stalls in the middle of a tool call [quiet=20m]: number 0\n"
    )


def test_no_text_begins_a_second_command_or_ends_a_property() -> None:
    nasty = with_findings(Finding(law="a,b:c", text="100%\r\n::error::no", place=Place("a,b:c.sim.yaml", 1)))
    assert GITHUB.render([nasty]) == (
        "::error file=a%2Cb%3Ac.sim.yaml,line=1,col=1,title=simkit%3A a%2Cb%3Ac::"
        "The stream stalls in the middle of a tool call [quiet=20m]: 100%25%0D%0A::error::no\n"
    )


def test_paths_are_those_of_the_repository_also_for_a_run_in_a_folder_of_it() -> None:
    files = ("a.sim.yaml", "sub\\b.sim.yaml", "../c.sim.yaml", "/elsewhere/d.sim.yaml")
    results = [with_findings(Finding(law="ends", text="no", place=Place(file, 1))) for file in files]
    told = GitHubReporter(base="agents").render(results)
    assert [head.partition("file=")[2].partition(",")[0] for head in heads(told)] == [
        "agents/a.sim.yaml",
        "agents/sub/b.sim.yaml",
        "c.sim.yaml",
        "/elsewhere/d.sim.yaml",
    ]

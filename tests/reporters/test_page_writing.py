"""The folder of a report, and its index."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simkit.model.plan import Plan
from simkit.model.verdict import Judgement, Result
from simkit.reporters.layout import Known
from simkit.reporters.page import index, name_of, write_pages
from tests.checks.traces import USER, Story
from tests.reporters.results import expected_failure, failing, judged, passing, skipped, unknown
from tests.reporters.runs import hostile
from tests.reporters.test_page import data

ALL = (passing(), failing(), skipped(), unknown(), expected_failure())


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_failures_get_a_page_and_the_index_has_every_case(tmp_path: Path) -> None:
    made = write_pages(ALL, tmp_path / "new" / "report")
    cases = data((tmp_path / "new" / "report" / "index.html").read_text("utf-8"))["cases"]
    again = name_of(ALL[3]).replace(".html", "-2.html")
    assert [path.name for path in made] == ["index.html", name_of(ALL[1]), again]
    assert [(case["outcome"], case["page"]) for case in cases] == [
        ("UNKNOWN", again),
        ("FAIL", name_of(ALL[1])),
        ("PASS", ""),
        ("XFAILED", ""),
        ("SKIPPED", ""),
    ]


def test_with_every_case_all_that_ran_get_a_page_and_each_link_leads_to_one(tmp_path: Path) -> None:
    write_pages(ALL, tmp_path, every=True)
    links = [case["page"] for case in data((tmp_path / "index.html").read_text("utf-8"))["cases"] if case["page"]]
    assert (len(links), written(tmp_path)) == (4, sorted([*links, "index.html"]))


def test_a_page_is_given_the_normal_run_what_is_stored_and_the_code(tmp_path: Path) -> None:
    story = Story().event("subject", "subject.raised", error="E", text="E: no", where="agent.py:3").returns()
    one = judged(story)
    write_pages(
        [one],
        tmp_path,
        normal=lambda result: passing() if result is one else None,
        known=lambda result: Known(id="3fa9"),
        source_reader=lambda place: f"line {place}",
    )
    found = data((tmp_path / name_of(one)).read_text("utf-8"))
    assert (found["difference"]["outcome"], found["commands"][1], found["code"]["agent.py:3"]["first"]) == (
        "PASS",
        ["Look", "simkit show 3fa9"],
        1,
    )


def test_a_name_is_readable_safe_and_the_same_only_for_the_same_case_under_the_same_plan() -> None:
    one = failing()
    others = [one, replace(one, plan=Plan(seed=1)), passing(), hostile(), replace(one, wall_s=9.0)]
    names = [name_of(other) for other in others]
    assert (len(set(names)), names[0] == names[-1]) == (4, True)
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]{1,90}\.html", name)] == []
    assert names[0].startswith("stall-quiet-20m-")


def test_writing_again_replaces_the_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_pages([failing()], tmp_path)
    before = written(tmp_path)
    (tmp_path / "index.html").write_text("old", "utf-8")
    write_pages([failing()], tmp_path)
    assert (written(tmp_path), (tmp_path / "index.html").read_text("utf-8") == "old") == (before, False)


def test_a_folder_that_cannot_be_written_is_the_callers_to_tell(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(OSError, match="file"):
        write_pages([failing()], tmp_path / "file")


def test_half_a_file_is_never_left(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    with pytest.raises(OSError, match="index"):
        write_pages([], tmp_path)
    assert written(tmp_path) == ["index.html"]


# -- the index --
def overview(*results: Result) -> Any:
    return data(index(results))


def test_the_worst_cases_come_first_and_the_rest_as_they_ran() -> None:
    assert [case["name"] for case in overview(*ALL)["cases"]][:3] == [
        "stall.sim.yaml::quiet=20m",
        "stall.sim.yaml::quiet=20m",
        "stall.sim.yaml::run",
    ]
    assert overview(*ALL)["counts"] == [["UNKNOWN", 1], ["FAIL", 1], ["PASS", 1], ["XFAILED", 1], ["SKIPPED", 1]]


def test_a_case_says_why_it_did_not_pass_or_what_its_author_says() -> None:
    why = {case["outcome"]: case["why"] for case in overview(*ALL)["cases"]}
    assert why["FAIL"].startswith("partial_is_not_success: the turn ended as")
    assert why["FAIL"].endswith("(and 1 more)")
    assert (why["PASS"], why["SKIPPED"]) == ("", "waits for the store")


def test_passes_that_say_less_than_they_seem_to_are_warned_of() -> None:
    story = Story().request(1, USER).answer(1).event("provider", "answer.unused", answer=0, left=2, line=7)
    story.event("network", "link.unused", host="api.test", fault="reset", came=False, line=3)
    unused = replace(judged(story), judgement=Judgement(held=("ends",)))
    silent = replace(judged(Story().turn()), judgement=Judgement())
    assert [text for _, text in overview(unused, silent, failing())["warnings"]] == [
        "1 answer of the script was not used up",
        "the fault reset on the link to api.test struck nothing",
        "no request ever reached the provider",
        "no law and no expectation had anything to look at",
    ]


def test_the_slowest_cases_are_named_where_there_are_several() -> None:
    slow, fast = replace(passing(), wall_s=2.0), replace(failing(), wall_s=0.5)
    assert overview(fast, slow, skipped())["slowest"] == [
        ["stall.sim.yaml::run", "2.00s"],
        ["stall.sim.yaml::quiet=20m", "0.50s"],
    ]
    assert overview(slow)["slowest"] == []


def test_tags_of_all_cases_can_be_filtered_by() -> None:
    one, other = passing(), failing()
    tagged = [replace(r, scenario=replace(r.scenario, tags=tags)) for r, tags in ((one, ("b", "a")), (other, ("a",)))]
    assert overview(*tagged)["tags"] == ["a", "b"]


def test_a_run_without_cases_has_an_index() -> None:
    text = index([])
    assert ("<title>simkit: no cases</title>" in text, json.dumps(data(text)["cases"])) == (True, "[]")

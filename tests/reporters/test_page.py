"""The page of a run as a file: what stands in it, and that nothing in it can run but its own script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from simkit.model.plan import Plan
from simkit.model.scenario import EventPattern, Expectation, Matcher
from simkit.model.verdict import Result
from simkit.reporters.jsonl import JSONL
from simkit.reporters.layout import Known, ReportOptions
from simkit.reporters.mermaid import mermaid
from simkit.reporters.page import PAGE, index, page
from simkit.reporters.perfetto import perfetto
from tests.checks.traces import Story
from tests.reporters.results import expected_failure, failing, judged, long_run, passing, skipped, unknown
from tests.reporters.runs import HOSTILE, KEY, all_kinds, hostile, leaking, stalls_longer, whole

ASSETS_MAX = 300_000


def block(text: str, name: str = "data") -> str:
    """Return a data block as the browser sees it."""
    found = re.findall(rf'<script type="application/json" id="{name}">([^<]*)</script>', text)
    assert len(found) == 1, f"there are {len(found)} blocks called {name}"
    return str(found[0])


def data(text: str) -> Any:
    return json.loads(block(text))


def all_sorts() -> Result:
    story = Story()
    for event in all_kinds():
        story.event(event.actor, event.kind)
    return judged(story)


RUNS = [failing, passing, unknown, skipped, expected_failure, whole, hostile, leaking, long_run, all_sorts]


@pytest.mark.parametrize("make", RUNS)
def test_the_data_of_every_run_can_be_read_back(make: Callable[[], Result]) -> None:
    text = page(make(), normal=passing())
    lines = block(text, "trace").splitlines()
    found = data(text)
    assert (len(found["events"]), json.loads(lines[0]).keys()) == (len(lines) - 1, {"case"})
    assert json.loads(block(text, "mermaid")).startswith("sequenceDiagram\n")
    assert json.loads(block(text, "perfetto")).keys() == {"displayTimeUnit", "otherData", "traceEvents"}


def test_the_verdict_comes_first_with_its_reasons_and_the_command_that_does_it_again() -> None:
    found = data(page(failing(), known=Known(id="3fa9"), options=ReportOptions(overrides={"flaw": "stub"})))
    assert (found["outcome"], [one["law"] for one in found["findings"]]) == (
        "FAIL",
        ["partial_is_not_success", "expect.requests"],
    )
    assert found["findings"][1]["expected"] == "requests to be 2"
    assert found["commands"] == [
        ["Replay", 'simkit run "stall.sim.yaml::quiet=20m" --plan seed=0 --set flaw=stub'],
        ["Look", "simkit show 3fa9"],
        ["Keep", "simkit pin 3fa9 scenarios/regressions/"],
    ]


def test_what_cannot_be_pinned_is_not_offered_to_be_kept_and_a_trace_alone_not_to_be_run() -> None:
    one = failing()
    commands = [
        data(page(one, known=Known(id="3fa9", pins=False)))["commands"],
        data(page(replace(one, scenario=replace(one.scenario, file=""))))["commands"],
    ]
    assert [[what for what, _ in some] for some in commands] == [["Replay", "Look"], []]


def test_every_law_is_there_with_what_became_of_it() -> None:
    found = {law: (state, words) for state, law, words in data(page(failing()))["laws"]}
    assert found["partial_is_not_success"][0] == "broken"
    assert found["no_orphans"] == (
        "held",
        "When the subject ends, no task, thread, timer, connection, stream or generator of it is left.",
    )
    assert found["tools_run_once"] == ("not applicable", "no tool ran")


def test_a_law_that_was_switched_off_is_there_with_the_reason() -> None:
    one = passing()
    use = replace(one.scenario.always[0], law="no_orphans", off=True, because="they end by themselves")
    laws = data(page(replace(one, scenario=replace(one.scenario, always=(use,)))))["laws"]
    assert ["off", "no_orphans", "they end by themselves"] in laws


def test_expectations_that_were_met_say_what_they_demand() -> None:
    one = failing()
    demands = (
        Expectation(fact="requests", matchers=(Matcher(op="exactly", value=2),)),
        Expectation(fact="tool_calls", key="ls", matchers=(Matcher(op="at_most", value=1),)),
        Expectation(fact="ends_within", matchers=(Matcher(op="at_most", value=900 * 10**9),)),
        Expectation(
            fact="waits", matchers=(Matcher(op="between", value=(10**9, 2 * 10**9)), Matcher(op="exactly", value=5))
        ),
        Expectation(fact="polls", matchers=(Matcher(op="not", value=Matcher(op="one_of", value=(1, 2))),)),
        Expectation(fact="events", matchers=(Matcher(op="occurs", value=EventPattern(kind="said")),)),
    )
    judgement = replace(one.judgement, held=tuple(f"expect.{demand.fact}" for demand in demands), findings=())
    laws = data(page(replace(one, judgement=judgement, scenario=replace(one.scenario, expect=demands))))["laws"]
    assert [words for state, _, words in laws if state == "held"] == [
        "2",
        "ls: at most 1",
        "at most 15m",
        "between 1s and 2s, 5ns",
        "not one of 1 and 2",
        "occurs said",
    ]


def test_without_a_normal_run_there_is_no_difference_and_with_one_it_begins_where_they_part() -> None:
    assert data(page(whole()))["difference"] is None
    found = data(page(stalls_longer(), normal=whole()))["difference"]
    first = found["rows"][found["first"]]
    assert (first[0], first[1][1] // 10**9, first[2][1] // 10**9) == ("moved", 180, 181)


def test_what_a_plan_changes_is_told_in_words() -> None:
    found = data(page(replace(failing(), plan=Plan.parse("seed=0,cut@answer1.frame1"))))["plan"]
    assert found == {
        "text": "seed=0,cut@answer1.frame1",
        "words": [
            "cut@answer1.frame1: before frame 1 (from 0) of the answer to request 1: the connection ends inside "
            "the body"
        ],
    }


# -- nothing foreign runs --
def test_the_policy_allows_the_one_script_and_the_one_style_and_no_request() -> None:
    text = page(failing())
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in (*scripts, *styles)]
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[0].replace("&#x27;", "'")
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{hashes[0]}'",
        f"style-src 'sha256-{hashes[1]}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    assert len(hashes) == 2


def test_the_policy_stands_before_everything_that_it_is_about() -> None:
    text = page(failing())
    assert text.index("Content-Security-Policy") < min(
        text.index(tag) for tag in ("<style", "<script", "<link", "<title")
    )


@pytest.mark.parametrize("make", [lambda: page(hostile(), normal=hostile()), lambda: index([hostile(), hostile()])])
def test_no_text_of_a_run_is_markup(make: Callable[[], str]) -> None:
    text = make()
    assert (text.count("<img"), text.count("<!--"), "\u2028" in text, text.count("</script>")) == (
        0,
        0,
        False,
        len(re.findall("<script[ >]", text)),
    )
    assert "<script" not in re.sub(r'<script( type="application/json" id="[a-z]+")?>', "", text)


def test_what_was_escaped_means_what_it_was() -> None:
    found = data(page(hostile()))
    assert (found["events"][0][3].startswith('the user says "</script><img src=x'), HOSTILE in found["tags"]) == (
        True,
        True,
    )


def test_nothing_is_loaded_from_anywhere() -> None:
    texts = [page(passing()), index([passing()])]
    assert [re.findall(r'(?:src|href)="(?!data:,|#)[^"]*"|url\((?!#)|@import|https?://', text) for text in texts] == [
        ["http://www.w3.org/2000/svg".partition("w")[0]],
        ["http://www.w3.org/2000/svg".partition("w")[0]],
    ]


# -- secrets --
@pytest.mark.parametrize("make", [page, lambda one: page(one, normal=one), lambda one: index([one])])
def test_no_key_is_on_any_page(make: Callable[[Result], str]) -> None:
    text = make(leaking())
    assert (KEY in text, KEY[3:] in text, "***" in text) == (False, False, True)


def test_no_key_is_in_the_code_that_is_shown() -> None:
    lines = {1: "def f():", 2: f"    api_key = login({KEY!r})", 3: f"    password: '{KEY[3:]}'"}
    text = page(leaking(), source_reader=lambda place: lines.get(int(place.rpartition(":")[2]), ""))
    assert (KEY[3:] in text, "api_key = login('***')" in text) == (False, True)


# -- sizes and downloads --
def test_the_file_without_its_data_is_small() -> None:
    assert len(page(skipped()).encode()) < ASSETS_MAX


def test_the_downloads_are_what_the_reporters_write() -> None:
    one = whole()
    text = page(one)
    assert json.loads(block(text, "perfetto")) == json.loads(perfetto([one]))
    assert json.loads(block(text, "mermaid")) == mermaid(one)
    trace = [json.loads(line) for line in JSONL.render([one]).splitlines()]
    assert [json.loads(line) for line in block(text, "trace").splitlines()] == trace


def test_the_reporter_gives_the_page_of_one_case_and_the_index_of_several() -> None:
    assert (PAGE.render([failing()]), PAGE.render([failing(), passing()]), PAGE.render([])) == (
        page(failing()),
        index([failing(), passing()]),
        index([]),
    )


def test_equal_results_give_equal_pages() -> None:
    assert page(failing()) == page(replace(failing(), wall_s=99.0))

"""The page of a run, opened in Chromium and used as its reader does."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page

from simkit.model.plan import Plan
from simkit.model.verdict import Result
from simkit.reporters.jsonl import JSONL
from simkit.reporters.mermaid import mermaid
from simkit.reporters.page import page as page_of
from simkit.reporters.perfetto import perfetto
from tests.browser.conftest import NARROW, WIDE, Open
from tests.checks.traces import Story
from tests.reporters.results import failing, judged, long_run, passing, skipped
from tests.reporters.runs import HOSTILE, PLACED, hostile, stalls_longer, whole
from tests.reporters.trace_event_format import faults_of

TABS = ("run", "difference", "conversation", "laws", "data")


def at(page: Page) -> str:
    """Return which event is shown, by its number in the run and its kind."""
    facts = page.locator("#event dd").all_inner_texts()
    names = page.locator("#event dt").all_inner_texts()
    found = dict(zip(names, facts, strict=True))
    return f"{found['event']} {found['kind']}"


def active_lines(page: Page) -> list[str]:
    return page.locator("#source .active .number").all_inner_texts()


# -- opening --
@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("make", [failing, passing, skipped, whole, hostile, long_run])
def test_a_page_opens_without_a_complaint_or_a_request_and_fits_its_width(
    open_page: Open, make: object, size: tuple[int, int]
) -> None:
    assert callable(make)
    page, wrong = open_page(page_of(make(), normal=passing()), size=size)
    widths = []
    for tab in TABS:
        page.click(f"#tab-{tab}")
        widths.append(page.evaluate("document.documentElement.scrollWidth"))
    assert (wrong, widths) == ([], [size[0]] * len(TABS))


def test_the_verdict_and_its_reasons_are_seen_first(open_page: Open) -> None:
    page, _ = open_page(page_of(failing()))
    assert page.locator("header .badge").inner_text() == "FAIL"
    assert page.locator(".finding .law").all_inner_texts() == ["partial_is_not_success", "expect.requests"]
    assert page.locator("#panel-run").is_visible()


# -- stepping --
def test_a_page_opens_at_what_the_first_finding_names(open_page: Open) -> None:
    one = failing()
    page, _ = open_page(page_of(one))
    n = one.findings[0].events[0]
    assert at(page) == f"{n} {one.trace.events[n].kind}"


def test_arrow_keys_step_home_and_end_jump_and_digits_go_to_what_decided(open_page: Open) -> None:
    one = failing()
    kinds = [f"{event.n} {event.kind}" for event in one.trace]
    page, _ = open_page(page_of(one))
    seen = []
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "1"):
        page.keyboard.press(key)
        seen.append(at(page))
    decided = min(n for finding in one.findings for n in finding.events)
    assert seen == [kinds[0], kinds[1], kinds[2], kinds[1], kinds[-1], kinds[-1], kinds[decided]]


def test_the_highlighted_line_of_the_scenario_follows(open_page: Open) -> None:
    story = Story().event("user", "user.says", text="Write it", line=5).request(1).response(1)
    story.frame(1, "say", "I'll", step=0).frame(1, "call", step=1, tool="write_file").returns()
    page, _ = open_page(page_of(judged(story, PLACED)))
    page.keyboard.press("Home")
    lines = [active_lines(page)]
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        lines.append(active_lines(page))
    assert lines == [["5"], ["7"], ["7"], ["8"], ["9"]]
    assert page.locator("#source .active").get_attribute("aria-current") == "true"


def test_a_click_in_the_drawing_or_in_the_list_shows_that_event(open_page: Open) -> None:
    page, _ = open_page(page_of(whole()))
    page.locator('#drawing [data-i="2"]').click()
    first = at(page)
    page.locator('#list [data-i="4"]').click()
    assert (first, at(page)) == ("2 request", "4 frame")


def test_the_button_of_a_finding_leads_to_its_event_from_every_view(open_page: Open) -> None:
    one = failing()
    page, _ = open_page(page_of(one))
    page.click("#tab-laws")
    page.locator(".finding button").last.click()
    assert (at(page).split()[0], page.locator("#panel-run").is_visible()) == (str(one.findings[-1].events[-1]), True)


def test_the_pointer_shows_an_event_and_the_reader_hears_the_one_that_is_chosen(open_page: Open) -> None:
    page, _ = open_page(page_of(whole()))
    page.locator('#drawing [data-i="0"]').hover()
    assert page.locator("#hover").inner_text() == '0.000s user: the user says "Write it"'
    page.keyboard.press("Home")
    assert page.locator("#said").inner_text() == '0.000s: the user says "Write it"'


def test_the_keyboard_alone_reaches_everything(open_page: Open) -> None:
    page, _ = open_page(page_of(failing()))
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    wanted = ("tab-run", "previous", "next", "scale", "drawing", "list", "Copy as text", "Copy for an issue")
    assert [name for name in wanted if name not in reached] == []
    page.locator("#tab-run").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert page.locator('[role="tab"][aria-selected="true"]').inner_text() == "Conversation"


# -- the drawing --
def positions(page: Page) -> list[float]:
    found: list[float] = page.eval_on_selector_all(
        "#drawing .hit", "all => all.map(one => Number(one.getAttribute('x')))"
    )
    return found


def test_silences_are_folded_until_the_true_scale_is_asked_for(open_page: Open) -> None:
    one = whole()
    page, _ = open_page(page_of(one))
    folded, labels = positions(page), page.locator("#drawing text").all_text_contents()
    page.click("#scale")
    true = positions(page)
    ends = [event.at_ns for event in one.trace]
    parts = [(x - true[0]) / (true[-1] - true[0]) for x in true]
    # Only three decimals of a pixel are of interest.
    assert [round(part, 3) for part in parts] == [round(ns / ends[-1], 3) for ns in ends]
    assert (len(set(folded)), "180s" in labels) == (len(folded), True)
    assert page.locator("#scale").get_attribute("aria-pressed") == "true"


def test_what_decided_is_numbered_and_silences_are_hatched(open_page: Open) -> None:
    page, _ = open_page(page_of(failing()))
    numbers = page.locator("#drawing .mark-text").all_text_contents()
    hatched = page.locator('#drawing rect[fill="url(#hatching)"]').count()
    assert (numbers, hatched > 0) == ([str(n) for n in range(1, len(numbers) + 1)], True)


def test_numbers_of_events_at_one_instant_stand_beside_each_other(open_page: Open) -> None:
    page, _ = open_page(page_of(failing()))
    page.click("#scale")
    found = page.eval_on_selector_all(
        "#drawing .mark", "all => all.map(one => [one.getAttribute('cx'), one.getAttribute('cy')].join())"
    )
    assert len(set(found)) == len(found) > 1


# -- the other views --
def test_the_difference_marks_where_the_runs_part(open_page: Open) -> None:
    one = replace(stalls_longer(), plan=Plan(seed=3))
    page, _ = open_page(page_of(one, normal=whole()))
    page.click("#tab-difference")
    rows = page.locator("#panel-difference tbody tr")
    texts = rows.all_inner_texts()
    first = next(i for i, text in enumerate(texts) if text == "First divergence")
    assert re.sub(r"\s+", " ", texts[first + 1]).startswith("180.000s stream: the answer to request 1 is closed")
    assert ("181.000s" in texts[first + 1], rows.nth(first + 1).get_attribute("class")) == (True, "moved")
    assert "seed=3" in page.locator("#panel-difference").inner_text()


def test_without_another_run_the_difference_says_why_there_is_none(open_page: Open) -> None:
    page, _ = open_page(page_of(failing()))
    page.click("#tab-difference")
    assert page.locator("#panel-difference").inner_text().startswith("This is the normal run of the case")


def test_the_conversation_and_the_laws_are_there(open_page: Open) -> None:
    page, _ = open_page(page_of(whole()))
    page.click("#tab-conversation")
    speakers = page.locator(".messages .who").all_inner_texts()
    page, _ = open_page(page_of(failing()))
    page.click("#tab-laws")
    states = set(page.locator("#panel-laws td:first-child").all_inner_texts())
    assert (speakers[0], speakers[-2]) == ("user", "agent shows the user")
    assert states == {"broken", "held", "not applicable"}


def test_the_line_of_the_users_code_is_shown_with_its_neighbours(open_page: Open) -> None:
    story = Story().event("subject", "subject.raised", error="E", text="E: no", where="agent.py:7").returns()
    page, _ = open_page(page_of(judged(story), source_reader=lambda place: f"text of {place}"))
    page.keyboard.press("Home")
    lines = page.locator(".in-code .lines > div").all_inner_texts()
    assert [" ".join(line.split()) for line in lines] == [f"{n} text of agent.py:{n}" for n in range(5, 10)]
    assert page.locator(".in-code .active .number").inner_text() == "7"


# -- data --
def download(page: Page, label: str, folder: Path) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    file = folder / waiting.value.suggested_filename
    waiting.value.save_as(file)
    return file.read_text("utf-8")


@pytest.mark.parametrize("one", [whole(), hostile()], ids=["whole", "hostile"])
def test_the_downloads_are_what_the_reporters_write(open_page: Open, tmp_path: Path, one: Result) -> None:
    page, wrong = open_page(page_of(one))
    page.click("#tab-data")
    found = [download(page, f"Download {what}", tmp_path) for what in ("JSON lines", "Perfetto trace", "Mermaid")]
    assert (found[0], found[2]) == (JSONL.render([one]), mermaid(one))
    assert (json.loads(found[1]), faults_of(found[1])) == (json.loads(perfetto([one])), [])
    # A download is a request to the page itself.
    assert [one for one in wrong if not one.startswith("request: blob:")] == []


def test_a_failure_can_be_copied_as_text_and_for_an_issue(open_page: Open) -> None:
    page, _ = open_page(page_of(failing()))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copied = []
    for label in ("Copy as text", "Copy for an issue"):
        page.get_by_role("button", name=label).click()
        page.wait_for_function("document.getElementById('said').textContent === 'copied'")
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    assert [text.splitlines()[0] for text in copied] == [
        "FAIL: The stream stalls in the middle of a tool call",
        "```text",
    ]
    assert copied[1].endswith(f"```mermaid\n{mermaid(failing())}```\n")


# -- nothing foreign runs --
def test_what_a_provider_says_is_shown_as_text_and_never_runs(open_page: Open) -> None:
    page, wrong = open_page(page_of(hostile(), normal=hostile()))
    title = page.title()
    shown = []
    for tab in TABS:
        page.click(f"#tab-{tab}")
        shown.append("<img src=x onerror=" in page.locator(f"#panel-{tab}").inner_text())
    assert (wrong, page.locator("img").count(), page.title()) == ([], 0, title)
    assert shown == [True, True, True, True, True]
    assert HOSTILE.partition("\u2028")[0] in page.locator("h1").inner_text()


def test_markup_that_somebody_put_into_the_file_does_not_run(open_page: Open) -> None:
    foreign = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    text = page_of(failing()).replace("</main>", f"{foreign}</main>")
    page, wrong = open_page(text)
    assert (page.title(), len([one for one in wrong if "Content Security Policy" in one]) >= 2) == (
        "FAIL: The stream stalls in the middle of a tool call",
        True,
    )


def test_the_script_itself_cannot_make_markup_from_text(open_page: Open) -> None:
    page, _ = open_page(page_of(failing()))
    said = page.evaluate(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'made' } catch (e) { return e.name } })()"
    )
    assert said == "TypeError"


# -- long runs --
def test_a_run_of_200000_events_is_cut_to_what_decided_it_and_says_so(open_page: Open) -> None:
    one = long_run(25_000)
    page, wrong = open_page(page_of(one))
    assert (len(one.trace), wrong) == (200_000, [])
    assert page.locator("#cut").inner_text().startswith("This page holds ")
    assert "of the 200,000 events" in page.locator("#cut").inner_text()
    assert at(page).split()[0] == str(one.findings[0].events[0])
    assert page.locator("#drawing .mark-text").count() == len(set(one.findings[0].events))

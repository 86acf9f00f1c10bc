"""The index of a run, opened in Chromium."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from simkit.model.verdict import Result
from simkit.reporters.page import index, write_pages
from tests.browser.conftest import NARROW, WIDE, Open
from tests.reporters.results import expected_failure, failing, passing, skipped, unknown
from tests.reporters.runs import hostile


def tagged(result: Result, *tags: str, wall_s: float = 0.1) -> Result:
    return replace(result, scenario=replace(result.scenario, tags=tags), wall_s=wall_s)


ALL = (
    tagged(passing(), "stall", wall_s=3.0),
    tagged(failing(), "stall", "tools"),
    skipped(),
    unknown(),
    expected_failure(),
)


def verdicts(page: Page) -> list[str]:
    return page.locator("#table tbody .badge").all_inner_texts()


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("results", [ALL, (), (hostile(), hostile())], ids=["all", "none", "hostile"])
def test_an_index_opens_without_a_complaint_or_a_request_and_fits_its_width(
    open_page: Open, results: tuple[Result, ...], size: tuple[int, int]
) -> None:
    page, wrong = open_page(index(results), size=size)
    found = (wrong, page.evaluate("document.documentElement.scrollWidth"), page.locator("img").count())
    assert found == ([], size[0], 0)


def test_cases_are_filtered_by_verdict_tag_and_text(open_page: Open) -> None:
    page, _ = open_page(index(ALL))
    seen = [verdicts(page)]
    page.select_option("#filter-tag", "stall")
    seen.append(verdicts(page))
    page.select_option("#filter-outcome", "FAIL")
    seen.append(verdicts(page))
    page.fill("#filter-text", "no such case")
    seen.append(verdicts(page))
    assert seen == [["UNKNOWN", "FAIL", "PASS", "XFAILED", "SKIPPED"], ["FAIL", "PASS"], ["FAIL"], []]
    assert page.locator("#shown").inner_text() == "0 of 5 cases"


def test_a_column_sorts_both_ways(open_page: Open) -> None:
    page, _ = open_page(index(ALL))
    page.get_by_role("button", name="Real time").click()
    first = (verdicts(page)[0], page.locator('[data-column="Real time"]').get_attribute("aria-sort"))
    page.get_by_role("button", name="Real time").click()
    assert (first, verdicts(page)[-1]) == (("PASS", "descending"), "PASS")


def test_a_case_leads_to_its_page(chromium: Browser, tmp_path: Path) -> None:
    write_pages(ALL, tmp_path)
    page = chromium.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    page.locator("#table a").nth(1).click()
    page.wait_for_selector("#panel-run")
    found = page.locator("header .badge").inner_text()
    page.close()
    assert found == "FAIL"

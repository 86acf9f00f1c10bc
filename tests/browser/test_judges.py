"""What other people's programs say of the pages: axe-core of their accessibility, mermaid of the diagrams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from simkit.model.verdict import Result
from simkit.reporters.mermaid import mermaid
from simkit.reporters.page import index
from simkit.reporters.page import page as page_of
from tests.browser.conftest import NARROW, WIDE, Open
from tests.checks.traces import Story
from tests.reporters.results import expected_failure, failing, judged, long_run, passing, skipped, unknown
from tests.reporters.runs import all_kinds, hostile, leaking, whole

TABS = ("run", "difference", "conversation", "laws", "data")
HARMLESS = ("minor", "moderate")
AXE = "async () => (await axe.run(document)).violations.map(v => [v.id, v.impact, v.nodes.map(n => n.html).join(' ')])"
PARSE = "async (text) => { try { return (await mermaid.parse(text)).diagramType } catch (e) { return String(e) } }"


def serious(page: Page) -> list[list[str]]:
    found: list[list[str]] = page.evaluate(AXE)
    return [one for one in found if one[1] not in HARMLESS]


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("make", [failing, whole, passing])
def test_axe_finds_nothing_serious_on_a_page(
    open_page: Open, packages: Path, make: Callable[[], Result], scheme: str, size: tuple[int, int]
) -> None:
    # The judge is a script of its own, which the page's policy would keep out.
    page, _ = open_page(page_of(make(), normal=passing()), size=size, scheme=scheme, bypass_csp=True)
    page.add_script_tag(path=packages / "axe-core" / "axe.min.js")
    found = {}
    for tab in TABS:
        page.click(f"#tab-{tab}")
        found[tab] = serious(page)
    assert found == {tab: [] for tab in TABS}


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_an_index(
    open_page: Open, packages: Path, scheme: str, size: tuple[int, int]
) -> None:
    results = [passing(), failing(), skipped(), unknown(), expected_failure()]
    page, _ = open_page(index(results, pages={1: "one.html"}), size=size, scheme=scheme, bypass_csp=True)
    page.add_script_tag(path=packages / "axe-core" / "axe.min.js")
    assert serious(page) == []


def test_axe_finds_a_planted_fault(open_page: Open, packages: Path) -> None:
    page, _ = open_page(page_of(failing()).replace("</main>", "<img src='data:,'></main>"), bypass_csp=True)
    page.add_script_tag(path=packages / "axe-core" / "axe.min.js")
    assert [one[0] for one in serious(page)] == ["image-alt"]


def every_kind() -> Result:
    story = Story()
    for event in all_kinds():
        story.event(event.actor, event.kind)
    return judged(story)


RUNS = [failing, passing, unknown, skipped, whole, hostile, leaking, long_run, every_kind]


def test_mermaid_takes_the_diagram_of_every_run(open_page: Open, packages: Path) -> None:
    page, _ = open_page("<!doctype html><title>diagrams</title>")
    page.add_script_tag(path=packages / "mermaid" / "dist" / "mermaid.min.js")
    found = [page.evaluate(PARSE, mermaid(make(), lines_max=lines)) for make in RUNS for lines in (8, 60, 500)]
    assert found == ["sequence"] * 3 * len(RUNS)


def test_mermaid_refuses_a_planted_fault(open_page: Open, packages: Path) -> None:
    page, _ = open_page("<!doctype html><title>diagrams</title>")
    page.add_script_tag(path=packages / "mermaid" / "dist" / "mermaid.min.js")
    assert page.evaluate(PARSE, mermaid(failing()).replace("->>", "=>>")) != "sequence"

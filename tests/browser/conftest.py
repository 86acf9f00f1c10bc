"""A real browser for the pages: Debian's Chromium, and the two npm packages that judge what it shows.

The idea: a page is opened from a file, as its reader opens it, and whatever it complains of or asks the network for is
collected. The constraint: a browser or a package that is missing fails the test with the way to get it, so that nothing
passes unseen. Chromium as playwright downloads it was refused: the readers' browsers are those of their systems.

These tests are called by name (``pytest tests/browser``) and need the extra ``browser``, Chromium and npm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

WIDE, NARROW = (1280, 900), (390, 844)
# Where the packages are, for whoever has them already.
PACKAGES = "SIMKIT_BROWSER_PACKAGES"

# Opens a page in a new window and returns it with everything that went wrong in it, which grows.
Open = Callable[..., tuple[Page, list[str]]]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found is not None, "chromium is not installed - try: apt-get install chromium"
    # A container runs everything as root, where Chromium's own sandbox does not work.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the npm packages axe-core and mermaid, which npm fetches unless it is given."""
    given = os.environ.get(PACKAGES)
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("npm")
    npm = shutil.which("npm")
    assert npm is not None, f"npm is not installed - install it, or set {PACKAGES} to a node_modules folder"
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@4", "mermaid@11"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    return folder / "node_modules"


@pytest.fixture
def open_page(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    contexts: list[BrowserContext] = []

    def opened(
        text: str, *, size: tuple[int, int] = WIDE, scheme: str = "light", bypass_csp: bool = False
    ) -> tuple[Page, list[str]]:
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(text, "utf-8")
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            bypass_csp=bypass_csp,
        )
        contexts.append(context)
        page, wrong = context.new_page(), []
        page.on("console", lambda message: wrong.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "request", lambda request: wrong.append(f"request: {request.url}") if request.url != file.as_uri() else None
        )
        page.goto(file.as_uri())
        return page, wrong

    yield opened
    for context in contexts:
        context.close()

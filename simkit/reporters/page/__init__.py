"""The page of a run, and the index of many: HTML files that need nothing but a browser, also without a network.

The idea: Python works everything out and writes it into the file as plain data, a script of our own draws it. The
constraint: no text of a provider, an agent or a scenario is ever markup. A page that asks a server was refused: a
report is sent to a colleague as one file.

``page`` and ``index`` return such files, ``write_pages`` fills a folder with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simkit.model.verdict import Result
from simkit.reporters.page.failure import page
from simkit.reporters.page.overview import index
from simkit.reporters.page.writing import name_of, write_pages

__all__ = ["PAGE", "PageReporter", "index", "name_of", "page", "write_pages"]


@dataclass(frozen=True, slots=True)
class PageReporter:
    """Renders one HTML file: the page of a single case, or the index of several, which then links to no page."""

    name: str = "page"

    def render(self, results: Sequence[Result]) -> str:
        """Return the file."""
        return page(results[0]) if len(results) == 1 else index(results)


PAGE: Final = PageReporter()

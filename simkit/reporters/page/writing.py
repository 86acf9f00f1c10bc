"""The folder of a report: a page for each case that has to be told of, or for each case, and the index of all.

The idea: the names of the pages come from the cases and their plans, so the same failure has the same page in every
report of it, and the index links to it. The constraint: every file is whole or not there, since a report is often read
while the next one is written. Emptying the folder first was refused: it may be the wrong one.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from simkit.model.verdict import Result
from simkit.reporters.layout import PLAIN, UNKNOWN_TO_ALL, Known, ReportOptions
from simkit.reporters.page.data import Beside
from simkit.reporters.page.failure import page_beside
from simkit.reporters.page.overview import index
from simkit.reporters.page.source import SourceReader, no_source

INDEX: Final = "index.html"
_SLUG_MAX: Final = 80


def _no_normal(result: Result) -> Result | None:
    """Know no other run of the case."""
    return None


def _unknown(result: Result) -> Known:
    """Know nothing of a case beside its run."""
    return UNKNOWN_TO_ALL


def write_pages(
    results: Sequence[Result],
    folder: Path | str,
    *,
    every: bool = False,
    normal: Callable[[Result], Result | None] = _no_normal,
    source_reader: SourceReader = no_source,
    known: Callable[[Result], Known] = _unknown,
    options: ReportOptions = PLAIN,
) -> list[Path]:
    """Write ``index.html`` and the pages of what did not pass (of every case that ran with ``every``); return them.

    ``normal`` gives the run that a failure is compared with, ``known`` what is stored of it. Raises ``OSError``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pages = _names({i: r for i, r in enumerate(results) if (r.is_bad or every) and not r.is_skipped})
    for i, name in pages.items():
        one = results[i]
        beside = Beside(normal=normal(one), source_reader=source_reader, known=known(one), options=options)
        _write(folder / name, page_beside(one, beside))
    _write(folder / INDEX, index(results, pages=pages))
    return [folder / INDEX, *(folder / name for name in pages.values())]


def _names(results: Mapping[int, Result]) -> dict[int, str]:
    """Return a file name for each result; one that is there twice, such as a repeated run, gets a number."""
    names: dict[int, str] = {}
    times: Counter[str] = Counter()
    for i, result in results.items():
        name = name_of(result)
        times[name] += 1
        names[i] = name if times[name] == 1 else f"{name.removesuffix('.html')}-{times[name]}.html"
    return names


def name_of(result: Result) -> str:
    """Return the file name of a result's page: readable, and its own."""
    scenario = result.scenario
    stem = Path(scenario.file).name.removesuffix(".sim.yaml") or scenario.title
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{stem}-{scenario.row}").strip("-")[:_SLUG_MAX]
    whole = "\n".join((scenario.name, scenario.title, scenario.subject, result.plan.text()))
    return f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}.html"


def _write(path: Path, text: str) -> None:
    """Write a file beside its place and move it there, as the whole that it is."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".simkit-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n", errors="backslashreplace") as file:
            file.write(text)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise

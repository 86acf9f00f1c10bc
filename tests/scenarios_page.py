"""The page of the corpus, drawn from the scenarios: ``python -m tests.scenarios_page`` writes ``scenarios/README.md``.

The idea: a scenario says itself what it asks, where that was seen and which flaws it is there to catch; the page lays
them side by side, and lists for each row of the two catalogues who plays it. The constraint: nothing is written down
for the page alone; that each verdict holds is what ``tests/test_scenarios.py`` runs. A page kept by hand was refused:
the scenario that somebody adds tomorrow would not be on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from simkit.model.scenario import Scenario
from simkit.run import load

ROOT: Final = Path(__file__).parents[1]
CORPUS: Final = ROOT / "scenarios"
PAGE: Final = CORPUS / "README.md"
SUFFIX: Final = ".sim.yaml"

# How many rows each catalogue has, and what it holds.
CATALOGUES: Final = {
    "failure-modes": (54, "What goes wrong between a provider and an agent loop (`simkit explain catalogue`)"),
    "registry-races": (33, "What a registry of background calls must survive (`simkit explain flaws`)"),
}
_ROW: Final = re.compile(r"([a-z-]+)/(\d+)")
_ISSUE: Final = re.compile(r"([\w.-]+/[\w.-]+)#(\d+)")

HEAD: Final = """# The corpus

{files} scenarios, {cases} cases: every one passes on simkit's own agent, and fails under each flaw that it names.

```console
$ simkit run scenarios/
$ simkit run scenarios/hermes --set flaw=stub_finish_stop
```

A case is a row of a scenario's matrix. Drawn from the scenarios by `python -m tests.scenarios_page`.
"""


def page() -> str:
    """Return the page as it has to be today."""
    files = _files()
    head = HEAD.format(files=len(files), cases=sum(len(rows) for rows in files.values()))
    return "\n".join([head, *_themes(files), *_coverage(files)])


@cache
def _files() -> dict[str, tuple[Scenario, ...]]:
    paths = sorted(CORPUS.rglob(f"*{SUFFIX}"))
    return {path.relative_to(CORPUS).as_posix(): load(path) for path in paths}


# -- by theme ----------------------------------------------------------------------------------------------------------
def _themes(files: dict[str, tuple[Scenario, ...]]) -> Iterator[str]:
    for theme in sorted({name.rsplit("/", 1)[0] for name in files}):
        yield f"## {theme}\n"
        yield "| scenario | the question | cases | verdict | seen in | catches |"
        yield "|---|---|---|---|---|---|"
        yield from (_line(name, rows) for name, rows in files.items() if name.rsplit("/", 1)[0] == theme)
        yield ""


def _line(name: str, rows: tuple[Scenario, ...]) -> str:
    first = rows[0]
    link = f"[{name.rsplit('/', 1)[1].removesuffix(SUFFIX)}]({name})"
    titles = " / ".join(dict.fromkeys(row.title for row in rows))
    catches = ", ".join(f"`{flaw}`" for flaw in first.catches)
    cells = [link, titles, str(len(rows)), _verdict(rows), ", ".join(map(_reference, first.refs)), catches]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _verdict(rows: tuple[Scenario, ...]) -> str:
    said = (f"skipped: {row.skip}" if row.skip else f"fails: {row.xfail}" if row.xfail else "passes" for row in rows)
    return "; ".join(dict.fromkeys(said))


def _reference(text: str) -> str:
    issue = _ISSUE.fullmatch(text)
    return f"[{text}](https://github.com/{issue[1]}/issues/{issue[2]})" if issue else text


# -- by row of a catalogue ---------------------------------------------------------------------------------------------
def _coverage(files: dict[str, tuple[Scenario, ...]]) -> Iterator[str]:
    for catalogue, (count, title) in CATALOGUES.items():
        yield f"## {catalogue}\n"
        yield f"{title}.\n"
        yield "| row | scenarios |"
        yield "|---|---|"
        yield from (f"| {row} | {_all(players(catalogue, row))} |" for row in range(1, count + 1))
        yield ""


def players(catalogue: str, row: int) -> list[str]:
    """Return the scenarios whose refs name this row, by their paths below the corpus."""
    return [name for name, rows in _files().items() if f"{catalogue}/{row}" in rows[0].refs]


def _all(names: Iterable[str]) -> str:

    return ", ".join(f"[{name.removesuffix(SUFFIX)}]({name})" for name in names)


def unknown_rows() -> list[str]:
    """Return the refs that look like a row of a catalogue and are none."""
    refs = {(name, ref) for name, rows in _files().items() for ref in rows[0].refs}
    matched = [(name, ref, _ROW.fullmatch(ref)) for name, ref in sorted(refs)]
    return [
        f"{name}: {ref}"
        for name, ref, match in matched
        if match and not (match[1] in CATALOGUES and 1 <= int(match[2]) <= CATALOGUES[match[1]][0])
    ]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

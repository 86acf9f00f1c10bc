"""``simkit diff``: two result files side by side, for a review and for the job that decides about it.

The idea: the comparison is a list of changes, and text, Markdown and JSON are ways to write that list. The constraint:
the exit code speaks of one thing only, whether something broke that worked; what is new, gone or slower is told and
fails nobody's job. A history of all runs was refused: two files are what a job has, and they can be kept as artifacts.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import click

from simkit.commands.resultfiles import CHANGES, Change, changes, read_results
from simkit.commands.terminal import FAILED, PASSED, say

_EPILOG: Final = (
    "Exit codes: 0 nothing broke; 1 something broke; 2 a file or an option is wrong; 3 simkit itself failed; "
    "130 Ctrl-C."
)


@click.command("diff", epilog=_EPILOG)
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option(
    "--threshold",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    metavar="PERCENT",
    help="Tell of virtual time and requests that moved by more than this.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    help="How to print the changes.",
)
def command(old: str, new: str, threshold: float, form: str) -> None:
    """Compare two results of `simkit run --format json`: what broke, what was mended, what takes longer.

    Only virtual time and requests are compared, which are the same on every machine. A case that fails and was not in
    OLD is new, and not broken.

    \b
    Examples:
      simkit run scenarios/ --format json > new.json
      simkit diff old.json new.json
      simkit diff old.json new.json --format markdown >> "$GITHUB_STEP_SUMMARY"
    """
    before, after = read_results(Path(old)), read_results(Path(new))
    found = changes(before, after, threshold / 100)
    say(sys.stdout, _FORMS[form](found, len(after)).rstrip("\n"))
    broke = any(change.kind == "broke" for change in found)
    click.get_current_context().exit(FAILED if broke else PASSED)


# -- how ---------------------------------------------------------------------------------------------------------------
def _text(found: Sequence[Change], cases: int) -> str:
    from simkit.reporters.lanes import printable  # lazy: --help needs no reporter

    lines: list[str] = []
    for kind, group in groupby(found, key=lambda change: change.kind):
        lines.append(f"{kind}: {CHANGES[kind]}")
        for change in group:
            lines += [f"  {printable(change.name)}", f"      {printable(change.text)}"]
        lines.append("")
    return "\n".join([*lines, _summary(found, cases)])


def _summary(found: Sequence[Change], cases: int) -> str:
    counts = Counter(change.kind for change in found)
    parts = ", ".join(f"{counts[kind]} {kind}" for kind in CHANGES if counts[kind])
    return f"{cases} case{'' if cases == 1 else 's'}: {parts or 'no changes'}"


def _markdown(found: Sequence[Change], cases: int) -> str:
    return "\n".join([f"### simkit diff: {_summary(found, cases)}", "", *_table(found)])


def _table(found: Sequence[Change]) -> Iterator[str]:
    from simkit.reporters.summary import cell  # lazy: as above

    if not found:
        return
    yield "| change | case | now |"
    yield "|---|---|---|"
    for change in found:
        yield f"| {change.kind} | {cell(change.name)} | {cell(change.text)} |"


def _json(found: Sequence[Change], cases: int) -> str:
    from simkit.model.redact import redact  # lazy: as above

    told = [{"change": change.kind, "case": change.name, "text": redact(change.text)} for change in found]
    return json.dumps({"cases": cases, "changes": told}, indent=2)


_FORMS: Final = {"text": _text, "markdown": _markdown, "json": _json}

"""``simkit lint``: what can be said of scenarios before they run.

The idea: every problem of every file at once, each with its place. Stopping at the first bad file was refused: an
editor shows all of them, and so does a review.
"""

from __future__ import annotations

import sys

import click

from simkit.commands.terminal import EPILOG, counted, say
from simkit.options import Outside, read_paths


@click.command("lint", epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
def command(paths: tuple[str, ...]) -> None:
    """Check scenarios without running them. Prints every problem with its place; no PATH means this folder.

    \b
    Example:
      simkit lint scenarios/
    """
    cases = read_paths(paths or (".",), Outside())
    files = len({case.file for case in cases})
    say(sys.stdout, f"{counted(files, 'file')}, {counted(len(cases), 'case')}: no problems")

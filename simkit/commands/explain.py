"""``simkit explain``: what a name in a report means.

The idea: every word that a report prints can be asked for here, offline. Opening a web page was refused: a CI job has
no browser, and a page of another version would say another thing.
"""

from __future__ import annotations

import sys

import click

from simkit.commands.terminal import EPILOG, say


@click.command("explain", epilog=EPILOG)
@click.argument("name", required=False, metavar="[NAME]")
def command(name: str | None) -> None:
    """Say what a law, a flaw or a page is about.

    NAME is what a report names: a law (no_orphans), a flaw of the built-in agent (flaw:no_cancel_all), or a page
    (catalogue). Without one, everything that there is.
    """
    from simkit.explain import explained, listed  # lazy: --help needs no law

    say(sys.stdout, explained(name) if name else listed())

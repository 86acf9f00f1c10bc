"""``simkit explain``: what a name in a report means.

The idea: every word that a report prints can be asked for here, offline. Opening a web page was refused: a CI job has
no browser, and a page of another version would say another thing.
"""

from __future__ import annotations

import sys

import click

from simkit.commands.completion import complete_names
from simkit.commands.terminal import EPILOG, say


@click.command("explain", epilog=EPILOG)
@click.argument("name", required=False, metavar="[NAME]", shell_complete=complete_names)
def command(name: str | None) -> None:
    """Say what a name means: of a law, a key of a scenario, a comparison, a fault, a flaw, or a page.

    NAME is what a report, an error or a scenario names. A key may be given by its path, or by the end of it; where a
    name means several things, they are listed. Without a NAME, everything that there is.

    \b
    Examples:
      simkit explain no_orphans            a law, with a scenario in which it fails
      simkit explain stall                 a key
      simkit explain expect.requests       a key, by its path
      simkit explain at_most               a comparison
      simkit explain settings.stale_after  a setting of the built-in agent
      simkit explain flaw:no_cancel_all    a flaw of the built-in agent
      simkit explain exit-codes
      simkit explain reference             the whole language, as a page
    """
    from simkit.explain import explained, listed  # lazy: --help needs no law

    say(sys.stdout, explained(name) if name else listed())

"""``simkit import``: a scenario made of a cassette.

The idea: the text is printed, or written to a new file and read again as ``run`` will read it. Writing over a file was
refused: it may be the one that somebody has mended by hand.
"""

from __future__ import annotations

import sys

import click

from simkit.commands.files import EPILOG_OF_FILES, duration_of, read_again, refuse_file, write_new
from simkit.commands.terminal import say
from simkit.options import SUFFIX


@click.command("import", epilog=EPILOG_OF_FILES)
@click.argument("cassette", metavar="CASSETTE")
@click.option("-o", "--output", metavar="FILE", help=f"Write the scenario to this new file, NAME{SUFFIX}.")
@click.option(
    "--pace",
    default="20ms",
    metavar="DURATION",
    show_default=True,
    help="What passes before each frame of a stream: a cassette does not know; 0s is at once.",
)
@click.option("--title", default="", metavar="TEXT", help="The title, instead of the first message of the user.")
def command(cassette: str, output: str | None, pace: str, title: str) -> None:
    """Make a scenario of a cassette that vcrpy recorded (YAML or JSON), and print it or write it to a file.

    Every completion request in it becomes an answer under `provider:`; other hosts play the cassette itself. The
    tools become stubs that return what was recorded. Secrets are masked. What could not be told in steps is kept as
    raw bytes, with a comment that says why.

    \b
    Examples:
      simkit import tests/cassettes/chat.yaml
      simkit import tests/cassettes/chat.yaml -o scenarios/chat.sim.yaml --pace 50ms
    """
    from simkit.provider.importer import Source, import_cassette  # lazy: --help and usage errors need no dialects

    refuse_file(output)
    pace_ns = duration_of("--pace", pace)
    text = import_cassette(Source(cassette=cassette, file=output or "", title=title, pace_ns=pace_ns))
    if output is None:
        say(sys.stdout, text.rstrip("\n"))
        return
    write_new(output, text)
    say(sys.stdout, f"{output}: {read_again(output)}")

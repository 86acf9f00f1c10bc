"""``simkit schema``: what editors complete and check scenarios by.

The idea: the schema is drawn anew each time, so it is of the version that is installed and knows its laws, those of
plug-ins too. The constraint: a file is written over only where it is a schema of simkit's already, since that is all
this command can make again. An address on the web for editors to fetch was refused: it is of one version, and of no
laws but the built-in ones.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from simkit.commands.files import refuse_there, write_new
from simkit.commands.terminal import say
from simkit.errors import UsageError

_EPILOG: Final = "Exit codes: 0 printed or written; 2 an option is wrong; 3 simkit itself failed; 130 Ctrl-C."

# What every schema of simkit's has, and no scenario.
_MARK: Final = '"$id": "urn:simkit:scenario:'
_MARKED_WITHIN: Final = 300


@click.command("schema", epilog=_EPILOG)
@click.option("-o", "--output", metavar="FILE", help="Write it to this file, over an older schema where there is one.")
def command(output: str | None) -> None:
    """Print the JSON Schema of scenarios, by which editors complete and check them.

    `simkit new` writes it to .simkit/ by itself. For scenarios that are there already, write it once, and name it in
    the first line of each, by its path from the scenario's folder:

    \b
      # yaml-language-server: $schema=../.simkit/scenario.schema.json

    \b
    Editors with the YAML language server (VS Code with the Red Hat extension, Neovim, Zed and others) read that line;
    instead of it, their settings can map the files of a whole project:
      "yaml.schemas": {".simkit/scenario.schema.json": "*.sim.yaml"}

    The schema refuses nothing that runs, but cannot know everything: `simkit lint` says the rest.

    \b
    Examples:
      simkit schema -o .simkit/scenario.schema.json
      simkit schema | jq '.["$defs"].step.properties | keys'
    """
    from simkit.authoring.editor import schema_text  # lazy: --help needs no language

    if output is not None:
        _make_way(output)
    text = schema_text()
    if output is None:
        say(sys.stdout, text.rstrip("\n"))
        return
    write_new(output, text)
    say(sys.stdout, f"{output}: the schema of scenarios, {len(text) // 1024} KiB")


def _make_way(name: str) -> None:
    """Make the folder that simkit keeps its own files in, and refuse whatever is no schema of simkit's."""
    if os.path.basename(os.path.dirname(name)) == ".simkit":
        _make_folder(os.path.dirname(name))
    if not _is_schema(Path(name)):
        refuse_there(name)


def _make_folder(name: str) -> None:
    try:
        os.makedirs(name, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {name!r} cannot be made: {error.strerror}") from error


def _is_schema(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return _MARK in file.read(_MARKED_WITHIN)
    except (OSError, UnicodeDecodeError):
        return False

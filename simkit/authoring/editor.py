"""What an editor needs to complete and check a scenario: the schema, in a folder of its own.

The idea: the first line of a scenario names the schema by its path from the file, so editors find it offline and in the
version that is installed. The constraint: the folder ``.simkit`` holds what simkit made and can make again, so it is
written anew and hides itself from git; nothing that a person wrote is in it. An address on the web was refused: it
would be of another version, and of no use on a train.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final, cast

from simkit.contracts import Law
from simkit.errors import UsageError
from simkit.extensions import find, names
from simkit.language.schema import schema
from simkit.provider.vcrfiles import write_atomically

FOLDER: Final = ".simkit"
SCHEMA: Final = "scenario.schema.json"


def schema_folder(file: Path) -> Path:
    """Return where the schema of a scenario stands: in the current folder, or beside a file that lies elsewhere."""
    here = Path.cwd()
    return (here if file.resolve().is_relative_to(here) else file.resolve().parent) / FOLDER


def schema_path(file: Path) -> str:
    """Return how the file's first line names its schema: with forward slashes, from the file's own folder."""
    return Path(os.path.relpath(schema_folder(file) / SCHEMA, file.resolve().parent)).as_posix()


def write_schema(file: Path) -> Path:
    """Write the schema that the file's first line names, and return its path. Raises ``UsageError``."""
    folder = schema_folder(file)
    try:
        folder.mkdir(exist_ok=True)
        ignored = folder / ".gitignore"
        if not ignored.exists():
            write_atomically(str(ignored), "*\n")
        write_atomically(str(folder / SCHEMA), schema_text())
    except OSError as error:
        raise UsageError(f"the schema cannot be written to {os.path.relpath(folder)!r}: {error.strerror}") from error
    return folder / SCHEMA


def schema_text() -> str:
    """Return the schema as the text of a file; it knows the laws that are installed."""
    laws = [cast(Law, find("checks", name)) for name in names("checks")]
    return json.dumps(schema(laws), indent=2, ensure_ascii=False) + "\n"

"""What commands that write a scenario share: which names they take, and what they refuse to write over.

The idea: a new file is refused before any work is done for it, and read again as ``run`` will read it after. The
constraint: nothing that somebody wrote is ever lost. A ``--force`` was refused: removing a file is a command that
everybody has.
"""

from __future__ import annotations

import os
from typing import Final

from simkit.commands.terminal import counted
from simkit.errors import UsageError
from simkit.options import SUFFIX

EPILOG_OF_FILES: Final = (
    "Exit codes: 0 written; 2 a file or an option is wrong; 3 simkit itself failed; 130 Ctrl-C (what was recorded "
    "until then is written)."
)
LOOPBACK: Final = "127.0.0.1"


def duration_of(option: str, text: str) -> int:
    """Return the nanoseconds that an option says. Raises ``UsageError`` for what is no duration, or never ends."""
    from simkit.model.duration import FOREVER, parse_duration  # lazy: as above

    try:
        ns = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}, expected a number and a unit, such as 20ms") from error
    if ns == FOREVER:
        raise UsageError(f"{option}: {text!r} never ends, expected a duration that does")
    return ns


def refuse_file(name: str | None) -> None:
    """Raise for a name under which no scenario would be found, or under which there is something already."""
    if name is None:
        return
    if not name.endswith(SUFFIX):
        raise UsageError(f"{name!r} is no name of a scenario: expected one that ends with {SUFFIX}")
    refuse_there(name)


def refuse_there(name: str) -> None:
    """Raise for a name under which there is something, or whose folder is missing."""
    if os.path.lexists(name):
        raise UsageError(f"{name!r} is there already, and nothing is written over it: give another name")
    if not os.path.isdir(os.path.dirname(name) or "."):
        raise UsageError(f"there is no folder {os.path.dirname(name)!r} to write {os.path.basename(name)!r} to")


def write_new(name: str, text: str) -> None:
    """Write a file whole or not at all. Raises ``UsageError`` where that cannot be done."""
    from simkit.provider.vcrfiles import write_atomically  # lazy: as above

    try:
        write_atomically(name, text)
    except OSError as error:
        raise UsageError(f"{name!r} cannot be written: {error.strerror}") from error


def read_again(name: str) -> str:
    """Read what was written, as ``run`` will: a recording can be larger than a scenario may be."""
    from simkit.run import load  # lazy: as above

    (case,) = load(name)
    return counted(len(case.provider), "answer")

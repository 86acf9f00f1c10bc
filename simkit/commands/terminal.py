"""What every command says the same way: lines to a terminal that may be narrow, closed or of another encoding.

The idea: a command says its sentences here and returns an exit code, so a full pipe, a missing standard output and
NO_COLOR are handled once. The constraint: whatever cannot be written must not hide the exit code. Printing with
``rich`` was refused for what machines and pipes read: it wraps lines.

Exit codes: 0 pass; 1 a scenario failed; 2 a scenario or an option is wrong; 3 simkit itself failed, or a
verdict is UNKNOWN; 130 Ctrl-C; 141 the reader of the output went away, as other tools of a pipe say it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import IO, Final, NoReturn

import click

from simkit.errors import EXIT_CODES

PASSED: Final = 0
FAILED: Final = 1
WRONG: Final = 2
BROKEN: Final = 3
INTERRUPTED: Final = 130
UNREAD: Final = 141

EPILOG: Final = (
    "Exit codes: " + "; ".join(f"{code} {says}" for code, says in EXIT_CODES.items() if code != UNREAD) + "."
)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which gets its s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def tell_failure(error: BaseException) -> None:
    """Say that simkit itself failed, with everything that a report of it needs."""
    import traceback  # lazy: only simkit's own failure needs it

    complain("simkit itself failed; the scenario is not to blame. Please report this:\n")
    complain("".join(traceback.format_exception(error)))


def has_colour(out: IO[str] | None) -> bool:
    """Say whether to use colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    if out is None or not out.isatty():
        return False
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def encoding_of(out: IO[str] | None) -> str:
    """Return the encoding of a stream."""
    return getattr(out, "encoding", None) or "utf-8"


def say(out: IO[str] | None, text: str) -> None:
    """Print a line and escape what the terminal cannot show; without a standard output there is nobody to say it to."""
    if out is None:
        return
    try:
        click.echo(text.encode(encoding_of(out), "backslashreplace").decode(encoding_of(out)), file=out)
    except OSError as error:
        _stop_saying(out, error)


def _stop_saying(out: IO[str], error: OSError) -> NoReturn:
    # Python writes what is left in the buffer once more when it exits: that must go somewhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    if error.errno == errno.EPIPE:
        raise click.exceptions.Exit(UNREAD)
    complain(f"simkit: the output cannot be written: {error.strerror}")
    raise click.exceptions.Exit(BROKEN)


def complain(text: str) -> None:
    """Print a line to standard error."""
    # When even this cannot be written, the exit code is all that is left to say.
    with contextlib.suppress(OSError):
        click.echo(text, err=True)

"""The text of a file on disk: read with everything that must come back as it was, changed in places, written whole.

The idea: a mend changes characters at places and nothing else, so line breaks, a byte order mark and the last line
without its break are no matter of the mends. The constraint: a file is replaced in one step or stays as it is, and
keeps its rights and the name that a link gives it. Opening it in text mode was refused: that translates line breaks.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass

from simkit.errors import UsageError
from simkit.model.scenario import LINE_BREAK
from simkit.model.timeline import Place

_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a text: what stands at a place, and what comes there instead."""

    place: Place
    old: str
    new: str

    def says(self) -> str:
        """Return the change as people read it."""
        return f"{self.old!r} is now {self.new!r}"


def edited(text: str, edit: Edit) -> str | None:
    """Return the text with the change made, or None where something else stands at its place."""
    start = _offset(text, edit.place)
    if start is None or not text.startswith(edit.old, start):
        return None
    return text[:start] + edit.new + text[start + len(edit.old) :]


def _offset(text: str, place: Place) -> int | None:
    starts = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
    return starts[place.line - 1] + place.column - 1 if place.line <= len(starts) else None


def written_at(text: str, place: Place, value: str) -> str | None:
    """Return how a value is written at its place: plain or in quotes; None where it is written in another way."""
    start = _offset(text, place)
    forms = (value, f'"{value}"', f"'{value}'")
    return next((form for form in forms if start is not None and text.startswith(form, start)), None)


# -- on disk -----------------------------------------------------------------------------------------------------------
def read(path: str) -> tuple[str, str]:
    """Return the byte order mark of a file, if it has one, and its text. Raises ``UsageError`` or ``UnicodeError``."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path!r} cannot be read: {error.strerror}") from error
    return (_MARK, text[1:]) if text.startswith(_MARK) else ("", text)


def write(path: str, text: str) -> None:
    """Put a text in the place of the file's. Raises ``UsageError``, and then the file is as it was."""
    target = os.path.realpath(path)
    try:
        mode = os.stat(target).st_mode
        _replace(target, text.encode("utf-8"), mode)
    except OSError as error:
        raise UsageError(f"{path!r} cannot be written: {error.strerror}") from error


def _replace(target: str, data: bytes, mode: int) -> None:
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(target), prefix=".simkit-", delete=False) as new:
        try:
            new.write(data)
            new.flush()
            os.fsync(new.fileno())
            os.chmod(new.name, mode & 0o7777)
            os.replace(new.name, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new.name)
            raise

"""How a report is laid out: its options, its colours, and text that keeps to the columns of a terminal.

The idea: whoever prints decides width, colour, encoding and length once, in one frozen value, and every piece of a
report asks that value. The constraint: a report reads nothing by itself, so what only a machine knows (a line of
somebody's code, the id under which a failure was stored) is handed in; a report of a stored result is then the same
everywhere. A terminal library was refused: the lines are searched, compared and pasted, so nobody may wrap them but us.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from simkit.reporters.lanes import printable

WIDTH_MIN: Final = 40
WIDTH_MAX: Final = 120
INDENT: Final = "  "

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "dim": "2"}


def _no_code(place: str) -> str:
    """Know no line of anybody's code."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """How to report: what the command line decides, in one value.

    ``verbosity`` -1 keeps the sentence and the command, 1 shows the whole timeline. ``overrides`` are the settings
    given on the command line, and ``subject`` who was named there: the command to run it again repeats both. What
    ``encoding`` cannot express is escaped. ``code`` gives the text of a line of code, which is named ``file:line``.
    """

    width: int = 80
    colour: bool = False
    verbosity: int = 0
    overrides: Mapping[str, str] = field(default_factory=dict)
    subject: str | None = None
    encoding: str = "utf-8"
    code: Callable[[str], str] = _no_code

    @property
    def columns(self) -> int:
        """The width, kept within what the report can use."""
        return max(WIDTH_MIN, min(WIDTH_MAX, self.width))


PLAIN: Final = ReportOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a failure beside its run: its id in the store, and whether it can be pinned.

    ``replay`` is the command that runs it again: None for that of ``simkit run``, empty where somebody else tells it.
    ``shrunk`` is empty where nobody has looked for a smaller plan, else a text such as ``shrunk from 9, 64 runs``.
    """

    id: str = ""
    pins: bool = True
    replay: str | None = None
    shrunk: str = ""


UNKNOWN_TO_ALL: Final = Known()


def painted(text: str, colour: str, options: ReportOptions) -> str:
    """Return a text in a colour, where there are colours."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if options.colour else text


def encodable(text: str, options: ReportOptions) -> str:
    """Return a text with everything escaped that the encoding has no character for."""
    return text.encode(options.encoding, "backslashreplace").decode(options.encoding)


def wrapped(text: str, options: ReportOptions, first: str = INDENT, indent: str = INDENT) -> list[str]:
    """Return the rows of a text behind an indent; each line of it begins a row."""
    rows: list[str] = []
    for line in map(printable, text.splitlines()):
        rows += textwrap.wrap(
            line, options.columns, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
        )
        first = indent
    return rows


def sentence(text: str) -> str:
    """Return a finding's text with a full stop. No capital: the first word is often a tool's own name."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def shell(word: str, *, always: bool = False) -> str:
    """Return a word as a POSIX shell takes it; in double quotes where that is enough."""
    if not always and re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII):
        return word
    if not re.search(r'["$`\\!]', word):
        return f'"{word}"'
    quote = "'"
    return quote + word.replace(quote, "'\"'\"'") + quote

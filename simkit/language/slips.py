"""Slips of the pen in YAML: place, sentence and remedy for each of PyYAML's complaints.

The idea: "mapping values are not allowed here" is true and helps nobody, so the dozen slips that people make
are recognised and named. The constraint: the wording is ours and the same for every build of PyYAML; what is
not recognised keeps PyYAML's words behind a plain opening. Guessing a repaired text was refused: a wrong
guess costs more than the slip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

import yaml

from simkit.language.problems import Problems
from simkit.model.scenario import LINE_BREAK
from simkit.model.timeline import Place

_QUOTE: Final = "put the text in quotes"


@dataclass(frozen=True, slots=True)
class Slip:
    """What went wrong, where, and the way out."""

    place: Place
    text: str
    remedy: str


class _Known(NamedTuple):
    """One kind of slip: parts of PyYAML's context and problem, and our words for it.

    ``opened`` points at the beginning of the construct; ``{char}`` is the character at the place.
    """

    context: str
    problem: str
    text: str
    remedy: str
    opened: bool = False


_DASHES: Final = (
    "this dash does not line up with the list it belongs to",
    "give all dashes of a list the same column",
)
_KEYS: Final = (
    "this key does not line up with its neighbours",
    "give all keys of a mapping the same column",
)
_STRAY: Final = ("{char} has no business here", _QUOTE + " if it belongs to it")

# The first that fits is told, so the particular stands above the general.
_KNOWN: Final = (
    _Known(
        "quoted scalar",
        "found unexpected end of stream",
        "this quote is never closed",
        "close it, or write '' for a quote inside '...'",
        True,
    ),
    _Known(
        "quoted scalar",
        "document separator",
        "this quote is never closed",
        "close it before the line ---",
        True,
    ),
    _Known(
        "double-quoted",
        "esc",
        "inside double quotes a backslash starts an escape, and this is none",
        "use single quotes, or write two backslashes",
    ),
    _Known("a tag", "", "text cannot start with '!'", _QUOTE, True),
    _Known("a node", "tag handle", "text cannot start with '!'", _QUOTE, True),
    _Known("an alias", "", "text cannot start with '*'", _QUOTE, True),
    _Known("an anchor", "", "text cannot start with '&'", _QUOTE, True),
    _Known(
        "a block scalar",
        "",
        "after {char} the text starts on the next line",
        _QUOTE + " if it is one line",
        True,
    ),
    _Known("directive", "", "a line cannot start with '%'", _QUOTE, True),
    _Known("", "incompatible YAML", "only YAML 1.1 and 1.2 can be read", "leave the %YAML line out"),
    _Known("", "cannot start any token", "text cannot start with {char}", _QUOTE),
    _Known(
        "a simple key",
        "could not find expected ':'",
        "this line is neither a key with a ':' nor an item of a list",
        "write key: value, or put text of several lines in quotes",
        True,
    ),
    _Known(
        "",
        "sequence entries are not allowed",
        "a list cannot start here",
        "put each dash on a line of its own",
    ),
    _Known("", "<block sequence start>", *_DASHES),
    _Known("", "found '-'", *_DASHES),
    _Known("", "found '<block mapping start>'", *_KEYS),
    _Known("", "found '?'", *_KEYS),
    _Known("a flow node", "<stream end>", "a bracket further up is never closed", "close it with ']' or '}'"),
    _Known("", "<block end>, but found '", *_STRAY),
    _Known("", "expected the node content", *_STRAY),
)

_VARIABLE: Final = re.compile(r"\$\{\w*\}?")
_NO_CHARACTER: Final = re.compile(r"\\U(?!0010|000)[0-9A-Fa-f]{8}")

# How far back a line is searched for the beginning of a slip: enough for a word, and a bound on the search.
_LOOK_BACK: Final = 200


@dataclass(frozen=True, slots=True)
class _Complaint:
    """PyYAML's complaint, taken apart: 0-based places, and the line it stops in."""

    context: str
    problem: str
    opened: tuple[int, int]
    at: tuple[int, int]
    line: str
    opening: str

    @property
    def before(self) -> str:
        """The line up to the place."""
        return self.line[: self.at[1]]

    @property
    def char(self) -> str:
        """The character at the place; empty at the end of the line."""
        return self.line[self.at[1] : self.at[1] + 1]


def explain(error: yaml.YAMLError, text: str, problems: Problems) -> Slip:
    """Return the slip behind an error of PyYAML."""
    if isinstance(error, yaml.reader.ReaderError):
        return _unprintable(error, text, problems)
    complaint = _take_apart(error, problems)
    if "<document start>" in complaint.problem:
        return _behind_the_end(complaint, problems)
    slip = _by_the_line(complaint) or _by_the_words(complaint)
    at, sentence, remedy = slip
    return Slip(problems.place(*at), sentence, remedy)


def explain_number(text: str, problems: Problems) -> Slip:
    """Return the slip behind a number that PyYAML cannot hold: in an escape, or in a directive."""
    escape = _NO_CHARACTER.search(text)
    if escape is None:
        return Slip(problems.place(0, 0), "the %YAML line of this file cannot be read", "leave it out")
    place = _place_of(escape.start(), text, problems)
    return Slip(place, f"{escape[0]} names no character", "the last one is \\U0010FFFF")


def _behind_the_end(complaint: _Complaint, problems: Problems) -> Slip:
    """Tell of what stands behind the one mapping of a file, or behind what was taken for a directive."""
    percents = [number for number, line in enumerate(problems.lines) if line.startswith("%")]
    if percents:
        return Slip(problems.place(percents[0], 0), "a line cannot start with '%'", _QUOTE)
    text = "this does not belong to what stands above it"
    return Slip(problems.place(*complaint.at), text, "write the whole scenario as keys and values, one below the other")


def _place_of(position: int, text: str, problems: Problems) -> Place:
    lines = LINE_BREAK.split(text[:position])
    return problems.place(len(lines) - 1, len(lines[-1]))


def _unprintable(error: yaml.reader.ReaderError, text: str, problems: Problems) -> Slip:
    char = text[error.position]
    return Slip(
        _place_of(error.position, text, problems),
        f"the character {char!r} cannot stand in YAML",
        "write it as an escape inside double quotes",
    )


def _take_apart(error: yaml.YAMLError, problems: Problems) -> _Complaint:
    mark = getattr(error, "problem_mark", None)
    at = (mark.line, mark.column) if mark is not None else (0, 0)
    start = getattr(error, "context_mark", None)
    opened = (start.line, start.column) if start is not None else at
    return _Complaint(
        context=getattr(error, "context", None) or "",
        problem=getattr(error, "problem", None) or str(error),
        opened=opened,
        at=at,
        line=problems.line(at[0] + 1),
        opening=problems.line(opened[0] + 1)[opened[1] : opened[1] + 1],
    )


_Told = tuple[tuple[int, int], str, str]


def _by_the_line(complaint: _Complaint) -> _Told | None:
    """Recognise the slips that show in the line itself better than in the parser's words."""
    if complaint.char == "\t":
        return complaint.at, "a tab cannot stand here", "use spaces"
    if complaint.char == "{" and complaint.before.endswith("$"):
        name = _VARIABLE.match(complaint.line, complaint.at[1] - 1)
        written = name[0] if name else "${...}"
        at = (complaint.at[0], complaint.at[1] - 1)
        return at, f"{written} must be quoted inside {{...}} and [...]", f'write "{written}"'
    if "mapping values are not allowed" in complaint.problem:
        return _stray_colon(complaint)
    if complaint.context in ("while parsing a flow sequence", "while parsing a flow mapping"):
        return _open_bracket(complaint)
    if "'<scalar>'" in complaint.problem and complaint.before.rstrip()[-1:] in ("'", '"'):
        remedy = "put the whole text in one pair of quotes, and write '' for a quote inside '...'"
        return complaint.at, "the text goes on after its closing quote", remedy
    if "'<scalar>'" in complaint.problem and (closing := complaint.before.rstrip()[-1:]) in ("}", "]"):
        return complaint.at, f"the text goes on after {closing!r}", "put the whole text in quotes"
    if "'<scalar>'" in complaint.problem and (star := re.search(r"[*&]\S*\s*$", complaint.before[-_LOOK_BACK:])):
        column = max(0, complaint.at[1] - _LOOK_BACK) + star.start()
        return (complaint.at[0], column), f"text cannot start with {star[0][0]!r}", _QUOTE
    return None


def _stray_colon(complaint: _Complaint) -> _Told:
    if re.search(r":\s|[\"']\s*$", complaint.before):
        return complaint.at, "a second ':' cannot stand on this line", _QUOTE
    column = len(complaint.line) - len(complaint.line.lstrip())
    remedy = "line it up with its neighbours, or put text of several lines in quotes"
    return (complaint.at[0], column), "this key stands deeper than the line above allows", remedy


def _open_bracket(complaint: _Complaint) -> _Told:
    if complaint.opened[0] == complaint.at[0] and complaint.char:
        remedy = "quote text that holds one of , : [ ] { }"
        return complaint.at, f"{complaint.char!r} cannot stand inside {complaint.opening}", remedy
    closing = "]" if complaint.opening == "[" else "}"
    return complaint.opened, f"this {complaint.opening!r} is never closed", f"close it with {closing!r}"


def _by_the_words(complaint: _Complaint) -> _Told:
    for known in _KNOWN:
        if known.context in complaint.context and known.problem in complaint.problem:
            char = complaint.opening if known.opened else complaint.char
            at = complaint.opened if known.opened else complaint.at
            return at, known.text.replace("{char}", repr(char)), known.remedy
    return complaint.at, f"this is not YAML: {complaint.problem}", ""

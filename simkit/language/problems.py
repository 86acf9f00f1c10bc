"""The mistakes found so far in one file, each with the line it stands on.

The idea: every stage notes what it finds here and goes on with the rest, so the author sees all mistakes at
once. The constraint: a mistake that comes up once for each matrix row is told once, in the order of the file,
and a file of nothing but mistakes does not fill the terminal. Raising at the first one was refused: an author
who mends ten mistakes in ten runs is an author lost.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from simkit.errors import Problem, ScenarioError
from simkit.model.timeline import Place

# More than anyone mends in one go; the rest is counted.
PROBLEMS_MAX: Final = 100

# A longer line would push the caret off every screen, so it is told by its place alone.
SOURCE_MAX: Final = 200

# What YAML calls a line break, which is less than what str.splitlines takes for one.
LINE_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class Problems:
    """Collects the problems of one text and raises them together."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = LINE_BREAK.split(text)
        self._found: dict[tuple[int, int, str], Problem] = {}

    def place(self, line: int, column: int) -> Place:
        """Return the place of a 0-based line and column, as YAML parsers count."""
        return Place(self.file, line + 1, column + 1)

    def line(self, number: int) -> str:
        """Return the line with this 1-based number; empty behind the end."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    @property
    def full(self) -> bool:
        """Whether enough has been noted that the rest will only be counted."""
        return len(self._found) >= PROBLEMS_MAX

    def told(self, place: Place) -> bool:
        """Say whether a problem at this very place has been noted."""
        return any(key[:2] == (place.line, place.column) for key in self._found)

    def add(self, place: Place, text: str, remedy: str = "") -> None:
        """Note a problem and go on; the same one at the same place counts once."""
        line = self.line(place.line)
        source = line if len(line) <= SOURCE_MAX else ""
        problem = Problem(self.file, place.line, place.column, text, source, remedy)
        self._found.setdefault((place.line, place.column, text), problem)

    def stop(self, place: Place, text: str, remedy: str = "") -> NoReturn:
        """Note a problem that nothing can be read past, and raise ``ScenarioError``."""
        self.add(place, text, remedy)
        raise self.error()

    def check(self) -> None:
        """Raise ``ScenarioError`` with everything noted so far, if there is anything."""
        if self._found:
            raise self.error()

    def error(self) -> ScenarioError:
        """Return all problems in the order of the file, the last places of an endless list merely counted."""
        found = [self._found[key] for key in sorted(self._found, key=lambda key: key[:2])]
        rest = len(found) - PROBLEMS_MAX
        if rest > 0:
            after = found[PROBLEMS_MAX]
            found[PROBLEMS_MAX:] = [Problem(self.file, after.line, after.column, f"and {rest} more problems")]
        return ScenarioError(found)

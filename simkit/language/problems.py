"""The mistakes found so far in a file and in those that it extends, each with the line it stands on.

The idea: every stage notes what it finds here and goes on with the rest, so the author sees all mistakes at
once. The constraint: a mistake that comes up once for each matrix row is told once, in the order of the file,
and a file of nothing but mistakes does not fill the terminal. Raising at the first one was refused: an author
who mends ten mistakes in ten runs is an author lost.
"""

from __future__ import annotations

from typing import Final, NoReturn

from simkit.errors import Problem, ScenarioError
from simkit.model.scenario import LINE_BREAK
from simkit.model.timeline import Place

# More than anyone mends in one go; the rest is counted.
PROBLEMS_MAX: Final = 100

# A longer line would push the caret off every screen, so it is told by its place alone.
SOURCE_MAX: Final = 200


class Problems:
    """Collects the problems of one text, and of the texts ``beside`` it, and raises them together."""

    def __init__(self, file: str, text: str, beside: Problems | None = None) -> None:
        self.file = file
        self.lines = LINE_BREAK.split(text)
        # Shared by all files of one scenario: what was found, and the files in the order in which they were opened.
        self._found: dict[tuple[int, int, int, str], Problem] = beside._found if beside else {}
        self._files: dict[str, Problems] = beside._files if beside else {}
        self._files[file] = self

    def beside(self, file: str, text: str) -> Problems:
        """Return the problems of another file of the same scenario, which are raised together with these."""
        return Problems(file, text, self)

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
        return any(key[:3] == self._at(place) for key in self._found)

    def _at(self, place: Place) -> tuple[int, int, int]:
        return [*self._files].index(place.file), place.line, place.column

    def add(self, place: Place, text: str, remedy: str = "") -> None:
        """Note a problem, wherever it stands, and go on; the same one at the same place counts once."""
        line = self._files[place.file].line(place.line)
        source = line if len(line) <= SOURCE_MAX else ""
        problem = Problem(place.file, place.line, place.column, text, source, remedy)
        self._found.setdefault((*self._at(place), text), problem)

    def stop(self, place: Place, text: str, remedy: str = "") -> NoReturn:
        """Note a problem that nothing can be read past, and raise ``ScenarioError``."""
        self.add(place, text, remedy)
        raise self.error()

    def check(self) -> None:
        """Raise ``ScenarioError`` with everything noted so far, if there is anything."""
        if self._found:
            raise self.error()

    def error(self) -> ScenarioError:
        """Return all problems in the order of the files, the last places of an endless list merely counted."""
        found = [self._found[key] for key in sorted(self._found, key=lambda key: key[:3])]
        rest = len(found) - PROBLEMS_MAX
        if rest > 0:
            after = found[PROBLEMS_MAX]
            found[PROBLEMS_MAX:] = [Problem(after.file, after.line, after.column, f"and {rest} more problems")]
        return ScenarioError(found)

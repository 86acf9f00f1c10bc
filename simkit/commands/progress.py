"""Progress of a long run: one line at the bottom of a terminal, gone when there is something else to say.

The idea: the line stands only while a case runs, and is taken away before the case's own lines are printed, so these
are the same with it and without it. The constraint: in a process that simulates it is drawn between two runs and not
during one. A display that draws itself again would need a thread and a clock of its own, and both belong to the machine
that is simulated meanwhile; so that was refused, and with it a spinner.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

# Fewer cases than this are over before anybody has read the line.
_CASES_MIN: Final = 6
_BAR_WIDTH: Final = 20
# On a terminal that is narrower there is room for the figures only.
_BAR_TERMINAL_WIDTH_MIN: Final = 80


class Progress:
    """What is shown while the cases of one call run."""

    def __init__(self, out: IO[str]) -> None:
        from rich.console import Console  # lazy: a pipe needs none of this, and it takes longer than a case

        # What an agent prints is nobody's to break into lines.
        self._console: Console = Console(file=out, highlight=False, soft_wrap=True)
        self._live: Live | None = None

    @contextlib.contextmanager
    def shown(self, name: str, done: int, total: int, told: str) -> Iterator[None]:
        """Show which case runs, how many are done, and what is to be told of them; and take it away again."""
        self.show(f"{done}/{total}  {told}  {name}", done, total)
        try:
            yield
        finally:
            self.hide()

    def show(self, text: str, done: float, total: float | None) -> None:
        """Draw a line, or draw it again; without a total there is no bar. It stands until ``hide`` is called."""
        from rich.live import Live  # lazy: as above

        line = _line(self._console.width, text, done, total)
        if self._live is not None:
            self._live.update(line, refresh=True)
            return
        # What a case prints meanwhile goes above the line.
        self._live = Live(line, console=self._console, auto_refresh=False, transient=True)
        self._live.start(refresh=True)

    def hide(self) -> None:
        """Take the line away, if there is one; what a case has printed without an end of its line is kept."""
        live, self._live = self._live, None
        if live is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            live.stop()


def progress_on(out: IO[str] | None, cases: int) -> Progress | None:
    """Return a display for so many cases, or None: in a pipe, on a terminal that cannot take a line back, for a few."""
    return terminal_on(out) if cases >= _CASES_MIN else None


def terminal_on(out: IO[str] | None) -> Progress | None:
    """Return a display, or None where a line cannot be taken back."""
    if out is None or not out.isatty() or os.environ.get("TERM") == "dumb":
        return None
    return Progress(out)


def _line(width: int, text: str, done: float, total: float | None) -> RenderableType:
    from rich.progress_bar import ProgressBar  # lazy: as above
    from rich.table import Table  # lazy: as above
    from rich.text import Text  # lazy: as above

    # The name stands last: where the line is too long, it gives way first.
    line = Text(text, no_wrap=True, overflow="ellipsis")
    if width < _BAR_TERMINAL_WIDTH_MIN or total is None:
        return line
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(ProgressBar(total=total, completed=done, width=_BAR_WIDTH, complete_style="green"), line)
    return grid

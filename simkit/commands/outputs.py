"""What ``simkit run`` writes beside what it prints: traces, JUnit, the summary of a job, pages.

The idea: every such place is opened before the first run and written after the last one, by whoever says the last
words. The constraint: a place that cannot be written is told at once where that can be known, and where it cannot, the
verdicts are told first; one that fails takes no other with it. Writing while the cases run was refused: half a JUnit
file is read by nobody.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from simkit.commands.terminal import complain
from simkit.errors import UsageError
from simkit.options import SUFFIX

if TYPE_CHECKING:
    from simkit.model.verdict import Result
    from simkit.reporters.layout import Known, ReportOptions

# Set by the runner of a GitHub workflow: the file of the job's summary, the folder of the repository, and a mark.
SUMMARY_FILE: Final = "GITHUB_STEP_SUMMARY"
_REPOSITORY: Final = "GITHUB_WORKSPACE"
_ON_GITHUB: Final = "GITHUB_ACTIONS"

REPORTS: Final = ("failures", "all", "none")
REPORT_FOLDER: Final = "simkit-report"

Render = Callable[[Sequence["Result"]], str]


@dataclass(frozen=True, slots=True)
class Output:
    """A file that is open and gets one document at the end; ``what`` is what it holds, in a few words."""

    what: str
    name: str
    target: IO[str]
    render: Render

    def write(self, results: Sequence[Result]) -> bool:
        """Write the document; say whether that was possible, and tell where it was not."""
        try:
            self.target.write(self.render(results))
            self.target.flush()
        except OSError as error:
            complain(f"simkit: {_unwritable(self.what, self.name, error)}")
            return False
        return True


@dataclass(frozen=True, slots=True)
class Pages:
    """A folder that gets a page for each failure, or for each case, and an index of all."""

    folder: Path
    every: bool
    known: Callable[[Result], Known]
    options: ReportOptions

    def write(self, results: Sequence[Result]) -> bool:
        """Write the pages; say whether that was possible, and tell where it was not."""
        from simkit.commands.code import line_of_code  # lazy: few runs ask for pages
        from simkit.reporters.page import write_pages  # lazy: as above

        try:
            write_pages(
                results,
                self.folder,
                every=self.every,
                source_reader=line_of_code,
                known=self.known,
                options=self.options,
            )
        except OSError as error:
            complain(f"simkit: {_unwritable('report', str(self.folder), error)}")
            return False
        complain(f"simkit: the report is {(self.folder / 'index.html').as_posix()}")
        return True


@contextlib.contextmanager
def opened(what: str, name: str, render: Render, *, mode: str = "w") -> Iterator[Output]:
    """Open a file for a document. Raises ``UsageError`` for a scenario, and where the file cannot be written."""
    if name.endswith(SUFFIX):
        # An option without its value takes the next word, which is a scenario that somebody wrote.
        raise UsageError(f"the {what} would overwrite the scenario {name!r}, expected another name")
    try:
        target = open(name, mode, encoding="utf-8", newline="\n")  # noqa: SIM115  # closed below
    except OSError as error:
        raise UsageError(_unwritable(what, name, error)) from error
    try:
        yield Output(what, name, target, render)
    finally:
        # Closing writes again what could not be written, and that was told.
        with contextlib.suppress(OSError):
            target.close()


def _unwritable(what: str, name: str, error: OSError) -> str:
    return f"the {what} cannot be written to {name!r}: {error.strerror}"


def pages_for(report: str, known: Callable[[Result], Known], options: ReportOptions) -> Pages | None:
    """Return what ``--report`` asks for: a word, or a folder for the failures. Raises ``UsageError``.

    ``known`` says under which id a failure is stored, and ``options`` how the run was called.
    """
    from simkit.extensions import nearest  # lazy: --help needs none of it

    if report == "none":
        return None
    guess = "" if os.path.isdir(report) else nearest(report, REPORTS)
    if report not in REPORTS and "did you mean" in guess:
        raise UsageError(f"{report!r} is no folder, and none of the words that --report takes{guess}")
    folder = Path(REPORT_FOLDER if report in REPORTS else report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(_unwritable("report", str(folder), error)) from error
    return Pages(folder, report == "all", known, options)


# -- GitHub ------------------------------------------------------------------------------------------------------------
def on_github(environment: Mapping[str, str]) -> bool:
    """Say whether a step of a GitHub workflow runs this."""
    return environment.get(_ON_GITHUB) == "true"


def annotated(results: Sequence[Result], environment: Mapping[str, str]) -> str:
    """Return the failures as commands of a workflow, with paths as the repository knows them."""
    from simkit.reporters.github import GitHubReporter  # lazy: only a workflow needs them

    root = environment.get(_REPOSITORY)
    here = Path.cwd()
    base = here.relative_to(root).as_posix() if root and here.is_relative_to(root) else ""
    return GitHubReporter(base=base).render(results).rstrip("\n")

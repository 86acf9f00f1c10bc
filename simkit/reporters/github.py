"""What a GitHub workflow reads: failures as annotations beside the line of the scenario that was broken.

The idea: a finding knows its place, so it is told where somebody who reviews the change will look. The constraint:
a text can never begin a second command: line ends, percent signs and the marks of a property are escaped, and secrets
are masked. A problem matcher, which fishes places out of printed text, was refused: it would make a promise of every
blank in the report for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from posixpath import join, normpath
from typing import Final

from simkit.model.redact import redact
from simkit.model.timeline import Place
from simkit.model.verdict import Finding, Result, Verdict


def workflow_command(severity: str, text: str, *, title: str, at: Mapping[str, object]) -> str:
    """Return a command that GitHub shows beside a line; ``at`` holds ``file``, ``line`` and ``col``, or nothing."""
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in (*at.items(), ("title", title)))
    return f"::{severity} {properties}::{_data(text)}"


def _data(text: str) -> str:
    # The percent sign first: the others bring their own.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


@dataclass(frozen=True, slots=True)
class GitHubReporter:
    """Renders a command for each broken promise of each case that failed.

    ``base`` is the folder of the run as the repository names it: GitHub takes paths from there.
    """

    name: str = "github"
    base: str = ""

    def render(self, results: Sequence[Result]) -> str:
        """Return the lines, or nothing where every case is well."""
        return "".join(f"{line}\n" for result in results if result.is_bad for line in self._lines(result))

    def _lines(self, result: Result) -> Iterator[str]:
        # The same promise broken several times is one remark beside its line.
        told: dict[tuple[str, Place | None], Finding] = {}
        for finding in result.findings:
            told.setdefault((finding.law, finding.place), finding)
        yield from (self._line(finding, result) for finding in told.values())

    def _line(self, finding: Finding, result: Result) -> str:
        place = finding.place or Place(result.scenario.file, 1)
        at: dict[str, object] = {"file": self._file(place.file), "line": place.line, "col": place.column}
        unknown = " (UNKNOWN)" if finding.verdict is Verdict.UNKNOWN else ""
        row = f" [{result.scenario.row}]" if result.scenario.row else ""
        text = str(redact(f"{result.scenario.title}{row}: {finding.text}"))
        return workflow_command("error", text, title=f"simkit: {finding.law}{unknown}", at=at if place.file else {})

    def _file(self, file: str) -> str:
        name = file.replace("\\", "/")
        return name if name.startswith("/") else normpath(join(self.base, name))


GITHUB: Final = GitHubReporter()

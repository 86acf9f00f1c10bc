"""How remarks are written: for people, as one JSON document, and as the annotations of GitHub's workflows.

The idea: a remark is a value with everything in it, so a format is a function to text. The constraint: every format
says the same things of the same lines, and what a machine reads holds nothing else. A class for each format was
refused: there is no state to keep.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from simkit.linting.rules import REFUSED, UNUSABLE, Remark
from simkit.reporters.github import workflow_command


def as_json(remarks: Sequence[Remark]) -> str:
    """Return one document with all remarks; of what has no place in a file, file, line and column are null."""
    problems = [
        {
            "file": one.file or None,
            "line": one.line or None,
            "column": one.column or None,
            "severity": one.severity,
            "rule": one.rule,
            "text": one.text,
            "remedy": one.remedy,
        }
        for one in remarks
    ]
    return json.dumps({"problems": problems}, indent=2, ensure_ascii=False)


def as_github(one: Remark) -> str:
    """Return a remark as a workflow command, which GitHub shows beside the line."""
    place: dict[str, object] = {"file": one.file, "line": one.line, "col": one.column} if one.file else {}
    title = "simkit" if one.rule in (REFUSED, UNUSABLE) else f"simkit: {one.rule}"
    text = f"{one.text} - {one.remedy}" if one.remedy else one.text
    return workflow_command(one.severity, text, title=title, at=place)

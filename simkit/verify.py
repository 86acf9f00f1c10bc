"""The second run: the same cases once more, in a new process under another hash seed, and what came out differently.

The idea: an order that a subject takes from a set of texts or from ``id()`` is its own, and no world can tame
it; running again where hashes and addresses are others shows it, and the first event that differs says where it
entered. The constraint: the second process is started as a user would start it, with the same paths and
settings, so nothing of this process can make the two alike. Running again in this process was refused: hashes
of texts are the same in it.
"""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from simkit.errors import SimkitError
from simkit.model.verdict import Result
from simkit.reporters.jsonl import JSONL
from simkit.reporters.layout import shell

# Any two will do, as long as this process does not have the one that the second gets.
_HASH_SEEDS: Final = ("1", "2")
_CASE: Final = '{"case": '
_SEPARATOR: Final = "--"
# A request's whole body stands in one line.
_LINE_MAX: Final = 400
_BEFORE: Final = 120
_NOTHING: Final = "(nothing: the run was over)"
_HELP: Final = (
    "an order taken from a set of texts, from id() or hash(), or from outside the world differs from process to "
    "process: sort it, or keep it in a list or a dict"
)


def verify(results: Sequence[Result], arguments: Sequence[str]) -> list[str]:
    """Run again what ``simkit run`` ran with these arguments; return a text for each case that came out differently.

    Raises ``SimkitError`` when the second process wrote no traces.
    """
    again = _cases(_traces_of_another_process(arguments))
    options = shlex.join(itertools.takewhile(_SEPARATOR.__ne__, arguments))
    pairs = itertools.zip_longest(results, again)
    told = [_difference(result, second, options) for result, second in pairs if result]
    return [text for text in told if text]


def _traces_of_another_process(arguments: Sequence[str]) -> str:
    seed = next(s for s in _HASH_SEEDS if s != os.environ.get("PYTHONHASHSEED"))
    # What can be imported here can be imported there.
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    # The summary of a job is written once.
    environment.pop("GITHUB_STEP_SUMMARY", None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.jsonl"
        command = [sys.executable, "-m", "simkit.cli", "run", "--quiet", "--no-save", "--trace", str(file), *arguments]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        text = file.read_text(encoding="utf-8") if file.exists() else ""
    if not text:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise SimkitError(f"the second run of --verify ended with exit code {done.returncode}: {''.join(last)}")
    return text


def _cases(text: str) -> Iterator[list[str]]:
    """Yield the lines of each case, its own name first."""
    case: list[str] = []
    # Not splitlines: some characters end a line for it and not for JSON.
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith(_CASE) and case:
            yield case
            case = []
        case.append(line)
    yield case


def _difference(result: Result, second: list[str] | None, options: str) -> str:
    """Say which event is the first to differ, what came before it, and how to see it again; or nothing."""
    first = JSONL.render([result]).removesuffix("\n").split("\n")
    pairs = itertools.zip_longest(first, second or [], fillvalue=_NOTHING)
    for number, (here, there) in enumerate(pairs):
        if here != there:
            name = result.scenario.name
            again = " ".join(filter(None, ("simkit run --verify", options, shell(name, always=True))))
            rows = {
                "before": _cut(first[number - 1], 0) if number > 1 else "(nothing: it is the first event)",
                "first": _cut(here, _parting(here, there)),
                "second": _cut(there, _parting(here, there)),
                "help": _HELP,
                "replay": again,
            }
            head = f"NOT THE SAME {name}: event {number} differs under another hash seed"
            return "\n".join([head, *(f"  {label:<8}{text}" for label, text in rows.items())])
    return ""


def _parting(here: str, there: str) -> int:
    """Return how long two lines are the same."""
    return next((n for n, (one, other) in enumerate(zip(here, there, strict=False)) if one != other), 0)


def _cut(line: str, parting: int) -> str:
    """Return what can be read of a line around the place where it parts from another one."""
    begin = max(0, parting - _BEFORE) if len(line) > _LINE_MAX else 0
    end = begin + _LINE_MAX
    return f"{'... ' if begin else ''}{line[begin:end]}{' ...' if len(line) > end else ''}"

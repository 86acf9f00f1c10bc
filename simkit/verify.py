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
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from simkit.errors import SimkitError
from simkit.model.verdict import Result
from simkit.reporters.jsonl import JSONL

# Any two will do, as long as this process does not have the one that the second gets.
_HASH_SEEDS: Final = ("1", "2")
_CASE: Final = '{"case": '
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
    told = [_difference(result, second) for result, second in itertools.zip_longest(results, again) if result]
    return [text for text in told if text]


def _traces_of_another_process(arguments: Sequence[str]) -> str:
    seed = next(s for s in _HASH_SEEDS if s != os.environ.get("PYTHONHASHSEED"))
    # What can be imported here can be imported there.
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.jsonl"
        command = [sys.executable, "-m", "simkit.cli", "run", "--quiet", "--trace", str(file), *arguments]
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


def _difference(result: Result, second: list[str] | None) -> str:
    """Say which event is the first to differ, or nothing."""
    first = JSONL.render([result]).removesuffix("\n").split("\n")
    pairs = itertools.zip_longest(first, second or [], fillvalue=_NOTHING)
    for number, (here, there) in enumerate(pairs):
        if here != there:
            head = f"NOT THE SAME {result.scenario.name}: event {number} differs under another hash seed"
            return f"{head}\n  first   {here}\n  second  {there}\n  help    {_HELP}"
    return ""

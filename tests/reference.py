"""The pages of the language and of the laws: ``python -m tests.reference`` writes them to ``simkit/docs``.

The idea: ``reference.md`` is what ``simkit.language.reference`` draws from the table; ``laws.md`` lays beside each law
the scenario that shows it at work, so that a wheel, which has no corpus, still holds an example of each that fails. The
constraint: nothing is written down for the pages alone; a test compares them with what this module returns. Examples of
failures by hand were refused: those of the corpus are played under their flaws in every run of the tests.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, cast

import simkit
from simkit.contracts import Law, Subject
from simkit.errors import EXIT_CODES
from simkit.extensions import BUILT_IN, find
from simkit.language.reference import Surroundings, law_value, reference
from simkit.run import load
from simkit.subjects.flawed import FLAWS

DOCS: Final = Path(simkit.__file__).parent / "docs"
CORPUS: Final = Path(__file__).parents[1] / "scenarios"

_HEAD: Final = """# The laws, and a failure of each

For each law a scenario that a right agent passes, and a flaw of the built-in agent under which it fails. Save one of
them under the name that stands in its command, and see both. `simkit explain LAW` prints the same.

This page is drawn from the code and the corpus by `python -m tests.reference`.
"""


def pages() -> dict[str, str]:
    """Return the pages as they have to be today, by their file names."""
    # Those of installed packages are no part of what simkit ships.
    laws = [cast(Law, find("checks", name)) for name in BUILT_IN["checks"]]
    settings = cast(Subject, find("subjects", "agent")).settings or {}
    around = Surroundings(laws=laws, settings=settings, exits=EXIT_CODES)
    return {"reference.md": reference(around), "laws.md": "\n".join([_HEAD, *map(_law, laws)])}


def _law(law: Law) -> str:
    flaw, file = _failure(law.name)
    value = f" Its value is a {law.parameter}, {law_value(law)} where none is given." if law.parameter else ""
    parts = [
        f"## `{law.name}`",
        f"{law.says}{value}",
        f"```yaml\n{file.read_text(encoding='utf-8').strip()}\n```",
        f"It passes as it stands. To see it fail:\n\n```console\nsimkit run {law.name}.sim.yaml --set flaw={flaw}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _failure(law: str) -> tuple[str, Path]:
    """Return a flaw that breaks a law, and the scenario that shows it: the law's own, or the shortest."""
    caught = [(flaw, file) for flaw, file in _catches() if FLAWS[flaw].flaw.breaks[:1] == (law,)]
    return min(caught, key=lambda pair: (pair[1].name != f"{law}.sim.yaml", pair[1].stat().st_size, pair))


@cache
def _catches() -> list[tuple[str, Path]]:
    """Return each flaw with each file that says that it catches it. Kept, since all of them have to be read."""
    files = sorted(CORPUS.rglob("*.sim.yaml"))
    return [(flaw, file) for file in files for flaw in load(file)[0].catches if flaw in FLAWS]


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")

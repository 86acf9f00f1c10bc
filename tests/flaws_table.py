"""The page of the flaws, drawn from what runs: ``python -m tests.flaws_table`` writes ``simkit/docs/flaws.md``.

The idea: the flaws stand in the one table of ``simkit.subjects.flawed``, the scenarios say themselves what they catch,
the laws what they demand, and the invariants are the names of the tests that play them; the page only lays these side
by side. The constraint: nothing is written down for the page alone, so it cannot say what does not hold; a test
compares it with what this module returns. A page kept by hand was refused: it is right on the day on which it is
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import simkit
from simkit.contracts import Law
from simkit.extensions import BUILT_IN, find
from simkit.run import load
from simkit.subjects.flawed import FLAWS, Plantable
from tests.agent import test_registry

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = Path(simkit.__file__).parent / "docs" / "flaws.md"
PLAYED: Final = Path(test_registry.__file__).relative_to(ROOT).as_posix()

HEAD: Final = """# The flaws, and who catches them

Each flaw is a fault of a published agent, planted into simkit's own agent from outside:

```console
simkit run scenarios/autogpt/end_of_session.sim.yaml --set flaw=no_cancel_all
```

A scenario that passes under the flaw which it is there to catch tests nothing, so the test suite runs every one of
them both ways: it passes without the flaw, and with it every law and every fact of `expect` named here is broken.

This page is drawn from the code by `python -m tests.flaws_table`.
"""

LAWS: Final = """
## The laws, and what breaks each of them

For each law there is a scenario that it alone fails under a flaw: nothing else that is judged sees the fault, so
without this law it would pass. Most of these stand in `scenarios/laws/`, called after their law, beside the legitimate
cases that a law which is too eager would accuse.
"""

INVARIANTS: Final = """
## What a registry of background calls must keep

The rows are the invariants by which a published registry was reviewed, and the flaws what it got wrong in each. They
are named as the tests are that play them in a world, in many orders, with and without the flaw. One of these no
scenario can show, for it takes two things in one turn of the event loop. There the test in the world is what catches
the flaw, and the last column says so. What the published design held has no flaw, and scenarios of its own in
`scenarios/registry/`.
"""


def page() -> str:
    """Return the page as it has to be today."""
    flaws = _table(_FLAW_COLUMNS, map(_flaw_row, FLAWS))
    laws = _table(_LAW_COLUMNS, map(_law_row, BUILT_IN["checks"]))
    return "\n".join([HEAD, *flaws, LAWS, *laws, INVARIANTS, *_table(_ROW_COLUMNS, _rows())])


# -- the three tables --------------------------------------------------------------------------------------------------
_FLAW_COLUMNS: Final = ("flaw", "what it does", "where it was seen", "what it breaks", "caught by")
_LAW_COLUMNS: Final = ("law", "what it demands", "broken by")
_ROW_COLUMNS: Final = ("row", "what must hold", "flaw", "caught by", "law")


def _flaw_row(name: str) -> list[str]:
    flaw = FLAWS[name].flaw
    return [_code(name), flaw.says, flaw.source, _all(flaw.breaks), _caught_by(FLAWS[name])]


def _law_row(name: str) -> list[str]:
    law = find("checks", name)
    assert isinstance(law, Law), f"checks {name!r} is {law!r}"
    return [_code(name), law.says, _all(flaw for flaw, fault in FLAWS.items() if name in fault.flaw.breaks)]


def _rows() -> Iterable[list[str]]:
    faults = {fault.row: fault for fault in FLAWS.values() if fault.row is not None}
    for number, test in sorted(_tests().items()):
        sentence = test[len("test_00_") :].replace("_", " ")
        fault = faults.get(number)
        if fault is None:
            yield [str(number), sentence, "the published design held it", _code(f"{PLAYED}::{test}"), ""]
        else:
            law = "" if _only_in_a_world(fault) else _all(fault.flaw.breaks)
            caught_by = _caught_by(fault)
            yield [str(number), sentence, _code(fault.flaw.name), caught_by, law or "seen in a world only"]


def _caught_by(fault: Plantable) -> str:
    if _only_in_a_world(fault):
        assert fault.row is not None, f"flaw {fault.flaw.name!r} breaks a row and has none"
        return _code(f"{PLAYED}::{_tests()[fault.row]}")
    return _all(_catches()[fault.flaw.name])


def _only_in_a_world(fault: Plantable) -> bool:
    return fault.flaw.breaks == (f"registry-races/{fault.row}",)


# -- what is looked up -----------------------------------------------------------------------------------------------
def _tests() -> dict[int, str]:
    """Return the test of each invariant, by the invariant's number."""
    found = (re.match(r"test_(\d\d)_", name) for name in vars(test_registry))
    return {int(match[1]): match.string for match in found if match}


@cache
def _catches() -> Mapping[str, list[str]]:
    """Return the files that say that they catch a flaw, by the flaw. Kept, since each of them has to be read."""
    catches: dict[str, list[str]] = {}
    for file in sorted((ROOT / "scenarios").rglob("*.sim.yaml")):
        for flaw in load(file)[0].catches:
            catches.setdefault(flaw, []).append(file.relative_to(ROOT / "scenarios").as_posix())
    return catches


# -- markdown --------------------------------------------------------------------------------------------------------
def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(columns), _line(["---"] * len(columns)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _all(names: Iterable[str]) -> str:
    return ", ".join(map(_code, names))


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    PAGE.write_text(page() + "\n", encoding="utf-8")

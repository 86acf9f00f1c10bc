"""Every mistake that people make in a scenario, and the exact words they get for it.

``errors/NAME.sim.yaml`` is a bad file, ``NAME.err`` what is said of it. ``SIMKIT_REWRITE=1 pytest`` writes
the texts anew, and their diff is what a reviewer reads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from simkit.errors import ScenarioError
from simkit.language.reader import load

from .laws import LAWS

FOLDER: Final = Path(__file__).parent / "errors"
NAMES: Final = sorted(path.name.removesuffix(".sim.yaml") for path in FOLDER.glob("*.sim.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_file_is_told_in_exactly_these_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(ScenarioError) as caught:
        load(f"{name}.sim.yaml", laws=LAWS)
    golden, said = FOLDER / f"{name}.err", f"{caught.value}\n"
    if os.environ.get("SIMKIT_REWRITE") == "1":
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")


def test_no_golden_text_has_lost_its_bad_file() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.err")) == NAMES

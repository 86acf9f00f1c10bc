"""Files made to fill the memory or the stack, or to reach what is not theirs: told of soon, and in little space.

What each is told stands in full among the golden errors; here it is the space that counts.
"""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from simkit.errors import ScenarioError
from simkit.language.reader import load

from .laws import LAWS

SPACE_MAX: Final = 100 * 2**20
HEAD: Final = "simkit: 1\nscenario: A bomb\nprovider: []\n"


def laughs(first: str, again: str, levels: int) -> str:
    """Name a value, then a list of ten of it, then a list of ten of those, and so on."""
    lists = (f"  v{n}: {again.format(n=n, items=', '.join([again_of(first, n - 1)] * 10))}" for n in range(1, levels))
    return "\n".join(["vars:", f"  v0: {first}", *lists, ""])


def again_of(first: str, number: int) -> str:
    return f"*v{number}" if first.startswith("&") else f'"${{v{number}}}"'


BOMBS: Final = {
    "aliases": (HEAD + laughs("&v0 lol", "&v{n} [{items}]", 9), "stands for more than 100000 values"),
    "variables": (HEAD + laughs("lol", "[{items}]", 9), "stands for more than 100000 values"),
    "text in variables": (
        HEAD + "vars:\n  v0: lol\n" + "".join(f'  v{n}: "{f"${{v{n - 1}}}" * 10}"\n' for n in range(1, 12)),
        "makes? too much text|more than 100000 values",
    ),
    "brackets": (HEAD + f"about: {'[' * 10_000}{']' * 10_000}\n", "nested more than 50 levels deep"),
    "open brackets": (HEAD + f"about: {'[' * 10_000}\n", "nested more than 50 levels deep"),
    "braces": (HEAD + f"about: {'{a: ' * 10_000}{'}' * 10_000}\n", "nested more than 50 levels deep"),
    "dashes": (HEAD + f"about:\n  {'- ' * 10_000}\n", "nested more than 50 levels deep"),
    "question marks": (HEAD + f"about:\n  {'? ' * 10_000}\n", "nested more than 50 levels deep"),
    "python tags": (
        HEAD + "about: !!python/object/apply:os.system [exit]\n",
        "the tag '!!python/object/apply:os.system'",
    ),
    "python tag on a mapping": (
        HEAD + "about: !!python/object:os.Error {a: 1}\n",
        "the tag '!!python/object:os.Error'",
    ),
    "out of the project": (HEAD + "extends: ../../../../../../../../etc/base.yaml\n", "leads out of the project"),
    "a circle": (HEAD + "extends: circle.yaml\n", "extend each other in a circle|cannot extend itself"),
    "a base of aliases": (HEAD + "extends: bomb.yaml\n", "stands for more than 100000 values"),
    "rows": (HEAD + f"matrix: {{{', '.join(f'c{n}: [1, 2]' for n in range(64))}}}\n", "rows, and 1000 is the limit"),
}


def refusal(path: Path) -> tuple[str, int]:
    """Return what is said of a file, and the space that saying it took at its height."""
    tracemalloc.start()
    try:
        with pytest.raises(ScenarioError) as refused:
            load(path, laws=LAWS)
        return str(refused.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_told_of_by_name_in_little_space(name: str, tmp_path: Path) -> None:
    text, said = BOMBS[name]
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "circle.yaml").write_text("extends: circle.yaml\n", encoding="utf-8")
    (tmp_path / "bomb.yaml").write_text(laughs("&v0 lol", "&v{n} [{items}]", 9), encoding="utf-8")
    (tmp_path / "a.sim.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=said):
        load(tmp_path / "a.sim.yaml", laws=LAWS)
    assert refusal(tmp_path / "a.sim.yaml")[1] < SPACE_MAX


@pytest.mark.parametrize("name", ["a.sim.yaml", "base.yaml"])
def test_of_a_file_of_fifty_megabytes_only_the_beginning_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.sim.yaml").write_text("extends: base.yaml\n", encoding="utf-8")
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, 50 * 2**20)
    said, space = refusal(tmp_path / "a.sim.yaml")
    assert ("the file is larger than 1 MiB" in said, space < 10 * 2**20) == (True, True)

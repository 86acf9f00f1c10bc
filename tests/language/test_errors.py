"""Every mistake that people make in a scenario, and the exact words they get for it.

``errors/NAME.sim.yaml`` is a bad file, ``NAME.err`` what is said of it. ``SIMKIT_REWRITE=1 pytest`` writes
the texts anew, and their diff is what a reviewer reads. What no repository should hold is made on the fly.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest

import simkit.language
from simkit.errors import ScenarioError
from simkit.language import slips
from simkit.language.files import FILE_BYTES_MAX
from simkit.language.problems import Problems
from simkit.language.reader import load
from simkit.language.walker import Walker

from .laws import LAWS

FOLDER: Final = Path(__file__).parent / "errors"
GENERATED: Final = {
    "deeper_than_python": f"simkit: 1\nscenario: A bomb\nprovider: {'[' * 10_000}{']' * 10_000}\n",
    "larger_than_a_scenario": "#" * FILE_BYTES_MAX + "\n",
    "yaml_line_without_end": f"%YAML {'9' * 5000}.1\n---\nsimkit: 1\n",
    "many_rows_of_many_values": f"simkit: 1\nmatrix: {{a: {[*range(250)]}}}\nvars: {{b: {[*range(4000)]}}}\n",
    "more_values_than_a_scenario": f"simkit: 1\ntags: [{'1,' * 100_001}]\n",
    "base_larger_than_a_scenario": "extends: bases/larger.yaml\n",
    "base_that_cannot_be_read": "extends: bases/unreadable.yaml\n",
    "base_that_is_a_link_out": "extends: bases/link.yaml\n",
}
WRITTEN: Final = {str(path.relative_to(FOLDER)).removesuffix(".sim.yaml") for path in FOLDER.rglob("*.sim.yaml")}
NAMES: Final = sorted({*WRITTEN, *GENERATED})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with all the bad files, the made ones too, and outside of it a file that a link in it points at."""
    folder = tmp_path_factory.mktemp("outside") / "errors"
    shutil.copytree(FOLDER, folder)
    (folder / "tox.ini").touch()
    for name, text in GENERATED.items():
        (folder / f"{name}.sim.yaml").write_text(text, encoding="utf-8")
    (folder / "bases" / "larger.yaml").write_text("#" * FILE_BYTES_MAX + "\n", encoding="utf-8")
    (folder / "bases" / "unreadable.yaml").touch()
    (folder.parent / "secret.yaml").write_text("tags: [secret]\n", encoding="utf-8")
    (folder / "bases" / "link.yaml").symlink_to(folder.parent / "secret.yaml")
    return folder


@pytest.fixture(autouse=True)
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to open files called unreadable.yaml: permissions would not stop whoever may read everything."""
    really = Path.open

    def refusing(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "unreadable.yaml":
            raise PermissionError(13, "Permission denied")
        return really(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refusing)


def said_of(name: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(f"{name}.sim.yaml", laws=LAWS)
    return f"{caught.value}\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_file_is_told_in_exactly_these_words(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    golden, said = FOLDER / f"{name}.err", said_of(name)
    if os.environ.get("SIMKIT_REWRITE") == "1":
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")


def test_no_golden_text_has_lost_its_bad_file() -> None:
    assert sorted(str(path.relative_to(FOLDER)).removesuffix(".err") for path in FOLDER.rglob("*.err")) == NAMES


# -- every error has its bad file --------------------------------------------------------------------
ROOM: Final = Path(simkit.language.__file__).parent
# Who is told of a mistake; and who passes on what others have found.
TOLD: Final = {"add": Problems, "stop": Problems, "_wrong": Walker, "_expected": Walker}


def is_told(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in TOLD:
        return False
    return call.func.attr.startswith("_") or ast.unparse(call.func.value).endswith("problems")


def sites() -> set[str]:
    """Every place in the room that tells of a mistake, as file:line."""
    found = set()
    for path in ROOM.glob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        found |= {f"{path.name}:{call.lineno}" for call in calls if is_told(call)}
    return found


def returns_of_slips() -> set[str]:
    """Every place that knows a slip, as file:line."""
    tree = ast.parse(Path(slips.__file__).read_text("utf-8"))
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
    return {f"slips.py:{node.lineno}" for node in returns}


@pytest.fixture
def visited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Where the bad files have led, as file:line."""
    seen: set[str] = set()
    for name, owner in TOLD.items():
        monkeypatch.setattr(owner, name, noting(getattr(owner, name), seen))
    monkeypatch.setattr("simkit.language.nodes.explain", traced(slips.explain, seen))
    monkeypatch.setattr("simkit.language.nodes.explain_number", traced(slips.explain_number, seen))
    monkeypatch.chdir(folder)
    for name in NAMES:
        said_of(name)
    return seen


def noting(method: Any, seen: set[str]) -> Any:
    def noted(*args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)
        seen.add(f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}")
        return method(*args, **kwargs)

    return noted


def traced(function: Any, seen: set[str]) -> Any:
    def line(frame: FrameType, event: str, _: object) -> Any:
        seen.add(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        return line

    def followed(*args: Any) -> Any:
        before = sys.gettrace()
        sys.settrace(line)
        try:
            return function(*args)
        finally:
            sys.settrace(before)

    return followed


def test_every_error_of_the_language_has_a_bad_file_that_gets_it(visited: set[str]) -> None:
    assert sorted((sites() | returns_of_slips()) - visited) == []


def test_every_slip_that_is_known_is_made_in_a_bad_file() -> None:
    told = "\n".join(path.read_text("utf-8") for path in FOLDER.glob("*.err"))
    sentences = {known.text: re.escape(known.text).replace(r"\{char\}", "'.'") for known in slips._KNOWN}
    assert [text for text, pattern in sentences.items() if not re.search(f": {pattern}( - |\n)", told)] == []

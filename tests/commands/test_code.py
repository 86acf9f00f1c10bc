from __future__ import annotations

from pathlib import Path

import pytest

from simkit.commands.code import line_of_code


def test_a_line_is_found_where_imports_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "one.py").write_text("first\n  second\n")
    (tmp_path / "other.py").write_text("there\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend(tmp_path)

    assert [line_of_code(place) for place in ("one.py:2", "other.py:1")] == ["  second\n", "there\n"]


@pytest.mark.parametrize("place", ["", "gone.py:1", "one.py:99", "one.py", "one.py:x", "/etc/hostname:1", ":1"])
def test_what_cannot_be_found_has_no_text(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.py").write_text("first\n")
    monkeypatch.chdir(tmp_path)

    assert line_of_code(place) == ""

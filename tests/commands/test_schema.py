"""``simkit schema`` prints the schema, or writes it over nothing but an older one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simkit.authoring.editor import schema_text
from simkit.cli import main

OURS = ".simkit/scenario.schema.json"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def schema(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["schema", *arguments])


def test_it_prints_the_schema_as_json_with_a_newline_at_its_end() -> None:
    done = schema()
    assert (done.exit_code, done.output, json.loads(done.output)["$id"]) == (0, schema_text(), "urn:simkit:scenario:1")


def test_it_writes_the_same_to_a_file_in_a_folder_that_it_makes() -> None:
    done = schema("-o", OURS)
    size = len(schema_text()) // 1024
    assert (done.exit_code, done.output) == (0, f"{OURS}: the schema of scenarios, {size} KiB\n")
    assert Path(OURS).read_text(encoding="utf-8") == schema_text()


def test_it_writes_over_an_older_schema() -> None:
    Path("old.json").write_text(schema_text()[:500], encoding="utf-8")
    assert (schema("-o", "old.json").exit_code, Path("old.json").read_text(encoding="utf-8")) == (0, schema_text())


THERE = "is there already, and nothing is written over it: give another name"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "a.sim.yaml",
            "simkit: 1\n",
            f"'a.sim.yaml' {THERE}",
        ),
        (
            "a.json",
            '{"$id": "urn:other"}',
            f"'a.json' {THERE}",
        ),
        ("a.json", b"\xff", f"'a.json' {THERE}"),
        ("nowhere/a.json", None, "there is no folder 'nowhere' to write 'a.json' to"),
    ],
)
def test_it_writes_over_nothing_else(name: str, text: str | bytes | None, said: str) -> None:
    if text is not None:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = schema("-o", name)
    assert (done.exit_code, done.output) == (2, f"simkit: {said}\n")


def test_a_folder_that_cannot_be_made_is_told() -> None:
    Path(".simkit").touch()
    done = schema("-o", OURS)
    assert (done.exit_code, done.output) == (2, "simkit: the folder '.simkit' cannot be made: File exists\n")


def test_the_help_says_how_editors_are_told() -> None:
    assert "# yaml-language-server: $schema=" in schema("--help").output

"""What is meant by paths and settings, and how everything that is wrong is told together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simkit.errors import SimkitError, UsageError
from simkit.options import Outside, parse_overrides, read_file, read_paths, scenario_files, told
from tests.conftest import Folder


def refused(step: Callable[[], object]) -> list[str]:
    """Return the lines of what a step is refused with."""
    with pytest.raises((SimkitError, ExceptionGroup)) as caught:
        step()
    return told(caught.value).splitlines()


def cases(*paths: str, outside: Outside | None = None) -> list[str]:
    return [case.name for case in read_paths(paths, outside or Outside())]


# -- settings from outside --
def test_settings_are_split_at_the_first_equals_sign() -> None:
    assert parse_overrides(["model=a=b", " flaw = x ", "model=c"]) == {"model": "c", "flaw": "x"}


@pytest.mark.parametrize("text", ["flaw", "=x", "", " =x"])
def test_what_is_no_setting_is_refused_with_the_form_that_is_expected(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a setting: expected KEY=VALUE"):
        parse_overrides([text])


def test_a_setting_from_outside_replaces_that_of_the_file_and_keeps_the_others(folder: Folder) -> None:
    path = folder.scenario(agent="agent", settings="{model: a, max_retries: 1}")
    (case,) = read_file(Path(path), Outside(settings={"model": "b"}))
    assert case.settings == {"model": "b", "max_retries": 1}


def test_a_faulty_setting_from_outside_is_told_once_for_all_files_and_has_no_place(folder: Folder) -> None:
    paths = [folder.scenario(name, agent="agent") for name in "ab"]
    outside = Outside(settings={"flaw": "stub_finsh_stop", "stale_after": "180", "modle": "x"})
    assert refused(lambda: read_paths(paths, outside)) == [
        "simkit: --set: setting 'flaw' is 'stub_finsh_stop', expected a word that it knows"
        " - did you mean 'stub_finish_stop'?",
        "simkit: --set: setting 'stale_after' is '180', expected a number and a unit, such as 180s",
        "simkit: --set: subject 'agent' has no setting 'modle' - did you mean 'model'?",
    ]


def test_a_faulty_setting_of_the_file_is_told_with_its_place_once_for_all_rows(folder: Folder) -> None:
    path = folder.scenario(agent="agent", settings="{max_retries: few}", about="${x}", matrix="{x: [a, b]}")
    assert refused(lambda: read_paths([path], Outside())) == [
        "a.sim.yaml:7:12: setting 'max_retries' is 'few', expected a whole number of 0 or more",
        "    7 | settings: {max_retries: few}",
        "      |            ^",
    ]


# -- subjects --
@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ("agnet", "no subject is called 'agnet' - did you mean 'agent'?"),
        ("nowhere:run", "subject 'nowhere:run' cannot be imported: no module is called 'nowhere'"),
        ("agents:god", "subject 'agents:god': agents has no 'god' - did you mean 'good'?"),
        ("agents:sys", "subject 'agents:sys': sys is a module, expected a function"),
        ("raises:run", "subject 'raises:run' cannot be imported: ValueError: boom"),
        ("needs:run", "subject 'needs:run' cannot be imported: no module is called 'nosuchthing'"),
        ("exits:run", "subject 'exits:run' called sys.exit(5) while it was imported"),
        ("slips:run", "subject 'slips:run' cannot be imported: SyntaxError"),
    ],
)
def test_a_subject_that_cannot_be_used_is_told_with_its_place(folder: Folder, agent: str, message: str) -> None:
    folder.file("raises.py", "raise ValueError('boom')")
    folder.file("needs.py", "import nosuchthing")
    folder.file("exits.py", "raise SystemExit(5)")
    folder.file("slips.py", "def run(:")
    first, source, _ = refused(lambda: read_paths([folder.scenario(agent=agent)], Outside()))
    assert (first.startswith(f"a.sim.yaml:3:1: {message}"), source) == (True, f"    3 | subject: {agent}")


def test_a_subject_from_outside_is_told_without_a_place_and_once(folder: Folder) -> None:
    paths = [folder.scenario("a"), folder.scenario("b")]
    assert refused(lambda: read_paths(paths, Outside(subject="agents:god"))) == [
        "simkit: subject 'agents:god': agents has no 'god' - did you mean 'good'?"
    ]


# -- paths --
def test_a_folder_means_every_scenario_below_it_by_name(folder: Folder) -> None:
    for name in ("z", "sub/b", "sub/a", ".venv/lib/hidden"):
        folder.scenario(name)
    folder.file("sub/other.yaml", "not: ours")
    assert cases(".") == ["sub/a.sim.yaml::run", "sub/b.sim.yaml::run", "z.sim.yaml::run"]


def test_a_hidden_folder_that_is_named_is_searched(folder: Folder) -> None:
    folder.scenario(".hidden/a")
    assert cases(".hidden") == [".hidden/a.sim.yaml::run"]


def test_a_case_runs_once_however_often_it_is_named(folder: Folder) -> None:
    first, second = folder.scenario("b"), folder.scenario("sub/a")
    assert cases(first, ".", f"{second}::run", "sub/../b.sim.yaml", str(folder.path)) == [
        "b.sim.yaml::run",
        "sub/a.sim.yaml::run",
    ]


def test_a_row_is_picked_by_its_name(folder: Folder) -> None:
    path = folder.scenario(matrix="{x: [p, q]}", about="${x}")
    assert cases(f"{path}::q", f"{path}::p", path) == ["a.sim.yaml::q", "a.sim.yaml::p"]


def test_two_colons_without_a_row_mean_the_whole_file(folder: Folder) -> None:
    assert scenario_files(f"{folder.scenario()}::") == [(Path("a.sim.yaml"), None)]


def test_everything_that_is_wrong_with_paths_and_files_is_told_together(folder: Folder) -> None:
    folder.file("bad.sim.yaml", "simkit: 1\nscenrio: x\n")
    folder.file("text.sim.yaml", "{[\n")
    folder.file("notes.txt", "")
    (folder.path / "bin.sim.yaml").write_bytes(b"\xff\xfe\x00")
    (folder.path / "empty").mkdir()
    rows = folder.scenario(matrix="{x: [10m]}", about="${x}")
    lines = refused(
        lambda: read_paths(
            ["gone.sim.yaml", "empty", "notes.txt", "", "bad.sim.yaml", "text.sim.yaml", "bin.sim.yaml", f"{rows}::10"],
            Outside(),
        )
    )
    assert [line.split(" - ")[0] for line in lines if not line.startswith("   ")] == [
        "simkit: no such file or folder: 'gone.sim.yaml'",
        "simkit: no scenario in the folder 'empty': expected files that end with .sim.yaml",
        "simkit: 'notes.txt' is not a scenario file: expected a name that ends with .sim.yaml",
        "simkit: no such file or folder: ''",
        "bad.sim.yaml:1:1: a scenario needs the key 'provider'",
        "bad.sim.yaml:2:1: unknown key 'scenrio' in a scenario",
        next(line.split(" - ")[0] for line in lines if line.startswith("text.sim.yaml:")),
        "bin.sim.yaml:1:1: the byte 0xff is not UTF-8",
        "simkit: a.sim.yaml has no row '10'",
    ]

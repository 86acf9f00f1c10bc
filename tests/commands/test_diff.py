"""``simkit diff``: what became of each case between two files, and the exit code that speaks of one thing only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simkit.cli import main
from simkit.commands.resultfiles import Case, changes
from tests.conftest import Folder


def case(name: str, verdict: str = "PASS", *laws: str, end: float | None = 10.0, requests: int | None = 5) -> Case:
    figures = {"end": end, "requests": requests}
    return Case(file="a.sim.yaml", case=name, verdict=verdict, laws=laws, figures=figures)


def kinds(old: Case | None, new: Case | None, threshold: float = 0.1) -> list[str]:
    before, after = ([one] if one else [] for one in (old, new))
    return [change.kind for change in changes(before, after, threshold)]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (case("x"), case("x", "FAIL", "ends"), ["broke"]),
        (case("x"), case("x", "UNKNOWN", "ends"), ["broke"]),
        (case("x", "SKIPPED"), case("x", "FAIL", "ends"), ["broke"]),
        (case("x", "FAIL", "ends"), case("x"), ["mended"]),
        (case("x", "FAIL", "ends"), case("x", "XFAILED", "ends"), ["mended"]),
        (case("x", "FAIL", "ends", "other"), case("x", "FAIL", "other", "ends"), []),
        (case("x", "FAIL", "ends"), case("x", "FAIL", "other"), ["differs"]),
        (None, case("x", "FAIL", "ends"), ["new"]),
        (case("x"), None, ["gone"]),
        (case("x"), case("x", end=11.0), []),
        (case("x"), case("x", end=11.5), ["slower"]),
        (case("x"), case("x", requests=6), ["slower"]),
        (case("x"), case("x", end=8.0, requests=7), ["slower", "faster"]),
        (case("x", end=0.0), case("x", end=0.001), ["slower"]),
        (case("x", end=None, requests=None), case("x", end=99.0, requests=99), []),
        (case("x"), case("x"), []),
    ],
)
def test_what_became_of_a_case(old: Case | None, new: Case | None, kind: list[str]) -> None:
    assert kinds(old, new) == kind


def test_the_threshold_says_what_counts_as_slower() -> None:
    assert [kinds(case("x"), case("x", end=12.0), share) for share in (0.1, 0.2, 0.5)] == [["slower"], [], []]


# -- the command --
def run(*options: str) -> str:
    return CliRunner().invoke(main, ["run", "--format", "json", "--no-save", *options]).stdout


def diff(*options: str) -> Result:
    return CliRunner().invoke(main, ["diff", "old.json", "new.json", *options])


@pytest.fixture
def two(folder: Folder) -> None:
    """Two results of one suite: b broke, c was mended, d is new, e is gone."""
    folder.scenario("a"), folder.scenario("b"), folder.scenario("c", "agents:mute"), folder.scenario("e")
    folder.file("old.json", run())
    Path("e.sim.yaml").unlink()
    folder.scenario("b", "agents:mute"), folder.scenario("c"), folder.scenario("d", "agents:mute")
    folder.file("new.json", run())


@pytest.mark.usefixtures("two")
def test_the_changes_are_told_worst_first_and_something_that_broke_is_exit_1() -> None:
    ran = diff()
    told = [line for line in ran.stdout.splitlines() if line and not line.startswith("      ")]
    assert (ran.exit_code, told) == (
        1,
        [
            "broke: passed before, and does not now",
            "  b.sim.yaml::run",
            "mended: did not pass before, and does now",
            "  c.sim.yaml::run",
            "new: was not there before",
            "  d.sim.yaml::run",
            "gone: is not there any more",
            "  e.sim.yaml::run",
            "4 cases: 1 broke, 1 mended, 1 new, 1 gone",
        ],
    )


@pytest.mark.usefixtures("two")
def test_json_and_markdown_say_the_same() -> None:
    told = [("broke", "b"), ("mended", "c"), ("new", "d"), ("gone", "e")]
    changes = json.loads(diff("--format", "json").stdout)["changes"]
    lines = diff("--format", "markdown").stdout.splitlines()
    rows = [tuple(line.split(" | ")[:2]) for line in lines if "sim.yaml" in line]
    assert ([(one["change"], one["case"][0]) for one in changes], rows) == (
        told,
        [(f"| {change}", f"{name}.sim.yaml::run") for change, name in told],
    )


def test_nothing_changed_is_exit_0(folder: Folder) -> None:
    folder.scenario("a", "agents:mute")
    for name in ("old.json", "new.json"):
        folder.file(name, run())
    ran = diff()
    assert (ran.exit_code, ran.stdout) == (0, "1 case: no changes\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "'old.json' is not JSON: "),
        ("[]", "'old.json' holds no results, expected what simkit run --format json prints"),
        ('{"results": [1]}', "'old.json' has None as 'findings' of result 0, expected a list of findings"),
        (
            '{"results": [{"file": "a", "case": "run", "verdict": "OK", "findings": []}]}',
            "'old.json' has 'OK' as 'verdict' of result 0, expected one of PASS, FAIL, UNKNOWN, SKIPPED, XFAILED",
        ),
        (
            '{"results": [{"file": "a", "case": "run", "verdict": "PASS", "findings": [], "end": "1s"}]}',
            "'old.json' has '1s' as 'end' of result 0, expected a number",
        ),
    ],
)
def test_what_is_no_result_file_is_told_and_exit_2(folder: Folder, text: str, told: str) -> None:
    folder.file("old.json", text), folder.file("new.json", '{"results": []}')
    ran = diff()
    assert (ran.exit_code, ran.stdout, told in ran.stderr, "Traceback" in ran.stderr) == (2, "", True, False)


def test_a_case_that_stands_twice_in_a_file_is_told(folder: Folder) -> None:
    one = {"file": "a", "case": "run", "verdict": "PASS", "findings": []}
    folder.file("old.json", json.dumps({"results": [one, one]})), folder.file("new.json", '{"results": []}')
    ran = diff()
    assert (ran.exit_code, ran.stderr) == (2, "simkit: 'old.json' holds 'a::run' twice, expected each case once\n")

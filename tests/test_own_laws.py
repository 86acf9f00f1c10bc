"""Laws of one's own, as a project has them: from an installed package, and from a ``conftest.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simkit import cli
from simkit.errors import UsageError
from simkit.run import load, run_scenario
from tests.conftest import Folder

LAW = """
from simkit.contracts import Law
from simkit.model.verdict import Finding, NotApplicable

def judge(scenario, trace, most):
    said = trace.of("said")
    if not said:
        yield NotApplicable(law="{name}", because="nothing was said")
    for event in said:
        if len(event.get("text")) > most:
            yield Finding(law="{name}", text=f"said more than {{most}} characters", events=(event.n,))

LAW = Law(
    name="{name}", says="No message is longer than this.", judge=judge, parameter="count", default={most},
    on_by_default={default},
)
"""
LISTED = "simkit_checks = [LAW]\n"


def law(name: str = "brief", *, most: int = 3, default: bool = True) -> str:
    return LAW.format(name=name, most=most, default=default)


@pytest.fixture
def project(folder: Folder) -> Folder:
    """A project of a user, with a folder of scenarios; the agent says a word of five letters."""
    folder.file("pyproject.toml", "")
    return folder


def simkit(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def broken(*arguments: str) -> dict[str, list[str]]:
    """Run scenarios, and return the laws that each of them breaks."""
    ran = simkit("run", "--format", "json", *arguments)
    return {r["file"]: [finding["law"] for finding in r["findings"]] for r in json.loads(ran.stdout)["results"]}


# -- by conftest.py --
def test_a_law_of_a_conftest_holds_in_its_folder_and_below_and_nowhere_else(project: Folder) -> None:
    project.file("sims/conftest.py", law() + LISTED)
    for name in ("a", "sims/b", "sims/deep/c"):
        project.scenario(name)
    assert broken() == {"a.sim.yaml": [], "sims/b.sim.yaml": ["brief"], "sims/deep/c.sim.yaml": ["brief"]}


def test_it_is_found_from_wherever_the_command_runs(project: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    project.file("conftest.py", law() + LISTED)
    project.scenario("sims/a")
    monkeypatch.chdir(project.path / "sims")
    assert broken() == {"a.sim.yaml": ["brief"]}


def test_a_scenario_gives_it_a_parameter_or_switches_it_off(project: Folder) -> None:
    project.file("conftest.py", law() + LISTED)
    project.scenario("a", always="[{brief: 5}]"), project.scenario("b", always="[{brief: 4}]")
    project.scenario("c", always="[{off: brief, because: they read}]")
    assert broken() == {"a.sim.yaml": [], "b.sim.yaml": ["brief"], "c.sim.yaml": []}


def test_one_that_is_not_on_by_default_holds_where_it_is_named(project: Folder) -> None:
    project.file("conftest.py", law(default=False) + LISTED)
    project.scenario("a"), project.scenario("b", always="[brief]")
    assert broken() == {"a.sim.yaml": [], "b.sim.yaml": ["brief"]}


def test_of_two_of_one_name_the_nearer_holds(project: Folder) -> None:
    project.file("conftest.py", law(most=3) + LISTED)
    project.file("sims/conftest.py", law(most=5) + LISTED)
    project.scenario("a"), project.scenario("sims/b")
    assert broken() == {"a.sim.yaml": ["brief"], "sims/b.sim.yaml": []}


def test_the_report_says_the_law_in_its_own_words(project: Folder) -> None:
    project.file("conftest.py", law() + LISTED)
    said = simkit("run", project.scenario(always="[brief]")).stdout
    assert [part in said for part in ("always: brief", "said more than 3 characters.", "No message is longer")] == [
        True,
        True,
        True,
    ]


def test_above_the_root_of_the_project_nothing_is_read(project: Folder) -> None:
    project.file("conftest.py", law() + LISTED)
    project.file("inner/pyproject.toml", "")
    project.scenario("inner/a")
    assert broken() == {"inner/a.sim.yaml": []}


def test_a_folder_that_is_in_no_project_has_its_own_conftest_only(folder: Folder) -> None:
    folder.file("conftest.py", law() + LISTED)
    folder.scenario("a"), folder.scenario("sims/b")
    assert broken() == {"a.sim.yaml": ["brief"], "sims/b.sim.yaml": []}


def test_a_conftest_without_laws_is_not_even_imported(project: Folder) -> None:
    project.file("conftest.py", "raise RuntimeError('somebody imported this')\n")
    assert simkit("run", project.scenario()).exit_code == 0


def test_it_may_import_what_lies_beside_it_also_in_a_package(project: Folder) -> None:
    project.file("plain/limits_beside.py", law("brief_beside"))
    project.file("plain/conftest.py", "from limits_beside import LAW\n" + LISTED)
    project.file("package/__init__.py", "")
    project.file("package/limits.py", law("brief_inside"))
    project.file("package/conftest.py", "from .limits import LAW\n" + LISTED)
    project.scenario("plain/a"), project.scenario("package/b")
    assert broken() == {"package/b.sim.yaml": ["brief_inside"], "plain/a.sim.yaml": ["brief_beside"]}


def test_from_python_it_holds_as_well(project: Folder) -> None:
    project.file("conftest.py", law() + LISTED)
    path = project.scenario(always="[{brief: 4}]")
    assert [finding.law for finding in run_scenario(load(path)[0]).findings] == ["brief"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import gone_away\n" + LISTED, "conftest.py cannot be imported (ModuleNotFoundError: No module named 'gone_"),
        ("import sys\nsys.exit(3)\n" + LISTED, "conftest.py cannot be imported (SystemExit: 3) - its simkit_checks"),
        ("simkit_checks = 7\n", "conftest.py: simkit_checks is 7, expected a list"),
        ("simkit_checks = [max]\n", "conftest.py: simkit_checks holds <built-in function max>, which has no name"),
        (law("ends") + LISTED, "conftest.py: simkit_checks holds 'ends', which is taken - give it another name"),
        (law() + "simkit_checks = [LAW, LAW]\n", "conftest.py: simkit_checks holds 'brief', which is taken"),
        (
            "from types import SimpleNamespace as S\nsimkit_checks = [S(name='x')]\n",
            "checks 'x' is namespace(name='x')",
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "lint"])
def test_a_conftest_that_cannot_be_used_is_one_message_and_exit_2(
    project: Folder, command: str, text: str, message: str
) -> None:
    project.file("conftest.py", text)
    project.scenario("a"), project.scenario("b")
    ran = simkit(command)
    said = ran.stdout + ran.stderr
    assert (ran.exit_code, said.count(message), "Traceback" in said) == (2, 1, False)


def test_a_law_that_is_named_where_it_does_not_hold_is_unknown_there(project: Folder) -> None:
    project.file("sims/conftest.py", law() + LISTED)
    ran = simkit("run", project.scenario(always="[brief]"))
    assert (ran.exit_code, "there is no law 'brief'" in ran.stderr) == (2, True)


def test_from_python_a_conftest_that_cannot_be_used_is_an_error_of_the_caller(project: Folder) -> None:
    project.file("conftest.py", "raise RuntimeError\n" + LISTED)
    with pytest.raises(UsageError, match=r"conftest\.py cannot be imported \(RuntimeError: \)"):
        load(project.scenario())


# -- under pytest --
def test_under_pytest_the_conftest_that_it_has_imported_is_the_one(
    pytester: pytest.Pytester, project: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    project.file("imported.txt", "")
    counting = "open('imported.txt', 'a').write('once ')\n"
    project.file("sims/conftest.py", counting + law() + LISTED)
    project.scenario("sims/a"), project.scenario("sims/b", always="[{brief: 5}]")
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", f"--rootdir={project.path}", "-rA", "sims")
    assert (result.parseoutcomes(), Path("imported.txt").read_text()) == ({"failed": 1, "passed": 1}, "once ")
    result.stdout.fnmatch_lines(["FAILED sims/a.sim.yaml::run - brief: said more than 3 characters*"])


# -- by an installed package --
def test_a_law_of_an_installed_package_is_judged_by_default_named_and_told_in_its_words(project: Folder) -> None:
    project.file("site/strange-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    project.file("site/strange-1.0.dist-info/entry_points.txt", "[simkit.checks]\nbrief = strange:LAW\n")
    project.file("site/strange.py", law())
    project.scenario("a"), project.scenario("b", always="[{brief: 5}]")
    path = os.pathsep.join([str(project.path / "site"), str(project.path), *sys.path])
    ran = subprocess.run(
        [sys.executable, "-m", "simkit.cli", "run"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert [line.split()[0] for line in ran.stdout.splitlines() if "virtual  " in line] == ["FAIL", "PASS"]
    assert ["a.sim.yaml   brief" in ran.stdout, "No message is longer than this." in ran.stdout] == [True, True]

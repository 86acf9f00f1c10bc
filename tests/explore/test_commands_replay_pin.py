"""``simkit replay`` and ``simkit pin`` as a user meets them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simkit import cli
from simkit.explore.failures import Failure, failures_of
from simkit.explore.outcome import Attempt
from simkit.explore.running import ScenarioRunner
from simkit.explore.shorten import shorten
from simkit.explore.store import Store, Stored
from simkit.model.plan import Plan
from simkit.run import load
from tests.explore.cases import text_of

RAISES = "seed=0,tool_raises@tool1.end"
ROWS = "matrix: {a: [x, y]}"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scenario, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.sim.yaml").write_text(text_of("fragile"))
    return tmp_path


def simkit(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def stored(plan: str = RAISES, **more: object) -> Failure:
    """Store the failure of the scenario under a plan."""
    (case,) = load("a.sim.yaml")
    failure = failures_of(case.name, ScenarioRunner(case).run(Attempt(number=0, plan=Plan.parse(plan))))[0]
    Store().save(replace(Stored(failure=failure, file="a.sim.yaml"), **more))  # type: ignore[arg-type]  # its own fields
    return failure


def last(ran: Result) -> tuple[int, str]:
    return ran.exit_code, ran.stdout.splitlines()[-1]


# -- replay ----------------------------------------------------------------------------------------------------------
def test_a_failure_that_is_still_there_is_reported_and_fails_in_the_same_way() -> None:
    ran = simkit("replay", stored().id[:6])
    assert last(ran) == (1, "FAILED in the same way: ends")
    for part in (
        "FAIL    a.sim.yaml::run",
        "a fault of the plan",
        f'Replay   simkit run "a.sim.yaml::run" --plan {RAISES}',
    ):
        assert part in ran.stdout


def test_what_the_plan_does_stands_below_the_report_in_words_unless_it_is_to_be_short() -> None:
    failure = stored()
    words = "tool_raises@tool1.end: at 1.000s, the end of run 1 of a tool, first: the tool raises instead"
    # Whatever the width of the terminal, which decides where lines are broken.
    told = [" ".join(simkit("replay", failure.id, *more).stdout.split()) for more in ((), ("-q",))]
    assert [words in text for text in told] == [True, False], told[0]


def test_a_failure_that_is_gone_is_fixed(project: Path) -> None:
    failure = stored()
    # The agent that does not care whether a tool fails, and calls the same one.
    (project / "patient.py").write_text(
        "async def agent(sim):\n"
        "    async for _ in sim.user:\n"
        "        try:\n            await sim.tools['first']()\n"
        "        except RuntimeError:\n            sim.said('sorry')\n"
    )
    assert last(simkit("replay", failure.id, "--subject", "patient:agent")) == (0, "FIXED: ends holds now")


def test_a_failure_that_has_become_another_one_is_told_with_both(project: Path) -> None:
    failure = stored()
    path = project / "a.sim.yaml"
    path.write_text(path.read_text() + "always: [{bounded_silence: 1ms}]\n")
    (project / "slow.py").write_text(
        "async def agent(sim):\n    async for _ in sim.user:\n"
        "        try:\n            await sim.tools['first']()\n"
        "        finally:\n            raise ValueError('something else')\n"
    )
    assert last(simkit("replay", failure.id, "--subject", "slow:agent"))[1].startswith("FAILED in another way: ends")


def test_a_plan_that_does_not_fit_any_more_says_nothing_of_the_failure() -> None:
    failure = stored()
    ran = simkit("replay", failure.id, "--subject", "tests.test_run:greeter")
    assert last(ran) == (
        1,
        "FAILED in another way: the plan does not fit any more, so nobody knows of the failure - explore again",
    )
    assert f"--plan {RAISES}" in ran.stdout


@pytest.mark.parametrize(
    ("plan", "said"),
    [(RAISES, (1, "FAILED: ends")), ("seed=4", (0, "FIXED: nothing fails under this plan"))],
)
def test_a_pasted_plan_is_run_with_the_scenario_beside_it(plan: str, said: tuple[int, str]) -> None:
    assert last(simkit("replay", plan, "a.sim.yaml")) == said


def test_a_file_of_the_store_and_a_pinned_scenario_are_replayed_too() -> None:
    failure = stored()
    (file,) = Store().files()
    simkit("pin", failure.id, "pinned")
    (scenario,) = Path("pinned").iterdir()
    assert [last(simkit("replay", str(path))) for path in (file, scenario)] == [
        (1, "FAILED in the same way: ends"),
        (1, "FAILED: ends"),
    ]


def test_a_scenario_that_has_moved_is_given_beside_the_id(project: Path) -> None:
    failure = stored()
    (project / "a.sim.yaml").rename(project / "b.sim.yaml")
    assert [last(simkit("replay", failure.id, path))[1] for path in ("b.sim.yaml", "b.sim.yaml::run")] == [
        "FAILED in the same way: ends"
    ] * 2


def test_what_its_author_skips_or_expects_to_fail_is_replayed_all_the_same(project: Path) -> None:
    failure = stored()
    path = project / "a.sim.yaml"
    path.write_text(path.read_text() + "xfail: it is known\nskip: it is slow\n")
    assert last(simkit("replay", failure.id)) == (1, "FAILED in the same way: ends")


def test_what_was_set_from_outside_when_it_failed_is_set_again() -> None:
    failure = stored(settings={"mode": "fast"}, subject="tests.explore.cases:fragile")
    assert "--subject tests.explore.cases:fragile --set mode=fast" in simkit("replay", failure.id).stdout


MISTAKES = [
    (("nope",), "simkit: no failure in '.simkit/failures' has the id 'nope' - there are: "),
    (("seed=0",), "simkit: a plan needs its scenario, such as: simkit replay 'seed=0' scenarios/a.sim.yaml"),
    (("seed=x", "a.sim.yaml"), "simkit: 'seed=x' is not a plan: expected seed=NUMBER first"),
    (("seed=0", "rows.sim.yaml"), "simkit: 'rows.sim.yaml' means 2 cases, expected one, such as 'rows.sim.yaml::x'"),
    (("a.sim.yaml", "a.sim.yaml"), "simkit: 'a.sim.yaml' is a scenario already, got 'a.sim.yaml' as well"),
    (("none.json",), "simkit: 'none.json' cannot be read: No such file or directory"),
    (("seed=0", "none.sim.yaml"), "simkit: no such file or folder: 'none.sim.yaml'"),
    (("--set", "a", "seed=0", "a.sim.yaml"), "simkit: 'a' is not a setting: expected KEY=VALUE"),
]


@pytest.mark.parametrize(("arguments", "error"), MISTAKES, ids=[error[8:40] for _, error in MISTAKES])
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], error: str, project: Path) -> None:
    stored()
    (project / "rows.sim.yaml").write_text(f"{text_of('fragile')}{ROWS}\n")
    ran = simkit("replay", *arguments)
    assert (ran.exit_code, ran.stderr[: len(error)], ran.stderr.count("\n")) == (2, error, 1)


def test_a_setting_that_was_masked_is_asked_for_and_taken_from_the_command_line() -> None:
    failure = stored(settings={"api_key": "hunter2"})
    asked, given = simkit("replay", failure.id), simkit("replay", failure.id, "--set", "api_key=hunter2")
    assert (asked.exit_code, asked.stderr, last(given)) == (
        2,
        "simkit: the setting 'api_key' was masked when the failure was stored - give it with --set api_key=\n",
        (1, "FAILED in the same way: ends"),
    )


def test_a_failure_of_a_function_says_where_to_run_it_again() -> None:
    failure = stored(file="", row="")
    ran = simkit("replay", failure.id)
    assert (ran.exit_code, ran.stderr) == (
        2,
        f"simkit: failure {failure.id} is of 'a.sim.yaml::run', which is no scenario file - run it again where it was "
        f"found, under the plan {RAISES}\n",
    )


def test_a_store_of_a_newer_simkit_is_refused_by_its_file() -> None:
    failure = stored()
    (path,) = Store().files()
    path.write_text(json.dumps({**json.loads(path.read_text()), "simkit_failure": 2}))
    ran = simkit("replay", failure.id)
    assert (ran.exit_code, path.as_posix() in ran.stderr, "has the format 2" in ran.stderr) == (2, True, True)


# -- pin -------------------------------------------------------------------------------------------------------------
def test_a_pinned_failure_fails_under_plain_run_without_any_plan() -> None:
    failure = stored()
    made = simkit("pin", failure.id[:6], "scenarios/regressions")
    path = f"scenarios/regressions/{failure.slug}.sim.yaml"
    ran = simkit("run", path)
    assert (made.exit_code, made.stdout, ran.exit_code) == (0, f"{path}: fails by ends, as a.sim.yaml::run does\n", 1)
    assert f"--plan {RAISES}" in ran.stdout


def test_a_plan_of_the_command_line_comes_before_the_one_in_the_file() -> None:
    failure = stored()
    simkit("pin", failure.id, "pinned")
    assert simkit("run", f"pinned/{failure.slug}.sim.yaml", "--plan", "seed=0").exit_code == 0


@pytest.mark.parametrize("known", [False, True])
def test_short_leaves_out_what_the_failure_does_not_need(known: bool, project: Path) -> None:
    path = project / "a.sim.yaml"
    path.write_text(path.read_text() + "expect: {messages: 1}\nlimits: {time: 1h}\n")
    failure, (case,) = stored(), load("a.sim.yaml")
    if known:
        stored(shortened=shorten(case, failure.plan, failure.broken).text)
    ran = simkit("pin", failure.id, "pinned", "--short")
    text = Path("pinned", f"{failure.slug}.sim.yaml").read_text()
    assert (ran.exit_code, [key for key in ("expect:", "limits:", "first", "plan:") if key in text]) == (0, ["plan:"])


def test_what_is_pinned_is_not_pinned_over() -> None:
    failure = stored()
    codes = [simkit("pin", failure.id, "pinned").exit_code for _ in range(2)]
    assert codes == [0, 2]


@pytest.mark.parametrize("more", [(), ("--short",)])
def test_a_failure_that_is_gone_is_not_pinned(more: tuple[str, ...], project: Path) -> None:
    failure = stored()
    (project / "a.sim.yaml").write_text(text_of("sleepy", "tools: {other: {}}"))
    ran = simkit("pin", failure.id, "pinned", *more)
    assert (ran.exit_code, "in the same way" in ran.stderr, Path("pinned").exists()) == (2, True, False)

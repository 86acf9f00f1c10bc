from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simkit.agent.clients import DIALECTS
from simkit.contracts import Setting, Sim, Subject
from simkit.errors import ScenarioError, SubjectError, UsageError
from simkit.model.plan import Plan
from simkit.run import check_settings, load, run_case, run_scenario
from simkit.subjects.agent import AGENT
from tests.provider.played import events, last_word, play, scenario

ROWS = """\
simkit: 1
scenario: Two rows
subject: agent
settings: {stale_after: "${quiet}"}
user:
  - says: hello
provider:
  - stream: [say: hi, finish: stop]
expect: {last_message: hi}
matrix:
  quiet: ["1m", "90s"]
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.sim.yaml"
    path.write_text(ROWS)
    return path


PLAIN = "user:\n  - says: hello\nprovider:\n  - stream: [say: hi, finish: stop]\n"


# -- which case --
def test_a_row_is_picked_by_its_name(rows: Path) -> None:
    result = run_scenario(rows, row="90s")
    assert (result.scenario.row, result.scenario.settings["stale_after"], result.verdict.name) == ("90s", "90s", "PASS")


def test_without_a_row_a_matrix_is_an_error_that_names_the_rows(rows: Path) -> None:
    with pytest.raises(UsageError, match="has 2 rows and none was named - rows: 1m, 90s"):
        run_scenario(rows)


def test_an_unknown_row_is_an_error_with_the_nearest_name(rows: Path) -> None:
    with pytest.raises(UsageError, match="has no row '91s' - did you mean '90s'"):
        run_scenario(str(rows), row="91s")


def test_a_scenario_is_run_as_it_stands(rows: Path) -> None:
    assert [run_scenario(s).scenario for s in load(rows)] == list(load(rows))


def test_a_missing_file_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        run_scenario(tmp_path / "none.sim.yaml")


# -- the plan --
def test_a_plan_is_given_as_a_value_or_as_its_text(rows: Path) -> None:
    plans = [run_scenario(rows, row="1m", plan=plan).plan for plan in (None, "seed=7", Plan(seed=7))]
    assert plans == [Plan(), Plan(seed=7), Plan(seed=7)]


def test_a_scenario_follows_the_plan_in_it_unless_another_is_given() -> None:
    case = scenario(f"{PLAIN}plan: seed=3,cut@answer1.frame1\n")
    results = [run_scenario(case), run_scenario(case, plan="seed=7"), run_case(case)]
    assert [(r.plan.text(), len(r.trace.of("fault"))) for r in results] == [
        ("seed=3,cut@answer1.frame1", 1),
        ("seed=7", 0),
        ("seed=3,cut@answer1.frame1", 1),
    ]


def test_a_text_that_is_no_plan_is_an_error_of_the_caller(rows: Path) -> None:
    with pytest.raises(UsageError, match="'seven' is not a plan"):
        run_scenario(rows, row="1m", plan="seven")


def test_the_seed_decides_what_the_subject_draws() -> None:
    async def agent(sim: Sim) -> str:
        import random
        import uuid

        return f"{random.random()} {uuid.uuid4()}"

    said = [play("provider: []\n", agent, seed).trace.of("said")[0].get("text") for seed in (1, 1, 2)]
    assert (said[0] == said[1], said[0] == said[2]) == (True, False)


# -- the subject --
def test_a_subject_given_as_text_replaces_the_scenarios_own(rows: Path) -> None:
    result = run_scenario(rows, row="1m", subject="tests.test_run:greeter")
    assert [e.get("text") for e in result.trace.of("said")] == ["hello back"]


def greeter(sim: Sim) -> str:
    return "hello back"


def test_a_function_that_only_returns_a_text_has_said_it_and_finished() -> None:
    assert events(play("provider: []\n", greeter), said="text", turn_end="outcome text", subject_returned="") == [
        (0.0, "said", "hello back"),
        (0.0, "turn.end", "finished", "hello back"),
        (0.0, "subject.returned"),
    ]


def test_what_a_subject_returns_is_not_said_again_when_it_spoke_for_itself() -> None:
    async def agent(sim: Sim) -> str:
        sim.said("hi")
        return "hi"

    assert events(play("provider: []\n", agent), said="text", turn_end="outcome") == [(0.0, "said", "hi")]


def test_a_callable_object_is_a_subject() -> None:
    class Agent:
        async def __call__(self, sim: Sim) -> str:
            await asyncio.sleep(2)
            return "done"

    assert events(play("provider: []\n", Agent()), said="text") == [(2.0, "said", "done")]


def test_a_blocking_subject_sleeps_and_joins_threads_in_virtual_time() -> None:
    def agent(sim: Sim) -> None:
        for text in sim.user:
            time.sleep(2)
            thread = threading.Thread(target=time.sleep, args=(3,), name="worker")
            thread.start()
            thread.join()
            sim.said(text)

    text = """
    provider: []
    user:
      - {at: 0s, says: one}
      - {at: 3s, says: two}
      - {at: 1h, says: three}
    """
    assert events(play(text, agent), said="text", thread_end="name") == [
        (5.0, "thread.end", "worker"),
        (5.0, "said", "one"),
        (10.0, "thread.end", "worker"),
        (10.0, "said", "two"),
        (3605.0, "thread.end", "worker"),
        (3605.0, "said", "three"),
    ]


# -- a subject that does not do well --
async def _raises(sim: Sim) -> None:
    await asyncio.sleep(3)
    raise ValueError("no such luck")


def _raises_blocking(sim: Sim) -> None:
    time.sleep(3)
    raise ValueError("no such luck")


@pytest.mark.parametrize("agent", [_raises, _raises_blocking])
def test_what_a_subject_raises_is_a_finding_that_names_the_line(agent: object) -> None:
    result = play("provider: []\n", agent)  # type: ignore[arg-type]  # both take a sim
    assert (result.verdict.name, events(result, subject_raised="error text", run_end="reason")) == (
        "FAIL",
        [(3.0, "subject.raised", "ValueError", "ValueError: no such luck"), (3.0, "run.end", "returned")],
    )
    assert str(result.trace.of("subject.raised")[0].get("where")).startswith("tests/test_run.py:")


async def _leaks_a_cancellation(sim: Sim) -> None:
    child = asyncio.create_task(asyncio.sleep(5))
    child.cancel()
    await child


async def _exits(sim: Sim) -> None:
    sys.exit(3)


def _exits_blocking(sim: Sim) -> None:
    sys.exit(3)


@pytest.mark.parametrize(
    ("agent", "error"),
    [(_leaks_a_cancellation, "CancelledError"), (_exits, "SystemExit"), (_exits_blocking, "SystemExit")],
)
def test_a_subject_that_is_cancelled_or_exits_ends_its_own_run_and_no_other(agent: object, error: str) -> None:
    result = play("provider: []\n", agent)  # type: ignore[arg-type]  # all take a sim
    assert (result.verdict.name, events(result, subject_raised="error")) == ("FAIL", [(0.0, "subject.raised", error)])


def test_an_exit_in_a_task_of_the_subjects_is_a_finding_and_no_fault_of_simkit() -> None:
    async def agent(sim: Sim) -> None:
        asyncio.get_running_loop().call_later(2, sys.exit, 3)
        await asyncio.sleep(5)

    result = play("provider: []\n", agent)
    assert (result.verdict.name, events(result, run_end="reason text")) == (
        "FAIL",
        [(2.0, "run.end", "raised", "SystemExit: 3")],
    )


def test_ctrl_c_is_nobodys_finding() -> None:
    def agent(sim: Sim) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play("provider: []\n", agent)


def test_a_subject_that_waits_for_ever_is_a_deadlock_that_names_its_line() -> None:
    async def agent(sim: Sim) -> None:
        await asyncio.get_running_loop().create_future()

    result = play("provider: []\n", agent)
    reason, text = last_word(result)
    assert (reason, result.verdict.name, "tests/test_run.py:" in str(text)) == ("deadlock", "FAIL", True)


def test_a_subject_that_goes_on_without_end_is_stopped_at_the_limit_of_time() -> None:
    async def agent(sim: Sim) -> None:
        while True:
            await asyncio.sleep(60)

    result = play("provider: []\nlimits: {time: 10m}\n", agent)
    assert (last_word(result)[0], result.trace.end_ns) == ("horizon", 600 * 10**9)


def test_a_subject_that_never_listens_to_its_user_hears_nothing_and_may_end() -> None:
    async def agent(sim: Sim) -> None:
        await asyncio.sleep(1)

    text = "provider: []\nuser:\n  - {at: 0s, says: one}\n  - {at: 3s, says: two}\n"
    assert events(play(text, agent), user_says="text", turn_start="text", run_end="reason") == [
        (0.0, "user.says", "one"),
        (1.0, "run.end", "returned"),
    ]


# -- settings --
def test_settings_come_in_the_form_that_the_subject_asked_for_and_defaults_are_filled_in() -> None:
    table = {
        "patience": Setting(kind="duration", default="90s", says=""),
        "pause": Setting(kind="duration", default="250ms", says=""),
        "tries": Setting(kind="count", default=3, says=""),
        "quick": Setting(kind="flag", default=False, says=""),
        "model": Setting(kind="text", default="m", says=""),
        "wire": Setting(kind="choice", default="a", says="", choices=("a", "b")),
    }
    given = scenario("provider: []\nsettings: {patience: 1h30m, tries: '5', quick: 'true', model: 4, wire: b}\n")
    assert check_settings(given, Subject(name="s", start=greeter, settings=table)) == {
        "patience": 5400.0,
        "pause": 0.25,
        "tries": 5,
        "quick": True,
        "model": "4",
        "wire": "b",
    }


def test_a_subject_without_a_table_gets_its_settings_as_they_are() -> None:
    async def agent(sim: Sim) -> None:
        sim.note("settings", how=dict(sim.settings))

    result = play("provider: []\nsettings: {any: [1, {thing: 2}]}\n", agent)
    assert [e.get("how") for e in result.trace.of("note")] == [{"any": [1, {"thing": 2}]}]


def test_every_setting_that_does_not_fit_is_told_with_its_line() -> None:
    wrong = "provider: []\nsettings:\n  stale_aftr: 90s\n  stale_after: 90\n  max_retries: -1\n  dialect: smoke\n"
    with pytest.raises(ScenarioError) as caught:
        check_settings(scenario(wrong), AGENT)
    assert [(p.line, p.text) for p in caught.value.problems] == [
        (5, "subject 'agent' has no setting 'stale_aftr' - did you mean 'stale_after'?"),
        (6, "setting 'stale_after' is 90, expected a number and a unit, such as 180s"),
        (7, "setting 'max_retries' is -1, expected a whole number of 0 or more"),
        (8, f"setting 'dialect' is 'smoke', expected a word that it knows - known: {', '.join(DIALECTS)}"),
    ]


def test_an_unknown_subject_is_told_with_its_line_and_the_nearest_name() -> None:
    with pytest.raises(ScenarioError, match=r"case\.sim\.yaml:3:.*no subject is called 'agnet' - did you mean 'agent'"):
        run_scenario(scenario("subject: agnet\nprovider: []\n"))


def test_an_unknown_subject_of_the_caller_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="no subject is called 'agnet' - did you mean 'agent'"):
        run_scenario(scenario("provider: []\n"), subject="agnet")


def test_a_subject_whose_imports_are_missing_is_told_before_the_run() -> None:
    with pytest.raises(SubjectError, match="no module is called 'nowhere'"):
        run_scenario(scenario("subject: nowhere:agent\nprovider: []\n"))


def test_a_partial_around_a_coroutine_function_is_a_subject() -> None:
    async def agent(greeting: str, sim: Sim) -> str:
        await asyncio.sleep(1)
        return greeting

    result = run_scenario(scenario(PLAIN), subject=functools.partial(agent, "hello"))
    assert [(e.at_ns, e.get("text")) for e in result.trace.of("said")] == [(10**9, "hello")]


def test_a_generator_is_refused_as_a_subject() -> None:
    async def agent(sim: Sim) -> AsyncIterator[str]:
        yield "hello"

    result = run_scenario(scenario(PLAIN), subject=agent)
    assert [e.get("text") for e in result.trace.of("subject.raised")] == [
        "TypeError: subject 'test_a_generator_is_refused_as_a_subject.<locals>.agent' is a generator, "
        "expected a function that returns or is awaited"
    ]


def test_of_an_exception_group_the_first_error_is_told() -> None:
    async def fails() -> None:
        raise KeyError("the one that matters")

    async def agent(sim: Sim) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())

    result = run_scenario(scenario(PLAIN), subject=agent)
    assert [e.get("error") for e in result.trace.of("subject.raised")] == ["KeyError"]


def test_a_subject_that_stops_listening_leaves_nothing_behind() -> None:
    async def agent(sim: Sim) -> str:
        async for _ in sim.user:
            return "enough"
        return "nobody spoke"

    result = run_scenario(scenario(PLAIN), subject=agent)
    assert [e.kind for e in result.trace.of("orphan", "lost.error")] == []

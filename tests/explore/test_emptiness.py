"""What an exploration never reached: names from a trace, put together, and sentences with their lines."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import or_

import pytest

from simkit.checks.judge import laws
from simkit.contracts import Sim
from simkit.explore.attempts import Space, space_of
from simkit.explore.emptiness import Coverage, Missing, coverage_of, missing, reached
from simkit.explore.outcome import Attempt, Choice, Outcome
from simkit.explore.running import ScenarioRunner
from simkit.explore.search import explore
from simkit.language.reader import loads
from simkit.model.plan import Plan, Strike
from simkit.model.scenario import Scenario
from simkit.model.trace import Trace
from tests.explore.programs import alone, locked_updates

TEXT = """\
simkit: 1
scenario: Is everything played?
user: [{says: hello}]
provider:
  - status: 503
  - connection: refused
  - stream:
      - say: Let me look.
      - call: look
      - pace: 10ms
      - finish: tool_calls
  - stream:
      - say: Done
      - wait: 1s
      - disconnect: cut
  - times: 3
    stream:
      - say: That is all.
      - finish: stop
tools: {look: {takes: 1s}}
sometimes:
  - tool.start: look
  - said: {text: {contains: sorry}}
settings: {max_retries: 5}
"""


def scenario_of(text: str = TEXT) -> Scenario:
    (scenario,) = loads(text, "empty.sim.yaml", laws=laws())
    return scenario


def run(text: str = TEXT, plan: str = "seed=0") -> Outcome:
    return ScenarioRunner(scenario_of(text)).run(Attempt(number=0, plan=Plan.parse(plan)))


def sentences(coverage: Coverage, space: Space | None = None, text: str = TEXT) -> list[str]:
    scenario = scenario_of(text)
    return list(map(str, missing(space or space_of(scenario, runs=1), coverage, scenario)))


# -- what a run reaches -----------------------------------------------------------------------------------------------
def test_a_run_reaches_the_answers_that_it_used_and_their_steps() -> None:
    assert sorted(run().reached) == [
        "answer1",
        "answer2",
        *("answer3", "answer3.step1", "answer3.step2", "answer3.step3", "answer3.step4"),
        *("answer4", "answer4.step1", "answer4.step2", "answer4.step3"),
        *("answer5", "answer5.step1", "answer5.step2"),
        "sometimes1",
    ]


def test_a_fault_keeps_a_run_from_what_lies_behind_it() -> None:
    text = TEXT.replace("max_retries: 5", "max_retries: 0").replace("  - status: 503\n  - connection: refused\n", "")
    assert [name for name in sorted(run(text, "seed=0,cancel@answer1.frame1").reached) if "answer" in name] == [
        "answer1",
        "answer1.step1",
        "answer1.step2",
    ]


def test_nothing_is_reached_by_a_trace_that_is_empty() -> None:
    scenario = scenario_of()
    assert [n for n in reached(scenario, Trace()) if "step" in n or "sometimes" in n] == []


# -- sentences --------------------------------------------------------------------------------------------------------
def test_what_was_never_reached_is_a_sentence_with_its_line() -> None:
    reached_names = frozenset({"answer1", "answer2", "answer3", "answer3.step1", "answer4", "answer4.step1"})
    coverage = Coverage(runs=1, reached=reached_names, met=frozenset({"tie"}), varied=frozenset({"tie"}))
    assert sentences(coverage) == [
        'empty.sim.yaml:22: sometimes: no run had tool.start whose tool is "look"',
        'empty.sim.yaml:23: sometimes: no run had said whose text contains "sorry"',
        "empty.sim.yaml:9: answer 3 never came to its step 2, and 2 behind it",
        "empty.sim.yaml:14: answer 4 never came to its step 2, and 1 behind it",
        "empty.sim.yaml:16: answer 5 was never used",
    ]


def test_a_pattern_that_no_run_had_is_told_after_real_runs() -> None:
    coverage = reduce(or_, map(coverage_of, [run(), run(plan="seed=1")]))
    assert sentences(coverage)[0] == 'empty.sim.yaml:23: sometimes: no run had said whose text contains "sorry"'


def test_a_change_of_pace_at_the_end_is_no_loss() -> None:
    text = TEXT.replace("      - finish: stop\n", "      - finish: stop\n      - pace: 1s\n")
    assert [line for line in sentences(coverage_of(run(text)), text=text) if "answer" in line] == []


# -- faults -----------------------------------------------------------------------------------------------------------
STRUCK = Coverage(runs=2, struck=frozenset({"cut"}), met=frozenset({"tie"}), varied=frozenset({"tie"}))


@pytest.mark.parametrize(
    ("space", "struck", "said"),
    [
        (Space(faults=("cut", "reset", "garble")), {"cut"}, ["faults: reset, garble never struck"]),
        (Space(faults=("cut",), sweep="single"), {"cut"}, []),
        (Space(sweep="single"), set(), ["sweep: no fault ever struck, since the run has no place for one"]),
        (Space(sweep="single"), {"cut"}, []),
        (Space(), set(), []),
    ],
)
def test_faults_that_never_struck_are_named(space: Space, struck: set[str], said: list[str]) -> None:
    assert list(map(str, missing(space, replace(STRUCK, struck=frozenset(struck))))) == said


# -- choices ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("space", "met", "said"),
    [
        (Space(), [], ["no run had a choice to make: nothing varied but the seed"]),
        (Space(), [Choice("tie", 2, 1)], []),
        (Space(), [Choice("tie", 2, 0)], ["choices of tie went the default way in every run"]),
        (Space(order="any"), [Choice("tie", 2, 1)], ["order: never were two callbacks ready at once"]),
        (Space(jitter_ns=5_000_000), [Choice("tie", 2, 1)], ["jitter: nothing came within 5ms of a deadline"]),
        (Space(shift_ns=1), [Choice("tie", 2, 1)], ["shift: the user does nothing that could be moved"]),
    ],
)
def test_choices_that_never_varied_are_told(space: Space, met: list[Choice], said: list[str]) -> None:
    coverage = coverage_of(Outcome(plan=Plan(), choices=tuple(met)))
    assert list(map(str, missing(space, coverage))) == said


def test_what_one_run_varied_was_varied() -> None:
    runs = [Outcome(plan=Plan(), choices=(Choice("tie", 2, pick),)) for pick in (0, 1)]
    assert missing(Space(), reduce(or_, map(coverage_of, runs))) == ()


# -- put together -----------------------------------------------------------------------------------------------------
def test_coverage_is_the_same_in_whatever_order_it_is_put_together() -> None:
    struck = Plan(strikes=(Strike("answer1", "timeout"),))
    one = coverage_of(Outcome(plan=struck, reached=frozenset({"answer1"}), choices=(Choice("tie", 2, 0),)))
    two = coverage_of(Outcome(plan=Plan(), reached=frozenset({"answer2"}), choices=(Choice("tie", 2, 1),)))
    assert (
        (one | two)
        == (two | one)
        == Coverage(
            runs=2,
            reached=frozenset({"answer1", "answer2"}),
            struck=frozenset({"timeout"}),
            met=frozenset({"tie"}),
            varied=frozenset({"tie"}),
        )
    )


# -- in a search ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("runs", "said"), [(1, ["choices of order went the default way in every run"]), (3, [])])
def test_a_search_of_a_function_tells_what_it_did_not_vary(runs: int, said: list[str]) -> None:
    assert list(map(str, explore(locked_updates, runs=runs, order="any").missing)) == said


def test_a_search_in_which_nothing_varies_says_so() -> None:
    assert explore(alone, runs=9).missing == (Missing("no run had a choice to make: nothing varied but the seed"),)


async def talker(sim: Sim) -> None:
    """Asks nobody anything."""
    async for _ in sim.user:
        sim.said("hello")


def test_a_script_that_nobody_asks_for_is_told() -> None:
    outcome = ScenarioRunner(scenario_of(), subject=talker).run(Attempt(number=0, plan=Plan()))
    assert [line.split(": ", 1)[1] for line in sentences(coverage_of(outcome)) if "answer" in line] == [
        f"answer {number} was never used" for number in range(1, 6)
    ]

"""Flaws that only timing, or a fault, shows, and how soon a search finds them: ``-m tests.benchmarks.timing_flaws``.

The idea: each scenario of ``scenarios/exploring`` passes by default, also under the flaw, so only another order of
events, or a fault, can show it; the page says at which plan a search first breaks the law, and how small that plan
becomes. The constraint: a search is a function of its space, so these numbers are the same on every machine, and the
page is compared with what this module finds. Seconds were left out for that reason: they belong to a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import simkit
from simkit.explore.attempts import space_of
from simkit.explore.outcome import Broken, Outcome
from simkit.explore.running import ScenarioRunner
from simkit.explore.search import Walk
from simkit.explore.shrink import shrink
from simkit.kernel.machine import MACHINE
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.run import load

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "scenarios" / "exploring"
PAGE: Final = Path(simkit.__file__).parent / "docs" / "timing.md"
RUNS_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class Row:
    """A flaw, the scenario that shows it under some plan, and the law that breaks then."""

    scenario: str
    flaw: str
    law: str

    def case(self, flaw: str) -> Scenario:
        """Return the case under a flaw, or under none."""
        (found,) = load((FOLDER / f"{self.scenario}.sim.yaml").relative_to(ROOT))
        return replace(found, settings={**found.settings, "flaw": flaw})


ROWS: Final = (
    # Near misses: an event a millisecond before a deadline, which may shift by 5 ms.
    Row("result_at_the_last_moment", "run_parked_call_again", "parked_is_not_rerun"),
    Row("result_at_the_last_moment", "registry_in_context", "parked_is_not_rerun"),
    Row("pause_as_long_as_patience", "leave_reader_running", "no_orphans"),
    Row("pause_as_long_as_patience", "stub_finish_stop", "partial_is_not_success"),
    Row("answer_as_late_as_its_deadline", "leave_answer_running", "give_up_cancels_job"),
    # The user acts sooner or later.
    Row("user_stops_at_any_time", "leave_cancelled_unanswered", "history_well_formed"),
    # One fault at one place.
    Row("any_frame_may_be_the_last", "stub_finish_stop", "partial_is_not_success"),
    Row("any_frame_may_be_the_last", "run_partial_calls", "no_partial_tool_call_runs"),
    Row("any_frame_may_be_the_last", "leak_stream_errors", "ends"),
    Row("any_frame_may_be_the_last", "leave_reader_running", "no_orphans"),
    Row("any_frame_may_be_the_last", "leave_cancelled_unanswered", "history_well_formed"),
    Row("any_frame_may_be_the_last", "ignore_retry_after", "backoff_respects_retry_after"),
    Row("tool_that_may_hang", "cancel_is_tool_error", "nothing_after_cancel"),
    Row("tool_that_may_hang", "wait_for_tools_forever", "ends"),
    Row("tool_that_may_hang", "registry_in_context", "parked_ends_once"),
    Row("left_running_at_the_end", "no_cancel_all", "no_orphans"),
    Row("answer_that_runs_on", "leave_answer_running", "give_up_cancels_job"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """At which plan a flaw was first seen, the smallest plan that shows it, and in how many runs that was found."""

    number: int
    plan: Plan
    runs: int

    @property
    def size(self) -> str:
        """What the plan consists of."""
        parts = [(len(self.plan.strikes), "fault"), (len(self.plan.deviations), "choice")]
        return " and ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in parts if count)


def find(row: Row) -> Found:
    """Search for a flaw as an exploration of its scenario does, and shrink the first plan that shows it."""
    case = row.case(row.flaw)
    runner, space = ScenarioRunner(case, heal_ns=case.explore.heal_ns), space_of(case, runs=RUNS_MAX)
    with MACHINE.held():
        for number, outcome in enumerate(islice(Walk(runner, space).outcomes(), RUNS_MAX)):
            if (broken := _broken(outcome, row.law)) is not None:
                shrunk = shrink(runner, outcome.plan, broken)
                return Found(number, shrunk.plan, shrunk.runs)
    raise AssertionError(f"{row} was not found in {RUNS_MAX} plans")


def _broken(outcome: Outcome, law: str) -> Broken | None:
    return next((broken for broken in outcome.broken if broken.law == law), None)


HEAD: Final = """# Flaws that need timing, or a fault, to be seen

The scenarios of `scenarios/exploring` pass by default, on the sound agent and under the flaws below: whoever runs them
once sees nothing. Under pytest each of them explores as many plans as its `explore:` says, and passes on the sound
agent; under a flaw it fails. A search stops counting here at the first plan that breaks the law, and the plan is what
shrinking leaves of it:

```console
$ simkit run "{case}" --set flaw={flaw} --plan {plan}
```

What a search tries is a function of the scenario alone, so these numbers are the same on every machine. This page is
drawn by `python -m tests.benchmarks.timing_flaws`.

| scenario | flaw | law | found at plan | smallest plan | size | runs to shrink |
|---|---|---|---|---|---|---|
"""


def page(found: Mapping[Row, Found]) -> str:
    """Return the page as it has to be today."""
    row = ROWS[0]
    head = HEAD.format(case=row.case("").name, flaw=row.flaw, plan=found[row].plan.text())
    return head + "".join(_line(row, found[row]) for row in ROWS)


def _line(row: Row, one: Found) -> str:
    plan = f"`{one.plan.text()}`"
    cells = (row.scenario, f"`{row.flaw}`", f"`{row.law}`", one.number, plan, one.size, one.runs)
    return f"| {' | '.join(map(str, cells))} |\n"


if __name__ == "__main__":
    PAGE.write_text(page({row: find(row) for row in ROWS}), encoding="utf-8")

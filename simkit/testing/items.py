"""One case of a suite: its default run, and as many further plans as its author, or whoever runs the suite, allows it.

The idea: an item of a suite is a function of the scenario and a budget, so the same case is found broken on a laptop
and in CI; what was found before is replayed first, because it is the likeliest to fail and costs one run. The
constraint: exploring starts where the default run passes, and what comes back is always a judged result, which is told
like any other. An item for each plan was refused: their number is not known when a suite is collected, and a thousand
green dots tell nobody more than one.

A green that is empty is none: where no run had what ``sometimes`` asks for, nobody knows whether the scenario holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from simkit.errors import UsageError
from simkit.explore.attempts import space_of
from simkit.explore.emptiness import Missing
from simkit.explore.failures import Failure, same_in
from simkit.explore.outcome import Attempt
from simkit.explore.running import HEAL, ScenarioRunner
from simkit.explore.search import Explored, explore_space
from simkit.explore.store import Store, Stored
from simkit.kernel.machine import MACHINE
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.verdict import Finding, Result, Verdict
from simkit.reporters.layout import UNKNOWN_TO_ALL, Known
from simkit.run import as_plan, plan_of, run_once

_UNSTEADY = "but not when the same plan was run again: something outside the world has a hand in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a suite allows each case, and where it keeps what it finds.

    ``plan`` comes instead of all others, ``runs`` instead of the number of plans that the scenario asks for. ``store``
    is where failures are kept and looked for, and ``settings`` what was set from outside.
    """

    plan: Plan | str | None = None
    runs: int | None = None
    store: Store | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of a case: the result that stands for all of its runs.

    ``runs`` were made beside the default one, and ``statement`` says of what. ``failure`` is what was found in them, or
    ``was_known`` before; ``others`` were found with it. ``missing`` is what no run reached.
    """

    result: Result
    runs: int = 0
    statement: str = ""
    failure: Failure | None = None
    was_known: bool = False
    others: tuple[Failure, ...] = ()
    missing: tuple[Missing, ...] = ()
    # Why what was found could not be stored.
    unstored: str = ""

    @property
    def summary(self) -> str:
        """What was tried beyond the default run, and what none of that reached."""
        plans = f"{self.runs} plan{'' if self.runs == 1 else 's'} beyond the default run"
        return "\n".join([f"{plans}; {self.statement}", *map(str, self.missing)])

    @property
    def known(self) -> Known:
        """What a report says of the failure beside its run."""
        if self.failure is None:
            return UNKNOWN_TO_ALL
        found = f"found by {self.failure.count} of {self.runs} plans beyond the default run, which passes"
        return Known(
            id="" if self.unstored else self.failure.id,
            pins=self.failure.broken.law != HEAL,
            shrunk="found before, and run first" if self.was_known else found,
        )

    def more(self) -> Iterator[str]:
        """Yield what else is to be told of the failure, line by line."""
        if self.failure is not None and self.unstored:
            yield f"  Not kept {self.unstored}"
        for other in self.others:
            yield f"  And      {other.id}: {other.broken.law}: {other.broken.text}"


def play(scenario: Scenario, budget: Budget) -> Played:
    """Run a case: once, or, where it explores, what is known of it, its default run, and further plans in this order.

    Raises ``UsageError``, ``SubjectError`` or ``ScenarioError``; a failing case is no error but a result.
    """
    runs = scenario.explore.runs if budget.runs is None else budget.runs
    if budget.plan is not None or scenario.plan or not runs:
        return Played(result=run_once(scenario, plan_of(scenario, budget.plan)))
    with MACHINE.held():
        runner = ScenarioRunner(scenario, heal_ns=scenario.explore.heal_ns)
        known = _known(runner, budget)
        if known is not None:
            return known
        result = run_once(scenario, as_plan(None))
        return Played(result=result) if result.verdict is not Verdict.PASS else _explored(result, runner, budget, runs)


def _known(runner: ScenarioRunner, budget: Budget) -> Played | None:
    """Return the first known failure of a case that is still there."""
    for stored in _stored(runner.scenario.name, budget):
        failure = stored.failure
        result, outcome = runner.result(Attempt(number=0, plan=failure.plan))
        if same_in(failure.broken, outcome) is not None and outcome.plan == failure.plan:
            return Played(result=result, runs=1, statement="one that is known to fail", failure=failure, was_known=True)
    return None


def _stored(case: str, budget: Budget) -> Iterable[Stored]:
    """Return what is known of a case as it is run here: with the same settings, and under its own subject."""
    found = budget.store.known(case) if budget.store is not None else ()
    return (one for one in found if one.settings == budget.settings and one.subject is None)


def _explored(default: Result, runner: ScenarioRunner, budget: Budget, runs: int) -> Played:
    scenario = runner.scenario
    space = space_of(scenario, runs=runs + 1)
    explored = explore_space(runner, space, case=scenario.name, scenario=scenario)
    played = Played(result=default, runs=explored.runs - 1, statement=explored.statement, missing=explored.missing)
    if not explored.failures:
        return replace(played, result=_with(default, _empty(scenario, explored.missing)))
    # What fails again is worth more than what did not.
    first, *others = sorted(explored.failures, key=explored.unsteady.__contains__)
    return replace(
        played,
        result=_of(first, runner, explored),
        failure=first,
        others=tuple(others),
        unstored=_store(explored.failures, scenario, budget),
    )


def _of(failure: Failure, runner: ScenarioRunner, explored: Explored) -> Result:
    """Return the result of a failure's plan, in which the failure stands first."""
    result, _ = runner.result(Attempt(number=0, plan=failure.plan))
    broken = failure.broken
    if failure in explored.unsteady:
        text = f"{broken.text} - {_UNSTEADY}"
        return _with(result, [Finding(law=broken.law, text=text, place=broken.place, verdict=Verdict.UNKNOWN)])
    findings = sorted(result.findings, key=lambda finding: (finding.law, finding.text) != (broken.law, broken.text))
    return replace(result, judgement=replace(result.judgement, findings=tuple(findings)))


def _empty(scenario: Scenario, missing: Sequence[Missing]) -> list[Finding]:
    """Return what has to be said of a scenario that passes and in which something never happened that has to."""
    asked = {pattern.place for pattern in scenario.sometimes}
    return [
        Finding(law="sometimes", text=one.text.removeprefix("sometimes: "), place=one.place, verdict=Verdict.UNKNOWN)
        for one in missing
        if one.place in asked
    ]


def _with(result: Result, findings: Sequence[Finding]) -> Result:
    judgement = replace(result.judgement, findings=(*findings, *result.judgement.findings))
    return replace(result, judgement=judgement)


def _store(failures: Iterable[Failure], scenario: Scenario, budget: Budget) -> str:
    """Keep what was found for the next time, and say why that could not be done, if so."""
    if budget.store is None:
        return "this suite keeps no failures"
    try:
        for failure in failures:
            settings = dict(budget.settings)
            budget.store.save(Stored(failure=failure, file=scenario.file, row=scenario.row, settings=settings))
    except UsageError as error:
        # The failure itself matters more than where it is kept.
        return str(error)
    return ""

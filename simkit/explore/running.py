"""Runs one attempt of an exploration and says what came of it.

The idea: a scenario and a coroutine function both run under a plan and can fail, so who searches, shrinks or replays
knows only ``Runner``. The constraint: a runner holds values and no world; each run is built and torn down by itself. A
subclass for each kind of search was refused: what differs is the plan, and that is an argument.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from traceback import walk_tb
from typing import Any, Final, Protocol, cast

from simkit.contracts import Chooser, Strategy
from simkit.errors import RunEndedError, UsageError
from simkit.explore.emptiness import reached
from simkit.explore.outcome import Attempt, Broken, Choice, Outcome
from simkit.extensions import find
from simkit.kernel.choices import Made
from simkit.kernel.survivors import place
from simkit.kernel.world import World
from simkit.model.duration import NS_PER_S, format_duration
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Trace
from simkit.model.verdict import Finding, Result, Verdict
from simkit.run import Steering, run_once
from simkit.strategies.pct import Pct
from simkit.strategies.sequential import Sequential

_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
_STDLIB: Final = os.path.dirname(os.__file__) + os.sep
# The law of a run that goes on for too long after its last fault.
HEAL: Final = "explore.heal"
_ACTS: Final = ("user.says", "user.cancels", "user.leaves")
# What differs between two runs that fail for one reason: numbers, ids (words with a digit), and what stands in quotes.
_PASSING: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[\w-]*\d[\w.-]*")


# What is run in a world where there is no scenario.
Main = Callable[[], Coroutine[Any, Any, object]]


class Runner(Protocol):
    """Something that runs under a plan."""

    def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
        """Run once. ``lenient`` leaves out what of the plan does not fit."""
        ...


def chooser_of(attempt: Attempt) -> Chooser:
    """Return the chooser that an attempt names. Raises ``UsageError`` for a strategy that there is none of."""
    return _strategy(attempt.strategy).begin(attempt.plan.seed)


@lru_cache(maxsize=256)  # a search asks for the same few again and again
def _strategy(text: str) -> Strategy:
    name, *words = text.split(":")
    numbers = [int(word) for word in words]
    match name, numbers:
        case "pct", [depth, horizon]:
            return Pct(depth, horizon)
        case "sequential", [held]:
            return Sequential(held)
        case _, []:
            return cast(Strategy, find("strategies", name))
    raise UsageError(f"strategy {name!r} takes no numbers, got {numbers}")


@dataclass(frozen=True, slots=True)
class ScenarioRunner:
    """Runs a scenario. ``heal_ns`` is within which time after the last fault a run must end, if that matters."""

    scenario: Scenario
    subject: str | Callable[..., object] | None = None
    heal_ns: int | None = None

    def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
        """Run the scenario once."""
        return self.result(attempt, lenient=lenient)[1]

    def result(self, attempt: Attempt, *, lenient: bool = False) -> tuple[Result, Outcome]:
        """Run the scenario once; the result holds the trace and is enough for a report."""
        made, sites = list[Made](), list[str]()
        steering = Steering(chooser=chooser_of(attempt), lenient=lenient, sites=sites, made=made)
        result = self._healed(run_once(self.scenario, attempt.plan, subject=self.subject, steering=steering))
        return result, Outcome(
            plan=result.plan,
            broken=tuple(map(as_broken, result.findings)),
            choices=_choices(made),
            sites=tuple(sites),
            reached=reached(self.scenario, result.trace),
            end_ns=result.trace.end_ns,
        )

    def _healed(self, result: Result) -> Result:
        """Add to a result that the run went on for too long after its last fault, where that matters."""
        finding = None if self.heal_ns is None else _unhealed(result.trace, self.heal_ns, self.scenario.explore.place)
        if finding is None:
            return result
        judgement = replace(result.judgement, findings=(*result.judgement.findings, finding))
        return replace(result, judgement=judgement)


@dataclass(frozen=True, slots=True)
class MainRunner:
    """Runs a coroutine function in a world of its own; what it raises is a failure, and so is a run that cannot end.

    ``through`` is how the world runs it, where more is asked of a run than that it comes to its end.
    """

    main: Main
    through: Callable[[World, Main], object] = World.run

    def run(self, attempt: Attempt, *, lenient: bool = False) -> Outcome:
        """Run the function once."""
        made, sites = list[Made](), list[str]()
        world = World(plan=attempt.plan, chooser=chooser_of(attempt), lenient=lenient, sites=sites, made=made)
        broken = _broken_of(partial(self.through, world, self.main))
        return Outcome(
            plan=world.taken, broken=broken, choices=_choices(made), sites=tuple(sites), end_ns=world.clock.now_ns
        )


def _choices(made: list[Made]) -> tuple[Choice, ...]:
    # Without the call of a constructor, which would cost more than all the rest of a small run's outcome.
    return tuple([tuple.__new__(Choice, one) for one in made])


def _unhealed(trace: Trace, within_ns: int, at: Place | None) -> Finding | None:
    """Return what is to be said where a run ended later than so long after its last fault.

    What the user does after the fault is no part of the recovery: the time counts from the later of the two.
    """
    faults, acts = trace.of("fault"), trace.of(*_ACTS)
    if not faults:
        return None
    last = faults[-1]
    since_ns = max(event.at_ns for event in (last, *acts[-1:]))
    took_ns = trace.end_ns - since_ns
    if took_ns <= within_ns:
        return None
    behind = "its last fault" if since_ns == last.at_ns else "what the user did after its last fault"
    text = (
        f"expected the run to end within {format_duration(within_ns)} after {behind} "
        f"({last.get('fault')} at {last.get('site')}), but it took {format_duration(took_ns)}"
    )
    return Finding(law=HEAL, text=text, events=(last.n, trace.events[-1].n), place=at)


def _broken_of(run: Callable[[], object]) -> tuple[Broken, ...]:
    try:
        run()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  # whatever it raises is what was looked for, also an exit
        return (_raised(error),)
    return ()


def _raised(error: BaseException) -> Broken:
    text = f"{type(error).__name__}: {error}"
    # Of a plan that does not fit a second time nobody knows what it says about the program.
    unknown = isinstance(error, RunEndedError) and error.reason == "plan"
    where = place(_site(error))
    file, _, line = where.rpartition(":")
    at = Place(file, int(line)) if where else None
    return Broken(law="raised", text=text, key=f"raised {same_words(text)} at {where}", place=at, unknown=unknown)


def _site(error: BaseException) -> tuple[str, int] | None:
    """Return the innermost line that is neither simkit's nor the standard library's, if there is one."""
    lines = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    outside = [line for line in lines if not line[0].startswith(_PACKAGE)]
    own = (line for line in reversed(outside) if not line[0].startswith(_STDLIB) or "site-packages" in line[0])
    return next(own, None)


def as_broken(finding: Finding) -> Broken:
    """Return a finding as an exploration keeps it."""
    unknown = finding.verdict is Verdict.UNKNOWN
    key = f"{finding.law} {same_words(finding.text)}"
    return Broken(law=finding.law, text=finding.text, key=key, place=finding.place, unknown=unknown)


def same_words(text: str) -> str:
    """Return a sentence without what differs from run to run."""
    return _PASSING.sub("#", text.split("\n")[0])


def default_attempt(*, seed: int = 0, order: str = "timing", jitter_s: float = 0.0) -> Attempt:
    """Return the attempt of the default run."""
    return Attempt(number=0, plan=Plan(seed=seed, order=order, jitter_ns=round(jitter_s * NS_PER_S)))

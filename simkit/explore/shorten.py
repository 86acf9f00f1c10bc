"""Shortening: from a scenario that fails under a plan to a shorter one that fails for the same reason.

The idea: what a failure does not need (acts of the user, answers, steps, tools, hosts, facts that are expected) is left
out piece by piece, then times become rounder; each candidate is written and read back before it is run, so what comes
out is a file that a person can read. The constraint: nothing may go wrong in a candidate that did not go wrong in the
scenario, or a script that ends too soon would pass for the bug that was looked for. Shortening the text of the file was
refused: most of what is left when lines are taken out is no scenario, and variables tie distant lines together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from simkit.checks.judge import laws
from simkit.errors import ScenarioError, SimkitError, UsageError
from simkit.explore.failures import same_in
from simkit.explore.outcome import Attempt, Broken, Outcome
from simkit.explore.running import ScenarioRunner
from simkit.explore.shrink import fewer
from simkit.language.reader import loads
from simkit.language.writer import write
from simkit.model.duration import FOREVER
from simkit.model.plan import Plan, Strike
from simkit.model.scenario import STARTS_NS, Limits, Scenario, ToolSpec
from simkit.model.timeline import Answer, BackgroundReply, Pace, Say, Stall, Step, StreamReply, Think, Wait

BUDGET: Final = 200
# More digits than this is what a time keeps that does not matter to the failure.
_DIGITS: Final = (1, 2)
_Subject = str | Callable[..., object] | None
# An item of any list of a scenario.
_Item = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """The shortest scenario that was found, the plan under which it fails, and how many runs that took.

    ``replays`` says whether the scenario given failed for this reason at all, once it was written and read back; where
    it did not, ``scenario`` is that scenario. ``whole`` says that nothing was left to try.
    """

    scenario: Scenario
    plan: Plan
    runs: int
    replays: bool = True
    whole: bool = True

    @property
    def text(self) -> str:
        """The scenario with its plan, as the text of a file."""
        plan = "" if self.plan == Plan() else self.plan.text()
        return write(replace(self.scenario, plan=plan), laws=laws(self.scenario.file))


def shorten(
    scenario: Scenario, plan: Plan, broken: Broken, *, subject: _Subject = None, budget: int = BUDGET
) -> Shortened:
    """Return the shortest scenario found in so many runs that fails for the same reason. The first is always made.

    Raises ``UsageError`` for a scenario that cannot be written.
    """
    search = _Search(scenario, plan, broken, subject, budget)
    if not search.begin():
        return Shortened(scenario=scenario, plan=plan, runs=budget - search.left, replays=False)
    search.go()
    runs = budget - search.left
    return Shortened(scenario=search.scenario, plan=search.plan, runs=runs, whole=not search.starved)


class _Search:
    """The state of one shortening: the shortest scenario so far, its plan, and how many runs are left."""

    __slots__ = ("_broken", "_keys", "_laws", "_subject", "_tried", "left", "plan", "scenario", "starved")

    def __init__(self, scenario: Scenario, plan: Plan, broken: Broken, subject: _Subject, budget: int) -> None:
        self.scenario = scenario
        self.plan = plan
        self.left = budget
        # Whether something was left untried.
        self.starved = False
        self._broken = broken
        self._subject = subject
        self._laws = laws(scenario.file)
        self._keys: frozenset[str] = frozenset()
        self._tried: set[str] = set()

    def begin(self) -> bool:
        """Say whether the scenario fails for the reason given once it was written and read back."""
        written = self._written(self.scenario)
        first = self._run(written, self.plan)
        if first is None or first.plan != self.plan or same_in(self._broken, first) is None:
            return False
        self.scenario = written
        self._tried.add(written.source)
        self._keys = frozenset(broken.key for broken in first.broken)
        return True

    def go(self) -> None:
        """Leave out whatever the failure does not need, until nothing more can go."""
        before = None
        while before != (self.scenario, self.plan):
            before = (self.scenario, self.plan)
            for part in _parts(self.scenario):
                fewer(part.of(self.scenario), partial(self._with, part))
            while any(self._accepts(candidate) for candidate in _simpler(self.scenario)):
                pass

    def _with(self, part: _Part, left: tuple[_Item, ...]) -> tuple[_Item, ...] | None:
        return part.of(self.scenario) if self._accepts(part.put(self.scenario, left)) else None

    def _accepts(self, candidate: Scenario) -> bool:
        """Say whether a candidate fails for the same reason and no other; if so, go on with it."""
        try:
            written = self._written(candidate)
        except (ScenarioError, UsageError):
            # What is left is no scenario, such as a damaged frame without the frame.
            return False
        if written.source in self._tried:
            return False
        self._tried.add(written.source)
        return any(self._fails(written, plan) for plan in _near(self.plan))

    def _fails(self, scenario: Scenario, plan: Plan) -> bool:
        if self.left < 2:
            # One run shows whether it fails, the second one that it does so strictly.
            self.starved = True
            return False
        lenient = self._run(scenario, plan, lenient=True)
        if lenient is None or not self._is_same(lenient):
            return False
        strict = self._run(scenario, lenient.plan)
        if strict is None or not self._is_same(strict) or strict.plan != lenient.plan:
            return False
        self.scenario, self.plan = scenario, strict.plan
        return True

    def _is_same(self, outcome: Outcome) -> bool:
        new = {broken.key for broken in outcome.broken} - self._keys
        return not new and same_in(self._broken, outcome) is not None

    def _written(self, scenario: Scenario) -> Scenario:
        """Return the scenario as it is when it was written and read back."""
        (read,) = loads(write(scenario, laws=self._laws), scenario.file, laws=self._laws)
        return read

    def _run(self, scenario: Scenario, plan: Plan, *, lenient: bool = False) -> Outcome | None:
        """Run once; None where the scenario cannot be run, such as one whose link leads to a host that is gone."""
        self.left -= 1
        runner = ScenarioRunner(scenario, self._subject, scenario.explore.heal_ns)
        try:
            return runner.run(Attempt(number=0, plan=plan), lenient=lenient)
        except SimkitError:
            return None


def _near(plan: Plan) -> Iterator[Plan]:
    """Give the plan, and, where it counts frames, the one for an answer that has one frame less before the fault."""
    yield plan
    moved = tuple(map(_one_frame_less, plan.strikes))
    if moved != plan.strikes:
        yield replace(plan, strikes=moved)


def _one_frame_less(strike: Strike) -> Strike:
    answer, dot, frame = strike.site.partition(".frame")
    return replace(strike, site=f"{answer}.frame{int(frame) - 1}") if dot and int(frame) else strike


# -- parts that can go -------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Part:
    """A list inside a scenario: how to read it, and how to put a shorter one in its place."""

    of: Callable[[Scenario], tuple[_Item, ...]]
    put: Callable[[Scenario, tuple[_Item, ...]], Scenario]


def _parts(scenario: Scenario) -> Iterator[_Part]:
    yield _field("provider")
    yield _field("user")
    # From the last one: answers that go by themselves leave the numbers of those before them as they are.
    yield from (_steps(at) for at in reversed(range(len(scenario.provider))))
    yield from map(_mapping, ("tools", "hosts", "network", "settings"))
    yield from map(_field, ("expect", "always", "sometimes", "catches"))


def _field(name: str) -> _Part:
    return _Part(lambda scenario: getattr(scenario, name), lambda scenario, left: _put(scenario, name, left))


def _mapping(name: str) -> _Part:
    def of(scenario: Scenario) -> tuple[_Item, ...]:
        return tuple(getattr(scenario, name).items())

    return _Part(of, lambda scenario, left: _put(scenario, name, dict(left)))


def _put(scenario: Scenario, name: str, value: Any) -> Scenario:
    return replace(scenario, **{name: value})


def _steps(at: int) -> _Part:
    """Return the steps of one answer; none where it has none, or is gone by now."""

    def of(scenario: Scenario) -> tuple[_Item, ...]:
        reply = scenario.provider[at].reply if at < len(scenario.provider) else None
        return reply.steps if isinstance(reply, StreamReply | BackgroundReply) else ()

    def put(scenario: Scenario, left: tuple[_Item, ...]) -> Scenario:
        return _with_steps(scenario, at, left)

    return _Part(of, put)


def _with_steps(scenario: Scenario, at: int, steps: tuple[Step, ...]) -> Scenario:
    answer = scenario.provider[at]
    assert isinstance(answer.reply, StreamReply | BackgroundReply), "an answer with steps is a stream or a job"
    return _with_answer(scenario, at, replace(answer, reply=replace(answer.reply, steps=steps)))


def _with_answer(scenario: Scenario, at: int, answer: Answer) -> Scenario:
    return replace(scenario, provider=(*scenario.provider[:at], answer, *scenario.provider[at + 1 :]))


# -- simpler values ----------------------------------------------------------------------------------------------------
def _simpler(scenario: Scenario) -> Iterator[Scenario]:
    """Give the scenario with one value nearer to its default, or rounder."""
    if scenario.limits != Limits():
        yield replace(scenario, limits=Limits())
    if scenario.starts_ns != STARTS_NS:
        yield replace(scenario, starts_ns=STARTS_NS)
    for at, act in enumerate(scenario.user):
        for ns in _rounder(act.at_ns):
            acts = (*scenario.user[:at], replace(act, at_ns=ns), *scenario.user[at + 1 :])
            # As the reader sorts them.
            yield replace(scenario, user=tuple(sorted(acts, key=lambda one: one.at_ns)))
    for name, tool in scenario.tools.items():
        for simpler in _simpler_tool(tool):
            yield replace(scenario, tools={**scenario.tools, name: simpler})
    for at, answer in enumerate(scenario.provider):
        yield from (_with_answer(scenario, at, simpler) for simpler in _simpler_answer(answer))


def _simpler_tool(tool: ToolSpec) -> Iterator[ToolSpec]:
    yield from (replace(tool, takes_ns=ns) for ns in _rounder(tool.takes_ns))
    yield from (replace(tool, cancel_takes_ns=ns) for ns in _rounder(tool.cancel_takes_ns))


def _simpler_answer(answer: Answer) -> Iterator[Answer]:
    yield from (replace(answer, times=times) for times in _lower_times(answer.times))
    yield from (replace(answer, after_ns=ns) for ns in _rounder(answer.after_ns))
    if answer.chunks != "frame":
        yield replace(answer, chunks="frame")
    reply = answer.reply
    if isinstance(reply, BackgroundReply):
        yield from (replace(answer, reply=replace(reply, queued_ns=ns)) for ns in _rounder(reply.queued_ns))
        yield from (replace(answer, reply=replace(reply, in_progress_ns=ns)) for ns in _rounder(reply.in_progress_ns))
    if isinstance(reply, StreamReply | BackgroundReply):
        for at, step in enumerate(reply.steps):
            for simpler in _simpler_step(step):
                steps = (*reply.steps[:at], simpler, *reply.steps[at + 1 :])
                yield replace(answer, reply=replace(reply, steps=steps))


def _simpler_step(step: Step) -> Iterator[Step]:
    match step:
        case Wait() | Stall() | Pace():
            yield from (replace(step, ns=ns) for ns in _rounder(step.ns))
        case Say() | Think() if step.pieces > 1:
            yield replace(step, pieces=1)


def _lower_times(times: int | None) -> list[int]:
    if times is None or times == 1:
        return []
    return list(dict.fromkeys((1, times // 2, times - 1)))


def _rounder(ns: int) -> list[int]:
    """Return no time at all, and times near this one that are written with fewer digits."""
    if ns in (0, FOREVER):
        return []
    digits = len(str(ns).rstrip("0"))
    near = [n for keep in _DIGITS if keep < digits for n in _rounded(ns, keep)]
    return [0, *near]


def _rounded(ns: int, digits: int) -> tuple[int, int]:
    """Return the times below and above this one that have so many digits, the nearer one first."""
    unit = 10 ** (len(str(ns)) - digits)
    below = ns // unit * unit
    return (below, below + unit) if ns - below <= unit // 2 else (below + unit, below)

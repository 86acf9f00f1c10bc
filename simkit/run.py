"""One run: the only place where a world is built for a scenario, judged, and torn down.

The idea: ``run_once(scenario, plan)`` is a function; everything that may differ between two calls is an
argument. The constraint: the trace is complete before it is judged, and whatever the subject or a law does, the
answer is a result and not a crash. A runner object with state was refused: what one case leaves in it, the next
one finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import inspect
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from simkit.checks.judge import judge, laws
from simkit.contracts import Chooser, Setting, Sim, Subject
from simkit.errors import Problem, RunEndedError, ScenarioError, SubjectError, UsageError, WorldEndedError
from simkit.extensions import find, names, nearest
from simkit.kernel.choices import Made
from simkit.kernel.links import EVERY, lay
from simkit.kernel.network import LOOPBACK_NAMES, host_key
from simkit.kernel.survivors import place
from simkit.kernel.world import World
from simkit.language import reader
from simkit.model.duration import NS_PER_S, parse_duration
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Trace
from simkit.model.verdict import XFAIL, Finding, Judgement, Result, Verdict
from simkit.provider.provider import Provider, hosts_of
from simkit.provider.stage import WorldStage
from simkit.subjects.function import function_subject
from simkit.subjects.sim import ScenarioSim

_PACKAGE = os.path.dirname(__file__)
_STDLIB = os.path.dirname(os.__file__)
_INSTALLED: Final = "site-packages"
# What has no file, such as importlib's own frames, says nothing to anybody.
_FOREIGN: Final = (_PACKAGE, "<")


def load(path: Path | str) -> tuple[Scenario, ...]:
    """Read a scenario file: one scenario for each row of its matrix.

    Raises ``ScenarioError`` with every problem of the file, and ``UsageError`` when there is no such file, or a
    ``conftest.py`` above it with laws of its own cannot be used.
    """
    return reader.load(path, laws=laws(path))


def run_scenario(
    path_or_scenario: Path | str | Scenario,
    *,
    row: str | None = None,
    subject: str | Callable[..., object] | None = None,
    plan: Plan | str | None = None,
) -> Result:
    """Run one case and judge it.

    ``row`` picks a row of the matrix (needed when there is more than one), ``subject`` replaces the scenario's,
    ``plan`` is a plan or its text and comes instead of the scenario's own. Raises ``UsageError``, ``SubjectError`` or
    ``ScenarioError``; a failing case is no error but a result.
    """
    scenario = path_or_scenario if isinstance(path_or_scenario, Scenario) else pick(load(path_or_scenario), row)
    return run_once(scenario, plan_of(scenario, plan), subject=subject)


def run_case(
    scenario: Scenario, plan: Plan | None = None, *, subject: str | Callable[..., object] | None = None
) -> Result:
    """Run one case of a suite: what its author skips is not run, and what is expected to fail has to.

    ``plan`` comes instead of the scenario's own. ``Result.outcome`` says how it came out.
    """
    plan = plan_of(scenario, plan)
    if scenario.skip:
        return Result(scenario=scenario, plan=plan, trace=Trace(), judgement=Judgement())
    result = run_once(scenario, plan, subject=subject)
    if not scenario.xfail or result.verdict is not Verdict.PASS:
        return result
    text = f"expected to fail ({scenario.xfail}), and it passed"
    finding = Finding(law=XFAIL, text=text, place=_place_of(XFAIL, scenario))
    return replace(result, judgement=replace(result.judgement, findings=(finding,)))


def _place_of(key: str, scenario: Scenario) -> Place | None:
    """Return where a key of the scenario stands; None where it came from elsewhere, such as a file that it extends."""
    lines = scenario.source.splitlines()
    return next((Place(scenario.file, n) for n, line in enumerate(lines, 1) if line.startswith(f"{key}:")), None)


def as_plan(plan: Plan | str | None) -> Plan:
    """Return a plan from its text, or the default plan. Raises ``UsageError`` when the text is none."""
    try:
        return Plan.parse(plan) if isinstance(plan, str) else plan or Plan()
    except ValueError as error:
        raise UsageError(str(error)) from error


def plan_of(scenario: Scenario, plan: Plan | str | None = None) -> Plan:
    """Return the plan that is given, or else the scenario's own. Raises ``UsageError`` when the text is none."""
    return as_plan(scenario.plan or None if plan is None else plan)


def pick(scenarios: tuple[Scenario, ...], row: str | None) -> Scenario:
    """Return the row of this name, or the only one. Raises ``UsageError`` where that is none."""
    rows = [s.case for s in scenarios]
    if row is None and len(scenarios) == 1:
        return scenarios[0]
    if row is None:
        raise UsageError(f"{scenarios[0].file} has {len(rows)} rows and none was named - rows: {', '.join(rows)}")
    if row not in rows:
        raise UsageError(f"{scenarios[0].file} has no row {row!r}{nearest(row, rows)}")
    return scenarios[rows.index(row)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """How an exploration steers a run beyond its plan.

    ``chooser`` makes the choices that the plan does not name. ``lenient`` leaves out what of the plan does not fit.
    ``sites`` takes every site where a fault could have struck, and ``made`` every choice: its kind, among how many, and
    which was made.
    """

    chooser: Chooser | None = None
    lenient: bool = False
    sites: list[str] | None = None
    made: list[Made] | None = None


NOT_STEERED: Final = Steering()


def run_once(
    scenario: Scenario,
    plan: Plan,
    *,
    subject: str | Callable[..., object] | None = None,
    steering: Steering = NOT_STEERED,
) -> Result:
    """Run one scenario under one plan and judge the trace. A steered run's result has the plan that it took."""
    agent = find_subject(scenario, subject)
    settings = check_settings(scenario, agent)
    check_links(scenario)
    for module in agent.imports(settings) if callable(agent.imports) else agent.imports:
        _import_ahead(agent, module)
    world = World(
        plan=plan,
        starts_ns=scenario.starts_ns,
        horizon_ns=scenario.limits.time_ns,
        steps_max=scenario.limits.steps,
        chooser=steering.chooser,
        lenient=steering.lenient,
        sites=steering.sites,
        made=steering.made,
    )
    world.recorder.record("world", "run.start", scenario=scenario.title, row=scenario.case, seed=plan.seed)
    provider = Provider(WorldStage(world), scenario)
    lay(world, scenario.network)
    sim = ScenarioSim(world, scenario, settings, provider.base_url)
    started = time.perf_counter()
    try:
        world.run(_main(world, agent, sim))
    except (RunEndedError, SystemExit):
        # Why it ended is the last word of the trace, and the laws read it there. An exit in a task of the subject's
        # comes out of the event loop and passes its main function by.
        pass
    wall_s = time.perf_counter() - started
    trace, taken = world.trace, world.taken
    # Provider, connections and world refer to each other in circles. What the run made is young, or in the generation
    # after that since the census: collecting these two costs what the run made, and not what the process holds.
    del world, provider, sim
    gc.collect(1)
    plan = taken if steering is not NOT_STEERED else plan
    return Result(scenario=scenario, plan=plan, trace=trace, judgement=judge(scenario, trace), wall_s=wall_s)


def set_up(world: World, scenario: Scenario, settings: Mapping[str, object]) -> ScenarioSim:
    """Put a scenario into a world: its provider and hosts, the links to them, and its user."""
    provider = Provider(WorldStage(world), scenario)
    lay(world, scenario.network)
    sim = ScenarioSim(world, scenario, settings, provider.base_url)
    world.recorder.record("world", "run.start", scenario=scenario.title, row=scenario.case, seed=world.plan.seed)
    return sim


def _main(world: World, agent: Subject, sim: ScenarioSim) -> Callable[[], object]:
    """Wrap the subject so that its result and its error are in the trace, told from the inside of the run."""

    def ended(result: object) -> None:
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            raise TypeError(f"subject {agent.name!r} is a generator, expected a function that returns or is awaited")
        if isinstance(result, str) and not sim.spoke:
            sim.said(result)
            sim.turn_ended("finished", result)
        world.recorder.record("subject", "subject.returned")

    def raised(error: BaseException) -> None:
        # A cancellation or ``sys.exit`` is the subject's own; these three are not, and must get through.
        if isinstance(error, (RunEndedError, WorldEndedError, KeyboardInterrupt)):
            raise error
        # What a task group wraps is what went wrong; the group only says that something did.
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        where = _where(error)
        name, frames = type(error).__name__, _frames(error)
        text = f"{name}: {error}"
        world.recorder.record("subject", "subject.raised", error=name, text=text, where=where, frames=frames)

    async def coroutine() -> None:
        try:
            sim.user.attend(asyncio.current_task())
            ended(await cast(Awaitable[object], agent.start(cast(Sim, sim))))
        except BaseException as error:  # noqa: BLE001  # whatever comes out of the subject is a finding about it
            raised(error)

    def function() -> None:
        try:
            result = agent.start(cast(Sim, sim))
            # A partial or a lambda around a coroutine function is as good a subject as the function itself.
            ended(world.new_loop().run_main(lambda: result) if inspect.iscoroutine(result) else result)
        except BaseException as error:  # noqa: BLE001  # as above
            raised(error)

    # Who waits for whom is told by this name.
    coroutine.__qualname__ = agent.name
    return coroutine if _is_coroutine_function(agent.start) else function


def _is_coroutine_function(start: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(start) or inspect.iscoroutinefunction(getattr(start, "__call__", None))  # noqa: B004  # an object may have an async __call__


def _where(error: BaseException) -> str:
    """Return the innermost line outside simkit, and outside the standard library where there is one."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_PACKAGE)]
    frames = [f for f in frames if not _is_library(f)] or frames
    return place((frames[-1].filename, frames[-1].lineno or 0)) if frames else ""


def _frames(error: BaseException) -> list[str]:
    """Return ``file:line function`` of the subject's own frames, the outermost first: no package that is installed."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_FOREIGN)]
    own = [f for f in frames if not _is_library(f) and _INSTALLED not in f.filename]
    return [f"{place((f.filename, f.lineno or 0))} {f.name}" for f in own]


def _is_library(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(_STDLIB) and _INSTALLED not in frame.filename


def _import_ahead(agent: Subject, module: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:
        raise SubjectError(
            f"subject {agent.name!r} needs {module!r}, which cannot be imported ({type(error).__name__}: {error}) - "
            f"install it, such as: pip install 'pytest-simkit[{module}]'"
        ) from error


# -- subjects and settings -------------------------------------------------------------------------------------------
def find_subject(scenario: Scenario, subject: str | Callable[..., object] | None = None) -> Subject:
    """Return who is under test. Raises ``ScenarioError`` or ``SubjectError`` when there is no such subject."""
    if callable(subject):
        return Subject(name=getattr(subject, "__qualname__", "subject"), start=subject)
    name = subject or scenario.subject
    if ":" in name:
        return function_subject(name)
    if name not in names("subjects"):
        text = f"no subject is called {name!r}{nearest(name, names('subjects'))}"
        help_ = "a built-in, an installed subject, or package.module:callable"
        if subject is None and scenario.subject_place is not None:
            raise ScenarioError([_problem(scenario, scenario.subject_place, text, help_)])
        raise UsageError(f"{text} - expected {help_}")
    return cast(Subject, find("subjects", name))


def check_settings(scenario: Scenario, subject: Subject) -> Mapping[str, object]:
    """Return the settings with defaults filled in. Raises ``ScenarioError`` with every one that does not fit."""
    table = subject.settings
    if table is None:
        return dict(scenario.settings)
    values = {name: _default(setting) for name, setting in table.items()}
    problems = []
    for name, value in scenario.settings.items():
        try:
            if name not in table:
                raise ValueError(f"subject {subject.name!r} has no setting {name!r}{nearest(name, table)}")
            values[name] = _setting(name, table[name], value)
        except ValueError as error:
            problems.append(_problem(scenario, scenario.settings_places.get(name), str(error), ""))
    if problems:
        raise ScenarioError(problems)
    return values


def check_links(scenario: Scenario) -> None:
    """Raise ``ScenarioError`` with every link of ``network`` that leads to a host which the scenario does not have."""
    if not scenario.network:
        return
    hosts = hosts_of(scenario)
    problems = [
        _problem(scenario, link.place, f"no host is called {name!r}{nearest(host_key(name), sorted(hosts))}", _HOSTS)
        for name, link in scenario.network.items()
        if host_key(name) not in {*hosts, *LOOPBACK_NAMES, EVERY}
    ]
    if problems:
        raise ScenarioError(problems)


_HOSTS: Final = f"a link leads to a host of the provider, to one under `hosts:`, or, as {EVERY!r}, to all of these"


def _default(setting: Setting) -> object:
    return _setting("", setting, setting.default)


def _setting(name: str, setting: Setting, value: object) -> object:
    """Return one setting in the form that the subject gets: durations as float seconds."""
    match setting.kind:
        case "duration" if isinstance(value, str):
            # What is no duration is told below, with the name of the setting.
            with contextlib.suppress(ValueError):
                return parse_duration(value) / NS_PER_S
        case "count" if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        case "count" if isinstance(value, str) and value.isdecimal():
            return int(value)
        case "flag" if isinstance(value, bool):
            return value
        case "flag" if value in ("true", "false"):
            return value == "true"
        case "choice" if value in setting.choices:
            return value
        case "text" if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return str(value)
    expected = {
        "duration": "a number and a unit, such as 180s",
        "count": "a whole number of 0 or more",
        "flag": "true or false",
        "choice": f"a word that it knows{nearest(str(value), filter(None, setting.choices))}",
        "text": "text",
    }[setting.kind]
    raise ValueError(f"setting {name!r} is {value!r}, expected {expected}")


def _problem(scenario: Scenario, at: Place | None, text: str, help_: str) -> Problem:
    """Return a problem with its line from the scenario; one that came from the command line has no line."""
    if at is None:
        return Problem(scenario.file, 1, 1, text, "", help_)
    return Problem(at.file, at.line, at.column, text, scenario.line(at), help_)

"""The pytest plugin: every ``*.sim.yaml`` is collected, one item for each row of its matrix.

The idea: a scenario file is a test file, so selection, ``-k``, ``--lf``, JUnit and xdist are pytest's own; tests of
``@simkit.simulated`` are pytest's functions, and are told here what they are called and what they may spend. The
constraint: loading this costs a host project nothing; asyncio, yaml and the kernel are imported when the first
scenario is collected, and only public names of pytest are used. A custom runner beside pytest was refused:
everything above would have to be written again.
"""

from __future__ import annotations

import contextlib
import sys
import unittest
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from simkit.model.plan import Plan
    from simkit.model.scenario import Scenario
    from simkit.reporters.layout import Known
    from simkit.testing.items import Budget, Played
    from simkit.testing.playing import PlayWorld

_SUFFIX = ".sim.yaml"
# What leaves a test out is no failure of a plan.
_SKIPS = (pytest.skip.Exception, pytest.xfail.Exception, unittest.SkipTest)
_CLOCKS = pytest.StashKey[contextlib.ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add simkit's options, all with its prefix."""
    group = parser.getgroup("simkit", "deterministic simulation of agent loops")
    group.addoption(
        "--simkit-set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a setting of the subject for all scenarios; may be given more than once",
    )
    group.addoption("--simkit-plan", metavar="PLAN", default=None, help="run under this plan, such as seed=7")
    group.addoption(
        "--simkit-runs",
        metavar="N",
        default=None,
        type=int,
        help="try N plans beyond the default run: in every scenario, and in every test of @simkit.simulated that "
        "explores; 0 turns exploring off",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that mean nothing before anything is collected."""
    settings, plan = config.getoption("--simkit-set"), config.getoption("--simkit-plan")
    if (config.getoption("--simkit-runs") or 0) < 0:
        raise pytest.UsageError("simkit: --simkit-runs is negative, expected a whole number of 0 or more")
    if not settings and plan is None:
        return
    from simkit.errors import UsageError  # lazy: the plugin is loaded in suites that never run a scenario
    from simkit.options import parse_overrides  # lazy: as above
    from simkit.run import as_plan  # lazy: as above

    try:
        parse_overrides(settings)
        as_plan(plan)
    except UsageError as error:
        raise pytest.UsageError(f"simkit: {error}") from error


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect scenario files and no other YAML."""
    if file_path.name.endswith(_SUFFIX):
        collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
        return collector
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Keep the process's clocks replaced over consecutive scenarios: replacing them costs more than a run."""
    if not isinstance(item, ScenarioItem):
        return (yield)
    if _CLOCKS not in item.session.stash:
        from simkit.kernel.machine import MACHINE  # lazy: most suites that load this run no scenario

        item.session.stash[_CLOCKS] = contextlib.ExitStack()
        item.session.stash[_CLOCKS].enter_context(MACHINE.held())
    try:
        return (yield)
    finally:
        if not isinstance(nextitem, ScenarioItem):
            _give_clocks_back(item.session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tell a simulated test what it is called here, and what it may spend."""
    __tracebackhide__ = True
    room = sys.modules.get("simkit.testing.simulated")
    if room is None or isinstance(item, ScenarioItem):
        # Nobody has asked for a simulated test so far.
        return (yield)
    suite = room.Suite(
        case=item.nodeid, budget=_budget(item.config), again=lambda plan: _again(item, plan), skips=_SKIPS
    )
    token = room.SUITE.set(suite)
    try:
        return (yield)
    finally:
        room.SUITE.reset(token)


def _again(item: pytest.Item, plan: Plan) -> str:
    return f'pytest "{item.nodeid}" --simkit-plan={plan.text()}'


def _budget(config: pytest.Config) -> Budget:
    """Return what this session allows a case."""
    from simkit.explore.store import Store  # lazy: the plugin is loaded in suites that never run a scenario
    from simkit.options import parse_overrides  # lazy: as above
    from simkit.testing.items import Budget  # lazy: as above

    return Budget(
        plan=config.getoption("--simkit-plan"),
        runs=config.getoption("--simkit-runs"),
        # Where `simkit replay` and `simkit pin` look for it.
        store=Store(config.invocation_params.dir),
        settings=parse_overrides(config.getoption("--simkit-set")),
    )


@pytest.fixture
def simkit_world() -> PlayWorld:
    """The world of this test: with ``@simkit.simulated`` the one that it runs in, else one to ``run`` something in.

    ``simkit_world.play(path)`` plays a scenario in it and returns what its subject would be given.
    """
    from simkit.testing.playing import PlayWorld  # lazy: as above

    return PlayWorld()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give the clocks back after a session that ended before its last item: with -x, or by Ctrl-C."""
    _give_clocks_back(session)


def _give_clocks_back(session: pytest.Session) -> None:
    if _CLOCKS in session.stash:
        session.stash[_CLOCKS].close()
        del session.stash[_CLOCKS]


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each row; a file that is no scenario is one collection error with every place."""
        from simkit.errors import SimkitError  # lazy: as above
        from simkit.options import Outside, parse_overrides, read_file, told  # lazy: as above

        settings = parse_overrides(self.config.getoption("--simkit-set"))
        try:
            scenarios = read_file(self.path, Outside(settings=settings, option="--simkit-set"))
        except (SimkitError, ExceptionGroup) as error:
            raise self.CollectError(told(error)) from None
        for scenario in scenarios:
            yield ScenarioItem.from_parent(self, name=scenario.case, scenario=scenario)


class ScenarioItem(pytest.Item):
    """One row of a scenario file."""

    def __init__(self, *, scenario: Scenario, **more: Any) -> None:
        super().__init__(**more)
        self.scenario = scenario
        # Tags select with -k; as marks they would break a host's --strict-markers.
        self.extra_keyword_matches.update(scenario.tags)
        if scenario.skip:
            self.add_marker(pytest.mark.skip.with_args(reason=scenario.skip))
        if scenario.xfail:
            # What nobody could judge, and what could not be run, is no expected failure.
            self.add_marker(pytest.mark.xfail(reason=scenario.xfail, raises=ScenarioFailed, strict=True))

    def runtest(self) -> None:
        """Run the case, under as many plans as it asks for, and raise when it does not pass."""
        from simkit.model.verdict import Verdict  # lazy: as above
        from simkit.testing.items import play  # lazy: as above

        budget = _budget(self.config)
        played = play(self.scenario, budget)
        result = played.result
        self.user_properties.append(("simkit_plan", result.plan.text()))
        self.user_properties.append(("simkit_virtual_seconds", str(result.trace.end_ns / 1e9)))
        if played.runs:
            self.user_properties.append(("simkit_plans", str(played.runs)))
            self.add_report_section("call", "simkit", played.summary)
        if result.verdict is not Verdict.PASS:
            from simkit.explore.keeping import keep  # lazy: as above

            if played.failure is None and budget.store is not None:
                known = keep(result, budget.store, settings=budget.settings)
            else:
                known = played.known
            raise (ScenarioFailed if result.verdict is Verdict.FAIL else ScenarioUnknown)(played, known)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Tell a failure in the scenario's words, and anything else as pytest does."""
        from simkit.errors import SimkitError  # lazy: as above

        error = excinfo.value
        if isinstance(error, _NotPassed):
            return error.text(self.config.getoption("--simkit-set"))
        if isinstance(error, SimkitError):
            return str(error)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the item stands, as a 0-based line, and its title."""
        lines = self.scenario.source.splitlines()
        at = next((n for n, line in enumerate(lines) if line.startswith("scenario:")), 0)
        return self.path, at, f"{self.scenario.title} [{self.name}]"


class _NotPassed(Exception):  # noqa: N818  # as below
    """A scenario did not pass; carries what came of it."""

    def __init__(self, played: Played, known: Known) -> None:
        self.played = played
        self.known = known
        first = played.result.findings[0]
        super().__init__(f"{first.law}: {first.text}")

    def text(self, overrides: list[str]) -> str:
        """Return the report of the failure, its first line being what pytest's summary shows of it."""
        from simkit.commands.code import line_of_code  # lazy: as above
        from simkit.model.redact import redact  # lazy: as above
        from simkit.options import parse_overrides  # lazy: as above
        from simkit.reporters.layout import ReportOptions  # lazy: as above
        from simkit.reporters.text import failure  # lazy: as above

        # pytest prints the title above this, so the report's own line with it makes room.
        options = ReportOptions(overrides=parse_overrides(overrides), code=line_of_code)
        _, _, report = failure(self.played.result, options, self.known).partition("\n")
        return str(redact("\n".join([f"{self}\n", report.rstrip(), *self.played.more()])))


class ScenarioFailed(_NotPassed):
    """A scenario broke a law or an expectation."""


class ScenarioUnknown(_NotPassed):
    """Nobody could tell whether a scenario holds."""

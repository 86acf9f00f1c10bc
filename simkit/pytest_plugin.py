"""The pytest plugin: every ``*.sim.yaml`` is collected, one item for each row of its matrix.

The idea: a scenario file is a test file, so selection, ``-k``, ``--lf``, JUnit and xdist are pytest's own. The
constraint: loading this costs a host project nothing; asyncio, yaml and the kernel are imported when the first
scenario is collected, and only public names of pytest are used. A custom runner beside pytest was refused:
everything above would have to be written again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from simkit.model.scenario import Scenario
    from simkit.model.verdict import Result

_SUFFIX = ".sim.yaml"
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


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that mean nothing before anything is collected."""
    settings, plan = config.getoption("--simkit-set"), config.getoption("--simkit-plan")
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
        """Run the case once and raise when it does not pass."""
        from simkit.model.verdict import Verdict  # lazy: as above
        from simkit.run import plan_of, run_once  # lazy: as above

        result = run_once(self.scenario, plan_of(self.scenario, self.config.getoption("--simkit-plan")))
        self.user_properties.append(("simkit_plan", result.plan.text()))
        self.user_properties.append(("simkit_virtual_seconds", str(result.trace.end_ns / 1e9)))
        if result.verdict is not Verdict.PASS:
            raise (ScenarioFailed if result.verdict is Verdict.FAIL else ScenarioUnknown)(result)

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
    """A scenario did not pass; carries the judged result."""

    def __init__(self, result: Result) -> None:
        self.result = result
        first = result.findings[0]
        super().__init__(f"{first.law}: {first.text}")

    def text(self, overrides: list[str]) -> str:
        """Return the report of the failure, its first line being what pytest's summary shows of it."""
        from simkit.model.redact import redact  # lazy: as above
        from simkit.options import parse_overrides  # lazy: as above
        from simkit.reporters.text import ReportOptions, failure  # lazy: as above

        # pytest prints the title above this, so the report's own line with it makes room.
        _, _, report = failure(self.result, ReportOptions(overrides=parse_overrides(overrides))).partition("\n")
        return f"{redact(str(self))}\n\n{report}"


class ScenarioFailed(_NotPassed):
    """A scenario broke a law or an expectation."""


class ScenarioUnknown(_NotPassed):
    """Nobody could tell whether a scenario holds."""

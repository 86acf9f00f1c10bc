"""What a subject is given: the user's messages, the scenario's tools, its settings, and where the provider is.

The idea: everything a subject touches is either the real thing on the simulated machine or an object of this
room. The constraint: the subject reports and never asks, so nothing here can tell it that it is simulated. Fixtures
that return at once were refused: a world of zero latency hides the races that production has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from simkit.subjects.tool import ScenarioTool
from simkit.subjects.user import ScenarioUser

if TYPE_CHECKING:
    from simkit.contracts import SimTool
    from simkit.kernel.world import World
    from simkit.model.scenario import Scenario


class ScenarioSim:
    """The ``sim`` of one run; see ``simkit.contracts.Sim``."""

    def __init__(
        self, world: World, scenario: Scenario, settings: Mapping[str, object], base_url: Callable[[str], str]
    ) -> None:
        self._record = world.recorder.record
        self._turns = 0
        self._ended = 0
        self.settings = settings
        self.user = ScenarioUser(world, scenario.user, scenario.explore.shift_ns)
        self.tools: Mapping[str, SimTool] = {
            name: ScenarioTool(world, spec, self._next_run) for name, spec in scenario.tools.items()
        }
        self.base_url = base_url
        self._runs = 0
        # What the subject reported; a plain function that only returns a text has this done for it.
        self.spoke = False

    def _next_run(self) -> int:
        self._runs += 1
        return self._runs

    def on_cancel(self, handler: Callable[[], object]) -> None:
        """Say what to call when the user cancels or leaves."""
        self.user.on_cancel(handler)

    def turn_started(self, text: str) -> None:
        """Record that the subject took up a message."""
        self._turns += 1
        self._record("subject", "turn.start", turn=self._turns, text=text)

    def said(self, text: str) -> None:
        """Record what the subject showed to the user."""
        self.spoke = True
        self._record("subject", "said", text=text)

    def turn_ended(self, outcome: str, text: str = "") -> None:
        """Record how the turn ended; where nobody said that one began, it is one more turn."""
        self.spoke = True
        self._ended += 1
        self._turns = max(self._turns, self._ended)
        self._record("subject", "turn.end", turn=self._turns, outcome=outcome, text=text)

    def note(self, name: str, **values: object) -> None:
        """Record a fact that only the subject knows."""
        self._record("subject", "note", **{**values, "name": name})

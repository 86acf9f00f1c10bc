"""Strikes: the faults of a plan, each waiting for its site.

The idea: whoever plays something that can fail (an answer, a frame, a tool, the user) asks here by the name of the
site, and plays the fault that it is told of. The constraint: the machine knows no LLM, so sites and kinds are words
here; and a fault whose site was never reached is not the plan of this run. Rewriting the scenario for each fault was
refused: frames are made by the wire and stand in no scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simkit.kernel.recorder import Recorder
from simkit.model.plan import Strike


class Strikes:
    """The faults of one run, and, where somebody wants to know, every site that was reached."""

    __slots__ = ("_left", "_recorder", "_seen", "cancels", "some")

    def __init__(self, recorder: Recorder, strikes: Sequence[Strike], *, seen: list[str] | None) -> None:
        self._recorder = recorder
        self._left = {strike.site: strike for strike in strikes}
        self._seen = seen
        # Whether this run has faults at all: what a script says of the run to come holds for one without.
        self.some = bool(strikes)
        # What lets the user cancel: whoever plays the user says it.
        self.cancels: Callable[[], object] = lambda: None

    @property
    def asked(self) -> bool:
        """Say whether anybody wants to be asked: in most runs nobody does, and frames are many."""
        return self._seen is not None or bool(self._left)

    def at(self, site: str) -> str:
        """Return the kind of fault that strikes at this site, which is then in the trace; empty when none does.

        A cancellation by the user is let happen here, since it does nothing to the site itself.
        """
        if self._seen is not None:
            self._seen.append(site)
        strike = self._left.pop(site, None)
        if strike is None:
            return ""
        self._recorder.record("world", "fault", site=site, fault=strike.kind)
        if strike.kind == "cancel":
            self.cancels()
            return ""
        return strike.kind

    def unreached(self) -> list[str]:
        """Return the faults whose sites were never reached, as the plan writes them."""
        return [strike.text() for strike in self._left.values()]

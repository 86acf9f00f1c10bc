"""PCT: actors run by priorities drawn at random, and a few times in a run the one on top falls to the bottom.

The idea: one run finds a bug that needs d ordered events with a probability of at least 1 / (n * k^(d-1)) for n actors
and k steps (Burckhardt, Kothari, Musuvathi, Nagarakatte: A randomized scheduler with probabilistic guarantees of
finding bugs, ASPLOS 2010), where uniform choice needs luck at every step. The constraint: k, the horizon, is about
the length of the run, or the changes fall behind its end; so whoever explores takes it from the default run. A fixed
horizon was refused for that reason, and is here for those only who run a single plan.

Choices that are not about actors (who comes first at an instant, before or after a deadline, one more suspension) keep
their default, except at a point of change: there any other possibility is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simkit.strategies.draws import Draws
from simkit.strategies.sequential import ACTORS

# Of a run about which nothing is known.
_HORIZON: Final = 100
# Below every priority that is drawn; each change goes below the one before.
_DRAWN: Final = 2**32


class Pct:
    """Priorities with ``depth - 1`` points of change among the first ``horizon`` choices."""

    name: Final = "pct"

    def __init__(self, depth: int = 3, horizon: int = _HORIZON) -> None:
        self._depth = depth
        self._horizon = max(1, horizon)

    def begin(self, seed: int) -> _Priorities:
        """Return the chooser of one run."""
        return _Priorities(Draws(seed, "pct"), self._depth, self._horizon)


class _Priorities:
    """The priorities of one run, drawn for each actor when it is first met."""

    __slots__ = ("_changes", "_draws", "_lowest", "_of", "_step")

    def __init__(self, draws: Draws, depth: int, horizon: int) -> None:
        self._draws = draws
        self._changes = {draws.below(horizon) for _ in range(depth - 1)}
        self._of: dict[str, int] = {}
        self._lowest = 0
        self._step = 0

    def choose(self, kind: str, count: int, label: Callable[[int], str]) -> int:
        """Return the actor with the highest priority; at a point of change it falls to the bottom first."""
        change = self._step in self._changes
        self._step += 1
        if kind not in ACTORS:
            return 1 + self._draws.below(count - 1) if change else 0
        names = [label(i) for i in range(count)]
        top = self._top(names)
        if change:
            self._lowest -= 1
            self._of[names[top]] = self._lowest
            top = self._top(names)
        return top

    def _top(self, names: list[str]) -> int:
        of = self._of
        for name in names:
            if name not in of:
                of[name] = self._draws.below(_DRAWN)
        return max(range(len(names)), key=lambda i: of[names[i]])


PCT: Final = Pct()

"""Exploring: many plans for one scenario, and what is made of the failures that they find.

``simkit.explore(target, runs=100)`` is ``search.explore``: this room can be called, because it has the name of that
public function, and what an import of one of its files leaves under that name is the room.

``outcome``    what a run comes to, as far as an exploration cares
``running``    runs one plan of a scenario, or of a coroutine function
``attempts``   which plans are tried, by their numbers
``search``     tries them, in this process
``emptiness``  what none of them reached
``sweep``      every fault at every place
``recut``      the same bytes, cut elsewhere
``failures``   which failures are the same
``shrink``     from a plan that fails to a small one
``shorten``    from a scenario that fails to a short one
``store``      failures on disk
``keeping``    failures of plain runs, kept there too
``pin``        a failure as a scenario of its own
``campaign``   many cases, on many workers
``units``      its work, cut into pieces
``workers``    who does them
``state``      what is done, on disk
``extent``     how much of a space was run
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simkit.explore.search import Explored, Target


class _Room(ModuleType):
    """A package that can be called."""

    def __call__(
        self,
        target: Target,
        *,
        runs: int,
        seed: int = 0,
        strategy: str = "mix",
        order: str = "timing",
        jitter: float = 0.0,
    ) -> Explored:
        """Run a scenario, a path or a coroutine function under many plans: see ``simkit.explore.search.explore``."""
        from simkit.explore.search import explore  # lazy: whoever needs one room of these needs not all that it needs

        return explore(target, runs=runs, seed=seed, strategy=strategy, order=order, jitter=jitter)


sys.modules[__name__].__class__ = _Room

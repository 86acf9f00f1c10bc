"""Choices: wherever production could go either way, the plan says which way this run goes.

The idea: every choice is asked here, is numbered, and is 0 by default; what is not 0 is a deviation, which the
trace tells in words and a plan repeats. The constraint: no choice leads to a run that stock asyncio on a real
machine could not produce, so a failure under any plan is a failure that users can have. Why each kind is sound:

- ``tie``: outside events that are due at one instant come from different places (connections, tools, the user), and
  nothing in production orders them. What one connection carries, or one user says, is one lane and keeps its order.
- ``deadline``: at the very instant of a deadline, a poll may have seen none of the other things that are due, and it
  fires first; they follow in the next poll.
- ``timing``: an outside event is late by less than the window (a slow link, a busy machine), or early by less than it;
  a sleeping thread or a polling loop may wake late, but never early. Timers of one loop fire in the order of their
  deadlines whatever is chosen: a late poll takes them out of the heap in that order, after the bytes that it finds.
- ``thread``: a waiting thread that was woken goes on when the scheduler lets it, in any order with others.
- ``suspend``: a tool that awaits once more inside before it returns is a tool that somebody wrote.
- ``shift``: a user acts somewhat later or earlier than the script says, within what its author allows, in their order.
- ``order``: the exception. asyncio promises the order of callbacks in one round, so this kind is only asked where
  ``order="any"`` wants the stronger adversary, and the plan says so. Also then nothing overtakes the machinery of
  connections, and nobody is overtaken for ever.

Recording every choice with its 0 was refused: the trace of the default run would tell of nothing but these.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from simkit.model.plan import Deviation

if TYPE_CHECKING:
    from simkit.contracts import Chooser
    from simkit.kernel.world import World

# A choice as it was made: its kind, among how many, and which.
Made = tuple[str, int, int]


class Choices:
    """The choices of one run: those that the plan names, and the strategy's for all others."""

    __slots__ = ("_ask", "_count", "_left", "_lenient", "_made", "_recorder", "_taken", "_world", "open")

    def __init__(
        self, world: World, chooser: Chooser, *, asked: bool, lenient: bool, made: list[Made] | None = None
    ) -> None:
        # Weak, as in ``Threads``.
        self._world = weakref.ref(world)
        # Bound once: in a run that is searched these two are called more often than anything else.
        self._ask = chooser.choose
        self._recorder = world.recorder
        # A deviation that does not fit is left out: for shrinking, which tries plans that may not fit.
        self._lenient = lenient
        self._left = {d.number: d for d in world.plan.deviations}
        self._count = 0
        self._made = made
        # Plain tuples: a run of a search makes many, and is asked for them once.
        self._taken: list[tuple[int, str, int]] = []
        # Whether anybody needs to ask: nobody where every answer is 0, and nobody once the run is over.
        self.open = asked

    def choose(self, kind: str, count: int, label: Callable[[int], str]) -> int:
        """Return which of ``count`` possibilities happens; ``label`` puts one in words, if it has to be told.

        Ends the run when the plan says something about this choice that does not fit it.
        """
        if not self.open:
            return 0
        number = self._count
        self._count = number + 1
        if number in self._left:  # noqa: SIM108  # as one expression it would no longer be read at a glance
            pick = self._planned(number, kind, count, label)
        else:
            pick = self._ask(kind, count, label)
        if self._made is not None:
            self._made.append((kind, count, pick))
        if pick:
            self._taken.append((number, kind, pick))
            self._recorder.record_choice(number, kind, label(pick))
        return pick

    def _planned(self, number: int, kind: str, count: int, label: Callable[[int], str]) -> int:
        """Return what the plan says of this choice, if that fits."""
        planned = self._left.pop(number)
        if planned.kind == kind and planned.pick < count:
            return planned.pick
        if self._lenient:
            return self._ask(kind, count, label)
        met = f"a choice of {kind} among {count} ({', '.join(label(i) for i in range(count))})"
        world = self._world()
        assert world is not None, "a world that is gone makes no choices"
        raise world.end("plan", f"the plan's {planned.text()} does not fit: choice {number} is {met}")

    def close(self) -> str:
        """End the choosing, and say which deviations of the plan were never reached, if any."""
        self.open = False
        if self._lenient or not self._left:
            return ""
        left = ", ".join(d.text() for d in self._left.values())
        return f"the plan's {left} was never reached: the run made {self._count} choices"

    @property
    def taken(self) -> tuple[Deviation, ...]:
        """Every choice so far that was not 0."""
        return tuple(Deviation(number, kind, pick) for number, kind, pick in self._taken)

"""Extent: how much of a space was run, counted as runs come in, and told in a sentence that is true.

The idea: the default run says how many plans with one deviation there are and how many faults to sweep, so counting
what was run says what is left of both. The constraint: nothing here says *exhausted* by itself; whoever knows that
nothing is left behind these plans either says so. A share in percent was refused: of what, for a space that is larger
the more of it is known?
"""

from __future__ import annotations

from simkit.explore.attempts import Space
from simkit.explore.outcome import Attempt, Outcome
from simkit.explore.sweep import sweep


class Extent:
    """What was run of a space; ``first`` is the outcome of its default run."""

    __slots__ = ("_choices", "_space", "_struck", "_systematic", "faults", "left")

    def __init__(self, space: Space, first: Outcome) -> None:
        self._space = space
        self._choices = len(first.choices)
        # The default run is a systematic plan too.
        self._struck, self._systematic = 0, 1
        # How many plans with one deviation are not run yet, and how many faults there are to sweep.
        self.left = sum(choice.count - 1 for choice in first.choices)
        self.faults = sum(1 for _ in sweep(space, first))

    def note(self, attempt: Attempt) -> None:
        """Take note that an attempt was run."""
        plan = attempt.plan
        if plan.strikes:
            self._struck += len(plan.strikes) == 1
        elif attempt.strategy == "fifo" and plan.seed == self._space.seed:
            self._systematic += 1
            self.left -= len(plan.deviations) == 1

    def note_behind(self, parent: Attempt, runs: int) -> None:
        """Take note that so many of the plans with one deviation or fault more than this one were run."""
        if not parent.plan.strikes:
            self._systematic += runs

    @property
    def is_covered(self) -> bool:
        """Say whether every single deviation and every single fault was run."""
        return not self.left and self._all_struck

    @property
    def _all_struck(self) -> bool:
        return self._struck >= self.faults

    def statement(self, *, exhausted: bool) -> str:
        """Say in words what was exhausted, or how far that is."""
        faults = f"; {self._struck} of {self.faults} single faults struck" if self.faults else ""
        return f"{self._said(exhausted)}, under seed {self._space.seed}{faults}"

    def _said(self, exhausted: bool) -> str:
        choices, single = counted(self._choices, "choice"), counted(1, "deviation")
        up_to = f"all plans with up to {counted(self._space.depth, 'deviation')} of {choices}"
        if not self._choices:
            return f"{'' if exhausted else 'not '}exhausted: the default run makes no choices"
        if exhausted:
            return f"exhausted: {up_to} ({self._systematic} of them)"
        if self.left:
            return f"not exhausted: {self.left} of the plans with {single} of {choices} were not run"
        # Where faults are left, they are why, and the sentence names them at its end.
        behind = "all that lies behind them" if self._space.sweep == "pairs" else up_to
        return (
            f"not exhausted: all plans with {single} of {choices} were run" + f", but not {behind}" * self._all_struck
        )


def counted(number: int, what: str) -> str:
    """Return a number with its noun, which gets its s."""
    return f"{number} {what}{'' if number == 1 else 's'}"

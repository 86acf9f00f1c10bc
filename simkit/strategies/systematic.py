"""Systematic: every plan with up to so many deviations, each of them once.

The idea: a run that is the default behind its last deviation meets the choices at which one more could be made, so the
plans form a tree whose root is the default run, and walking it visits each set of deviations exactly once (Emmi,
Qadeer, Rakamaric: Delay-bounded scheduling, POPL 2011, bound a search in the same way). The constraint: this room sees
kinds and counts, runs nothing and remembers nothing, so whoever ran a plan can name its children. A chooser that walks
the tree from run to run was refused: its state would belong to one process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simkit.model.plan import Deviation


def one_more(deviations: tuple[Deviation, ...], met: Sequence[tuple[str, int]]) -> Iterator[tuple[Deviation, ...]]:
    """Yield every way to deviate once more, behind the last deviation of a run.

    ``met`` is the kind of each choice of that run, from its beginning, and among how many it was. The ways are spread
    over the run and not in its order: whoever cannot try all of them has then tried some of every part.
    """
    first = deviations[-1].number + 1 if deviations else 0
    for number in _spread(first, len(met)):
        kind, count = met[number]
        for pick in range(1, count):
            yield (*deviations, Deviation(number=number, kind=kind, pick=pick))


def _spread(first: int, end: int) -> Iterator[int]:
    """Yield the numbers of a range, coarse steps before fine ones: their bits count from the other end."""
    bits = max(end - first - 1, 0).bit_length()
    for number in range(1 << bits):
        mirrored = first + int(f"{number:0{bits}b}"[::-1], 2)
        if mirrored < end:
            yield mirrored

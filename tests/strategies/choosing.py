"""Asks a strategy the choices of a made-up run, and tells what it chose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simkit.contracts import Chooser

Asked = tuple[str, Sequence[str]]


def picks(chooser: Chooser, asked: Iterable[Asked]) -> list[str]:
    """Return the words for what is chosen, among words like these."""
    return [words[chooser.choose(kind, len(words), words.__getitem__)] for kind, words in asked]


def race(chooser: Chooser, steps: dict[str, int], kind: str = "order") -> str:
    """Let actors go on as the chooser says until all of them have made their steps; return who went, step by step."""
    left, went = dict(steps), list[str]()
    while left:
        names = list(left)
        name = names[chooser.choose(kind, len(names), names.__getitem__)]
        went.append(name)
        # Who has gone comes behind those who wait, as in a queue of callbacks.
        count = left.pop(name) - 1
        if count:
            left[name] = count
    return "".join(went)

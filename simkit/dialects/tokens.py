"""Token counts where the script gives none: guessed from lengths, one rule for every dialect.

The idea: an answer without a ``usage`` step still reports usage on wires whose answers always do. The constraint: the
same texts give the same count in every run and on every wire, so that one scenario can expect one figure. A real
tokenizer was refused: it is large, it belongs to one family of models, and nothing here depends on being exact.
"""

from __future__ import annotations

from typing import Final

from simkit.dialects.turn import Turn

# The rule of thumb that tokenizers of English text are near to.
_CHARACTERS_PER_TOKEN: Final = 4


def tokens(characters: int) -> int:
    """Return about how many tokens a text of this length is; never none."""
    return 1 + characters // _CHARACTERS_PER_TOKEN


def estimate(turn: Turn) -> int:
    """Return about how many tokens the model wrote: text, thoughts, refusal, names and arguments."""
    return tokens(len(turn.text) + len(turn.refusal) + len(turn.thoughts) + _called(turn))


def thought(turn: Turn) -> int:
    """Return about how many of them it only thought; none where it did not think."""
    return tokens(len(turn.thoughts)) if turn.thoughts else 0


def _called(turn: Turn) -> int:
    return sum(len(call.tool) + len(call.args) for call in turn.calls)

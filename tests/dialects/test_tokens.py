from __future__ import annotations

from simkit.dialects.tokens import estimate, thought, tokens
from simkit.dialects.turn import CallHeard, Turn


def test_four_characters_are_about_a_token_and_nothing_is_one() -> None:
    assert [tokens(n) for n in (0, 3, 4, 400)] == [1, 1, 2, 101]


def test_everything_that_was_written_counts() -> None:
    turns = [
        Turn(text="x" * 40),
        Turn(thoughts="x" * 40),
        Turn(refusal="x" * 40),
        Turn(calls=(CallHeard("id", "f" * 20, 0, "{" * 20),)),
    ]
    assert [estimate(t) for t in turns] == [11] * 4


def test_only_thoughts_count_as_thought() -> None:
    assert [thought(t) for t in (Turn(text="x" * 40), Turn(text="x", thoughts="x" * 40))] == [0, 11]

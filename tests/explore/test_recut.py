from __future__ import annotations

from typing import Any

from simkit.contracts import Sim
from simkit.explore.recut import CUTS, recut, recuts
from tests.provider.played import scenario
from tests.provider.wire import asker, chunks, post

SCRIPT = """
provider:
  - stream: [say: Hello, finish: stop]
"""


def cut_by(text: str) -> list[tuple[object, ...]]:
    return [(one.cut, *(answer.chunks for answer in one.scenario.provider)) for one in recuts(scenario(text))]


async def by_pieces(sim: Sim) -> None:
    """Takes a frame for whole that is one piece of the body."""
    kept: list[bytes] = []
    await asker(kept, post())(sim)  # type: ignore[misc]  # this one is a coroutine function
    sim.said("Hello" if any(b"Hello" in piece for piece in chunks(kept)) else "nothing")


async def by_bytes(sim: Sim) -> None:
    kept: list[bytes] = []
    await asker(kept, post())(sim)  # type: ignore[misc]  # as above
    sim.said("Hello" if b"Hello" in b"".join(chunks(kept)) else "nothing")


async def always_wrong(sim: Sim) -> None:
    await by_bytes(sim)
    raise RuntimeError("as ever")


def broken(subject: Any, text: str = SCRIPT) -> dict[object, list[str]]:
    return {one.cut: [b.law for b in said] for one, said in recut(scenario(text), subject=subject) if said}


def test_every_answer_is_cut_in_every_way_that_it_is_not_cut_in_already() -> None:
    text = "provider: [{stream: [say: a, finish: stop]}, {chunks: byte, stream: [say: a, finish: stop]}]"
    assert cut_by(text) == [(cut, cut, cut) for cut in CUTS]


def test_a_cut_that_changes_nothing_is_no_cut() -> None:
    assert [cut for cut, _ in cut_by("provider: [{chunks: {bytes: 7}, stream: [say: a]}]")] == [
        "byte",
        "burst",
        "whole",
    ]


def test_an_answer_in_which_time_passes_is_not_kept_to_its_end() -> None:
    text = """
        provider:
          - stream: [say: a, wait: 1s, finish: stop]
          - background: {stream: [say: a]}
          - stream: [say: a, finish: stop]
          - status: 500
        """
    assert cut_by(text)[-1] == ("whole", "frame", "frame", "whole", "frame")


def test_a_client_that_takes_pieces_for_frames_breaks_where_they_are_smaller() -> None:
    assert broken(by_pieces) == {"byte": ["chunking_invariance"], 7: ["chunking_invariance"]}


def test_the_first_difference_is_told_with_both_sides_of_it() -> None:
    (_, (first,)), *_ = recut(scenario(SCRIPT), subject=by_pieces)
    assert first.text == (
        """with the bodies cut as 'byte' there came the message {"text": "nothing"}, """
        """and as the scenario cuts them the message {"text": "Hello"}"""
    )


def test_a_client_that_reads_bytes_is_the_same_in_every_cut() -> None:
    assert broken(by_bytes) == {}


def test_what_the_scenario_breaks_as_it_is_is_not_told_again() -> None:
    assert broken(always_wrong) == {}


def test_a_law_that_breaks_in_one_cut_only_is_told_beside_the_difference() -> None:
    text = f"{SCRIPT}expect: {{last_message: Hello}}\n"
    assert broken(by_pieces, text)["byte"] == ["chunking_invariance", "expect.last_message"]

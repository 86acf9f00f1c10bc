from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from tests.reactions.cells import Reaction
from tests.reactions.conftest import ADVICE_OF_AIOHTTP
from tests.reactions.faces import STREAMED
from tests.reactions.sockets import NOT_ON_SOCKETS, all_on_sockets, hurried
from tests.reactions.table import Key, Meeting, Reactions, meetings, sections

pytestmark = pytest.mark.filterwarnings(ADVICE_OF_AIOHTTP)

# On a real machine somebody else may take the processor for as long as a client waits. Whoever saw something else than
# in a world asks again, with fewer beside it: a busy machine makes differences where there are none, and no equality.
_TRIES: Final = 3


def told(reaction: Reaction) -> tuple[str, list[str]]:
    """What is compared: the line of the page, and all errors to the last."""
    return reaction.cell(), reaction.seen.raised


def differing(asked: list[Meeting], expected: Reactions) -> dict[Key, object]:
    """Ask on real sockets; return what the world showed and what was seen, where that is not the same."""
    differ = dict[Key, object]()
    with hurried():
        for _ in range(_TRIES):
            seen = asyncio.run(all_on_sockets(asked))
            pairs = {m.key: (told(expected[m.key]), told(real)) for m, real in zip(asked, seen, strict=True)}
            differ = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
            asked = [m for m in asked if m.key in differ]
    return differ


@pytest.mark.parametrize("title", sections())
def test_a_client_sees_on_real_sockets_what_it_sees_in_a_world(title: str, world: Callable[[str], Reactions]) -> None:
    asked = [meeting for meeting in meetings(title) if meeting.case.title not in NOT_ON_SOCKETS]
    assert differing(asked, world(title)) == {}


def test_only_cases_that_exist_are_left_out() -> None:
    titles = {case.title for cases, _ in sections().values() for case in cases}
    assert [title for title in NOT_ON_SOCKETS if title not in titles] == []


def test_a_difference_would_be_seen(world: Callable[[str], Reactions]) -> None:
    title, raw = "How a stream ends", STREAMED[0]
    cases, _ = sections()[title]
    whole, cut = (next(c for c in cases if c.title == name) for name in ("a whole answer", "cut (FIN inside the body)"))
    asked = Meeting(whole, raw, "async")
    wrong = world(title)[Meeting(cut, raw, "async").key]
    assert list(differing([asked], {asked.key: wrong})) == [asked.key]

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import pytest

from simkit import extensions
from simkit.dialects.openai_chat import OPENAI_CHAT
from simkit.errors import Problem, UsageError
from simkit.extensions import find, names, nearest

STRANGERS = metadata.EntryPoints(
    [
        metadata.EntryPoint("theirs", "simkit.errors:Problem", "simkit.dialects"),
        metadata.EntryPoint("openai-chat", "simkit.errors:Problem", "simkit.dialects"),
        metadata.EntryPoint("broken", "no_such_module_anywhere:X", "simkit.dialects"),
    ]
)


@pytest.fixture
def _strangers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package that brings three dialects, one of them broken."""

    def entry_points(group: str) -> metadata.EntryPoints:
        return STRANGERS.select(group=group)

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    # What is installed is looked up once in a process.
    extensions._entry_points.cache_clear()
    yield
    extensions._entry_points.cache_clear()


def test_a_built_in_is_found_by_its_name() -> None:
    assert find("dialects", "openai-chat") is OPENAI_CHAT


def test_a_name_near_a_known_one_is_guessed() -> None:
    with pytest.raises(UsageError, match=r"called 'openai-chta' - did you mean 'openai-chat'\?"):
        find("dialects", "openai-chta")


def test_the_nearest_name_is_told_or_else_all_of_them() -> None:
    assert [nearest(*n) for n in (("agnet", ["agent", "flawed"]), ("xyz", ["agent", "flawed"]), ("xyz", []))] == [
        " - did you mean 'agent'?",
        " - known: agent, flawed",
        "",
    ]


@pytest.mark.usefixtures("_strangers")
def test_a_stranger_is_found_by_the_same_door_and_hides_no_built_in() -> None:
    assert (
        names("dialects"),
        find("dialects", "openai-chat") is OPENAI_CHAT,
        find("dialects", "theirs"),
    ) == (
        ["openai-chat", "openai-responses", "anthropic", "gemini", "theirs", "broken"],
        True,
        Problem,
    )


@pytest.mark.usefixtures("_strangers")
def test_a_stranger_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(UsageError, match=r"dialects 'broken' \(no_such_module_anywhere:X\) cannot be loaded"):
        find("dialects", "broken")

"""State: what a kill at any moment leaves on disk, and what of that counts afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from simkit.errors import UsageError
from simkit.explore.emptiness import Coverage
from simkit.explore.failures import Failure
from simkit.explore.outcome import Attempt, Broken
from simkit.explore.state import Campaigns, State, behaviour, fingerprint
from simkit.explore.units import Parent, UnitDone, run_first
from simkit.model.plan import Plan
from simkit.model.timeline import Place
from tests.explore.crew import case_of

BROKEN = Broken(law="ends", text="it raised 'x'", key="ends it raised #", place=Place("a.sim.yaml", 3, 1))
FAILURE = Failure(case="a", broken=BROKEN, plan=Plan.parse("seed=2,cut@answer1.frame2,tie@3:1"), number=7, count=3)
DONE = UnitDone(
    case="a",
    name="1-64",
    virtual_ns=90_000_000_000,
    coverage=Coverage(
        runs=64,
        reached=frozenset({"answer1", "answer1.step2"}),
        struck=frozenset({"cut"}),
        met=frozenset({"tie", "thread"}),
        varied=frozenset({"tie"}),
    ),
    failures=(FAILURE,),
    parents=(Parent(attempt=Attempt(number=4, plan=Plan.parse("seed=0,tie@3:1")), count=12),),
)


@contextmanager
def begun(root: Path, *done: UnitDone) -> Iterator[State]:
    with Campaigns(root).begin("key") as state:
        state.has_changed("a", "text")
        state.behaves_otherwise("a", "behaviour")
        for each in done:
            state.add(each)
        yield state


@contextmanager
def resumed(root: Path) -> Iterator[State]:
    campaigns = Campaigns(root)
    newest = campaigns.newest("key")
    assert newest is not None
    with campaigns.resume(newest) as state:
        yield state


def file_of(root: Path) -> Path:
    (file,) = root.rglob("units.jsonl")
    return file


def names(state: State) -> list[str]:
    return sorted(state.done("a"))


# -- what is kept --
def test_what_came_of_a_unit_is_read_back_as_it_was(tmp_path: Path) -> None:
    with begun(tmp_path, DONE):
        pass
    with resumed(tmp_path) as state:
        (read,) = state.done("a").values()
    assert (read, isinstance(read, UnitDone) and read.failures[0].broken.place) == (DONE, BROKEN.place)


def test_a_unit_that_nothing_came_of_stays_lost_with_its_reason(tmp_path: Path) -> None:
    with begun(tmp_path, DONE) as state:
        state.lose("a", "65-99", "killed three times")
    with resumed(tmp_path) as state:
        assert state.done("a") == {"1-64": DONE, "65-99": "killed three times"}


def test_of_a_unit_done_twice_the_later_one_counts(tmp_path: Path) -> None:
    with begun(tmp_path, DONE, replace(DONE, virtual_ns=1)):
        pass
    with resumed(tmp_path) as state:
        assert state.done("a") == {"1-64": replace(DONE, virtual_ns=1)}


def test_a_line_is_out_of_the_process_before_the_next_thing_is_done(tmp_path: Path) -> None:
    with begun(tmp_path, DONE):
        assert len(file_of(tmp_path).read_bytes().splitlines()) == 4


def test_secrets_in_a_failure_are_masked(tmp_path: Path) -> None:
    text = "raised with sk-" + "a1" * 20
    with begun(tmp_path, replace(DONE, failures=(replace(FAILURE, broken=replace(BROKEN, text=text)),))):
        pass
    assert "a1a1" not in file_of(tmp_path).read_text("utf-8")


def test_the_folder_keeps_itself_out_of_version_control(tmp_path: Path) -> None:
    with begun(tmp_path):
        pass
    assert (tmp_path / ".simkit" / ".gitignore").read_text("utf-8").splitlines()[-1] == "*"


# -- what a kill leaves --
def test_wherever_a_kill_tears_the_last_line_the_others_count_and_the_next_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thousand times to the disk and back is nothing that this is about.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    second, third = replace(DONE, name="65-99"), replace(DONE, name="100-101")
    with begun(tmp_path, DONE, second):
        pass
    file = file_of(tmp_path)
    whole = file.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    found = []
    for end in range(start, len(whole)):
        file.write_bytes(whole[:end])
        with resumed(tmp_path) as state:
            before = names(state)
            state.add(third)
        with resumed(tmp_path) as state:
            found.append((before, names(state)))
    assert found == [(["1-64"], ["1-64", "100-101"])] * (len(whole) - start)


@pytest.mark.parametrize("damage", [b"", b"\0\0\0", b"[]", b'{"case": "a", "unit": "65-99"}', b'{"case": "a"', b"\xff"])
def test_a_damaged_line_is_done_again_and_those_behind_it_are_not(tmp_path: Path, damage: bytes) -> None:
    with begun(tmp_path, DONE, replace(DONE, name="65-99"), replace(DONE, name="100-101")):
        pass
    file = file_of(tmp_path)
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([*lines[:4], damage, *lines[5:]]))
    with resumed(tmp_path) as state:
        assert names(state) == ["1-64", "100-101"]


def test_a_folder_whose_file_was_never_written_is_no_campaign(tmp_path: Path) -> None:
    with begun(tmp_path):
        pass
    (tmp_path / ".simkit" / "campaigns" / "key-2").mkdir()
    newest = Campaigns(tmp_path).newest("key")
    assert newest is not None
    assert newest.name == "key-1"


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    with begun(tmp_path):
        pass
    file_of(tmp_path).write_text(json.dumps({"simkit_campaign": 99}) + "\n", "utf-8")
    with (
        pytest.raises(UsageError, match="is no campaign of this simkit - begin another one, without --resume"),
        resumed(tmp_path),
    ):
        pass


# -- what does not count any more --
@pytest.mark.parametrize(
    ("text", "how", "changed"),
    [
        ("text", "behaviour", (False, False)),
        ("other", "behaviour", (True, False)),
        ("text", "other", (False, True)),
        ("other", "other", (True, False)),
    ],
)
def test_what_was_done_counts_for_the_same_case_only(
    tmp_path: Path, text: str, how: str, changed: tuple[bool, bool]
) -> None:
    with begun(tmp_path, DONE):
        pass
    with resumed(tmp_path) as state:
        assert (state.has_changed("a", text), state.behaves_otherwise("a", how)) == changed
        assert names(state) == ([] if any(changed) else ["1-64"])


def test_what_began_anew_is_still_new_after_another_kill(tmp_path: Path) -> None:
    with begun(tmp_path, DONE):
        pass
    with resumed(tmp_path) as state:
        state.has_changed("a", "other")
    with resumed(tmp_path) as state:
        assert (state.has_changed("a", "other"), names(state)) == (False, [])


def test_the_fingerprint_of_a_case_is_that_of_its_scenario_its_subject_and_its_space_but_not_of_its_runs() -> None:
    case = case_of("racing")
    others = [
        case_of("racing", "limits: {requests: 9}\n"),
        case_of("racing", seed=1),
        case_of("racing", sweep="single"),
        replace(case, subject="somebody:else"),
        replace(case, scenario=replace(case.scenario, settings={"flaw": "x"})),
        replace(case, scenario=replace(case.scenario, bases={"b.yaml": "c"})),
    ]
    assert fingerprint(case) == fingerprint(case_of("racing", runs=999))
    assert len({fingerprint(other) for other in (case, *others)}) == 1 + len(others)


def test_another_agent_behaves_otherwise() -> None:
    runs = [behaviour(run_first(case_of(agent))) for agent in ("racing", "racing", "fragile")]
    assert (runs[0] == runs[1], runs[0] == runs[2]) == (True, False)


# -- several campaigns --
def test_each_campaign_has_a_folder_of_its_own_and_the_newest_three_are_kept(tmp_path: Path) -> None:
    for _ in range(12):
        with begun(tmp_path):
            pass
    with Campaigns(tmp_path).begin("another"):
        pass
    there = sorted(path.name for path in (tmp_path / ".simkit" / "campaigns").iterdir())
    newest = Campaigns(tmp_path).newest("key")
    assert newest is not None
    assert (there, newest.name) == (["another-1", "key-10", "key-11", "key-12"], "key-12")


def test_a_campaign_that_is_under_way_is_neither_resumed_nor_forgotten(tmp_path: Path) -> None:
    with begun(tmp_path, DONE):
        with pytest.raises(UsageError, match="the campaign key-1 is under way in another process"), resumed(tmp_path):
            pass
        for _ in range(4):
            with begun(tmp_path):
                pass
        assert (tmp_path / ".simkit" / "campaigns" / "key-1").exists()


def test_where_nothing_can_be_written_that_is_told(tmp_path: Path) -> None:
    (tmp_path / ".simkit").write_text("a file", "utf-8")
    with pytest.raises(UsageError, match=r"campaigns' cannot be written: "), Campaigns(tmp_path).begin("key"):
        pass

"""Stored failures come back as they were; what cannot be read is told with its file, and nothing is ever half there."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from simkit.errors import UsageError
from simkit.explore.failures import Failure
from simkit.explore.outcome import Broken
from simkit.explore.store import FORMAT, Store, Stored, load
from simkit.model.plan import Plan
from simkit.model.timeline import Place

BROKEN = Broken(
    law="no_orphans",
    text="the task 'reader' was still alive",
    key="no_orphans the task # was still alive",
    place=Place("scenarios/a.sim.yaml", 7, 3),
)
FAILURE = Failure(
    case="scenarios/a.sim.yaml::181s",
    broken=BROKEN,
    plan=Plan.parse("seed=3,jitter=5ms,cut@answer1.frame2,thread@4:1"),
    number=12,
    count=30,
)
STORED = Stored(
    failure=FAILURE,
    file="scenarios/a.sim.yaml",
    row="181s",
    settings={"flaw": "leak"},
    subject="pkg:agent",
    shortened="simkit: 1\nscenario: \N{SNOWMAN}\n",
)
PLAIN = Stored(failure=replace(FAILURE, case="tests.a:test_b", broken=replace(BROKEN, place=None, unknown=True)))


@pytest.mark.parametrize("stored", [STORED, PLAIN])
def test_a_failure_comes_back_as_it_was_stored(stored: Stored, tmp_path: Path) -> None:
    read = load(Store(tmp_path).save(stored))
    assert (read, read.failure.broken.place, read.failure.id) == (
        stored,
        stored.failure.broken.place,
        stored.failure.id,
    )


def test_its_file_is_named_after_what_failed_and_lies_where_git_does_not_look(tmp_path: Path) -> None:
    path = Store(tmp_path).save(STORED)
    assert (path.relative_to(tmp_path).as_posix(), (tmp_path / ".simkit" / ".gitignore").read_text().split()[-1]) == (
        f".simkit/failures/a_181s_no_orphans-{FAILURE.id}.json",
        "*",
    )


def test_what_is_known_of_the_same_failure_is_replaced_and_other_failures_stay(tmp_path: Path) -> None:
    store, smaller = Store(tmp_path), replace(STORED, failure=replace(FAILURE, plan=Plan(), count=31))
    for stored in (STORED, PLAIN, smaller):
        store.save(stored)
    assert (store.find(FAILURE.id), store.find(PLAIN.failure.id[:5]), len(store.files())) == (smaller, PLAIN, 2)


def test_the_failures_of_a_case_are_known_by_its_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before = store.known(FAILURE.case)
    store.save(STORED), store.save(PLAIN)
    assert (before, store.known(FAILURE.case), store.known("tests.a:test_b"), store.known("b")) == (
        (),
        (STORED,),
        (PLAIN,),
        (),
    )


def test_secrets_are_masked_in_settings_and_texts(tmp_path: Path) -> None:
    # Put together here, since no file of the repository holds what looks like a key.
    key = "-".join(("sk", "proj", "a" * 20))
    secret = replace(STORED, settings={"api_key": "hunter2", "flaw": "leak"}, shortened=f"about: {key}\n")
    text = Store(tmp_path).save(secret).read_text()
    assert (json.loads(text)["settings"], "hunter2" in text, key in text) == (
        {"api_key": "***", "flaw": "leak"},
        False,
        False,
    )


# -- finding ---------------------------------------------------------------------------------------------------------
def said(store: Store, prefix: str) -> str:
    with pytest.raises(UsageError) as caught:
        store.find(prefix)
    return str(caught.value)


def test_an_unknown_id_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(STORED)
    assert said(store, "zz") == (
        f"no failure in '{store.folder.as_posix()}' has the id 'zz' - there are: {FAILURE.id} (a_181s_no_orphans)"
    )


def test_many_ids_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for line in range(20):
        broken = replace(BROKEN, place=Place("a", line))
        store.save(replace(STORED, failure=replace(FAILURE, broken=broken)))
    assert said(store, "zz").endswith(" and 8 more")


@pytest.mark.parametrize("prefix", ["", "0"])
def test_without_any_failure_the_way_out_is_to_explore(prefix: str, tmp_path: Path) -> None:
    assert said(Store(tmp_path), prefix).endswith("- run simkit explore first, or look in another folder")


def test_a_beginning_that_several_ids_share_is_refused_with_these(tmp_path: Path) -> None:
    store, folder = Store(tmp_path), tmp_path / ".simkit" / "failures"
    store.save(STORED)
    (path,) = store.files()
    for name in ("a-12ab.json", "b-12cd.json"):
        (folder / name).write_bytes(path.read_bytes())
    assert said(store, "12") == "'12' is the beginning of several ids - there are: 12ab (a), 12cd (b)"


# -- files that are wrong ----------------------------------------------------------------------------------------------
WRONG = [
    ("{", "is not JSON: Expecting property name"),
    ("[" * 100_000, "is not JSON: "),
    ("\udcff", "is not JSON: 'utf-8' codec can't decode"),
    ("[]", "is no failure of simkit: expected a file that simkit explore has written"),
    ('{"simkit_failure": 2}', f"has the format 2, and this simkit reads {FORMAT} - use the simkit that wrote it"),
    ('{"simkit_failure": "1"}', "has '1' as 'simkit_failure', expected a whole number"),
    ('{"simkit_failure": 1}', "has None as 'law', expected text - explore again"),
]


@pytest.mark.parametrize(("text", "error"), WRONG)
def test_a_file_that_is_none_is_told_with_its_name(text: str, error: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{str(path)!r} {error}")


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("plan", "seven", "has 'seven' as 'plan', expected a plan ('seven' is not a plan"),
        ("settings", {"a": 1}, "has {'a': 1} as 'settings', expected texts by their names"),
        ("place", [1], "has [1] as 'place', expected a file, a line and a column"),
        ("count", True, "has True as 'count', expected a whole number"),
        ("subject", 3, "has 3 as 'subject', expected text"),
    ],
)
def test_a_value_that_is_wrong_is_told_with_its_key(key: str, value: object, error: str, tmp_path: Path) -> None:
    path = Store(tmp_path).save(STORED)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{str(path)!r} {error}")


def test_a_file_that_is_not_there_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'.*none\.json' cannot be read: No such file or directory"):
        load(tmp_path / "none.json")


# -- whole or not at all -----------------------------------------------------------------------------------------------
def test_what_dies_while_it_writes_leaves_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    store = Store(tmp_path)
    store.save(STORED)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            store.save(replace(STORED, subject="other:agent"))
    assert (store.find(FAILURE.id), len(store.files())) == (STORED, 1)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / ".simkit").touch()
    with pytest.raises(UsageError, match=r"no_orphans-\w+\.json' cannot be written: "):
        Store(tmp_path).save(STORED)

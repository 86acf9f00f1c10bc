"""Shards: together they are the suite, and no case is in two of them."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from simkit.cli import main
from simkit.commands.shards import Shard
from simkit.errors import UsageError
from tests.conftest import Folder


@given(cases=st.integers(0, 50), parts=st.integers(1, 12))
def test_the_parts_are_disjoint_are_the_whole_and_are_of_one_size(cases: int, parts: int) -> None:
    shards = [Shard(part, parts).of(range(cases)) for part in range(1, parts + 1)]
    sizes = [len(shard) for shard in shards]
    assert (sorted(chain.from_iterable(shards)), max(sizes) - min(sizes) <= 1) == ([*range(cases)], True)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/", "/2", "a/b", "1/2/3", "-1/2", "1/0", "\u00b2/3"])
def test_what_is_no_part_of_a_suite_is_told(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no part of a suite, expected I/N with I from 1 to N, such as 2/5"):
        Shard.parse(text)


def test_the_runs_of_all_shards_are_the_run_of_the_suite(folder: Folder) -> None:
    folder.scenario("a", matrix="{x: [p, q, r]}", about="${x}")
    folder.scenario("b"), folder.scenario("c", "agents:mute")
    parts = [names(f"--shard={part}/3") for part in (1, 2, 3)]
    assert (sorted(chain.from_iterable(parts)), [len(part) for part in parts]) == (sorted(names()), [2, 2, 1])


def names(*options: str) -> list[str]:
    ran = CliRunner().invoke(main, ["run", "--format", "json", *options])
    return [f"{one['file']}::{one['case']}" for one in json.loads(ran.stdout)["results"]]


def test_a_shard_says_its_share_and_an_empty_one_passes(folder: Folder) -> None:
    path = folder.scenario()
    ran = CliRunner().invoke(main, ["run", path, "--shard", "2/2"])
    assert (ran.exit_code, ran.stderr, ran.stdout) == (0, "simkit: shard 2/2: 0 of 1 case\n", "no cases\n")


def test_verify_runs_the_same_shard_again(folder: Folder) -> None:
    folder.scenario("a"), folder.scenario("b"), folder.scenario("c")
    ran = CliRunner().invoke(main, ["run", ".", "--shard", "1/2", "--verify"])
    last = ran.stdout.splitlines()[-1]
    assert (ran.exit_code, last) == (0, "verified: 2 of 2 cases ran the same under another hash seed")
    assert not Path("simkit-report").exists()

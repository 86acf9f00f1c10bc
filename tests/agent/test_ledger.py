from __future__ import annotations

from dataclasses import dataclass

import pytest

from simkit.agent.budgets import Cancelled, Ended, Returned
from simkit.agent.ledger import Asker, Entry, Ledger, Status, Stop, status_of


@dataclass
class FakeJob:
    ended: Ended | None = None

    @property
    def alive(self) -> bool:
        return self.ended is None


def entry(name: str, ended: Ended | None = None, stop: Stop | None = None, waiting: int = 0) -> Entry[FakeJob]:
    return Entry(name, name, {}, name, FakeJob(ended), stop=stop, waiting=waiting)


def ledger(*entries: Entry[FakeJob]) -> Ledger[FakeJob]:
    books: Ledger[FakeJob] = Ledger(len(entries))
    for one in entries:
        books.open(one)
        books.park(one, one.tool, 0.0)
    return books


DONE = Returned("ok")


@pytest.mark.parametrize(
    ("ended", "by", "state"),
    [
        (None, None, "still_running"),
        (None, "agent", "cancelling"),
        (None, "eviction", "cancelling"),
        (Cancelled(), "agent", "cancelled"),
        (Cancelled(), "session", "cancelled"),
        (Cancelled(), "eviction", "evicted"),
        (Cancelled(), None, "error"),
        (DONE, None, "completed"),
        (DONE, "eviction", "completed"),
        (Returned({"success": False}), "agent", "error"),
    ],
)
def test_an_entry_is_called_by_its_jobs_end_and_by_who_asked_it_to_stop(
    ended: Ended | None, by: Asker | None, state: str
) -> None:
    assert status_of(entry("a", ended, Stop(by, 0.0) if by else None)).state == state


@pytest.mark.parametrize(
    ("names", "goes"),
    [
        ("running ended", "ended"),
        ("running awaited ended", "ended"),
        ("running asked awaited", "awaited"),
        ("running asked", "asked"),
        ("stuck running other", "running"),
        ("stuck", None),
        ("", None),
    ],
)
def test_who_has_to_go_is_who_loses_least(names: str, goes: str | None) -> None:
    kinds = {
        "running": entry("running"),
        "other": entry("other"),
        "ended": entry("ended", DONE),
        "awaited": entry("awaited", DONE, waiting=1),
        "asked": entry("asked", stop=Stop("agent", 8.0)),
        "stuck": entry("stuck", stop=Stop("agent", 5.0)),
    }
    victim = ledger(*(kinds[name] for name in names.split())).victim(10.0, 5.0)
    assert (victim and victim.tool) == goes


def test_an_id_that_left_is_known_and_the_first_word_on_it_stands() -> None:
    books = ledger(entry("a"), entry("b"))
    books.retire(Status(background_id="a", state="evicted"))
    books.retire(Status(background_id="a", state="delivered"))
    books.retire(Status(background_id="c", state="delivered"))
    assert [books.recall(i).state for i in ("a", "c")] == ["evicted", "unknown"]
    assert [books.knows(i) for i in ("a", "b", "c")] == [True, True, False]


def test_only_so_many_ids_that_left_are_remembered_the_oldest_going_first() -> None:
    books: Ledger[FakeJob] = Ledger(1)
    for n in range(1_002):
        one = entry(str(n))
        books.open(one)
        books.park(one, one.tool, 0.0)
        books.retire(Status(background_id=one.tool, state="delivered"))
    assert [books.recall(i).state for i in ("1", "2", "1001")] == ["unknown", "delivered", "delivered"]


def test_a_call_is_in_the_foreground_until_it_is_parked_or_over() -> None:
    books: Ledger[FakeJob] = Ledger(2)
    first, second = entry("a"), entry("b")
    books.open(first)
    books.open(second)
    books.park(first, "bg-1", 3.0)
    books.close(second)
    books.close(second)
    assert (books.foreground, books.parked, first.parked_at_s, books.full) == ([], {"bg-1": first}, 3.0, False)

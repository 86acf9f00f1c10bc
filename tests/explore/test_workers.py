"""Workers: who does the work, what comes back, and what becomes of the work of one that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import active_children
from pathlib import Path

import pytest

from simkit.errors import UsageError
from simkit.explore.workers import Workers, here, on_dask, on_executor, processes
from tests.explore import crew
from tests.explore.crew import Work, done_by


@contextmanager
def threads() -> Iterator[Workers]:
    with ThreadPoolExecutor(2) as pool, on_executor(pool, 3) as workers:
        yield workers


WAYS = {"here": here, "processes": lambda: processes(2), "any executor": threads}


@pytest.fixture(params=WAYS)
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    way: AbstractContextManager[Workers] = WAYS[request.param]()
    with way as made:
        yield made


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Nobody may have asked yet how it ended.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8")


# -- what comes back --
def test_the_values_of_all_tasks_come_back(workers: Workers) -> None:
    assert done_by(workers, [(crew.double, number) for number in range(9)]) == [2 * number for number in range(9)]


def test_a_mistake_in_a_task_is_the_callers(workers: Workers) -> None:
    with pytest.raises(UsageError, match="no strategy is called 'fofo'"):
        done_by(workers, [(crew.explore_wrongly, "fofo")])


def test_what_goes_wrong_in_a_task_comes_back_as_text_also_where_it_could_not_be_sent(workers: Workers) -> None:
    (why,) = done_by(workers, [(crew.stumble, "over a stone")])
    assert isinstance(why, str)
    assert (why.splitlines()[0], why.splitlines()[-1]) == (
        "task 0 could not be done: Traceback (most recent call last):",
        "tests.explore.crew.StrangeError: over a stone",
    )


def test_tasks_run_in_as_many_processes_as_were_asked_for() -> None:
    with processes(2) as workers:
        pids = done_by(workers, [(crew.pid, number) for number in range(8)])
    assert (len(set(pids)), os.getpid() in pids) == (2, False)


# -- who is killed --
@pytest.mark.parametrize("deaths", [1, 2])
def test_a_task_whose_worker_is_killed_is_done_again(tmp_path: Path, deaths: int) -> None:
    tasks: list[Work] = [(crew.double, 1), (crew.die_so_often, (str(tmp_path / "deaths"), deaths)), (crew.double, 2)]
    with processes(2) as workers:
        assert done_by(workers, tasks) == [2, f"survived {deaths} times", 4]


def test_a_task_that_kills_its_worker_three_times_is_told_by_name_and_not_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "deaths"
    with processes(2) as workers:
        told = done_by(workers, [(crew.die_so_often, (str(file), 9)), (crew.double, 1)])
    assert told == ["task 0: its worker was killed 3 times, so it is not tried again", 2]
    assert file.read_text() == "xxx"


def test_a_worker_that_is_killed_while_it_has_nothing_to_do_costs_nobody_anything() -> None:
    with processes(1) as workers:
        (first,) = done_by(workers, [(crew.pid, 0)])
        os.kill(int(str(first)), signal.SIGKILL)
        (second,) = done_by(workers, [(crew.pid, 0)])
    assert first != second


def test_who_is_still_at_work_when_nobody_waits_any_more_is_ended() -> None:
    before = set(active_children())
    with processes(1) as workers:
        workers.start(crew.task(crew.sleep_long, 0))
        workers.finish(0.0)
    assert set(active_children()) - before == set()


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from simkit.explore.workers import processes
            from tests.explore import crew
            if __name__ == "__main__":
                with processes(2) as workers:
                    print(*crew.done_by(workers, [(crew.pid, 0), (crew.pid, 1)]), flush=True)
                    sys.stdin.read()
            """
        ),
        "utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(script)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert [is_alive(pid) for pid in pids] == [True, True]
        parent.kill()
    while any(map(is_alive, pids)):
        time.sleep(0.02)


# -- a cluster --
def test_where_no_scheduler_answers_that_is_told() -> None:
    with (
        pytest.raises(UsageError, match=r"no dask scheduler answers at 'tcp://127\.0\.0\.1:1'"),
        on_dask("tcp://127.0.0.1:1"),
    ):
        pass


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(UsageError, match="no dask scheduler answers at 'nowhere'"), on_dask("nowhere"):
        pass

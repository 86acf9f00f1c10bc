"""Progress as it is seen: `simkit run` on a terminal, and what is left on it when the run is over.

The terminal is a real one (a pty), and a few lines below read what was written to it as a screen would.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.conftest import Folder

SIMKIT = (sys.executable, "-m", "simkit.cli")
PLAIN: Mapping[str, str] = MappingProxyType({})


@contextmanager
def terminal(
    *arguments: str, columns: int = 100, env: Mapping[str, str] = PLAIN
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run simkit on a terminal; give the process, and where to read what it writes."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    running = subprocess.Popen(
        [*SIMKIT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**inherited, "TERM": "xterm", **env},
        # A shell starts background jobs with Ctrl-C ignored, and a child inherits that from its tests.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(theirs)
    try:
        yield running, mine
    finally:
        running.kill()
        running.wait()
        os.close(mine)


def written(mine: int) -> str:
    """Return everything that is written to the terminal until nobody can write to it any more."""
    read = b""
    # Linux says it with an error when the last writer is gone.
    with suppress(OSError):
        while data := os.read(mine, 65536):
            read += data
    return read.decode()


def shown(*arguments: str, columns: int = 100, env: Mapping[str, str] = PLAIN) -> str:
    with terminal("run", *arguments, columns=columns, env=env) as (_, mine):
        return written(mine)


_PIECE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def screen(text: str) -> tuple[list[str], bool]:
    """Return the lines that are left on a screen, and whether its cursor is shown. What it cannot read is an error."""
    lines, row, column, cursor = [""], 0, 0, True
    assert _PIECE.sub("", text) == ""
    for number, command, move, said in _PIECE.findall(text):
        match command or move:
            case "\r":
                column = 0
            case "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            case "A":
                row -= int(number or 1)
            case "K":
                assert number == "2"
                lines[row] = ""
            case "h" | "l":
                assert number == "?25"
                cursor = command == "h"
            case "m":
                pass
            case "":
                lines[row] = f"{lines[row]:<{column}}"[:column] + said + lines[row][column + len(said) :]
                column += len(said)
            case unknown:
                raise AssertionError(f"the screen was told {unknown!r}")
    return lines, cursor


def plain(text: str) -> list[str]:
    """Return what was written without wall times, which differ from run to run."""
    return [re.sub(r"\d\.\d\ds(?= wall|$)", "...", line) for line in text.splitlines()]


def several(folder: Folder, count: int = 6) -> None:
    for number in range(count):
        folder.scenario(f"s{number}", "agents:mute" if number == 3 else "agents:good")


# -- what is seen --
def test_while_cases_run_their_number_the_failures_the_time_and_the_case_are_shown(folder: Folder) -> None:
    folder.file("late.py", "import asyncio\nasync def run(sim):\n    await asyncio.sleep(90)\n    sim.said('hello')\n")
    several(folder)
    folder.scenario("s1", "late:run")
    drawn = re.findall(r"\r\x1b\[2K(?:\x1b\[[0-9;]*m|[━╸╺])*  (\d/6.*?)\r\n", shown())
    assert drawn == [
        "0/6  0 failed, 0s of virtual time  s0.sim.yaml::run",
        "1/6  0 failed, 0s of virtual time  s1.sim.yaml::run",
        "2/6  0 failed, 90s of virtual time  s2.sim.yaml::run",
        "3/6  0 failed, 90s of virtual time  s3.sim.yaml::run",
        "4/6  1 failed, 90s of virtual time  s4.sim.yaml::run",
        "5/6  1 failed, 90s of virtual time  s5.sim.yaml::run",
    ]


# -- what is left --
@pytest.mark.parametrize(("columns", "env"), [(10, {}), (61, {"NO_COLOR": "1"}), (100, {})])
def test_when_the_run_is_over_the_terminal_holds_what_a_pipe_would_and_its_cursor_is_shown(
    folder: Folder, columns: int, env: dict[str, str]
) -> None:
    several(folder)
    lines, cursor = screen(shown(columns=columns, env=env))
    width = {"COLUMNS": str(columns)}
    piped = subprocess.run([*SIMKIT, "run"], capture_output=True, text=True, env={**os.environ, **width}, check=False)
    assert (plain("\n".join(lines)), cursor) == (plain(piped.stdout), True)


def test_what_an_agent_prints_stays_whole_above_the_line(folder: Folder) -> None:
    long = "thinking " * 30
    folder.file(
        "prints.py",
        f"import sys\nfrom agents import good\nasync def run(sim):\n    print({long!r})\n"
        "    print('a warning', file=sys.stderr)\n    print('no end', end='')\n    await good(sim)\n",
    )
    several(folder)
    folder.scenario("s1", "prints:run")
    lines, _ = screen(shown("-q"))
    assert lines[:3] == [long, "a warning", "no end"]


def test_the_trace_is_the_same_on_a_terminal_and_in_a_pipe(folder: Folder) -> None:
    several(folder)
    folder.scenario("s1", "agents:chatty")
    shown("--trace", "terminal.jsonl")
    subprocess.run([*SIMKIT, "run", "--trace", "pipe.jsonl"], capture_output=True, check=False)
    assert Path("terminal.jsonl").read_bytes() == Path("pipe.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("count", "arguments", "env"), [(5, (), {}), (6, (), {"TERM": "dumb"}), (6, ("--format", "json"), {})]
)
def test_for_a_few_cases_on_a_dumb_terminal_and_for_a_program_nothing_is_drawn(
    folder: Folder, count: int, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    several(folder, count)
    text = shown(*arguments, env=env)
    assert (f"{count - 1}/{count}" in text, "\x1b[2K" in text, "s0.sim.yaml" in text) == (False, False, True)


def test_a_pipe_gets_plain_lines_and_no_library_for_terminals_is_loaded(folder: Folder) -> None:
    several(folder)
    code = "import sys\nfrom simkit import cli\ntry:\n    cli.main(['run'])\nfinally:\n    print('rich' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ("\x1b" in ran.stdout, ran.stdout.splitlines()[-1]) == (False, "False")


# -- Ctrl-C --
STUBBORN = """
import time

def listens(sim):
    open("started", "w").close()
    while True:
        for _ in range(10**6): pass

def swallows(sim):
    open("started", "w").close()
    while True:
        try:
            for _ in range(10**9): pass
        except BaseException:
            pass
"""


@pytest.mark.parametrize("agent", ["listens", "swallows"])
def test_ctrl_c_leaves_the_terminal_clean(folder: Folder, agent: str) -> None:
    folder.file("stubborn.py", STUBBORN)
    several(folder)
    folder.scenario("s1", f"stubborn:{agent}")
    with terminal("run") as (running, mine):
        while not Path("started").exists():
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        lines, cursor = screen(written(mine))
        code = running.wait()
    told = [line.split("   ")[0] for line in plain("\n".join(lines))]
    assert (code, cursor, told) == (
        130,
        True,
        [
            "PASS",
            "",
            "interrupted in s1.sim.yaml::run: 1 of 6 cases done",
            "1 case: 1 passed; 0s of virtual time in ...",
        ],
    )

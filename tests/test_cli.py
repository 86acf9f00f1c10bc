"""The command line as a user meets it: what is printed, where, and with which exit code.

What happens between processes (pipes, signals, encodings, hash seeds) is tried with real ones.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simkit import cli
from tests.conftest import Folder

SCENARIOS = Path(__file__).parents[1] / "scenarios"
SIMKIT = (sys.executable, "-m", "simkit.cli")


def simkit(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def process(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SIMKIT, *arguments], capture_output=True, text=True, env={**os.environ, **env})


def verdicts(output: str) -> list[str]:
    return [line.split()[1] + " " + line.split()[0] for line in output.splitlines() if "virtual  " in line]


# -- what is printed --
def test_a_line_for_each_case_then_a_summary_and_zero(folder: Folder) -> None:
    folder.scenario("a"), folder.scenario("b")
    ran = simkit("run")
    assert (ran.exit_code, verdicts(ran.stdout), ran.stderr) == (
        0,
        ["a.sim.yaml::run PASS", "b.sim.yaml::run PASS"],
        "",
    )
    assert ran.stdout.splitlines()[-1].startswith("2 cases: 2 passed; ")


def test_a_failure_names_expectation_place_and_the_command_to_run_it_again(folder: Folder) -> None:
    folder.scenario("a", "agents:mute"), folder.scenario("b")
    ran = simkit("run", ".")
    assert (ran.exit_code, verdicts(ran.stdout)) == (1, ["a.sim.yaml::run FAIL", "b.sim.yaml::run PASS"])
    for part in ("a.sim.yaml:6   expect.last_message", "Replay   simkit run", "2 cases: 1 passed, 1 failed"):
        assert part in ran.stdout


def test_what_a_subject_raises_is_in_the_report_with_its_file_and_line(folder: Folder) -> None:
    line = (folder.path / "agents.py").read_text().splitlines().index('    raise RuntimeError("the agent broke")') + 1
    ran = simkit("run", folder.scenario(agent="agents:broken"))
    assert f"the subject raised RuntimeError at agents.py:{line}" in ran.stdout
    assert ran.exit_code == 1


def test_quiet_prints_failures_and_the_summary_only(folder: Folder) -> None:
    folder.scenario("a", "agents:mute"), folder.scenario("b")
    assert verdicts(simkit("run", "-q").stdout) == []


def test_json_is_all_that_stands_on_standard_output_even_when_the_agent_prints(folder: Folder) -> None:
    folder.scenario("a", "agents:mute"), folder.scenario("b", "agents:chatty")
    ran = simkit("run", "--format", "json")
    told = [(r["file"], r["case"], r["verdict"], r["findings"]) for r in json.loads(ran.stdout)["results"]]
    assert (ran.exit_code, ran.stderr, [(*case, [f["law"] for f in found]) for *case, found in told]) == (
        1,
        "I am thinking\n",
        [("a.sim.yaml", "run", "FAIL", ["expect.last_message"]), ("b.sim.yaml", "run", "PASS", [])],
    )


def test_lint_counts_what_it_checked(folder: Folder) -> None:
    folder.scenario("a", matrix="{x: [p, q]}", about="${x}"), folder.scenario("b")
    assert simkit("lint", "--no-run", "--off", "key-order").stdout == "2 files, 3 cases: no problems\n"


def test_help_names_every_exit_code_and_fits_a_terminal() -> None:
    ran = simkit("run", "--help")
    assert ran.exit_code == 0
    assert "0 pass; 1 a scenario failed; 2 a scenario or an option is wrong" in " ".join(ran.stdout.split())
    assert [line for line in ran.stdout.splitlines() if len(line) > 80] == []


def test_without_arguments_it_says_what_it_can_do() -> None:
    ran = simkit()
    assert (ran.exit_code, "lint" in ran.output) == (2, True)


# -- what its author skips or expects to fail --
def standing(folder: Folder) -> None:
    folder.scenario("a")
    folder.scenario("b", "agents:is_not_written_yet", skip="waits for its agent")
    folder.scenario("c", "agents:mute", xfail="a known bug")


def outcomes(*options: str) -> tuple[int, list[tuple[str, str, str]]]:
    ran = simkit("run", "--format", "json", *options)
    results = json.loads(ran.stdout)["results"]
    return ran.exit_code, [(r["case"], r["verdict"], r.get("reason", "")) for r in results]


def test_skipped_and_expected_failures_are_told_with_their_reasons_and_are_no_failure(folder: Folder) -> None:
    standing(folder)
    ran = simkit("run")
    assert (ran.exit_code, [re.sub(r"  .*  ", "  ", line) for line in ran.stdout.splitlines()[:3]]) == (
        0,
        ["PASS  0.00s wall", "SKIPPED b.sim.yaml::run  waits for its agent", "XFAILED c.sim.yaml::run  a known bug"],
    )
    assert ran.stdout.splitlines()[3].startswith("3 cases: 1 passed, 1 skipped, 1 xfailed; ")
    assert outcomes() == (
        0,
        [("run", "PASS", ""), ("run", "SKIPPED", "waits for its agent"), ("run", "XFAILED", "a known bug")],
    )


def test_a_pass_that_was_expected_to_fail_is_a_failure_that_says_so(folder: Folder) -> None:
    ran = simkit("run", folder.scenario(xfail="was mended"))
    assert (ran.exit_code, verdicts(ran.stdout)) == (1, ["a.sim.yaml::run FAIL"])
    told = [line for line in ran.stdout.splitlines() if line.endswith("   xfail") or "expected" in line]
    assert told == ["a.sim.yaml:7   xfail", "  expected to fail (was mended), and it passed."]


def test_quiet_tells_of_neither_but_counts_both(folder: Folder) -> None:
    standing(folder)
    assert simkit("run", "-q").stdout.startswith("3 cases: 1 passed, 1 skipped, 1 xfailed; ")


def test_rows_can_be_skipped_one_by_one(folder: Folder) -> None:
    folder.scenario(matrix="{x: [p, q]}", about="${x}", skip="{when: {x: q}, because: not yet}")
    assert outcomes() == (0, [("p", "PASS", ""), ("q", "SKIPPED", "not yet")])


def test_neither_the_trace_nor_the_second_run_of_verify_holds_what_was_skipped(folder: Folder) -> None:
    standing(folder)
    ran = simkit("run", "--verify", "--trace", "out.jsonl")
    cases = [line for line in Path("out.jsonl").read_text().splitlines() if line.startswith('{"case"')]
    assert (ran.exit_code, cases) == (0, ['{"case": "Is a answered?"}', '{"case": "Is c answered?"}'])
    assert ran.stdout.endswith("\nverified: 2 of 2 cases ran the same under another hash seed\n")


def test_where_everything_is_skipped_there_is_nothing_to_verify(folder: Folder) -> None:
    ran = simkit("run", "--verify", folder.scenario(skip="later"))
    assert (ran.exit_code, ran.stdout.splitlines()[-1]) == (0, "verified: there was nothing to run")


# -- mistakes of the caller: exit 2, one message, before anything runs --
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["gone.sim.yaml"], "no such file or folder: 'gone.sim.yaml'"),
        (["--set", "flaw"], "'flaw' is not a setting"),
        (["--set", "flaw=stub_finsh_stop", "--subject", "agent"], "did you mean 'stub_finish_stop'?"),
        (["--plan", "foo"], "'foo' is not a plan: expected seed=NUMBER first, such as seed=7"),
        (["--subject", "agnt"], "no subject is called 'agnt' - did you mean 'agent'?"),
        (["--trace", "no/such/folder"], "the trace cannot be written to 'no/such/folder'"),
        (["--trace", "a.sim.yaml"], "the trace would overwrite the scenario 'a.sim.yaml'"),
    ],
)
def test_a_mistake_is_one_message_and_exit_2(folder: Folder, options: list[str], message: str) -> None:
    path = folder.scenario()
    ran = simkit("run", path, *options)
    assert (ran.exit_code, ran.stdout, message in ran.stderr, "Traceback" in ran.stderr) == (2, "", True, False)
    assert "simkit: 1" in (folder.path / path).read_text()


def test_problems_of_two_files_are_told_together_and_nothing_runs(folder: Folder) -> None:
    folder.scenario("a"), folder.scenario("b", "agents:god"), folder.file("c.sim.yaml", "simkit: 1\nscenrio: x\n")
    ran = simkit("run")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert [part in ran.stderr for part in ("b.sim.yaml:3:1:", "c.sim.yaml:2:1:")] == [True, True]


def test_a_trace_that_cannot_be_finished_is_told_after_the_verdicts(folder: Folder) -> None:
    ran = simkit("run", folder.scenario(), "--trace", "/dev/full")
    assert (ran.exit_code, verdicts(ran.stdout)) == (2, ["a.sim.yaml::run PASS"])
    assert ran.stderr.startswith("simkit: the trace cannot be written to '/dev/full': ")


# -- faults of simkit and of laws: exit 3 --
def test_a_crash_of_simkit_is_not_the_scenarios_fault(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("simkit.run.run_once", crash)
    ran = simkit("run", folder.scenario())
    assert (ran.exit_code, "the scenario is not to blame" in ran.stderr) == (3, True)
    assert "ZeroDivisionError: planted" in ran.stderr


def test_a_law_of_a_strangers_package_that_crashes_is_unknown_and_never_a_pass(folder: Folder) -> None:
    folder.file("strange-1.0.dist-info/METADATA", "Name: strange\nVersion: 1.0\n")
    folder.file("strange-1.0.dist-info/entry_points.txt", "[simkit.checks]\ncrashing = strange:LAW\n")
    folder.file(
        "strange.py",
        "from simkit.contracts import Law\n"
        "def judge(scenario, trace, parameter):\n    raise KeyError('lost')\n    yield\n"
        "LAW = Law(name='crashing', says='It never crashes.', judge=judge)\n",
    )
    ran = process(
        "run", folder.scenario(), "--format", "json", PYTHONPATH=os.pathsep.join([str(folder.path), *sys.path])
    )
    (result,) = json.loads(ran.stdout)["results"]
    assert (ran.returncode, result["verdict"], [f["law"] for f in result["findings"]]) == (3, "UNKNOWN", ["crashing"])


# -- the network --
DIALLING = """
import httpx2, openai

async def prices(sim):
    async for _ in sim.user:
        async with httpx2.AsyncClient() as client:
            sim.said((await client.get("https://prices.example.com/eur")).text)

async def other_provider(sim):
    async with openai.AsyncOpenAI(base_url="https://prices.example.com/v1", api_key="k", max_retries=5) as client:
        async for text in sim.user:
            try:
                await client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
            except Exception:
                sim.said("hello")
"""


@pytest.mark.parametrize("agent", ["prices", "other_provider"])
def test_an_undeclared_host_fails_with_its_name_and_how_to_declare_it(folder: Folder, agent: str) -> None:
    folder.file("dialling.py", DIALLING)
    ran = simkit("run", folder.scenario(agent=f"dialling:{agent}"), "--format", "json")
    (result,) = json.loads(ran.stdout)["results"]
    text = " ".join(finding["text"] for finding in result["findings"])
    assert (ran.exit_code, result["verdict"], "prices.example.com:443" in text, "`hosts:`" in text) == (
        *(1, "FAIL"),
        *(True, True),
    )


def test_following_the_advice_about_an_undeclared_host_makes_the_scenario_pass(folder: Folder) -> None:
    folder.file("dialling.py", DIALLING)
    said = simkit("run", folder.scenario(agent="dialling:prices"), "--format", "json").stdout
    advice = re.search(r"`hosts: (\{[^`]+\})`", said)
    assert advice is not None
    ran = simkit("run", folder.scenario(agent="dialling:prices", hosts=advice[1], expect="{last_message: ok}"))
    assert (ran.exit_code, verdicts(ran.stdout)) == (0, ["a.sim.yaml::run PASS"])


# -- between processes --
def test_two_processes_with_other_hash_seeds_write_the_same_trace(tmp_path: Path) -> None:
    traces = []
    for seed in ("1", "2"):
        file = tmp_path / seed
        process("run", "-q", str(SCENARIOS / "basics"), "--trace", str(file), PYTHONHASHSEED=seed)
        traces.append(file.read_bytes())
    assert traces[0] == traces[1]
    assert b'"who": "tool"' in traces[0]


def test_a_reader_that_goes_away_ends_it_without_a_word(folder: Folder) -> None:
    for number in range(30):
        folder.scenario(f"s{number}")
    running = subprocess.Popen([*SIMKIT, "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stderr is not None
    with running, running.stdout, running.stderr:
        running.stdout.readline()
        running.stdout.close()
        assert (running.stderr.read(), running.wait()) == ("", 141)


@pytest.mark.parametrize(("target", "code", "words"), [("&-", 0, ""), ("/dev/full", 3, "simkit: the output cannot be")])
def test_a_standard_output_that_takes_nothing_is_no_crash(folder: Folder, target: str, code: int, words: str) -> None:
    command = ["sh", "-c", f'exec "$@" >{target}', "sh", *SIMKIT, "run", folder.scenario()]
    ran = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert (ran.returncode, ran.stderr[: len(words)], "Traceback" in ran.stderr) == (code, words, False)


def test_what_the_terminal_cannot_show_is_escaped(folder: Folder) -> None:
    path = folder.scenario("ünï", "agents:mute", scenario="Ünï → 日本?")
    ran = process("run", path, PYTHONIOENCODING="ascii")
    assert (ran.returncode, ran.stderr, ran.stdout.isascii()) == (1, "", True)
    assert r"\xdcn\xef \u2192 \u65e5\u672c?" in ran.stdout


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_colour_is_for_terminals_that_want_it(folder: Folder, env: dict[str, str], coloured: bool) -> None:
    ours, theirs = pty.openpty()
    inherited = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    subprocess.run([*SIMKIT, "run", folder.scenario()], stdout=theirs, env={**inherited, **env}, check=True)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        assert (b"\x1b[" in terminal.read(4096)) == coloured


STUBBORN = """
import asyncio, threading

def started(): open("started", "w").close()

async def spins(sim):
    started()
    while True: await asyncio.sleep(0)

def in_a_thread(sim):
    def spin():
        started()
        while True: pass
    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()

def swallows(sim):
    started()
    while True:
        try:
            for _ in range(10**9): pass
        except BaseException:
            pass
"""


@pytest.mark.parametrize("agent", ["spins", "in_a_thread", "swallows"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_ctrl_c_ends_it_at_once_with_what_was_run_so_far(folder: Folder, agent: str, form: str) -> None:
    folder.file("stubborn.py", STUBBORN)
    paths = [folder.scenario("a"), folder.scenario("b", f"stubborn:{agent}"), folder.scenario("c")]
    out, err, code = interrupted(
        [*SIMKIT, "run", *paths, "--format", form, "--trace", "out.jsonl"], folder.path / "started"
    )
    ran = verdicts(out) if form == "text" else [f"{r['file']}::run {r['verdict']}" for r in json.loads(out)["results"]]
    assert (ran, code) == (["a.sim.yaml::run PASS"], 130)
    assert "interrupted in b.sim.yaml::run: 1 of 3 cases done" in (out if form == "text" else err)
    assert [line[:8] for line in Path("out.jsonl").read_text().splitlines() if "case" in line[:8]] == ['{"case":']


def interrupted(command: Sequence[str], started: Path) -> tuple[str, str, int]:
    """Press Ctrl-C when the file appears, and return both outputs and the exit code."""
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with Ctrl-C ignored, and a child inherits that from its tests.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not started.exists() and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    try:
        out, err = running.communicate(timeout=30)
    finally:
        # A command that does not listen must not outlive its test.
        running.kill()
    return out, err, running.returncode


def test_ctrl_c_while_files_are_read_is_130_too(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simkit.commands.run.read_paths", press)
    ran = simkit("run", folder.scenario())
    assert (ran.exit_code, ran.stderr) == (130, "\ninterrupted\n")

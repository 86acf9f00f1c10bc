"""No secret leaves a run: keys that were planted wherever a key can be are in none of the things that are written.

A key of a known form stands in every place; a password, which looks like any word, stands under the names that tell it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from simkit.cli import main
from simkit.extensions import BUILT_IN
from tests.conftest import Folder

# Put together here, since no file of the repository may hold what looks like a key.
KEY: Final = "sk-" + "planted0123456789abcdef"
PASSWORD: Final = "correcthorsebattery"
PLANTED: Final = re.compile(f"{re.escape(KEY)}|{PASSWORD}")

AGENT: Final = """
import json, os
import openai

async def run(sim):
    key = os.environ["OPENAI_API_KEY"]
    headers = {"X-Api-Key": sim.settings["password"], "Cookie": sim.settings["password"]}
    base = sim.base_url("openai-chat")
    async with openai.AsyncOpenAI(base_url=base, api_key=key, default_headers=headers) as client:
        async for text in sim.user:
            sim.turn_started(text)
            asked = [{"role": "user", "content": text + key}]
            more = {"metadata": {"token": sim.settings["password"]}}
            answer = await client.chat.completions.create(model="m", messages=asked, extra_body=more)
            for call in answer.choices[0].message.tool_calls:
                await sim.tools[call.function.name](**json.loads(call.function.arguments))
            sim.note("login", api_key=sim.settings["password"], text=key)
            sim.said(f"my key is {key}")
            raise RuntimeError(f"the key {key} was refused, as was password={sim.settings['password']!r}")
"""

SCENARIO: Final = f"""\
simkit: 1
scenario: Is {KEY} kept secret?
about: The key is {KEY}.
tags: [{KEY}]
subject: leaking:run
settings:
  password: {PASSWORD}
user:
  - at: 0s
    says: 'Use {KEY}, or {{"password": "{PASSWORD}"}}'
provider:
  - stream:
      - say: Your key is {KEY}.
      - call: login
        args: {{password: {PASSWORD}, text: {KEY}}}
      - finish: tool_calls
tools:
  login: {{returns: 'welcome, {{"access_token": "{PASSWORD}"}} {KEY}'}}
expect:
  # The lines around a broken promise are shown, and so is this one. password: {PASSWORD}
  last_message: {{contains: 'no {KEY}'}}
  outcome: finished
"""


@pytest.fixture
def project(folder: Folder) -> Path:
    """A folder with an agent that says its secrets wherever it can."""
    folder.file("leaking.py", AGENT)
    folder.file("leaks.sim.yaml", SCENARIO)
    return folder.path


def simkit(*arguments: str) -> tuple[str, str]:
    """Run a command as on GitHub, and return what it printed."""
    on_github = {"OPENAI_API_KEY": KEY, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "summary.md"}
    ran = CliRunner(env=on_github).invoke(main, arguments)
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.stdout, ran.stderr


def leaks(root: Path, *printed: str) -> list[str]:
    """Return every line that holds a secret, of what was printed and of every file that a run has written."""
    own = {"leaking.py", "leaks.sim.yaml", "agents.py"}
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name not in own]
    texts = {str(path.relative_to(root)): path.read_bytes().decode("utf-8", "replace") for path in files}
    texts |= {f"printed {n}": text for n, text in enumerate(printed)}
    return [
        f"{name}: {line[max(0, found.start() - 60) : found.end() + 20]}"
        for name, text in texts.items()
        if not name.endswith(".pyc")
        for line in text.splitlines()
        for found in PLANTED.finditer(line)
    ]


# What a run writes, whatever prints it.
FILES: Final = ("--trace=out.jsonl", "--junit=junit.xml", "--report=all", f"--set=token={PASSWORD}")


@pytest.mark.parametrize("form", [["--format=text"], ["-v"], ["-q"], ["--format=json"], ["--format=github"]])
def test_a_run_writes_no_secret_in_any_form(project: Path, form: list[str]) -> None:
    printed = [*simkit("run", *form, *FILES)]
    written = {path.name for path in project.rglob("*") if path.is_file()}
    assert {"out.jsonl", "junit.xml", "index.html", "summary.md"} <= written
    assert ("***" in "".join(printed), leaks(project, *printed)) == (True, [])


def test_nothing_that_shows_a_run_holds_a_secret(project: Path) -> None:
    printed = [*simkit("run", *FILES)]
    (stored,) = (project / ".simkit" / "failures").glob("*.json")
    id_ = stored.stem.rpartition("-")[2]
    whats = ([id_, f"--set=token={PASSWORD}"], ["leaks.sim.yaml"], ["out.jsonl"])
    for what in whats:
        for form in BUILT_IN["reporters"]:
            printed += simkit("show", *what, "--as", form)
    assert (len(printed), leaks(project, *printed)) == (2 + 2 * 3 * len(BUILT_IN["reporters"]), [])


def test_replay_diff_and_verify_tell_no_secret(project: Path) -> None:
    old, _ = simkit("run", "--format=json")
    (project / "old.json").write_text(old, "utf-8")
    (project / "none.json").write_text('{"results": []}', "utf-8")
    (stored,) = (project / ".simkit" / "failures").glob("*.json")
    printed = [*simkit("replay", stored.stem.rpartition("-")[2], "-v"), *simkit("run", "--verify")]
    for form in ("text", "markdown", "json"):
        printed += simkit("diff", "none.json", "old.json", "--format", form)
    assert leaks(project, old, *printed) == []


def test_a_secret_that_is_printed_as_it_is_would_be_found(project: Path) -> None:
    (project / "leak.txt").write_text(f"the key is {KEY}\n", "utf-8")
    assert leaks(project, PASSWORD) == [f"leak.txt: the key is {KEY}", f"printed 0: {PASSWORD}"]

"""Every example of the pages is true: YAML is read and run, Python compiles, commands exist with their options.

The idea: what a block is follows from its kind and its keys. A whole scenario is run and must pass, or fail where its
info string says ``fails``; a fragment is put into the smallest scenario at the place that its keys belong to, and read.
The constraint: a block that nobody can place is a fault of the page, so nothing stands on one that is not looked at;
what is not for simkit says so, ``yaml other``. A list of the examples to check was refused: it would miss the next one.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml

from simkit import cli
from simkit.checks.judge import laws
from simkit.explain import explained
from simkit.language.reader import loads
from simkit.language.shapes import Record
from simkit.language.spec import ANSWER, EXPECT, SCENARIO, STEP, TOOL, USER
from simkit.model.plan import Plan
from simkit.options import Outside, parse_overrides, read_paths
from simkit.run import load, run_once
from tests.conftest import Folder
from tests.docs.pages import DOCS, ROOT, Block, blocks

PAGES: Final = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
BLOCKS: Final = [block for page in PAGES for block in blocks(page)]
KINDS: Final = ("console", "json", "python", "text", "toml", "yaml")
WORDS: Final = {"yaml": ("fails", "wrong", "other")}


def of_kind(kind: str, *words: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind == kind and set(words) <= set(block.words)]


OURS: Final = [block for block in of_kind("yaml") if "other" not in block.words]
WHOLE: Final = [block for block in OURS if re.search(r"^\{?simkit:", block.text, re.MULTILINE)]
FRAGMENTS: Final = [block for block in OURS if block not in WHOLE]


# -- no block is passed over -----------------------------------------------------------------------------------------
def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert [str(block) for block in BLOCKS if block.kind not in KINDS] == []


def test_every_word_behind_a_kind_is_one_that_means_something() -> None:
    odd = [(str(b), w) for b in BLOCKS for w in b.words if w not in WORDS.get(b.kind, ()) and not _is_of_a_file(w)]
    assert odd == []


def _is_of_a_file(word: str) -> bool:
    return "." in word or word.startswith("replaces=")


def test_every_fence_is_closed() -> None:
    fences = [(page.name, len(re.findall(r"^(?:```|~~~)", page.read_text("utf-8"), re.MULTILINE))) for page in PAGES]
    assert [(name, count % 2) for name, count in fences] == [(name, 0) for name, _ in fences]


def test_the_pages_hold_examples_of_each_kind_that_is_run() -> None:
    """An expression that finds nothing would let everything below pass."""
    assert [bool(found) for found in (WHOLE, FRAGMENTS, of_kind("python"), COMMANDS, SPANS)] == [True] * 5


# -- YAML ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("block", WHOLE, ids=str)
def test_a_whole_scenario_comes_out_as_its_page_says(block: Block, folder: Folder) -> None:
    name = folder.file("example.sim.yaml", block.text)
    if "wrong" in block.words:
        with pytest.raises(Exception, match=r"example\.sim\.yaml:\d+:\d+: "):
            load(name)
        return
    for case in load(name):
        _bring_agent(block, case.subject, folder)
        expected = "FAIL" if "fails" in block.words else "PASS"
        result = run_once(case, Plan())
        assert (result.verdict.name, [f.text for f in result.findings if expected == "PASS"]) == (expected, [])


def _bring_agent(block: Block, subject: str, folder: Folder) -> None:
    """Write the Python of the page that holds the subject, under the name by which the scenario imports it."""
    module, _, function = subject.partition(":")
    for code in (b.text for b in blocks(block.page) if b.kind == "python" and "replaces" not in "".join(b.words)):
        if any(getattr(node, "name", None) == function for node in ast.parse(code).body):
            folder.file(f"{module}.py", code)


@pytest.mark.parametrize("block", FRAGMENTS, ids=str)
def test_a_fragment_is_read_at_the_place_that_its_keys_belong_to(block: Block) -> None:
    text = embedded(block)
    if "wrong" in block.words:
        with pytest.raises(Exception, match=r"example\.sim\.yaml:\d+:\d+: "):
            loads(text, "example.sim.yaml", laws=laws())
    else:
        assert loads(text, "example.sim.yaml", laws=laws()), str(block)


def embedded(block: Block) -> str:
    """Return the smallest scenario with the fragment in it."""
    value = yaml.load(block.text, yaml.BaseLoader)
    keys = _keys(value)
    for place, record in PLACES[type(value)].items():
        if keys <= _known(record):
            return _filled(place, block.text, keys)
    raise AssertionError(f"{block}: {sorted(keys)} have no place in a scenario, mark what is for others `yaml other`")


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value)
    return {key for item in value for key in (item if isinstance(item, dict) else [item])}


def _known(record: Record | None) -> set[str]:
    if record is None:
        return {*laws(), "off", "because"}
    verbs = [key for verb in record.verbs for key in (verb.key, *verb.extras)]
    return {key.name for key in (*record.keys, *verbs)}


# Where a fragment can stand, as the keys above it; the laws' own keys are their names.
PLACES: Final[dict[type, dict[tuple[str, ...], Record | None]]] = {
    dict: {(): SCENARIO, ("expect:",): EXPECT, ("tools:", "  look_up:"): TOOL, ("provider:", "  -"): ANSWER},
    list: {("user:",): USER, ("provider:",): ANSWER, ("provider:", "  - stream:"): STEP, ("always:",): None},
}
SMALLEST: Final = {"simkit": "1", "scenario": "An example", "provider": "[]"}


def _filled(place: tuple[str, ...], text: str, keys: set[str]) -> str:
    there = keys if not place else {place[0].rstrip(":")}
    head = [f"{key}: {value}" for key, value in SMALLEST.items() if key not in there]
    indent = "    " * len(place)
    return "\n".join([*head, *place, *(indent + line for line in text.splitlines())]) + "\n"


# -- Python ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("block", of_kind("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    assert compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# -- commands --------------------------------------------------------------------------------------------------------
def _typed(block: Block) -> Iterator[str]:
    """Yield the commands of a console block: what stands behind a $, or every line where none does."""
    typed = [command for command, _ in block.commands] or block.text.replace("\\\n", " ").splitlines()
    for line in typed:
        yield from (re.sub(r"\s*>>?\s*\S+$", "", part).strip() for part in re.split(r"&&|\|\||[;|]", line))


COMMANDS: Final = [
    (block.page, command) for block in of_kind("console") for command in _typed(block) if command.startswith("simkit ")
]
# What a sentence names: it may leave out what the command needs, and its dots stand for anything.
SPANS: Final = [
    (page, " ".join(span.split()))
    for page in PAGES
    for span in re.findall(r"(?<!`)`(simkit\s[^`]+)`(?!`)", page.read_text("utf-8"))
]
# What the README says is yet to come.
NOT_YET: Final = set(re.findall(r"^\| not yet \| `(simkit \w+)`", PAGES[0].read_text("utf-8"), re.MULTILINE))


def understood(command: str) -> click.Context | None:
    """Parse a command as it would be typed; None for options of simkit itself. Raises what click would tell."""
    verb, *words = shlex.split(command, comments=True)[1:]
    with click.Context(cli.main) as ctx:
        if verb.startswith("-"):
            assert any(verb in parameter.opts for parameter in cli.main.get_params(ctx)), verb
            return None
        found = cli.main.get_command(ctx, verb)
        assert found is not None, f"there is no verb {verb!r}"
        if "--help" in words:
            return None
        return found.make_context(verb, words)


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: getattr(value, "name", value))
def test_a_command_of_a_page_can_be_typed(page: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    context = understood(command)
    if context is not None and context.info_name in ("run", "lint"):
        paths = [path for path in context.params["paths"] if path.startswith("scenarios/")]
        assert [path for path in paths if not Path(path.partition("::")[0]).exists()] == []
        # A file is also asked whether its settings fit; a folder is a corpus, and has tests of its own.
        files = [path for path in paths if not Path(path).is_dir()]
        settings = parse_overrides(context.params.get("settings", ()))
        assert len(read_paths(files, Outside(settings=settings))) >= len(files)


@pytest.mark.parametrize("command", sorted({c for _, c in SPANS if c not in NOT_YET}))
def test_a_command_in_a_sentence_exists_with_its_options(command: str) -> None:
    try:
        context = understood(command.replace("...", ""))
    except click.MissingParameter:
        return
    if context is not None and context.info_name == "explain" and str(context.params["name"]).islower():
        assert explained(context.params["name"])


def test_what_is_not_there_yet_is_not_there() -> None:
    assert [command for command in NOT_YET if command.split()[1] in cli.VERBS] == []


# -- a planted fault is found: the test of the tests -----------------------------------------------------------------
@pytest.mark.parametrize("text", ["- sya: hello\n", "on: push\njobs: {}\n", "- no_orphan\n"])
def test_a_fragment_with_a_word_that_the_language_does_not_have_has_no_place(text: str) -> None:
    with pytest.raises(AssertionError, match="have no place in a scenario"):
        embedded(Block(PAGES[0], 1, "yaml", (), text))


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("simkit rnu scenarios/", AssertionError),
        ("simkit --vresion", AssertionError),
        ("simkit run --stt flaw=x", click.NoSuchOption),
        ("simkit run --format xml", click.BadParameter),
        ("simkit serve", click.MissingParameter),
    ],
)
def test_a_command_that_cannot_be_typed_is_told(command: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        understood(command)


def test_blocks_are_read_with_their_line_kind_words_and_commands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("A\n\n```console\n$ a\nx\n$ b\n```\n\n````yaml m.sim.yaml replaces=expect\n```\n````\n", "utf-8")
    assert [(str(b), b.kind, b.words, b.text, b.commands) for b in blocks(page)] == [
        ("page.md:3", "console", (), "$ a\nx\n$ b\n", [("a", "x\n"), ("b", "")]),
        ("page.md:9", "yaml", ("m.sim.yaml", "replaces=expect"), "```\n", []),
    ]

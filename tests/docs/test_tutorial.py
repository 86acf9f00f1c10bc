"""The tutorial, followed word for word by somebody with an empty folder.

The idea: each block of the page is one step, a file that is written or a command that is typed, in the order of the
page; what the commands print must be what the page shows. The constraint: a block that is neither is a fault, so no
step of the reader's is left out here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.docs.pages import DOCS, Block, blocks, typed, without_wall_times

PAGE: Final = DOCS / "tutorial.md"
# What the reader has done already when the folder is still empty.
INSTALLED: Final = "python -m pip install '.[openai]'\n"


def follow(block: Block, folder: Path) -> tuple[str, str]:
    """Do what a block says, and return what the page shows of it with what there was to see."""
    if block.words:
        write(block, folder / block.words[0])
        return "", ""
    assert block.commands, f"{block} is no step: neither a file with a name nor a command behind a $"
    seen = "".join(f"$ {command}\n{typed(command, folder).stdout}" for command, _ in block.commands)
    return without_wall_times(block.text), without_wall_times(seen)


def write(block: Block, file: Path) -> None:
    """Write a file, or put the block in the place of a function or of a key at the top of a file that is there."""
    name = block.word("replaces")
    if name is None:
        assert not file.exists(), f"{block} writes over {file.name}"
        file.write_text(block.text, encoding="utf-8")
        return
    # The line that names it, and everything below it that is indented.
    place = re.compile(rf"^(?:(?:async )?def {name}\(|{name}:).*\n(?:\n*[ \t].*\n)*", re.MULTILINE)
    mended, times = place.subn(lambda _: block.text, file.read_text(encoding="utf-8"))
    assert times == 1, f"{block}: {name!r} stands {times} times in {file.name}"
    file.write_text(mended, encoding="utf-8")


def test_everything_that_the_page_shows_is_what_a_reader_sees(tmp_path: Path) -> None:
    steps = [follow(block, tmp_path) for block in blocks(PAGE) if block.text != INSTALLED]
    assert [seen for _, seen in steps] == [shown for shown, _ in steps]


def test_the_page_shows_a_pass_a_failure_its_mending_and_a_pass_under_pytest() -> None:
    printed = "".join(block.text for block in blocks(PAGE) if block.kind == "console")
    said = re.findall(r"\d (?:passed|failed)(?= in|;)|^\$ (?:simkit run|pytest)", printed, re.MULTILINE)
    run, passed, failed = "$ simkit run", "1 passed", "1 failed"
    assert said == [run, passed, run, failed, run, failed, run, passed, "$ pytest", passed]


def test_the_agent_of_the_page_is_small() -> None:
    (agent,) = [block.text for block in blocks(PAGE) if block.words == ("my_agent.py",)]
    assert len(agent.splitlines()) <= 55

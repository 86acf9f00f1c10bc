"""The reference page says everything that the table says, and each name finds its key."""

from __future__ import annotations

import re
from typing import Final

import pytest

from simkit.contracts import Law, Setting
from simkit.language.events import EVENT
from simkit.language.reference import Surroundings, find_topics, reference, takes
from simkit.language.shapes import OPERATORS, Choice, Fact, Flag, ListOf, Names, Record, Shape, Span, Text
from simkit.language.spec import ANSWER, SCENARIO, STEP
from simkit.model.plan import FAULT_KINDS

from .test_spec import keys_below

SHY: Final = Law(name="is_shy", says="It waits.", judge=lambda *_: (), parameter="duration", default=10**9)
AROUND: Final = Surroundings(
    laws=[SHY], settings={"speed": Setting(kind="count", default=3, says="how fast")}, exits={7: "a flat tyre"}
)
PAGE: Final = reference(AROUND)
WORDS: Final = " ".join(PAGE.split())


def test_every_sentence_of_the_table_stands_on_the_page() -> None:
    sentences = [key.says for key in keys_below(SCENARIO)] + [operator.says for operator in OPERATORS]
    assert [says for says in sentences if " ".join(says.split()) not in WORDS] == []


def test_every_key_stands_on_the_page_with_what_holds_without_it() -> None:
    told = [(key.name, key.default.rstrip(".")) for key in keys_below(SCENARIO) if key.default and not key.required]
    assert [(name, default) for name, default in told if f"Default: {default}." not in WORDS] == []


def test_verbs_and_events_stand_out() -> None:
    names = [verb.key.name for record in (STEP, ANSWER, EVENT) for verb in record.verbs]
    assert [name for name in names if f"**`{name}`**" not in PAGE] == []


def test_what_other_rooms_know_stands_on_the_page() -> None:
    bullets = re.findall(r"^- \*\*`?(is_shy|speed|7|cut)`?\*\*(.*)$", PAGE, re.MULTILINE)
    assert bullets == [
        ("is_shy", " (a duration, default 1s): It waits."),
        ("speed", ": a count. How fast. Default: 3."),
        ("cut", f": {FAULT_KINDS['cut']}"),
        ("7", ": a flat tyre."),
    ]


def test_no_line_breaks_inside_code_and_none_is_too_long() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL).splitlines()
    assert [line for line in prose if line.count("`") % 2 or len(line) > 120] == []


def test_a_heading_stands_once() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert sorted(set(headings)) == sorted(headings)


SHAPES: Final[list[tuple[Shape, str]]] = [
    (Choice(words=("a", "b")), "one of `a`, `b`"),
    (Span(forever=True, zero=False), "a duration, or forever, above zero"),
    (ListOf(item=Flag()), "a list, each item true or false"),
    (
        Names(item=Flag(), name=Text(called="a colour")),
        "a mapping; each key is a colour, each value true or false",
    ),
    (Fact(of=Text()), "text, or a comparison"),
    (Fact(of=Span(), op="at_most"), "a duration"),
    (Fact(of=Flag(), parts=Record(called="the parts"), main="lit"), "true or false (its lit), or the parts"),
]


@pytest.mark.parametrize(("shape", "words"), SHAPES, ids=[words for _, words in SHAPES])
def test_what_a_shape_takes_is_said_in_a_few_words(shape: Shape, words: str) -> None:
    assert takes(shape) == words


NAMES: Final = [
    ("expect.requests", ["expect.requests"]),
    ("requests", ["limits.requests", "expect.requests"]),
    ("tools.NAME.blocks", ["tools.NAME.blocks"]),
    ("tools.write_file.blocks", ["tools.NAME.blocks"]),
    ("tools.blocks", ["tools.NAME.blocks", "defaults.tools.blocks"]),
    ("tool.start.args", ["expect.events.tool.start.args", "sometimes.tool.start.args"]),
    ("quests", []),
    ("", []),
]


@pytest.mark.parametrize(("name", "paths"), NAMES)
def test_a_name_finds_the_keys_whose_path_ends_with_it(name: str, paths: list[str]) -> None:
    assert sorted(topic.path for topic in find_topics(name)) == sorted(paths)

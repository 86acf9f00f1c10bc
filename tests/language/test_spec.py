"""The table is whole: every key has its sentence, and what it lets through can be built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from simkit.language.builder import REPLIES, STEPS
from simkit.language.spec import ANSWER, OPERATORS, SCENARIO, STEP, Fact, Key, ListOf, Names, Record, Shape
from simkit.model.scenario import Scenario


def keys_below(shape: Shape) -> Iterator[Key]:
    match shape:
        case ListOf() | Names():
            yield from keys_below(shape.item)
        case Record():
            for verb in shape.verbs:
                yield from keys_of((verb.key, *verb.extras))
            yield from keys_of(shape.keys)


def keys_of(keys: tuple[Key, ...]) -> Iterator[Key]:
    for key in keys:
        yield key
        yield from keys_below(key.shape)


def test_every_key_and_operator_has_a_sentence() -> None:
    sentences = {key.name: key.says for key in keys_below(SCENARIO)} | {o.name: o.says for o in OPERATORS}
    assert [name for name, says in sentences.items() if not (says[:1].isupper() and says.endswith("."))] == []


def test_every_shape_has_a_name_for_errors() -> None:
    assert [key.name for key in keys_below(SCENARIO) if not key.shape.called] == []


def test_a_key_stands_once_in_its_record() -> None:
    names = [key.name for key in SCENARIO.keys]
    assert len(names) == len(set(names))


def test_the_builder_knows_exactly_the_verbs_of_the_table() -> None:
    assert [verb.key.name for verb in STEP.verbs] == list(STEPS)
    assert [verb.key.name for verb in ANSWER.verbs] == list(REPLIES)


def test_every_top_level_key_reaches_the_model() -> None:
    # The format's version, the title's name, and what is spent on the way to a row.
    spent = {"simkit", "scenario", "vars", "matrix"}
    held = {field.name for field in fields(Scenario)}
    assert {key.name for key in SCENARIO.keys} - spent - held == set()


def test_the_facts_of_expect_are_facts() -> None:
    (expect,) = (key.shape for key in SCENARIO.keys if key.name == "expect")
    assert isinstance(expect, Record)
    leaves = [key.shape.item if isinstance(key.shape, ListOf | Names) else key.shape for key in expect.keys]
    assert [type(leaf) for leaf in leaves] == [Fact] * len(leaves)

"""The table is whole: every key has its sentence, and what it lets through can be built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from simkit.language.builder import HOST_REPLIES, POLL_REPLIES, REPLIES, STEPS
from simkit.language.shapes import OPERATORS, Either, Fact, Key, ListOf, Names, Record, Shape
from simkit.language.spec import ANSWER, BACKGROUND, HOST, SCENARIO, STEP, WHEN
from simkit.model.duration import parse_duration
from simkit.model.scenario import Scenario
from simkit.model.timeline import BackgroundReply, When


def keys_below(shape: Shape) -> Iterator[Key]:
    match shape:
        case ListOf() | Names():
            yield from keys_below(shape.item)
        case Record():
            for verb in shape.verbs:
                yield from keys_of((verb.key, *verb.extras))
            yield from keys_of(shape.keys)
        case Either():
            yield from keys_below(shape.mapping)


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
    (polls,) = (key.shape for key in BACKGROUND.keys if key.name == "polls")
    assert isinstance(polls, Names)
    assert isinstance(polls.item, Record)
    tables: list[tuple[Record, Mapping[str, object]]] = [
        (STEP, STEPS),
        (ANSWER, REPLIES),
        (HOST, HOST_REPLIES),
        (polls.item, POLL_REPLIES),
    ]
    assert [[verb.key.name for verb in table.verbs] for table, _ in tables] == [list(known) for _, known in tables]


def test_when_matches_on_exactly_what_the_model_matches_on() -> None:
    assert [key.name for key in WHEN.keys] == [field.name for field in fields(When)]


def test_the_durations_that_a_job_has_by_default_are_those_of_the_model() -> None:
    told = {key.name: parse_duration(key.default) for key in BACKGROUND.keys if key.default[:1].isdigit()}
    model = BackgroundReply()
    assert told == {
        "queued": model.queued_ns,
        "in_progress": model.in_progress_ns,
        "expires": model.expires_ns,
        "window": model.window_ns,
    }


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

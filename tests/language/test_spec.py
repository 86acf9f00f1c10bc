"""The table is whole: every key has its sentence, and what it lets through can be built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields

from simkit.checks.expectations import facts
from simkit.checks.judge import laws
from simkit.language.builder import HOST_REPLIES, POLL_REPLIES, REPLIES, STEPS
from simkit.language.events import EVENT, MAIN_VALUES
from simkit.language.instants import parse_instant
from simkit.language.shapes import OPERATORS, Either, Fact, Key, ListOf, Names, Record, Shape
from simkit.language.spec import ANSWER, BACKGROUND, DEFAULTS, EXPECT, HOST, SCENARIO, STEP, WHEN
from simkit.model import trace
from simkit.model.duration import parse_duration
from simkit.model.scenario import Scenario
from simkit.model.timeline import BackgroundReply, When

from .laws import LAWS


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
        case Fact() if shape.parts is not None:
            yield from keys_below(shape.parts)


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


def test_the_keys_of_a_scenario_stand_in_the_order_of_the_format() -> None:
    order = """simkit scenario about refs tags extends defaults vars subject settings user provider tools hosts network
        expect always sometimes explore plan matrix skip xfail limits starts catches"""
    assert [key.name for key in SCENARIO.keys] == order.split()


def test_every_default_beside_a_verb_is_a_key_of_an_answer_and_no_verb_is_one() -> None:
    shapes = {key.name: key.shape for key in DEFAULTS.keys}
    provider = shapes["provider"]
    assert isinstance(provider, Record)
    known = {key.name for key in ANSWER.keys} | {extra.name for verb in ANSWER.verbs for extra in verb.extras}
    verbs = {verb.key.name for verb in ANSWER.verbs}
    defaults = {key.name for key in provider.keys}
    assert (defaults & verbs, defaults - known, known | verbs) == (set(), set(), defaults | set(provider.barred))


def test_the_default_of_the_wall_clock_is_that_of_the_model() -> None:
    (starts,) = (key.default for key in SCENARIO.keys if key.name == "starts")
    assert parse_instant(starts) == Scenario(title="t", provider=()).starts_ns


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
    spent = {"simkit", "scenario", "extends", "defaults", "vars", "matrix"}
    held = {field.name.removesuffix("_ns") for field in fields(Scenario)}
    assert {key.name for key in SCENARIO.keys} - spent - held == set()


def test_the_facts_of_expect_are_facts_or_patterns_of_events() -> None:
    (expect,) = (key.shape for key in SCENARIO.keys if key.name == "expect")
    assert isinstance(expect, Record)
    leaves = [leaf for key in expect.keys for leaf in leaves_of(key.shape)]
    assert [leaf for leaf in leaves if not isinstance(leaf, Fact) and leaf is not EVENT] == []


def leaves_of(shape: Shape) -> list[Shape]:
    match shape:
        case ListOf() | Names():
            return [shape.item]
        case Record():
            return [key.shape for key in shape.keys]
    return [shape]


def test_the_facts_of_the_language_are_those_that_are_judged() -> None:
    assert sorted(key.name for key in EXPECT.keys) == sorted(facts())


def traces_table() -> dict[str, str]:
    """The kinds of the trace's own table, each with the text about its values."""
    told: dict[str, str] = {}
    for line in (trace.__doc__ or "").split("\n===")[2].splitlines()[1:]:
        kind = line[:20].strip()
        told[kind or list(told)[-1]] = told.get(kind or list(told)[-1], "") + line[20:]
    pair = told.pop("thread.start/.end")
    return told | {"thread.start": pair, "thread.end": pair}


def test_the_events_of_the_language_are_those_of_the_traces_table() -> None:
    # How a run begins is written in the scenario itself, and what never came about is told of by the report.
    beside = {"run.start", "answer.unused", "link.unused"}
    assert {verb.key.name for verb in EVENT.verbs} == set(traces_table()) - beside


def test_every_value_of_an_event_is_one_of_the_traces_table() -> None:
    table, shapes = traces_table(), {verb.key.name: verb.key.shape for verb in EVENT.verbs}
    records = {k: s.parts for k, s in shapes.items() if isinstance(s, Fact) and isinstance(s.parts, Record)}
    asked = [(kind, key.name) for kind, parts in records.items() for key in parts.keys]
    assert [(k, name) for k, name in asked if not re.search(rf"\b{name}\b", table[k])] == []


def test_the_laws_that_these_tests_know_are_those_that_are_judged() -> None:
    assert dict(laws()) == LAWS


def test_every_event_with_values_has_a_main_one_among_them() -> None:
    shapes = {verb.key.name: verb.key.shape for verb in EVENT.verbs}
    mains = {kind: shape.main for kind, shape in shapes.items() if isinstance(shape, Fact)}
    parts = {kind: shape.parts for kind, shape in shapes.items() if isinstance(shape, Fact)}
    astray = [k for k, p in parts.items() if isinstance(p, Record) and mains[k] not in [key.name for key in p.keys]]
    assert (mains, astray) == (MAIN_VALUES, [])

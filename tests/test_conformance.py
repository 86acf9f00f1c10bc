"""The exams of extensions: what passes, and what is said of each thing that does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import pytest

from simkit.conformance import examine_law
from simkit.contracts import Law, Sim
from simkit.errors import ConformanceError, SimkitError
from simkit.extensions import BUILT_IN, find
from simkit.model.scenario import LawUse, Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable
from simkit.run import load
from simkit.subjects.flawed import FLAWS
from tests.conftest import Folder
from tests.provider.played import scenario

SCENARIOS: Final = Path(__file__).parents[1] / "scenarios"


def says(sim: Sim) -> None:
    for word in str(sim.settings["words"]).split():
        sim.said(word)


def case(words: str) -> Scenario:
    return scenario(f"subject: tests.test_conformance:says\nsettings: {{words: {words}}}\nprovider: []\n")


POLITE, RUDE = case("please wait"), case("no wait")


def judge(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    said = trace.of("said")
    if not said:
        yield NotApplicable(law="stays_polite", because="nothing was said")
    for event in said:
        if event.get("text") == "no":
            yield Finding(law="stays_polite", text="said no", events=(event.n,))


SOUND = Law(name="stays_polite", says="The agent never says no.", judge=judge)


def faults(law: Law, *, broken: tuple[Scenario, ...] = (RUDE,), clean: tuple[Scenario, ...] = (POLITE,)) -> list[str]:
    """What the exam finds wrong with a law."""
    try:
        examine_law(law, broken=broken, clean=clean)
    except ConformanceError as error:
        return list(error.faults)
    return []


def asking(law: Law, ask: Any) -> Law:
    return replace(law, judge=ask)


# -- what passes --
def test_a_sound_law_passes() -> None:
    assert faults(SOUND) == []


def test_a_file_counts_with_all_its_rows_and_may_name_the_law_though_it_is_not_installed(folder: Folder) -> None:
    folder.file("talks.py", "def run(sim):\n    [sim.said(w) for w in sim.settings['words'].split()]\n")
    rows = {
        "matrix": '{words: ["yes no", "no", "wait"]}',
        "settings": '{words: "${words}"}',
        "expect": "{messages: {at_least: 0}}",
    }
    path = folder.scenario("a", "talks:run", always="[stays_polite]", **rows)
    with pytest.raises(ConformanceError) as caught:
        examine_law(SOUND, broken=[path], clean=[POLITE])
    assert caught.value.faults == ("it did not find the fault in a.sim.yaml::wait: nothing",)


def test_the_parameter_of_a_case_is_the_one_that_the_law_is_asked_with() -> None:
    def more_than(scenario: Scenario, trace: Trace, most: Any) -> Iterator[Finding | NotApplicable]:
        if not trace.of("said"):
            yield NotApplicable(law="few_words", because="nothing was said")
        elif len(said := trace.of("said")) > most:
            yield Finding(law="few_words", text="too much was said", events=(said[most].n,))

    law = Law(name="few_words", says="Little is said.", judge=more_than, parameter="count", on_by_default=False)
    one, two = (replace(POLITE, always=(LawUse(law="few_words", value=n),)) for n in (1, 2))
    assert faults(law, broken=(one,), clean=(two,)) == []


@cache
def corpus() -> tuple[Scenario, ...]:
    return tuple(case for file in sorted((SCENARIOS / "laws").glob("*.sim.yaml")) for case in load(file))


# Those whose own scenario is about something else.
ELSEWHERE: Final[Mapping[str, str]] = {
    "no_orphans": "basics/silent_stream_is_closed.sim.yaml",
    "no_lost_errors": "registry/failure_nobody_asks_for.sim.yaml",
}


@pytest.mark.parametrize("name", BUILT_IN["checks"])
def test_every_law_of_simkits_own_passes(name: str) -> None:
    cases = load(SCENARIOS / ELSEWHERE[name]) if name in ELSEWHERE else corpus()
    caught = [(c, flaw) for c in cases for flaw in c.catches if flaw in FLAWS and name in FLAWS[flaw].flaw.breaks][:1]
    broken = [replace(c, settings={**c.settings, "flaw": flaw}) for c, flaw in caught]
    examine_law(cast(Law, find("checks", name)), broken=broken, clean=[c for c, _ in caught])


# -- what does not --
def _finds_nothing(*_: object) -> Iterator[Finding | NotApplicable]:
    return iter(())


def _finds_everywhere(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    yield Finding(law="stays_polite", text="said something", events=(0,))


def _never_applies(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    yield NotApplicable(law="stays_polite", because="it is a holiday")


def _crashes(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    raise KeyError("said")


def _crashes_on_what_it_found(scenario: Scenario, trace: Trace, parameter: object) -> Any:
    yield from judge(scenario, trace, parameter)
    if [e for e in trace.of("said") if e.get("text") == "no"]:
        raise KeyError("said")


def _says_it_otherwise(scenario: Scenario, trace: Trace, parameter: object) -> Any:
    for one in judge(scenario, trace, parameter):
        if isinstance(one, Finding):
            yield replace(one, law="another", text=" ", events=(99,))
            yield replace(one, events=())
            yield NotApplicable(law="stays_polite", because="then again")
        else:
            yield one


EMPTY = "of an empty trace it said: {}; expected that it is not applicable, and why"


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (_finds_nothing, ["it did not find the fault in {}: nothing", EMPTY.format("nothing")]),
        (
            _finds_everywhere,
            [
                "it was not silent on {}, where nothing is wrong: 'said something'",
                EMPTY.format("'said something'"),
            ],
        ),
        (
            _never_applies,
            [
                "it did not find the fault in {}: 'not applicable, it is a holiday'",
                "it was not silent on {}, where nothing is wrong: 'not applicable, it is a holiday'",
            ],
        ),
        (
            _crashes,
            [
                "it raised KeyError: 'said' on {}, so the verdict there would be UNKNOWN",
                "it raised KeyError: 'said' on {}, so the verdict there would be UNKNOWN",
                "it raised KeyError: 'said' on an empty trace, expected that it is not applicable",
            ],
        ),
        (
            _crashes_on_what_it_found,
            ["it raised KeyError: 'said' on {}, so the verdict there would be UNKNOWN"],
        ),
        (
            _says_it_otherwise,
            [
                "on {} it said more than that it is not applicable: ' '; 'said no'; 'not applicable, then again'",
                "what it said of {} is in the name of 'another': ' '",
                "on {} it said something without a text",
                "a finding on {} points at events that are not there: [99]",
                "a finding on {} points at no event, so no report can show what decided it: 'said no'",
            ],
        ),
    ],
)
def test_what_a_law_says_wrongly_is_told_all_together(ask: Any, told: list[str]) -> None:
    assert faults(asking(SOUND, ask)) == [text.format("case.sim.yaml::run") for text in told]


def test_a_law_that_remembers_or_touches_is_not_pure() -> None:
    seen = list[object]()

    def remembers(scenario: Scenario, trace: Trace, parameter: object) -> Any:
        seen.append(trace)
        yield from (
            replace(f, text=f"{f.text} {len(seen)}") if isinstance(f, Finding) else f
            for f in judge(scenario, trace, parameter)
        )

    def touches(scenario: Scenario, trace: Trace, parameter: object) -> Any:
        for event in trace.of("said"):
            cast(dict[str, object], event.values)["text"] = str(event.get("text")) + "!"
        yield from judge(scenario, Trace(tuple(Event(*e) for e in trace)), parameter)

    assert faults(asking(SOUND, remembers)) == [
        "asked twice about case.sim.yaml::run it said two things: 'said no 1', then 'said no 2'"
    ]
    assert "it changed what it judged on case.sim.yaml::run: a law only looks" in faults(asking(SOUND, touches))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Stays Polite"}, "its name is 'Stays Polite', expected words in small letters with underscores"),
        ({"name": "ends"}, "its name 'ends' is taken by simkit itself - give it another name"),
        ({"name": "xfail"}, "its name 'xfail' is taken by simkit itself - give it another name"),
        ({"says": "politeness"}, "it says 'politeness', expected a sentence of what must hold"),
        ({"says": ""}, "it says '', expected a sentence of what must hold"),
        ({"parameter": "seconds"}, "its parameter is 'seconds', expected 'count', 'duration' or None"),
        ({"default": 3}, "its default is 3, but it takes no parameter"),
        ({"parameter": "count"}, "it is on by default and needs a count, but has no default"),
        (
            {"parameter": "count", "default": True},
            "its default is True, expected a whole number (0 or more) for a count",
        ),
        (
            {"parameter": "duration", "default": "90s"},
            "its default is '90s', expected a whole number (nanoseconds) for a duration",
        ),
    ],
)
def test_what_a_law_says_of_itself_wrongly_is_told(changes: dict[str, Any], told: str) -> None:
    assert faults(replace(SOUND, **changes))[0][: len(told)] == told


def test_without_cases_of_both_kinds_nothing_is_proved() -> None:
    assert faults(SOUND, broken=(), clean=()) == [
        "no broken case was given, so nobody knows what it does in one",
        "no clean case was given, so nobody knows what it does in one",
    ]


def test_a_failed_exam_is_a_failed_assertion_with_every_fault_on_a_line() -> None:
    with pytest.raises(AssertionError) as caught:
        examine_law(replace(SOUND, says="politeness"), broken=[RUDE], clean=[RUDE])
    assert isinstance(caught.value, SimkitError)
    assert str(caught.value).splitlines() == [
        "stays_polite does not pass:",
        "  - it says 'politeness', expected a sentence of what must hold, from its capital letter to its full stop",
        "  - it was not silent on case.sim.yaml::run, where nothing is wrong: 'said no'",
    ]

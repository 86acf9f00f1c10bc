"""Every template is a scenario that is worth something: it passes as it stands, and fails where it has to."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from simkit.authoring.draft import Draft, dialects, drafted
from simkit.authoring.template import Template
from simkit.authoring.templates import TEMPLATES
from simkit.checks.judge import laws
from simkit.language.reader import loads
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.verdict import Result, Verdict
from simkit.run import run_once
from simkit.subjects.flawed import FLAWS
from tests.authoring.agents import CARELESS, careful

# Each template on each wire of the built-in agent.
WIRES: Final = [(name, wire) for name, each in TEMPLATES.items() for wire in dialects(each, "agent")]
CAUGHT: Final = [(name, wire, flaw) for name, wire in WIRES for flaw in TEMPLATES[name].catches]


def case(draft: Draft) -> Scenario:
    (only,) = loads(draft.text("schema.json"), "draft.sim.yaml", laws=laws())
    return only


def agents(name: str, wire: str) -> Scenario:
    return case(drafted(TEMPLATES[name], dialect=wire))


def own(name: str, wire: str = "") -> Scenario:
    return case(drafted(TEMPLATES[name], dialect=wire, subject="my_agent:run"))


def told(result: Result) -> tuple[Verdict, list[str]]:
    return result.verdict, [f"{finding.law}: {finding.text}" for finding in result.findings]


@pytest.mark.parametrize(("name", "wire"), WIRES)
def test_a_template_passes_with_the_built_in_agent_as_it_stands(name: str, wire: str) -> None:
    assert told(run_once(agents(name, wire), Plan())) == (Verdict.PASS, [])


# What the comments of the templates propose to write instead.
PROPOSED: Final = [
    ("stall", "stall: forever", "stall: 181s"),
    ("broken-stream", "disconnect: eof", "disconnect: cut"),
    ("broken-stream", "disconnect: eof", "disconnect: reset"),
    ("rate-limit", "status: 429", "status: 503"),
    ("background-polling", "2: {status: 502}", "2: {connection: reset}"),
    ("cancel-race", "at: 5s ", "at: 4999ms "),
    ("cancel-race", "at: 5s ", "at: 5001ms "),
]


@pytest.mark.parametrize(("name", "stands", "proposed"), PROPOSED)
def test_a_line_that_a_comment_proposes_can_be_written_and_the_agent_still_passes(
    name: str, stands: str, proposed: str
) -> None:
    text = drafted(TEMPLATES[name]).text("schema.json")
    (scenario,) = loads(text.replace(stands, proposed, 1), "draft.sim.yaml", laws=laws())
    assert (stands in text, told(run_once(scenario, Plan()))) == (True, (Verdict.PASS, []))


@pytest.mark.parametrize(("name", "wire", "flaw"), CAUGHT)
def test_a_template_fails_under_every_flaw_that_it_names_for_what_the_flaw_breaks(
    name: str, wire: str, flaw: str
) -> None:
    scenario = agents(name, wire)
    result = run_once(replace(scenario, settings={**scenario.settings, "flaw": flaw}), Plan())
    broken = {finding.law for finding in result.findings}
    assert (result.verdict, [law for law in FLAWS[flaw].flaw.breaks if law not in broken]) == (Verdict.FAIL, [])


@pytest.mark.parametrize(("name", "wire"), WIRES)
def test_a_template_for_ones_own_agent_passes_with_a_careful_one(name: str, wire: str) -> None:
    agent = careful(wire, background=TEMPLATES[name].in_background)
    assert told(run_once(own(name, wire), Plan(), subject=agent)) == (Verdict.PASS, [])


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_for_ones_own_agent_fails_with_a_careless_one(name: str) -> None:
    agent, law = CARELESS[name]
    result = run_once(own(name), Plan(), subject=agent)
    assert (result.verdict, result.findings[0].law) == (Verdict.FAIL, law)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_law_that_a_template_names_has_something_to_judge(name: str) -> None:
    """Silence is worth something only from a law that has found what it looks at."""
    scenario = agents(name, "")
    held = run_once(scenario, Plan()).judgement.held
    assert [use.law for use in scenario.always if use.law not in held] == []


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda template: template.name)
def test_a_template_marks_what_to_change_and_no_line_of_it_is_long(template: Template) -> None:
    texts = [drafted(template, subject=subject).text("schema.json") for subject in ("agent", "my_agent:run")]
    marks = [text.count("# <-") for text in texts]
    assert (min(marks) >= 3, [line for text in texts for line in text.splitlines() if len(line) > 120]) == (True, [])

"""What a draft says of its choices, and that what it writes is read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.authoring.draft import dialects, drafted
from simkit.authoring.templates import TEMPLATES, find_template
from simkit.checks.judge import laws
from simkit.errors import UsageError
from simkit.extensions import names
from simkit.language.reader import loads
from simkit.model.scenario import Scenario
from simkit.subjects.agent import AGENT

STALL, POLLING = TEMPLATES["stall"], TEMPLATES["background-polling"]


def read(text: str) -> Scenario:
    (only,) = loads(text, "draft.sim.yaml", laws=laws())
    return only


def test_the_first_line_says_where_the_schema_is() -> None:
    first, *_ = drafted(STALL).text("../.simkit/schema.json").splitlines()
    assert first == "# yaml-language-server: $schema=../.simkit/schema.json"


def test_the_built_in_agent_gets_its_settings_and_the_flaws_that_it_must_fail_under() -> None:
    scenario = read(drafted(STALL, dialect="anthropic").text(""))
    assert (scenario.subject, dict(scenario.settings), scenario.catches) == (
        "agent",
        {"dialect": "anthropic", "stale_after": "60s"},
        ("stub_finish_stop",),
    )


def test_ones_own_agent_gets_neither_settings_nor_flaws_and_hears_where_its_provider_is() -> None:
    text = drafted(STALL, dialect="gemini", subject="my.agent:run").text("")
    scenario = read(text)
    assert (scenario.subject, dict(scenario.settings), scenario.catches) == ("my.agent:run", {}, ())
    assert 'sim.base_url("gemini")' in text


def test_the_blocking_twin_gets_the_settings_and_no_flaws_for_it_has_none() -> None:
    scenario = read(drafted(STALL, dialect="anthropic", subject="agent-sync").text(""))
    assert (dict(scenario.settings), scenario.catches) == ({"dialect": "anthropic", "stale_after": "60s"}, ())


TITLES = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" :#'\"${}-&*!|>%@`\\"), min_size=1)


@given(TITLES.filter(str.strip))
def test_any_title_of_one_line_is_read_back_as_it_was(title: str) -> None:
    assert read(drafted(STALL, title=title).text("")).title == title


def test_without_a_choice_it_is_the_usual_thing() -> None:
    draft = drafted(STALL)
    assert (draft.subject, draft.dialect, draft.title) == (AGENT.name, "openai-chat", STALL.title)


def test_an_answer_in_the_background_is_offered_on_wires_that_have_them() -> None:
    assert [dialects(POLLING), dialects(POLLING, "agent"), dialects(STALL)] == [
        ["openai-responses"],
        ["openai-responses"],
        names("dialects"),
    ]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"dialect": "openai-chap"}, "no dialect is called 'openai-chap' - did you mean 'openai-chat'?"),
        ({"dialect": "gemini"}, "subject 'agent' does not speak 'gemini', expected one of: openai-chat"),
        ({"subject": "agnet"}, "'agnet' is no subject: expected a name such as agent, or package.module:callable"),
        ({"subject": "my agent:run"}, "'my agent:run' is no subject"),
        ({"subject": "my_agent:"}, "'my_agent:' is no subject"),
        ({"title": "two\nlines"}, "'two\\nlines' is no title: expected one line of text"),
        ({"title": "  "}, "'  ' is no title"),
    ],
)
def test_a_choice_that_cannot_be_used_is_told(choice: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        drafted(STALL, **choice)
    assert str(error.value).startswith(message)


def test_a_wire_without_background_answers_is_told() -> None:
    with pytest.raises(UsageError, match="'anthropic' has no answers in the background, expected one of: openai-resp"):
        drafted(POLLING, dialect="anthropic")


def test_a_template_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no template is called 'rate_limit' - did you mean 'rate-limit'"):
        find_template("rate_limit")

"""What is doubted in a scenario by looking at it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from simkit.linting.linter import lint
from simkit.linting.rules import RULES
from tests.linting.linted import ANSWER, HEAD, PLAIN, broken, remarks, said

SCENARIOS: Final = Path(__file__).parents[2] / "scenarios"


def test_a_plain_scenario_is_not_doubted(tmp_path: Path) -> None:
    assert said(tmp_path, PLAIN, run=False) == []


def test_nothing_in_the_corpus_is_doubted_but_the_order_of_keys() -> None:
    checked = list(lint([str(SCENARIOS)], [rule for rule in RULES if rule != "key-order"], run=False))
    assert ([one.render() for each in checked for one in each.remarks], len(checked) > 80) == ([], True)


# -- answers -------------------------------------------------------------------------------------
OTHER: Final = "  - {when: {%s}, status: 500}\n"


def answers(*whens: str) -> str:
    """A script of one answer for each ``when``: the first takes any number of requests."""
    first, *others = whens
    head = f"{HEAD}provider:\n  - {{when: {{{first}}}, times: any, status: 429}}\n"
    return head + "".join(OTHER % when for when in others)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("dialect: openai-chat", "dialect: openai-chat, turn: 1"),
        ("dialect: 'openai-*'", "dialect: openai-chat"),
        ("model: '*'", "model: 'gpt-*'"),
        ("host: 'API.openai.com'", "host: api.openai.com"),
        ("contains: pass", "contains: password, turn: 2"),
    ],
)
def test_an_answer_behind_one_that_takes_all_its_requests_is_dead(tmp_path: Path, wide: str, narrow: str) -> None:
    assert said(tmp_path, answers(wide, narrow), "unused-answer", run=False) == [
        (7, "this answer is never reached: the one on line 6 takes every request that fits its `when`")
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dialect: openai-chat, turn: 1", "dialect: openai-chat"),
        ("model: 'gpt-*'", "model: '*'"),
        ("model: 'gpt-5*'", "model: 'gpt-*'"),
        ("contains: password", "contains: pass"),
        ("turn: 1", "turn: 2"),
        ("stream: true", "stream: false"),
    ],
)
def test_an_answer_behind_one_that_leaves_it_a_request_lives(tmp_path: Path, one: str, other: str) -> None:
    assert said(tmp_path, answers(one, other), "unused-answer", run=False) == []


@pytest.mark.parametrize(
    ("when", "text", "remedy"),
    [
        (
            "dialect: openai-caht",
            "no request fits this: no dialect is called 'openai-caht'",
            "did you mean 'openai-chat'?",
        ),
        (
            "dialect: anthropic",
            "no request fits this: subject 'agent' speaks 'openai-chat'",
            "take it out, or mend its `when`",
        ),
        (
            "host: api.anthropic.com",
            "no request fits this: subject 'agent' asks api.openai.com",
            "take it out, or mend its `when`",
        ),
        (
            "path: /v1/chat",
            "no request fits this: '/v1/chat' is the path of no completion request",
            "write a path such as */chat/completions, or match on the dialect",
        ),
    ],
)
def test_a_condition_that_no_request_fits_is_told_where_it_stands(
    tmp_path: Path, when: str, text: str, remedy: str
) -> None:
    (one,) = remarks(tmp_path, f"{PLAIN}".replace("  - stream", OTHER % when + "  - stream"), run=False)
    assert (one.rule, one.line, one.source[one.column - 1 :], one.text, one.remedy) == (
        "unused-answer",
        6,
        f"{when.split(': ')[1]}}}, status: 500}}",
        text,
        remedy,
    )


def test_a_model_that_the_settings_exclude_is_told_and_the_fallback_is_none_of_these(tmp_path: Path) -> None:
    text = f"{HEAD}settings: {{model: a, fallback_model: b}}\nprovider:\n" + "".join(
        OTHER % f"model: {model}" for model in "abc"
    )
    assert said(tmp_path, text, "unused-answer", run=False) == [
        (9, "no request fits this: subject 'agent' asks for the model 'a', then 'b'")
    ]


def test_an_answer_that_one_row_needs_is_not_doubted(tmp_path: Path) -> None:
    matrix = "matrix: {wire: [openai-chat, anthropic]}\nsettings: {dialect: '${wire}'}\n"
    dead = PLAIN.replace("  - stream", OTHER % "dialect: anthropic" + "  - stream")
    assert said(tmp_path, dead + matrix, "unused-answer", run=False) == []


# -- tools ---------------------------------------------------------------------------------------
TOOLS: Final = "tools: {read: {returns: ok}, write: {returns: ok}}\n"


def test_a_tool_that_no_answer_calls_is_told(tmp_path: Path) -> None:
    text = PLAIN.replace("{say: Hi}", "{call: read, args: {}}") + TOOLS
    assert said(tmp_path, text, "unused-tool", run=False) == [(8, "no answer calls the tool 'write'")]


@pytest.mark.parametrize(
    "step",
    [
        "{call: wri, args: {}}, {name: te}",
        '{raw: \'data: {"name": "write"}\'}',
        '{call: read, args: \'{"then": "write"}\'}',
        "{call: re, index: 1}, {call: wr, index: 0}, {name: ad, index: 1}, {name: ite, index: 0}",
    ],
)
def test_a_tool_that_an_answer_may_mean_is_not_doubted(tmp_path: Path, step: str) -> None:
    tools = "tools: {write: {returns: ok}}\n"
    assert said(tmp_path, PLAIN.replace("{say: Hi}", step) + tools, "unused-tool", run=False) == []


def test_a_tool_that_must_not_run_is_not_doubted(tmp_path: Path) -> None:
    text = PLAIN.replace("{last_message: Hi}", "{tool_calls: {write: 0}}") + "tools: {write: {returns: ok}}\n"
    assert said(tmp_path, text, "unused-tool", run=False) == []


# -- durations -----------------------------------------------------------------------------------
def lasting(stall: str, settings: str = "stale_after: 90s", more: str = "") -> str:
    return f"{HEAD}settings: {{{settings}}}\nprovider:\n  - stream: [{{stall: {stall}}}, {{finish: stop}}]\n{more}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lasting("90ms"), (7, "'90ms' is about a thousandth of 'stale_after', which is 90s", "did you mean '90s'?")),
        (lasting("91ms"), (7, "'91ms' is about a thousandth of 'stale_after', which is 90s", "did you mean '91s'?")),
        (
            lasting("181ms", ""),
            (7, "'181ms' is about a thousandth of 'stale_after', which is 3m", "did you mean '181s'?"),
        ),
        (lasting("180m"), (7, "'180m' is 3h", "write it so, or 180s or 180ms if that was meant")),
        (lasting("1s", "turn_deadline: 180m"), (5, "'180m' is 3h", "write it so, or 180s or 180ms if that was meant")),
        (
            lasting("1s", "stale_after: 2m", "limits: {time: 1m}\n"),
            (
                5,
                "'stale_after' is '2m', and the run is stopped after 1m",
                "write a longer limits: time, or a shorter duration, or forever for one that never ends",
            ),
        ),
        (
            lasting("2d"),
            (
                7,
                "'stall' is '2d', and the run is stopped after 1d",
                "write a longer limits: time, or a shorter duration, or forever for one that never ends",
            ),
        ),
    ],
)
def test_a_duration_that_looks_like_a_slip_is_told(tmp_path: Path, text: str, expected: tuple[int, str, str]) -> None:
    found = remarks(tmp_path, text, "suspicious-duration", run=False)
    assert [(one.line, one.text, one.remedy) for one in found] == [expected]


@pytest.mark.parametrize("stall", ["181s", "89s", "9ms", "200ms", "90m", "1d", "0s"])
def test_a_duration_that_people_write_is_not_doubted(tmp_path: Path, stall: str) -> None:
    assert said(tmp_path, lasting(stall), "suspicious-duration", run=False) == []


def test_a_duration_of_one_row_is_told_once_where_it_is_used(tmp_path: Path) -> None:
    text = lasting("'${quiet}'", more="matrix: {quiet: [91s, 90ms], wire: [a, b]}\n")
    assert said(tmp_path, text, "suspicious-duration", run=False) == [
        (7, "'90ms' is about a thousandth of 'stale_after', which is 90s")
    ]


# -- order and flaws -----------------------------------------------------------------------------
def test_as_few_keys_as_will_do_are_told_to_move(tmp_path: Path) -> None:
    text = "simkit: 1\n" + ANSWER + "scenario: a\nmatrix: {x: [a]}\n"
    assert said(tmp_path, text, "key-order", run=False) == [(5, "the key 'scenario' belongs above 'provider'")]


def test_a_flaw_that_the_subject_does_not_have_is_wrong(tmp_path: Path) -> None:
    (one,) = remarks(tmp_path, f"{PLAIN}catches:\n  - stub_finish_stop\n  - no_cancel_al\n", run=False)
    assert (one.severity, one.rule, one.line, one.column, one.text, one.remedy) == (
        "error",
        "catches-nothing",
        10,
        5,
        "subject 'agent' has no flaw 'no_cancel_al'",
        "did you mean 'no_cancel_all'?",
    )


def test_what_the_language_refuses_is_told_and_nothing_is_doubted_beside_it(tmp_path: Path) -> None:
    assert broken(tmp_path, f"{PLAIN}settings: {{stale_after: 180m, patience: 1s}}\n", run=False) == ["scenario"]

"""What ``--fix`` makes of a text: what is mechanical is mended, everything else is kept to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.linting.mending import mend
from simkit.linting.order import ORDER
from simkit.linting.standing import Step, data_of, standing
from simkit.linting.trees import tree_of

FILE: Final = "a.sim.yaml"
SCENARIOS: Final = Path(__file__).parents[2] / "scenarios"

GOOD: Final = """# yaml-language-server: $schema=scenario.json
simkit: 1
scenario: Is the question answered?
about: |
  # no comment, and

  no key:
# what the answers share
vars: {name: write_file}
settings: {stale_after: 90s, dialect: openai-chat}   # the usual

user:
  - {at: 0s, says: "Write ${name}"}
# the script
# in one answer
provider:
  - stream:
      - call: "${name}"
        args: {path: a}
      # the silence
      - stall: 91s
      - {finish: tool_calls}
    # below the answer
  - {status: 429, retry_after: 7s}
tools: {write_file: {takes: 20ms}}
expect:
  requests: {at_most: 3}
  ends_within: 15m
always:
  - no_orphans
  - bounded_requests: 6
# the end
"""


def mended(text: str) -> str:
    return mend(text, FILE).text


def changes(text: str) -> list[str]:
    return [f"{change.line}: {change.says}" for change in mend(text, FILE).changes]


def test_a_text_with_nothing_wrong_is_the_very_text() -> None:
    assert (mended(GOOD), changes(GOOD), standing(GOOD, FILE).problems) == (GOOD, [], ())


def test_the_corpus_is_mended_by_moving_keys_and_nothing_else() -> None:
    found = {p.name: mend(p.read_text("utf-8"), str(p)) for p in sorted(SCENARIOS.rglob("*.sim.yaml"))}
    assert {c.says.split()[1] for one in found.values() for c in one.changes} <= {"moved"}


# -- words and units -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("settings:", "setings:"),
        ("stale_after:", "stale_aftr:"),
        ("openai-chat", "opnai-chat"),
        ("stall:", "stal:"),
        ("finish:", "finnish:"),
        ("finish: tool_calls", "finish: toolcalls"),
        ("retry_after:", "retry_aftr:"),
        ("takes:", "take:"),
        ("expect:", "expct:"),
        ("at_most:", "at_mots:"),
        ("- no_orphans", "- no_orphan"),
        ("- bounded_requests:", "- bounded_request:"),
        ("settings: {stale_after: 90s,", "settings: {stale_after: 90 sec,"),
        ("stall: 91s", "stall: 91 seconds"),
        ("stall: 91s", "stall: 91S"),
        ("ends_within: 15m", "ends_within: 15 min"),
        ("ends_within: 15m", "ends_within: '15 min'"),
        ("takes: 20ms", "takes: 20 msec"),
    ],
)
def test_one_likely_meaning_is_written_and_nothing_else_is_touched(right: str, wrong: str) -> None:
    expected = GOOD.replace(right, right.replace("15m", "'15m'")) if "'" in wrong else GOOD
    text = GOOD.replace(right, wrong.replace("91S", "91 s"))
    assert (mended(text), len(changes(text))) == (expected, 1)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("91s", "91"),
        ("91s", "1:31"),
        ("91s", "91M"),
        ("91s", "soon"),
        ("stall:", "st:"),
        ("- no_orphans", "- xyz"),
        ("openai-chat", "openai-"),
        ("requests: {at_most: 3}", "requests: {at_: 3}"),
        ("finish: tool_calls", "finish: '${name}'"),
    ],
)
def test_what_has_no_one_likely_meaning_is_left_to_the_author(right: str, wrong: str) -> None:
    text = GOOD.replace(right, wrong)
    assert (mended(text), text == GOOD) == (text, False)


def test_a_word_between_two_others_is_left_to_the_author() -> None:
    texts = [GOOD.replace("takes: 20ms", "raises_a: RuntimeError"), GOOD.replace("stall: 91s", "tall: 91s")]
    assert list(map(mended, texts)) == texts


def test_what_a_misspelt_key_hides_is_mended_after_it() -> None:
    text = GOOD.replace("settings: {stale_after: 90s", "setings: {stale_aftr: 90 sec").replace(
        "stall: 91s", "stal: 1.5 min"
    )
    assert (mended(text), changes(text)) == (
        GOOD.replace("91s", "1.5m"),
        [
            "10: 'setings' is now 'settings'",
            "21: 'stal' is now 'stall'",
            "10: 'stale_aftr' is now 'stale_after'",
            "21: '1.5 min' is now '1.5m'",
            "10: '90 sec' is now '90s'",
        ],
    )  # fmt: skip


def test_the_name_of_a_subject_is_mended() -> None:
    text = GOOD.replace("settings:", "subject: agnt\nsettings:")
    assert mended(text) == text.replace("agnt", "agent")


# -- quotes --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("{at: 0s, says: ${name}}", '{at: 0s, says: "${name}"}'),
        ("{says: ${name}, at: 0s}", '{says: "${name}", at: 0s}'),
        ("{at: 0s, says: Write ${name} and ${name}}", '{at: 0s, says: "Write ${name} and ${name}"}'),
        ("{at: 0s, says: a:${name}/b }", '{at: 0s, says: "a:${name}/b" }'),
    ],
)
def test_a_variable_in_braces_gets_the_quotes_that_it_lacks(wrong: str, right: str) -> None:
    text = GOOD.replace('{at: 0s, says: "Write ${name}"}', wrong)
    assert mended(text) == GOOD.replace('{at: 0s, says: "Write ${name}"}', right)


def test_every_variable_that_lacks_its_quotes_gets_them_line_by_line() -> None:
    text = GOOD.replace('"Write ${name}"', "${name}").replace('- call: "${name}"\n', "- call: ${name}\n")
    text = text.replace("{write_file: {takes: 20ms}}", "{write_file: {returns: [${name}, ${name}]}}")
    assert changes(text) == [
        "13: '${name}' is now '\"${name}\"'",
        "25: '${name}' is now '\"${name}\"'",
        "25: '${name}' is now '\"${name}\"'",
    ]


@pytest.mark.parametrize(
    "wrong", ["{at: 0s, says: ${name}", "{at: 0s, says: it's ${name}}", "{at: 0s, says: ${na me}}"]
)
def test_braces_whose_bounds_are_not_clear_are_left_to_the_author(wrong: str) -> None:
    text = GOOD.replace('{at: 0s, says: "Write ${name}"}', wrong)
    assert (mended(text), standing(text, FILE).step) == (text, Step.NOT_YAML)


# -- order ---------------------------------------------------------------------------------------
def test_a_key_moves_with_the_comments_above_it_and_inside_it() -> None:
    text = """# about the file

scenario: a
# why one
simkit: 1   # the format
expect: {requests: 0}

# the script
provider: []
  # inside the script
user: []
# the end"""
    assert (mended(text), changes(text)) == (
        """# about the file

# why one
simkit: 1   # the format
scenario: a
user: []

# the script
provider: []
  # inside the script
expect: {requests: 0}
# the end""",
        ["5: 'simkit' moved above 'scenario'", "9: 'provider' moved above 'expect'", "11: 'user' moved above 'expect'"],
    )


def test_a_last_line_without_its_break_gives_it_to_the_new_last_one() -> None:
    assert mended("simkit: 1\nprovider: []\nscenario: a") == "simkit: 1\nscenario: a\nprovider: []"


@pytest.mark.parametrize(
    "text",
    [
        "{scenario: a, simkit: 1, provider: []}\n",
        "{\nscenario: a,\nsimkit: 1,\nprovider: []\n}\n",
        "simkit: 1\nprovider: []\nscenario: a\nprovider: []\n",
        "simkit: 1\nscenario: a\nexpect: {last_message: &hi hello}\nprovider: [{stream: [{say: *hi}]}]\n",
    ],
    ids=["one line", "braces over lines", "a key twice", "an alias above its anchor"],
)
def test_what_cannot_be_cut_into_blocks_is_left_as_it_is(text: str) -> None:
    assert mended(text) == text


def test_a_comment_that_is_none_stays_inside_its_text() -> None:
    text = 'simkit: 1\nabout: "first\n# second"\nscenario: a\nprovider: []\n'
    assert mended(text) == 'simkit: 1\nscenario: a\nabout: "first\n# second"\nprovider: []\n'


# -- whatever the text ---------------------------------------------------------------------------
BLOCKS: Final = [
    "simkit: 1\n",
    "# the question\nscenario: a\n",
    "\nvars: {x: y}\n",
    "settings: {stale_after: 90 sec}\n",
    "# who\n\nuser: [{at: 0s, says: ${x}}]\n",
    "provider:\n  - stream:\n    # why\n    - stal: 5 min\n\n  - {status: 500}\n",
    "tools:\n  t: {take: 1 s}\n  # a comment inside\n",
    "expect: {ends_within: 1:30}\n",
    "nobody: knows\n",
    "always: [no_orphan]\n",
]
KEYS: Final = st.permutations(BLOCKS).flatmap(lambda all_: st.integers(1, len(all_)).map(lambda n: all_[:n]))


@settings(max_examples=60, deadline=None)
@given(blocks=KEYS, line_break=st.sampled_from(["\n", "\r\n"]), ended=st.booleans())
def test_mending_twice_is_mending_once_and_keeps_every_line_break(
    blocks: list[str], line_break: str, ended: bool
) -> None:
    whole = "".join(blocks)
    text = (whole if ended else whole.rstrip("\n")).replace("\n", line_break)
    once = mended(text)
    assert (mended(once), once.count(line_break), once.endswith("\n")) == (once, text.count(line_break), ended)


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(8)))
def test_whatever_the_order_of_good_keys_the_text_means_the_same_after_it(order: list[int]) -> None:
    lines = [
        "simkit: 1",
        "scenario: a",
        "# b\nabout: b",
        "vars: {x: 1}",
        "user: []",
        "provider: []",
        "tools: {}",
        "limits: {}",
    ]
    text = "".join(f"{lines[n]}\n" for n in order)
    after = mended(text)
    before_root, root = tree_of(text, FILE), tree_of(after, FILE)
    assert before_root is not None
    assert root is not None
    names = [key.text for key, _ in root.entries]
    assert (data_of(root), names) == (data_of(before_root), sorted(names, key=ORDER.index))

"""No text whatever gives a traceback: it is read, or it is refused with places."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import ScenarioError
from simkit.language.reader import loads

from .laws import LAWS

GOOD: Final = """simkit: 1
scenario: The stream stalls in the middle of a tool call
refs: [NousResearch/hermes-agent#31998, failure-modes/1]
vars: {name: write_file, list: &list [1, 2.5, no]}
settings: {stale_after: 180s, more: *list}
user:
  - at: 0s
    says: "Write \\u00fcber.html"
provider:
  - times: 3
    stream:
      - call: ${name}
        args: '{"path": "index.html", "content": "<!doc'
      - keepalive: {every: 15s, for: forever}
      - stall: ${quiet}
  - {status: 429, retry_after: 7s, headers: {x-a: 1}, chunks: {bytes: 7}}
  - background:
      queued: 5s
      polls: {2: {status: 502}}
      stream:
        - {think: hmm, signature: s, pieces: 2}
        - chunk: null
        - garble: utf8
        - raw: {hex: ff fe}
        - raw: {base64: /w==}
        - repeat: 2
        - {error: "${job} is gone", form: failed}
  - stream: [{say: Done}, {usage: {input: 1, output: 2, cached: 1}}, {finish: stop, wire: end_turn}]
    when: {model: "gpt-*", turn: 2, stream: true}
    capture: {job: 'id (\\w+)'}
    times: any
tools:
  write_file: {takes: 20ms, returns: ok}
hosts: {a.example: {connection: refused}}
expect:
  tool_calls: {"${name}": 1}
  last_message: {matches: "^Done"}
  waits: [7s, {between: [700ms, 1s]}]
  requests: {post: 1, get: {at_most: 2}}
  usage: {input: 3}
  events: [stream.end, {tool.start: {tool: a, args: {path: b}}, at: {at_most: 5s}}, {note: {name: parked, n: 1}}]
always:
  - bounded_requests: 6
  - {off: no_orphans, because: it is so}
matrix:
  quiet: ["181s", "10m"]
limits: {time: 1h}
"""

# What YAML and the language give a meaning to, next to what they have no place for.
PIECES: Final = [
    *(
        "\t",
        "\n",
        "  ",
        "- ",
        ": ",
        ":",
        "#",
        "'",
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        "*list",
        "&list ",
        "*",
        "&",
        "!",
        "!!int ",
    ),
    *(
        "|",
        ">",
        "%",
        "@",
        "`",
        "?",
        "? ",
        "<<: ",
        "~",
        "---\n",
        "...\n",
        "%YAML 9.9\n",
        "${",
        "$${",
        "${quiet}",
        "${no}",
    ),
    *(
        "\\",
        "\\x",
        "\\uD800",
        '"\\UFFFFFFFF"',
        "\0",
        "\x07",
        "\x85",
        "\u2028",
        "\ufeff",
        "\U0001f600",
        "\ud800",
    ),
    *(
        "0",
        "-1",
        "1e999",
        "9" * 50,
        "9" * 5000,
        "0x",
        "forever",
        "null",
        "true",
        "[" * 60,
        "{a: " * 60,
        "(?P<",
        "((a",
        "${job}",
        "\ue000job\ue001",
        "none",
        "any",
    ),
]

cuts = st.lists(
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 30), st.sampled_from(["", *PIECES])), min_size=1, max_size=4
)
PLACES: Final = [match.end() for match in re.finditer(r": |- |\[|, ", GOOD)]


def cut(text: str, start: int, length: int, piece: str) -> str:
    return text[:start] + piece + text[start + length :]


def outcome(text: str) -> str:
    """Read a text; what is neither scenarios nor a problem with a place flies through and fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return "read" if loads(text, "a.sim.yaml", laws=LAWS) else "nothing"
        except ScenarioError as error:
            return "refused" if all(p.line > 0 and p.column > 0 and p.text for p in error.problems) else "unplaced"


@given(cuts)
@settings(max_examples=400, derandomize=True, deadline=None, database=None)
def test_a_mutilated_scenario_is_read_or_refused(cuts: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for start, length, piece in cuts:
        text = cut(text, start, length, piece)
    assert outcome(text) in ("read", "refused")


@pytest.mark.parametrize("number", range(len(PIECES)))
def test_a_piece_in_the_place_of_a_value_is_read_or_refused(number: int) -> None:
    # Every third value, beginning elsewhere for each piece: all pairs would take half a minute.
    places = PLACES[number % 3 :: 3]
    ends = [min(end for end in (GOOD.find(mark, place) for mark in ",]}\n") if end > 0) for place in places]
    texts = [cut(GOOD, place, end - place, PIECES[number]) for place, end in zip(places, ends, strict=True)]
    assert {outcome(text) for text in texts} <= {"read", "refused"}


@given(st.text(alphabet=st.sampled_from("ab:- \n\t'\"{}[],*&!|>%@?#$0\\"), max_size=60))
@settings(max_examples=300, derandomize=True, deadline=None, database=None)
def test_any_text_is_refused_with_a_place(text: str) -> None:
    assert outcome(text) == "refused"


def test_the_text_that_is_mutilated_is_good_itself() -> None:
    assert [scenario.case for scenario in loads(GOOD, "a.sim.yaml", laws=LAWS)] == ["181s", "10m"]


SCENARIOS: Final = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.sim.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name)
def test_every_scenario_of_the_corpus_cut_at_any_line_is_read_or_refused(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    outcomes = {outcome("".join(lines[:end])) for end in range(len(lines) + 1)}
    assert outcomes == {"read", "refused"}

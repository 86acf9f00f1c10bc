"""The editor schema and the validator agree, with the ``jsonschema`` package as the judge."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from simkit.errors import ScenarioError
from simkit.language.keywords import portable
from simkit.language.schema import schema
from simkit.language.shapes import OPERATORS
from simkit.language.spec import SCENARIO
from simkit.language.topics import topics
from simkit.model.duration import FOREVER, parse_duration

from .fuzz import GOOD
from .judging import (
    BUILT_IN_LAWS,
    ONLY_THE_VALIDATOR_KNOWS,
    Beyond,
    of_shape,
    plain,
    problems_of,
    refusals,
    told,
    unseen,
)
from .test_spec import keys_below

BAD: Final = Path(__file__).parent / "errors"
SCENARIOS: Final = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.sim.yaml"))
HEAD: Final = {"simkit": "simkit: 1\n", "scenario": "scenario: A title\n", "provider": "provider: []\n"}


def whole(example: str, *needed: str) -> str:
    """An example below those of the keys that every scenario needs which it does not have itself."""
    there = {line.partition(":")[0] for line in example.splitlines()}
    return "".join(HEAD[key] for key in needed or HEAD if key not in there) + example


EXAMPLES: Final = list(dict.fromkeys(whole(topic.example) for topic in topics()))


# -- what the schema lets through, and what it refuses ----------------------------------------------------------------
def test_the_schema_is_one_itself() -> None:
    Draft202012Validator.check_schema(schema(BUILT_IN_LAWS))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name)
def test_every_scenario_of_the_corpus_is_let_through(path: Path) -> None:
    assert told(plain(path.read_text(encoding="utf-8"))) == []


def test_every_example_of_a_key_is_let_through() -> None:
    assert [example for example in EXAMPLES if told(plain(example))] == []


def _bad_files() -> Iterator[tuple[str, str, object]]:
    """The bad files that are YAML, each with its name, its text and its values; an editor says itself what is none."""
    for path in sorted(BAD.glob("*.sim.yaml")):
        try:
            text = path.read_text(encoding="utf-8")
            yield path.name, text, plain(text)
        except (ScenarioError, UnicodeDecodeError):
            continue


BAD_FILES: Final = list(_bad_files())


@pytest.mark.parametrize(("name", "text", "value"), BAD_FILES, ids=[name for name, *_ in BAD_FILES])
def test_a_bad_file_is_refused_where_a_schema_can_know(
    name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    problems = problems_of(text, name)
    assert (bool(problems), bool(refusals(value))) == (True, bool(of_shape(problems, name)))


def test_there_are_bad_files_of_both_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    kinds = [bool(refusals(value)) for _, _, value in BAD_FILES]
    assert (kinds.count(True) > 20, kinds.count(False) > 20) == (True, True)


@pytest.mark.parametrize("beyond", ONLY_THE_VALIDATOR_KNOWS, ids=lambda beyond: beyond.words)
def test_what_only_the_validator_knows_the_schema_lets_through(
    beyond: Beyond, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = whole(beyond.text, "simkit", "scenario")
    Path("a.sim.yaml").write_text(text, encoding="utf-8")
    said = [problem.text for problem in problems_of(text)]
    assert (told(plain(text)), said != [], [s for s in said if not re.search(beyond.words, s)]) == ([], True, [])


# -- mutations -------------------------------------------------------------------------------------------------------
# Without its base, of which a document that stands alone knows nothing.
ALONE: Final = GOOD.replace("extends: base.yaml\n", "")
DOCUMENTS: Final = [plain(text) for text in [ALONE, *EXAMPLES] if "extends:" not in text]
NAMES: Final = sorted(
    {topic.key.name for topic in topics()} | {o.name for o in OPERATORS} | {"stal", "ends", "${quiet}"}
)
VALUES: Final[list[object]] = [
    *(None, True, False, 0, 1, -1, 2, 6.0, 6.5, 500),
    *("", "text", "90s", "0s", "forever", "null", "any", "stop", "done", "ends", "tool.start", "user.cancels"),
    *("${quiet}", "a${quiet}"),
    *([], {}, ["a"], ["1s", "2s"], {"at_most": 1}, {"at_most": "1s", "at_least": "1s"}, {"contains": "x"}),
    *({"say": "x"}, {"stall": "1s", "index": 1}, {"text": "x"}, {"bounded_requests": 3}, {"ends": 3}),
    *({"off": "ends", "because": "x"}, {"off": "ends"}, {"tool.start": "a", "at": "1s"}, {"user.cancels": None}),
]


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Every mapping and list inside a value, with each of its keys or indexes."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])  # type: ignore[index]  # a mapping or a list


def mutated(draw: st.DrawFn, document: object) -> object:
    value = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        if found := list(places(value)):
            mutate(draw, *draw(st.sampled_from(found)))
    return value


def mutate(draw: st.DrawFn, holder: Any, key: Any) -> None:
    how = draw(st.sampled_from(["delete", "rename", "retype", "retype", "add"]))
    new = copy.deepcopy(draw(st.sampled_from(VALUES)))
    if how == "delete":
        del holder[key]
    elif how == "rename" and isinstance(holder, dict):
        name = draw(st.sampled_from(NAMES))
        renamed = {name if old == key else old: value for old, value in holder.items()}
        holder.clear()
        holder.update(renamed)
    elif how == "add" and isinstance(holder[key], dict):
        holder[key][draw(st.sampled_from(NAMES))] = new
    elif how == "add" and isinstance(holder[key], list):
        holder[key].append(new)
    else:
        holder[key] = new


@st.composite
def documents(draw: st.DrawFn) -> object:
    return mutated(draw, draw(st.sampled_from(DOCUMENTS)))


@given(documents())
@settings(max_examples=600, derandomize=True, deadline=None, database=None)
def test_a_mutated_document_is_never_refused_by_the_schema_alone_and_never_let_through_for_its_shape(
    document: object,
) -> None:
    problems = problems_of(json.dumps(document, ensure_ascii=False))
    refused = told(document)
    if refused:
        assert problems != ()
    elif not unseen(document):
        assert of_shape(problems) == []


def test_a_file_that_extends_another_need_not_be_whole_and_may_take_keys_away() -> None:
    part = {"simkit": 1, "extends": "base.yaml", "expect": None, "hosts": {"a": {"error": "x"}, "b": None}}
    assert (told(part), len(told({**part, "extends": None}))) == ([], 6)


@given(st.from_regex(r"([0-9]{1,3}(\.[0-9]{1,2})?(d|h|ms|us|ns|m|s| |D)){0,4}", fullmatch=True) | st.just("forever"))
@settings(max_examples=300, derandomize=True, deadline=None, database=None)
def test_a_duration_is_one_for_the_schema_where_it_is_one_for_the_model(text: str) -> None:
    value = {"simkit": 1, "scenario": "A title", "provider": [{"stream": [{"stall": text}, {"wait": text}]}]}
    try:
        ns = parse_duration(text)
    except ValueError:
        expected = ["$.provider[0].stream[0].stall", "$.provider[0].stream[1].wait"]
    else:
        expected = ["$.provider[0].stream[1].wait"] if ns >= FOREVER else []
    assert [line.split(" ")[0] for line in told(value)] == expected


# -- what people see ---------------------------------------------------------------------------------------------------
SLIPS: Final = """
simkit: 1
scenario: Six slips
setings: {stale_after: 180}
user: [{at: 1:30, says: hi}]
provider:
  - stream: [{say: hello}, {stal: 90s}, {call: write_file, arg: {path: x}}, {finish: stopp}]
  - streams: []
"""


def test_six_slips_are_six_sentences_each_about_its_own() -> None:
    said = [re.sub(r"(does not match) .*", r"\1 ...", line) for line in told(plain(SLIPS))]
    words = "['stop', 'length', 'tool_calls', 'content_filter', 'refusal', 'stop_sequence', 'context_window', 'pause', "
    assert said == [
        "$ Additional properties are not allowed ('setings' was unexpected)",
        "$.provider[0].stream[1] Additional properties are not allowed ('stal' was unexpected)",
        "$.provider[0].stream[2] 'arg' is not one of ['call', 'args', 'id', 'index']",
        f"$.provider[0].stream[3].finish 'stopp' is not one of {words}'error']",
        "$.provider[1] Additional properties are not allowed ('streams' was unexpected)",
        "$.user[0].at '1:30' does not match ...",
    ]


SHAPES_OF_STEPS: Final = [
    ({"say": "hi", "stall": "1s"}, ["'say' is not one of ['stall']", "'stall' is not one of ['say', 'pieces']"]),
    ({"args": "{", "id": "x"}, ["'id' is not one of ['args', 'index', 'pieces']"]),
    ({"call": "a", "args": "{", "id": "x"}, []),
    ("done", []),
    ("${step}", []),
    ({"${verb}": "90s"}, []),
    ("say", ["'say' is not of type 'object'"]),
    ({"keepalive": {"every": "15s"}}, ["'for' is a required property"]),
]


@pytest.mark.parametrize(("step", "said"), SHAPES_OF_STEPS, ids=[str(step) for step, _ in SHAPES_OF_STEPS])
def test_a_step_has_one_verb_and_what_stands_beside_it(step: object, said: list[str]) -> None:
    value = {"simkit": 1, "scenario": "A title", "provider": [{"stream": [step]}]}
    assert [line.split(" ", 1)[1] for line in told(value)] == said


def test_a_step_without_a_verb_is_told_which_there_are() -> None:
    value = {"simkit": 1, "scenario": "A title", "provider": [{"times": 3}]}
    assert told(value) == ["$.provider[0] {'times': 3} is not one of ['stream', 'background', 'status', 'connection']"]


# -- what editors read -------------------------------------------------------------------------------------------------
def _schemas(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _schemas(inner)


def test_every_key_has_its_sentence_for_the_editor() -> None:
    described = " ".join(str(s["description"]) for s in _schemas(schema(BUILT_IN_LAWS)) if "description" in s)
    assert [key.says for key in keys_below(SCENARIO) if key.says not in described] == []


def test_nothing_is_an_alternative_of_verbs() -> None:
    drawn = list(_schemas(schema(BUILT_IN_LAWS)))
    assert (
        [s for s in drawn if "oneOf" in s],
        {len(s["anyOf"]) for s in drawn if "enum" in s.get("anyOf", [{}])[0]},
    ) == (
        [],
        {2},
    )


def test_every_pattern_means_the_same_in_python_and_in_an_editor() -> None:
    # Groups with flags or names, anchors of Python's own, possessive repeats, and classes that differ in Unicode.
    apart = re.compile(r"\(\?[^:=!]|\\[AZzwWdDbB]|[*+?}]\+")
    patterns = {s["pattern"] for s in _schemas(schema(BUILT_IN_LAWS)) if isinstance(s.get("pattern"), str)}
    assert [pattern for pattern in patterns if apart.search(re.sub(r"\[[^]]*\]", "[]", pattern))] == []


def test_a_pattern_is_carried_over() -> None:
    written = [r"(?s).+", r".+", r"a\.b[.]c", r"(?!(?i:a-b)$)x"]
    assert [portable(pattern) for pattern in written] == [r"[\s\S]+", r"[^\n]+", r"a\.b[.]c", "(?!([aA]-[bB])$)x"]


def test_the_schema_of_the_same_laws_is_the_same_text() -> None:
    assert json.dumps(schema(BUILT_IN_LAWS)) == json.dumps(schema(BUILT_IN_LAWS))

"""What a good file becomes, value by value, and what is said of files that cannot be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from simkit.errors import ScenarioError, UsageError
from simkit.language.reader import FILE_BYTES_MAX, load, loads
from simkit.model.duration import FOREVER, NS_PER_MS, NS_PER_S
from simkit.model.scenario import Expectation, LawUse, Limits, Matcher, Scenario, ToolSpec, UserSays
from simkit.model.timeline import (
    Answer,
    Args,
    Call,
    Disconnect,
    Done,
    Finish,
    KeepAlive,
    Pace,
    Place,
    Say,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    UnreachableReply,
    Usage,
    Wait,
)

from .laws import LAWS

HEAD: Final = "simkit: 1\nscenario: A title\n"
S: Final = NS_PER_S


def read(text: str) -> tuple[Scenario, ...]:
    return loads(HEAD + text, "a.sim.yaml", laws=LAWS)


def read_one(text: str) -> Scenario:
    (scenario,) = read(text)
    return scenario


def steps_of(text: str) -> tuple[Step, ...]:
    reply = read_one(f"provider:\n  - stream:\n{text}").provider[0].reply
    assert isinstance(reply, StreamReply)
    return reply.steps


def settings_of(text: str) -> dict[str, object]:
    return dict(read_one(f"provider: []\n{text}").settings)


# -- answers ---------------------------------------------------------------------------------------
def test_every_verb_becomes_its_step() -> None:
    text = """
      - say: hi
      - call: ls
      - {call: cat, args: '{"pa', id: c1, index: 2}
      - {args: 'th": 1}', index: 2}
      - wait: 1s
      - stall: forever_not
      - pace: 250ms
      - keepalive: {every: 15s, for: forever}
      - usage: {input: 3, output: 4}
      - finish: tool_calls
      - done
      - done: true
      - done:
      - disconnect: cut
"""
    assert steps_of(text.replace("forever_not", "1m30s")) == (
        Say(text="hi"),
        Call(name="ls"),
        Call(name="cat", args='{"pa', id="c1", index=2),
        Args(text='th": 1}', index=2),
        Wait(ns=1 * S),
        Stall(ns=90 * S),
        Pace(ns=250 * NS_PER_MS),
        KeepAlive(every_ns=15 * S, for_ns=FOREVER),
        Usage(input_tokens=3, output_tokens=4),
        Finish(reason="tool_calls"),
        Done(),
        Done(),
        Done(),
        Disconnect(how="cut"),
    )


def test_arguments_written_as_a_mapping_become_json_text() -> None:
    text = "      - call: ls\n        args: {path: Käse, deep: {a: [1, 2.5, true, null, no]}, at: 1:30}\n"
    assert steps_of(text) == (
        Call(name="ls", args='{"path": "Käse", "deep": {"a": [1, 2.5, true, null, "no"]}, "at": "1:30"}'),
    )


def test_every_kind_of_answer_is_read() -> None:
    text = """provider:
  - {times: 3, stream: []}
  - {status: 429, error: slow down, retry_after: 7s, headers: {x-left: 0}}
  - {status: 503, retry_after: "Fri, 31 Dec 1999 23:59:59 GMT", body: busy}
  - {status: 503, retry_after: 1500ms}
  - {connection: unknown_host}
"""
    assert read_one(text).provider == (
        Answer(reply=StreamReply(steps=()), times=3),
        Answer(reply=StatusReply(status=429, error="slow down", retry_after="7", headers={"x-left": "0"})),
        Answer(reply=StatusReply(status=503, retry_after="Fri, 31 Dec 1999 23:59:59 GMT", body="busy")),
        Answer(reply=StatusReply(status=503, retry_after="1.5")),
        Answer(reply=UnreachableReply(how="unknown_host")),
    )


def test_hosts_answer_with_a_status_or_not_at_all() -> None:
    text = """provider: []
hosts:
  a.example: {status: 200, body: ok}
  b.example:8080: {connection: refused}
"""
    assert read_one(text).hosts == {
        "a.example": StatusReply(status=200, body="ok"),
        "b.example:8080": UnreachableReply(how="refused"),
    }


# -- the rest of a scenario ------------------------------------------------------------------------
def test_without_its_optional_keys_a_scenario_has_the_defaults_of_the_model() -> None:
    text = "provider: []\n"
    assert read_one(text) == Scenario(
        title="A title", provider=(), file="a.sim.yaml", source=HEAD + text, subject="agent", limits=Limits()
    )


def test_prose_and_words_are_taken_as_they_stand() -> None:
    text = "provider: []\nabout: why\nrefs: [o/r#1]\ntags: [slow, on]\ncatches: [flaw]\nsubject: a.b:c\n"
    scenario = read_one(text)
    assert (scenario.about, scenario.refs, scenario.tags, scenario.catches, scenario.subject) == (
        "why",
        ("o/r#1",),
        ("slow", "on"),
        ("flaw",),
        "a.b:c",
    )


def test_what_the_user_does_is_put_in_the_order_of_time() -> None:
    text = "provider: []\nuser:\n  - {at: 2s, says: b}\n  - {says: a}\n  - {at: 2s, says: c}\n"
    assert read_one(text).user == (
        UserSays(at_ns=0, text="a"),
        UserSays(at_ns=2 * S, text="b"),
        UserSays(at_ns=2 * S, text="c"),
    )


def test_tools_take_time_and_return_or_raise() -> None:
    text = """provider: []
tools:
  ls: {}
  cat: {takes: 20ms, returns: {a: [1]}}
  rm: {takes: forever, raises: no}
"""
    assert read_one(text).tools == {
        "ls": ToolSpec(name="ls"),
        "cat": ToolSpec(name="cat", takes_ns=20 * NS_PER_MS, returns={"a": [1]}),
        "rm": ToolSpec(name="rm", takes_ns=FOREVER, raises="no"),
    }


def test_facts_become_expectations_with_durations_in_nanoseconds() -> None:
    text = """provider: []
expect:
  requests: 5
  continuations: {at_most: 3}
  tool_calls: {ls: 1, cat: {between: [1, 2]}}
  messages: {one_of: [1, 2]}
  last_message: {contains: done}
  outcome: {not: failed}
  ends_within: 15m
  waits: [7s, {between: [700ms, 1s]}, {at_least: 1s}]
"""
    assert read_one(text).expect == (
        Expectation(fact="requests", matchers=(Matcher(op="exactly", value=5),)),
        Expectation(fact="continuations", matchers=(Matcher(op="at_most", value=3),)),
        Expectation(fact="tool_calls", key="ls", matchers=(Matcher(op="exactly", value=1),)),
        Expectation(fact="tool_calls", key="cat", matchers=(Matcher(op="between", value=(1, 2)),)),
        Expectation(fact="messages", matchers=(Matcher(op="one_of", value=(1, 2)),)),
        Expectation(fact="last_message", matchers=(Matcher(op="contains", value="done"),)),
        Expectation(fact="outcome", matchers=(Matcher(op="not", value="failed"),)),
        Expectation(fact="ends_within", matchers=(Matcher(op="at_most", value=900 * S),)),
        Expectation(
            fact="waits",
            matchers=(
                Matcher(op="exactly", value=7 * S),
                Matcher(op="between", value=(700 * NS_PER_MS, 1 * S)),
                Matcher(op="at_least", value=1 * S),
            ),
        ),
    )


def test_laws_are_named_given_a_value_or_switched_off_with_a_reason() -> None:
    text = """provider: []
always:
  - no_orphans
  - bounded_requests: 6
  - bounded_silence: 200s
  - {off: history_well_formed, because: it is cut on purpose}
"""
    assert read_one(text).always == (
        LawUse(law="no_orphans"),
        LawUse(law="bounded_requests", value=6),
        LawUse(law="bounded_silence", value=200 * S),
        LawUse(law="history_well_formed", off=True, because="it is cut on purpose"),
    )


def test_limits_that_are_not_given_keep_their_default() -> None:
    assert read_one("provider: []\nlimits: {time: 1h, requests: 9}\n").limits == Limits(time_ns=3600 * S, requests=9)


def test_everything_that_a_report_may_point_at_knows_its_place() -> None:
    text = """provider:
  - stream:
      - say: hi
user:
  - says: hello
tools:
  ls: {}
settings: {model: m}
expect:
  tool_calls: {ls: 1}
always: [no_orphans]
subject: agent
"""
    scenario = read_one(text)
    reply = scenario.provider[0].reply
    assert isinstance(reply, StreamReply)
    assert [
        scenario.provider[0].place,
        reply.steps[0].place,
        scenario.user[0].place,
        scenario.tools["ls"].place,
        scenario.settings_places["model"],
        scenario.expect[0].place,
        scenario.always[0].place,
        scenario.subject_place,
    ] == [
        Place("a.sim.yaml", line, column)
        for line, column in [(4, 5), (5, 9), (7, 5), (9, 7), (10, 12), (12, 16), (13, 10), (14, 1)]
    ]


# -- YAML ------------------------------------------------------------------------------------------
def test_plain_scalars_mean_what_they_mean_in_yaml_1_2() -> None:
    words = "a: on, b: no, c: 1:30, d: 012, e: 0o14, f: 0x1F, g: 1e3, h: ~, i: 2026-01-01, j: .5, k: .inf"
    text = f"settings: {{{words}}}\n"
    assert list(settings_of(text).values()) == [
        "on",
        "no",
        "1:30",
        12,
        12,
        31,
        1000.0,
        None,
        "2026-01-01",
        0.5,
        ".inf",
    ]


def test_quoted_scalars_are_text() -> None:
    assert settings_of("settings: {a: '1', b: \"true\", c: ''}\n") == {"a": "1", "b": "true", "c": ""}


def test_an_alias_stands_for_the_value_of_its_anchor() -> None:
    assert settings_of("settings: {a: &x [1, {b: 2}], c: *x}\n") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    (scenario,) = loads("\ufeff" + HEAD + "provider: []\n", "a.sim.yaml", laws=LAWS)
    assert scenario.title == "A title"


# -- variables and the matrix ----------------------------------------------------------------------
def test_a_value_that_is_exactly_a_variable_keeps_its_type() -> None:
    text = """vars: {n: 3, l: [1, a], t: 90}
settings: {a: '${n}', b: '${l}', c: '${t}s', d: '$${n}', e: '$$${n}'}
"""
    assert settings_of(text) == {"a": 3, "b": [1, "a"], "c": "90s", "d": "${n}", "e": "$${n}"}


def test_keys_are_filled_in_too() -> None:
    assert settings_of("vars: {name: model}\nsettings: {'${name}': m}\n") == {"model": "m"}


def test_a_variable_may_use_those_above_it_and_the_row() -> None:
    rows = read("provider: []\nvars: {a: '${n}s', b: '${a}!'}\nsettings: {x: '${b}'}\nmatrix: {n: [1, 2]}\n")
    assert [row.settings["x"] for row in rows] == ["1s!", "2s!"]


def test_the_matrix_gives_one_scenario_for_each_combination_in_order() -> None:
    text = """provider: []
settings: {quiet: "${quiet}", dialect: "${dialect}"}
matrix:
  quiet: ["181s", "10 m"]
  dialect: [openai-chat, anthropic]
"""
    assert [(row.case, *row.settings.values()) for row in read(text)] == [
        ("181s-openai-chat", "181s", "openai-chat"),
        ("181s-anthropic", "181s", "anthropic"),
        ("10_m-openai-chat", "10 m", "openai-chat"),
        ("10_m-anthropic", "10 m", "anthropic"),
    ]


# -- files -----------------------------------------------------------------------------------------
def test_a_file_below_the_current_directory_is_shown_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deep" / "a.sim.yaml"
    file.parent.mkdir()
    file.write_text(HEAD + "provider: []\n")
    shown_outside = load(file, laws=LAWS)[0].file
    monkeypatch.chdir(tmp_path)
    shown_inside = [load(path, laws=LAWS)[0].file for path in (file, "deep/a.sim.yaml", "./deep/a.sim.yaml")]
    assert [shown_outside, *shown_inside] == [file.as_posix(), *["deep/a.sim.yaml"] * 3]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.sim.yaml", "there is no file 'none.sim.yaml'"),
        ("folder", "'folder' is a directory, expected a scenario file (*.sim.yaml)"),
        ("no\0name", "there is no file 'no\\x00name'"),
    ],
)
def test_a_path_that_is_no_file_is_the_callers_mistake(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError) as caught:
        load(name, laws=LAWS)
    assert str(caught.value) == said


def test_a_file_that_cannot_be_opened_is_the_callers_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.sim.yaml").write_text("")
    monkeypatch.chdir(tmp_path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError) as caught:
        load("a.sim.yaml", laws=LAWS)
    assert str(caught.value) == "'a.sim.yaml' cannot be read: Permission denied"


def test_a_file_of_more_than_a_mebibyte_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.sim.yaml").write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError) as caught:
        load("a.sim.yaml", laws=LAWS)
    assert str(caught.value) == ("a.sim.yaml:1:1: the file is larger than 1 MiB - split it into several scenarios")


def test_an_endless_list_of_mistakes_is_cut_and_the_rest_counted() -> None:
    with pytest.raises(ScenarioError) as caught:
        read("provider: []\n" + "".join(f"bad{n}: 1\n" for n in range(150)))
    problems = caught.value.problems
    assert (len(problems), problems[-1].text) == (101, "and 50 more problems")


def test_a_very_long_line_is_told_by_its_place_alone() -> None:
    with pytest.raises(ScenarioError) as caught:
        read(f"provider: []\nabout: {{{'a' * 300}: 1}}\n")
    assert str(caught.value) == "a.sim.yaml:4:8: expected text, got a mapping"

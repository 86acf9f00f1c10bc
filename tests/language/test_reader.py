"""What a good file becomes, value by value, and what is said of files that cannot be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast, get_args

import pytest

from simkit.errors import ScenarioError, UsageError
from simkit.language.files import FILE_BYTES_MAX
from simkit.language.reader import load, loads
from simkit.model.duration import FOREVER, NS_PER_MS, NS_PER_S
from simkit.model.scenario import (
    STARTS_NS,
    EventPattern,
    Expectation,
    Exploring,
    LawUse,
    Limits,
    Link,
    LinkDown,
    LinkHeld,
    LinkReset,
    Matcher,
    Scenario,
    ToolSpec,
    UserSays,
)
from simkit.model.timeline import (
    NO_INDEX,
    Answer,
    Args,
    BackgroundReply,
    Call,
    CassetteReply,
    Chunk,
    Disconnect,
    Done,
    Fault,
    Finish,
    FinishReason,
    Garble,
    KeepAlive,
    Name,
    Pace,
    Place,
    Raw,
    Refuse,
    Repeat,
    Say,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    Think,
    UnreachableReply,
    Usage,
    Wait,
    When,
    fill,
    hole,
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
      - think: hmm
      - refuse: no
      - call: ls
      - {call: cat, args: '{"pa', id: c1, index: 2}
      - {args: 'th": 1}', index: 2}
      - {name: _all, index: 2}
      - chunk: empty
      - wait: 1s
      - stall: 1m30s
      - pace: 250ms
      - keepalive: {every: 15s, for: forever}
      - usage: {input: 3, output: 4}
      - finish: tool_calls
      - done
      - done: true
      - done:
      - error: overloaded
      - garble: json
      - raw: 'data: '
      - repeat: 3
      - disconnect: cut
"""
    assert steps_of(text) == (
        Say(text="hi"),
        Think(text="hmm"),
        Refuse(text="no"),
        Call(name="ls"),
        Call(name="cat", args='{"pa', id="c1", index=2),
        Args(text='th": 1}', index=2),
        Name(text="_all", index=2),
        Chunk(kind="empty"),
        Wait(ns=1 * S),
        Stall(ns=90 * S),
        Pace(ns=250 * NS_PER_MS),
        KeepAlive(every_ns=15 * S, for_ns=FOREVER),
        Usage(input_tokens=3, output_tokens=4),
        Finish(reason="tool_calls"),
        Done(),
        Done(),
        Done(),
        Fault(text="overloaded"),
        Garble(how="json"),
        Raw(data=b"data: "),
        Repeat(times=3),
        Disconnect(how="cut"),
    )


def test_every_extra_of_a_step_reaches_the_model() -> None:
    text = """
      - {say: hi, pieces: 2}
      - {think: hmm, signature: c2ln, pieces: 3}
      - {call: ls, index: none}
      - {args: '{}', index: none, pieces: 4}
      - {name: _all, index: none}
      - usage: {input: 3, output: 4, cached: 2, thinking: 1}
      - {finish: stop, wire: end_turn}
      - {error: slow down, type: rate_limit, code: 429, form: nested}
"""
    assert steps_of(text) == (
        Say(text="hi", pieces=2),
        Think(text="hmm", signature="c2ln", pieces=3),
        Call(name="ls", index=NO_INDEX),
        Args(text="{}", index=NO_INDEX, pieces=4),
        Name(text="_all", index=NO_INDEX),
        Usage(input_tokens=3, output_tokens=4, cached_tokens=2, thinking_tokens=1),
        Finish(reason="stop", wire="end_turn"),
        Fault(text="slow down", type="rate_limit", code="429", form="nested"),
    )


def test_the_word_null_means_the_chunk_and_not_the_absence_of_one() -> None:
    text = "      - chunk: null\n      - chunk: 'null'\n      - chunk: blank\n      - chunk: meta\n"
    kinds = [step.kind for step in steps_of(text) if isinstance(step, Chunk)]
    assert kinds == ["null", "null", "blank", "meta"]


@pytest.mark.parametrize("reason", get_args(FinishReason))
def test_every_reason_to_finish_is_a_word_of_the_language(reason: FinishReason) -> None:
    assert steps_of(f"      - finish: {reason}\n") == (Finish(reason=reason),)


@pytest.mark.parametrize(
    ("written", "data"),
    [
        ("käse", "käse".encode()),
        ('"data: x\\n\\n"', b"data: x\n\n"),
        ("{hex: ff fe}", b"\xff\xfe"),
        ("{hex: 00}", b"\x00"),
        ("{hex: 1234}", b"\x12\x34"),
        ("{hex: ''}", b""),
        ("{base64: /+8=}", b"\xff\xef"),
        ("{base64: QUJD}", b"ABC"),
        ("{base64: 1234}", b"\xd7m\xf8"),
        ('{base64: "QU\\nJD Q\\tQ ==\\n"}', b"ABCA"),
    ],
)
def test_bytes_are_written_as_text_hex_or_base64(written: str, data: bytes) -> None:
    assert steps_of(f"      - raw: {written}\n") == (Raw(data=data),)


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


def test_a_stream_brings_its_own_headers_and_compression() -> None:
    text = "provider: [{stream: [], headers: {content-type: text/html, x-n: 5}, gzip: true}]\n"
    headers = {"content-type": "text/html", "x-n": "5"}
    assert read_one(text).provider == (Answer(reply=StreamReply(steps=(), headers=headers, gzip=True)),)


def test_an_answer_says_how_often_for_whom_when_and_how_it_is_cut() -> None:
    text = """provider:
  - {stream: [], times: any, after: 2s, chunks: byte, when: {model: "gpt-*"}}
  - {status: 500, after: forever, chunks: {bytes: 7}}
  - {background: {}, chunks: burst}
  - {connection: timeout, after: 1s}
  - {stream: [], capture: {job: 'id (\\w+)'}}
"""
    assert read_one(text).provider == (
        Answer(reply=StreamReply(steps=()), times=None, after_ns=2 * S, chunks="byte", when=When(model="gpt-*")),
        Answer(reply=StatusReply(status=500), after_ns=FOREVER, chunks=7),
        Answer(reply=BackgroundReply(), chunks="burst"),
        Answer(reply=UnreachableReply(how="timeout"), after_ns=1 * S),
        Answer(reply=StreamReply(steps=()), capture={"job": r"id (\w+)"}),
    )


def test_every_condition_reaches_the_model() -> None:
    text = """provider:
  - stream: []
    when:
      host: a.example
      path: /v1/*
      model: m
      dialect: anthropic
      stream: false
      turn: 2
      contains: go on
      conversation: hello
      has_tool_result: true
      connection: 3
      retry: 0
  - {connection: reset, when: {host: a.example, connection: 2}}
  - {stream: [], when: {}}
"""
    assert [answer.when for answer in read_one(text).provider] == [
        When(
            host="a.example",
            path="/v1/*",
            model="m",
            dialect="anthropic",
            stream=False,
            turn=2,
            contains="go on",
            conversation="hello",
            has_tool_result=True,
            connection=3,
            retry=0,
        ),
        When(host="a.example", connection=2),
        When(),
    ]


def test_a_background_job_has_its_stages_its_end_and_its_polls() -> None:
    text = """provider:
  - background:
      queued: 5s
      in_progress: forever
      ends: failed
      error: out of memory
      expires: 1h
      window: 1m
      polls: {2: {status: 502}, "10": {connection: reset}}
      stream:
        - say: hi
        - disconnect: cut
        - finish: stop
  - background: {}
"""
    assert [answer.reply for answer in read_one(text).provider] == [
        BackgroundReply(
            steps=(Say(text="hi"), Disconnect(how="cut"), Finish(reason="stop")),
            queued_ns=5 * S,
            in_progress_ns=FOREVER,
            ends="failed",
            error="out of memory",
            expires_ns=3600 * S,
            window_ns=60 * S,
            polls={2: StatusReply(status=502), 10: UnreachableReply(how="reset")},
        ),
        BackgroundReply(),
    ]


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


def test_a_cassette_is_looked_for_beside_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, tape = tmp_path / "cases" / "a.sim.yaml", tmp_path / "tapes" / "t.yaml"
    for path in (file, tape):
        path.parent.mkdir()
        path.write_text(f"{HEAD}provider: []\nhosts: {{a.example: {{cassette: ../tapes/t.yaml}}}}\n")
    shown_outside = load(file, laws=LAWS)[0].hosts["a.example"]
    monkeypatch.chdir(tmp_path)
    inside = [load(file, laws=LAWS), loads(file.read_text(), "cases/a.sim.yaml", laws=LAWS)]
    assert [shown_outside, *(rows[0].hosts["a.example"] for rows in inside)] == [
        CassetteReply(path=f"{tmp_path.as_posix()}/cases/../tapes/t.yaml"),
        *[CassetteReply(path="cases/../tapes/t.yaml")] * 2,
    ]


# -- captured names --------------------------------------------------------------------------------
def test_a_captured_name_is_a_hole_in_every_text_of_a_step() -> None:
    text = """
      - say: job ${job} of ${n}
      - {think: '${job}', signature: '${job}'}
      - refuse: ${job}
      - {call: 'get_${job}', args: {id: '${job}', deep: ['a ${job}']}, id: 'c_${job}'}
      - args: '{"id": "${job}"}'
      - name: ${job}
      - error: ${job} failed
      - raw: '${job}'
    capture: {job: 'id ([a-z]+)'}
vars: {n: 3}
"""
    *steps, raw = steps_of(text)
    filled = [
        {name: fill(value, {"job": "x7"}) for name in step.__slots__ if isinstance(value := getattr(step, name), str)}
        for step in steps
    ]
    assert filled == [
        {"text": "job x7 of 3"},
        {"text": "x7", "signature": "x7"},
        {"text": "x7"},
        {"name": "get_x7", "args": '{"id": "x7", "deep": ["a x7"]}', "id": "c_x7"},
        {"text": '{"id": "x7"}'},
        {"text": "x7"},
        {"text": "x7 failed", "form": "event"},
    ]
    assert raw == Raw(data=hole("job").encode())


def test_a_captured_name_is_a_hole_in_an_error_and_a_body() -> None:
    text = """provider:
  - {status: 404, error: "no ${job}", capture: {job: x}}
  - {status: 404, body: "no ${job}"}
  - {background: {ends: failed, error: "no ${job}"}}
"""
    said = f"no {hole('job')}"
    assert [answer.reply for answer in read_one(text).provider] == [
        StatusReply(status=404, error=said),
        StatusReply(status=404, body=said),
        BackgroundReply(ends="failed", error=said),
    ]


def test_one_answer_may_use_what_another_captures_in_a_background_job_too() -> None:
    text = """provider:
  - {stream: [], capture: {job: x}}
  - background: {stream: [say: '${job}']}
"""
    reply = read_one(text).provider[1].reply
    assert isinstance(reply, BackgroundReply)
    assert [fill(step.text, {"job": "x7"}) for step in reply.steps if isinstance(step, Say)] == ["x7"]


def test_an_answer_that_comes_from_a_variable_captures_too() -> None:
    text = """vars:
  capture: {job: x}
  asks: {stream: [], capture: '${capture}'}
  answers: ['${asks}', {stream: []}]
  all: ${answers}
provider: ${all}
"""
    captured = [answer.capture for answer in read_one(text).provider]
    used = "provider:\n  - ${asks}\n  - stream: [say: '${job}']\nvars: {asks: {stream: [], capture: {job: x}}}\n"
    assert (captured, len(read_one(used).provider)) == ([{"job": "x"}, {}], 2)


def test_a_key_called_capture_elsewhere_captures_nothing() -> None:
    text = """provider:
  - stream: [{call: ls, args: {capture: {x: 1}}}]
settings: {capture: {quiet: 1}, other: '${quiet}'}
matrix: {quiet: [5s], x: [1]}
"""
    assert dict(read_one(text).settings) == {"capture": {"quiet": 1}, "other": "5s"}


def test_an_escaped_name_stays_plain_text_beside_a_captured_one() -> None:
    steps = steps_of("      - say: $${job} ${job}\n    capture: {job: x}\n")
    assert [fill(step.text, {"job": "x7"}) for step in steps if isinstance(step, Say)] == ["${job} x7"]


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
  exit: {raises_as: SystemExit}
"""
    assert read_one(text).tools == {
        "ls": ToolSpec(name="ls"),
        "cat": ToolSpec(name="cat", takes_ns=20 * NS_PER_MS, returns={"a": [1]}),
        "rm": ToolSpec(name="rm", takes_ns=FOREVER, raises="no"),
        "exit": ToolSpec(name="exit", raises_as="SystemExit"),
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


def exactly(value: object) -> Matcher:
    return Matcher(op="exactly", value=value)


def test_facts_with_parts_become_one_expectation_for_each() -> None:
    text = """provider: []
expect:
  requests: {post: 1, get: {at_most: 40}}
  polls: {at_least: 2}
  tool_effects: {transfer: 1}
  parked: 0
  usage: {input: 120, output: {not: 0}}
"""
    assert read_one(text).expect == (
        Expectation(fact="requests", key="post", matchers=(exactly(1),)),
        Expectation(fact="requests", key="get", matchers=(Matcher(op="at_most", value=40),)),
        Expectation(fact="polls", matchers=(Matcher(op="at_least", value=2),)),
        Expectation(fact="tool_effects", key="transfer", matchers=(exactly(1),)),
        Expectation(fact="parked", matchers=(exactly(0),)),
        Expectation(fact="usage", key="input", matchers=(exactly(120),)),
        Expectation(fact="usage", key="output", matchers=(Matcher(op="not", value=0),)),
    )


def test_an_event_is_a_kind_with_its_main_value_with_values_by_name_or_alone() -> None:
    text = """provider: []
expect:
  events:
    - tool.start: write_file
    - said: {contains: Done}
    - tool.end: {tool: write_file, outcome: {not: ok}}
    - tool.start: {args: {path: a}}
    - user.cancels: {heard: true}
    - note: {name: parked, tool: slow}
    - {turn.end: finished, at: {at_most: 90s}}
    - {stream.end: , at: 1s}
    - subject.returned
    - stream.end
    - run.end:
"""
    (events,) = read_one(text).expect
    assert [matcher.value for matcher in events.matchers] == [
        EventPattern(kind="tool.start", values={"tool": exactly("write_file")}),
        EventPattern(kind="said", values={"text": Matcher(op="contains", value="Done")}),
        EventPattern(kind="tool.end", values={"tool": exactly("write_file"), "outcome": Matcher(op="not", value="ok")}),
        EventPattern(kind="tool.start", values={"args": Matcher(op="holds", value={"path": "a"})}),
        EventPattern(kind="user.cancels", values={"heard": exactly(True)}),
        EventPattern(kind="note", values={"name": exactly("parked"), "tool": exactly("slow")}),
        EventPattern(kind="turn.end", values={"outcome": exactly("finished")}, at=Matcher(op="at_most", value=90 * S)),
        EventPattern(kind="stream.end", at=exactly(S)),
        EventPattern(kind="subject.returned"),
        EventPattern(kind="stream.end"),
        EventPattern(kind="run.end"),
    ]


def test_a_pattern_knows_its_own_line() -> None:
    (events,) = read_one("provider: []\nexpect:\n  events:\n    - stream.end\n    - said: a\n").expect
    assert [cast(EventPattern, m.value).place for m in events.matchers] == [
        Place("a.sim.yaml", 6, 7),
        Place("a.sim.yaml", 7, 7),
    ]


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


def test_a_link_has_its_latency_and_its_faults() -> None:
    text = """provider: []
network:
  "*": {latency: 20ms}
  api.openai.com:
    faults:
      - {at: 5s, reset: }
      - {at: 6s, reset: true}
      - {at: 7s, hold: 3s}
      - {at: 8s, hold: forever}
      - {at: 9s, connection: refused, for: 30s}
      - {at: 0s, connection: unknown_host}
  h:8080: {}
"""
    assert read_one(text).network == {
        "*": Link(latency_ns=20 * NS_PER_MS),
        "api.openai.com": Link(
            faults=(
                LinkReset(at_ns=5 * S),
                LinkReset(at_ns=6 * S),
                LinkHeld(at_ns=7 * S, for_ns=3 * S),
                LinkHeld(at_ns=8 * S, for_ns=FOREVER),
                LinkDown(at_ns=9 * S, for_ns=30 * S, how="refused"),
                LinkDown(at_ns=0, for_ns=FOREVER, how="unknown_host"),
            )
        ),
        "h:8080": Link(),
    }


def test_what_must_be_reached_is_written_as_the_events_of_expect() -> None:
    lines = "[lost.error, {tool.start: ls}, {said: {contains: a}, at: {at_most: 5s}}]"
    scenario = read_one(f"provider: []\nexpect: {{events: {lines}}}\nsometimes: {lines}\n")
    assert [matcher.value for matcher in scenario.expect[0].matchers] == list(scenario.sometimes)


def test_an_exploration_says_what_it_varies() -> None:
    texts = (
        "{}",
        "{heal: 60s}",
        "{runs: 9, faults: [cut, status_429], where: [frames, user], shift: 2s, jitter: 1ms, order: any, sweep: pairs}",
    )
    assert [read_one(f"provider: []\nexplore: {text}\n").explore for text in texts] == [
        Exploring(),
        Exploring(heal_ns=60 * S),
        Exploring(
            runs=9,
            faults=("cut", "status_429"),
            where=("frames", "user"),
            shift_ns=2 * S,
            jitter_ns=NS_PER_MS,
            order="any",
            sweep="pairs",
        ),
    ]


def test_a_reason_to_skip_or_to_fail_holds_for_every_row_and_may_name_it() -> None:
    rows = read("provider: []\nmatrix: {d: [a, b]}\nskip: not on ${d}\nxfail: |\n  a bug\n  of ${d}\n")
    assert [(row.skip, row.xfail) for row in rows] == [
        ("not on a", "a bug\nof a\n"),
        ("not on b", "a bug\nof b\n"),
    ]


def test_a_reason_for_some_rows_holds_for_those_with_all_these_values() -> None:
    text = """provider: []
matrix: {d: [a, b], n: [1, "1", true]}
skip: {when: {d: a, n: 1}, because: "${d} cannot"}
xfail: {when: {n: true}, because: not yet}
"""
    assert [(row.skip, row.xfail) for row in read(text.replace('"1"', '"01"'))] == [
        ("a cannot", ""),
        ("", ""),
        ("", "not yet"),
        ("", ""),
        ("", ""),
        ("", "not yet"),
    ]


@pytest.mark.parametrize("written", ["2026-03-29T00:59:00Z", '"2026-03-29T02:59:00+02:00"', "2026-03-29 00:59Z"])
def test_the_wall_clock_starts_as_it_is_written(written: str) -> None:
    texts = (f"provider: []\nstarts: {written}\n", "provider: []\n")
    assert [read_one(text).starts_ns for text in texts] == [1_774_745_940 * S, STARTS_NS]


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


def test_a_job_ends_as_its_finish_says_unless_it_is_told_otherwise() -> None:
    text = "\n".join(
        f"  - background: {{{more}stream: [{{say: a}}, {{finish: {reason}}}]}}"
        for more, reason in [("", "stop"), ("", "length"), ("", "content_filter"), ("", "error"),
                             ("ends: completed, ", "length")]
    )  # fmt: skip
    replies = [answer.reply for answer in read_one(f"provider:\n{text}\n").provider]
    assert [reply.ends for reply in replies if isinstance(reply, BackgroundReply)] == [
        "completed",
        "incomplete",
        "incomplete",
        "failed",
        "completed",
    ]

"""What the writer writes is what the reader reads, for every step and answer, and as a person would write it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import UsageError
from simkit.language.builder import REPLIES, STEPS
from simkit.language.instants import FIRST_NS, LAST_NS
from simkit.language.reader import load, loads
from simkit.language.writer import write, write_answers
from simkit.model.duration import FOREVER, NS_PER_MS, NS_PER_S
from simkit.model.plan import FAULT_KINDS
from simkit.model.scenario import (
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
    UserNote,
    UserSays,
)
from simkit.model.timeline import (
    ANYTIME,
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
    Garble,
    KeepAlive,
    Name,
    Pace,
    Raw,
    Refuse,
    Repeat,
    Reply,
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
    hole,
)

from .laws import LAWS

CORPUS: Final = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.sim.yaml"))


def read_back(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    lines = write_answers(answers).splitlines()
    text = "".join(f"  {line}\n" for line in lines)
    (scenario,) = loads(f"simkit: 1\nscenario: A title\nprovider:\n{text}", "a.sim.yaml", laws=LAWS)
    return scenario.provider


def again(scenario: Scenario) -> Scenario:
    (read,) = loads(write(scenario, laws=LAWS), scenario.file, laws=LAWS)
    return replace(read, file=scenario.file, source=scenario.source, bases=scenario.bases, row=scenario.row)


def written(*steps: Step) -> str:
    return write_answers([Answer(reply=StreamReply(steps=steps))])


# -- every value -----------------------------------------------------------------------------------
# Texts that YAML, the variables or the types would read as something else.
TRICKY: Final = (
    *("", " ", "~", "null", "Null", "yes", "on", "true", "1", "0x1f", "1e5", ".5", "1_000", "0o17", "1:30", "-", "- a"),
    *(
        "a: b",
        "a:",
        "a #b",
        "#a",
        "[a",
        "{a",
        "a]",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "'",
        '"',
        "it's",
        'say "hi"',
        "%a",
        "@a",
    ),
    *("`a", "${x}", "$${x}", "$", "$$", "${", "a\nb", "a\n", "a\n\n", "\na", " a\nb", "a \nb", "a\tb", "a\r\nb", "..."),
    *("---", "\x00", "\x7f", "\x85", "\u2028", "\ufeff", "\U0001f600", "ünï", "a\\b", "<<", "=", "?", "? a", "forever"),
    *("1s", "'a' \"b\"", "ends with a space ", "data: {}\n\n", "\n\n"),
    *(hole("x"), f"a {hole('x')} b", f"{hole('x')}{{"),
)
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\ue000\ue001")
plain = st.sampled_from([text for text in TRICKY if "\ue000" not in text]) | st.text(letters, max_size=12)
said = st.sampled_from(TRICKY) | plain
ns = st.integers(0, 10**14)
index = st.none() | st.integers(0, 127) | st.just(NO_INDEX)
pieces = st.integers(1, 9)
json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
)
args = said | st.dictionaries(plain, json_values, max_size=3).map(lambda value: json.dumps(value, ensure_ascii=False))
calls = st.builds(Call, name=said.filter(bool), args=st.none() | args, id=st.none() | said, index=index)
headers = st.dictionaries(
    st.sampled_from(["x-a", "retry-after-ms"]), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
)

STEP_KINDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "say": st.builds(Say, text=said, pieces=pieces),
    "think": st.builds(Think, text=said, signature=st.none() | said, pieces=pieces),
    "refuse": st.builds(Refuse, text=said),
    "call": calls,
    "args": st.builds(Args, text=args, index=index, pieces=pieces),
    "name": st.builds(Name, text=said, index=index),
    "chunk": st.builds(Chunk, kind=st.sampled_from(["empty", "null", "blank", "comment", "meta"])),
    "wait": st.builds(Wait, ns=ns),
    "stall": st.builds(Stall, ns=ns),
    "pace": st.builds(Pace, ns=ns),
    "keepalive": st.builds(KeepAlive, every_ns=ns.filter(bool), for_ns=ns | st.just(FOREVER)),
    "usage": st.builds(
        Usage,
        input_tokens=st.integers(0, 9999),
        output_tokens=st.integers(0, 9999),
        cached_tokens=st.integers(0, 2),
        thinking_tokens=st.integers(0, 2),
    ),
    "finish": st.builds(
        Finish, reason=st.sampled_from(["stop", "length", "tool_calls", "pause"]), wire=st.none() | plain
    ),
    "done": st.builds(Done),
    "error": st.builds(
        Fault,
        text=said,
        type=st.none() | plain,
        code=st.none() | plain,
        form=st.sampled_from(["event", "nested", "failed"]),
    ),
    "garble": st.builds(Garble, how=st.sampled_from(["json", "text", "utf8", "unended"])),
    "raw": st.builds(Raw, data=st.binary(max_size=80) | said.map(str.encode)),
    "repeat": st.builds(Repeat, times=st.integers(1, 10_000)),
    "disconnect": st.builds(Disconnect, how=st.sampled_from(["eof", "cut", "reset"])),
}
status = st.builds(
    StatusReply,
    status=st.integers(200, 599),
    error=st.none() | plain,
    type=st.none() | plain,
    code=st.none() | plain,
    retry_after=st.none()
    | st.sampled_from(["0", "7", "0.5", "120", "007", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "inf"]),
    headers=headers,
    body=st.none() | plain,
)
unreachable = st.builds(UnreachableReply, how=st.sampled_from(["refused", "reset", "timeout", "unknown_host"]))


@st.composite
def timelines(draw: st.DrawFn) -> tuple[Step, ...]:
    """Steps in an order that the language lets pass: a call first, something to repeat, nothing behind an end."""
    apart = ("garble", "error", "disconnect")
    middle = st.one_of(*(kind for name, kind in STEP_KINDS.items() if name not in apart))
    garble, error, disconnect = (draw(st.lists(STEP_KINDS[name], max_size=1)) for name in apart)
    steps = [draw(calls), *draw(st.lists(middle, max_size=5)), *garble, Say(text="what may be damaged")]
    return (*steps, *error, *disconnect)


REPLY_KINDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "stream": st.builds(StreamReply, steps=timelines(), headers=headers, gzip=st.booleans()),
    "background": st.builds(
        BackgroundReply,
        steps=timelines().map(lambda steps: tuple(s for s in steps if not isinstance(s, Fault))),
        queued_ns=ns,
        in_progress_ns=ns | st.just(FOREVER),
        ends=st.just("failed"),
        error=st.none() | plain,
        polls=st.dictionaries(st.integers(1, 9), status | unreachable, max_size=2),
        window_ns=ns,
        expires_ns=ns,
    ),
    "status": status,
    "connection": unreachable,
}
whens = st.builds(
    When,
    **{name: st.none() | plain for name in ("host", "path", "model", "dialect", "contains", "conversation")},
    **{name: st.none() | st.booleans() for name in ("stream", "has_tool_result")},
    **{name: st.none() | st.integers(0, 9) for name in ("turn", "retry")},
    connection=st.none() | st.integers(1, 9),
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    reply: Reply = draw(st.one_of(*REPLY_KINDS.values()))
    times = draw(st.none() | st.integers(1, 9))
    if isinstance(reply, UnreachableReply):
        return Answer(reply=reply, times=times)
    return Answer(
        reply=reply,
        times=times,
        when=draw(st.just(ANYTIME) | whens),
        after_ns=draw(ns | st.just(FOREVER)),
        chunks=draw(st.sampled_from(("frame", "burst", "byte", "whole", 1, 99))),
        # Names that the texts above use must be captured somewhere.
        capture={"x": draw(st.sampled_from([r"(\d+)", "a|b", "'\"", ""]))},
    )


def test_there_is_a_strategy_for_every_step_and_every_answer_of_the_language() -> None:
    assert (set(STEP_KINDS), set(REPLY_KINDS)) == (set(STEPS), set(REPLIES))


@settings(max_examples=300, deadline=None)
@given(answers())
def test_an_answer_that_was_written_is_read_as_the_same_answer(answer: Answer) -> None:
    try:
        back = read_back((answer,))
    except UsageError as error:
        # The one thing that the language has no way to write.
        assert "right before the captured name" in str(error)  # noqa: PT017  # only some texts are refused
    else:
        assert back == (answer,)


@settings(max_examples=100, deadline=None)
@given(json_values, plain.filter(str.strip), plain)
def test_a_scenario_that_was_written_is_read_as_the_same_scenario(data: object, title: str, text: str) -> None:
    if not isinstance(data, str) and not _is_writable(data):
        return
    scenario = Scenario(
        title=title,
        about=text,
        refs=(text, "b"),
        settings={"key": data, "other": text},
        user=(UserSays(at_ns=0, text=text), UserNote(at_ns=5, text=text)),
        provider=(Answer(reply=StreamReply(steps=(Say(text=text),))),),
        tools={
            "t": ToolSpec(name="t", takes_ns=5, returns=data),
            "u": ToolSpec(name="u", raises=text, raises_as="TimeoutError"),
        },
        catches=(text,),
    )
    assert again(scenario) == scenario


link_faults: Any = st.one_of(
    st.builds(LinkReset, at_ns=ns),
    st.builds(LinkHeld, at_ns=ns, for_ns=ns.filter(bool) | st.just(FOREVER)),
    st.builds(
        LinkDown,
        at_ns=ns,
        for_ns=ns.filter(bool) | st.just(FOREVER),
        how=st.sampled_from(["refused", "reset", "timeout", "unknown_host"]),
    ),
)
links = st.builds(Link, latency_ns=ns, faults=st.lists(link_faults, max_size=3).map(tuple))
texts_of_facts = st.builds(Matcher, op=st.sampled_from(["exactly", "contains", "not"]), value=plain)
patterns = st.one_of(
    st.builds(EventPattern, kind=st.just("said"), values=st.fixed_dictionaries({}, optional={"text": texts_of_facts})),
    st.builds(
        EventPattern,
        kind=st.just("tool.end"),
        values=st.fixed_dictionaries({"outcome": texts_of_facts, "tool": texts_of_facts}),
        at=st.none() | st.builds(Matcher, op=st.sampled_from(["exactly", "at_most", "not"]), value=ns),
    ),
)
some = st.lists(st.sampled_from(sorted(FAULT_KINDS)), max_size=3).map(tuple)
explorings = st.builds(
    Exploring,
    runs=st.integers(0, 99),
    faults=some,
    where=st.lists(st.sampled_from(["frames", "tools", "user"]), max_size=3).map(tuple),
    shift_ns=ns,
    jitter_ns=ns,
    order=st.sampled_from(["timing", "any"]),
    sweep=st.sampled_from(["none", "single", "pairs"]),
    heal_ns=st.none() | ns.filter(bool),
)
reasons = st.just("") | plain.filter(str.strip)


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Scenario,
        title=st.just("t"),
        provider=st.just(()),
        network=st.dictionaries(st.sampled_from(["*", "a.example", "[::1]:80", "1"]), links, max_size=3),
        sometimes=st.lists(patterns, max_size=3).map(tuple),
        explore=explorings,
        skip=reasons,
        xfail=reasons,
        starts_ns=st.integers(FIRST_NS, LAST_NS),
    )
)
def test_what_varies_and_what_goes_wrong_around_the_answers_comes_back(scenario: Scenario) -> None:
    assert again(scenario) == scenario


def test_what_goes_wrong_around_the_answers_reads_as_a_person_would_have_written_it() -> None:
    scenario = Scenario(
        title="t",
        provider=(),
        network={
            "*": Link(latency_ns=20 * NS_PER_MS),
            "a.example": Link(
                faults=(
                    LinkReset(at_ns=NS_PER_S),
                    LinkHeld(at_ns=0, for_ns=5 * NS_PER_S),
                    LinkDown(at_ns=NS_PER_S, for_ns=FOREVER, how="refused"),
                )
            ),
        },
        sometimes=(EventPattern(kind="lost.error"),),
        explore=Exploring(faults=("cut",), heal_ns=60 * NS_PER_S),
        plan="seed=3,cut@answer1.frame2",
        skip="not yet",
        starts_ns=1_774_745_940 * NS_PER_S,
    )
    text = """\
        simkit: 1
        scenario: t
        provider: []
        network:
          '*': {latency: 20ms}
          a.example:
            faults:
              - {at: 1s, reset: true}
              - {at: 0s, hold: 5s}
              - {at: 1s, connection: refused}
        sometimes:
          - lost.error
        explore: {faults: [cut], heal: 1m}
        # in the stream of answer 1
        # the connection ends
        plan: seed=3,cut@answer1.frame2
        skip: not yet
        starts: 2026-03-29T00:59:00Z
    """
    note = "in the stream of answer 1\nthe connection ends"
    assert write(scenario, plan_note=note) == dedent(text)


def _is_writable(data: object) -> bool:
    """Numbers of any length are no values of the language, and neither are merge keys."""
    match data:
        case dict():
            return "<<" not in data and all(map(_is_writable, data.values()))
        case list():
            return all(map(_is_writable, data))
        case int() | float():
            return len(str(data)) <= 40 and data not in (float("inf"), float("-inf"))
    return True


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_every_scenario_of_the_corpus_comes_back_from_its_own_text(path: Path) -> None:
    for case in load(path, laws=LAWS):
        assert again(case) == case


def test_all_there_is_around_the_answers_comes_back() -> None:
    scenario = Scenario(
        title="Is everything kept?",
        file="a/b.sim.yaml",
        tags=("x", "y: z"),
        subject="pkg.mod:agent",
        provider=(),
        hosts={"h:8080": StatusReply(status=404, body="no"), "g": UnreachableReply(how="refused")},
        expect=(
            Expectation(fact="requests", matchers=(Matcher(op="exactly", value=3),)),
            Expectation(fact="tool_calls", key="a", matchers=(Matcher(op="at_most", value=2),)),
            Expectation(fact="tool_calls", key="b", matchers=(Matcher(op="exactly", value=0),)),
            Expectation(fact="last_message", matchers=(Matcher(op="matches", value="a.*b"),)),
            Expectation(fact="ends_within", matchers=(Matcher(op="at_most", value=90 * NS_PER_S),)),
            Expectation(
                fact="waits",
                matchers=(
                    Matcher(op="exactly", value=500 * NS_PER_MS),
                    Matcher(op="between", value=(NS_PER_S, 2 * NS_PER_S)),
                ),
            ),
        ),
        always=(
            LawUse(law="no_orphans"),
            LawUse(law="bounded_requests", value=5),
            LawUse(law="bounded_silence", value=90 * NS_PER_S),
            LawUse(law="tools_run_once", off=True, because="it is: asked twice"),
        ),
        limits=Limits(time_ns=600 * NS_PER_S, requests=7),
    )
    assert again(scenario) == scenario


def occurs(kind: str, at: Matcher | None = None, **values: Matcher) -> Matcher:
    return Matcher(op="occurs", value=EventPattern(kind=kind, values=values, at=at))


def test_facts_with_parts_and_patterns_of_events_come_back_and_read_well() -> None:
    exactly, most = Matcher(op="exactly", value=1), Matcher(op="at_most", value=2)
    word, holds = Matcher(op="exactly", value="a"), Matcher(op="holds", value={"path": "a"})
    scenario = Scenario(
        title="t",
        provider=(),
        expect=(
            Expectation(fact="requests", key="post", matchers=(exactly,)),
            Expectation(fact="requests", key="get", matchers=(most,)),
            Expectation(fact="usage", key="input", matchers=(most,)),
            Expectation(
                fact="events",
                matchers=(
                    occurs("stream.end"),
                    occurs("tool.start", tool=word),
                    occurs("tool.start", tool=word, args=holds),
                    occurs("tool.start", args=holds),
                    occurs("said", Matcher(op="at_most", value=NS_PER_S), text=Matcher(op="contains", value="D")),
                    occurs("run.end", Matcher(op="exactly", value=90 * NS_PER_S)),
                    occurs("subject.returned", Matcher(op="exactly", value=NS_PER_S)),
                    occurs("user.cancels", heard=Matcher(op="exactly", value=True)),
                ),
            ),
        ),
    )
    assert (again(scenario), write(scenario).partition("expect:\n")[2]) == (
        scenario,
        indent(
            dedent("""\
                requests: {post: 1, get: {at_most: 2}}
                usage: {input: {at_most: 2}}
                events:
                  - stream.end
                  - tool.start: a
                  - tool.start: {tool: a, args: {path: a}}
                  - tool.start: {args: {path: a}}
                  - {said: {contains: D}, at: {at_most: 1s}}
                  - {run.end: null, at: 90s}
                  - {subject.returned: null, at: 1s}
                  - user.cancels: true
            """),
            "  ",
        ),
    )


def test_a_cassette_is_written_from_the_folder_of_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.yaml").touch()
    scenario = Scenario(title="t", provider=(), file="a/s.sim.yaml", hosts={"h": CassetteReply(path="a/c.yaml")})
    assert ("{cassette: c.yaml}" in write(scenario), again(scenario)) == (True, scenario)


# -- as a person would write it ----------------------------------------------------------------------
def test_a_scenario_reads_as_a_person_would_have_written_it() -> None:
    scenario = Scenario(
        title="The stream stalls in the middle of a tool call",
        user=(UserSays(at_ns=0, text="Write index.html"),),
        provider=(
            Answer(
                times=3,
                reply=StreamReply(
                    steps=(
                        Say(text="I'll write the page now."),
                        Call(name="write_file", args='{"path": "index.html", "content": "<ht'),
                        Stall(ns=180 * NS_PER_S),
                    )
                ),
            ),
            Answer(
                chunks="burst",
                after_ns=1500 * NS_PER_MS,
                reply=StreamReply(
                    steps=(
                        Call(name="write_file", args='{"path": "index.html", "content": "<h1>Hello</h1>"}', id="c1"),
                        KeepAlive(every_ns=15 * NS_PER_S, for_ns=FOREVER),
                        Usage(input_tokens=3, output_tokens=4),
                        Finish(reason="tool_calls"),
                        Done(),
                    )
                ),
            ),
            Answer(reply=StatusReply(status=429, retry_after="7"), when=When(turn=2)),
            Answer(reply=StreamReply(steps=(Raw(data=b"data: {}\n\n"), Raw(data=b"\xff\xfe"), Say(text="a\nb")))),
            Answer(reply=UnreachableReply(how="refused")),
        ),
        tools={"write_file": ToolSpec(name="write_file", takes_ns=20 * NS_PER_MS, returns="# ok")},
        hosts={"example.com": StatusReply(status=200, body="hi")},
        expect=(Expectation(fact="requests", matchers=(Matcher(op="at_most", value=5),)),),
        always=(LawUse(law="bounded_requests", value=6),),
    )
    text = """
        # Made by hand.
        simkit: 1
        scenario: The stream stalls in the middle of a tool call
        user:
          - at: 0s
            says: Write index.html
        provider:
          - times: 3
            stream:
              - say: I'll write the page now.
              - call: write_file
                args: '{"path": "index.html", "content": "<ht'
              - stall: 3m
          # The page.
          - after: 1s500ms
            chunks: burst
            stream:
              - call: write_file
                args: {path: index.html, content: <h1>Hello</h1>}
                id: c1
              - keepalive: {every: 15s, for: forever}
              - usage: {input: 3, output: 4}
              - finish: tool_calls
              - done
          - when: {turn: 2}
            status: 429
            retry_after: 7s
          - stream:
              - raw: |+
                  data: {}

              - raw:
                  hex: ff fe
              - say: |-
                  a
                  b
          - connection: refused
        tools:
          write_file: {takes: 20ms, returns: '# ok'}
        hosts:
          example.com: {status: 200, body: hi}
        expect:
          requests: {at_most: 5}
        always:
          - bounded_requests: 6
    """
    assert write(scenario, laws=LAWS, head="Made by hand.", notes={1: "The page."}) == dedent(text).lstrip("\n")


def test_quotes_stand_only_where_yaml_would_read_something_else() -> None:
    steps = [Say(text=text) for text in ("plain, {text}: ok?", "it's", "no", "1", "a: b", "a #b", "'q' \\", "a\tb", "")]
    assert [line.removeprefix("    - say: ") for line in written(*steps).splitlines()[1:]] == [
        "'plain, {text}: ok?'",
        "it's",
        "no",
        "'1'",
        "'a: b'",
        "'a #b'",
        "'''q'' \\'",
        '"a\\tb"',
        "''",
    ]


def test_arguments_are_a_mapping_only_where_that_gives_the_very_same_text() -> None:
    texts = ('{"a": 1}', '{"a":1}', '{"a": 1, "a": 2}', '{"a": NaN}', "[1]", '{"a', "{}", '{"<<": 1}', '{"1": 1.0}')
    lines = written(*(Args(text=text, index=0) for text in texts)).splitlines()[1::2]
    assert [line.removeprefix("    - args: ") for line in lines] == [
        "{a: 1}",
        "'{\"a\":1}'",
        '\'{"a": 1, "a": 2}\'',
        "'{\"a\": NaN}'",
        "'[1]'",
        "'{\"a'",
        "{}",
        "'{\"<<\": 1}'",
        "{'1': 1.0}",
    ]


def test_long_arguments_are_written_one_below_the_other() -> None:
    text = json.dumps({"path": "p" * 60, "content": "c" * 60})
    assert written(Call(name="f", args=text)).splitlines()[2:] == [
        "      args:",
        f"        path: {'p' * 60}",
        f"        content: {'c' * 60}",
    ]


# -- what cannot be written ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Say(text=f"${hole('x')}"), "a '$' right before the captured name 'x'"),
        (Say(text="\ue000"), "a text that holds '\\ue000'"),
        (Say(text="\ud800"), "a text that holds '\\ud800'"),
    ],
)
def test_what_no_text_stands_for_is_refused_by_name(step: Step, why: str) -> None:
    with pytest.raises(UsageError, match="this cannot be written in the language") as caught:
        written(step)
    assert why in str(caught.value)


def test_the_value_of_a_law_needs_the_table_that_says_what_it_is() -> None:
    scenario = Scenario(title="t", provider=(), always=(LawUse(law="bounded_requests", value=5),))
    with pytest.raises(UsageError, match="pass the table of laws"):
        write(scenario)

"""Defaults reach every answer and every tool that does not say otherwise, and contradict none."""

from __future__ import annotations

from simkit.language.reader import loads
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place, StatusReply, StreamReply, When

from .laws import LAWS


def read(text: str) -> Scenario:
    (scenario,) = loads(f"simkit: 1\nscenario: A title\n{text}", "a.sim.yaml", laws=LAWS)
    return scenario


def test_what_stands_beside_a_verb_holds_for_every_answer() -> None:
    scenario = read("""
defaults:
  provider: {times: 2, after: 1s, chunks: byte, capture: {a: x}, when: {turn: 1}}
provider:
  - stream: []
  - status: 404
  - background: {}
""")
    assert [(a.times, a.after_ns, a.chunks, a.capture, a.when) for a in scenario.provider] == [
        (2, 10**9, "byte", {"a": "x"}, When(turn=1))
    ] * 3


def test_an_answer_that_says_otherwise_keeps_its_own_whole_value() -> None:
    scenario = read("""
defaults:
  provider: {times: 2, when: {turn: 1, host: a}, headers: {x-a: a, x-b: b}}
provider:
  - {stream: [], times: 1, when: {turn: 2}, headers: {x-c: c}}
""")
    (answer,) = scenario.provider
    assert isinstance(answer.reply, StreamReply)
    assert (answer.times, answer.when, answer.reply.headers) == (1, When(turn=2), {"x-c": "c"})


def test_what_does_not_go_with_a_verb_is_not_given_to_it() -> None:
    scenario = read("""
defaults:
  provider: {gzip: true, headers: {x-a: a}, chunks: whole, after: 1s}
provider:
  - stream: []
  - status: 404
  - connection: refused
  - background: {}
""")
    streamed, refused = scenario.provider[0].reply, scenario.provider[1].reply
    assert isinstance(streamed, StreamReply)
    assert isinstance(refused, StatusReply)
    assert (
        (streamed.gzip, streamed.headers, refused.headers),
        [(a.chunks, a.after_ns) for a in scenario.provider],
    ) == (
        (True, {"x-a": "a"}, {"x-a": "a"}),
        [("whole", 10**9), ("whole", 10**9), ("frame", 10**9), ("whole", 10**9)],
    )


def test_every_tool_is_given_what_it_does_not_say_itself() -> None:
    scenario = read("""
defaults: {tools: {takes: 5s, cancel_takes: 2s, returns: [a], side_effect: done}}
tools:
  plain: {}
  quick: {takes: 0s, side_effect: written}
  raising: {raises: no}
  stubborn: {ignores_cancel: true}
provider: []
""")
    assert [
        (t.name, t.takes_ns // 10**9, t.cancel_takes_ns // 10**9, t.returns, t.side_effect)
        for t in scenario.tools.values()
    ] == [
        ("plain", 5, 2, ["a"], "done"),
        ("quick", 0, 2, ["a"], "written"),
        ("raising", 5, 2, "ok", "done"),
        ("stubborn", 5, 0, ["a"], "done"),
    ]


def test_a_default_may_come_from_a_variable_and_from_the_matrix() -> None:
    rows = loads(
        "simkit: 1\nscenario: A title\nvars: {d: {tools: {takes: '${t}'}}}\ndefaults: ${d}\n"
        "matrix: {t: [1s, 2s]}\ntools: {ls: {}}\nprovider: []\n",
        "a.sim.yaml",
        laws=LAWS,
    )
    assert [row.tools["ls"].takes_ns // 10**9 for row in rows] == [1, 2]


def test_an_answer_keeps_its_own_place() -> None:
    scenario = read("defaults: {provider: {after: 1s}}\nprovider:\n  - stream: []\n")
    assert [answer.place for answer in scenario.provider] == [Place("a.sim.yaml", 5, 5)]

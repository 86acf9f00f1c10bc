"""Rows 1 to 39 of the failure catalogue, played to the real agent over every wire on which they exist.

The idea: a row is the provider's answers and what must come of them; the laws of the house judge the rest, unasked.
The constraint: both sides of a rule are here, the fault and the legitimate case that a loop which is too eager would
break. Rows of which a wire knows nothing (names in pieces, say) are not played on it, and that stands in the row.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.agent.worlds import ANTHROPIC, CHAT, RESPONSES, WIRES, run, wrong


class Row(NamedTuple):
    """A row: its number and what it is, its scenario, where it exists, and the settings that it needs."""

    name: str
    text: str
    wires: tuple[str, ...] = WIRES
    settings: dict[str, object] = {}  # noqa: RUF012  # never changed


DONE = "{stream: [{say: Done.}, {finish: stop}]}"
WRITE = "{stream: [{call: write, args: {path: x}}, {finish: tool_calls}]}"
TOOL = "tools: {write: {takes: 1s}}"
TWO = "tools: {a: {takes: 1s}, b: {takes: 2s}}"

ROWS = (
    Row(
        "1 a stall in the middle of a call",
        f"""
        provider: [{{stream: [{{say: Writing.}}, {{call: write, args: '{{"pa'}}, {{stall: forever}}]}}, {WRITE}, {DONE}]
        {TOOL}
        expect: {{requests: 3, continuations: 1, tool_calls: {{write: 1}}, last_message: Done., outcome: finished}}
        """,
    ),
    Row(
        "2 headers, and then nothing",
        f"""
        provider: [{{times: 2, stream: [{{stall: forever}}]}}, {DONE}]
        expect: {{requests: 3, outcome: finished, ends_within: 6m2s}}
        """,
    ),
    Row(
        "2 nothing, for ever",
        """
        provider: [{times: any, stream: [{stall: forever}]}]
        expect: {requests: 3, outcome: failed, ends_within: 10m}
        """,
    ),
    Row(
        "2 no headers either",
        f"""
        provider: [{{after: forever, stream: []}}, {DONE}]
        expect: {{requests: 2, outcome: finished, ends_within: 61s}}
        """,
        settings={"first_event": "60s"},
    ),
    Row(
        "3 hours of silence in the middle of a text",
        """
        provider:
          - stream: [{say: Once upon}, {stall: 8h42m}, {say: " a time."}, {finish: stop}]
          - stream: [{say: " a time."}, {finish: stop}]
        expect: {requests: 2, continuations: 1, outcome: finished, ends_within: 4m}
        """,
    ),
    Row(
        "4 keep-alives on a dead stream",
        f"""
        provider: [{{stream: [{{say: Half}}, {{keepalive: {{every: 15s, for: 9h}}}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 1, outcome: finished, ends_within: 181s}}
        """,
    ),
    Row(
        "5 a long and legitimate gap while a large call is written",
        f"""
        provider:
          - stream: [{{call: write, args: '{{"path": "'}}, {{stall: 170s}}, {{args: 'x"}}'}}, {{stall: 170s}},
                     {{finish: tool_calls}}]
          - {DONE}
        {TOOL}
        expect: {{requests: 2, continuations: 0, tool_calls: {{write: 1}}, outcome: finished}}
        """,
    ),
    Row(
        "6 bytes flow, and no whole call comes of them for minutes",
        f"""
        provider:
          - stream: [{{call: write, args: '{{"path": "'}}, {{pace: 20s}},
                     {{args: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, pieces: 30}}, {{args: '"}}'}}, {{finish: tool_calls}}]
          - {DONE}
        {TOOL}
        expect: {{requests: 2, continuations: 0, tool_calls: {{write: 1}}, outcome: finished}}
        """,
    ),
    Row(
        "7 the body ends before the model has finished",
        f"""
        provider: [{{stream: [{{say: Half}}, {{disconnect: eof}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 1, outcome: finished}}
        """,
    ),
    Row(
        "8 the closing marker without a finish reason, and all is there",
        """
        provider: [{stream: [{say: All of it.}, {done: true}]}]
        expect: {requests: 1, last_message: All of it., outcome: finished}
        """,
    ),
    Row(
        "8 the closing marker behind a call",
        f"""
        provider: [{{stream: [{{call: write, args: {{path: x}}}}, {{done: true}}]}}, {DONE}]
        {TOOL}
        expect: {{requests: 2, tool_calls: {{write: 1}}, outcome: finished}}
        """,
        wires=(CHAT, ANTHROPIC),
    ),
    Row(
        "9 a reset in the middle of the stream",
        f"""
        provider: [{{stream: [{{say: Half}}, {{disconnect: reset}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 1, outcome: finished}}
        """,
    ),
    Row(
        "9 a body that is cut in the middle of a call",
        f"""
        provider: [{{stream: [{{call: write, args: {{path: x}}}}, {{disconnect: cut}}]}}, {WRITE}, {DONE}]
        {TOOL}
        expect: {{requests: 3, continuations: 1, tool_calls: {{write: 1}}, outcome: finished}}
        """,
    ),
    Row(
        "10 a reset after the closing marker",
        f"""
        user: [{{says: go}}, {{at: 5s, says: and now}}]
        provider: [{{stream: [{{say: All}}, {{finish: stop}}, {{done: true}}, {{disconnect: reset}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 0, messages: 2, outcome: finished}}
        """,
    ),
    Row(
        "11 the socket is held open after the closing marker",
        """
        provider: [{stream: [{say: All}, {finish: stop}, {done: true}, {stall: 120s}]}]
        expect: {requests: 1, last_message: All, outcome: finished, ends_within: 1s}
        """,
    ),
    Row(
        "12 cut arguments, and yet a finish reason as if all were well",
        f"""
        provider: [{{stream: [{{call: write, args: '{{"p": "x'}}, {{finish: tool_calls}}]}}, {WRITE}, {DONE}]
        {TOOL}
        expect: {{requests: 3, tool_calls: {{write: 1}}, tool_results_sent: 2, outcome: finished}}
        """,
    ),
    Row(
        "13 arguments cut by the output limit",
        f"""
        provider:
          - stream: [{{call: write, args: '{{"path": "/etc/hosts", "content": "line1'}}, {{finish: length}}]
          - {WRITE}
          - {DONE}
        {TOOL}
        expect: {{requests: 3, continuations: 1, tool_calls: {{write: 1}}, outcome: finished}}
        """,
    ),
    Row(
        "14 cut arguments, and the end of the body",
        f"""
        provider: [{{stream: [{{call: write, args: '{{"p": "x'}}, {{disconnect: eof}}]}}, {WRITE}, {DONE}]
        {TOOL}
        expect: {{requests: 3, continuations: 1, tool_calls: {{write: 1}}, outcome: finished}}
        """,
    ),
    Row(
        "15 a call without arguments",
        f"""
        provider: [{{stream: [{{call: write, args: ""}}, {{finish: tool_calls}}]}}, {DONE}]
        {TOOL}
        expect: {{requests: 2, tool_calls: {{write: 1}}, outcome: finished}}
        """,
    ),
    Row(
        "16 two calls of one turn share an id, and a third one of the next",
        f"""
        provider:
          - stream: [{{call: a, id: same, args: {{}}}}, {{call: b, id: same, args: {{}}}}, {{finish: tool_calls}}]
          - stream: [{{call: a, id: same, args: {{n: 1}}}}, {{finish: tool_calls}}]
          - {DONE}
        {TWO}
        expect: {{requests: 3, tool_calls: {{a: 2, b: 1}}, tool_results_sent: 3, outcome: finished}}
        """,
    ),
    Row(
        "17 parallel calls all at index 0",
        f"""
        provider:
          - stream: [{{call: a, index: 0, args: {{}}}}, {{call: b, index: 0, args: {{}}}}, {{finish: tool_calls}}]
          - {DONE}
        {TWO}
        expect: {{requests: 2, tool_calls: {{a: 1, b: 1}}, tool_results_sent: 2, outcome: finished}}
        """,
    ),
    Row(
        "18 calls without an index",
        f"""
        provider:
          - stream: [{{call: a, index: none}}, {{args: "{{}}", index: none}}, {{call: b, index: none}},
                     {{args: "{{}}", index: none}}, {{finish: tool_calls}}]
          - {DONE}
        {TWO}
        expect: {{requests: 2, tool_calls: {{a: 1, b: 1}}, outcome: finished}}
        """,
        wires=(CHAT,),
    ),
    Row(
        "19 arguments for an index that no call has",
        f"""
        provider: [{{stream: [{{call: a, index: 0}}, {{args: "{{}}", index: 3}}, {{finish: tool_calls}}]}}, {DONE}]
        {TWO}
        expect: {{requests: 2, tool_calls: {{a: 1}}, outcome: finished}}
        """,
        wires=(CHAT, RESPONSES),
    ),
    Row(
        "20 the arguments of parallel calls arrive interleaved",
        f"""
        provider:
          - stream: [{{call: a, index: 0, args: '{{"x":'}}, {{call: b, index: 1, args: '{{"y":'}},
                     {{args: "1}}", index: 0}}, {{args: "2}}", index: 1}}, {{finish: tool_calls}}]
          - {DONE}
        {TWO}
        expect: {{requests: 2, tool_calls: {{a: 1, b: 1}}, outcome: finished}}
        """,
    ),
    Row(
        "21 the opening of a call is sent again",
        f"""
        provider:
          - stream: [{{call: write}}, {{repeat: 2}}, {{args: '{{"path": "x"}}'}}, {{finish: tool_calls}}]
          - {DONE}
        {TOOL}
        expect: {{requests: 2, tool_calls: {{write: 1}}, outcome: finished}}
        """,
        wires=(CHAT, RESPONSES),
    ),
    Row(
        "22 the name comes in pieces",
        f"""
        provider: [{{stream: [{{call: wr}}, {{name: ite}}, {{args: "{{}}"}}, {{finish: tool_calls}}]}}, {DONE}]
        {TOOL}
        expect: {{requests: 2, tool_calls: {{write: 1}}, outcome: finished}}
        """,
        wires=(CHAT,),
    ),
    Row(
        "23 the list of calls is sent whole each time, and grows",
        f"""
        provider:
          - stream: [{{call: a, id: t1, index: 0, args: {{}}}}, {{call: a, id: t1, index: 0, args: {{}}}},
                     {{call: b, id: t2, index: 1, args: {{}}}}, {{finish: tool_calls}}]
          - {DONE}
        {TWO}
        expect: {{requests: 2, tool_calls: {{a: 1, b: 1}}, outcome: finished}}
        """,
        wires=(CHAT,),
    ),
    Row(
        "24 the reason is stop although there are calls",
        f"""
        provider: [{{stream: [{{call: write, args: {{path: x}}}}, {{finish: stop}}]}}, {DONE}]
        {TOOL}
        expect: {{requests: 2, tool_calls: {{write: 1}}, outcome: finished}}
        """,
    ),
    Row(
        "25 the reason is tool_calls and there are none, but words",
        """
        provider: [{stream: [{say: Well.}, {finish: tool_calls}]}]
        expect: {requests: 1, outcome: finished}
        """,
    ),
    Row(
        "25 the reason is tool_calls and there is nothing",
        """
        provider: [{times: any, stream: [{finish: tool_calls}]}]
        expect: {requests: 3, outcome: failed}
        """,
    ),
    Row(
        "26 a chunk without choices, first and last",
        """
        provider: [{stream: [{chunk: empty}, {chunk: "null"}, {say: Hello}, {finish: stop}, {chunk: empty},
                             {usage: {input: 3, output: 1}}]}]
        expect: {requests: 1, last_message: Hello, outcome: finished}
        """,
        wires=(CHAT,),
    ),
    Row(
        "26 a piece without content",
        """
        provider: [{stream: [{say: Hel}, {chunk: empty}, {say: lo}, {finish: stop}]}]
        expect: {requests: 1, last_message: Hello, outcome: finished}
        """,
        wires=(CHAT, ANTHROPIC),
    ),
    Row(
        "27 the token counts come after the finish",
        """
        provider: [{stream: [{say: Hello}, {finish: stop}, {wait: 2s}, {usage: {input: 3, output: 1}}]}]
        expect: {requests: 1, continuations: 0, last_message: Hello, outcome: finished}
        """,
    ),
    Row(
        "28 comments",
        """
        provider: [{stream: [{chunk: comment}, {say: Hel}, {chunk: comment}, {say: lo}, {finish: stop}]}]
        expect: {requests: 1, last_message: Hello, outcome: finished}
        """,
    ),
    Row(
        "28 a bare field and an event without data, at which the openai SDK by itself breaks off",
        """
        provider: [{stream: [{say: Hel}, {chunk: blank}, {chunk: meta}, {say: lo}, {finish: stop}]}]
        expect: {requests: 1, last_message: Hello, outcome: finished}
        """,
    ),
    Row(
        "29 frames and characters cut anywhere",
        """
        user: [{says: go}, {at: 1s, says: more}]
        provider: [{chunks: byte, stream: [{say: "Grüße, こんにちは"}, {finish: stop}]},
                   {chunks: {bytes: 7}, stream: [{say: "Grüße, こんにちは"}, {finish: stop}]}]
        expect: {requests: 2, messages: 2, last_message: "Grüße, こんにちは", outcome: finished}
        """,
    ),
    Row(
        "30 an error event under status 200",
        f"""
        provider: [{{stream: [{{say: Half}}, {{error: Overloaded, type: overloaded_error}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 1, outcome: finished}}
        """,
    ),
    Row(
        "30 an error event before anything else",
        f"""
        provider: [{{stream: [{{error: Overloaded, type: overloaded_error}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 0, outcome: finished}}
        """,
    ),
    Row(
        "30 an error event that will not pass",
        """
        provider: [{stream: [{say: Half}, {error: Your prompt is too long, type: invalid_request_error}]}]
        expect: {requests: 1, outcome: failed}
        """,
    ),
    Row(
        "30 an error that stands inside its event",
        f"""
        provider: [{{stream: [{{say: Half}}, {{error: Overloaded, form: nested}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 1, outcome: finished}}
        """,
        wires=(RESPONSES,),
    ),
    Row(
        "31 status 200 with an error, and with nothing",
        f"""
        provider:
          - {{status: 200, body: '{{"error": {{"message": "no capacity"}}}}'}}
          - {{status: 200, body: ""}}
          - {DONE}
        expect: {{requests: 3, last_message: Done., outcome: finished}}
        """,
    ),
    Row(
        "32 a page of the edge server",
        f"""
        provider: [{{status: 521, body: "<html><body>Web server is down</body></html>",
                     headers: {{content-type: text/html}}}}, {DONE}]
        expect: {{requests: 2, last_message: Done., outcome: finished}}
        """,
    ),
    Row(
        "33 an incomplete answer",
        f"""
        provider: [{{stream: [{{say: Half}}, {{finish: length}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 1, outcome: finished}}
        """,
    ),
    Row(
        "33 an incomplete answer, again and again",
        """
        provider: [{times: any, stream: [{say: Half}, {finish: length}]}]
        expect: {requests: 4, continuations: 3, outcome: incomplete}
        """,
    ),
    Row(
        "33 a filtered answer",
        """
        provider: [{stream: [{say: Half}, {finish: content_filter}]}]
        expect: {requests: 1, outcome: failed}
        """,
    ),
    Row(
        "33 a failed answer",
        f"""
        provider: [{{stream: [{{say: Half}}, {{finish: error}}]}}, {DONE}]
        expect: {{requests: 2, continuations: 1, outcome: finished}}
        """,
        wires=(CHAT, RESPONSES),
    ),
    Row(
        "33 an answer that failed for a reason that stays",
        """
        provider: [{stream: [{say: Half}, {error: The prompt is invalid, code: invalid_prompt, form: failed}]}]
        expect: {requests: 1, outcome: failed}
        """,
        wires=(RESPONSES,),
    ),
    Row(
        "34 closed before its last event, again and again",
        """
        provider: [{times: any, stream: [{say: Half}, {finish: stop}, {disconnect: eof}]}]
        expect: {requests: 4, continuations: 3, outcome: incomplete}
        """,
        wires=(RESPONSES,),
    ),
    Row(
        "34 closed before anything, again and again",
        """
        provider: [{times: any, stream: [{disconnect: eof}]}]
        expect: {requests: 3, outcome: failed}
        """,
    ),
    Row(
        "39 the text of a broken answer stands there once",
        """
        provider: [{stream: [{say: Here}, {disconnect: reset}]}, {stream: [{say: " it is."}, {finish: stop}]}]
        expect: {requests: 2, messages: 2, last_message: " it is.", outcome: finished}
        """,
    ),
)


@pytest.mark.parametrize(("row", "wire"), [pytest.param(r, w, id=f"{r.name} - {w}") for r in ROWS for w in r.wires])
def test_the_agent_gets_through_it_and_no_law_is_broken(row: Row, wire: str) -> None:
    assert wrong(run(row.text, wire, **row.settings)) == []


# What an answer in one piece can meet of these rows; everything else is about the frames of a stream.
WHOLE = (
    "5 a long and legitimate gap while a large call is written",
    "12 cut arguments, and yet a finish reason as if all were well",
    "13 arguments cut by the output limit",
    "15 a call without arguments",
    "16 two calls of one turn share an id, and a third one of the next",
    "20 the arguments of parallel calls arrive interleaved",
    "24 the reason is stop although there are calls",
    "25 the reason is tool_calls and there are none, but words",
    "25 the reason is tool_calls and there is nothing",
    "29 frames and characters cut anywhere",
    "30 an error event before anything else",
    "30 an error event that will not pass",
    "31 status 200 with an error, and with nothing",
    "32 a page of the edge server",
    "33 an incomplete answer",
    "33 an incomplete answer, again and again",
    "33 a filtered answer",
    "33 a failed answer",
    "33 an answer that failed for a reason that stays",
    "34 closed before anything, again and again",
)
# Its arguments are an object in a whole answer, of which nobody can see that there should have been more in it.
UNSEEN = ("12 cut arguments, and yet a finish reason as if all were well", ANTHROPIC)


@pytest.mark.parametrize(
    ("row", "wire"),
    [
        pytest.param(r, w, id=f"{r.name} - {w}")
        for r in ROWS
        for w in r.wires
        if r.name in WHOLE and (r.name, w) != UNSEEN
    ],
)
def test_answers_in_one_piece_fare_no_worse(row: Row, wire: str) -> None:
    assert wrong(run(row.text, wire, stream=False, **row.settings)) == []


def test_every_row_that_is_named_is_there() -> None:
    assert [name for name in WHOLE if name not in [row.name for row in ROWS]] == []

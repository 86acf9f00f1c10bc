from __future__ import annotations

import re

import pytest

from simkit.model.verdict import Finding, Judgement, Result
from simkit.reporters.mermaid import MERMAID, mermaid
from tests.checks.traces import USER, Story
from tests.reporters.results import SCENARIO, failing, judged, long_run, passing, skipped
from tests.reporters.runs import hostile, whole


def marks(text: str) -> list[str]:
    return re.findall(r": \((\d+)\) ", text)


def test_a_run_is_told_as_a_sequence_between_user_agent_provider_and_tools() -> None:
    lines = mermaid(whole()).splitlines()
    assert lines[:5] == [
        "sequenceDiagram",
        "participant U as user",
        "participant A as agent",
        "participant P as provider",
        "participant T as tools",
    ]
    assert [line.partition(":")[0] for line in lines[5:]] == [
        *("U->>A", "A->>P", "P-->>A", "P-->>A", "P-->>A", "Note over U,P", "P-->>A"),
        *("A->>P", "P-->>A", "P-->>A", "P-->>A", "P-->>A", "A->>T", "T-->>A", "A-->>U", "Note over A", "Note over A"),
    ]


def test_a_run_without_tools_has_no_column_for_them() -> None:
    assert "participant T as tools" not in mermaid(failing())


def test_pieces_of_one_text_are_one_arrow() -> None:
    story = Story().request(1, USER)
    for piece in ("Hel", "lo, ", "you"):
        story.frame(1, "say", piece)
    story.frame(1, "call", tool="ls").frame(1, "args", "[1,").frame(1, "args", "2]")
    assert mermaid(judged(story)).splitlines()[-2:] == [
        "P-->>A: 0.000s request 1: the provider says #34;Hello, you#34;",
        "P-->>A: 0.000s request 1: the provider calls ls [1,2]",
    ]


def test_deciding_events_are_numbered_as_in_the_other_reports_and_never_left_out() -> None:
    one = long_run()
    decided = sorted({n for finding in one.findings for n in finding.events})
    assert marks(mermaid(one, lines_max=12)) == [str(i) for i in range(1, len(decided) + 1)]


@pytest.mark.parametrize("lines_max", [8, 9, 20, 60, 120])
def test_a_diagram_keeps_to_its_lines_and_says_how_much_is_left_out(lines_max: int) -> None:
    lines = mermaid(long_run(), lines_max=lines_max).splitlines()
    assert (len(lines) <= lines_max, [line for line in lines if "more events" in line] != []) == (True, True)


def test_what_decides_is_shown_even_where_its_kind_is_usually_not() -> None:
    story = Story().request(1, USER).event("provider", "answer.unused", answer=0, left=1, line=7)
    finding = Finding(law="x", text="y", events=(1,))
    result = Result(scenario=SCENARIO, plan=failing().plan, trace=story.trace, judgement=Judgement(findings=(finding,)))
    assert "Note over P: (1) 0.000s an answer of the script" in mermaid(result)


def test_no_text_ends_a_line_or_a_statement_or_becomes_markup() -> None:
    lines = mermaid(hostile()).splitlines()[5:]
    texts = [line.partition(": ")[2] for line in lines]
    left = [re.sub(r"#\d+;", "", text) for text in texts]
    assert [text for text in left if re.search(r"[;#<>&\"`%{}\u2028]", text)] == []


def test_a_diagram_of_no_event_says_so() -> None:
    assert mermaid(skipped()).splitlines()[-1] == "Note over A: nothing happened"


def test_of_several_cases_the_first_that_failed_is_drawn() -> None:
    assert MERMAID.render([passing(), failing()]) == mermaid(failing())
    assert (MERMAID.render([passing()]), MERMAID.render([])) == (mermaid(passing()), "")

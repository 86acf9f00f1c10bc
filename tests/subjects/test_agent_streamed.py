from __future__ import annotations

from simkit.model.plan import Plan
from simkit.run import run_once
from tests.provider.played import events, scenario

HANGS_UP = """
subject: simkit.subjects.agent_streamed:AGENT_STREAMED
user: [{says: Tell me all}, {at: 1s, cancels: true}, {at: 5s, says: Be brief}]
provider:
  - stream: [say: Once, wait: 1m, say: upon a time, finish: stop]
  - stream: [say: No., finish: stop]
"""


def test_a_reader_who_hangs_up_on_an_answer_that_still_comes_ends_it_and_the_next_one_is_answered() -> None:
    result = run_once(scenario(HANGS_UP), Plan())
    assert (events(result, stream_end="how", turn_end="outcome"), result.findings) == (
        [
            (1.0, "turn.end", "cancelled"),
            (1.0, "stream.end", "client_closed"),
            (5.0, "stream.end", "complete"),
            (5.0, "turn.end", "finished"),
        ],
        (),
    )
